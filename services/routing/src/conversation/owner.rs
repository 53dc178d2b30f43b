//! The owner task of a conversation: decides, commits, confirms, one append in flight at a time.
//! What waits meanwhile goes into the next one.

use std::{sync::Arc, time::Duration};

use posthorn_clock::sleep;
use posthorn_core::{Chain, ConversationKey, Number, conversation::Conversation};
use posthorn_errors::{Code, Failure};
use posthorn_proto::internal::{JournalRow, NoteRequest, SettleRequest, Settlement};
use tokio::sync::{mpsc, oneshot};

use parking_lot::RwLock;

use super::{
    after::{After, Told, follow},
    cell::{Cell, Command, Confirmed},
    commit::{Batch, effects_of_all, runs_of_tail},
    load::{Loaded, load},
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
    told: Arc<Told>,
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
    let loaded = load(&core, &key, named, 0).await?;
    let (tx, rx) = mpsc::channel(core.config.max_queued_sends);
    let (after, batches) = mpsc::channel(core.config.max_queued_batches);
    let Loaded { conversation, chain, version, preview, number, tail, named } = loaded;
    let confirmed = RwLock::new(Confirmed::new(conversation.clone(), chain, version, preview));
    let cell = Arc::new(Cell { shard: key.shard(), key, confirmed, commands: tx });
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
        // The next owner must not overtake what this one still has to publish.
        drop(owner);
        let _ = ended.await;
    });
    Ok(cell)
}

struct Forget(Arc<Core>, ConversationKey);

impl Drop for Forget {
    fn drop(&mut self) {
        self.0.conversations.forget(&self.1);
        self.0.metrics.conversations.dec();
    }
}

impl Owner {
    async fn run(&mut self, mut commands: mpsc::Receiver<Command>) {
        let mut taken = Vec::new();
        loop {
            let idle = if self.working.exists() { Duration::from_millis(self.core.config.idle_ms) } else { IDLE_EMPTY };
            tokio::select! {
                biased;
                count = commands.recv_many(&mut taken, self.core.config.max_batch_entries) => {
                    if count == 0 {
                        return;
                    }
                    self.handle(taken.drain(..)).await;
                }
                () = self.told.notify.notified() => {}
                // Closed and drained: `recv_many` returns 0 then.
                () = sleep(idle), if self.untold == 0 && !self.broken => commands.close(),
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

    async fn handle(&mut self, commands: impl Iterator<Item = Command> + Send) {
        let mut batch = Batch::default();
        for command in commands {
            if self.broken
                && let Err(failure) = self.reload().await
            {
                refuse(command, failure);
                continue;
            }
            if batch.full(&self.core.config) {
                self.commit(std::mem::take(&mut batch)).await;
            }
            self.decide(command, &mut batch).await;
        }
        self.commit(batch).await;
    }

    /// Out of the journal once nothing is owed. Not while an append is in flight: its note must stay.
    async fn settle(&mut self) {
        let told = self.told.take();
        if told == 0 {
            return;
        }
        self.untold = self.untold.saturating_sub(told);
        if self.untold > 0 {
            return;
        }
        self.core.metrics.unsettled.dec();
        let settlement = Settlement {
            tenant: (&self.cell.key.tenant).into(),
            conversation: (&self.cell.key.conversation).into(),
            head: Some(self.cell.confirmed.read().head()),
            members: Vec::new(),
            feed: Vec::new(),
            remove: true,
        };
        let request = SettleRequest { settlements: vec![settlement], instance: self.core.ownership.instance.clone() };
        if let Err(failure) = call(self.core.storage.clone().settle(request)).await {
            // It stays in the journal: whoever loads it next tells again.
            tracing::warn!(%failure, "a conversation could not be settled");
        }
    }

    /// After an append whose outcome is unknown: what the store has under a new number is the truth.
    pub async fn reload(&mut self) -> Result<(), Failure> {
        let core = Arc::clone(&self.core);
        let at_least = self.cell.confirmed.read().conversation.end.seq;
        // Durable behind the append in doubt, in the same queue: when this is answered, that is decided.
        let (tenant, conversation) = (String::from(&self.cell.key.tenant), String::from(&self.cell.key.conversation));
        let rows = vec![JournalRow { tenant, conversation }];
        call(core.storage.clone().note(NoteRequest { instance: core.ownership.instance.clone(), rows })).await?;
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

    /// One more batch whose effects have to be told before the journal lets the conversation go.
    pub(super) fn owe(&mut self) {
        if self.untold == 0 {
            self.core.metrics.unsettled.inc();
        }
        self.untold += 1;
    }

    /// Everybody's registers, and the entries that may never have been shown.
    async fn tell_again(&mut self, tail: Vec<posthorn_proto::internal::Row>) {
        let effects = effects_of_all(&self.working);
        let runs = runs_of_tail(&self.working, tail);
        self.owe();
        let after = After { runs, effects, owed: true, confirmed_ms: self.core.clock.now_ms(), answers: Vec::new() };
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
