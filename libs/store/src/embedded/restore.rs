//! A backup becomes a store, in a directory that holds none.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read},
    path::Path,
    time::Duration,
};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{
    StoreConfig,
    backup::{BACKUP_FORMAT, END, MAGIC, RECORD},
    engine::{CommitError, Engine, Put},
    keys::{self, Space},
    layout::{self, DATABASE, FORMAT_FILE, GENERATION_FILE, LOCK_FILE, RESTORING_FILE},
    values::encode_u64,
};
use crate::{Result, StoreError};

/// Bytes of one commit while restoring.
const COMMIT_BYTES: usize = 4 * 1024 * 1024;
/// Tries to remove the database of a restore that failed, and the pause between them.
/// Looks that find nothing, before it is taken for gone.
const REMOVE_LOOKS: u32 = 10;
const REMOVE_TRIES: u32 = 200;
const REMOVE_PAUSE: Duration = Duration::from_millis(10);
/// Where a store that was replaced is put, beneath the data directory.
const ASIDE: &str = "before-restore-";
/// Keys of the binary's own, beside the store: a restored store has other ones, or the same.
const KEYS_DIR: &str = "keys";
const MAX_KEY_BYTES: usize = 64 * 1024 - 1;
const MAX_VALUE_BYTES: usize = 64 * 1024 * 1024;

/// What a restore made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Greater than the backup's, and than any that the directory has seen: cursors of before are
    /// answered by a reset.
    pub generation: u64,
    pub records: u64,
    /// When the backup was taken, in milliseconds since 1970.
    pub taken_ms: u64,
}

/// Reads a backup into `data_dir`, which may hold no store (`GENERATION`, keys and stores that were put
/// aside stay). On disk when this returns; an error leaves the directory as it was. Blocks: call it on
/// a thread of its own.
pub fn restore(reader: impl Read, data_dir: &Path) -> Result<Restored> {
    let lock = layout::lock(data_dir)?;
    check_empty(data_dir)?;
    let restored = read_into(reader, data_dir);
    drop(lock);
    restored
}

/// As [`restore`], into a directory whose server is stopped: what it holds is put aside, beneath it, as
/// `before-restore-{suffix}`, and is put back on an error.
pub fn restore_replacing(reader: impl Read, data_dir: &Path, suffix: &str) -> Result<Restored> {
    let lock = layout::lock(data_dir)?;
    let aside = data_dir.join(format!("{ASIDE}{suffix}"));
    let store = [DATABASE, FORMAT_FILE, RESTORING_FILE];
    let there = store.into_iter().filter(|name| data_dir.join(name).exists()).collect::<Vec<_>>();
    move_all(&there, data_dir, &aside)?;
    let restored = check_empty(data_dir).and_then(|()| read_into(reader, data_dir));
    if restored.is_err() {
        move_all(&there, &aside, data_dir)?;
    }
    drop(lock);
    restored
}

fn move_all(names: &[&str], from: &Path, to: &Path) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(to).map_err(|error| layout::io(to, "making", &error))?;
    for name in names {
        let target = to.join(name);
        fs::rename(from.join(name), &target).map_err(|error| layout::io(&target, "moving to", &error))?;
    }
    File::open(to).and_then(|dir| dir.sync_all()).map_err(|error| layout::io(to, "syncing", &error))
}

fn read_into(reader: impl Read, data_dir: &Path) -> Result<Restored> {
    let mut source = Source { reader, hash: Sha256::new(), records: 0 };
    let (generation, taken_ms) = source.header()?;
    let generation = generation.max(layout::generation(data_dir)?.unwrap_or(0)) + 1;
    let marker = data_dir.join(RESTORING_FILE);
    File::create(&marker).and_then(|file| file.sync_all()).map_err(|error| layout::io(&marker, "writing", &error))?;
    let filled = fill(&mut source, data_dir, generation);
    if let Err(error) = filled {
        // What stays of a failed clean-up keeps the marker, and is refused by it.
        let cleaned = remove_database(&data_dir.join(DATABASE)).and_then(|()| fs::remove_file(&marker));
        if let Err(why) = cleaned {
            tracing::warn!(%why, "a failed restore was not cleaned up");
        }
        return Err(error);
    }
    layout::write_generation(data_dir, generation)?;
    layout::write_format(data_dir)?;
    let done = fs::remove_file(&marker).and_then(|()| File::open(data_dir)?.sync_all());
    done.map_err(|error| layout::io(&marker, "removing", &error))?;
    Ok(Restored { generation, records: source.records, taken_ms })
}

pub(super) fn check_empty(dir: &Path) -> Result<()> {
    let listed = fs::read_dir(dir).map_err(|error| layout::io(dir, "listing", &error))?;
    for entry in listed {
        let name = entry.map_err(|error| layout::io(dir, "listing", &error))?.file_name();
        let known = [GENERATION_FILE, LOCK_FILE, KEYS_DIR, "lost+found"].iter().any(|file| name == *file);
        let expected = known || name.to_string_lossy().starts_with(ASIDE);
        if !expected {
            let (dir, name) = (dir.display(), name.to_string_lossy().into_owned());
            return Err(StoreError::Exists(format!("{dir} is not empty, {name} in it")));
        }
    }
    Ok(())
}

/// The engine's own threads may still be writing when its handle is dropped, and make files anew, on a busy
/// machine also a while later: gone means gone [`REMOVE_LOOKS`] times in a row.
#[allow(clippy::disallowed_methods, reason = "a thread of its own, waiting for real threads")]
pub(super) fn remove_database(database: &Path) -> std::io::Result<()> {
    let mut gone = 0;
    for _ in 0..REMOVE_TRIES {
        match fs::remove_dir_all(database) {
            Err(error) if error.kind() == ErrorKind::NotFound => gone += 1,
            Err(error) if error.kind() != ErrorKind::DirectoryNotEmpty => return Err(error),
            _ => gone = 0,
        }
        if gone == REMOVE_LOOKS {
            return Ok(());
        }
        std::thread::sleep(REMOVE_PAUSE);
    }
    Err(std::io::Error::new(ErrorKind::DirectoryNotEmpty, "the engine goes on writing"))
}

fn fill(source: &mut Source<impl Read>, dir: &Path, generation: u64) -> Result<()> {
    let engine = Engine::open(&dir.join(DATABASE), &StoreConfig::default(), 0)?;
    let failed = |error: CommitError| StoreError::Unavailable(format!("the restore was not written: {error:?}"));
    let (mut puts, mut bytes) = (Vec::new(), 0);
    while let Some(put) = source.record()? {
        // Its commits are not those of the store that it was.
        if put.space == Space::System && put.key == keys::commits() {
            continue;
        }
        bytes += put.key.len() + put.value.as_ref().map_or(0, Bytes::len);
        puts.push(put);
        if bytes >= COMMIT_BYTES {
            bytes = 0;
            engine.commit(std::mem::take(&mut puts), None, false).map_err(failed)?;
        }
    }
    let (space, key, value) = (Space::System, keys::about("generation").into(), Some(encode_u64(generation)));
    puts.push(Put { space, key, value });
    engine.commit(puts, None, true).map_err(failed)
}

struct Source<R> {
    reader: R,
    hash: Sha256,
    records: u64,
}

impl<R: Read> Source<R> {
    fn exact(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.reader.read_exact(bytes).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => {
                StoreError::Damaged(format!("the backup is cut off after {} records", self.records))
            }
            _ => StoreError::Unavailable(format!("reading the backup: {error}")),
        })?;
        self.hash.update(&*bytes);
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.exact(&mut bytes)?;
        Ok(bytes)
    }

    /// The generation and the time of the backup.
    fn header(&mut self) -> Result<(u64, u64)> {
        if self.array()? != *MAGIC {
            return Err(StoreError::Damaged("this is no backup of a posthorn store".to_owned()));
        }
        let format = u32::from_be_bytes(self.array()?);
        if format == 0 || format > BACKUP_FORMAT {
            return Err(StoreError::Unavailable(format!(
                "the backup is of format {format}, this build understands {BACKUP_FORMAT}"
            )));
        }
        Ok((u64::from_be_bytes(self.array()?), u64::from_be_bytes(self.array()?)))
    }

    /// The next record; none at the end, once that was found to be whole.
    fn record(&mut self) -> Result<Option<Put>> {
        let damaged = |records: u64| StoreError::Damaged(format!("the backup is damaged after {records} records"));
        match self.array()? {
            [RECORD] => {
                let [space] = self.array()?;
                let space = Space::from_number(space).ok_or_else(|| damaged(self.records))?;
                let key_bytes = u32::from_be_bytes(self.array()?) as usize;
                let value_bytes = u32::from_be_bytes(self.array()?) as usize;
                if key_bytes > MAX_KEY_BYTES || value_bytes > MAX_VALUE_BYTES {
                    return Err(damaged(self.records));
                }
                let (mut key, mut value) = (vec![0; key_bytes], vec![0; value_bytes]);
                self.exact(&mut key)?;
                self.exact(&mut value)?;
                self.records += 1;
                Ok(Some(Put { space, key: key.into(), value: Some(value.into()) }))
            }
            [END] => {
                let counted = u64::from_be_bytes(self.array()?);
                let hash = self.hash.clone().finalize();
                if counted != self.records || self.array::<32>()? != hash.as_slice() {
                    return Err(damaged(self.records));
                }
                match self.reader.read(&mut [0]) {
                    Ok(0) => Ok(None),
                    _ => Err(StoreError::Damaged("the backup goes on after its end".to_owned())),
                }
            }
            _ => Err(damaged(self.records)),
        }
    }
}
