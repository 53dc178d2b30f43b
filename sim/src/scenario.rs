//! People talk while processes crash, stop and start, ways between them break, clocks are wrong and engines
//! misbehave; then everything they did and saw is held to the rules.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use posthorn_clock::Clock;
use posthorn_history::{Kind, Op, Sight, check};
use posthorn_node::Role;

use crate::{
    alone::{self, Alone},
    crowd::Crowd,
    engines::Storm,
    faults::{self, Step, Timed},
    fleet::{Fleet, GATES, HOSTS},
    guests::Host,
    history::History,
    person::{Part, Person, Until},
    world::{Cast, START_MS, World},
};

/// Simulated time after which a run counts as stuck.
const LIMIT: Duration = Duration::from_secs(300);
/// What every run shows; a run without is no proof.
const EXPECT: &[Sight] = &[Sight::Settled, Sight::Acked, Sight::Received, Sight::WholeRead, Sight::UnreadSeen];
/// How wrong a clock is at most.
const SKEW_MS: u64 = 3_600_000;
/// `session.leeway_ms`, as it is where nobody changes it.
const LEEWAY_MS: u64 = 5_000;

pub struct Outcome {
    pub history: History,
    pub violations: Vec<String>,
    pub faults: BTreeMap<&'static str, u64>,
    /// Faults that the seed says.
    pub planned: usize,
}

impl Outcome {
    /// (operations, acknowledged sends)
    pub fn counts(&self) -> (u64, u64) {
        let events = self.history.events();
        let of = |kind| events.iter().filter(|e| e.kind == kind && matches!(e.op, Op::Send { .. })).count() as u64;
        (events.len() as u64, of(Kind::Ok))
    }
}

/// What the seed decides before anything runs.
struct Plan {
    /// One process with everything in it, or two of each tier.
    alone: bool,
    cast: Cast,
    conversations: Vec<String>,
    sends: u64,
    /// Of members, by the host.
    changes: u64,
    skews_ms: Vec<i64>,
    /// Ascending.
    steps: Vec<Timed>,
}

fn plan(seed: u64) -> Result<Plan> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    // Only its entropy is used.
    let draw = runtime.block_on(async { Clock::simulated(seed, START_MS) });
    let alone = seed % 4 == 1;
    let talkers: Vec<String> = (0..2 + draw.below(4)).map(|n| format!("person{n}")).collect();
    let conversations = (0..1 + draw.below(3)).map(|n| format!("room{n}")).collect();
    let steps = if alone { faults::power_cuts(&draw) } else { faults::of_a_fleet(&draw, &talkers) };
    // Most clocks are right; those that say whether a token holds, within the leeway.
    let skew = |(name, _): &(&str, &[Role])| {
        let most = if name.starts_with("front") { LEEWAY_MS / 2 } else { SKEW_MS };
        let skew = i64::try_from(draw.below(2 * most)).unwrap_or(0) - i64::try_from(most).unwrap_or(0);
        if draw.below(4) == 0 { skew } else { 0 }
    };
    let skews_ms = HOSTS.iter().map(skew).collect();
    let sends = 8 + draw.below(24);
    // Drawn last: the others, among them those that `seeds.txt` keeps, go on as they were.
    let changing = seed % 2 == 1;
    let guests = (0..if changing { 1 + draw.below(2) } else { 0 }).map(|n| format!("guest{n}")).collect();
    let cast = Cast { talkers, host: changing.then(|| "host".to_owned()), guests };
    Ok(Plan { alone, cast, conversations, sends, changes: 6 + draw.below(20), skews_ms, steps })
}

/// The simulation, and the software that can be told to end.
struct Stage<'a> {
    sim: turmoil::Sim<'a>,
    world: World,
    crowd: Crowd,
    history: History,
    faults: BTreeMap<&'static str, u64>,
    /// Hosts that do not run.
    down: Vec<&'static str>,
    host: Software,
}

enum Software {
    Alone(Alone),
    Fleet(Fleet, Storm),
}

/// `only`: the faults with these numbers, of all that the seed says.
pub fn run(seed: u64, only: Option<&[usize]>) -> Result<Outcome> {
    let mut plan = plan(seed)?;
    let planned = plan.steps.iter().filter(|timed| timed.step.begins()).count();
    if let Some(only) = only {
        plan.steps.retain(|timed| only.contains(&timed.fault));
    }
    let gates: &[&str] = if plan.alone { &[alone::HOST] } else { &GATES };
    let gates = gates.iter().map(|gate| (*gate).to_owned()).collect();
    let world = World::new(seed, plan.cast.clone(), plan.conversations.clone(), gates);
    let mut stage = Stage::set(seed, &plan, world);
    stage.people(&plan);
    let played = stage.play(&plan.steps).and_then(|done| {
        stage.calm();
        Ok(done || stage.until(LIMIT)?)
    });
    let company: &[Sight] = if plan.cast.host.is_some() { &[Sight::Joined, Sight::PresenceSeen] } else { &[] };
    let report = check(&stage.history.events(), &[EXPECT, company].concat());
    let mut violations = match played {
        Ok(true) => Vec::new(),
        Ok(false) => vec![format!("not done after {LIMIT:?} of simulated time; {}", stage.owners())],
        Err(error) => vec![format!("{error:#}; {}", stage.owners())],
    };
    violations.extend(report.violations.iter().map(ToString::to_string));
    violations.extend(report.missing.iter().map(|sight| format!("not seen: {sight}")));
    Ok(Outcome { history: stage.history, violations, faults: stage.faults, planned })
}

impl Stage<'_> {
    fn set(seed: u64, plan: &Plan, world: World) -> Self {
        let mut sim = turmoil::Builder::new()
            .rng_seed(seed)
            .simulation_duration(LIMIT)
            .tick_duration(Duration::from_millis(1))
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(Duration::from_millis(20))
            .tcp_capacity(4_096)
            .build();
        let host = if plan.alone {
            let alone = Alone::new(world.clone());
            let served = alone.clone();
            sim.host(alone::HOST, move || served.clone().serve());
            Software::Alone(alone)
        } else {
            let storm = Storm::default();
            let fleet = Fleet::new(world.clone(), storm.clone(), plan.skews_ms.clone());
            for (at, (name, _)) in HOSTS.iter().enumerate() {
                let served = fleet.clone();
                sim.host(*name, move || served.clone().serve(at));
            }
            Software::Fleet(fleet, storm)
        };
        let crowd = Crowd::default();
        let (history, faults, down) = (History::default(), BTreeMap::new(), Vec::new());
        Self { sim, world, crowd, history, faults, down, host }
    }

    fn people(&mut self, plan: &Plan) {
        let Cast { talkers, host, guests } = &plan.cast;
        for user in talkers.iter().chain(host) {
            for conversation in &plan.conversations {
                // They are named when it is made.
                let (conversation, user) = (conversation.clone(), user.clone());
                self.history.add_at(0, "backend", Kind::Ok, Op::Join { conversation, user, seq: 1 });
            }
        }
        let until = |at: usize| match (host, at) {
            (None, _) => Until::Unwatched,
            (Some(_), 0) => Until::Read,
            (Some(_), _) => Until::Seen,
        };
        let talks = talkers.iter().enumerate();
        let talks = talks.map(|(at, name)| (name, Part::Talks { sends: plan.sends, until: until(at) }));
        let hosts = host.iter().map(|name| {
            let (guests, watched) = (guests.clone(), talkers.clone());
            (name, Part::Hosts(Host { changes: plan.changes, guests, watched }))
        });
        let visits = guests.iter().map(|name| (name, Part::Visits));
        for (number, (name, part)) in (1..).zip(talks.chain(hosts).chain(visits)) {
            if part.acts() {
                self.crowd.expect_one();
            }
            let (name, conversations) = (name.clone(), plan.conversations.clone());
            let person = Person { name: name.clone(), number, part, conversations };
            self.sim.client(name, person.live(self.world.clone(), self.crowd.clone(), self.history.clone()));
        }
    }

    fn owners(&self) -> String {
        match &self.host {
            Software::Alone(_) => String::new(),
            Software::Fleet(fleet, _) => fleet.owners(),
        }
    }

    fn at_ms(&self) -> u64 {
        u64::try_from(self.sim.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn step(&mut self) -> Result<bool> {
        self.sim.step().map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// True when every client has ended.
    fn until(&mut self, when: Duration) -> Result<bool> {
        while self.sim.elapsed() < when {
            if self.step()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes the faults, the first of them once people can talk. True when every client has ended.
    fn play(&mut self, steps: &[Timed]) -> Result<bool> {
        while !self.world.ready() && self.sim.elapsed() < LIMIT {
            self.step()?;
        }
        let begin = self.sim.elapsed();
        for Timed { at, step, .. } in steps {
            // Where everybody has said everything, nothing begins; what began, ends.
            if self.until(begin + *at)? {
                return Ok(true);
            }
            if step.begins() && self.crowd.all_sent() {
                continue;
            }
            self.make(step)?;
        }
        Ok(false)
    }

    fn make(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Crash(host) | Step::Stop(host) if self.down.contains(host) => return Ok(()),
            Step::Back(host) if !self.down.contains(host) => return Ok(()),
            _ => {}
        }
        let process = step.host().unwrap_or("network");
        let op = match step {
            Step::Crash(_) => Op::Crash,
            Step::Back(_) => Op::Restart,
            other => Op::Fault { what: other.to_string() },
        };
        // Before the step: what comes to rest in it, did so after the fault.
        self.history.add_at(self.at_ms(), process, Kind::Info, op);
        if step.begins() {
            *self.faults.entry(step.kind()).or_default() += 1;
        }
        match step {
            Step::Crash(host) => {
                if let Software::Alone(alone) = &self.host {
                    alone.cut_power();
                    self.step()?;
                }
                self.sim.crash(*host);
                self.down.push(host);
            }
            Step::Stop(host) => {
                if let (Software::Fleet(fleet, _), Some(at)) = (&self.host, HOSTS.iter().position(|h| h.0 == *host)) {
                    fleet.stop(at);
                }
                self.down.push(host);
            }
            Step::Back(host) => {
                self.sim.bounce(*host);
                self.down.retain(|down| down != host);
            }
            Step::Cut(a, b) => self.sim.partition(a.as_str(), b.as_str()),
            Step::CutOneWay(a, b) => self.sim.partition_oneway(a.as_str(), b.as_str()),
            Step::Mend(a, b) => self.sim.repair(a.as_str(), b.as_str()),
            Step::Hold(a, b) => self.sim.hold(a.as_str(), b.as_str()),
            Step::Release(a, b) => self.sim.release(a.as_str(), b.as_str()),
        }
        Ok(())
    }

    /// Everything runs, and nothing is broken any more.
    fn calm(&mut self) {
        for host in std::mem::take(&mut self.down) {
            self.sim.bounce(host);
            self.history.add_at(self.at_ms(), host, Kind::Info, Op::Restart);
        }
        if let Software::Fleet(_, storm) = &self.host {
            storm.end();
            self.faults.insert("engine", storm.made());
        }
        self.crowd.calm_down();
    }
}
