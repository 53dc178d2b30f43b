//! The owner task of a conversation: decides, commits, confirms, one append in flight at a time.
//! What waits meanwhile goes into the next one.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use posthorn_clock::{Instant, sleep};
use posthorn_core::{Chain, ConversationKey, Number, conversation::Conversation};
use posthorn_errors::{Code, Failure};
use tokio::sync::{mpsc, oneshot};

use super::{
    after::{After, Told, follow},
    cell::{Asked, Cell, Command, Confirmed},
    commit::{Batch, effects_of_all, runs_of_tail},
    load::{Loaded, load},
    settle::note_of,
    trace::traced,
};
use posthorn_rpc::call;

use crate::service::Core;

pub(super) struct Owner {
    pub core: Arc<Core>,
    pub cell: Arc<Cell>,
    /// Ahead of what is confirmed while an append is in flight.
    pub working: Conversation,
    pub chain: Chain,
    pub number: Number,
    pub after: mpsc::Sender<After>,
    /// The working state is void: load before deciding anything.
    pub broken: bool,
    /// Batches whose effects were not told yet; while some are, the journal names the conversation.
    pub untold: usize,
    pub told: Arc<Told>,
    /// Told or not, the journal names it for its effects.
    pub unsettled: bool,
    /// It could not be: not before this again.
    pub settle_again: Option<Instant>,
    /// Among those that the journal names, in the metric.
    pub counted: bool,
    /// Until the next try to load a broken one.
    retry: Duration,
}

/// Between tries to load a conversation whose append is ambiguous.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// A conversation that does not exist leaves the memory soon: asking for one costs little.
const IDLE_EMPTY: Duration = Duration::from_secs(2);

/// Loads the conversation and starts its tasks.
pub(super) async fn start(core: Arc<Core>, key: ConversationKey) -> Result<Arc<Cell>, Failure> {
    let named = core.ownership.is_named(&key);
    // What its dead owner showed in lists under versions that died with it gets one no cursor has passed.
    let taken = named.then(|| core.ownership.take_version(key.shard()));
    let loaded = load(&core, &key, named, 0).await?;
    let (tx, rx) = mpsc::channel(core.config.max_queued_sends);
    let (after, batches) = mpsc::channel(core.config.max_queued_batches);
    let Loaded { conversation, chain, version, preview, number, tail, named } = loaded;
    let version = taken.as_ref().map_or(version, |taken| taken.version.max(version));
    let confirmed = Confirmed::new(conversation.clone(), chain, version, preview);
    let cell = Arc::new(Cell::new(key, confirmed, tx));
    // Whoever reads the versions after this finds the cell with it.
    drop(taken);
    let told = Arc::new(Told::default());
    let mut owner = Owner {
        core: Arc::clone(&core),
        cell: Arc::clone(&cell),
        working: conversation,
        chain,
        number,
        after,
        broken: false,
        untold: 0,
        unsettled: false,
        settle_again: None,
        counted: false,
        told: Arc::clone(&told),
        retry: RETRY_MIN,
    };
    if named {
        owner.tell_again(tail).await;
        core.ownership.loaded(&cell.key);
    }
    let (ended_tx, ended) = oneshot::channel();
    let (follower, followed) = (Arc::clone(&core), Arc::clone(&cell));
    core.tasks.background("follow", async move {
        follow(follower, followed, told, batches).await;
        let _ = ended_tx.send(());
    });
    core.metrics.conversations.inc();
    let stopping = core.tasks.stopping();
    core.clone().tasks.background("owner", async move {
        // However the owner ends: a slot without one would refuse everything.
        let _forget = Forget(Arc::clone(&owner.core), owner.cell.key.clone());
        tokio::select! {
            () = owner.run(rx) => {}
            () = stopping.cancelled() => {}
        }
        owner.count(false);
        // The next owner must not overtake what this one still has to publish.
        drop(owner);
        let _ = ended.await;
    });
    Ok(cell)
}

struct Forget(Arc<Core>, ConversationKey);

impl Drop for Forget {
    fn drop(&mut self) {
        self.0.metrics.conversations.dec();
        self.0.conversations.forget(&self.0, &self.1);
    }
}

impl Owner {
    async fn run(&mut self, mut commands: mpsc::Receiver<Asked>) {
        let mut taken = Vec::new();
        loop {
            let settle_in = self.settle_in();
            let idle = if self.working.exists() { Duration::from_millis(self.core.config.idle_ms) } else { IDLE_EMPTY };
            tokio::select! {
                biased;
                count = commands.recv_many(&mut taken, self.core.config.max_batch_entries) => {
                    if count == 0 {
                        return;
                    }
                    self.cell.at_work.store(true, Ordering::Release);
                    self.handle(taken.drain(..)).await;
                }
                () = self.told.notify.notified() => {}
                () = self.cell.marks.announced.notified() => {}
                () = self.cell.leave.notified() => self.leave(&mut commands),
                () = sleep(settle_in.unwrap_or_default()), if settle_in.is_some() => {}
                () = sleep(idle), if self.untold == 0 && !self.broken => self.leave(&mut commands),
                // Somebody may wait for what was stored and never shown.
                () = sleep(self.retry), if self.broken => {
                    if let Err(failure) = self.reload().await {
                        tracing::warn!(%failure, "a conversation cannot be loaded again yet");
                        self.retry = (self.retry * 2).min(RETRY_MAX);
                    }
                }
            }
            self.settle().await;
        }
    }

    async fn handle(&mut self, commands: impl Iterator<Item = Asked> + Send) {
        let mut batch = Batch::default();
        for Asked { command, trace } in commands {
            if self.broken
                && let Err(failure) = self.reload().await
            {
                refuse(command, failure);
                continue;
            }
            if batch.full(&self.core.config) {
                self.commit(std::mem::take(&mut batch)).await;
            }
            batch.asked(trace);
            traced(trace, self.decide(command, &mut batch)).await;
        }
        self.commit(batch).await;
    }

    /// After an append whose outcome is unknown: what the store has under a new number is the truth.
    pub async fn reload(&mut self) -> Result<(), Failure> {
        let core = Arc::clone(&self.core);
        let at_least = self.cell.confirmed.read().conversation.end.seq;
        // Durable behind the append in doubt, in the same queue: when this is answered, that is decided.
        call(core.storage.clone().note(note_of(&core, &self.cell.key))).await?;
        // What it stored becomes visible now, and under a version that no cursor has passed.
        let taken = core.ownership.take_version(self.cell.shard);
        let loaded = load(&core, &self.cell.key, true, at_least).await?;
        let Loaded { conversation, chain, version, preview, number, .. } = loaded;
        core.checker.active().await?;
        let tail = self.newly_confirmed(at_least, conversation.end.seq).await?;
        {
            let mut confirmed = self.cell.confirmed.write();
            let marks = (std::mem::take(&mut confirmed.marks), confirmed.marks_filled);
            *confirmed = Confirmed::new(conversation.clone(), chain, version.max(taken.version), preview);
            (confirmed.marks, confirmed.marks_filled) = marks;
        }
        drop(taken);
        self.retry = RETRY_MIN;
        (self.working, self.chain, self.number, self.broken) = (conversation, chain, number, false);
        self.tell_again(tail).await;
        Ok(())
    }

    /// Everybody's registers, and the entries that may never have been shown.
    async fn tell_again(&mut self, tail: Vec<posthorn_proto::internal::Row>) {
        let effects = effects_of_all(&self.working);
        let runs = runs_of_tail(&self.working, tail);
        self.owe();
        let (confirmed_ms, answers) = (self.core.clock.now_ms(), Vec::new());
        let after = After { runs, effects, owed: true, confirmed_ms, answers, trace: None };
        // The follower lives as long as this owner.
        let _ = self.after.send(after).await;
    }
}

/// A command that cannot even be decided.
fn refuse(command: Command, failure: Failure) {
    let failure =
        if failure.code == Code::DataLoss { failure } else { Failure::new(Code::Unavailable, failure.message) };
    // Whoever stopped waiting needs no answer.
    match command {
        Command::Send { answer, .. } => drop(answer.send(Err(failure))),
        Command::Create { answer, .. } | Command::Change { answer, .. } => drop(answer.send(Err(failure))),
    }
}
