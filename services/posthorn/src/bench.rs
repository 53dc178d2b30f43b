//! `posthorn bench`: durable sends a second and their latency, at the store trait and through
//! WebSockets, beside what the disk itself syncs in the same run. Closed loop: so many in flight, the
//! next begins when one ends.

mod cql;
mod hops;

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
use hops::HopsArgs;
use posthorn_client::{Client, ClientConfig, ClientDeps, Event, Observer, Outgoing, Sink, TcpConnector};
use posthorn_clock::{Clock, Instant};
use posthorn_node::{Node, NodeConfig, Topology};
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
/// Only a release build's figures mean anything.
const RELEASE: bool = !cfg!(debug_assertions);
/// What group commit has to bring at the trait, and with how many in flight.
const AIM_RATIO: f64 = 30.0;
const AIM_IN_FLIGHT: usize = 1_024;

#[derive(Subcommand)]
enum Other {
    /// Appends to ScyllaDB or Cassandra beside plain inserts of the same rows
    Cql(CqlArgs),
    /// Sends through services in one process beside the same over gRPC
    Hops(HopsArgs),
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
    match args.other {
        Some(Other::Cql(args)) => return cql::run(args).await,
        Some(Other::Hops(args)) => return hops::run(args).await,
        None => {}
    }
    let each = Duration::from_secs(args.seconds.max(1));
    let benched = in_folder(&args.dir, async |dir| measure(dir, &args.in_flight, each).await).await?;
    told(&benched, args.json, table)
}

/// One object, or a table for people.
fn told<T: Serialize>(benched: &T, json: bool, table: impl FnOnce(&T) -> String) -> Result<ExitCode> {
    let text = if json {
        serde_json::to_string(benched)? + "\n"
    } else {
        let warning = if RELEASE { "" } else { "not a release build: the figures mean nothing\n" };
        table(benched) + warning
    };
    crate::commands::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Does it in a new folder of `dir`, of which nothing is left behind, whatever comes of it.
async fn in_folder<T>(dir: &Path, work: impl AsyncFnOnce(&Path) -> Result<T>) -> Result<T> {
    let dir = dir.join(format!("posthorn-bench-{}", Clock::system().uuid_v4().simple()));
    let done = Box::pin(work(&dir)).await;
    let removed = std::fs::remove_dir_all(&dir);
    let done = done?;
    removed.with_context(|| format!("removing {}", dir.display()))?;
    Ok(done)
}

async fn measure(dir: &Path, loads: &[usize], each: Duration) -> Result<Benched> {
    let store = posthorn_store::bench::run(&dir.join("trait"), loads, each).await?;
    let (node, url) = node(&dir.join("node"), Topology::Local).await?;
    let websockets = through_websockets(&node, &url, loads, each).await;
    node.shutdown().await;
    let rate = |at: Option<&Measured>| at.map_or(0.0, |measured| measured.per_s);
    let group_commit_ratio = rate(store.appends.last()) / rate(store.appends.first()).max(1.0);
    let tells = loads.first() == Some(&1) && loads.last() == Some(&AIM_IN_FLIGHT);
    let aim_met = tells.then_some(group_commit_ratio >= AIM_RATIO);
    Ok(Benched { store, websockets: websockets?, group_commit_ratio, aim_met, release: RELEASE })
}

/// All services on the embedded store, and where its clients connect.
async fn node(data_dir: &Path, topology: Topology) -> Result<(Node, String)> {
    let mut config = NodeConfig::default();
    data_dir.clone_into(&mut config.store.data_dir);
    config.edge.drain_cap_ms = 500;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}/v1/ws", listener.local_addr()?);
    Ok((crate::dev::start(config, topology, listener, Router::new()).await?, url))
}

async fn through_websockets(node: &Node, url: &str, loads: &[usize], each: Duration) -> Result<Vec<Measured>> {
    let clients = people(node, url, &Tasks::new()).await?;
    let mut measured = Vec::new();
    for &in_flight in loads {
        measured.push(load(&clients, in_flight, each).await?.measured(in_flight));
    }
    for (client, _) in clients {
        client.close().await;
    }
    Ok(measured)
}

/// The senders, each with a conversation of its own.
async fn people(node: &Node, url: &str, tasks: &Tasks) -> Result<Vec<(Client, String)>> {
    let mut session = node.clients().session.clone();
    call(session.create_tenant(CreateTenantRequest { tenant: TENANT.into() })).await?;
    let mut clients = Vec::with_capacity(SENDERS);
    for n in 0..SENDERS {
        clients.push((connect(node, url, n, tasks).await?, format!("room-{n}")));
    }
    Ok(clients)
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

/// How long sends took, us, and during how long they were made.
#[derive(Clone)]
struct Times {
    each: Histogram<u64>,
    seconds: f64,
}

impl Default for Times {
    fn default() -> Self {
        Self { each: histogram(), seconds: 0.0 }
    }
}

impl Times {
    fn add(&mut self, other: &Self) -> Result<()> {
        self.seconds += other.seconds;
        Ok(self.each.add(&other.each)?)
    }

    fn measured(&self, in_flight: usize) -> Measured {
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
        let per_s = self.each.len() as f64 / self.seconds;
        let (p50_us, p99_us) = (self.each.value_at_quantile(0.5), self.each.value_at_quantile(0.99));
        Measured { in_flight, per_s, p50_us, p99_us }
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are allowed")
}

async fn load(clients: &[(Client, String)], in_flight: usize, each: Duration) -> Result<Times> {
    let until = Instant::now() + each;
    let mut lanes = JoinSet::new();
    for lane in 0..in_flight {
        let (client, conversation) = clients[lane % clients.len()].clone();
        lanes.spawn(async move {
            let mut times = histogram();
            while Instant::now() < until {
                let begun = Instant::now();
                let text = "a line of chat, about as long as people write them when they are not in a hurry";
                client.send(Outgoing::text(&conversation, text)).await?.stored().await?;
                times.record(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX))?;
            }
            anyhow::Ok(times)
        });
    }
    let (begun, mut all) = (Instant::now(), histogram());
    while let Some(lane) = lanes.join_next().await {
        all.add(lane??)?;
    }
    Ok(Times { each: all, seconds: begun.elapsed().as_secs_f64() })
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
    out
}
