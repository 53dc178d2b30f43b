//! Writes histories. Cheap to clone and to call from everywhere; the lines have the order of the calls.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;

use crate::{Event, Kind, Op, VERSION};

const BUFFER_BYTES: usize = 1 << 20;

/// To memory, to a file, or to nowhere: then nothing but a comparison is paid.
#[derive(Clone, Default)]
pub struct Recorder(Option<Arc<Inner>>);

struct Inner {
    to: To,
    events: AtomicU64,
}

enum To {
    Memory(Mutex<Vec<Event>>),
    File(Mutex<Output>),
}

struct Output {
    file: BufWriter<File>,
    /// The first; nothing is written after it, and the end reports it.
    error: Option<io::Error>,
}

impl Recorder {
    /// Keeps nothing.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// For [`Self::events`].
    #[must_use]
    pub fn memory() -> Self {
        Self::to(To::Memory(Mutex::default()))
    }

    /// In place of what the file held.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn file(path: &Path) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(BUFFER_BYTES, File::create(path)?);
        writeln!(file, "{}", header())?;
        Ok(Self::to(To::File(Mutex::new(Output { file, error: None }))))
    }

    /// After what the file holds, which must be a history.
    ///
    /// # Errors
    /// The file is not there or cannot be written.
    pub fn append(path: &Path) -> io::Result<Self> {
        let file = BufWriter::with_capacity(BUFFER_BYTES, OpenOptions::new().append(true).open(path)?);
        Ok(Self::to(To::File(Mutex::new(Output { file, error: None }))))
    }

    fn to(to: To) -> Self {
        Self(Some(Arc::new(Inner { to, events: AtomicU64::new(0) })))
    }

    /// False: whoever would have to make an event can leave it.
    #[must_use]
    pub const fn on(&self) -> bool {
        self.0.is_some()
    }

    pub fn add(&self, at_ms: u64, process: &str, kind: Kind, op: Op) {
        let Some(inner) = &self.0 else { return };
        inner.events.fetch_add(1, Relaxed);
        let event = Event { at_ms, process: process.to_owned(), kind, op };
        match &inner.to {
            To::Memory(events) => events.lock().push(event),
            To::File(output) => {
                // Outside of the lock, which then is held for a copy.
                let line = line_of(&event);
                output.lock().put(&line);
            }
        }
    }

    /// How many were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, |inner| inner.events.load(Relaxed))
    }

    /// Those in memory, so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        match self.0.as_deref() {
            Some(Inner { to: To::Memory(events), .. }) => events.lock().clone(),
            _ => Vec::new(),
        }
    }

    /// Those in memory as a file has them, its first line too.
    #[must_use]
    pub fn lines(&self) -> String {
        let mut text = header() + "\n";
        for event in self.events() {
            text.push_str(&String::from_utf8_lossy(&line_of(&event)));
        }
        text
    }

    /// Everything that was added is with the system.
    ///
    /// # Errors
    /// The first that came up, whenever that was.
    pub fn flush(&self) -> io::Result<()> {
        match self.0.as_deref() {
            Some(Inner { to: To::File(output), .. }) => {
                let mut output = output.lock();
                match output.error.take() {
                    Some(error) => Err(error),
                    None => output.file.flush(),
                }
            }
            _ => Ok(()),
        }
    }
}

impl Output {
    fn put(&mut self, line: &[u8]) {
        if self.error.is_none()
            && let Err(error) = self.file.write_all(line)
        {
            self.error = Some(error);
        }
    }
}

fn header() -> String {
    format!("{{\"posthorn_history\":{VERSION}}}")
}

fn line_of(event: &Event) -> Vec<u8> {
    // Strings and numbers always become JSON.
    let mut line = serde_json::to_vec(event).unwrap_or_default();
    line.push(b'\n');
    line
}
