//! Faults drawn from a seed, two at a time, for so many minutes, on every process and on every way between them.
//! `POSTHORN_CHAOS_MINUTES` says how many, `POSTHORN_SEED` from which seed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use parking_lot::Mutex;
use posthorn_clock::{Instant, interval, sleep};
use posthorn_history::Sight;
use posthorn_testkit::{Deployment, Member, Signal};
use serde::Serialize;

use crate::{TIERS, after, disk::Disk, draw::Draw, faketime, feed, lossy::Lossy, talk, wire::Wire};

/// What the cluster cannot do without is away for so long at most, s.
const AWAY_S: f64 = 8.0;
/// A process sleeps for so long at most, s: beyond the time after which its shards are taken.
const PAUSED_S: f64 = 14.0;
/// Bad weather on a way lasts so long at most, s.
const WEATHER_S: f64 = 8.0;
/// Between two faults of a lane, s.
const PEACE_S: f64 = 3.0;
const CONVERSATIONS: u32 = 4;
/// Messages a second: no more than get through this on two cores, or people have hours to catch up with.
const SPEED: u32 = 15;
/// Between two lines that say how far it is.
const TELL: Duration = Duration::from_secs(10);
/// Nothing succeeds for so long. Cassandra needs up to a minute to be back on a busy machine, and may be drawn again at once.
const GIVE_UP: Duration = Duration::from_secs(300);
/// How wrong a clock is, as libfaketime has it: hours off, and too fast.
const CLOCKS: &[&str] = &["+1h", "-1h", "+0 x1.02"];

/// The last line of a run.
#[derive(Serialize)]
pub struct Report {
    minutes: f64,
    seed: u64,
    /// Events of what everybody did and saw.
    operations: u64,
    acked: u64,
    histories_checked: u64,
    pub faults_by_kind: BTreeMap<&'static str, u64>,
    pub violations: Vec<String>,
    first_failing_seed: Option<u64>,
}

type Counts = Arc<Mutex<BTreeMap<&'static str, u64>>>;

/// A cluster with a way of the test's own between all that talk to each other.
struct Stage<'a> {
    cluster: &'a Deployment,
    disk: &'a Disk,
    /// To each process that others call, to the engines, and to the gateways' one address.
    wires: Vec<Wire>,
    lossy: Lossy,
    counts: Counts,
}

const ENGINES: [&str; 3] = ["nats", "redis", "cassandra"];
const GATE: &str = "balancer";

pub async fn run(cluster: &Deployment, disk: &Disk, minutes: f64, seed: u64) -> Result<Report> {
    let counts = Counts::default();
    let outcome = Box::pin(under(cluster, disk, minutes, seed, &counts)).await;
    let faults_by_kind = counts.lock().clone();
    let mut report = Report {
        minutes,
        seed,
        operations: 0,
        acked: 0,
        histories_checked: 0,
        faults_by_kind,
        violations: Vec::new(),
        first_failing_seed: None,
    };
    match outcome {
        Ok((operations, acked)) => {
            (report.operations, report.acked, report.histories_checked) = (operations, acked, 1);
        }
        Err(error) => {
            report.violations.push(format!("{error:#}"));
            report.first_failing_seed = Some(seed);
        }
    }
    Ok(report)
}

/// Events of its history, and acknowledged messages.
async fn under(cluster: &Deployment, disk: &Disk, minutes: f64, seed: u64, counts: &Counts) -> Result<(u64, u64)> {
    let stage = Stage::set(cluster, disk, counts).await?;
    let before = after::Normal::of(cluster).await?;
    let feed = feed::Follower::start(cluster).await?;
    let time = Duration::from_secs_f64(minutes * 60.0);
    let seconds = u32::try_from(time.as_secs())? + 10;
    let url = cluster.running.ws.replacen(&stage.gate_upstream()?, &stage.wire(GATE)?.address.to_string(), 1);
    let mut run = talk::Talk { url: Some(url), files: CONVERSATIONS, seconds, speed: SPEED, give_up: GIVE_UP }
        .start(cluster)
        .await?;
    run.acked(100).await?;
    stage.storm_over(&mut run, seed, time).await?;
    stage.heal().await?;
    let outcome = run.result().await?;
    outcome.whole()?;
    let fed = feed.complete(&outcome.conversations()?).await?;
    let report = outcome.judge("chaos", fed, &[Sight::Reconnected])?;
    stage.strike().await?;
    after::check(cluster, &before).await?;
    Ok((report.events, outcome.number("acked")))
}

impl<'a> Stage<'a> {
    /// Everything is started again, with ways that lead through the test.
    async fn set(cluster: &'a Deployment, disk: &'a Disk, counts: &Counts) -> Result<Self> {
        let mut wires = Vec::new();
        let lossy = Lossy::to(cluster.member("nats").await?.address).await?;
        for member in cluster.all().await? {
            let upstream = match member.part.as_str() {
                "nats" => Some(lossy.address.to_string()),
                "redis" | "cassandra" | GATE => Some(member.address.clone()),
                _ => member.inner_address.clone(),
            };
            if let Some(upstream) = upstream {
                wires.push(Wire::to(&member.name, upstream).await?);
            }
        }
        let stage = Self { cluster, disk, wires, lossy, counts: Arc::clone(counts) };
        cluster.cluster("stop", &TIERS).await?;
        for member in cluster.all().await?.iter().filter(|member| member.is_service()) {
            stage.start(&member.name, None).await?;
        }
        cluster.ready().await?;
        all_owned(cluster).await?;
        Ok(stage)
    }

    fn wire(&self, name: &str) -> Result<&Wire> {
        self.wires.iter().find(|wire| wire.name == name).with_context(|| format!("no way leads to {name}"))
    }

    fn gate_upstream(&self) -> Result<String> {
        let ws = &self.cluster.running.ws;
        let place = ws.strip_prefix("ws://").and_then(|rest| rest.split('/').next());
        place.map(str::to_owned).with_context(|| format!("no address in {ws}"))
    }

    /// Where a service finds the others, and says that it is found.
    fn environment(&self, name: &str) -> Result<Vec<(&'static str, String)>> {
        let to = |part: &str| {
            let found = self.wires.iter().filter(|wire| wire.name.starts_with(part));
            found.map(|wire| format!("http://{}", wire.address)).collect::<Vec<_>>().join(",")
        };
        let mut environment = vec![
            ("POSTHORN__NATS__SERVERS", format!("nats://{}", self.wire("nats")?.address)),
            ("POSTHORN__REDIS__ADDRESSES", self.wire("redis")?.address.to_string()),
            ("POSTHORN__CQL__NODES", self.wire("cassandra")?.address.to_string()),
            ("POSTHORN__CLUSTER__STORAGE", to("storage-")),
            ("POSTHORN__CLUSTER__SESSION", to("session-")),
            ("POSTHORN__CLUSTER__PUSH", to("push-")),
        ];
        // Nobody calls a gateway.
        if let Ok(own) = self.wire(name) {
            environment.push(("POSTHORN__CLUSTER__ADVERTISE", format!("http://{}", own.address)));
        }
        Ok(environment)
    }

    async fn start(&self, name: &str, clock: Option<&str>) -> Result<()> {
        let mut environment = self.environment(name)?;
        if let Some(offset) = clock {
            environment.extend(faketime::of(offset)?);
        }
        let environment: Vec<(&str, &str)> = environment.iter().map(|(key, value)| (*key, value.as_str())).collect();
        self.cluster.cluster_in(&environment, "start", &[name]).await
    }

    fn count(&self, kind: &'static str) {
        *self.counts.lock().entry(kind).or_default() += 1;
    }

    /// Faults for so long while people talk, with a line now and then.
    async fn storm_over(&self, run: &mut talk::Run, seed: u64, time: Duration) -> Result<()> {
        let begun = Instant::now();
        let mut storm = Box::pin(self.storm(seed, begun + time));
        let (mut progress, mut talking) = (interval(TELL), true);
        loop {
            tokio::select! {
                done = &mut storm => return done.context("a fault could not be made"),
                ended = run.ended(), if talking => {
                    // The last faults may go on for longer than people talk.
                    ensure!(begun.elapsed() >= time, "the replay ended before the faults did: {ended}");
                    talking = false;
                }
                _ = progress.tick() => {
                    let (seconds, faults) = (begun.elapsed().as_secs(), self.counts.lock().values().sum::<u64>());
                    eprintln!("{seconds} of {} s, {faults} faults, {} acknowledged", time.as_secs(), run.progress()?);
                }
            }
        }
    }

    /// Two lanes of faults beside each other until `end`.
    async fn storm(&self, seed: u64, end: Instant) -> Result<()> {
        let processes = async {
            let mut draw = Draw::from(seed);
            while Instant::now() < end {
                self.process(&mut draw).await?;
                sleep(draw.seconds(PEACE_S)).await;
            }
            anyhow::Ok(())
        };
        let ways = async {
            let mut draw = Draw::from(!seed);
            while Instant::now() < end {
                self.way(&mut draw).await?;
                sleep(draw.seconds(PEACE_S)).await;
            }
            anyhow::Ok(())
        };
        tokio::try_join!(processes, ways).map(drop)
    }

    async fn any_service(&self, draw: &mut Draw) -> Result<Member> {
        let services = self.cluster.all().await?.into_iter().filter(Member::is_service).collect::<Vec<_>>();
        let at = draw.below(services.len());
        services.into_iter().nth(at).context("no service")
    }

    /// One fault of a process, to its end.
    async fn process(&self, draw: &mut Draw) -> Result<()> {
        let kinds =
            ["kill", "kill", "pause", "stop", "clock", "kill-engine", "stop-engine", "flush-redis", "disk-full"];
        let kind = draw.one_of(&kinds);
        if *kind == "disk-full" && !self.disk.is_own() {
            return Ok(());
        }
        let engine = *draw.one_of(&ENGINES);
        match *kind {
            "kill" | "stop" | "clock" => {
                let name = self.any_service(draw).await?.name;
                if *kind == "kill" {
                    self.cluster.signal(&name, Signal::KILL).await?;
                    sleep(draw.seconds(PEACE_S)).await;
                } else {
                    self.cluster.cluster("stop", &[&name]).await?;
                }
                // Session says whether a token holds: its clocks have to be within `session.leeway_ms` of each other.
                let offsets: &[&str] = if name.starts_with("session") { &["+2", "-2"] } else { CLOCKS };
                let clock = (*kind == "clock").then(|| *draw.one_of(offsets));
                self.start(&name, clock).await?;
            }
            "pause" => {
                let name = self.any_service(draw).await?.name;
                self.cluster.signal(&name, Signal::STOP).await?;
                sleep(draw.seconds(PAUSED_S)).await;
                self.cluster.signal(&name, Signal::CONT).await?;
            }
            "kill-engine" | "stop-engine" => {
                if *kind == "kill-engine" {
                    self.cluster.signal(engine, Signal::KILL).await?;
                } else {
                    self.cluster.cluster("stop", &[engine]).await?;
                }
                sleep(draw.seconds(AWAY_S)).await;
                self.cluster.cluster("start", &[engine]).await?;
            }
            "flush-redis" => self.cluster.redis("FLUSHALL").await?,
            _ => {
                self.disk.fill()?;
                sleep(draw.seconds(AWAY_S)).await;
                self.disk.free()?;
                // Cassandra stops to serve when its disk is full, and NATS writes no more to a stream of which a write
                // failed, also when there is room again; or they end. Whoever runs them starts them again. Redis may
                // have ended, too; no service may.
                for name in ["cassandra", "nats"] {
                    if self.cluster.member(name).await?.pid.is_some() {
                        self.cluster.signal(name, Signal::KILL).await?;
                    }
                }
                self.cluster.cluster("start", &ENGINES).await?;
            }
        }
        self.count(kind);
        Ok(())
    }

    /// One fault of a way, or of the disk, to its end.
    async fn way(&self, draw: &mut Draw) -> Result<()> {
        let kinds = ["late", "slow", "cut", "cut-requests", "cut-answers", "torn", "lose-bus", "disk-slow"];
        let kind = draw.one_of(&kinds);
        if *kind == "disk-slow" && !self.disk.is_own() {
            return Ok(());
        }
        let (wire, time) = (draw.one_of(&self.wires), draw.seconds(WEATHER_S));
        match *kind {
            "late" => {
                let delay = Duration::from_millis(20) + draw.seconds(0.4);
                wire.change(|weather| weather.delay = delay);
            }
            "slow" => wire.change(|weather| weather.bytes_per_s = 64 * 1024),
            "cut" => wire.change(|weather| (weather.no_requests, weather.no_answers) = (true, true)),
            "cut-requests" => wire.change(|weather| weather.no_requests = true),
            "cut-answers" => wire.change(|weather| weather.no_answers = true),
            "torn" => wire.tear(),
            "lose-bus" => self.lossy.lose(1 + draw.below(3) as u64),
            _ => self.disk.hang_for(time).await?,
        }
        if *kind != "torn" && *kind != "disk-slow" {
            sleep(time).await;
        }
        wire.calm();
        self.lossy.lose(0);
        self.count(kind);
        Ok(())
    }

    /// Everything runs, and every way is as it should be.
    async fn heal(&self) -> Result<()> {
        for wire in &self.wires {
            wire.calm();
        }
        self.lossy.lose(0);
        self.cluster.ready().await
    }

    /// The services find each other without the test again, with true clocks.
    async fn strike(&self) -> Result<()> {
        self.cluster.cluster("stop", &TIERS).await?;
        self.cluster.cluster("start", &[]).await?;
        self.cluster.ready().await?;
        all_owned(self.cluster).await
    }
}

/// After all of routing was away at once, its shards are taken one claim after the other.
async fn all_owned(cluster: &Deployment) -> Result<()> {
    let owned = async || {
        let mut shards = 0.0;
        for member in cluster.members("routing").await? {
            shards += cluster.metric(&member.name, "posthorn_routing_shards").await?.unwrap_or(0.0);
        }
        Ok(shards >= f64::from(posthorn_core::SHARDS))
    };
    cluster.until("every shard has an owner", owned).await
}

/// What the environment asks for; `None`: nothing.
pub fn asked() -> Result<Option<(f64, u64)>> {
    let of = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let Some(minutes) = of("POSTHORN_CHAOS_MINUTES") else { return Ok(None) };
    let minutes: f64 = minutes.parse().context("POSTHORN_CHAOS_MINUTES is no number")?;
    ensure!(minutes > 0.0 && minutes <= 24.0 * 60.0, "POSTHORN_CHAOS_MINUTES: above 0, up to a day");
    let seed = of("POSTHORN_SEED").map(|seed| seed.parse().context("POSTHORN_SEED is no number")).transpose()?;
    Ok(Some((minutes, seed.unwrap_or_else(|| posthorn_clock::Clock::system().random()))))
}
