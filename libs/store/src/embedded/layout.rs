//! The data directory: who uses it, of which format it is, and of which generation.
//!
//! `FORMAT`, `GENERATION` and `LOCK` are small text files; `db/` is the database. `GENERATION` outlives
//! the rest: whoever empties the directory to restore a backup keeps it, so that no generation comes twice.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Seek, Write},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use crate::{Result, StoreError};

/// Format of the tables that this build writes. It reads those of the one before as well: 2 added
/// packed heads and packed entries of the feed.
pub(crate) const FORMAT: u32 = 2;
const FORMAT_BEFORE: u32 = 1;
pub(crate) const DATABASE: &str = "db";
pub(crate) const FORMAT_FILE: &str = "FORMAT";
pub(crate) const GENERATION_FILE: &str = "GENERATION";
pub(crate) const LOCK_FILE: &str = "LOCK";
/// Stands while a restore or an import runs: what it leaves behind, if it dies, is not a store.
pub(crate) const RESTORING_FILE: &str = "RESTORING";

/// Held while this process uses the directory.
pub(crate) struct DirLock {
    file: File,
}

pub(crate) fn io(path: &Path, doing: &str, error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("{doing} {}: {error}", path.display()))
}

/// Takes the directory for this process, and makes it if it is not there.
pub(crate) fn lock(dir: &Path) -> Result<DirLock> {
    fs::create_dir_all(dir).map_err(|error| io(dir, "making", &error))?;
    let path = dir.join(LOCK_FILE);
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = open.map_err(|error| io(&path, "opening", &error))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut pid = String::new();
        let _ = file.read_to_string(&mut pid);
        return Err(StoreError::Unavailable(format!("{} is in use by {}", dir.display(), process(pid.trim()))));
    }
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
    // On a full disk the lock still holds, it only does not name its holder.
    if let Err(error) = written {
        tracing::warn!(%error, "the lock file does not name this process");
    }
    Ok(DirLock { file })
}

/// Not left to the closing of the file: a process that was just forked holds it too, until it runs its program.
impl Drop for DirLock {
    fn drop(&mut self) {
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

fn process(pid: &str) -> String {
    if pid.is_empty() {
        return "another process".to_owned();
    }
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    if name.trim().is_empty() { format!("process {pid}") } else { format!("process {pid} ({})", name.trim()) }
}

fn read_number(path: &Path) -> Result<Option<u64>> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let number = text.trim().parse();
            number.map(Some).map_err(|_| StoreError::Damaged(format!("{} holds no number", path.display())))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io(path, "reading", &error)),
    }
}

/// Whole or not at all, and on disk when this returns.
fn write_number(dir: &Path, name: &str, number: u64) -> Result<()> {
    let (path, fresh) = (dir.join(name), dir.join(format!("{name}.new")));
    let write = || {
        let mut file = File::create(&fresh)?;
        writeln!(file, "{number}")?;
        file.sync_all()?;
        fs::rename(&fresh, &path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|error| io(&path, "writing", &error))
}

/// The path of the database, after the directory was found to be one that this build understands.
/// An empty directory becomes a store.
pub(crate) fn check(dir: &Path) -> Result<PathBuf> {
    if dir.join(RESTORING_FILE).exists() {
        let dir = dir.display();
        return Err(StoreError::Damaged(format!(
            "a restore or an import into {dir} did not finish: import again, or empty it, keeping {GENERATION_FILE}, and restore again"
        )));
    }
    match read_number(&dir.join(FORMAT_FILE))? {
        Some(format) if format == u64::from(FORMAT) => {}
        // What an older build does not understand is written from now on.
        Some(format) if format == u64::from(FORMAT_BEFORE) => write_format(dir)?,
        Some(format) => {
            let dir = dir.display();
            return Err(StoreError::Unavailable(format!(
                "{dir} is of format {format}, this build understands {FORMAT}: use the build that wrote it, or a newer one"
            )));
        }
        None if dir.join(DATABASE).exists() => {
            let dir = dir.display();
            return Err(StoreError::Damaged(format!("{dir} has a database and no {FORMAT_FILE} file")));
        }
        None => write_format(dir)?,
    }
    Ok(dir.join(DATABASE))
}

pub(crate) fn write_format(dir: &Path) -> Result<()> {
    write_number(dir, FORMAT_FILE, u64::from(FORMAT))
}

/// The highest generation that this directory has seen, if any.
pub(crate) fn generation(dir: &Path) -> Result<Option<u64>> {
    read_number(&dir.join(GENERATION_FILE))
}

pub(crate) fn write_generation(dir: &Path, generation: u64) -> Result<()> {
    write_number(dir, GENERATION_FILE, generation)
}
