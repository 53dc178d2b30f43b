//! Other clocks for single processes, by Debian's libfaketime.

use std::fs;

use anyhow::Result;
use posthorn_engines::debian;
use tempfile::TempDir;

/// As it is.
pub const TRUE: &str = "+0";

/// The environment of a process whose wall clock is so far off.
pub fn of(offset: &str) -> Result<[(&'static str, String); 3]> {
    let library = debian::found(find, &["libfaketime"])?;
    // The monotonic clock is nobody's to move.
    Ok([("LD_PRELOAD", library), ("FAKETIME", offset.to_owned()), ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned())])
}

/// Wall clocks that can be changed while their processes run: a file each says how wrong it is.
pub struct Clocks {
    library: String,
    /// Not on the cluster's disk: a process that cannot read its file ends.
    folder: TempDir,
}

impl Clocks {
    pub fn new() -> Result<Self> {
        let library = debian::found(find, &["libfaketime"])?;
        Ok(Self { library, folder: tempfile::Builder::new().prefix("posthorn-clocks-").tempdir()? })
    }

    /// Within a second, for a process that runs.
    pub fn set(&self, name: &str, offset: &str) -> Result<()> {
        // At once: nobody reads half of it.
        let new = self.folder.path().join("new");
        fs::write(&new, offset)?;
        Ok(fs::rename(new, self.folder.path().join(name))?)
    }

    /// Of a process that goes by its file, which is set.
    pub fn environment(&self, name: &str) -> [(&'static str, String); 4] {
        let file = self.folder.path().join(name).display().to_string();
        [
            ("LD_PRELOAD", self.library.clone()),
            ("FAKETIME_TIMESTAMP_FILE", file),
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }
}

fn find() -> Option<String> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten();
    let mut libraries = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    libraries.find(|file| file.is_file()).map(|file| file.display().to_string())
}
