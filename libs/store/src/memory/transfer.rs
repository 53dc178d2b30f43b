//! The model as either end of a move.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;
use posthorn_clock::Clock;
use posthorn_core::ConversationKey;
use tokio::sync::mpsc;

use super::{MemoryOptions, MemoryStore, State};
use crate::{
    FEED_PARTITIONS, Result, StoreError,
    transfer::{Found, Piece, Source, Target},
};

#[async_trait]
impl Source for MemoryStore {
    async fn scan(&self, found: mpsc::Sender<Found>) -> Result<()> {
        for one in self.read(everything)? {
            let closed = |_| StoreError::Unavailable("nobody reads on".to_owned());
            found.send(one).await.map_err(closed)?;
        }
        Ok(())
    }
}

fn everything(state: &State) -> Vec<Found> {
    let unhandled = unhandled(state);
    let records = state.records.iter().map(|(key, value)| Found::Record(key.clone(), value.clone()));
    let users = state.registers.keys().cloned().map(Found::User);
    let conversation =
        |key: &ConversationKey| Found::Conversation { key: key.clone(), unhandled: unhandled.get(key).copied() };
    records.chain(users).chain(state.heads.keys().map(conversation)).collect()
}

fn unhandled(state: &State) -> BTreeMap<ConversationKey, u64> {
    let mut first: BTreeMap<ConversationKey, u64> = BTreeMap::new();
    let groups: Vec<&String> = state.cursors.keys().map(|(group, _)| group).collect();
    for partition in 0..FEED_PARTITIONS {
        let cursor = |group: &&String| state.cursors.get(&((*group).clone(), partition)).copied().unwrap_or(0);
        let Some(lowest) = groups.iter().map(cursor).min() else { break };
        let beyond = state.feed.range((partition, lowest.saturating_add(1))..=(partition, u64::MAX));
        for (key, (seq, ..)) in beyond.map(|(_, entry)| entry) {
            let entry = first.entry(key.clone()).or_insert(*seq);
            *entry = (*seq).min(*entry);
        }
    }
    first
}

/// A model in the making.
pub struct MemoryImport {
    state: Mutex<State>,
    options: MemoryOptions,
}

impl MemoryImport {
    #[must_use]
    pub fn new(options: MemoryOptions, generation: u64) -> Self {
        Self { state: Mutex::new(State { generation, ..State::default() }), options }
    }

    /// What was made.
    #[must_use]
    pub fn store(self, clock: Clock) -> Arc<MemoryStore> {
        MemoryStore::from_state(clock, self.options, self.state.into_inner())
    }
}

#[async_trait]
impl Target for MemoryImport {
    async fn take(&self, piece: Piece) -> Result<()> {
        let state = &mut *self.state.lock();
        match piece {
            Piece::Record { key, value } => drop(state.records.insert(key, value)),
            Piece::Rows { key, rows } => rows.iter().for_each(|row| state.put_row(&key, row)),
            Piece::Members { key, members } => state.project(&key, None, &members),
            Piece::Head { key, head } => {
                state.project(&key, Some(&head), &[]);
                state.fed(&key, head.fed_seq);
            }
            Piece::Registers { user, registers } => state.write_registers(&user, &registers),
            Piece::Journal { instance, names } => names.iter().for_each(|name| state.note(&instance, name, 1)),
            Piece::Shards(rows) => state.shards.extend(rows.into_iter().map(|row| (row.shard.0, row))),
        }
        Ok(())
    }

    /// A model that settles apart leaves it to the owners to give the feed the rest.
    async fn finish(&self) -> Result<()> {
        let state = &mut *self.state.lock();
        if self.options.settle_apart {
            return Ok(());
        }
        for (key, head) in state.heads.clone() {
            let fed = state.fed.get(&key).copied().unwrap_or(0);
            let rows = state.rows.get(&key).map(|rows| rows.range((fed + 1, 0, 0)..).map(|(_, row)| row.clone()));
            for row in rows.map_or_else(Vec::new, Iterator::collect) {
                state.feed(&key, &row);
            }
            state.fed(&key, head.seq);
        }
        Ok(())
    }
}
