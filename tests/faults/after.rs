//! What holds again after a fault: everything ready, every queue and journal empty, memory and open
//! files as before, and presence true.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Context, Result, ensure};
use posthorn_client::{
    ClientConfig, ConnectionState, Event, Reason,
    backend::Backend,
    proto::{Status, WatchPresence},
};
use posthorn_clock::{Clock, timeout};
use posthorn_errors::Code;
use posthorn_testkit::{Deployment, LIMIT, Member, Person};

/// Presence is right again after this.
const PRESENCE: Duration = Duration::from_secs(10);
/// What a process may have more than before, KiB: caches and pools that filled.
const MORE_KIB: u64 = 96 * 1024;
/// Open files that a process may have more than before: connections to those who came back.
const MORE_FILES: usize = 64;
/// Gauges of what waits, by service. None waits once nobody says anything any more.
const EMPTY: &[(&str, &str)] = &[("routing", "posthorn_routing_unsettled")];

/// What is compared afterwards.
pub struct Normal {
    /// How much memory each process held, KiB.
    resident: BTreeMap<String, u64>,
    /// How many files and sockets each service had open.
    files: BTreeMap<String, usize>,
    /// Whoever has it is not let in.
    revoked: String,
}

impl Normal {
    pub async fn of(cluster: &Deployment) -> Result<Self> {
        let all = cluster.all().await?;
        let services = all.iter().filter(|member| member.part != "cassandra");
        let resident = services.filter_map(|member| Some((member.name.clone(), resident_kib(member.pid?)?))).collect();
        Ok(Self { resident, files: files(cluster).await?, revoked: revoked(cluster).await? })
    }
}

async fn files(cluster: &Deployment) -> Result<BTreeMap<String, usize>> {
    let services = cluster.all().await?.into_iter().filter(Member::is_service);
    let open = |pid: i32| Some(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count());
    Ok(services.filter_map(|member| Some((member.name, open(member.pid?)?))).collect())
}

/// A token that was good, and is not any more.
async fn revoked(cluster: &Deployment) -> Result<String> {
    let (http, key) = (&cluster.running.http, &cluster.running.admin_key);
    let backend = Backend::new(http, key, LIMIT)?;
    backend.create_user("gone", "gone").await?;
    let token = backend.mint_token("gone", "phone", 3_600, "").await?.token;
    let request = reqwest::Client::new().post(format!("{http}/v1/revocations")).bearer_auth(key);
    let answer = request.json(&serde_json::json!({"user": "gone"})).send().await?;
    ensure!(answer.status() == 204, "the token is not revoked: {}", answer.status());
    Ok(token)
}

/// A connect with the token is refused.
async fn stays_out(cluster: &Deployment, token: &str) -> Result<()> {
    let revoked = |reason: &Reason| matches!(reason, Reason::Server(failure) if failure.code == Code::TokenRevoked);
    let mut gone = Person::start(token.to_owned(), ClientConfig::new(&cluster.running.ws));
    let answered = gone.until(|event| match event {
        Event::State(ConnectionState::Connected { .. }) => Some(true),
        Event::State(
            ConnectionState::Connecting { reason: Some(reason), .. } | ConnectionState::Disconnected { reason },
        ) if revoked(reason) => Some(false),
        _ => None,
    });
    let let_in = answered.await.context("a revoked token is not answered")?;
    ensure!(!let_in, "a revoked token is let in");
    gone.leave().await
}

fn resident_kib(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
}

pub async fn check(cluster: &Deployment, before: &Normal) -> Result<()> {
    cluster.ready().await?;
    for (part, gauge) in EMPTY {
        for member in cluster.members(part).await? {
            let empty = async || Ok(cluster.metric(&member.name, gauge).await? == Some(0.0));
            cluster.until(&format!("{gauge} of {} is 0", member.name), empty).await?;
        }
    }
    presence(cluster).await.context("presence")?;
    stays_out(cluster, &before.revoked).await?;
    for (name, kib) in Normal::of(cluster).await?.resident {
        let had = before.resident.get(&name).copied().unwrap_or_default();
        ensure!(kib < had.max(32 * 1024) * 2 + MORE_KIB, "{name} holds {kib} KiB, and held {had} before");
    }
    // Those of who has just left are closed in a moment.
    let closed = async || {
        for (name, open) in files(cluster).await? {
            let had = before.files.get(&name).copied().unwrap_or_default();
            ensure!(open <= had + MORE_FILES, "{name} has {open} files open, and had {had} before");
        }
        Ok(true)
    };
    cluster.until("as many files are open as before", closed).await
}

/// A user, made if not there, who is connected.
pub async fn person(cluster: &Deployment, user: &str) -> Result<Person> {
    let backend = Backend::new(&cluster.running.http, &cluster.running.admin_key, LIMIT)?;
    backend.create_user(user, user).await?;
    let token = backend.mint_token(user, "phone", 3_600, "").await?.token;
    Person::connect(token, ClientConfig::new(&cluster.running.ws)).await
}

/// One watches another who comes and goes.
async fn presence(cluster: &Deployment) -> Result<()> {
    let backend = Backend::new(&cluster.running.http, &cluster.running.admin_key, LIMIT)?;
    let mut watcher = person(cluster, "watcher").await?;
    backend.create_user("watched", "watched").await?;
    let place = Clock::system().uuid_v4().to_string();
    backend.create_conversation(&place, "Watching", &["watcher", "watched"]).await?;
    watcher.client.watch_presence(WatchPresence { users: vec!["watched".to_owned()] }).await?;
    let shown = |online: bool| {
        move |event: &Event| match event {
            Event::Presence(now) if (now.status() == Status::Online) == online => Some(()),
            _ => None,
        }
    };
    let watched = person(cluster, "watched").await?;
    timeout(PRESENCE, watcher.until(shown(true))).await.context("who came is not shown")??;
    watched.leave().await?;
    timeout(PRESENCE, watcher.until(shown(false))).await.context("who went is still shown")??;
    watcher.leave().await
}
