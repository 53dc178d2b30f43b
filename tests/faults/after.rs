//! What holds again after a fault: everything ready, every queue and journal empty, memory as before, and
//! presence true.

use std::{collections::BTreeMap, fs, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use posthorn_client::{
    Client, ClientConfig, ClientDeps, ConnectionState, Event, Sink, TcpConnector,
    backend::Backend,
    proto::{Status, WatchPresence},
};
use posthorn_clock::{Clock, timeout};
use posthorn_tasks::Tasks;
use posthorn_testkit::{Deployment, LIMIT};
use tokio::sync::mpsc::Receiver;

/// Presence is right again after this.
const PRESENCE: Duration = Duration::from_secs(10);
/// What a process may have more than before, KiB: caches and pools that filled.
const MORE_KIB: u64 = 96 * 1024;
/// Gauges of what waits, by service. None waits once nobody says anything any more.
const EMPTY: &[(&str, &str)] = &[("routing", "posthorn_routing_unsettled")];

/// What is compared afterwards.
pub struct Normal {
    /// How much memory each process held, KiB.
    resident: BTreeMap<String, u64>,
    /// Whoever has it is not let in.
    revoked: String,
}

impl Normal {
    pub async fn of(cluster: &Deployment) -> Result<Self> {
        let all = cluster.all().await?;
        let services = all.into_iter().filter(|member| member.part != "cassandra");
        let resident = services.filter_map(|member| Some((member.name, resident_kib(member.pid?)?))).collect();
        Ok(Self { resident, revoked: revoked(cluster).await? })
    }
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
    let tasks = Tasks::new();
    let (client, mut events) = with_token(cluster, token, &tasks)?;
    let outcome = timeout(LIMIT, async {
        loop {
            match events.recv().await.context("the client has ended")? {
                Event::State(ConnectionState::Connected { .. }) => bail!("a revoked token is let in"),
                Event::State(
                    ConnectionState::Connecting { reason: Some(reason), .. } | ConnectionState::Disconnected { reason },
                ) if format!("{reason:?}").contains("TokenRevoked") => {
                    return Ok(());
                }
                _ => {}
            }
        }
    });
    let outcome = outcome.await.context("a revoked token is not answered")?;
    client.close().await;
    tasks.stop();
    outcome
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
    Ok(())
}

/// One watches another who comes and goes.
async fn presence(cluster: &Deployment) -> Result<()> {
    let tasks = Tasks::new();
    let backend = Backend::new(&cluster.running.http, &cluster.running.admin_key, LIMIT)?;
    for user in ["watcher", "watched"] {
        backend.create_user(user, user).await?;
    }
    let place = Clock::system().uuid_v4().to_string();
    backend.create_conversation(&place, "Watching", &["watcher", "watched"]).await?;
    let (watcher, mut events) = client(cluster, &backend, "watcher", &tasks).await?;
    watcher.watch_presence(WatchPresence { users: vec!["watched".to_owned()] }).await?;
    let (watched, mut quiet) = client(cluster, &backend, "watched", &tasks).await?;
    tasks.background("reader", async move { while quiet.recv().await.is_some() {} });
    let outcome = async {
        timeout(PRESENCE, until_online(&mut events, true)).await.context("who came is not shown")??;
        watched.close().await;
        timeout(PRESENCE, until_online(&mut events, false)).await.context("who went is still shown")?
    };
    let outcome = outcome.await;
    tasks.stop();
    outcome
}

async fn client(
    cluster: &Deployment,
    backend: &Backend,
    user: &str,
    tasks: &Tasks,
) -> Result<(Client, Receiver<Event>)> {
    let token = backend.mint_token(user, "phone", 3_600, "").await?.token;
    let (client, events) = with_token(cluster, &token, tasks)?;
    timeout(LIMIT, client.connected()).await.context("cannot connect")?;
    Ok((client, events))
}

fn with_token(cluster: &Deployment, token: &str, tasks: &Tasks) -> Result<(Client, Receiver<Event>)> {
    let (sink, events) = Sink::channel(256);
    let deps = ClientDeps {
        clock: Clock::system(),
        tasks: tasks.clone(),
        connector: Arc::new(TcpConnector),
        tokens: Arc::new(token.to_owned()),
        sink,
    };
    Ok((Client::start(ClientConfig::new(&cluster.running.ws), deps), events))
}

async fn until_online(events: &mut Receiver<Event>, online: bool) -> Result<()> {
    loop {
        match events.recv().await.context("the client has ended")? {
            Event::Presence(now) if (now.status() == Status::Online) == online => return Ok(()),
            _ => {}
        }
    }
}
