//! People talk while processes crash, stop and start, ways between them break, clocks are wrong and engines
//! misbehave; then everything they did and saw is held to the rules.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use anyhow::Result;
use posthorn_history::{Kind, Op, Sight, check};
use posthorn_store::memory::MemoryStore;

use crate::{
    alone::{self, Alone},
    broken::Broken,
    crowd::Crowd,
    faults::{Step, Timed},
    feed,
    fleet::{Fleet, GATES, HOSTS},
    guests::Host,
    history::History,
    panics,
    person::{Part, Person, Until},
    plan::{Plan, plan},
    storm::Storm,
    world::{Cast, World},
};

/// Simulated time after which a run counts as stuck.
const LIMIT: Duration = Duration::from_secs(300);
/// What every run shows; a run without is no proof.
const EXPECT: &[Sight] =
    &[Sight::Settled, Sight::Acked, Sight::Received, Sight::WholeRead, Sight::Marked, Sight::UnreadSeen, Sight::Fed];
/// The feed has everything so long after people have ended.
const FEED_LIMIT: Duration = Duration::from_secs(30);
/// Between two looks at it.
const FEED_POLL: Duration = Duration::from_millis(100);

pub struct Outcome {
    pub history: History,
    pub violations: Vec<String>,
    /// How often what was broken.
    pub faults: BTreeMap<String, u64>,
    /// What the checker saw, and how often.
    pub seen: BTreeMap<String, u64>,
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

/// The simulation, and the software that can be told to end.
struct Stage<'a> {
    sim: turmoil::Sim<'a>,
    world: World,
    crowd: Crowd,
    history: History,
    faults: BTreeMap<String, u64>,
    /// Hosts that do not run.
    down: Vec<&'static str>,
    /// Hosts that are paused, and what else is broken of ways.
    paused: Vec<&'static str>,
    ways: Vec<Step>,
    /// Who has ended does no more, and can still be sent something.
    people: Vec<String>,
    host: Software,
}

enum Software {
    Alone(Alone),
    Fleet(Fleet, Storm),
}

pub struct Options {
    /// The faults with these numbers, of all that the seed says.
    pub only: Option<Vec<usize>>,
    pub broken: Option<Broken>,
}

pub fn run(seed: u64, Options { only, broken }: Options) -> Result<Outcome> {
    let mut plan = plan(seed)?;
    let planned = plan.steps.iter().filter(|timed| timed.step.begins()).count();
    if let Some(only) = only {
        plan.steps.retain(|timed| only.contains(&timed.fault));
    }
    let gates: &[&str] = if plan.alone { &[alone::HOST] } else { &GATES };
    let gates = gates.iter().map(|gate| (*gate).to_owned()).collect();
    let world = World::new(seed, broken, plan.cast.clone(), plan.conversations.clone(), gates);
    let mut stage = Stage::set(seed, &plan, world, History::default());
    stage.people(&plan);
    let played = stage.play(&plan.steps).and_then(|done| {
        stage.calm();
        let done = done || stage.until(LIMIT)?;
        stage.feed(done)?;
        Ok(done)
    });
    let company: &[Sight] = if plan.cast.host.is_some() { &[Sight::Joined, Sight::PresenceSeen] } else { &[] };
    let report = check(&stage.history.events(), &[EXPECT, company].concat());
    let mut violations = match played {
        Ok(true) => Vec::new(),
        Ok(false) => vec![format!("not done after {LIMIT:?} of simulated time; {}", stage.owners())],
        Err(error) => vec![format!("{error:#}; {}", stage.owners())],
    };
    violations.extend(panics::take());
    violations.extend(report.violations.iter().map(ToString::to_string));
    violations.extend(report.missing.iter().map(|sight| format!("not seen: {sight}")));
    let seen = report.seen.iter().map(|(sight, times)| (sight.to_string(), *times)).collect();
    Ok(Outcome { history: stage.history, violations, faults: stage.faults, seen, planned })
}

impl Stage<'_> {
    fn set(seed: u64, plan: &Plan, world: World, history: History) -> Self {
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
        let (mut faults, down, paused, ways) = (BTreeMap::new(), Vec::new(), Vec::new(), Vec::new());
        if !plan.alone {
            let skewed = plan.skews_ms.iter().filter(|skew| **skew != 0).count();
            faults.insert("clock-skew".to_owned(), skewed as u64);
        }
        Self { sim, world, crowd, history, faults, down, paused, ways, people: Vec::new(), host }
    }

    fn people(&mut self, plan: &Plan) {
        let Cast { talkers, host, guests, seconds } = &plan.cast;
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
        let talks =
            talks.map(|(at, name)| (name, Part::Talks { sends: plan.sends, marks: plan.troubled, until: until(at) }));
        let hosts = host.iter().map(|name| {
            let (guests, watched) = (guests.clone(), talkers.clone());
            (name, Part::Hosts(Host { changes: plan.changes, guests, watched }))
        });
        let visits = guests.iter().map(|name| (name, Part::Visits));
        // Presence is their user's: who goes first leaves the other.
        let second = || Part::Talks { sends: plan.sends / 2, marks: true, until: Until::Unwatched };
        let seconds = seconds.iter().map(|name| (name, second()));
        for (number, (name, part)) in (1..).zip(talks.chain(hosts).chain(visits).chain(seconds)) {
            if part.acts() {
                self.crowd.expect_one();
            }
            self.people.push(name.clone());
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
        match catch_unwind(AssertUnwindSafe(|| self.sim.step())) {
            Ok(stepped) => stepped.map_err(|error| anyhow::anyhow!("{error}")),
            // The hook has noted why.
            Err(_) => anyhow::bail!("panicked outside of every task"),
        }
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
        if self.world.broken() == Some(Broken::Dies) {
            std::process::abort();
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
            *self.faults.entry(step.kind().to_owned()).or_default() += 1;
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
                if let Software::Fleet(fleet, _) = &self.host {
                    fleet.stop(number(host));
                }
                self.down.push(host);
            }
            Step::Back(host) => {
                self.sim.bounce(*host);
                self.down.retain(|down| down != host);
            }
            Step::Cut(..) | Step::CutOneWay(..) | Step::Hold(..) => {
                self.way(step);
                self.ways.push(step.clone());
            }
            Step::Mend(a, b) | Step::Release(a, b) => {
                self.way(step);
                self.ways.retain(|way| way.ends() != Some((a, b)));
                // Whoever is paused is so for them as well.
                self.paused.iter().for_each(|host| self.pause(host, true));
            }
            Step::Pause(_) | Step::Resume(_) | Step::Away(_) | Step::Return(_) | Step::Jump(..) => self.trouble(step),
        }
        Ok(())
    }

    fn way(&self, step: &Step) {
        match step {
            Step::Cut(a, b) => self.sim.partition(a.as_str(), b.as_str()),
            Step::CutOneWay(a, b) => self.sim.partition_oneway(a.as_str(), b.as_str()),
            Step::Mend(a, b) => self.sim.repair(a.as_str(), b.as_str()),
            Step::Hold(a, b) => self.sim.hold(a.as_str(), b.as_str()),
            Step::Release(a, b) => self.sim.release(a.as_str(), b.as_str()),
            _ => {}
        }
    }

    /// To everybody, and from everybody.
    fn pause(&self, host: &'static str, paused: bool) {
        let hosts = HOSTS.iter().map(|(name, _)| *name);
        for other in hosts.chain(self.people.iter().map(String::as_str)).filter(|other| *other != host) {
            if paused { self.sim.hold(host, other) } else { self.sim.release(host, other) }
        }
    }

    fn trouble(&mut self, step: &Step) {
        let Software::Fleet(fleet, storm) = &self.host else { return };
        match step {
            Step::Pause(host) => {
                storm.pause(number(host), true);
                self.pause(host, true);
                self.paused.push(host);
            }
            Step::Resume(host) => {
                storm.pause(number(host), false);
                self.pause(host, false);
                self.paused.retain(|paused| paused != host);
                // What is broken besides goes on, and so do other pauses.
                self.ways.iter().for_each(|way| self.way(way));
                self.paused.iter().for_each(|host| self.pause(host, true));
            }
            Step::Away(engine) | Step::Return(engine) => storm.away(*engine, step.begins()),
            Step::Jump(host, ms) => fleet.jump(number(host), *ms),
            _ => {}
        }
    }

    /// Everything runs, and nothing is broken any more.
    fn calm(&mut self) {
        for host in std::mem::take(&mut self.down) {
            self.sim.bounce(host);
            self.history.add_at(self.at_ms(), host, Kind::Info, Op::Restart);
        }
        if let Software::Fleet(_, storm) = &self.host {
            storm.end();
            self.faults.extend(storm.made());
        }
        self.crowd.calm_down();
    }

    /// Reads the feed from its beginning: where people have ended, once it has what they read, if it comes to that.
    fn feed(&mut self, ended: bool) -> Result<()> {
        let ends = feed::ends(&self.history.events());
        let until = self.sim.elapsed() + if ended { FEED_LIMIT } else { Duration::ZERO };
        loop {
            let entries = self.table().map(|table| feed::whole(&table)).unwrap_or_default();
            if feed::complete(&entries, &ends) || self.sim.elapsed() >= until {
                let at_ms = self.at_ms();
                for (conversation, entries) in entries {
                    self.history.add_at(at_ms, "consumer", Kind::Ok, Op::Feed { conversation, entries });
                }
                return Ok(());
            }
            let next = self.sim.elapsed() + FEED_POLL;
            while self.sim.elapsed() < next {
                self.step()?;
            }
        }
    }

    fn table(&self) -> Option<Arc<MemoryStore>> {
        match &self.host {
            Software::Alone(alone) => alone.feed(),
            Software::Fleet(fleet, _) => fleet.feed(),
        }
    }
}

/// Of a process of the fleet.
fn number(host: &str) -> usize {
    HOSTS.iter().position(|(name, _)| *name == host).unwrap_or(0)
}
