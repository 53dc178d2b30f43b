//! Settlements of many conversations in one call.

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use posthorn_errors::{Code, Failure};
use posthorn_proto::internal::{SettleRequest, Settlement};
use posthorn_rpc::{StorageClient, call};
use tokio::sync::{mpsc, oneshot};

/// Settlements that may wait for a call.
const MAX_WAITING: usize = 4_096;
/// Settlements in one call.
const MAX_CALL: usize = 256;
/// Bytes of entries in one call.
const MAX_CALL_BYTES: usize = 2 * 1024 * 1024;
/// Calls at a time: what comes meanwhile goes out together.
const MAX_CALLS: usize = 4;

struct Waiting {
    settlement: Settlement,
    answer: oneshot::Sender<Result<bool, Failure>>,
}

/// Hands settlements over. One conversation has one on its way at most.
#[derive(Clone)]
pub struct Settler(mpsc::Sender<Waiting>);

impl Settler {
    /// The handle, and the task that carries it out.
    pub fn new(storage: StorageClient, instance: String) -> (Self, impl Future<Output = ()> + Send) {
        let (tx, rx) = mpsc::channel(MAX_WAITING);
        (Self(tx), run(storage, instance, rx))
    }

    /// True if the feed took its part.
    pub async fn settle(&self, settlement: Settlement) -> Result<bool, Failure> {
        let (answer, answered) = oneshot::channel();
        let gone = || Failure::plain(Code::Unavailable);
        self.0.send(Waiting { settlement, answer }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

async fn run(storage: StorageClient, instance: String, mut waiting: mpsc::Receiver<Waiting>) {
    let mut calls = FuturesUnordered::new();
    let mut next: Option<Waiting> = None;
    loop {
        tokio::select! {
            Some(()) = calls.next() => {}
            first = waiting.recv(), if calls.len() < MAX_CALLS && next.is_none() => match first {
                Some(first) => next = Some(first),
                None => break,
            }
        }
        if let Some(first) = next.take_if(|_| calls.len() < MAX_CALLS) {
            let mut group = vec![first];
            let mut bytes = bytes_of(&group[0].settlement);
            while group.len() < MAX_CALL && bytes < MAX_CALL_BYTES {
                let Ok(more) = waiting.try_recv() else { break };
                bytes += bytes_of(&more.settlement);
                group.push(more);
            }
            calls.push(settle(storage.clone(), instance.clone(), group));
        }
    }
    while calls.next().await.is_some() {}
}

fn bytes_of(settlement: &Settlement) -> usize {
    settlement.feed.iter().map(|row| row.envelope.len() + row.body.as_ref().map_or(0, Bytes::len)).sum()
}

async fn settle(mut storage: StorageClient, instance: String, group: Vec<Waiting>) {
    let (settlements, answers): (Vec<_>, Vec<_>) =
        group.into_iter().map(|waiting| (waiting.settlement, waiting.answer)).unzip();
    let settled = call(storage.settle(SettleRequest { settlements, instance })).await.map(|reply| reply.fed);
    for answer in answers {
        // Whoever stopped waiting needs no answer.
        let _ = answer.send(settled.clone());
    }
}
