//! The cluster on real engines, and faults in it while people talk. A replay runs through each fault, and its
//! checker says at the end whether everybody received everything, once and in order.
//!
//! `POSTHORN_FAULTS` says which: names with commas between them, or `all`. Unset: the short list, for every
//! change.

mod after;
mod chaos;
mod disk;
mod draw;
mod faketime;
mod feed;
mod logs;
mod lossy;
mod talk;
mod ways;
mod wire;

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use posthorn_clock::{Instant, sleep};
use posthorn_history::Sight;
use posthorn_testkit::{Deployment, Signal};

use crate::{disk::Disk, logs::Logs, lossy::Lossy, talk::Talk};

/// How long an engine, or a paused owner, is away.
const AWAY: Duration = Duration::from_secs(20);
const PAUSED: Duration = Duration::from_secs(15);
/// Messages a second.
const SPEED: u32 = 30;
/// Between two steps of a fault.
const SHORT: Duration = Duration::from_secs(3);
/// Presence is looked at after each fault: nobody waits for the usual grace.
const SETTINGS: [&str; 2] = ["--set", "session.presence_grace_ms=2000"];
const TIERS: [&str; 5] = ["gateway", "session", "routing", "storage", "push"];

/// What is done to the cluster while people talk.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Nothing: what the others are compared with.
    None,
    /// `kill -9` of one instance of each service in turn.
    KillEach,
    /// `kill -9` of every instance of a tier at once.
    KillTier(&'static str),
    /// An owner of shards wakes up after the others have taken them.
    PauseOwner,
    /// SIGTERM to an engine, and its start after a while.
    Stop(&'static str),
    /// All that Redis knew.
    FlushRedis,
    /// SIGTERM to each instance of these tiers and its start, one after the other.
    Roll(&'static [&'static str]),
    /// So many instances, one number after the other.
    Scale(&'static str, [usize; 2]),
    /// Publications of the bus, and the last one before everybody falls silent.
    LoseBus,
    /// An instance of each service whose clock is an hour ahead.
    Clocks,
}

impl Fault {
    /// What a run through it must have shown: where gateways end, people connect again.
    fn shows(self) -> &'static [Sight] {
        let gateways = match self {
            Self::KillEach | Self::Clocks | Self::KillTier("gateway") => true,
            Self::Roll(tiers) => tiers.contains(&"gateway"),
            _ => false,
        };
        if gateways { &[Sight::Reconnected] } else { &[] }
    }
}

struct Case {
    name: &'static str,
    fault: Fault,
    /// Runs for every change.
    short: bool,
    /// How long people talk at least, s: longer than the fault takes.
    seconds: u32,
    /// Within this, ms, 99 of 100 deliveries are made.
    max_deliver_ms: f64,
}

const fn case(name: &'static str, fault: Fault, short: bool, seconds: u32, max_deliver_ms: f64) -> Case {
    Case { name, fault, short, seconds, max_deliver_ms }
}

const CASES: &[Case] = &[
    case("none", Fault::None, false, 15, 5_000.0),
    case("kill-each", Fault::KillEach, true, 60, 30_000.0),
    case("kill-gateways", Fault::KillTier("gateway"), false, 30, 60_000.0),
    case("kill-sessions", Fault::KillTier("session"), false, 30, 60_000.0),
    case("kill-routing", Fault::KillTier("routing"), false, 30, 60_000.0),
    case("kill-storage", Fault::KillTier("storage"), false, 30, 60_000.0),
    case("kill-push", Fault::KillTier("push"), false, 30, 10_000.0),
    case("pause-owner", Fault::PauseOwner, false, 45, 30_000.0),
    case("stop-nats", Fault::Stop("nats"), true, 50, 15_000.0),
    case("stop-redis", Fault::Stop("redis"), false, 50, 15_000.0),
    case("flush-redis", Fault::FlushRedis, false, 15, 15_000.0),
    case("stop-cassandra", Fault::Stop("cassandra"), false, 60, 60_000.0),
    case("roll-gateways", Fault::Roll(&["gateway"]), false, 50, 30_000.0),
    case("roll-sessions", Fault::Roll(&["session"]), false, 50, 30_000.0),
    case("roll-routing", Fault::Roll(&["routing"]), false, 50, 30_000.0),
    case("roll-storage", Fault::Roll(&["storage"]), false, 50, 30_000.0),
    case("roll-push", Fault::Roll(&["push"]), false, 50, 30_000.0),
    case("scale-routing", Fault::Scale("routing", [3, 1]), false, 60, 30_000.0),
    case("scale-gateways", Fault::Scale("gateway", [4, 2]), false, 60, 30_000.0),
    case("lose-bus", Fault::LoseBus, false, 40, 5_000.0),
    case("clocks", Fault::Clocks, false, 90, 30_000.0),
];

fn chosen() -> Result<Vec<&'static Case>> {
    let asked = std::env::var("POSTHORN_FAULTS").unwrap_or_default();
    let named = |name: &str| CASES.iter().find(|case| case.name == name).with_context(|| format!("no fault is {name}"));
    match asked.as_str() {
        "" => Ok(CASES.iter().filter(|case| case.short).collect()),
        "all" => Ok(CASES.iter().collect()),
        names => names.split(',').map(named).collect(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_while_parts_fail_on_a_cluster() -> Result<()> {
    if posthorn_engines::mode() == posthorn_engines::Mode::Off {
        println!("not run: POSTHORN_TEST_ENGINES=off");
        return Ok(());
    }
    let cases = chosen()?;
    let mut cluster = Deployment::start(&SETTINGS).await?;
    let mut failed = Vec::new();
    for case in cases {
        let begun = Instant::now();
        let logs = Logs::so_far(&cluster)?;
        let outcome = logs.beside(&cluster, under(&cluster, case).await);
        let seconds = begun.elapsed().as_secs_f64();
        match outcome {
            Ok(result) => println!("{:<16} ok      {seconds:6.1} s  {result}", case.name),
            Err(error) => {
                println!("{:<16} FAILED  {seconds:6.1} s  {error:#}", case.name);
                failed.push(case.name);
                // The next one begins with a whole cluster, too.
                cluster.cluster("start", &[]).await?;
                if matches!(case.fault, Fault::LoseBus) {
                    lossy::restart(&cluster, &[]).await?;
                }
                cluster.ready().await?;
            }
        }
    }
    if !failed.is_empty() {
        bail!("{failed:?} failed: logs and data are in {}", cluster.keep().display());
    }
    Ok(())
}

/// `POSTHORN_PREVIOUS` is the program of the build before. Instances of both work side by side until the last one
/// is rolled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_build_before_is_rolled_to_this_one_on_a_cluster() -> Result<()> {
    let previous = std::env::var_os("POSTHORN_PREVIOUS").filter(|previous| !previous.is_empty());
    let Some(previous) = previous.filter(|_| posthorn_engines::mode() != posthorn_engines::Mode::Off) else {
        println!("not run: POSTHORN_PREVIOUS names no build");
        return Ok(());
    };
    let mut cluster = Deployment::start_of(previous.into(), &SETTINGS).await?;
    cluster.goes_on_with_this_build()?;
    let result = under(&cluster, &case("roll-build", Fault::Roll(&TIERS), false, 120, 30_000.0)).await;
    let result = Logs::default().beside(&cluster, result);
    println!("roll-build       {}", result.with_context(|| cluster.keep().display().to_string())?);
    Ok(())
}

/// Ends with one line of JSON.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_in_chaos_on_a_cluster() -> Result<()> {
    let asked = chaos::asked()?.filter(|_| posthorn_engines::mode() != posthorn_engines::Mode::Off);
    let Some((minutes, seed)) = asked else {
        println!("not run: POSTHORN_CHAOS_MINUTES says for how long");
        return Ok(());
    };
    let disk = Disk::new()?;
    let mut cluster = Deployment::start_under(&disk.place(), &SETTINGS).await?;
    let report = chaos::run(&cluster, &disk, minutes, seed).await;
    for kind in &report.not_run {
        println!("NOT RUN: {kind}");
    }
    for text in &report.violation_texts {
        println!("VIOLATION: {text}");
    }
    let line = serde_json::to_string(&report)?;
    println!("{line}");
    if let Some(path) = std::env::var_os("POSTHORN_REPORT") {
        std::fs::write(path, line)?;
    }
    if report.violations > 0 {
        bail!("seed {seed}: {} violations: logs are in {}", report.violations, cluster.keep().display());
    }
    Ok(())
}

/// One replay through one fault, and its result in words.
async fn under(cluster: &Deployment, case: &Case) -> Result<String> {
    let before = after::Normal::of(cluster).await?;
    let feed = feed::Follower::start(cluster).await?;
    let talk = Talk { url: None, files: 1, seconds: case.seconds, speed: SPEED, give_up: talk::GIVE_UP };
    let mut run = talk.start(cluster).await?;
    run.acked(100).await?;
    let lossy = tokio::select! {
        done = apply(cluster, case.fault) => done.context("the fault could not be made")?,
        early = run.ended() => bail!("the replay ended before the fault did: {early}"),
    };
    let outcome = run.result().await?;
    outcome.whole()?;
    let fed = feed.complete(&outcome.conversations()?).await?;
    outcome.judge(case.name, fed, case.fault.shows())?;
    let (took, limit) = (outcome.delivered_within_ms(), case.max_deliver_ms);
    ensure!(took <= limit, "99 of 100 deliveries took up to {took} ms, more than {limit}");
    if let Some(lossy) = lossy {
        lossy.lose_the_last(cluster).await?;
        lossy.leave(cluster).await?;
    }
    after::check(cluster, &before).await?;
    Ok(outcome.summary())
}

/// What still has to be done once nobody talks any more.
async fn apply(cluster: &Deployment, fault: Fault) -> Result<Option<Lossy>> {
    match fault {
        Fault::None => {}
        Fault::KillEach => {
            for tier in TIERS {
                cluster.signal(&format!("{tier}-1"), Signal::KILL).await?;
                sleep(SHORT).await;
                cluster.cluster("start", &[tier]).await?;
            }
        }
        Fault::KillTier(tier) => {
            for member in cluster.members(tier).await? {
                cluster.signal(&member.name, Signal::KILL).await?;
            }
            sleep(SHORT).await;
            cluster.cluster("start", &[tier]).await?;
        }
        Fault::PauseOwner => pause_owner(cluster).await?,
        Fault::Stop(engine) => {
            cluster.cluster("stop", &[engine]).await?;
            sleep(AWAY).await;
            cluster.cluster("start", &[engine]).await?;
        }
        Fault::FlushRedis => cluster.redis("FLUSHALL").await?,
        Fault::Roll(tiers) => {
            for tier in tiers {
                for member in cluster.members(tier).await? {
                    cluster.cluster("stop", &[&member.name]).await?;
                    cluster.cluster("start", &[&member.name]).await?;
                }
            }
        }
        Fault::Scale(tier, numbers) => {
            for number in numbers {
                cluster.cluster("scale", &[tier, &number.to_string()]).await?;
                sleep(SHORT).await;
            }
            cluster.cluster("scale", &[tier, "2"]).await?;
        }
        Fault::LoseBus => {
            let lossy = Lossy::between(cluster).await?;
            lossy.lose_some_then_all().await?;
            return Ok(Some(lossy));
        }
        Fault::Clocks => {
            let environment = faketime::of("+1h")?;
            let environment: Vec<(&str, &str)> =
                environment.iter().map(|(key, value)| (*key, value.as_str())).collect();
            for environment in [environment.as_slice(), &[]] {
                for tier in TIERS {
                    let name = format!("{tier}-1");
                    cluster.cluster("stop", &[&name]).await?;
                    cluster.cluster_in(environment, "start", &[&name]).await?;
                }
                sleep(SHORT).await;
            }
        }
    }
    Ok(None)
}

/// The others take its shards while it sleeps; it finds that out when it wakes up.
async fn pause_owner(cluster: &Deployment) -> Result<()> {
    let fenced = async || {
        let metric = cluster.metric("routing-1", "posthorn_routing_incarnations_fenced_total").await?;
        metric.context("routing-1 does not say how often it was fenced")
    };
    let before = fenced().await?;
    cluster.signal("routing-1", Signal::STOP).await?;
    sleep(PAUSED).await;
    cluster.signal("routing-1", Signal::CONT).await?;
    cluster.until("the owner finds itself fenced", async || Ok(fenced().await? > before)).await
}
