//! The library's journals, read before the library reads them.
//!
//! It ends a journal at the first thing that it does not understand and goes on without a word, wherever that
//! is; what it does understand but finds wrong it refuses, also where nobody was ever told of it. Which of the
//! two is right depends on what was acknowledged, and that only the store knows: each commit carries its number,
//! and [`super::mark`] has the number of the last that was synced. So what is torn behind that one is cut off here,
//! and all else is damage, which leaves the files as they are.
//!
//! A journal (fjall 3) is a row of batches, then zeros. A batch is 1, number of items (u32), seqno (u64); items:
//! 2, type (u8), compression (u8), table (u64), lengths of key (u16), value and stored value (u32 each), key,
//! stored value; 3, XXH3 of the items (u64), `FJL\x03`. Numbers are little-endian.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufReader, ErrorKind, Read},
    path::{Path, PathBuf},
};

use xxhash_rust::xxh3::Xxh3;

use super::{keys, layout, values::decode_u64};
use crate::{Result, StoreError};

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const TRAILER: &[u8; 4] = b"FJL\x03";
/// With the tag before it.
const ITEM_HEAD_BYTES: usize = 21;
/// The library counts commits and little else: a larger step is no step.
const MAX_SEQNO_STEP: u64 = 1 << 32;
const BUFFER_BYTES: usize = 256 * 1024;

/// What the journals in `database` hold is whole up to commit `synced`; an end behind it that is not whole is cut
/// off. 0: nothing is known.
pub(crate) fn check(database: &Path, synced: u64) -> Result<()> {
    let mut before = Before::default();
    let paths = journals(database)?;
    for (at, path) in paths.iter().enumerate() {
        let fail = |error: std::io::Error| layout::io(path, "reading", &error);
        let mut reader = Batches::open(path).map_err(fail)?;
        let (end, torn, missing) = loop {
            let end = reader.read;
            match reader.batch(&before).map_err(fail)? {
                Found::Batch(batch) => before = batch,
                Found::Zeros => break (end, false, false),
                Found::Broken => break (end, true, false),
                Found::Gap => break (end, true, true),
            }
        };
        // A journal is synced as a whole before the next one is made; and no tear takes a commit out of the middle.
        let last = at + 1 == paths.len();
        if torn && !(last && !missing && before.commit.is_none_or(|commit| commit >= synced)) {
            return Err(damaged(database, &format!("{} at byte {end}", path.display())));
        }
        if torn {
            cut(path, end, before.commit.unwrap_or(0) < synced).map_err(|error| layout::io(path, "cutting", &error))?;
        }
    }
    Ok(())
}

pub(crate) fn damaged(database: &Path, what: &str) -> StoreError {
    let directory = database.parent().unwrap_or(database).display();
    StoreError::Damaged(format!(
        "the journal in {} has lost what was acknowledged ({what}): restore a backup with `posthorn restore --replace`, \
         or accept the loss by raising the number in {directory}/{} by one",
        database.display(),
        layout::GENERATION_FILE
    ))
}

/// Oldest first.
fn journals(database: &Path) -> Result<Vec<PathBuf>> {
    let fail = |error: std::io::Error| layout::io(database, "listing", &error);
    if !database.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(database).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
        if let Some(number) = number.filter(|_| path.extension().is_some_and(|extension| extension == "jnl")) {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Where the tables alone can tell what was lost, what is cut off is kept beside it.
fn cut(path: &Path, end: u64, keep: bool) -> std::io::Result<()> {
    tracing::warn!(path = %path.display(), end, "the end of a journal is torn: nobody was told of what it held");
    if keep {
        fs::copy(path, path.with_extension("torn"))?;
    }
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(end)?;
    file.sync_all()
}

/// Nothing that was promised was cut off.
pub(crate) fn forget_torn(database: &Path) -> Result<()> {
    for journal in journals(database)? {
        match fs::remove_file(journal.with_extension("torn")) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(layout::io(&journal, "cleaning up", &error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What the next batch has to continue.
#[derive(Clone, Copy, Default)]
struct Before {
    seqno: Option<u64>,
    /// Stores of before have batches without a number.
    commit: Option<u64>,
}

impl Before {
    fn continued_by(&self, seqno: u64, commit: Option<u64>) -> bool {
        let ascends = self.seqno.is_none_or(|last| seqno > last && seqno - last < MAX_SEQNO_STEP);
        let dense = self.commit.zip(commit).is_none_or(|(last, commit)| commit == last + 1);
        ascends && dense
    }
}

enum Found {
    Batch(Before),
    /// Nothing more.
    Zeros,
    Broken,
    /// A whole batch, and those between it and the one before are not there.
    Gap,
}

struct Batches {
    reader: BufReader<File>,
    read: u64,
    hash: Xxh3,
}

/// The file ended, or a byte is not what it has to be.
struct NoBatch;

impl Batches {
    fn open(path: &Path) -> std::io::Result<Self> {
        let reader = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
        Ok(Self { reader, read: 0, hash: Xxh3::new() })
    }

    fn batch(&mut self, before: &Before) -> std::io::Result<Found> {
        let Some(first) = self.byte()? else { return Ok(Found::Zeros) };
        if first == 0 {
            return Ok(if self.rest_is_zero()? { Found::Zeros } else { Found::Broken });
        }
        if first != START {
            return Ok(Found::Broken);
        }
        Ok(match self.content()? {
            Ok((_, Some(commit))) if before.commit.is_some_and(|last| commit > last + 1) => Found::Gap,
            Ok((seqno, commit)) if before.continued_by(seqno, commit) => {
                Found::Batch(Before { seqno: Some(seqno), commit: commit.or(before.commit) })
            }
            _ => Found::Broken,
        })
    }

    /// The seqno and the number of the commit.
    fn content(&mut self) -> std::io::Result<Result<(u64, Option<u64>), NoBatch>> {
        self.hash.reset();
        let Some(head) = self.array::<12>()? else { return Ok(Err(NoBatch)) };
        let [i0, i1, i2, i3, seqno @ ..] = head;
        let mut commit = None;
        for _ in 0..u32::from_le_bytes([i0, i1, i2, i3]) {
            match self.item()? {
                Ok(found) => commit = found.or(commit),
                Err(NoBatch) => return Ok(Err(NoBatch)),
            }
        }
        let hash = self.hash.digest();
        let Some([END, rest @ ..]) = self.array::<13>()? else { return Ok(Err(NoBatch)) };
        let (sum, trailer) = rest.split_at(8);
        let whole = sum == hash.to_le_bytes() && trailer == TRAILER;
        Ok(if whole { Ok((u64::from_le_bytes(seqno), commit)) } else { Err(NoBatch) })
    }

    /// The number of the commit, where this is the item that holds it.
    fn item(&mut self) -> std::io::Result<Result<Option<u64>, NoBatch>> {
        let Some(head) = self.array::<ITEM_HEAD_BYTES>()? else { return Ok(Err(NoBatch)) };
        if head[0] != ITEM {
            return Ok(Err(NoBatch));
        }
        self.hash.update(&head);
        let key_bytes = usize::from(u16::from_le_bytes([head[11], head[12]]));
        let stored_bytes = u32::from_le_bytes([head[17], head[18], head[19], head[20]]) as usize;
        let mut both = Vec::new();
        let read = (&mut self.reader).take((key_bytes + stored_bytes) as u64).read_to_end(&mut both)?;
        self.read += read as u64;
        if read < key_bytes + stored_bytes {
            return Ok(Err(NoBatch));
        }
        self.hash.update(&both);
        let (key, value) = both.split_at(key_bytes);
        Ok(Ok(if key == keys::commits() { decode_u64(value).ok() } else { None }))
    }

    fn byte(&mut self) -> std::io::Result<Option<u8>> {
        Ok(self.array::<1>()?.map(|[byte]| byte))
    }

    fn array<const N: usize>(&mut self) -> std::io::Result<Option<[u8; N]>> {
        let mut bytes = [0; N];
        match self.reader.read_exact(&mut bytes) {
            Ok(()) => {
                self.read += N as u64;
                Ok(Some(bytes))
            }
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Journals are made long and empty.
    fn rest_is_zero(&mut self) -> std::io::Result<bool> {
        let (mut chunk, zeros) = (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]);
        loop {
            let read = self.reader.read(&mut chunk)?;
            if read == 0 {
                return Ok(true);
            }
            if chunk[..read] != zeros[..read] {
                return Ok(false);
            }
        }
    }
}
