//! Journals: which conversations an instance has not settled.
//!
//! The owner numbers its notes of a name, ascending, and a later one stands for what an earlier one stood
//! for. So a name is in the journal while its highest *noted* number is beyond its highest *removed* one.
//! Both are cells that only grow: a removal takes back what it names and never a later note, however the
//! writes travel and whoever sends them. And no row is ever deleted, which a journal that is written for
//! appends and read after a crash could not bear (a read gives up at 100,000 deleted rows). An instance's
//! journal is spread over a few partitions; what waits for one partition is written together. It goes as a
//! whole when nobody needs it any more.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::{join_all, try_join_all};
use posthorn_core::{ConversationId, ConversationKey, TenantId};
use posthorn_store::{InstanceId, Result, StoreError};
use posthorn_tasks::Tasks;
use tokio::sync::{mpsc, oneshot};

use crate::{
    calls::{Calls, bind},
    error::damaged,
    marks::signed,
    rows::Pages,
    statements::Statements,
};

/// Partitions of one instance's journal. Never changes.
const SLOTS: u16 = 8;

type Reply = oneshot::Sender<Result<()>>;

/// A cell that grows.
struct Mark {
    instance: InstanceId,
    key: ConversationKey,
    note: i64,
    removed: bool,
    reply: Reply,
}

pub(crate) struct Journal {
    core: Arc<Core>,
    slots: Vec<mpsc::Sender<Mark>>,
}

struct Core {
    calls: Arc<Calls>,
    statements: Arc<Statements>,
    max_batch: usize,
}

fn slot(key: &ConversationKey) -> u16 {
    key.shard().0 % SLOTS
}

impl Journal {
    pub fn start(calls: Arc<Calls>, statements: Arc<Statements>, max_batch: usize, tasks: &Tasks) -> Self {
        let core = Arc::new(Core { calls, statements, max_batch: max_batch.max(1) });
        let mut slots = Vec::new();
        for _ in 0..SLOTS {
            let (tx, rx) = mpsc::channel(core.max_batch);
            tasks.background("store journal", Arc::clone(&core).write_marks(rx, tasks.clone()));
            slots.push(tx);
        }
        Self { core, slots }
    }

    /// Puts a name in.
    pub async fn note(&self, instance: &InstanceId, key: &ConversationKey, note: u64) -> Result<()> {
        self.mark(instance, key, note, false).await
    }

    /// Takes back this note and those before it.
    pub async fn remove(&self, instance: &InstanceId, key: &ConversationKey, note: u64) -> Result<()> {
        self.mark(instance, key, note, true).await
    }

    async fn mark(&self, instance: &InstanceId, key: &ConversationKey, note: u64, removed: bool) -> Result<()> {
        // Here, not where it would fail the marks of others.
        let note = signed(note)?;
        let (reply, answer) = oneshot::channel();
        let (instance, key) = (instance.clone(), key.clone());
        let sender = &self.slots[usize::from(slot(&key))];
        let closed = |_| StoreError::Unavailable("the store is closed".to_owned());
        sender.send(Mark { instance, key, note, removed, reply }).await.map_err(closed)?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Ambiguous("the store was closed".to_owned())))
    }

    /// Every name, in the order of keys.
    pub async fn names(&self, instance: &InstanceId) -> Result<Vec<ConversationKey>> {
        let slots = try_join_all((0..SLOTS).map(|slot| self.core.standing(instance, slot))).await?;
        let mut names: Vec<_> = slots.into_iter().flatten().collect();
        names.sort();
        Ok(names)
    }

    /// Nobody needs this journal any more.
    pub async fn drop_whole(&self, instance: &InstanceId) -> Result<()> {
        let Core { calls, statements, .. } = &*self.core;
        for slot in 0..SLOTS {
            let bound = bind(&statements.journal_drop, &(instance.0.as_str(), small(slot)))?;
            calls.write("journal_drop", &bound).await?;
        }
        Ok(())
    }
}

impl Core {
    /// One write at a time, of all that waits. What waits at the end is written, too.
    async fn write_marks(self: Arc<Self>, mut queue: mpsc::Receiver<Mark>, tasks: Tasks) {
        let stopping = tasks.stopping();
        let mut waiting = Vec::new();
        loop {
            let taken = tokio::select! {
                biased;
                taken = queue.recv_many(&mut waiting, self.max_batch) => taken,
                () = stopping.cancelled(), if !queue.is_closed() => {
                    queue.close();
                    continue;
                }
            };
            if taken == 0 {
                return;
            }
            #[allow(clippy::cast_precision_loss, reason = "at most `cql.max_batch_notes`")]
            self.calls.metrics.notes.observe(waiting.len() as f64);
            let mut by_instance: BTreeMap<InstanceId, Vec<Mark>> = BTreeMap::new();
            for mark in waiting.drain(..) {
                by_instance.entry(mark.instance.clone()).or_default().push(mark);
            }
            // Each instance has a journal, and so a partition, of its own.
            let writes = by_instance.into_iter().map(|(instance, marks)| self.write_and_answer(instance, marks));
            join_all(writes).await;
        }
    }

    async fn write_and_answer(&self, instance: InstanceId, marks: Vec<Mark>) {
        let result = self.write_together(&instance, &marks).await;
        for mark in marks {
            // Whoever stopped waiting needs no answer.
            let _ = mark.reply.send(result.clone());
        }
    }

    async fn write_together(&self, instance: &InstanceId, marks: &[Mark]) -> Result<()> {
        let mut statements = Vec::with_capacity(marks.len());
        let mut values = Vec::with_capacity(marks.len());
        for mark in marks {
            let kind = if mark.removed { &self.statements.removed } else { &self.statements.noted };
            let (tenant, conversation) = (mark.key.tenant.as_str(), mark.key.conversation.as_str());
            statements.push(kind);
            values.push((mark.note, mark.note, instance.0.as_str(), small(slot(&mark.key)), tenant, conversation));
        }
        match (statements.as_slice(), values.as_slice()) {
            ([statement], [only]) => self.calls.write("journal", &bind(statement, only)?).await,
            (statements, values) => self.calls.batch("journal", statements, values).await,
        }
    }

    async fn standing(&self, instance: &InstanceId, slot: u16) -> Result<Vec<ConversationKey>> {
        type Columns = (String, String, Option<i64>, Option<i64>);
        let bound = bind(&self.statements.journal_read, &(instance.0.as_str(), small(slot)))?;
        let mut pages = Pages::new(&self.calls, "journal_read", bound);
        let mut names = Vec::new();
        while let Some(page) = pages.next::<Columns>().await? {
            for (tenant, conversation, noted, removed) in page {
                if noted > removed {
                    names.push(key_of(&tenant, &conversation)?);
                }
            }
        }
        Ok(names)
    }
}

/// As the column counts; slots are few.
fn small(slot: u16) -> i16 {
    i16::try_from(slot).unwrap_or(i16::MAX)
}

fn key_of(tenant: &str, conversation: &str) -> Result<ConversationKey> {
    let bad = |why| damaged("a journal row", why);
    Ok(ConversationKey {
        tenant: TenantId::new(tenant).map_err(bad)?,
        conversation: ConversationId::new(conversation).map_err(bad)?,
    })
}
