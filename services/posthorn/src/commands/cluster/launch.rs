//! Starting and ending the processes of a cluster, each noted in the state before anything else happens.

use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result, bail};
use posthorn_clock::{Instant, sleep, timeout};
use posthorn_engines::{
    cassandra::{self, CommitLog, Options},
    detached::Detached,
    nats::{self, Nats},
    process::{Process, tail},
    redis,
};

use super::{
    fetch, services,
    state::{Member, Part, State, Turn},
};

/// For a process to become ready, on a machine that does a lot else.
pub const READY: Duration = Duration::from_secs(300);
/// For one question whether it is.
pub const ASK: Duration = Duration::from_secs(2);
pub const POLL: Duration = Duration::from_millis(50);
/// For a process to stop in order: more than it takes itself (`node.stop_budget_ms`).
pub const STOP: Duration = Duration::from_secs(30);
/// For one that was killed to be gone.
const GONE: Duration = Duration::from_secs(10);

/// A cluster whose turn is this command's.
pub struct Cluster {
    pub dir: PathBuf,
    pub state: State,
    pub turn: Turn,
}

impl Cluster {
    /// The one in `dir`.
    ///
    /// # Errors
    /// There is none.
    pub fn open(dir: PathBuf) -> Result<Self> {
        let none = || format!("there is no cluster in {}", dir.display());
        if State::load(&dir)?.is_none() {
            bail!(none());
        }
        let turn = Turn::take(&dir)?;
        // Read again: it may be another one now.
        let state = State::load(&dir)?.with_context(none)?;
        Ok(Self { dir, state, turn })
    }

    pub fn save(&self) -> Result<()> {
        self.state.save(&self.dir)
    }

    /// Starts these processes and waits until each is ready.
    ///
    /// # Errors
    /// Which one is not, and the end of its output.
    pub async fn launch(&mut self, places: &[usize]) -> Result<()> {
        let begun = Instant::now();
        for &at in places {
            let process = self.start(&self.state.members[at]);
            let process = process.with_context(|| cannot_start(&self.state.members[at]))?;
            self.state.members[at].process = Some(process);
            self.save()?;
        }
        for &at in places {
            let member = &self.state.members[at];
            self.wait(member, begun).await?;
            eprintln!("{}: ready after {:.1} s", member.name, begun.elapsed().as_secs_f64());
        }
        Ok(())
    }

    fn start(&self, member: &Member) -> Result<Detached> {
        let folder = self.dir.join("data").join(&member.name);
        let log = services::log(&self.dir, &member.name);
        match member.part {
            Part::Nats => Nats::start_detached(&folder, member.port, &log),
            Part::Redis => redis::start_detached(&folder, member.port, &log),
            Part::Cassandra => {
                let options = Options { commit_log: CommitLog::Batch, ..Options::single() };
                let between = member.inner_port.context("no port between nodes")?;
                cassandra::start_detached(&folder, (member.port, between), options, &log)
            }
            Part::Balancer => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["cluster", "balance", "--dir"]).arg(&self.dir);
                Process::start_detached(&member.name, command, &log)
            }
            _ => services::start(&self.dir, &self.state, member),
        }
    }

    async fn wait(&self, member: &Member, begun: Instant) -> Result<()> {
        while !ready(member).await {
            let what = if !member.running() {
                "ended before it was ready".to_owned()
            } else if begun.elapsed() > READY {
                format!("was not ready in {READY:?}")
            } else {
                sleep(POLL).await;
                continue;
            };
            let log = services::log(&self.dir, &member.name);
            bail!("{} {what}; the end of {}:\n{}", member.name, log.display(), tail(&log));
        }
        Ok(())
    }

    /// Who of these does not run. One that was killed just now is still there for a moment: whoever does not answer is
    /// given the time to be gone.
    pub async fn dead(&self, places: &[usize]) -> Vec<usize> {
        let dead = places.iter().map(async |&at| {
            let member = &self.state.members[at];
            let Some(process) = member.process else { return Some(at) };
            let gone = !process.running() || (!ready(member).await && process.ended(GONE).await);
            gone.then_some(at)
        });
        futures_util::future::join_all(dead).await.into_iter().flatten().collect()
    }

    /// SIGTERM for all of these at once; whoever has not ended in time is killed where `force`.
    ///
    /// # Errors
    /// Which one did not end.
    pub async fn stop(&mut self, places: &[usize], force: bool) -> Result<()> {
        let running = |member: &Member| member.process.filter(|process| process.running());
        let stopping = places.iter().filter_map(|&at| {
            let member = &self.state.members[at];
            let process = running(member)?;
            let name = member.name.clone();
            Some(async move {
                let begun = Instant::now();
                if process.terminate(STOP).await? {
                    eprintln!("{name}: ended after {:.1} s", begun.elapsed().as_secs_f64());
                    return Ok(());
                }
                if !force {
                    bail!("{name} did not end in {STOP:?}: kill process {}, or wait", process.pid());
                }
                eprintln!("{name}: did not end in {STOP:?}, and is killed");
                process.kill(GONE).await?;
                anyhow::Ok(())
            })
        });
        let ended = futures_util::future::join_all(stopping).await;
        self.forget(places)?;
        ended.into_iter().collect()
    }

    /// `kill -9` for all of these.
    ///
    /// # Errors
    /// Which one is still there.
    pub async fn kill(&mut self, places: &[usize]) -> Result<()> {
        for &at in places {
            let member = &self.state.members[at];
            if let Some(process) = member.process
                && !process.kill(GONE).await?
            {
                bail!("{} (process {}) does not go away", member.name, process.pid());
            }
        }
        self.forget(places)
    }

    /// Notes who has ended.
    fn forget(&mut self, places: &[usize]) -> Result<()> {
        for &at in places {
            let member = &mut self.state.members[at];
            member.process = member.process.filter(|process| process.running());
        }
        self.save()
    }

    pub fn places(&self, part: Part) -> Vec<usize> {
        (0..self.state.members.len()).filter(|&at| self.state.members[at].part == part).collect()
    }
}

fn cannot_start(member: &Member) -> String {
    let name = &member.name;
    match member.part {
        Part::Nats => format!("{name} cannot be started; POSTHORN_CLUSTER_NATS names one that runs"),
        Part::Redis => format!("{name} cannot be started; POSTHORN_CLUSTER_REDIS names one that runs"),
        Part::Cassandra => format!("{name} cannot be started; POSTHORN_CLUSTER_CQL names nodes that run"),
        _ => format!("{name} cannot be started"),
    }
}

/// Whether it does what it is there for.
pub async fn ready(member: &Member) -> bool {
    match member.part {
        Part::Nats => timeout(ASK, nats::answers(member.port)).await == Ok(true),
        Part::Redis => redis::answers(member.port),
        Part::Cassandra => cassandra::answers(member.address()),
        Part::Balancer => match member.inner_address() {
            Some(at) => fetch::says_ok(at, "/livez", ASK).await,
            None => false,
        },
        _ => fetch::says_ok(member.address(), "/readyz", ASK).await,
    }
}
