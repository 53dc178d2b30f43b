//! One conversation of the bench: the next message goes when the one before is acknowledged.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use posthorn_clock::Instant;
use posthorn_core::{Chain, ConversationId, ConversationKey, TenantId};
use posthorn_proto::internal::{Head, Row};
use posthorn_store::{Append, InstanceId, Result, Settlement, Store, StoreError};
use posthorn_tasks::Tasks;
use tokio::sync::{mpsc, oneshot};

use crate::CqlStore;

/// A line of chat, encoded.
const ENVELOPE_BYTES: usize = 96;
const BODY_BYTES: usize = 64;
/// When an owner settles: as `routing.settle_ms`, or from so many entries on.
const SETTLE_AFTER: Duration = Duration::from_millis(200);
const SETTLE_EAGERLY: u64 = 32;
/// Entries that may lie beyond the head.
const MAX_BEYOND: u64 = 64;

/// What conversations share.
#[derive(Clone)]
pub(super) struct Shared {
    pub store: Arc<CqlStore>,
    pub tasks: Tasks,
    pub instance: InstanceId,
    pub epoch: u64,
    /// `None`: rows alone, as a plain insert of each.
    pub checks: Option<Checks>,
}

/// What is not settled, as an owner keeps it.
#[derive(Default)]
struct Owed {
    /// The note that stands.
    note: Option<u64>,
    notes: u64,
    head: u64,
    since: Option<Instant>,
    settling: Option<(u64, oneshot::Receiver<Result<()>>)>,
}

/// Until `end`: how long each message took.
pub(super) async fn talk(shared: &Shared, name: &str, end: Instant) -> Result<Vec<Duration>> {
    let misnamed = |_| StoreError::Misused("a name of the bench".to_owned());
    let tenant = TenantId::new("bench").map_err(misnamed)?;
    let key = ConversationKey { tenant, conversation: ConversationId::new(name).map_err(misnamed)? };
    let (mut chain, mut owed, mut times) = (Chain::START, Owed::default(), Vec::new());
    for seq in 1.. {
        let begun = Instant::now();
        if begun >= end {
            break;
        }
        let envelope = Bytes::from(vec![b'e'; ENVELOPE_BYTES]);
        chain = chain.link(&envelope);
        let link = Bytes::copy_from_slice(&chain.0);
        let body = Some(Bytes::from(vec![b'b'; BODY_BYTES]));
        let row = Row { seq, epoch: shared.epoch, load: 1, chain: link, envelope, body };
        match &shared.checks {
            None => shared.store.write_rows(&key, &[row]).await?,
            Some(checks) => {
                let head = head_of(&row, shared.epoch);
                append(shared, &key, row, &mut owed).await?;
                checks.active().await?;
                owed.settle(shared, &key, head).await?;
            }
        }
        times.push(begun.elapsed());
    }
    owed.finish().await?;
    Ok(times)
}

fn head_of(row: &Row, version_epoch: u64) -> Head {
    let (seq, chain) = (row.seq, row.chain.clone());
    Head { seq, ordinal: seq, chain, version_epoch, version_counter: seq, ..Head::default() }
}

/// With a note where none stands.
async fn append(shared: &Shared, key: &ConversationKey, row: Row, owed: &mut Owed) -> Result<()> {
    let note = owed.note.is_none().then(|| {
        owed.notes += 1;
        owed.note = Some(owed.notes);
        owed.notes
    });
    let (head, rows) = (head_of(&row, shared.epoch), vec![row]);
    let (key, instance) = (key.clone(), shared.instance.clone());
    let append = Append { key, instance, rows, head, members: Vec::new(), effects: false, note };
    shared.store.append(append).await.map(drop)
}

impl Owed {
    /// Beside the messages: head, feed mark and removal of the note, once they are due.
    async fn settle(&mut self, shared: &Shared, key: &ConversationKey, head: Head) -> Result<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let beyond = head.seq - self.head;
        let full = beyond >= MAX_BEYOND;
        if let Some((seq, mut settled)) = self.settling.take() {
            let done = if full { Some(gone((&mut settled).await)) } else { settled.try_recv().ok() };
            match done {
                Some(result) => {
                    result?;
                    self.head = seq;
                }
                None => self.settling = Some((seq, settled)),
            }
        }
        if self.settling.is_none() && (beyond >= SETTLE_EAGERLY || since.elapsed() >= SETTLE_AFTER) {
            let remove = self.note.take().into_iter().collect();
            let (key, fed_seq, members, feed) = (key.clone(), head.seq, Vec::new(), Vec::new());
            let settlement = Settlement { key, head: Some(head), members, feed, fed_seq, remove };
            let (tx, rx) = oneshot::channel();
            let (store, instance) = (Arc::clone(&shared.store), shared.instance.clone());
            shared.tasks.background("bench settlement", async move {
                // Whoever stopped waiting needs no answer.
                let _ = tx.send(store.settle(&instance, vec![settlement]).await);
            });
            (self.settling, self.since) = (Some((fed_seq, rx)), None);
        }
        Ok(())
    }

    async fn finish(self) -> Result<()> {
        match self.settling {
            Some((_, settled)) => gone(settled.await),
            None => Ok(()),
        }
    }
}

fn gone<E>(answer: std::result::Result<Result<()>, E>) -> Result<()> {
    answer.unwrap_or_else(|_| Err(StoreError::Unavailable("a task of the bench ended".to_owned())))
}

/// One check serves everybody who waited when it began, as an owner's does.
#[derive(Clone)]
pub(super) struct Checks(mpsc::Sender<oneshot::Sender<Result<bool>>>);

impl Checks {
    pub fn start(store: &Arc<CqlStore>, instance: &InstanceId, tasks: &Tasks) -> Self {
        const MAX_WAITING: usize = 4_096;
        let (tx, mut rx) = mpsc::channel::<oneshot::Sender<Result<bool>>>(MAX_WAITING);
        let (store, instance) = (Arc::clone(store), instance.clone());
        tasks.background("bench checks", async move {
            let mut waiting = Vec::new();
            while rx.recv_many(&mut waiting, MAX_WAITING).await > 0 {
                let active = store.check(&instance).await;
                for asker in waiting.drain(..) {
                    // Whoever stopped waiting needs no answer.
                    let _ = asker.send(active.clone());
                }
            }
        });
        Self(tx)
    }

    async fn active(&self) -> Result<()> {
        let gone = || StoreError::Unavailable("the checks ended".to_owned());
        let (tx, rx) = oneshot::channel();
        self.0.send(tx).await.map_err(|_| gone())?;
        if rx.await.map_err(|_| gone())?? { Ok(()) } else { Err(StoreError::Fenced("the bench".to_owned())) }
    }
}
