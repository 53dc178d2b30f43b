//! A slice of a real channel replayed against the built binary, where logs of channels are at hand.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    process::{Step, end_leftovers, lines_of, spawn},
    report::{Entry, Kind, Report},
};

const LINES: usize = 1_000;
const READY_LIMIT: Duration = Duration::from_secs(60);
const REPLAY_LIMIT: Duration = Duration::from_secs(5 * 60);
const STOP_LIMIT: Duration = Duration::from_secs(40);
/// What must be zero at the end of a replay.
const FAULTS: [&str; 6] = ["lost", "duplicated", "reordered", "gaps", "mismatched", "wrong_recipients"];

/// Adds one test to the report, or none where no log is at hand.
///
/// # Errors
/// The report cannot be written.
pub fn run(root: &Path, binary: &Path, report: &mut Report) -> Result<()> {
    let Some(log) = log(root) else { return Ok(()) };
    let started = Instant::now();
    let result = slice(root, &log, binary);
    end_leftovers();
    if let Err(error) = &result {
        println!("    {error:#}");
    }
    let (ok, seconds) = (result.is_ok(), started.elapsed().as_secs_f64());
    let name = "replay of a real channel".to_owned();
    report.add(Entry { name, kind: Kind::Test, ok, seconds, passed: u64::from(ok), failed: u64::from(!ok) });
    Ok(())
}

/// The first log of `$POSTHORN_CHAT_LOGS`, or of `shared/data/irc` beside the checkout.
fn log(root: &Path) -> Option<PathBuf> {
    let beside = root.parent().map(|folder| folder.join("shared/data/irc"));
    let folder = env::var_os("POSTHORN_CHAT_LOGS").map(PathBuf::from).or(beside)?;
    let mut logs: Vec<PathBuf> = fs::read_dir(folder).ok()?.flatten().map(|file| file.path()).collect();
    logs.retain(|path| path.extension().is_some_and(|end| end == "txt"));
    logs.sort();
    logs.into_iter().next()
}

fn slice(root: &Path, log: &Path, binary: &Path) -> Result<()> {
    let folder = root.join("target/xtask/replay");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let bytes = fs::read(log)?;
    let slice: Vec<u8> = bytes.split_inclusive(|byte| *byte == b'\n').take(LINES).flatten().copied().collect();
    let file = folder.join("slice.txt");
    fs::write(&file, slice)?;

    let mut dev = Command::new(binary);
    dev.args(["dev", "--json", "--listen", "127.0.0.1:0", "--data-dir"]).arg(folder.join("data"));
    let mut server = spawn(&mut dev)?;
    let output = lines_of(&mut server);
    let until = Instant::now() + READY_LIMIT;
    let ready: Value = loop {
        let left = until.saturating_duration_since(Instant::now());
        let line = output.recv_timeout(left).context("`posthorn dev --json` did not get ready")?;
        // Its log goes to the other stream; only the line of `--json` has a `ws`.
        match serde_json::from_str::<Value>(&line) {
            Ok(value) if value.get("ws").is_some() => break value,
            _ => {}
        }
    };
    // Its output is read on, or it would stop at a full pipe.
    std::thread::spawn(move || output.into_iter().for_each(drop));
    let word = |name: &str| ready.get(name).and_then(Value::as_str).map(str::to_owned).with_context(|| name.to_owned());
    let mut replay = Command::new(binary);
    replay.args(["replay", "--speed", "max", "--json", "--url", &word("ws")?, "--admin-key", &word("admin_key")?]);
    replay.arg(&file);
    let lines = follow(root, &mut replay)?;
    judge(&lines)?;
    stop(&mut server)
}

/// The replay's lines. It runs beside the server, so a step's sweep of leftovers would end both.
fn follow(root: &Path, replay: &mut Command) -> Result<Vec<String>> {
    let outcome = Step { sweep: false, ..Step::quiet("replay", REPLAY_LIMIT) }.run(root, replay)?;
    if !outcome.ok {
        bail!("`posthorn replay` failed");
    }
    Ok(outcome.lines)
}

fn judge(lines: &[String]) -> Result<()> {
    let end: Value = lines
        .iter()
        .rev()
        .filter_map(|line| serde_json::from_str(line).ok())
        .find(|value: &Value| value.get("messages").is_some() && value.get("files").is_some())
        .context("`posthorn replay --json` printed no result")?;
    let number =
        |name: &str| end.get(name).and_then(Value::as_u64).with_context(|| format!("the result has no {name}"));
    for fault in FAULTS {
        if number(fault)? != 0 {
            bail!("{fault}: {}", number(fault)?);
        }
    }
    let (messages, acked) = (number("messages")?, number("acked")?);
    if messages == 0 || acked != messages {
        bail!("{acked} of {messages} messages acknowledged");
    }
    Ok(())
}

fn stop(server: &mut Child) -> Result<()> {
    let pid = i32::try_from(server.id()).ok().and_then(Pid::from_raw).context("a process id")?;
    kill_process(pid, Signal::TERM)?;
    let until = Instant::now() + STOP_LIMIT;
    while Instant::now() < until {
        if let Some(status) = server.try_wait()? {
            if !status.success() {
                bail!("the server ended with {status} on SIGTERM");
            }
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("the server did not stop within {} s of SIGTERM", STOP_LIMIT.as_secs());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(lost: u64, acked: u64) -> Vec<String> {
        vec![
            "starting".to_owned(),
            format!(
                r#"{{"messages":9,"acked":{acked},"lost":{lost},"duplicated":0,"reordered":0,"gaps":0,"mismatched":0,"wrong_recipients":0,"files":[]}}"#
            ),
        ]
    }

    #[test]
    fn a_replay_is_judged_by_its_faults_and_its_acknowledgements() {
        assert!(judge(&result(0, 9)).is_ok());
        assert!(judge(&result(1, 9)).is_err());
        assert!(judge(&result(0, 8)).is_err());
        assert!(judge(&["nothing".to_owned()]).is_err());
    }
}
