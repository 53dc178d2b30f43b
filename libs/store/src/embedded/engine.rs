//! fjall: the one place that knows the library.

use std::{
    fs,
    io::ErrorKind,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable, Snapshot};
use parking_lot::{Mutex, RwLock};

use super::{
    StoreConfig, heads, journal,
    keys::{self, Key, Space},
    layout,
    values::{decode_u64, encode_u64},
};
use crate::{Result, StoreError};

/// At most this many written memtables of one table may wait for the disk before commits wait too.
/// The library waits at 4, without noticing that its workers died.
const MAX_SEALED_MEMTABLES: usize = 2;

/// Of the library: the file that makes a directory a database, and where its tables lie.
const VERSION: &str = "version";
const VERSION_BYTES: u64 = 4;
const TABLES: &str = "keyspaces";

/// One open database.
pub(crate) struct Engine {
    db: Database,
    log: Keyspace,
    cells: Keyspace,
    feed: Keyspace,
    system: Keyspace,
    /// The number of the last commit. Held during one: they lie in the journal in the order of their numbers.
    commits: Mutex<u64>,
    published: RwLock<Published>,
}

/// What readers see: changes as a whole, after each commit.
struct Published {
    snapshot: Snapshot,
    heads: heads::Cache,
}

/// One change of a commit; without a value the key is removed.
pub(crate) struct Put {
    pub space: Space,
    pub key: Bytes,
    pub value: Option<Bytes>,
}

/// Why a commit failed.
#[derive(Debug)]
pub(crate) enum CommitError {
    /// The disk had no room: opening again, once there is some, is safe.
    NoSpace(String),
    /// The library gave up earlier, in one of its own threads.
    GaveUp(String),
    /// The disk failed: what the page cache now shows may not be on it.
    Disk(String),
}

pub(crate) fn unavailable(error: &fjall::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

fn damaged(path: &Path, why: &str) -> StoreError {
    journal::damaged(path, why)
}

impl Engine {
    /// `synced`: the number of the last commit that has to be there; 0 where that is not known.
    pub(crate) fn open(path: &Path, config: &StoreConfig, synced: u64) -> Result<Self> {
        remove_unfinished(path)?;
        journal::check(path, synced)?;
        let engine = Self::open_database(path, config)?;
        if let Some(number) = engine.latest(Space::System, &keys::commits())? {
            *engine.commits.lock() = decode_u64(&number)?;
        }
        let commits = engine.commits();
        if commits < synced {
            return Err(damaged(path, &format!("it ends with commit {commits}, {synced} was synced")));
        }
        journal::forget_torn(path)?;
        Ok(engine)
    }

    fn open_database(path: &Path, config: &StoreConfig) -> Result<Self> {
        let open = || {
            let db = Database::builder(path)
                .cache_size(config.cache_bytes)
                .max_journaling_size(config.max_journal_bytes.max(64 * 1024 * 1024))
                .worker_threads(config.worker_threads.max(1))
                .manual_journal_persist(true)
                .open()?;
            let table = |space: Space| {
                let options = || KeyspaceCreateOptions::default().max_memtable_size(config.memtable_bytes);
                db.keyspace(space.name(), options)
            };
            let (log, cells) = (table(Space::Log)?, table(Space::Cells)?);
            let (feed, system) = (table(Space::Feed)?, table(Space::System)?);
            let published = RwLock::new(Published { snapshot: db.snapshot(), heads: heads::Cache::default() });
            Ok(Self { db, log, cells, feed, system, commits: Mutex::default(), published })
        };
        // Some bent journals trip an assertion of the library instead of an error.
        let opened: fjall::Result<Self> = match catch_unwind(AssertUnwindSafe(open)) {
            Ok(opened) => opened,
            Err(_) => return Err(damaged(path, "it cannot be read")),
        };
        opened.map_err(|error| match error {
            fjall::Error::JournalRecovery(_) | fjall::Error::Unrecoverable | fjall::Error::InvalidTag(_) => {
                damaged(path, &error.to_string())
            }
            fjall::Error::Locked => StoreError::Unavailable(format!("{} is in use", path.display())),
            error => StoreError::Unavailable(format!("{} does not open: {error}", path.display())),
        })
    }

    fn table(&self, space: Space) -> &Keyspace {
        match space {
            Space::Log => &self.log,
            Space::Cells => &self.cells,
            Space::Feed => &self.feed,
            Space::System => &self.system,
        }
    }

    /// The latest value: for the writer, which is the only one to change it.
    pub(crate) fn latest(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>> {
        let value = self.table(space).get(key).map_err(|error| unavailable(&error))?;
        Ok(value.map(Bytes::from))
    }

    /// The latest head in `cells`, or on its way there: for the writer.
    pub(crate) fn latest_head(&self, key: &[u8]) -> Result<Option<Bytes>> {
        let cached = self.published.read().heads.get(key).cloned();
        if cached.is_some() { Ok(cached) } else { self.latest(Space::Cells, key) }
    }

    /// Heads found in slots when the store is opened.
    pub(crate) fn load_heads(&self, pack: heads::Pack) {
        self.published.write().heads.take(pack);
    }

    pub(crate) fn with_heads<T>(&self, f: impl FnOnce(&heads::Cache) -> T) -> T {
        f(&self.published.read().heads)
    }

    /// A view in which each commit is whole or absent.
    pub(crate) fn view(&self) -> View<'_> {
        View { engine: self, snapshot: self.published.read().snapshot.clone() }
    }

    /// Writes all or nothing. With `sync` it is on disk, and only then visible, when this returns.
    pub(crate) fn commit(&self, mut puts: Vec<Put>, heads: Option<heads::Pack>, sync: bool) -> Result<(), CommitError> {
        let mut commits = self.commits.lock();
        let number = *commits + 1;
        puts.push(Put { space: Space::System, key: keys::commits().into(), value: Some(encode_u64(number)) });
        let mode = if sync { PersistMode::SyncData } else { PersistMode::Buffer };
        let mut batch = OwnedWriteBatch::with_capacity(self.db.clone(), puts.len()).durability(Some(mode));
        for Put { space, key, value } in puts {
            match value {
                Some(value) => batch.insert(self.table(space), key, value),
                None => batch.remove(self.table(space), key),
            }
        }
        batch.commit().map_err(|error| sort_error(&error))?;
        *commits = number;
        let mut snapshot = self.db.snapshot();
        let mut published = self.published.write();
        // The old one is closed after the lock is given back.
        std::mem::swap(&mut published.snapshot, &mut snapshot);
        if let Some(heads) = heads {
            published.heads.take(heads);
        }
        Ok(())
    }

    pub(crate) fn commits(&self) -> u64 {
        *self.commits.lock()
    }

    /// Puts everything on disk that was written.
    pub(crate) fn sync(&self) -> Result<(), CommitError> {
        self.db.persist(PersistMode::SyncData).map_err(|error| sort_error(&error))
    }

    /// False while tables wait to be written and commits should, too.
    pub(crate) fn has_room(&self) -> bool {
        Space::ALL.iter().all(|space| self.table(*space).sealed_memtable_count() <= MAX_SEALED_MEMTABLES)
    }

    /// Whether the library still takes writes.
    pub(crate) fn alive(&self) -> Result<(), CommitError> {
        self.db.persist(PersistMode::Buffer).map_err(|error| sort_error(&error))
    }
}

/// What is left where a process died, or power was cut, while the database was made. The library writes its version
/// first, before the first table: without it nothing was ever in there, and it would not go on from what it finds.
fn remove_unfinished(path: &Path) -> Result<()> {
    let fail = |error: std::io::Error| layout::io(path, "looking into", &error);
    let there = |error: std::io::Error| if error.kind() == ErrorKind::NotFound { Ok(0) } else { Err(fail(error)) };
    let version = fs::metadata(path.join(VERSION)).map(|file| file.len()).or_else(there)?;
    let tables = fs::read_dir(path.join(TABLES)).map(Iterator::count).or_else(|error| there(error).map(|_| 0))?;
    if version >= VERSION_BYTES || !path.exists() {
        return Ok(());
    }
    if tables > 0 {
        return Err(StoreError::Damaged(format!("{} has tables and no version: restore a backup", path.display())));
    }
    tracing::warn!(path = %path.display(), "the database was not made to its end: it is made again");
    fs::remove_dir_all(path).map_err(fail)
}

fn sort_error(error: &fjall::Error) -> CommitError {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    let text = error.to_string();
    match error {
        fjall::Error::Io(io) if matches!(io.kind(), StorageFull | QuotaExceeded) => CommitError::NoSpace(text),
        fjall::Error::Io(_) => CommitError::Disk(text),
        _ => CommitError::GaveUp(text),
    }
}

/// A consistent view of all tables.
pub(crate) struct View<'a> {
    engine: &'a Engine,
    snapshot: Snapshot,
}

impl View<'_> {
    /// The latest head there is: of this view, or of a later one.
    pub(crate) fn head(&self, key: &[u8]) -> Result<Option<Bytes>> {
        let published = self.engine.published.read();
        if let Some(cell) = published.heads.get(key) {
            return Ok(Some(cell.clone()));
        }
        // What is not in memory now may have got into its cell after this view was taken.
        let snapshot = published.snapshot.clone();
        drop(published);
        View { engine: self.engine, snapshot }.get(Space::Cells, key)
    }

    pub(crate) fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>> {
        let value = self.snapshot.get(self.engine.table(space), key).map_err(|error| unavailable(&error))?;
        Ok(value.map(Bytes::from))
    }

    /// Keys from `from` to `to`, both included, ascending; from the other end with `next_back`.
    pub(crate) fn range(
        &self,
        space: Space,
        from: Key,
        to: Key,
    ) -> impl DoubleEndedIterator<Item = Result<(Bytes, Bytes)>> + use<> {
        let empty = from > to;
        // A range that ends before it begins is a panic in the library's maps.
        let (from, to) = if empty { (Key::new(), Key::new()) } else { (from, to) };
        let span = self.snapshot.range(self.engine.table(space), from..=to);
        span.filter(move |_| !empty).map(|guard| {
            let (key, value) = guard.into_inner().map_err(|error| unavailable(&error))?;
            Ok((Bytes::from(key), Bytes::from(value)))
        })
    }

    /// Everything with this prefix, ascending.
    pub(crate) fn prefix(
        &self,
        space: Space,
        prefix: &[u8],
    ) -> impl DoubleEndedIterator<Item = Result<(Bytes, Bytes)>> + use<> {
        self.range(space, prefix.to_vec(), super::keys::after_prefix(prefix))
    }
}
