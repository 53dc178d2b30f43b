//! The children, seen by who starts and kills them.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use posthorn_clock::Instant;

use crate::{history::History, looker::Seen, order::Order};

pub const WRITE: &str = "--write";
pub const LOOK: &str = "--look";
/// This program as it runs, also where it was built again meanwhile.
const THIS: &str = "/proc/self/exe";
/// How long a child may take for what takes it a second at most.
const PATIENCE: Duration = Duration::from_secs(120);

/// When a writer is killed: after so many acknowledgements, or after so long, whatever comes first.
#[derive(Clone, Copy, Debug)]
pub struct Until {
    pub acks: u64,
    pub time: Duration,
    /// The time runs once it has opened the store: a busy machine takes long for that.
    pub once_open: bool,
    /// And not before its backup is there.
    pub saved: bool,
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // SIGKILL; it may be dead already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(how: &str, order: &Order, stderr: File) -> Result<Running> {
    let mut child = Command::new(THIS);
    child.arg(how).arg(serde_json::to_string(order)?).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
    Ok(Running(child.spawn().context("a child does not start")?))
}

/// Lets a child write and kills it. True if it had opened the store by then.
pub fn write_and_kill(order: &Order, until: Until, log: &Path, history: &mut History) -> Result<bool> {
    let mut child = start(WRITE, order, File::create(log)?)?;
    let lines = BufReader::new(child.0.stdout.take().context("piped")?);
    let (said, heard) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in lines.lines().map_while(Result::ok) {
            if said.send(line).is_err() {
                break;
            }
        }
    });
    history.begin();
    let mut begun = Instant::now();
    let (mut acks, mut opened, mut saved) = (0, false, false);
    loop {
        let patient = until.saved && !saved || until.once_open && !opened;
        let wait = if patient { PATIENCE } else { until.time };
        match heard.recv_timeout(wait.saturating_sub(begun.elapsed())) {
            Ok(line) => {
                if !opened && until.once_open {
                    begun = Instant::now();
                }
                opened = true;
                saved |= line == "saved";
                acks += u64::from(history.hear(&line)?);
            }
            Err(RecvTimeoutError::Timeout) if patient => {
                bail!("a writer did not open, or did not save a backup, within {PATIENCE:?}")
            }
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => {
                let status = child.0.wait()?;
                bail!("the writer ended by itself: {status}: {}", std::fs::read_to_string(log)?.trim());
            }
        }
        if acks >= until.acks && (saved || !until.saved) {
            break;
        }
    }
    child.0.kill()?;
    child.0.wait()?;
    // What it said before it died counts as well.
    for line in heard {
        opened = true;
        history.hear(&line)?;
    }
    ensure!(reader.join().is_ok(), "the reader of a child panicked");
    Ok(opened)
}

/// What another process finds in the directory.
pub fn look(order: &Order, log: &Path) -> Result<Seen> {
    let mut child = start(LOOK, order, File::create(log)?)?;
    let mut out = child.0.stdout.take().context("piped")?;
    let (said, heard) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        let read = out.read_to_string(&mut text);
        let _ = said.send(read.map(|_| text));
    });
    let text = match heard.recv_timeout(PATIENCE) {
        Ok(text) => text?,
        Err(_) => bail!("opening and reading did not end within {PATIENCE:?}"),
    };
    ensure!(reader.join().is_ok(), "the reader of a child panicked");
    let status = child.0.wait()?;
    let said = || std::fs::read_to_string(log).unwrap_or_default();
    ensure!(status.success(), "who opened the store ended with {status}: {}", said().trim());
    serde_json::from_str(&text).with_context(|| format!("{text:?}: {}", said().trim()))
}
