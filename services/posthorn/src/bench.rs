//! `posthorn bench`: durable sends a second and their latency, at the store trait and through
//! WebSockets, beside what the disk itself syncs in the same run. Closed loop: so many in flight, the
//! next begins when one ends.

mod cql;
mod heard;
mod hops;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use axum::Router;
use clap::{Args, Subcommand};
use cql::CqlArgs;
use hdrhistogram::Histogram;
use heard::{Heard, judged, said};
use hops::HopsArgs;
use posthorn_client::{Client, ClientConfig, ClientDeps, Outgoing, Sink, TcpConnector};
use posthorn_clock::{Clock, Instant};
use posthorn_history::{Kind, Report as Checked};
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

use crate::replay::tape::Tape;

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
    /// What the senders did and heard through WebSockets goes into FILE, and is checked against every rule at the end
    /// (docs/history.md); costs some of the rate
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
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
    /// What the checker found in the history, where one was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Checked>,
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
    let benched = in_folder(&args.dir, async |dir| measure(dir, &args, each).await).await?;
    let good = benched.history.as_ref().is_none_or(Checked::good);
    told(&benched, args.json, table)?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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

async fn measure(dir: &Path, args: &BenchArgs, each: Duration) -> Result<Benched> {
    let loads = &args.in_flight;
    // Before anything takes its time: it may be no place to write to.
    let tape = Tape::to(args.history.as_deref())?;
    let store = posthorn_store::bench::run(&dir.join("trait"), loads, each).await?;
    let (node, url) = node(&dir.join("node"), Topology::Local).await?;
    let through = through_websockets(&node, &url, (loads, each), &tape, args.history.as_deref()).await;
    node.shutdown().await;
    let (websockets, history) = through?;
    let rate = |at: Option<&Measured>| at.map_or(0.0, |measured| measured.per_s);
    let group_commit_ratio = rate(store.appends.last()) / rate(store.appends.first()).max(1.0);
    let tells = loads.first() == Some(&1) && loads.last() == Some(&AIM_IN_FLIGHT);
    let aim_met = tells.then_some(group_commit_ratio >= AIM_RATIO);
    Ok(Benched { store, websockets, group_commit_ratio, aim_met, history, release: RELEASE })
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

async fn through_websockets(
    node: &Node,
    url: &str,
    (loads, each): (&[usize], Duration),
    tape: &Tape,
    history: Option<&Path>,
) -> Result<(Vec<Measured>, Option<Checked>)> {
    let senders = senders(node, url, &Tasks::new(), tape).await?;
    let mut measured = Vec::new();
    for &in_flight in loads {
        measured.push(load(&senders, in_flight, each, tape).await?.measured(in_flight));
    }
    let checked = match history {
        Some(path) => Some(judged(tape, path, &senders).await?),
        None => None,
    };
    for sender in senders {
        sender.client.close().await;
    }
    Ok((measured, checked))
}

#[derive(Clone)]
struct Sender {
    user: String,
    conversation: String,
    client: Client,
    clock: Clock,
    /// The last seq of their messages, and the last that came to them.
    stored: Arc<AtomicU64>,
    heard: Arc<AtomicU64>,
}

/// Each with a conversation of their own.
async fn senders(node: &Node, url: &str, tasks: &Tasks, tape: &Tape) -> Result<Vec<Sender>> {
    let mut session = node.clients().session.clone();
    call(session.create_tenant(CreateTenantRequest { tenant: TENANT.into() })).await?;
    let mut senders = Vec::with_capacity(SENDERS);
    for n in 0..SENDERS {
        senders.push(connect(node, url, n, (tasks, tape)).await?);
    }
    Ok(senders)
}

async fn connect(node: &Node, url: &str, n: usize, (tasks, tape): (&Tasks, &Tape)) -> Result<Sender> {
    let (user, conversation) = (format!("sender-{n}"), format!("room-{n}"));
    let member = |user: &str| Membership { user: user.to_owned(), role: Role::Member.into() };
    let request = CreateRequest {
        caller: Some(Caller { tenant: TENANT.into(), backend: true, ..Caller::default() }),
        conversation: conversation.clone(),
        members: vec![member(&user), member("reader")],
        message_id: vec![1; 16].into(),
        ..CreateRequest::default()
    };
    call(node.clients().routing.clone().create(request)).await?;
    tape.joined(&conversation, &user, 1);
    let request = MintTokenRequest {
        tenant: TENANT.into(),
        user: user.clone(),
        device: "bench".into(),
        ttl_s: 86_400,
        limit_class: "unlimited".into(),
    };
    let token = call(node.clients().session.clone().mint_token(request)).await?.token;
    let (clock, heard) = (Clock::system(), Arc::<AtomicU64>::default());
    let deps = ClientDeps {
        clock: clock.clone(),
        tasks: tasks.clone(),
        connector: Arc::new(TcpConnector),
        tokens: Arc::new(token),
        sink: Sink::Observer(Arc::new(Heard { tape: tape.clone(), user: user.clone(), last: Arc::clone(&heard) })),
    };
    let client = Client::start(ClientConfig { auto_delivered: false, ..ClientConfig::new(url) }, deps);
    anyhow::ensure!(client.connected().await, "a sender could not connect");
    Ok(Sender { user, conversation, client, clock, stored: Arc::default(), heard })
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

async fn load(senders: &[Sender], in_flight: usize, each: Duration, tape: &Tape) -> Result<Times> {
    let until = Instant::now() + each;
    let mut lanes = JoinSet::new();
    for lane in 0..in_flight {
        let (sender, tape) = (senders[lane % senders.len()].clone(), tape.clone());
        lanes.spawn(async move {
            let mut times = histogram();
            while Instant::now() < until {
                let begun = Instant::now();
                send(&sender, &tape).await?;
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

async fn send(Sender { user, conversation, client, clock, stored: last, .. }: &Sender, tape: &Tape) -> Result<()> {
    let text = "a line of chat, about as long as people write them when they are not in a hurry";
    let message_id = clock.uuid_v7();
    let said = said(tape, user, conversation, &message_id.to_string(), text);
    let taped = |kind, seq, again| said.as_ref().into_iter().for_each(|said| tape.send(said, kind, seq, again));
    taped(Kind::Invoke, 0, false);
    let outgoing = Outgoing { message_id: Some(message_id), ..Outgoing::text(conversation, text) };
    let stored = client.send(outgoing).await?.stored().await?;
    last.fetch_max(stored.seq, Relaxed);
    taped(Kind::Ok, stored.seq, stored.duplicate);
    Ok(())
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
    if let Some(history) = &benched.history {
        let _ = write!(out, "history: {}", history.text());
    }
    if let Some(met) = benched.aim_met {
        let met = if met { "met" } else { "not met" };
        let _ = writeln!(out, "aim with {AIM_IN_FLIGHT} in flight: {AIM_RATIO:.0}x, {met}");
    }
    out
}
