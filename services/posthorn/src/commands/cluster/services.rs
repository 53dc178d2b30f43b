//! A service as a process: its configuration file, and how it is started.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use posthorn_engines::{detached::Detached, process::Process};
use serde_json::{Value, json};

use super::state::{Member, Part, State};

/// How long a process may take to stop in order; its clients are asked to leave within the first part.
const STOP_BUDGET_MS: u64 = 20_000;
const DRAIN_CAP_MS: u64 = 5_000;
/// Longer than the balancer takes to notice that a gateway is not ready any more.
const DRAIN_PROPAGATION_MS: u64 = 500;
/// JetStream takes a stream only where as much as it may grow to is free: on this machine that is little.
const MAX_FEED_BYTES: u64 = 2 * 1024 * 1024 * 1024;
const MAX_DEAD_BYTES: u64 = 64 * 1024 * 1024;

/// Where its configuration is written.
fn file(dir: &Path, member: &Member) -> PathBuf {
    dir.join("config").join(format!("{}.toml", member.name))
}

pub fn log(dir: &Path, name: &str) -> PathBuf {
    dir.join("log").join(format!("{name}.log"))
}

/// Starts the process; the build is the one that runs this.
pub fn start(dir: &Path, state: &State, member: &Member) -> Result<Detached> {
    let config = write(dir, state, member)?;
    let mut command = posthorn(state)?;
    command.args(["serve", "--role", member.part.name(), "--config"]).arg(config);
    Process::start_detached(&member.name, command, &log(dir, &member.name))
}

/// Makes the tables that are missing.
pub fn apply_schema(dir: &Path, state: &State) -> Result<()> {
    let storage = state.of(Part::Storage).next().context("no storage in this cluster")?;
    let config = write(dir, state, storage)?;
    let output = posthorn(state)?.args(["schema", "apply", "--config"]).arg(config).output();
    let output = output.context("cannot start the schema command")?;
    if !output.status.success() {
        bail!("the schema cannot be applied: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(())
}

fn posthorn(state: &State) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("where this program is cannot be found out")?);
    command.envs(state.settings.iter().map(|(key, value)| (variable(key), value)));
    Ok(command)
}

/// The environment's name of a key: `POSTHORN__SECTION__KEY`.
fn variable(key: &str) -> String {
    format!("{}{}", posthorn_config::PREFIX, key.replace('.', "__").to_uppercase())
}

fn write(dir: &Path, state: &State, member: &Member) -> Result<PathBuf> {
    let path = file(dir, member);
    let text = toml::to_string(&configuration(dir, state, member))?;
    fs::create_dir_all(dir.join("config"))
        .and_then(|()| fs::write(&path, text))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn configuration(dir: &Path, state: &State, member: &Member) -> Value {
    let grpc = member.inner_address().map(|at| at.to_string()).unwrap_or_default();
    let advertise = if grpc.is_empty() { String::new() } else { format!("http://{grpc}") };
    json!({
        "node": { "stop_budget_ms": STOP_BUDGET_MS },
        "listen": { "addr": member.address().to_string() },
        "cluster": {
            "grpc_addr": grpc,
            "advertise": advertise,
            "storage": state.grpc(Part::Storage),
            "session": state.grpc(Part::Session),
            "push": state.grpc(Part::Push),
        },
        "engines": { "store": "cql", "bus": "nats", "presence": "redis" },
        "store": { "data_dir": dir.display().to_string() },
        "nats": {
            "servers": state.nats(),
            "feed": { "max_bytes": MAX_FEED_BYTES, "max_dead_bytes": MAX_DEAD_BYTES },
        },
        "redis": { "addresses": state.redis() },
        "cql": { "nodes": state.cassandra(), "keyspace": "posthorn", "replication": 1 },
        "edge": { "drain_propagation_ms": DRAIN_PROPAGATION_MS, "drain_cap_ms": DRAIN_CAP_MS },
    })
}

#[cfg(test)]
mod tests {
    use posthorn_node::ConfigSource;

    use super::*;
    use crate::commands::cluster::state::{Given, tests::member};

    #[test]
    fn a_service_is_told_where_everything_is_and_every_key_is_known() {
        let members = vec![
            member("nats", Part::Nats, 1),
            member("redis", Part::Redis, 2),
            member("cassandra", Part::Cassandra, 3),
            member("storage-1", Part::Storage, 10),
            member("storage-2", Part::Storage, 20),
            member("session-1", Part::Session, 30),
            member("routing-1", Part::Routing, 40),
        ];
        let state = State::new(Given::default(), Vec::new(), members);
        let dir = tempfile::tempdir().expect("a folder");
        let path = write(dir.path(), &state, &state.members[6]).expect("writes");
        let (config, _) = ConfigSource::from_env(Some(&path)).load().expect("a configuration");
        assert_eq!(config.listen.addr, "127.0.0.1:40");
        assert_eq!(config.cluster.advertise, "http://127.0.0.1:41");
        assert_eq!(config.cluster.storage, ["http://127.0.0.1:11", "http://127.0.0.1:21"]);
        assert_eq!(config.cql.nodes, ["127.0.0.1:3"]);
    }

    #[test]
    fn a_setting_is_a_variable_of_the_environment() {
        assert_eq!(variable("edge.max_frame_bytes"), "POSTHORN__EDGE__MAX_FRAME_BYTES");
    }
}
