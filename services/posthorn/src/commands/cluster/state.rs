//! What a cluster is made of, kept in a file of its directory: the only thing that its commands know about
//! each other.

use std::{
    fs::{self, File, TryLockError},
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use posthorn_engines::detached::Detached;
use serde::{Deserialize, Serialize};

/// Of the file; another one is refused.
const FORMAT: u32 = 1;

/// What a process is, in the order of their start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    Nats,
    Redis,
    Cassandra,
    Storage,
    Session,
    Routing,
    Push,
    Gateway,
    Balancer,
}

impl Part {
    pub const ALL: [Self; 9] = [
        Self::Nats,
        Self::Redis,
        Self::Cassandra,
        Self::Storage,
        Self::Session,
        Self::Routing,
        Self::Push,
        Self::Gateway,
        Self::Balancer,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Nats => "nats",
            Self::Redis => "redis",
            Self::Cassandra => "cassandra",
            Self::Storage => "storage",
            Self::Session => "session",
            Self::Routing => "routing",
            Self::Push => "push",
            Self::Gateway => "gateway",
            Self::Balancer => "balancer",
        }
    }

    pub const fn is_service(self) -> bool {
        matches!(self, Self::Storage | Self::Session | Self::Routing | Self::Push | Self::Gateway)
    }
}

/// One process, or the place of one that is dead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// That of its part; of a service with its number, `routing-2`.
    pub name: String,
    pub part: Part,
    /// On 127.0.0.1: HTTP of a service, the clients' of the balancer, an engine's own protocol.
    pub port: u16,
    /// gRPC of a service that is called, what the balancer says about the cluster, what is between Cassandra's nodes.
    pub inner_port: Option<u16>,
    pub process: Option<Detached>,
}

impl Member {
    pub fn running(&self) -> bool {
        self.process.is_some_and(Detached::running)
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub fn inner_address(&self) -> Option<SocketAddr> {
        self.inner_port.map(|port| (Ipv4Addr::LOCALHOST, port).into())
    }

    pub fn ports(&self) -> impl Iterator<Item = u16> {
        [Some(self.port), self.inner_port].into_iter().flatten()
    }
}

/// Engines that the environment names: they are nobody's to start or to end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// `nats://HOST:PORT` of some servers.
    pub nats: Vec<String>,
    /// `HOST:PORT`.
    pub redis: Vec<String>,
    /// `HOST:PORT` of some nodes.
    pub cassandra: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    format: u32,
    /// Everything was ready once, and nobody has ended it since.
    pub up: bool,
    pub given: Given,
    /// Keys of the services' configuration that are not at what a cluster sets.
    pub settings: Vec<(String, String)>,
    /// In the order of their start.
    pub members: Vec<Member>,
}

impl State {
    pub fn new(given: Given, settings: Vec<(String, String)>, members: Vec<Member>) -> Self {
        Self { format: FORMAT, up: false, given, settings, members }
    }

    /// `None` where there never was a cluster.
    pub fn load(dir: &Path) -> Result<Option<Self>> {
        let path = file(dir);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let state: Self = serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
        if state.format != FORMAT {
            bail!("{} is of another version: end that cluster with the build that made it", path.display());
        }
        Ok(Some(state))
    }

    /// Whoever reads it meanwhile finds the old or the new one, whole.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let (path, next) = (file(dir), dir.join("state.json.next"));
        let write = || -> std::io::Result<()> {
            let mut out = File::create(&next)?;
            out.write_all(&serde_json::to_vec_pretty(self)?)?;
            out.sync_all()?;
            fs::rename(&next, &path)
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    pub fn of(&self, part: Part) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(move |member| member.part == part)
    }

    /// Places of the members that `name` means: all of a part, or one.
    pub fn named(&self, name: &str) -> Result<Vec<usize>> {
        let meant = |member: &Member| member.name == name || member.part.name() == name;
        let found: Vec<usize> = (0..self.members.len()).filter(|&at| meant(&self.members[at])).collect();
        if found.is_empty() {
            if Part::ALL.iter().any(|part| part.name() == name) {
                bail!("{name} is not part of this cluster: its address was given");
            }
            let names: Vec<&str> = self.members.iter().map(|member| member.name.as_str()).collect();
            bail!("there is no `{name}`: a service, an engine, or one of {}", names.join(", "));
        }
        Ok(found)
    }

    pub fn nats(&self) -> Vec<String> {
        let own = || self.of(Part::Nats).map(|member| format!("nats://{}", member.address())).collect();
        if self.given.nats.is_empty() { own() } else { self.given.nats.clone() }
    }

    pub fn redis(&self) -> Vec<String> {
        let own = || self.of(Part::Redis).map(|member| member.address().to_string()).collect();
        if self.given.redis.is_empty() { own() } else { self.given.redis.clone() }
    }

    pub fn cassandra(&self) -> Vec<String> {
        let own = || self.of(Part::Cassandra).map(|member| member.address().to_string()).collect();
        if self.given.cassandra.is_empty() { own() } else { self.given.cassandra.clone() }
    }

    /// Where the processes of a service are called by the others.
    pub fn grpc(&self, part: Part) -> Vec<String> {
        self.of(part).filter_map(Member::inner_address).map(|at| format!("http://{at}")).collect()
    }
}

fn file(dir: &Path) -> PathBuf {
    dir.join("state.json")
}

/// Held by one command at a time; given back with the end of its process.
pub struct Turn {
    held: File,
}

/// Not left to the closing of the file: a process that was just forked holds it too, until it runs its program.
impl Drop for Turn {
    fn drop(&mut self) {
        let _ = self.held.unlock();
    }
}

impl Turn {
    /// Waits for the command before.
    pub fn take(dir: &Path) -> Result<Self> {
        let path = dir.join("lock");
        let open = File::options().create(true).truncate(false).write(true).open(&path);
        let file = open.with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => return Ok(Self { held: file }),
            Err(TryLockError::WouldBlock) => eprintln!("waiting for another command on this cluster to end"),
            Err(TryLockError::Error(error)) => return Err(error).context("cannot lock the cluster"),
        }
        file.lock().context("cannot lock the cluster")?;
        Ok(Self { held: file })
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn member(name: &str, part: Part, port: u16) -> Member {
        let inner_port = part.is_service().then_some(port + 1);
        Member { name: name.to_owned(), part, port, inner_port, process: None }
    }

    fn state() -> State {
        let members = vec![
            member("redis", Part::Redis, 1),
            member("routing-1", Part::Routing, 10),
            member("routing-2", Part::Routing, 20),
        ];
        let given = Given { nats: vec!["nats://n:4222".to_owned()], ..Given::default() };
        State::new(given, vec![("a.b".to_owned(), "1".to_owned())], members)
    }

    #[test]
    fn what_was_saved_is_found_and_nothing_half_written_is_left() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(State::load(dir.path()).expect("reads"), None);
        let mut state = state();
        state.save(dir.path()).expect("writes");
        state.members[1].process = Some(Detached::of(std::process::id()).expect("this one"));
        state.save(dir.path()).expect("writes");
        assert_eq!(State::load(dir.path()).expect("reads"), Some(state));
        assert_eq!(fs::read_dir(dir.path()).expect("lists").count(), 1);
    }

    #[test]
    fn a_file_of_another_version_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        State { format: FORMAT + 1, ..state() }.save(dir.path()).expect("writes");
        assert!(State::load(dir.path()).expect_err("refused").to_string().contains("another version"));
    }

    #[test]
    fn a_name_means_all_of_a_service_or_one() {
        let state = state();
        assert_eq!(state.named("routing").expect("all"), [1, 2]);
        assert_eq!(state.named("routing-2").expect("one"), [2]);
        assert_eq!(state.named("redis").expect("one"), [0]);
        assert!(state.named("nats").expect_err("given").to_string().contains("given"));
        assert!(state.named("routing-3").expect_err("none").to_string().contains("routing-2"));
    }

    #[test]
    fn addresses_are_those_given_or_the_clusters_own() {
        let state = state();
        assert_eq!(state.nats(), ["nats://n:4222"]);
        assert_eq!(state.redis(), ["127.0.0.1:1"]);
        assert_eq!(state.grpc(Part::Routing), ["http://127.0.0.1:11", "http://127.0.0.1:21"]);
    }

    #[test]
    fn commands_take_turns() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = Turn::take(dir.path()).expect("free");
        let other = File::options().write(true).open(dir.path().join("lock")).expect("opens");
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        drop(first);
        other.try_lock().expect("free again");
    }
}
