//! Reading a store to its end, through the trait that every driver has.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::future::{try_join, try_join_all};
use parking_lot::Mutex;
use posthorn_clock::sleep;
use posthorn_core::{Chain, ConversationKey, Shard};
use posthorn_proto::internal::{Head, Row};
use tokio::sync::mpsc;

use super::{Found, Piece, Source};
use crate::{InstanceId, ReadRange, Result, ShardRow, StoreError};

/// What is read at once.
const READS_AT_ONCE: usize = 16;
/// What was found and is not read yet.
const FOUND_WAITING: usize = 256;
/// Rows in one piece, and their bytes.
const PIECE_ROWS: usize = 256;
const PIECE_BYTES: usize = 512 * 1024;
/// Members, or names of a journal, in one piece.
const PIECE_NAMES: usize = 500;
/// How long signs of life are waited for: many times the interval of beats.
const QUIET: Duration = Duration::from_secs(3);

/// Sends everything that `source` holds. `gone` is the name of an instance that never was: its journal is
/// what the new feed is owed.
///
/// # Errors
/// Somebody is at work on the store; conversations are not settled, and the driver keeps rows of theirs apart;
/// or what is read contradicts itself.
pub async fn export<S: Source + ?Sized>(source: &S, gone: InstanceId, out: mpsc::Sender<Piece>) -> Result<()> {
    stand_still(source).await?;
    let shards = source.shards().await?;
    let journals = journals(source, &shards).await?;
    if source.settles_apart() && !journals.is_empty() {
        let names: usize = journals.values().map(Vec::len).sum();
        return Err(StoreError::Unavailable(format!(
            "{names} conversations are not settled: start the services once more, and stop them in order"
        )));
    }
    let (found, waiting) = mpsc::channel(FOUND_WAITING);
    let export =
        Export { source, gone, out, waiting: tokio::sync::Mutex::new(waiting), owed: Mutex::new(BTreeSet::new()) };
    let readers = (0..READS_AT_ONCE).map(|_| export.read_what_is_found());
    try_join(source.scan(found), try_join_all(readers)).await?;
    export.owners(shards, journals).await
}

/// Beats that go on are those of somebody who writes.
async fn stand_still<S: Source + ?Sized>(source: &S) -> Result<()> {
    let before: BTreeMap<InstanceId, u64> =
        source.beats().await?.into_iter().map(|beat| (beat.instance, beat.count)).collect();
    if before.is_empty() {
        return Ok(());
    }
    sleep(QUIET).await;
    let alive = source.beats().await?.into_iter().find(|beat| before.get(&beat.instance) != Some(&beat.count));
    alive.map_or(Ok(()), |beat| {
        let (instance, address) = (beat.instance, beat.address);
        Err(StoreError::Unavailable(format!("instance {instance} at {address} is at work: stop the services first")))
    })
}

/// What each instance has not settled that some shard depends on.
async fn journals<S: Source + ?Sized>(
    source: &S,
    shards: &[ShardRow],
) -> Result<BTreeMap<InstanceId, Vec<ConversationKey>>> {
    let instances: BTreeSet<&InstanceId> = shards.iter().flat_map(depends_on).collect();
    let mut journals = BTreeMap::new();
    for instance in instances {
        let names = source.journal(instance).await?;
        if !names.is_empty() {
            journals.insert(instance.clone(), names);
        }
    }
    Ok(journals)
}

fn depends_on(row: &ShardRow) -> impl Iterator<Item = &InstanceId> {
    row.inherits.iter().chain(row.owner.iter().map(|(owner, _)| owner))
}

struct Export<'a, S: ?Sized> {
    source: &'a S,
    gone: InstanceId,
    out: mpsc::Sender<Piece>,
    waiting: tokio::sync::Mutex<mpsc::Receiver<Found>>,
    /// Shards with conversations that the new feed is owed something of.
    owed: Mutex<BTreeSet<Shard>>,
}

impl<S: Source + ?Sized> Export<'_, S> {
    async fn send(&self, piece: Piece) -> Result<()> {
        let closed = |_| StoreError::Unavailable("nobody takes what is read".to_owned());
        self.out.send(piece).await.map_err(closed)
    }

    async fn read_what_is_found(&self) -> Result<()> {
        loop {
            let found = self.waiting.lock().await.recv().await;
            match found {
                None => return Ok(()),
                Some(Found::Record(key, value)) => self.send(Piece::Record { key, value }).await?,
                Some(Found::User(user)) => {
                    let registers = self.source.registers(&user).await?;
                    if !registers.is_empty() {
                        self.send(Piece::Registers { user, registers }).await?;
                    }
                }
                Some(Found::Conversation { key, unhandled }) => self.conversation(key, unhandled).await?,
            }
        }
    }

    async fn conversation(&self, key: ConversationKey, unhandled: Option<u64>) -> Result<()> {
        let heads = self.source.heads(std::slice::from_ref(&key)).await?;
        // A mark of the feed alone is no conversation.
        let Some(mut head) = heads.into_iter().next().flatten() else { return Ok(()) };
        self.rows(&key, &head).await?;
        let members = self.source.members(&key).await?;
        for some in members.chunks(PIECE_NAMES) {
            self.send(Piece::Members { key: key.clone(), members: some.to_vec() }).await?;
        }
        if let Some(first) = unhandled.filter(|first| *first <= head.fed_seq) {
            head.fed_seq = first.saturating_sub(1);
            self.owed.lock().insert(key.shard());
            self.send(Piece::Journal { instance: self.gone.clone(), names: vec![key.clone()] }).await?;
        }
        self.send(Piece::Head { key, head }).await
    }

    async fn rows(&self, key: &ConversationKey, head: &Head) -> Result<()> {
        let mut log = Log { key, floor: head.floor_seq, last: None };
        let mut range = ReadRange { from: 1, to: head.seq, limit: PIECE_ROWS, max_bytes: PIECE_BYTES, reverse: false };
        loop {
            let page = self.source.read(key, range).await?;
            for row in &page.rows {
                log.check(row)?;
            }
            let end = page.rows.last().map_or(head.seq, |row| row.seq);
            if !page.rows.is_empty() {
                self.send(Piece::Rows { key: key.clone(), rows: page.rows }).await?;
            }
            if !page.more {
                return log.ends_at(head);
            }
            range.from = end + 1;
        }
    }

    /// Journals and shards: last, since only now it is known what the feed is owed.
    async fn owners(&self, shards: Vec<ShardRow>, journals: BTreeMap<InstanceId, Vec<ConversationKey>>) -> Result<()> {
        for (instance, names) in &journals {
            for some in names.chunks(PIECE_NAMES) {
                self.send(Piece::Journal { instance: instance.clone(), names: some.to_vec() }).await?;
            }
        }
        let mut rows = BTreeMap::new();
        for row in shards {
            let inherits: BTreeSet<_> = depends_on(&row).filter(|id| journals.contains_key(*id)).cloned().collect();
            let inherits = inherits.into_iter().collect();
            rows.insert(row.shard, ShardRow { shard: row.shard, epoch: row.epoch, owner: None, inherits });
        }
        let owed = std::mem::take(&mut *self.owed.lock());
        for shard in owed {
            let free = ShardRow { shard, epoch: 0, owner: None, inherits: Vec::new() };
            rows.entry(shard).or_insert(free).inherits.push(self.gone.clone());
        }
        self.send(Piece::Shards(rows.into_values().collect())).await
    }
}

/// A log, as far as it was read: what has a hole in it is not carried elsewhere.
struct Log<'a> {
    key: &'a ConversationKey,
    floor: u64,
    last: Option<(u64, Chain)>,
}

impl Log<'_> {
    fn damaged(&self, what: &str) -> StoreError {
        StoreError::Damaged(format!("{:?} {what}: restore a backup", self.key))
    }

    fn check(&mut self, row: &Row) -> Result<()> {
        let fail = || self.damaged(&format!("has no row that goes on with {}", row.seq));
        let chain = Chain::from_slice(&row.chain).ok_or_else(fail)?;
        let begins = self.last.is_none() && row.seq <= self.floor.max(1);
        let before = self.last.or((row.seq == 1).then_some((0, Chain::START)));
        let goes_on = before.is_none_or(|(seq, before)| seq + 1 == row.seq && before.link(&row.envelope) == chain);
        if !goes_on || (self.last.is_none() && !begins) {
            return Err(fail());
        }
        self.last = Some((row.seq, chain));
        Ok(())
    }

    fn ends_at(&self, head: &Head) -> Result<()> {
        let (seq, chain) = self.last.unwrap_or((head.floor_seq, Chain::START));
        if seq != head.seq || (self.last.is_some() && chain.0 != head.chain.as_ref()) {
            return Err(self.damaged(&format!("ends at {seq}, its head at {}", head.seq)));
        }
        Ok(())
    }
}
