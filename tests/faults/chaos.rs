//! Faults drawn from a seed, two at a time, for so many minutes, on every process and on every way between them.
//! `POSTHORN_CHAOS_MINUTES` says how many, `POSTHORN_SEED` from which seed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use parking_lot::Mutex;
use posthorn_clock::{Instant, interval, sleep};
use posthorn_history::Sight;
use posthorn_testkit::{Deployment, Member, Signal};
use serde::Serialize;

use crate::{
    TIERS, after,
    disk::Disk,
    draw::{Deck, Draw},
    faketime::{self, Clocks},
    feed,
    logs::Logs,
    talk,
    ways::{self, Ways},
};

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
/// How far a clock jumps at most, s.
const JUMP_S: f64 = 3_600.0;
/// A run of so many minutes has to have shown everything.
const WHOLE_MINUTES: f64 = 5.0;

/// Faults of processes: each as often as it is here. Those of engines are here once: while Cassandra starts again, which
/// takes longer than any other fault, little is said, and other faults meet nobody.
const OF_PROCESSES: [&str; 16] = [
    "kill",
    "kill",
    "kill",
    "pause",
    "pause",
    "stop",
    "stop",
    "clock",
    "clock",
    "clock-jump",
    "clock-jump",
    "flush-redis",
    "flush-redis",
    "kill-engine",
    "stop-engine",
    "disk-full",
];
/// Faults of ways, and of the disk.
const OF_WAYS: [&str; 8] = ["late", "slow", "cut", "cut-requests", "cut-answers", "torn", "lose-bus", "disk-slow"];
/// They need a disk of the cluster's own.
const OF_DISKS: [&str; 2] = ["disk-full", "disk-slow"];

/// The last line of a run.
#[derive(Default, Serialize)]
pub struct Report {
    minutes: f64,
    seed: u64,
    /// Events of what everybody did and saw.
    operations: u64,
    acked: u64,
    histories_checked: u64,
    faults_by_kind: BTreeMap<&'static str, u64>,
    /// Kinds that were never drawn, or cannot be made here.
    pub not_run: Vec<&'static str>,
    pub violations: usize,
    pub violation_texts: Vec<String>,
    first_failing_seed: Option<u64>,
}

type Counts = Arc<Mutex<BTreeMap<&'static str, u64>>>;

/// A cluster with ways of the test's own between all that talk to each other.
struct Stage<'a> {
    cluster: &'a Deployment,
    disk: &'a Disk,
    ways: Ways,
    clocks: Clocks,
    counts: Counts,
}

const ENGINES: [&str; 3] = ["nats", "redis", "cassandra"];

pub async fn run(cluster: &Deployment, disk: &Disk, minutes: f64, seed: u64) -> Report {
    let counts = Counts::default();
    let outcome = Box::pin(under(cluster, disk, minutes, seed, &counts)).await;
    let outcome = Logs::default().beside(cluster, outcome);
    let faults_by_kind = counts.lock().clone();
    let kinds: BTreeSet<&str> = OF_PROCESSES.into_iter().chain(OF_WAYS).collect();
    let not_run: Vec<&str> = kinds.into_iter().filter(|kind| !faults_by_kind.contains_key(kind)).collect();
    let mut report = Report { minutes, seed, faults_by_kind, ..Report::default() };
    let mut found = Vec::new();
    if let Err(error) = outcome {
        found.push(format!("{error:#}"));
    }
    // Also of a run that failed: it counts as far as it came.
    if let Ok((history, acked)) = talk::so_far(cluster) {
        (report.operations, report.acked, report.histories_checked) = (history.events, acked, 1);
        let told = found.concat();
        let broken = history.violations.iter().filter(|violation| !told.contains(&violation.text));
        found.extend(broken.map(ToString::to_string));
    }
    // Without root some cannot be made; of the others a whole run has each.
    let missed: Vec<&str> = not_run.iter().copied().filter(|kind| disk.is_own() || !OF_DISKS.contains(kind)).collect();
    if minutes >= WHOLE_MINUTES && !missed.is_empty() {
        found.push(format!("within {minutes} minutes these faults were never made: {}", missed.join(", ")));
    }
    report.first_failing_seed = (!found.is_empty()).then_some(seed);
    Report { not_run, violations: found.len(), violation_texts: found, ..report }
}

async fn under(cluster: &Deployment, disk: &Disk, minutes: f64, seed: u64, counts: &Counts) -> Result<()> {
    let stage = Stage::set(cluster, disk, counts).await?;
    let before = after::Normal::of(cluster).await?;
    let feed = feed::Follower::start(cluster).await?;
    let time = Duration::from_secs_f64(minutes * 60.0);
    let seconds = u32::try_from(time.as_secs())? + 10;
    let url = cluster.running.ws.replacen(&stage.gate_upstream()?, &stage.ways.gate()?, 1);
    let mut run = talk::Talk { url: Some(url), files: CONVERSATIONS, seconds, speed: SPEED, give_up: GIVE_UP }
        .start(cluster)
        .await?;
    run.acked(100).await?;
    stage.storm_over(&mut run, seed, time).await?;
    stage.heal().await?;
    let outcome = run.result().await?;
    outcome.whole()?;
    let fed = feed.complete(&outcome.conversations()?).await?;
    let mut expect = vec![Sight::Reconnected];
    if minutes >= WHOLE_MINUTES {
        expect.extend([Sight::Resumed, Sight::SentAgain]);
    }
    let report = outcome.judge("chaos", fed, &expect)?;
    stage.ways.all_taken()?;
    eprintln!("{}", report.text().trim_end());
    stage.strike().await?;
    after::check(cluster, &before).await
}

impl<'a> Stage<'a> {
    /// Everything is started again, with ways that lead through the test.
    async fn set(cluster: &'a Deployment, disk: &'a Disk, counts: &Counts) -> Result<Self> {
        let (ways, clocks) = (Ways::between(cluster).await?, Clocks::new()?);
        let stage = Self { cluster, disk, ways, clocks, counts: Arc::clone(counts) };
        cluster.cluster("stop", &TIERS).await?;
        for member in cluster.all().await?.iter().filter(|member| member.is_service()) {
            stage.start(&member.name, faketime::TRUE).await?;
        }
        cluster.ready().await?;
        all_owned(cluster).await?;
        Ok(stage)
    }

    fn gate_upstream(&self) -> Result<String> {
        let ws = &self.cluster.running.ws;
        let place = ws.strip_prefix("ws://").and_then(|rest| rest.split('/').next());
        place.map(str::to_owned).with_context(|| format!("no address in {ws}"))
    }

    async fn start(&self, name: &str, clock: &str) -> Result<()> {
        self.clocks.set(name, clock)?;
        let mut environment = self.ways.environment(name);
        environment.extend(self.clocks.environment(name));
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
            let (mut draw, mut deck) = (Draw::from(seed), self.deck(&OF_PROCESSES));
            while Instant::now() < end {
                self.process(deck.next(&mut draw), &mut draw).await?;
                sleep(draw.seconds(PEACE_S)).await;
            }
            anyhow::Ok(())
        };
        let ways = async {
            let (mut draw, mut deck) = (Draw::from(!seed), self.deck(&OF_WAYS));
            while Instant::now() < end {
                self.way(deck.next(&mut draw), &mut draw).await?;
                sleep(draw.seconds(PEACE_S)).await;
            }
            anyhow::Ok(())
        };
        tokio::try_join!(processes, ways).map(drop)
    }

    /// What can be made here.
    fn deck(&self, kinds: &[&'static str]) -> Deck {
        Deck::of(kinds.iter().copied().filter(|kind| self.disk.is_own() || !OF_DISKS.contains(kind)))
    }

    async fn any_service(&self, draw: &mut Draw) -> Result<Member> {
        let services = self.cluster.all().await?.into_iter().filter(Member::is_service).collect::<Vec<_>>();
        let at = draw.below(services.len());
        services.into_iter().nth(at).context("no service")
    }

    /// One fault of a process, to its end.
    async fn process(&self, kind: &'static str, draw: &mut Draw) -> Result<()> {
        let engine = *draw.one_of(&ENGINES);
        match kind {
            "kill" | "stop" | "clock" => {
                let name = self.any_service(draw).await?.name;
                if kind == "kill" {
                    self.cluster.signal(&name, Signal::KILL).await?;
                    sleep(draw.seconds(PEACE_S)).await;
                } else {
                    self.cluster.cluster("stop", &[&name]).await?;
                }
                // Session says whether a token holds: its clocks have to be within `session.leeway_ms` of each other.
                let offsets: &[&str] = if name.starts_with("session") { &["+2", "-2"] } else { CLOCKS };
                let clock = if kind == "clock" { draw.one_of(offsets) } else { faketime::TRUE };
                self.start(&name, clock).await?;
            }
            // Of a process that goes on: to somewhere, and back.
            "clock-jump" => {
                let name = self.any_service(draw).await?.name;
                let most = if name.starts_with("session") { 2.0 } else { JUMP_S };
                let (sign, far) = (*draw.one_of(&["+", "-"]), draw.seconds(most).as_secs_f64());
                self.clocks.set(&name, &format!("{sign}{far:.3}"))?;
                sleep(draw.seconds(AWAY_S)).await;
                self.clocks.set(&name, faketime::TRUE)?;
            }
            "pause" => {
                let name = self.any_service(draw).await?.name;
                self.cluster.signal(&name, Signal::STOP).await?;
                sleep(draw.seconds(PAUSED_S)).await;
                self.cluster.signal(&name, Signal::CONT).await?;
            }
            "kill-engine" | "stop-engine" => {
                if kind == "kill-engine" {
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

    /// One fault of a way, of all ways to somebody, or of the disk, to its end.
    async fn way(&self, kind: &'static str, draw: &mut Draw) -> Result<()> {
        let (wires, time) = (self.ways.drawn(draw), draw.seconds(WEATHER_S));
        match kind {
            "late" => {
                let delay = Duration::from_millis(20) + draw.seconds(0.4);
                ways::change(&wires, |weather| weather.delay = delay);
            }
            "slow" => ways::change(&wires, |weather| weather.bytes_per_s = 64 * 1024),
            "cut" => ways::change(&wires, |weather| (weather.no_requests, weather.no_answers) = (true, true)),
            "cut-requests" => ways::change(&wires, |weather| weather.no_requests = true),
            "cut-answers" => ways::change(&wires, |weather| weather.no_answers = true),
            "torn" => wires.iter().for_each(|wire| wire.tear()),
            "lose-bus" => self.ways.lossy.lose(1 + draw.below(3) as u64),
            _ => self.disk.hang_for(time).await?,
        }
        if kind != "torn" && kind != "disk-slow" {
            sleep(time).await;
        }
        self.ways.calm();
        self.count(kind);
        Ok(())
    }

    /// Everything runs, and every way is as it should be.
    async fn heal(&self) -> Result<()> {
        self.ways.calm();
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
