//! One partition: read, handle, commit.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{StreamExt, stream};
use posthorn_clock::sleep;
use posthorn_core::{ConversationKey, backoff::Backoff};
use posthorn_proto::internal::FeedEntry;

use super::{AWAY, At, Consumer, Remembered, Run, Undone};
use crate::{
    Fed, PARTITIONS, Result,
    letters::{DeadLetter, LetterId},
};

impl Consumer {
    pub(super) async fn follow(&self, partition: u16) {
        let share = self.deps.config.max_remembered / usize::from(PARTITIONS);
        let mut remembered = Remembered::new(share);
        let mut shares = self.shares.clone();
        loop {
            shares.until_mine(partition).await;
            match self.drain(partition, &mut remembered).await {
                Ok(after) => self.deps.feed.wait(partition, after).await,
                Err(error) => self.failed("cannot follow the feed", &error).await,
            }
        }
    }

    async fn failed(&self, what: &'static str, error: &(dyn std::error::Error + Sync)) {
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
            if !self.shares.mine(partition) {
                return Ok(after);
            }
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
        let mut sound = Vec::with_capacity(batch.len());
        let mut keys = Vec::with_capacity(batch.len());
        for Fed { entry, offset } in batch {
            match LetterId::of(&entry) {
                Ok(id) => {
                    keys.push(id.key);
                    sound.push(entry);
                }
                Err(error) => {
                    // One bad entry must not stop the others; the log itself is checked where it is read.
                    tracing::error!(group = self.deps.group, offset, %error, "an entry of the feed is damaged");
                    self.deps.metrics.entry(self.deps.group, "damaged");
                }
            }
        }
        sleep(self.deps.handler.rest(&sound)).await;
        let mut conversations: BTreeMap<ConversationKey, Vec<FeedEntry>> = BTreeMap::new();
        for (key, entry) in keys.into_iter().zip(sound) {
            conversations.entry(key).or_default().push(entry);
        }
        let follow = |(key, entries): (ConversationKey, Vec<FeedEntry>)| {
            let last = remembered.last(&key);
            async move {
                let last = self.conversation(&key, entries, last).await;
                (key, last)
            }
        };
        let followed: Vec<_> = conversations.into_iter().map(follow).collect();
        let ended: Vec<_> =
            stream::iter(followed).buffer_unordered(self.deps.config.max_in_flight.max(1)).collect().await;
        for (key, last) in ended {
            if let Some(last) = last {
                remembered.set(&key, last);
            }
        }
    }

    async fn conversation(&self, key: &ConversationKey, entries: Vec<FeedEntry>, mut last: Option<At>) -> Option<At> {
        let mut gathered = Vec::new();
        for entry in entries {
            let Some(row) = &entry.row else { continue };
            let at = (entry.generation, row.seq);
            if last.is_some_and(|last| at <= last) {
                self.deps.metrics.duplicate(self.deps.group);
                continue;
            }
            if let Some((generation, seq)) = last
                && generation == at.0
                && seq + 1 < at.1
            {
                self.fill(key, &mut gathered, generation, seq + 1, at.1 - 1).await;
            }
            self.add(&mut gathered, entry, "handled").await;
            last = Some(at);
        }
        self.handle(gathered).await;
        last
    }

    /// What the feed does not have, from the log.
    async fn fill(
        &self,
        key: &ConversationKey,
        gathered: &mut Vec<FeedEntry>,
        generation: u64,
        mut from: u64,
        to: u64,
    ) {
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
                let entry = FeedEntry { tenant, conversation, generation, row: Some(row) };
                self.add(gathered, entry, "filled").await;
            }
            from = last + 1;
        }
    }

    /// To the entries that are handled together, after those that this one does not belong to any more.
    async fn add(&self, gathered: &mut Vec<FeedEntry>, entry: FeedEntry, result: &'static str) {
        let full = gathered.len() >= self.deps.config.max_run_entries.max(1);
        if full || gathered.last().is_some_and(|last| last.generation != entry.generation) {
            self.handle(std::mem::take(gathered)).await;
        }
        gathered.push(entry);
        self.deps.metrics.entry(self.deps.group, result);
    }

    /// Until all of it is done or parked.
    async fn handle(&self, entries: Vec<FeedEntry>) {
        if entries.is_empty() {
            return;
        }
        let config = &self.deps.config;
        let mut backoff = Backoff::new(config.retry_ms, config.max_retry_ms);
        let (mut run, mut attempts) = (Run { entries, users: None }, 0);
        // Parked together: of an entry there is one letter.
        let mut dead = Vec::new();
        loop {
            let undone = match self.deps.handler.handle(&run).await {
                Ok(undone) => undone,
                Err(away) => {
                    self.failed("cannot handle entries", &away).await;
                    continue;
                }
            };
            attempts += 1;
            let last = attempts >= config.max_attempts;
            let (again, given_up): (Vec<_>, Vec<_>) = undone.into_iter().partition(|undone| undone.again && !last);
            dead.extend(given_up);
            if again.is_empty() {
                return self.park(&run.entries, dead, attempts).await;
            }
            let whole = again.iter().any(|undone| undone.user.is_empty());
            run.users = (!whole).then(|| again.into_iter().map(|undone| undone.user).collect());
            self.deps.metrics.retry(self.deps.group);
            sleep(Duration::from_millis(backoff.next_ms(self.deps.clock.random()))).await;
        }
    }

    /// Parked before the cursor passes it: tried until it is.
    async fn park(&self, entries: &[FeedEntry], dead: Vec<Undone>, attempts: u32) {
        let mut by_seq: BTreeMap<u64, Vec<Undone>> = BTreeMap::new();
        for undone in dead {
            by_seq.entry(undone.seq).or_default().push(undone);
        }
        for (seq, undone) in by_seq {
            let Some(entry) = entries.iter().find(|entry| entry.row.as_ref().is_some_and(|row| row.seq == seq)) else {
                continue;
            };
            let Ok(id) = LetterId::of(entry) else { continue };
            let parked_ms = self.deps.clock.now_ms();
            let mut letter = DeadLetter { entry: Some(entry.clone()), attempts, parked_ms, ..DeadLetter::default() };
            letter.leave(undone);
            tracing::error!(group = self.deps.group, seq, attempts, why = letter.why, "an entry was given up");
            while let Err(error) = self.deps.letters.park(self.deps.group, &id, letter.clone()).await {
                self.failed("cannot park a dead letter", &error).await;
            }
            self.deps.metrics.entry(self.deps.group, "dead");
        }
    }
}
