//! The groups' cursors, kept by the servers.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use parking_lot::Mutex;
use posthorn_feed::{FeedError, Result};

use crate::stream::{FeedStream, Offset, Seen, Written};

/// Entries per partition of which is remembered what they were, for the cursor that will stand on one.
const MAX_PASSED: usize = 4_096;
/// Tries against another consumer of the group, which there is only for a moment.
const MOVE_TRIES: u32 = 8;

pub struct Cursors {
    stream: Arc<FeedStream>,
    /// What was last written or read, with its revision.
    kept: Mutex<HashMap<(String, u16), (u64, Written)>>,
    passed: Mutex<HashMap<u16, BTreeMap<Offset, u64>>>,
}

impl Cursors {
    pub fn new(stream: &Arc<FeedStream>) -> Self {
        Self { stream: Arc::clone(stream), kept: Mutex::default(), passed: Mutex::default() }
    }

    /// This entry was read.
    pub fn passed(&self, partition: u16, seen: Seen) {
        self.stream.saw(seen);
        let mut passed = self.passed.lock();
        let entries = passed.entry(partition).or_default();
        entries.insert(seen.offset, seen.mark);
        if entries.len() > MAX_PASSED {
            entries.pop_first();
        }
    }

    /// As the servers have it, checked against the stream: see [`FeedStream::check`].
    pub async fn get(&self, group: &str, partition: u16) -> Result<u64> {
        let kept = self.stream.records.cursor(group, partition).await?;
        self.kept.lock().insert((group.to_owned(), partition), kept);
        let (_, written) = kept;
        if written.offset > 0 {
            self.stream.check(Seen { offset: written.offset.into(), mark: written.mark }).await?;
        }
        Ok(written.offset)
    }

    pub async fn commit(&self, group: &str, partition: u16, offset: u64) -> Result<()> {
        let at = (group.to_owned(), partition);
        for _ in 0..MOVE_TRIES {
            let kept = self.kept.lock().get(&at).copied();
            let (revision, written) = match kept {
                Some(kept) => kept,
                None => self.stream.records.cursor(group, partition).await?,
            };
            if offset <= written.offset {
                self.kept.lock().insert(at, (revision, written));
                return Ok(());
            }
            let to = Written { offset, mark: self.mark(partition, offset.into()) };
            // Whatever comes of it, what was known is old.
            self.kept.lock().remove(&at);
            if let Some(revision) = self.stream.records.move_cursor(group, partition, revision, to).await? {
                self.kept.lock().insert(at, (revision, to));
                return Ok(());
            }
        }
        Err(FeedError::Unavailable(format!("somebody else moves the cursor of {group:?}")))
    }

    fn mark(&self, partition: u16, offset: Offset) -> u64 {
        self.passed.lock().get(&partition).and_then(|entries| entries.get(&offset)).copied().unwrap_or(0)
    }
}
