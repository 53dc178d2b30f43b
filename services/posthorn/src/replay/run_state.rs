//! The STATE file of `--resume`: which run this is. How far it came is in the log itself, since every step
//! makes exactly one entry and steps are taken in order; the file says which conversations, and with
//! which message ids.

use std::{fs, io::Write, path::Path};

use anyhow::{Context, Result, bail};
use posthorn_clock::{Clock, Uuid};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const FORMAT: u32 = 1;

/// One run, which may be continued by several processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunState {
    pub format: u32,
    /// Distinguishes runs in conversations, devices and message ids.
    pub run: u64,
    pub started_ms: u64,
    pub files: Vec<FileState>,
    pub messages: u64,
    /// As last noted; the log knows better.
    pub acked: u64,
    /// A process went on with this run after another one had begun it.
    pub resumed: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileState {
    pub path: String,
    pub sha256: String,
    pub conversation: String,
}

impl RunState {
    /// Of files given as (path, content).
    pub fn new(clock: &Clock, files: &[(String, Vec<u8>)], messages: u64) -> Self {
        let (run, started_ms) = (clock.random() >> 16, clock.now_ms());
        let state = |(at, (path, content)): (usize, &(String, Vec<u8>))| FileState {
            path: path.clone(),
            sha256: hash(content),
            conversation: format!("replay-{run:012x}-{}", at + 1),
        };
        let files = files.iter().enumerate().map(state).collect();
        Self { format: FORMAT, run, started_ms, files, messages, acked: 0, resumed: 0 }
    }

    /// The run that a file describes; `None`: there is no such file.
    pub fn load(path: &Path) -> Result<Option<Self>> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let state: Self =
            serde_json::from_slice(&bytes).with_context(|| format!("{} is no state of a replay", path.display()))?;
        if state.format != FORMAT {
            bail!("{} is of format {}, this build reads {FORMAT}", path.display(), state.format);
        }
        Ok(Some(state))
    }

    /// The same content, in the same order: a path may have moved.
    pub fn fits(&self, files: &[(String, Vec<u8>)]) -> Result<()> {
        if files.len() != self.files.len() {
            bail!("the state is of {} files, {} are given", self.files.len(), files.len());
        }
        for (state, (path, content)) in self.files.iter().zip(files) {
            if state.sha256 != hash(content) {
                bail!("{path} is not the file that the run began with ({})", state.path);
            }
        }
        Ok(())
    }

    /// Atomic: a reader, or a process after a crash, finds the old one or the new one.
    pub fn save(&self, path: &Path) -> Result<()> {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = path.file_name().context("the state needs a file name")?;
        let beside = directory.join(format!(".{}.new", name.to_string_lossy()));
        let write = || {
            let mut file = fs::File::create(&beside)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.sync_all()?;
            fs::rename(&beside, path)?;
            fs::File::open(directory)?.sync_all()
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    /// The message of a line: the same whoever sends it again.
    pub fn message_id(&self, file: usize, line: u32) -> Uuid {
        message_id(self.started_ms, self.run, file, line)
    }
}

/// A UUIDv7 of the run's start; in place of random bits: the run (26 bits), the file (16), the line (32).
fn message_id(started_ms: u64, run: u64, file: usize, line: u32) -> Uuid {
    let mut bytes = [0; 10];
    bytes[..4].copy_from_slice(&(run as u32).to_be_bytes());
    bytes[4..6].copy_from_slice(&(file as u16).to_be_bytes());
    bytes[6..].copy_from_slice(&line.to_be_bytes());
    uuid::Builder::from_unix_timestamp_millis(started_ms, &bytes).into_uuid()
}

fn hash(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_survives_a_restart_and_knows_its_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        assert_eq!(RunState::load(&path).unwrap(), None);
        let files = vec![("a.txt".to_owned(), b"<ada> hi\n".to_vec()), ("b.txt".to_owned(), Vec::new())];
        let state = RunState::new(&Clock::system(), &files, 1);
        state.save(&path).unwrap();
        assert_eq!(RunState::load(&path).unwrap(), Some(state.clone()));
        state.fits(&files).unwrap();
        assert!(state.fits(&files[..1]).is_err());
        assert!(state.fits(&[files[1].clone(), files[0].clone()]).is_err());
        fs::write(&path, b"{}").unwrap();
        assert!(RunState::load(&path).is_err());
    }

    #[test]
    fn every_line_of_every_file_has_a_message_id_of_its_own() {
        let mut ids = std::collections::BTreeSet::new();
        for (run, file, line) in [(1, 0, 0), (1, 0, 1), (1, 1, 0), (1, 300, 70_000), (2, 0, 0)] {
            let id = message_id(1_700_000_000_000, run, file, line);
            assert_eq!(id.get_version_num(), 7);
            assert_eq!(id, message_id(1_700_000_000_000, run, file, line));
            assert!(ids.insert(id));
        }
    }
}
