//! The owner task of a conversation: decides, commits, confirms, one append in flight at a time.
//! What waits meanwhile goes into the next one.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use posthorn_clock::{Instant, sleep, sleep_until};
use posthorn_core::{Chain, ConversationKey, Number, conversation::Conversation};
use posthorn_errors::{Code, Failure};
use tokio::sync::{mpsc, oneshot};

use super::{
    after::{After, Told, follow},
    cell::{Asked, Cell, Command, Confirmed},
    commit::{Batch, effects_of_all, runs_of_tail},
    load::{Loaded, load},
    marks::note_of,
    owed::Owed,
    settle::Settled,
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
    /// Confirmed, and not settled.
    pub owed: Owed,
    pub settling: Option<Settled>,
    /// Counted among those that the journal names.
    pub counted: bool,
    pub told: Arc<Told>,
    /// Until the next try to load a broken one.
    retry: Duration,
}

/// Between tries to load a conversation whose append is ambiguous.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// A conversation that does not exist leaves the memory soon: asking for one costs little.
const IDLE_EMPTY: Duration = Duration::from_secs(2);

/// The own note of a conversation that a journal names.
async fn noted(core: &Core, key: &ConversationKey) -> Result<Option<u64>, Failure> {
    let Some(noted) = core.ownership.named_by(key) else { return Ok(None) };
    if noted.is_none() {
        // Whatever number its last note has, this one stands for it.
        let note = core.ownership.next_note();
        call(core.storage.clone().note(note_of(core, key, note))).await?;
        core.ownership.inherit([(key.clone(), note)]);
        return Ok(Some(note));
    }
    Ok(noted)
}

/// Loads the conversation and starts its tasks.
pub(super) async fn start(core: Arc<Core>, key: ConversationKey) -> Result<Arc<Cell>, Failure> {
    let named = noted(&core, &key).await?;
    // What its dead owner showed in lists under versions that died with it gets one no cursor has passed.
    let taken = named.map(|_| core.ownership.take_version(key.shard()));
    let loaded = load(&core, &key, named, 0).await?;
    let (tx, rx) = mpsc::channel(core.config.max_queued_sends);
    let (after, batches) = mpsc::channel(core.config.max_queued_batches);
    let Loaded { conversation, chain, version, preview, number, tail, named, fed } = loaded;
    let version = taken.as_ref().map_or(version, |taken| taken.version.max(version));
    let confirmed = Confirmed::new(conversation.clone(), chain, version, preview);
    let cell = Arc::new(Cell::new(key, confirmed, tx));
    // Whoever reads the versions after this finds the cell with it.
    drop(taken);
    let told = Arc::new(Told::default());
    let end = conversation.end.seq;
    let head = tail.first().map_or(end, |row| row.seq - 1);
    let mut owed = Owed::new(core.settles_apart, Duration::from_millis(core.config.settle_ms), named, end, head, fed);
    if !tail.is_empty() {
        owed.touched(conversation.members.keys().cloned());
    }
    let named = named.is_some();
    let mut owner = Owner {
        core: Arc::clone(&core),
        cell: Arc::clone(&cell),
        working: conversation,
        chain,
        number,
        after,
        broken: false,
        owed,
        settling: None,
        counted: false,
        told: Arc::clone(&told),
        retry: RETRY_MIN,
    };
    if named {
        owner.tell_again(tail).await;
        core.ownership.loaded(&cell.key);
    }
    let named = owner.named();
    owner.count(named);
    let (ended_tx, mut ended) = oneshot::channel();
    let (follower, followed) = (Arc::clone(&core), Arc::clone(&cell));
    core.tasks.background("follow", async move {
        follow(follower, followed, told, batches).await;
        let _ = ended_tx.send(());
    });
    core.metrics.conversations.inc();
    let stopping = core.tasks.stopping();
    core.clone().tasks.background("owner", async move {
        // However the owner ends: a slot without one would refuse everything.
        let mut forget = Forget { core: Arc::clone(&owner.core), key: owner.cell.key.clone(), broke_off: true };
        let follows = tokio::select! {
            () = owner.run(rx) => {
                forget.broke_off = false;
                true
            }
            () = stopping.cancelled() => true,
            // Nothing that follows an append would be done any more.
            _ = &mut ended => false,
        };
        owner.count(false);
        // The next owner must not overtake what this one still has to publish.
        drop(owner);
        if follows {
            let _ = ended.await;
        }
    });
    Ok(cell)
}

struct Forget {
    core: Arc<Core>,
    key: ConversationKey,
    /// It panicked, its follower did, or the incarnation ends.
    broke_off: bool,
}

impl Drop for Forget {
    fn drop(&mut self) {
        self.core.metrics.conversations.dec();
        // Before anybody can load it again.
        if self.broke_off {
            self.core.ownership.broke_off(&self.key);
        }
        self.core.conversations.forget(&self.core, &self.key);
    }
}

impl Owner {
    async fn run(&mut self, mut commands: mpsc::Receiver<Asked>) {
        let mut taken = Vec::new();
        loop {
            let busy = self.settling.is_some();
            let due = self.due().filter(|_| !busy && !self.broken);
            let idles = !self.owed.owes() && !busy && !self.broken;
            let idle = if self.working.exists() { Duration::from_millis(self.core.config.idle_ms) } else { IDLE_EMPTY };
            let (settling, told, cell) = (&mut self.settling, &self.told, &self.cell);
            tokio::select! {
                biased;
                () = told.notify.notified() => {}
                // Boxed: it survives the other branches. Before the commands: it goes on only when it is polled.
                Some((settling, settled)) = async { Some(settling.as_mut()?.await) } => {
                    self.settling = None;
                    self.end_settling(settling, settled);
                }
                count = commands.recv_many(&mut taken, self.core.config.max_batch_entries) => {
                    if count == 0 {
                        return self.finish().await;
                    }
                    self.cell.at_work.store(true, Ordering::Release);
                    self.handle(taken.drain(..)).await;
                }
                // What is owed gathers for a moment.
                () = until(due), if due.is_some() => {}
                () = cell.marks.announced.notified() => {}
                () = cell.leave.notified() => self.leave(&mut commands),
                // Closed and drained: `recv_many` returns 0 then.
                () = cell.handed_over.cancelled(), if !commands.is_closed() => {
                    self.cell.marks.close(true);
                    commands.close();
                }
                () = sleep(idle), if idles => self.leave(&mut commands),
                // Somebody may wait for what was stored and never shown.
                () = sleep(self.retry), if self.broken => {
                    if let Err(failure) = self.reload().await {
                        tracing::warn!(%failure, "a conversation cannot be loaded again yet");
                        self.retry = (self.retry * 2).min(RETRY_MAX);
                    }
                }
            }
            self.settle();
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
        let note = core.ownership.next_note();
        call(core.storage.clone().note(note_of(&core, &self.cell.key, note))).await?;
        self.owed.noted(note);
        // What it stored becomes visible now, and under a version that no cursor has passed.
        let taken = core.ownership.take_version(self.cell.shard);
        let loaded = load(&core, &self.cell.key, Some(note), at_least).await?;
        let Loaded { conversation, chain, version, preview, number, tail: rewritten, .. } = loaded;
        core.checker.active().await?;
        let tail = self.newly_confirmed(at_least, conversation.end.seq).await?;
        {
            let mut confirmed = self.cell.confirmed.write();
            let marks = (std::mem::take(&mut confirmed.marks), confirmed.marks_filled);
            *confirmed = Confirmed::new(conversation.clone(), chain, version.max(taken.version), preview);
            (confirmed.marks, confirmed.marks_filled) = marks;
        }
        drop(taken);
        let touched =
            rewritten.iter().any(|row| row.seq > at_least).then(|| conversation.members.keys().cloned().collect());
        self.owed.confirmed(rewritten.into_iter().filter(|row| row.seq > at_least), touched.unwrap_or_default());
        self.retry = RETRY_MIN;
        (self.working, self.chain, self.number, self.broken) = (conversation, chain, number, false);
        self.tell_again(tail).await;
        Ok(())
    }

    /// Everybody's registers, and the entries that may never have been shown.
    async fn tell_again(&mut self, tail: Vec<posthorn_proto::internal::Row>) {
        let effects = effects_of_all(&self.working);
        let runs = runs_of_tail(&self.working, tail);
        self.owed.owe_telling();
        let (confirmed_ms, answers) = (self.core.clock.now_ms(), Vec::new());
        let after = After { runs, effects, owed: true, confirmed_ms, answers, trace: None };
        // The follower lives as long as this owner.
        let _ = self.after.send(after).await;
    }
}

/// For ever where there is nothing due.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
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
