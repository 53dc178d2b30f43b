//! Damage to the journals of a store that nobody has open.

use std::{
    fs::{self, File, OpenOptions},
    io::Read,
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use posthorn_clock::Clock;

use crate::{history::History, tally::NONE};

/// The last bytes of each batch in a journal of the library.
const BATCH_END: &[u8] = b"FJL\x03";
const CHUNK_BYTES: usize = 1 << 20;

/// What a journal holds, without the zeros that it was made with.
struct Journal {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Journal {
    fn read(path: PathBuf) -> Result<Self> {
        let mut file = File::open(&path)?;
        let (mut bytes, zeros) = (Vec::new(), vec![0; CHUNK_BYTES]);
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let read = read_full(&mut file, &mut chunk)?;
            // It is written from its beginning on, in small pieces.
            if read == 0 || chunk[..read] == zeros[..read] {
                break;
            }
            bytes.extend_from_slice(&chunk[..read]);
        }
        let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        bytes.truncate(written);
        Ok(Self { path, bytes })
    }

    /// Where the last batch ends that holds one of `marks`: what lies behind was promised to nobody.
    fn promised(&self, history: &History) -> Result<usize> {
        let found = history.marks().filter_map(|mark| last_of(&self.bytes, mark.as_bytes()));
        let found = found.chain(last_of(&self.bytes, &self.synced()?));
        let Some(last) = found.max() else { return Ok(0) };
        let end = self.bytes[last..].windows(BATCH_END.len()).position(|four| four == BATCH_END);
        Ok(end.map_or(self.bytes.len(), |end| last + end + BATCH_END.len()))
    }

    /// The number of the commit that was synced last, as it stands in a journal: it may have been about to be
    /// acknowledged.
    fn synced(&self) -> Result<Vec<u8>> {
        let text = fs::read_to_string(self.path.with_file_name("SYNCED")).unwrap_or_default();
        let number: u64 = text.split(' ').nth(1).unwrap_or("0").parse()?;
        Ok([b"\x06commits", &number.to_be_bytes()[..]].concat())
    }

    fn write(&self, at: usize, bytes: &[u8]) -> Result<()> {
        let file = OpenOptions::new().write(true).open(&self.path)?;
        Ok(file.write_all_at(bytes, at as u64)?)
    }

    fn cut(&self, at: usize) -> Result<()> {
        Ok(OpenOptions::new().write(true).open(&self.path)?.set_len(at as u64)?)
    }
}

fn read_full(file: &mut File, chunk: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < chunk.len() {
        match file.read(&mut chunk[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

fn last_of(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).rposition(|window| window == wanted)
}

/// In the order in which they were written; the last is the one that is written to.
fn journals(dir: &Path) -> Result<Vec<Journal>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir.join("db"))? {
        let path = entry?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
        if let Some(number) = number.filter(|_| path.extension().is_some_and(|extension| extension == "jnl")) {
            paths.push((number, path));
        }
    }
    paths.sort();
    paths.into_iter().map(|(_, path)| Journal::read(path)).collect()
}

fn within(draw: &Clock, range: &Range<usize>) -> usize {
    range.start + draw.below(range.len() as u64) as usize
}

/// Damages what lies behind the last acknowledgement, or adds what a write that was cut off might leave.
/// Nothing of it may show.
pub fn behind(draw: &Clock, dir: &Path, history: &History) -> Result<&'static str> {
    // The writer may have been killed before it had made one.
    let Some(journal) = journals(dir)?.pop() else { return Ok(NONE) };
    let promised = journal.promised(history)?;
    let (whole, tail) = journal.bytes.split_at(promised);
    // A write that did not get to its end: as the last one that did, or the one that was under way.
    let last = whole.len().saturating_sub(BATCH_END.len());
    let before = last_of(&whole[..last], BATCH_END).map_or(0, |at| at + BATCH_END.len());
    let batch = if tail.is_empty() { &whole[before..] } else { tail };
    if batch.is_empty() {
        return Ok(NONE);
    }
    let at = within(draw, &(0..batch.len()));
    let mut bytes = batch.to_vec();
    let kind = match draw.below(6) {
        0 => {
            journal.cut(promised + if tail.is_empty() { 0 } else { at })?;
            return Ok("truncated_tail");
        }
        1 => {
            bytes[at..].fill(0);
            "torn_tail"
        }
        2 => {
            let end = at + within(draw, &(0..batch.len() - at + 1));
            bytes[at..end].fill(0);
            "zeroed_tail"
        }
        3 => {
            bytes[at] ^= 1 << draw.below(8);
            "flipped_tail"
        }
        4 => {
            bytes = [batch, batch].concat();
            "duplicated_tail"
        }
        _ => {
            bytes[at..].iter_mut().for_each(|byte| *byte = draw.random() as u8);
            "garbage_tail"
        }
    };
    journal.write(promised, &bytes)?;
    Ok(kind)
}

/// Damages what was synced and acknowledged, somewhere in some journal.
pub fn synced(draw: &Clock, dir: &Path, history: &History) -> Result<&'static str> {
    let all = journals(dir)?;
    let end = |(n, journal): (usize, &Journal)| {
        if n + 1 == all.len() { journal.promised(history) } else { Ok(journal.bytes.len()) }
    };
    let ends = all.iter().enumerate().map(end).collect::<Result<Vec<usize>>>()?;
    let total: usize = ends.iter().sum();
    if total == 0 {
        return Ok(NONE);
    }
    let mut at = within(draw, &(0..total));
    let mut found = None;
    for (journal, end) in all.iter().zip(&ends) {
        if at < *end {
            found = Some((journal, *end));
            break;
        }
        at -= end;
    }
    let (journal, end) = found.context("it lies in one of them")?;
    match draw.below(8) {
        0 => {
            journal.cut(at)?;
            Ok("truncated_synced")
        }
        1 => {
            let length = (end - at).min(1 + draw.below(4_096) as usize);
            journal.write(at, &vec![0; length])?;
            Ok("zeroed_synced")
        }
        2 => {
            journal.write(at, &vec![0; end - at])?;
            Ok("zeroed_to_the_end_synced")
        }
        _ => {
            journal.write(at, &[journal.bytes[at] ^ 1 << draw.below(8)])?;
            Ok("flipped_synced")
        }
    }
}
