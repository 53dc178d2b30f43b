//! A backup becomes a store, in a directory that holds none.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read},
    path::Path,
};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{
    StoreConfig,
    backup::{BACKUP_FORMAT, END, MAGIC, RECORD},
    engine::{CommitError, Engine, Put},
    keys::{self, Space},
    layout::{self, DATABASE, GENERATION_FILE, LOCK_FILE, RESTORING_FILE},
    values::encode_u64,
};
use crate::{Result, StoreError};

/// Bytes of one commit while restoring.
const COMMIT_BYTES: usize = 4 * 1024 * 1024;
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

/// Reads a backup into `data_dir`, which may hold nothing but `GENERATION`. On disk when this returns;
/// an error leaves the directory as it was. Blocks: call it on a thread of its own.
pub fn restore(reader: impl Read, data_dir: &Path) -> Result<Restored> {
    let lock = layout::lock(data_dir)?;
    check_empty(data_dir)?;
    let mut source = Source { reader, hash: Sha256::new(), records: 0 };
    let (generation, taken_ms) = source.header()?;
    let generation = generation.max(layout::generation(data_dir)?.unwrap_or(0)) + 1;
    let marker = data_dir.join(RESTORING_FILE);
    File::create(&marker).and_then(|file| file.sync_all()).map_err(|error| layout::io(&marker, "writing", &error))?;
    let filled = fill(&mut source, data_dir, generation);
    if let Err(error) = filled {
        // What stays of a failed clean-up keeps the marker, and is refused by it.
        let cleaned = fs::remove_dir_all(data_dir.join(DATABASE)).and_then(|()| fs::remove_file(&marker));
        if let Err(why) = cleaned {
            tracing::warn!(%why, "a failed restore was not cleaned up");
        }
        return Err(error);
    }
    layout::write_generation(data_dir, generation)?;
    layout::write_format(data_dir)?;
    let done = fs::remove_file(&marker).and_then(|()| File::open(data_dir)?.sync_all());
    done.map_err(|error| layout::io(&marker, "removing", &error))?;
    drop(lock);
    Ok(Restored { generation, records: source.records, taken_ms })
}

fn check_empty(dir: &Path) -> Result<()> {
    let listed = fs::read_dir(dir).map_err(|error| layout::io(dir, "listing", &error))?;
    for entry in listed {
        let name = entry.map_err(|error| layout::io(dir, "listing", &error))?.file_name();
        let expected = [GENERATION_FILE, LOCK_FILE, "lost+found"].iter().any(|file| name == *file);
        if !expected {
            let (dir, name) = (dir.display(), name.to_string_lossy().into_owned());
            return Err(StoreError::Exists(format!("{dir} is not empty, {name} in it")));
        }
    }
    Ok(())
}

fn fill(source: &mut Source<impl Read>, dir: &Path, generation: u64) -> Result<()> {
    let engine = Engine::open(&dir.join(DATABASE), &StoreConfig::default())?;
    let failed = |error: CommitError| StoreError::Unavailable(format!("the restore was not written: {error:?}"));
    let (mut puts, mut bytes) = (Vec::new(), 0);
    while let Some(put) = source.record()? {
        bytes += put.key.len() + put.value.as_ref().map_or(0, Bytes::len);
        puts.push(put);
        if bytes >= COMMIT_BYTES {
            bytes = 0;
            engine.commit(std::mem::take(&mut puts), false).map_err(failed)?;
        }
    }
    let (space, key, value) = (Space::System, keys::about("generation"), Some(encode_u64(generation)));
    puts.push(Put { space, key, value });
    engine.commit(puts, true).map_err(failed)
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
        if format != BACKUP_FORMAT {
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
                Ok(Some(Put { space, key, value: Some(value.into()) }))
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
