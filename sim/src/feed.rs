//! What a consumer of the feed gets that begins at the beginning.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use posthorn_history::{Event, Item, Op, Scope};
use posthorn_proto::convert::entry_of;
use posthorn_store::{FEED_PARTITIONS, FeedTable, memory::MemoryStore};

use crate::heard::item_of;

/// In its order, by runs of one conversation.
pub type Fed = Vec<(String, Vec<Item>)>;

/// All of it: the model forgets nothing.
pub fn whole(table: &MemoryStore) -> Fed {
    let mut fed: Fed = Vec::new();
    for partition in 0..FEED_PARTITIONS {
        // The model answers at once.
        let read = table.feed_read(partition, 0, usize::MAX).now_or_never();
        for (_, entry) in read.and_then(Result::ok).unwrap_or_default() {
            let Some(item) = entry.row.as_ref().and_then(|row| entry_of(row).ok()).map(|entry| item_of(&entry)) else {
                continue;
            };
            match fed.last_mut() {
                Some((conversation, items)) if *conversation == entry.conversation => items.push(item),
                _ => fed.push((entry.conversation, vec![item])),
            }
        }
    }
    fed
}

/// The last entry of each conversation that somebody read to its end.
pub fn ends(history: &[Event]) -> BTreeMap<String, u64> {
    let mut ends = BTreeMap::new();
    for event in history {
        if let Op::Read { conversation, scope: Scope::Whole, entries } = &event.op
            && let Some(last) = entries.last()
        {
            let end = ends.entry(conversation.clone()).or_insert(0);
            *end = last.seq.max(*end);
        }
    }
    ends
}

/// Every conversation's last entry is there.
pub fn complete(fed: &Fed, ends: &BTreeMap<String, u64>) -> bool {
    let there = |(conversation, end): (&String, &u64)| {
        let of_it = fed.iter().filter(|(name, _)| name == conversation);
        of_it.flat_map(|(_, items)| items).any(|item| item.seq == *end)
    };
    ends.iter().all(there)
}
