//! Reads histories, a line at a time.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use serde::Deserialize;

use crate::{Event, MAX_LINE_BYTES, VERSION};

#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is no history: its first line is not {{\"posthorn_history\":{VERSION}}}")]
    NoHeader,
    #[error("is of version {0}, this build reads {VERSION}")]
    Version(u32),
    #[error("line {line}: {error}")]
    Line { line: u64, error: serde_json::Error },
    #[error("line {0} is longer than {MAX_LINE_BYTES} bytes")]
    TooLong(u64),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    posthorn_history: u32,
}

/// The events of a history; ends with the first error.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    text: Vec<u8>,
    line: u64,
    failed: bool,
}

impl Reader<BufReader<File>> {
    /// # Errors
    /// The file is not there, or is no history of this version.
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        Self::new(BufReader::with_capacity(1 << 20, File::open(path)?))
    }
}

impl<R: BufRead> Reader<R> {
    /// # Errors
    /// The input is no history of this version.
    pub fn new(input: R) -> Result<Self, HistoryError> {
        let mut reader = Self { input, text: Vec::new(), line: 0, failed: false };
        if !reader.next_line()? {
            return Err(HistoryError::NoHeader);
        }
        let header: Header = serde_json::from_slice(&reader.text).map_err(|_| HistoryError::NoHeader)?;
        if header.posthorn_history != VERSION {
            return Err(HistoryError::Version(header.posthorn_history));
        }
        Ok(reader)
    }

    /// False at the end.
    fn next_line(&mut self) -> Result<bool, HistoryError> {
        self.text.clear();
        self.line += 1;
        let read = self.input.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut self.text)?;
        if read as u64 == MAX_LINE_BYTES && self.text.last() != Some(&b'\n') {
            return Err(HistoryError::TooLong(self.line));
        }
        Ok(read > 0)
    }

    fn event(&mut self) -> Result<Option<Event>, HistoryError> {
        if !self.next_line()? {
            return Ok(None);
        }
        let line = self.line;
        serde_json::from_slice(&self.text).map(Some).map_err(|error| HistoryError::Line { line, error })
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Event, HistoryError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let event = self.event().transpose();
        self.failed = matches!(event, Some(Err(_)));
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Op, Recorder};

    fn some(recorder: &Recorder) {
        recorder.add(1, "ada", Kind::Ok, Op::Connect { resumed: true });
        recorder.add(2, "ada", Kind::Info, Op::Disconnect);
    }

    #[test]
    fn a_file_has_what_memory_has_and_can_be_added_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let (memory, file) = (Recorder::memory(), Recorder::file(&path).unwrap());
        some(&memory);
        some(&file);
        file.flush().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), memory.lines());
        let more = Recorder::append(&path).unwrap();
        some(&more);
        more.flush().unwrap();
        let events: Vec<Event> = Reader::open(&path).unwrap().map(Result::unwrap).collect();
        assert_eq!((&events[..2], &events[2..]), (&memory.events()[..], &memory.events()[..]));
        assert_eq!((memory.count(), Recorder::off().on(), Recorder::off().count()), (2, false, 0));
    }

    #[test]
    fn what_is_no_history_is_told_with_its_line() {
        let of = |text: &str| match Reader::new(text.as_bytes()) {
            Ok(mut reader) => reader.try_for_each(|event| event.map(drop)).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        assert!(of("").starts_with("is no history"));
        assert!(of("{\"at_ms\":1}\n").starts_with("is no history"));
        assert_eq!(of("{\"posthorn_history\":9}\n"), "is of version 9, this build reads 1");
        let torn = "{\"posthorn_history\":1}\n{\"at_ms\":1,\"process\":\"a\",\"kind\":\"ok\",\"op\":\"crash\"}\n{\"at";
        assert!(of(torn).starts_with("line 3: "), "{}", of(torn));
    }
}
