//! Where the input comes from: keys of a terminal, or lines of a pipe.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use anyhow::{Context, Result};
use rustix::termios::{self, InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};

use super::keys::{Decoder, Key};

/// Lines of a pipe, or handfuls of keys, that were read ahead.
const AHEAD: usize = 16;
/// A longer line comes in pieces; no message is so long.
const MAX_LINE_BYTES: u64 = 1024 * 1024;
const BRACKETED_PASTE: &str = "\x1b[?2004h";
const NO_BRACKETED_PASTE: &str = "\x1b[?2004l";

/// What came in.
pub enum Came {
    Keys(Vec<Key>),
    Line(String),
    Resized,
    /// Back in the foreground, after a stop.
    Continued,
    /// By a signal: Ctrl-C is a key.
    Interrupted,
    /// Somebody wants the program to end.
    Terminated,
    /// There is no more.
    Over,
}

pub enum Source {
    Terminal(Box<Terminal>),
    Pipe(mpsc::Receiver<io::Result<String>>),
}

impl Source {
    /// A terminal is one only if both directions are.
    pub fn open() -> Result<Self> {
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        if io::stdin().is_terminal() && io::stdout().is_terminal() && !dumb {
            return Ok(Self::Terminal(Box::new(Terminal::open()?)));
        }
        Ok(Self::Pipe(read_ahead(line)?))
    }

    /// Cancel-safe.
    pub async fn next(&mut self) -> io::Result<Came> {
        match self {
            Self::Terminal(terminal) => terminal.next().await,
            Self::Pipe(lines) => Ok(lines.recv().await.transpose()?.map_or(Came::Over, Came::Line)),
        }
    }
}

/// Reads in a thread of its own: the runtime would not end before a read of its own does. `one` reads what
/// is next, and nothing at the end.
fn read_ahead<T: Send + 'static>(
    one: impl Fn(&mut io::StdinLock<'static>) -> io::Result<Option<T>> + Send + 'static,
) -> Result<mpsc::Receiver<io::Result<T>>> {
    let (tx, rx) = mpsc::channel(AHEAD);
    let read = move || {
        let mut input = io::stdin().lock();
        while let Some(read) = one(&mut input).transpose() {
            let failed = read.is_err();
            if tx.blocking_send(read).is_err() || failed {
                return;
            }
        }
    };
    std::thread::Builder::new().name("input".into()).spawn(read).context("cannot read the input")?;
    Ok(rx)
}

fn line(input: &mut io::StdinLock<'static>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let read = input.take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
    Ok((read > 0).then(|| String::from_utf8_lossy(&line).into_owned()))
}

fn keys(input: &mut io::StdinLock<'static>) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = [0; 4096];
    match input.read(&mut bytes) {
        Ok(read) => Ok((read > 0).then(|| bytes[..read].to_vec())),
        // The other end of the terminal is gone.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The terminal gives every key at once and shows none; as it was, when this is dropped.
pub struct Terminal {
    input: mpsc::Receiver<io::Result<Vec<u8>>>,
    before: Termios,
    decoder: Decoder,
    resized: Signal,
    continued: Signal,
    interrupted: Signal,
    terminated: Signal,
    hung_up: Signal,
}

impl Terminal {
    fn open() -> Result<Self> {
        let before = termios::tcgetattr(io::stdin()).context("the terminal does not tell how it is set")?;
        let kind = SignalKind::from_raw;
        let terminal = Self {
            input: read_ahead(keys)?,
            before,
            decoder: Decoder::default(),
            resized: signal(SignalKind::window_change())?,
            continued: signal(kind(rustix::process::Signal::CONT.as_raw()))?,
            interrupted: signal(SignalKind::interrupt())?,
            terminated: signal(SignalKind::terminate())?,
            hung_up: signal(SignalKind::hangup())?,
        };
        terminal.keys_at_once()?;
        Ok(terminal)
    }

    fn keys_at_once(&self) -> Result<()> {
        let mut raw = self.before.clone();
        raw.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::IEXTEN;
        // What was typed or written before a stop is not thrown away.
        raw.local_modes |= LocalModes::NOFLSH;
        raw.input_modes -= InputModes::ICRNL | InputModes::IXON;
        raw.special_codes[SpecialCodeIndex::VMIN] = 1;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        // Ctrl-C comes as a key, in its turn. No dump by a slip of the finger, with the terminal left as it is now.
        raw.special_codes[SpecialCodeIndex::VINTR] = 0;
        raw.special_codes[SpecialCodeIndex::VQUIT] = 0;
        termios::tcsetattr(io::stdin(), OptionalActions::Now, &raw).context("the terminal cannot be set")?;
        tell(BRACKETED_PASTE);
        Ok(())
    }

    /// 0 where it does not know.
    pub fn columns() -> usize {
        termios::tcgetwinsize(io::stdout()).map_or(0, |size| size.ws_col.into())
    }

    async fn next(&mut self) -> io::Result<Came> {
        tokio::select! {
            biased;
            _ = self.interrupted.recv() => return Ok(Came::Interrupted),
            _ = self.terminated.recv() => return Ok(Came::Terminated),
            _ = self.hung_up.recv() => return Ok(Came::Terminated),
            _ = self.resized.recv() => return Ok(Came::Resized),
            _ = self.continued.recv() => {}
            bytes = self.input.recv() => {
                return Ok(bytes.transpose()?.map_or(Came::Over, |bytes| Came::Keys(self.decoder.read(&bytes))));
            }
        }
        self.keys_at_once().map_err(io::Error::other)?;
        Ok(Came::Continued)
    }
}

fn tell(sequence: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(sequence.as_bytes()).and_then(|()| out.flush());
}

impl Drop for Terminal {
    fn drop(&mut self) {
        tell(NO_BRACKETED_PASTE);
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}
