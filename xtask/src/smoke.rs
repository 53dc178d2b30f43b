//! A slice of a real channel replayed against the built binary, and what its people did and saw held to the rules: one
//! of those at hand, or the excerpt in the tree.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    process::{Step, end_leftovers},
    report::{Entry, Kind, Report},
    server::Server,
};

const LINES: usize = 1_000;
const EXCERPT: &str = "tests/fixtures/irc/ubuntu-excerpt.txt";
const REPLAY_LIMIT: Duration = Duration::from_secs(5 * 60);
/// What must be zero at the end of a replay.
const FAULTS: [&str; 6] = ["lost", "duplicated", "reordered", "gaps", "mismatched", "wrong_recipients"];

/// Adds one test to the report.
///
/// # Errors
/// The report cannot be written.
pub fn run(root: &Path, binary: &Path, report: &mut Report) -> Result<()> {
    let log = log(root).unwrap_or_else(|| root.join(EXCERPT));
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
    let server = Server::start(binary, &folder, &[])?;
    let bytes = fs::read(log)?;
    let slice: Vec<u8> = bytes.split_inclusive(|byte| *byte == b'\n').take(LINES).flatten().copied().collect();
    let file = folder.join("slice.txt");
    fs::write(&file, slice)?;
    let mut replay = Command::new(binary);
    let (url, key) = (server.word("ws")?, server.word("admin_key")?);
    replay.args(["replay", "--speed", "max", "--json", "--url", &url, "--admin-key", &key]);
    // Whose checker has its say in whether the replay is good.
    replay.arg("--history").arg(folder.join("history.jsonl")).arg(&file);
    let lines = follow(root, &mut replay)?;
    judge(&lines)?;
    server.stop()
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
