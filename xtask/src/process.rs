//! Running other programs: with a time limit, output in a file, and nothing left behind.
//!
//! Every child carries a word of this run in its environment and hands it on to its own children. By
//! it, and by nothing looser, whatever outlives its step is found and ended.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

const MARK: &str = "POSTHORN_XTASK_RUN";
/// How often a silent step says that it is still there.
const HEARTBEAT: Duration = Duration::from_secs(60);
/// Lines of a failed step that are shown again.
const TAIL_LINES: usize = 60;

/// A program to run as one step.
pub struct Step<'a> {
    pub name: &'a str,
    pub limit: Duration,
    /// Lines that are printed while it runs; all of them go into the log.
    pub echo: fn(&str) -> bool,
    /// Whether what still runs after it is ended.
    pub sweep: bool,
}

/// How a step ended.
pub struct Outcome {
    pub ok: bool,
    pub seconds: f64,
    pub lines: Vec<String>,
}

impl Step<'_> {
    pub const fn quiet(name: &str, limit: Duration) -> Step<'_> {
        Step { name, limit, echo: |_| false, sweep: true }
    }

    /// Runs it to its end or its limit. Output of both streams is kept, in the order of arrival.
    ///
    /// # Errors
    /// The program cannot be started, or its log cannot be written.
    pub fn run(&self, root: &Path, command: &mut Command) -> Result<Outcome> {
        let started = Instant::now();
        let path = log_path(root, self.name)?;
        let mut log = File::create(&path)?;
        let mut child = spawn(command)?;
        let output = lines_of(&mut child);
        let mut lines = Vec::new();
        let in_time = self.follow(&output, started, &mut log, &mut lines)?;
        let ok = in_time && child.wait()?.success();
        if !in_time {
            println!("{}: not done after {} s, ended", self.name, self.limit.as_secs());
            let _ = child.kill();
        }
        let left = if self.sweep { end_leftovers() } else { 0 };
        let _ = child.wait();
        if left > 0 && in_time {
            println!("{}: left {left} processes behind, ended", self.name);
        }
        if !ok {
            for line in &lines[lines.len().saturating_sub(TAIL_LINES)..] {
                println!("    {line}");
            }
            println!("    (all of it: {})", path.display());
        }
        Ok(Outcome { ok, seconds: started.elapsed().as_secs_f64(), lines })
    }

    /// False when the limit came first.
    fn follow(
        &self,
        output: &Receiver<String>,
        started: Instant,
        log: &mut File,
        lines: &mut Vec<String>,
    ) -> Result<bool> {
        let mut spoke = Instant::now();
        loop {
            if started.elapsed() > self.limit {
                return Ok(false);
            }
            match output.recv_timeout(Duration::from_secs(1)) {
                Ok(line) => {
                    writeln!(log, "{line}")?;
                    if (self.echo)(&line) {
                        println!("    {line}");
                        spoke = Instant::now();
                    }
                    lines.push(line);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(true),
            }
            if spoke.elapsed() > HEARTBEAT {
                let last = lines.last().map_or("", |line| line.trim());
                println!("    {}: {} s, now: {last}", self.name, started.elapsed().as_secs());
                spoke = Instant::now();
            }
        }
    }
}

/// Starts a program whose output is read through pipes.
pub fn spawn(command: &mut Command) -> Result<Child> {
    command
        .env(MARK, mark())
        .env("CARGO_TERM_COLOR", "never")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let name = command.get_program().to_string_lossy().into_owned();
    command.spawn().with_context(|| format!("{name} cannot be started"))
}

/// Lines of both streams of the child until both are closed. Whoever inherits them keeps them open, so
/// a step also waits for those.
pub fn lines_of(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = mpsc::sync_channel(1024);
    if let Some(stdout) = child.stdout.take() {
        let sender = sender.clone();
        std::thread::spawn(move || forward(stdout, &sender));
    }
    if let Some(stderr) = child.stderr.take() {
        std::thread::spawn(move || forward(stderr, &sender));
    }
    receiver
}

fn forward(stream: impl std::io::Read, sender: &mpsc::SyncSender<String>) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    while matches!(stream.read_until(b'\n', &mut line), Ok(n) if n > 0) {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        line.clear();
        if sender.send(text).is_err() {
            return;
        }
    }
}

/// Ends every process that carries the word of this run, and tells how many a step had left behind.
pub fn end_leftovers() -> usize {
    let found = marked().len();
    for _ in 0..50 {
        let left = marked();
        if left.is_empty() {
            break;
        }
        for pid in left {
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    found
}

fn marked() -> Vec<Pid> {
    let word = format!("{MARK}={}", mark());
    let Ok(folders) = fs::read_dir("/proc") else { return Vec::new() };
    let mut found = Vec::new();
    for folder in folders.flatten() {
        let Some(pid) = folder.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else {
            continue;
        };
        let environment = fs::read(folder.path().join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|variable| variable == word.as_bytes()) {
            found.push(pid);
        }
    }
    found
}

fn mark() -> String {
    std::process::id().to_string()
}

fn log_path(root: &Path, name: &str) -> Result<PathBuf> {
    let folder = root.join("target/xtask");
    fs::create_dir_all(&folder)?;
    Ok(folder.join(format!("{}.log", name.replace(' ', "-"))))
}

/// What a program prints, trimmed, where it can be run and succeeds.
pub fn answer(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    /// One test, since all of them share the word of this process.
    #[test]
    fn a_step_keeps_its_output_fails_as_its_program_does_and_ends_what_it_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let minute = Duration::from_secs(60);

        let good = Step::quiet("good", minute).run(folder.path(), &mut shell("echo one; echo two >&2")).expect("runs");
        assert!(good.ok);
        let mut lines = good.lines;
        lines.sort();
        assert_eq!(lines, ["one", "two"]);

        let bad = Step::quiet("bad", minute).run(folder.path(), &mut shell("echo last; exit 3")).expect("runs");
        assert!(!bad.ok);
        assert_eq!(fs::read_to_string(folder.path().join("target/xtask/bad.log")).expect("a log"), "last\n");

        let slow = Step::quiet("slow", Duration::from_millis(200));
        let late = slow.run(folder.path(), &mut shell("sleep 300 & sleep 300")).expect("runs");
        assert!(!late.ok);
        assert!(marked().is_empty(), "both sleepers are gone");

        let leaving = Step::quiet("leaving", minute);
        let left = leaving.run(folder.path(), &mut shell("sleep 300 > /dev/null 2>&1 &")).expect("runs");
        assert!(left.ok);
        assert!(marked().is_empty(), "the sleeper is gone");
    }
}
