//! A `posthorn dev` of one step alone: a data directory of its own, a free port, ended in all cases.

use std::{
    fs,
    path::Path,
    process::{Child, Command},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::process::{lines_of, spawn};

const READY_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(40);

pub struct Server {
    child: Child,
    /// What it said of itself when it was ready.
    ready: Value,
}

impl Server {
    /// Starts it with its data, and what else the step keeps, in a folder that is emptied before.
    ///
    /// # Errors
    /// It cannot be started, or is not ready in time.
    pub fn start(binary: &Path, folder: &Path, environment: &[(&str, &str)]) -> Result<Self> {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder)?;
        let mut dev = Command::new(binary);
        dev.args(["dev", "--json", "--listen", "127.0.0.1:0", "--data-dir"]).arg(folder.join("data"));
        let mut child = spawn(dev.envs(environment.iter().copied()))?;
        let output = lines_of(&mut child);
        let mut server = Self { child, ready: Value::Null };
        let until = Instant::now() + READY_LIMIT;
        while server.ready.is_null() {
            let left = until.saturating_duration_since(Instant::now());
            let line = output.recv_timeout(left).context("`posthorn dev --json` did not get ready")?;
            // Its log goes to the other stream; only the line of `--json` has a `ws`.
            if let Ok(value) = serde_json::from_str::<Value>(&line)
                && value.get("ws").is_some()
            {
                server.ready = value;
            }
        }
        // Its output is read on, or it would stop at a full pipe.
        std::thread::spawn(move || output.into_iter().for_each(drop));
        Ok(server)
    }

    pub fn ready(&self) -> &Value {
        &self.ready
    }

    /// A field of its ready line.
    ///
    /// # Errors
    /// The line has no such text.
    pub fn word(&self, name: &str) -> Result<String> {
        self.ready.get(name).and_then(Value::as_str).map(str::to_owned).with_context(|| name.to_owned())
    }

    /// As an operator would.
    ///
    /// # Errors
    /// It does not end in time, or does not end well.
    pub fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("a process id")?;
        kill_process(pid, Signal::TERM)?;
        let until = Instant::now() + STOP_LIMIT;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                if !status.success() {
                    bail!("the server ended with {status} on SIGTERM");
                }
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("the server did not stop within {} s of SIGTERM", STOP_LIMIT.as_secs());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Of a process that has ended and been waited for, both do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
