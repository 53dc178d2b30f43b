//! `SYNCED`, beside the journals: the number of the last commit that was synced. It is written before anybody is
//! told of that commit and synced now and then. So it outlives a process that dies as it is, and a power cut as it
//! was a second before; it never runs ahead of the journals, and a journal that ends before it has lost something.

use std::{
    fs::{self, File, OpenOptions},
    io::ErrorKind,
    os::unix::fs::FileExt,
    path::Path,
};

use xxhash_rust::xxh3::xxh3_64;

use super::layout;
use crate::Result;

pub(crate) const MARK_FILE: &str = "SYNCED";

/// Of the same length, whatever the numbers: it is written in place.
fn line(generation: u64, commit: u64) -> String {
    let numbers = format!("{generation:020} {commit:020}");
    format!("{numbers} {:016x}\n", xxh3_64(numbers.as_bytes()))
}

/// The number of the last commit of `generation` that was synced; 0 where nothing is known, as after the generation
/// was raised: whoever did that took what is there for what there was.
pub(crate) fn read(database: &Path, generation: Option<u64>) -> Result<u64> {
    let path = database.join(MARK_FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        Err(error) if error.kind() == ErrorKind::InvalidData => String::new(),
        Err(error) => return Err(layout::io(&path, "reading", &error)),
    };
    let mut numbers = text.split(' ').filter_map(|number| number.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(of), Some(commit)) if text == line(of, commit) => {
            Ok(if generation.is_none_or(|generation| generation == of) { commit } else { 0 })
        }
        _ => {
            // A power cut before its first sync, or a bent byte: the journals may be whole all the same.
            tracing::warn!(path = %path.display(), "the mark of what was synced does not read: nothing is held against it");
            Ok(0)
        }
    }
}

/// For the writer.
pub(super) struct Mark {
    file: File,
    generation: u64,
    commit: u64,
    /// Written and not synced.
    fresh: bool,
}

impl Mark {
    pub(super) fn open(database: &Path, generation: u64) -> Result<Self> {
        let path = database.join(MARK_FILE);
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|error| layout::io(&path, "opening", &error))?;
        Ok(Self { file, generation, commit: 0, fresh: false })
    }

    pub(super) fn commit(&self) -> u64 {
        self.commit
    }

    /// That commit, and all before it, are on disk. Without its mark a commit is no less durable: a disk that has no
    /// room for these bytes is met by the next commit.
    pub(super) fn write(&mut self, commit: u64) {
        if commit == self.commit {
            return;
        }
        match self.file.write_all_at(line(self.generation, commit).as_bytes(), 0) {
            Ok(()) => (self.commit, self.fresh) = (commit, true),
            Err(error) => tracing::warn!(%error, "the mark of what was synced was not written"),
        }
    }

    pub(super) fn sync(&mut self) {
        if std::mem::take(&mut self.fresh)
            && let Err(error) = self.file.sync_data()
        {
            tracing::warn!(%error, "the mark of what was synced was not synced");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_counts_for_its_generation() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(read(dir.path(), Some(1)), Ok(0), "none");
        let mut mark = Mark::open(dir.path(), 1).expect("opens");
        assert_eq!(read(dir.path(), Some(1)), Ok(0), "empty");
        for commit in [7, 12_345, 12_346] {
            mark.write(commit);
            assert_eq!(read(dir.path(), Some(1)), Ok(commit));
        }
        mark.sync();
        assert_eq!(read(dir.path(), Some(2)), Ok(0), "of another generation");
        let path = dir.path().join(MARK_FILE);
        let whole = fs::read(&path).expect("reads");
        for at in 0..whole.len() {
            let mut bent = whole.clone();
            bent[at] ^= 1;
            fs::write(&path, bent).expect("writes");
            assert_eq!(read(dir.path(), Some(1)), Ok(0), "byte {at}");
        }
    }
}
