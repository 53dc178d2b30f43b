//! Trimming the feed: what all groups have handled goes, and what is too old or too much goes as well.

use super::{
    StoreConfig,
    engine::{Engine, Put},
    keys::{self, Space},
    reads::feed_trimmed,
    values::{decode_feed, decode_u64, encode_u64},
};
use crate::{FEED_PARTITIONS, Result};

/// Packs of entries removed from one partition at a time: keeps commits small.
const MAX_TRIMMED: usize = 4_000;

#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// Entries written before this go.
    not_before_ms: u64,
    max_entries: u64,
}

impl Bounds {
    pub(crate) fn of(config: &StoreConfig, now_ms: u64) -> Self {
        let not_before_ms = now_ms.saturating_sub(config.feed_max_age_ms);
        Self { not_before_ms, max_entries: config.feed_max_entries }
    }
}

/// The removals that are due now.
pub(crate) fn plan(engine: &Engine, bounds: Bounds) -> Result<Vec<Put>> {
    let view = engine.view();
    // The lowest cursor of each partition, over the groups that have one there.
    let mut handled = vec![u64::MAX; usize::from(FEED_PARTITIONS)];
    for entry in view.prefix(Space::System, &keys::feed_cursors()) {
        let (key, value) = entry?;
        let mut parts = keys::Parts::new(&key);
        parts.tag()?;
        parts.text()?;
        let partition = u16::from_be_bytes(parts.bytes()?);
        if let Some(lowest) = handled.get_mut(usize::from(partition)) {
            *lowest = decode_u64(&value)?.min(*lowest);
        }
    }
    let mut puts = Vec::new();
    for (partition, lowest) in (0..FEED_PARTITIONS).zip(handled) {
        // Without any group nothing was handled.
        let lowest = if lowest == u64::MAX { 0 } else { lowest };
        let trimmed = feed_trimmed(&view, partition)?;
        let (from, to) = (keys::feed(partition, trimmed + 1), keys::feed(partition, u64::MAX));
        let last = view.range(Space::Feed, from.clone(), to.clone()).next_back().transpose()?;
        let Some((last, _)) = last else { continue };
        let last = keys::feed_offset(&last)?;
        let due = lowest.min(last).max(last.saturating_sub(bounds.max_entries));
        let mut highest = trimmed;
        for pack in view.range(Space::Feed, from, to).take(MAX_TRIMMED) {
            let (key, value) = pack?;
            let offset = keys::feed_offset(&key)?;
            let (written_ms, _) = decode_feed(&value)?;
            if offset > due && written_ms >= bounds.not_before_ms {
                // The beginning of a pack is hidden until all of it may go.
                highest = highest.max(due);
                break;
            }
            highest = offset;
            puts.push(Put { space: Space::Feed, key, value: None });
        }
        if highest > trimmed {
            let key = keys::feed_trimmed(partition).into();
            puts.push(Put { space: Space::System, key, value: Some(encode_u64(highest)) });
        }
    }
    Ok(puts)
}
