//! One partition: read, handle, commit.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{StreamExt, stream};
use posthorn_clock::sleep;
use posthorn_core::{ConversationKey, backoff::Backoff};
use posthorn_proto::internal::FeedEntry;

use super::{AWAY, At, Consumer, Handled, Remembered};
use crate::{
    Fed, PARTITIONS, Result,
    letters::{DeadLetter, LetterId},
};

impl Consumer {
    pub(super) async fn follow(&self, partition: u16) {
        let share = self.deps.config.max_remembered / usize::from(PARTITIONS);
        let mut remembered = Remembered::new(share);
        loop {
            match self.drain(partition, &mut remembered).await {
                Ok(after) => self.deps.feed.wait(partition, after).await,
                Err(error) => self.failed("cannot follow the feed", &error).await,
            }
        }
    }

    async fn failed(&self, what: &'static str, error: &crate::FeedError) {
        tracing::warn!(group = self.deps.group, %error, "{what}, trying again");
        self.deps.metrics.failure(self.deps.group);
        sleep(AWAY).await;
    }

    /// Handles what is there and says up to where. The cursor moves only after that: a restart repeats at
    /// most the batch it interrupted.
    async fn drain(&self, partition: u16, remembered: &mut Remembered) -> Result<u64> {
        let group = self.deps.group;
        let mut after = self.deps.feed.cursor(group, partition).await?;
        loop {
            let batch = self.deps.feed.read(partition, after, self.deps.config.max_batch_entries).await?;
            let Some(last) = batch.last().map(|fed| fed.offset) else { return Ok(after) };
            let waiting = i64::try_from(batch.len()).unwrap_or(i64::MAX);
            self.deps.metrics.waiting(group, waiting);
            self.batch(batch, remembered).await;
            self.deps.metrics.waiting(group, -waiting);
            self.deps.feed.commit(group, partition, last).await?;
            after = last;
        }
    }

    /// Conversations beside each other, each in its order.
    async fn batch(&self, batch: Vec<Fed>, remembered: &mut Remembered) {
        let mut conversations: BTreeMap<ConversationKey, Vec<FeedEntry>> = BTreeMap::new();
        for Fed { entry, offset } in batch {
            match LetterId::of(&entry) {
                Ok(id) => conversations.entry(id.key).or_default().push(entry),
                Err(error) => {
                    // One bad entry must not stop the others; the log itself is checked where it is read.
                    tracing::error!(group = self.deps.group, offset, %error, "an entry of the feed is damaged");
                    self.deps.metrics.entry(self.deps.group, "damaged");
                }
            }
        }
        let run = |(key, entries): (ConversationKey, Vec<FeedEntry>)| {
            let last = remembered.last(&key);
            async move {
                let last = self.run(&key, entries, last).await;
                (key, last)
            }
        };
        let runs: Vec<_> = conversations.into_iter().map(run).collect();
        let ended: Vec<_> = stream::iter(runs).buffer_unordered(self.deps.config.max_in_flight.max(1)).collect().await;
        for (key, last) in ended {
            if let Some(last) = last {
                remembered.set(&key, last);
            }
        }
    }

    async fn run(&self, key: &ConversationKey, entries: Vec<FeedEntry>, mut last: Option<At>) -> Option<At> {
        for entry in entries {
            let Some(row) = &entry.row else { continue };
            let at = (entry.generation, row.seq);
            if last.is_some_and(|last| at <= last) {
                self.deps.metrics.entry(self.deps.group, "duplicate");
                continue;
            }
            if let Some((generation, seq)) = last
                && generation == at.0
                && seq + 1 < at.1
            {
                self.fill(key, generation, seq + 1, at.1 - 1).await;
            }
            self.one(&entry).await;
            self.deps.metrics.entry(self.deps.group, "handled");
            last = Some(at);
        }
        last
    }

    /// Hands over what the feed does not have, from the log.
    async fn fill(&self, key: &ConversationKey, generation: u64, mut from: u64, to: u64) {
        tracing::warn!(group = self.deps.group, from, to, "the feed has a hole, taking it from the log");
        while from <= to {
            let limit = self.deps.config.max_fill_entries.max(1);
            let rows = match self.deps.log.rows(key, from, to, limit).await {
                Ok(rows) => rows,
                Err(error) => {
                    self.failed("cannot fill a hole of the feed", &error).await;
                    continue;
                }
            };
            let Some(last) = rows.last().map(|row| row.seq) else { return };
            for row in rows {
                let (tenant, conversation) = (key.tenant.to_string(), key.conversation.to_string());
                self.one(&FeedEntry { tenant, conversation, generation, row: Some(row) }).await;
                self.deps.metrics.entry(self.deps.group, "filled");
            }
            from = last + 1;
        }
    }

    /// Until it is done or parked.
    async fn one(&self, entry: &FeedEntry) {
        let config = &self.deps.config;
        let mut backoff = Backoff::new(config.retry_ms, config.max_retry_ms);
        let mut attempts = 0;
        let why = loop {
            attempts += 1;
            match self.deps.handler.handle(entry).await {
                Handled::Done => return,
                Handled::Dead(why) => break why,
                Handled::Retry(why) if attempts >= config.max_attempts => break why,
                Handled::Retry(_) => {
                    self.deps.metrics.retry(self.deps.group);
                    sleep(Duration::from_millis(backoff.next_ms(self.deps.clock.random()))).await;
                }
            }
        };
        self.park(entry, why, attempts).await;
    }

    /// Parked before the cursor passes it: tried until it is.
    async fn park(&self, entry: &FeedEntry, why: String, attempts: u32) {
        let Ok(id) = LetterId::of(entry) else { return };
        let parked_ms = self.deps.clock.now_ms();
        let letter = DeadLetter { entry: Some(entry.clone()), why, attempts, parked_ms };
        tracing::error!(group = self.deps.group, seq = id.seq, attempts, why = letter.why, "an entry was given up");
        while let Err(error) = self.deps.letters.park(self.deps.group, &id, letter.clone()).await {
            self.failed("cannot park a dead letter", &error).await;
        }
        self.deps.metrics.entry(self.deps.group, "dead");
    }
}
