//! `posthorn bench`: durable sends a second and their latency, at the store trait and through
//! WebSockets, beside what the disk itself syncs in the same run. Closed loop: so many in flight, the
//! next begins when one ends.

mod cql;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use axum::Router;
use clap::{Args, Subcommand};
use cql::CqlArgs;
use hdrhistogram::Histogram;
use posthorn_client::{Client, ClientConfig, ClientDeps, Event, Observer, Outgoing, Sink, TcpConnector};
use posthorn_clock::{Clock, Instant};
use posthorn_node::{Node, NodeConfig};
use posthorn_proto::{
    client::{Membership, Role},
    internal::{Caller, CreateRequest, CreateTenantRequest, MintTokenRequest},
};
use posthorn_rpc::call;
use posthorn_store::bench::{Measured, Report};
use posthorn_tasks::Tasks;
use serde::Serialize;
use tokio::{net::TcpListener, task::JoinSet};

/// Conversations, each with one sender on a connection of its own.
const SENDERS: usize = 64;
const TENANT: &str = "bench";
/// What group commit has to bring at the trait, and with how many in flight.
const AIM_RATIO: f64 = 30.0;
const AIM_IN_FLIGHT: usize = 1_024;

#[derive(Subcommand)]
enum Other {
    /// Appends to ScyllaDB or Cassandra beside plain inserts of the same rows
    Cql(CqlArgs),
}

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArgs {
    #[command(subcommand)]
    other: Option<Other>,
    /// Seconds for each load
    #[arg(long, default_value_t = 5, value_name = "S")]
    seconds: u64,
    /// How many sends wait at once; may be given several times
    #[arg(long, default_values_t = [1, 64, 1_024], value_name = "N")]
    in_flight: Vec<usize>,
    /// On whose disk to measure; a directory of its own is made there and removed
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// JSON instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Benched {
    #[serde(flatten)]
    store: Report,
    websockets: Vec<Measured>,
    /// Appends at the trait, most in flight, against one commit per message.
    group_commit_ratio: f64,
    /// Whether that is what it has to be; `None` where the loads do not tell.
    aim_met: Option<bool>,
    /// The build: only a release build's figures mean anything.
    release: bool,
}

pub async fn run(args: BenchArgs) -> Result<ExitCode> {
    if let Some(Other::Cql(args)) = args.other {
        return cql::run(args).await;
    }
    let each = Duration::from_secs(args.seconds.max(1));
    let dir = args.dir.join(format!("posthorn-bench-{}", Clock::system().uuid_v4().simple()));
    let benched = Box::pin(measure(&dir, &args.in_flight, each)).await;
    // Whatever came of it, nothing is left behind.
    let removed = std::fs::remove_dir_all(&dir);
    let benched = benched?;
    removed.with_context(|| format!("removing {}", dir.display()))?;
    let text = if args.json { serde_json::to_string(&benched)? + "\n" } else { table(&benched) };
    crate::commands::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(dir: &Path, loads: &[usize], each: Duration) -> Result<Benched> {
    let store = posthorn_store::bench::run(&dir.join("trait"), loads, each).await?;
    let mut config = NodeConfig::default();
    config.store.data_dir = dir.join("node");
    config.edge.drain_cap_ms = 500;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}/v1/ws", listener.local_addr()?);
    let node = crate::dev::start(config, listener, Router::new()).await?;
    let websockets = through_websockets(&node, &url, loads, each).await;
    node.shutdown().await;
    let rate = |at: Option<&Measured>| at.map_or(0.0, |measured| measured.per_s);
    let group_commit_ratio = rate(store.appends.last()) / rate(store.appends.first()).max(1.0);
    let tells = loads.first() == Some(&1) && loads.last() == Some(&AIM_IN_FLIGHT);
    let aim_met = tells.then_some(group_commit_ratio >= AIM_RATIO);
    Ok(Benched { store, websockets: websockets?, group_commit_ratio, aim_met, release: !cfg!(debug_assertions) })
}

async fn through_websockets(node: &Node, url: &str, loads: &[usize], each: Duration) -> Result<Vec<Measured>> {
    let mut session = node.clients().session.clone();
    call(session.create_tenant(CreateTenantRequest { tenant: TENANT.into() })).await?;
    let tasks = Tasks::new();
    let mut clients = Vec::with_capacity(SENDERS);
    for n in 0..SENDERS {
        clients.push((connect(node, url, n, &tasks).await?, format!("room-{n}")));
    }
    let mut measured = Vec::new();
    for &in_flight in loads {
        measured.push(load(&clients, in_flight, each).await?);
    }
    for (client, _) in clients {
        client.close().await;
    }
    Ok(measured)
}

/// Reads what comes and keeps nothing.
struct Deaf;

impl Observer for Deaf {
    fn event(&self, _: Event) {}
}

async fn connect(node: &Node, url: &str, n: usize, tasks: &Tasks) -> Result<Client> {
    let (user, conversation) = (format!("sender-{n}"), format!("room-{n}"));
    let member = |user: &str| Membership { user: user.to_owned(), role: Role::Member.into() };
    let request = CreateRequest {
        caller: Some(Caller { tenant: TENANT.into(), backend: true, ..Caller::default() }),
        conversation,
        members: vec![member(&user), member("reader")],
        message_id: vec![1; 16].into(),
        ..CreateRequest::default()
    };
    call(node.clients().routing.clone().create(request)).await?;
    let request = MintTokenRequest {
        tenant: TENANT.into(),
        user,
        device: "bench".into(),
        ttl_s: 86_400,
        limit_class: "unlimited".into(),
    };
    let token = call(node.clients().session.clone().mint_token(request)).await?.token;
    let deps = ClientDeps {
        clock: Clock::system(),
        tasks: tasks.clone(),
        connector: Arc::new(TcpConnector),
        tokens: Arc::new(token),
        sink: Sink::Observer(Arc::new(Deaf)),
    };
    let client = Client::start(ClientConfig { auto_delivered: false, ..ClientConfig::new(url) }, deps);
    anyhow::ensure!(client.connected().await, "a sender could not connect");
    Ok(client)
}

async fn load(clients: &[(Client, String)], in_flight: usize, each: Duration) -> Result<Measured> {
    let until = Instant::now() + each;
    let mut lanes = JoinSet::new();
    for lane in 0..in_flight {
        let (client, conversation) = clients[lane % clients.len()].clone();
        lanes.spawn(async move {
            let mut times = Histogram::<u64>::new(3)?;
            while Instant::now() < until {
                let begun = Instant::now();
                let text = "a line of chat, about as long as people write them when they are not in a hurry";
                client.send(Outgoing::text(&conversation, text)).await?.stored().await?;
                times.record(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX))?;
            }
            anyhow::Ok(times)
        });
    }
    let (begun, mut all) = (Instant::now(), Histogram::<u64>::new(3)?);
    while let Some(lane) = lanes.join_next().await {
        all.add(lane??)?;
    }
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    let per_s = all.len() as f64 / begun.elapsed().as_secs_f64();
    Ok(Measured { in_flight, per_s, p50_us: all.value_at_quantile(0.5), p99_us: all.value_at_quantile(0.99) })
}

fn table(benched: &Benched) -> String {
    use std::fmt::Write as _;
    let mut out = String::from("                 in flight         /s    p50 us    p99 us\n");
    let mut row = |name: &str, m: &Measured| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{name:<16} {:>9} {:>10.0} {:>9} {:>9}", m.in_flight, m.per_s, m.p50_us, m.p99_us);
    };
    row("fdatasync", &benched.store.fdatasync);
    for measured in &benched.store.appends {
        row("store trait", measured);
    }
    for measured in &benched.websockets {
        row("websockets", measured);
    }
    let _ = writeln!(
        out,
        "\nmost in flight against one commit per message, at the trait: {:.1}x",
        benched.group_commit_ratio
    );
    if let Some(met) = benched.aim_met {
        let met = if met { "met" } else { "not met" };
        let _ = writeln!(out, "aim with {AIM_IN_FLIGHT} in flight: {AIM_RATIO:.0}x, {met}");
    }
    if !benched.release {
        out.push_str("not a release build: the figures mean nothing\n");
    }
    out
}
