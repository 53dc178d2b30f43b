//! Settling, beside the appends: one settlement of a conversation is on its way at most.

use std::{future::Future, pin::Pin};

use posthorn_errors::{Code, Failure};
use posthorn_proto::internal::{ReadRequest, Row, Settlement};
use posthorn_rpc::call;

use super::{
    load::member_rows,
    owed::{FEED_PAGE, FeedPart, Settling},
    owner::Owner,
};

/// What a settlement came to: whether the feed took its part.
pub(super) type Settled = Pin<Box<dyn Future<Output = (Settling, Result<bool, Failure>)> + Send>>;

impl Owner {
    /// Begins to settle all that is confirmed now.
    pub(super) fn begin_settling(&mut self) -> Settled {
        let mut settling = self.owed.begin();
        let (head, members) = {
            let confirmed = self.cell.confirmed.read();
            (confirmed.head(), member_rows(&confirmed.conversation, &settling.members))
        };
        let settlement = Settlement {
            tenant: (&self.cell.key.tenant).into(),
            conversation: (&self.cell.key.conversation).into(),
            head: Some(head),
            members,
            feed: Vec::new(),
            remove: settling.remove.clone(),
            fed_seq: settling.fed,
        };
        let (storage, settler) = (self.core.storage.clone(), self.core.settler.clone());
        Box::pin(async move {
            let rows = match std::mem::replace(&mut settling.feed, FeedPart::Rows(Vec::new())) {
                FeedPart::Rows(rows) => Ok(rows),
                FeedPart::Read(from, to) => {
                    let (tenant, conversation) = (settlement.tenant.clone(), settlement.conversation.clone());
                    read_owed(storage, tenant, conversation, from, to).await
                }
            };
            let settled = match rows {
                Ok(feed) => settler.settle(Settlement { feed, ..settlement }).await,
                Err(failure) => Err(failure),
            };
            (settling, settled)
        })
    }

    /// The settlement on its way has ended.
    pub(super) fn end_settling(&mut self, settling: Settling, settled: Result<bool, Failure>) {
        match settled {
            Ok(fed) => self.owed.settled(settling, fed),
            Err(failure) => {
                // It stays in the journal: whoever loads it next settles it.
                tracing::warn!(%failure, "a conversation could not be settled, trying again");
                self.owed.failed(settling);
            }
        }
        self.count_owed();
    }

    /// Room for an append of this size between the head and the end, or none in time.
    pub(super) async fn make_room(&mut self, entries: usize, bytes: usize) -> Result<(), Failure> {
        let mut tries = 0;
        while self.owed.full(entries, bytes) {
            let settling = self.settling.take().unwrap_or_else(|| self.begin_settling());
            let (settling, settled) = settling.await;
            let failure = settled.as_ref().err().cloned();
            self.end_settling(settling, settled);
            tries += 1;
            if let Some(failure) = failure.filter(|_| tries > 1) {
                return Err(Failure::new(Code::Unavailable, failure.message).retry_after_ms(500));
            }
        }
        Ok(())
    }
}

/// What the feed is owed and memory no longer has: all of it, or nothing.
async fn read_owed(
    mut storage: posthorn_rpc::StorageClient,
    tenant: String,
    conversation: String,
    from: u64,
    to: u64,
) -> Result<Vec<Row>, Failure> {
    let mut rows: Vec<Row> = Vec::new();
    let mut next = from;
    while next <= to {
        let (tenant, conversation) = (tenant.clone(), conversation.clone());
        let limit = u32::try_from(FEED_PAGE).unwrap_or(u32::MAX);
        let request =
            ReadRequest { tenant, conversation, from: next, to, limit, reverse: false, max_bytes: u64::MAX };
        let page = call(storage.read(request)).await?.rows;
        match page.last() {
            Some(last) if page[0].seq == next => next = last.seq + 1,
            _ => return Err(Failure::new(Code::DataLoss, format!("the log has no entry {next} and goes on to {to}"))),
        }
        rows.extend(page);
    }
    Ok(rows)
}
