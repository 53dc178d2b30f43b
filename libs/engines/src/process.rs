//! One engine as a child process, ended by its own id, whatever becomes of its parent.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use posthorn_clock::{Instant, sleep};
use rustix::process::{Pid, Signal, kill_process};

use crate::detached::Detached;

const POLL: Duration = Duration::from_millis(20);

/// Waits for the end of its input, which its parent holds open, then ends the engine: also after
/// `kill -9` of the parent, and where the parent's statics are never dropped. A folder that the engine still
/// writes to while it dies takes more than one try.
const GUARD: &str = r#"trap "" INT TERM HUP
read -r _
kill -9 "$1"
[ -n "$2" ] || exit 0
for try in 1 2 3 4 5; do rm -rf -- "$2" && break; sleep 1; done
rmdir -- "$(dirname -- "$2")""#;

/// A running engine. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    guard: Option<Child>,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its output appended to `log`. It ends with this process at the latest.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(name: &str, command: Command, log: &Path) -> Result<Self> {
        Self::guarded(name, command, log, None)
    }

    /// As [`Process::start`]; should this process end without dropping it, `folder` is removed, too, and
    /// the folder around it once that is empty. Who drops it removes the folder.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_scrapping(name: &str, command: Command, log: &Path, folder: &Path) -> Result<Self> {
        Self::guarded(name, command, log, Some(folder))
    }

    fn guarded(name: &str, command: Command, log: &Path, scrap: Option<&Path>) -> Result<Self> {
        let mut process = Self::spawn(name, command, log)?;
        let guard = Command::new("sh")
            .args(["-c", GUARD, "sh", &process.pid().to_string()])
            .arg(scrap.unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        // On failure the engine is dropped here, and so killed.
        process.guard = Some(guard.with_context(|| format!("cannot guard {name}"))?);
        Ok(process)
    }

    /// Starts `command` to outlive this process.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_detached(name: &str, command: Command, log: &Path) -> Result<Detached> {
        let process = Self::spawn(name, command, log)?;
        let detached = Detached::of(process.pid())?;
        // Not dropped, which would kill it.
        std::mem::forget(process);
        Ok(detached)
    }

    fn spawn(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        if let Some(folder) = log.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let out = File::options().create(true).append(true).open(log);
        let out = out.with_context(|| format!("cannot write {}", log.display()))?;
        let errors = out.try_clone()?;
        // A group of its own: an interrupt at the terminal is for the parent, which then ends its engines.
        command.stdin(Stdio::null()).stdout(out).stderr(errors).process_group(0);
        let child = command.spawn().with_context(|| format!("cannot start {name} ({command:?})"))?;
        Ok(Self { name: name.to_owned(), child, guard: None, log: log.to_owned() })
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// False once it has ended.
    pub fn running(&mut self) -> bool {
        let running = matches!(self.child.try_wait(), Ok(None));
        if !running {
            self.unguard();
        }
        running
    }

    /// `kill -9`, then waits until it is gone: it writes nothing any more.
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.unguard();
        self.child.kill().with_context(|| format!("cannot kill {}", self.name))?;
        self.child.wait().with_context(|| format!("cannot wait for {}", self.name))?;
        Ok(())
    }

    /// SIGTERM, then waits for the exit, `budget` at most.
    ///
    /// # Errors
    /// It did not end in time: it still runs.
    pub async fn terminate(&mut self, budget: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                self.unguard();
                return Ok(status);
            }
            if begun.elapsed() > budget {
                bail!("{} did not end in {budget:?}", self.name);
            }
            sleep(POLL).await;
        }
    }

    /// SIGSTOP: it keeps its connections and answers nothing.
    ///
    /// # Errors
    /// It is gone.
    pub fn pause(&mut self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// It is gone.
    pub fn resume(&mut self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        if !self.running() {
            bail!("{} has ended", self.name);
        }
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).context("no pid")?;
        kill_process(pid, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Polls `ready` until it is true, `budget` at most.
    ///
    /// # Errors
    /// It ended, or did not become ready; the end of its output is in the error.
    pub async fn ready(&mut self, budget: Duration, mut ready: impl AsyncFnMut() -> bool) -> Result<()> {
        let begun = Instant::now();
        while !ready().await {
            if !self.running() {
                bail!("{} ended before it was ready:\n{}", self.name, self.tail());
            }
            if begun.elapsed() > budget {
                bail!("{} was not ready in {budget:?}:\n{}", self.name, self.tail());
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    /// The last lines of its output.
    #[must_use]
    pub fn tail(&self) -> String {
        tail(&self.log)
    }

    /// Once the engine is reaped, its pid may be somebody else's.
    fn unguard(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            // Neither can fail for a child that nobody has waited for.
            let _ = guard.kill();
            let _ = guard.wait();
        }
    }
}

/// The last lines of a file of output; nothing of one that cannot be read.
#[must_use]
pub fn tail(log: &Path) -> String {
    const LINES: usize = 20;
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

impl Drop for Process {
    fn drop(&mut self) {
        // What has ended already is no error.
        let _ = self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn alive(pid: u32) -> bool {
        // A zombie is not alive: its parent has only not looked.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with(['Z', 'X']))
    }

    async fn gone(pid: u32) {
        while alive(pid) {
            sleep(POLL).await;
        }
    }

    #[tokio::test]
    async fn an_engine_ends_when_it_is_dropped() {
        let folder = tempfile::tempdir().expect("a folder");
        let process = Process::start("sleeper", sleeper("exec sleep 600"), &folder.path().join("log")).expect("starts");
        let (pid, guard) = (process.pid(), process.guard.as_ref().expect("guarded").id());
        assert!(alive(pid) && alive(guard));
        drop(process);
        assert!(!alive(pid) && !alive(guard));
    }

    #[tokio::test]
    async fn an_engine_ends_when_its_parent_is_gone_without_dropping_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut process =
            Process::start("sleeper", sleeper("exec sleep 600"), &folder.path().join("log")).expect("starts");
        // What the end of the parent does to the guard: its input closes.
        drop(process.guard.as_mut().and_then(|guard| guard.stdin.take()));
        gone(process.pid()).await;
        assert!(!process.running());
    }

    #[tokio::test]
    async fn what_a_dead_parent_left_is_removed() {
        let folder = tempfile::tempdir().expect("a folder").keep();
        let data = folder.join("data");
        let mut process =
            Process::start_scrapping("sleeper", sleeper("exec sleep 600"), &data.join("log"), &data).expect("starts");
        drop(process.guard.as_mut().and_then(|guard| guard.stdin.take()));
        while folder.exists() {
            sleep(POLL).await;
        }
    }

    #[tokio::test]
    async fn a_paused_engine_goes_on_when_it_is_resumed() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("log");
        let mut process =
            Process::start("counter", sleeper("while :; do echo tick; sleep 0.02; done"), &log).expect("starts");
        process
            .ready(Duration::from_secs(10), async || fs::metadata(&log).is_ok_and(|m| m.len() > 0))
            .await
            .expect("ticks");
        process.pause().expect("pauses");
        let stopped = || fs::read_to_string(format!("/proc/{}/stat", process.pid())).is_ok_and(|s| s.contains(") T "));
        while !stopped() {
            sleep(POLL).await;
        }
        let before = fs::metadata(&log).expect("a log").len();
        process.resume().expect("resumes");
        process
            .ready(Duration::from_secs(10), async || fs::metadata(&log).is_ok_and(|m| m.len() > before))
            .await
            .expect("ticks");
        let status = process.terminate(Duration::from_secs(10)).await.expect("ends");
        assert!(!status.success());
    }

    #[tokio::test]
    async fn one_that_ends_early_says_why() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut process =
            Process::start("broken", sleeper("echo no room >&2; exit 3"), &folder.path().join("log")).expect("starts");
        let error = process.ready(Duration::from_secs(10), async || false).await.expect_err("ended");
        assert!(error.to_string().contains("no room"), "{error}");
    }

    #[tokio::test]
    async fn a_detached_one_outlives_its_handle() {
        let folder = tempfile::tempdir().expect("a folder");
        let detached =
            Process::start_detached("sleeper", sleeper("exec sleep 600"), &folder.path().join("log")).expect("starts");
        assert!(alive(detached.pid()) && detached.running());
        assert!(detached.kill(Duration::from_secs(10)).await.expect("kills"));
        assert!(!alive(detached.pid()));
    }
}
