//! A replay that runs while something fails, and what its checker finds.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use posthorn_clock::{Instant, sleep, timeout};
use posthorn_history::{Checker, Event, Item, Kind, Op, Reader, Recorder, Sight};
use posthorn_testkit::{Deployment, Server};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

const OUTPUT: &str = "replay.out";
const ERRORS: &str = "replay.err";
const HISTORY: &str = "history.jsonl";
/// Until people talk.
const BEGIN: Duration = Duration::from_secs(120);
/// A replay and its check, beyond twice what people need to say it all: while something is away they say little.
const REPLAY: Duration = Duration::from_secs(360);
/// Nothing succeeds for so long: longer than any fault.
pub const GIVE_UP: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(200);
/// What every run shows.
const EVERY_RUN: &[Sight] = &[
    Sight::Settled,
    Sight::Acked,
    Sight::Received,
    Sight::WholeRead,
    Sight::Joined,
    Sight::Left,
    Sight::Marked,
    Sight::UnreadSeen,
    Sight::PresenceSeen,
    Sight::Fed,
];
/// Every text begins with it.
pub const SAID: &str = "between us";
const NICKS: [&str; 8] = ["ada", "ben", "cyd", "dee", "eve", "fay", "gus", "hal"];

/// What people did and saw, and what their client says of it: not on the cluster's disk, which may be full, and beside
/// the cluster's logs at the end.
struct Records {
    folder: TempDir,
    cluster: PathBuf,
}

impl Records {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        for name in [OUTPUT, ERRORS, HISTORY] {
            if let Err(error) = fs::copy(self.path(name), self.cluster.join(name)) {
                println!("{name} is not kept: {error}");
            }
        }
    }
}

pub struct Run {
    child: Child,
    records: Records,
    begun: Instant,
    patience: Duration,
}

/// People who talk for so many seconds at least, each over a connection of their own.
pub struct Talk {
    /// Not where the cluster says that its gateways are.
    pub url: Option<String>,
    /// As many conversations.
    pub files: u32,
    pub seconds: u32,
    /// Messages a second, of all together.
    pub speed: u32,
    pub give_up: Duration,
}

impl Talk {
    pub async fn start(self, cluster: &Deployment) -> Result<Run> {
        let files: Vec<PathBuf> = (1..=self.files).map(|n| cluster.dir().join(format!("talk{n}.txt"))).collect();
        for file in &files {
            write_talk(file, self.seconds * self.speed / self.files)?;
        }
        let mut command = Command::new(Server::binary()?);
        command.args(["replay", "--json", "--progress", "--speed", &self.speed.to_string()]);
        command.args(["--give-up-after-s", &self.give_up.as_secs().to_string()]);
        let url = self.url.as_ref().unwrap_or(&cluster.running.ws);
        command.args(["--url", url, "--admin-key", &cluster.running.admin_key]).args(&files);
        let folder = tempfile::Builder::new().prefix("posthorn-talk-").tempdir()?;
        let records = Records { folder, cluster: cluster.dir().to_owned() };
        let [output, errors] = [OUTPUT, ERRORS].map(|name| File::create(records.path(name)));
        command.arg("--history").arg(records.path(HISTORY));
        command.stdin(Stdio::null()).stdout(output?).stderr(errors?).kill_on_drop(true);
        let child = command.spawn().context("cannot start the replay")?;
        let patience = REPLAY + 2 * Duration::from_secs(self.seconds.into());
        Ok(Run { child, records, begun: Instant::now(), patience })
    }
}

fn write_talk(file: &Path, lines: u32) -> Result<()> {
    let mut text = String::new();
    for line in 0..lines {
        let nick = NICKS[(line as usize * 7 + line as usize / 5) % NICKS.len()];
        text.push_str(&match line % 100 {
            // Members change meanwhile.
            50 => "=== ivy [i@example] has joined #talk\n".to_owned(),
            75 => "=== ivy has left #talk\n".to_owned(),
            _ => format!("<{nick}> {SAID} {line}\n"),
        });
    }
    Ok(fs::write(file, text)?)
}

impl Run {
    /// Until so many messages are acknowledged.
    pub async fn acked(&mut self, messages: u64) -> Result<()> {
        while self.progress()? < messages {
            if let Some(status) = self.child.try_wait()? {
                bail!("the replay ended with {status}: {}", fs::read_to_string(self.records.path(ERRORS))?);
            }
            ensure!(self.begun.elapsed() < BEGIN, "nobody can say anything");
            sleep(POLL).await;
        }
        Ok(())
    }

    /// The last number of its lines of progress.
    pub fn progress(&self) -> Result<u64> {
        last_acked(&self.records.path(ERRORS))
    }

    /// When it ended before somebody had stopped listening.
    pub async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    pub async fn result(mut self) -> Result<Outcome> {
        let waited = timeout(self.patience.saturating_sub(self.begun.elapsed()), self.child.wait()).await;
        let status = waited.with_context(|| format!("the replay hangs: {:?} messages", self.progress()))??;
        let [output, errors] = [OUTPUT, ERRORS].map(|name| fs::read_to_string(self.records.path(name)));
        let (output, errors) = (output?, errors?);
        let line = output.lines().last().with_context(|| format!("the replay says nothing: {status}\n{errors}"))?;
        let result = serde_json::from_str(line).with_context(|| format!("{line:?} is no JSON\n{errors}"))?;
        Ok(Outcome { result, succeeded: status.success(), records: self.records })
    }
}

fn last_acked(errors: &Path) -> Result<u64> {
    let text = fs::read_to_string(errors)?;
    let acked = |line: &str| serde_json::from_str::<Value>(line).ok()?["acked"].as_u64();
    Ok(text.lines().rev().find_map(acked).unwrap_or(0))
}

/// Of a run that came to no good end: what the checker says of as much of its history as there is, and how many
/// messages were acknowledged.
pub fn so_far(cluster: &Deployment) -> Result<(posthorn_history::Report, u64)> {
    let mut checker = Checker::default();
    // Its last line may be half a line.
    for event in Reader::open(&cluster.dir().join(HISTORY))?.map_while(Result::ok) {
        checker.take(&event);
    }
    Ok((checker.finish(&[]), last_acked(&cluster.dir().join(ERRORS))?))
}

/// What the checker found.
pub struct Outcome {
    result: Value,
    succeeded: bool,
    records: Records,
}

impl Outcome {
    pub fn whole(&self) -> Result<()> {
        for fault in ["lost", "duplicated", "reordered", "gaps", "mismatched", "wrong_recipients"] {
            ensure!(self.result[fault] == 0, "{fault}: {}: {}", self.result[fault], self.result);
        }
        ensure!(self.succeeded && self.result["acked"] == self.result["messages"], "{}", self.result);
        Ok(())
    }

    /// What everybody did and saw under this fault, and what the feed was given, breaks no rule; it shows what is
    /// expected of every run, and of this one.
    pub fn judge(
        &self,
        fault: &str,
        fed: Vec<(String, Vec<Item>)>,
        expect: &[Sight],
    ) -> Result<posthorn_history::Report> {
        let history = self.records.path(HISTORY);
        let file = Recorder::append(&history)?;
        for (conversation, entries) in fed {
            file.add(0, "follower", Kind::Ok, Op::Feed { conversation, entries });
        }
        file.flush()?;
        let mut checker = Checker::default();
        if fault != "none" {
            // It was over before people had ended.
            let op = Op::Fault { what: fault.to_owned() };
            checker.take(&Event { at_ms: 0, process: "faults".to_owned(), kind: Kind::Info, op });
        }
        for event in Reader::open(&history)? {
            checker.take(&event?);
        }
        let report = checker.finish(&[EVERY_RUN, expect].concat());
        ensure!(report.good(), "{HISTORY}: {}", report.text());
        Ok(report)
    }

    /// Where they talked, and the last seq of each.
    pub fn conversations(&self) -> Result<Vec<(String, u64)>> {
        let files = self.result["files"].as_array().context("no files")?;
        let of = |file: &Value| Some((file["conversation"].as_str()?.to_owned(), file["head_seq"].as_u64()?));
        files.iter().map(|file| of(file).with_context(|| format!("no conversation in {file}"))).collect()
    }

    /// From the send, for 99 of 100 deliveries.
    pub fn delivered_within_ms(&self) -> f64 {
        self.result["deliver_p99_ms"].as_f64().unwrap_or(f64::MAX)
    }

    pub fn summary(&self) -> String {
        let of = |key: &str| self.result[key].to_string();
        let ms = |key: &str| self.result[key].as_f64().unwrap_or_default().round();
        format!(
            "{} messages, {} deliveries, {} reconnects; ack p99 {} ms, delivery p50 {} ms, p99 {} ms",
            of("messages"),
            of("delivered"),
            of("reconnects"),
            ms("p99_ms"),
            ms("deliver_p50_ms"),
            ms("deliver_p99_ms")
        )
    }
}
