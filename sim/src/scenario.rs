//! People sending; crashes in which unsynced writes vanish; restarts; reconnects.

use std::time::Duration;

use anyhow::Result;
use posthorn_clock::Clock;
use posthorn_history::{Kind, Op, Sight, check};

use crate::{
    history::History,
    person::{Crowd, Person},
    server::{HOST, START_MS, World},
};

/// Simulated time after which a run counts as stuck.
const LIMIT: Duration = Duration::from_secs(300);
/// What every run shows; a run without is no proof.
const EXPECT: &[Sight] = &[Sight::Settled, Sight::Acked, Sight::Received, Sight::WholeRead, Sight::UnreadSeen];

pub struct Outcome {
    pub history: History,
    pub violations: Vec<String>,
    pub crashes: u64,
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
    people: u64,
    sends: u64,
    conversations: u64,
    /// (when, for how long), ascending.
    crashes: Vec<(Duration, Duration)>,
}

fn plan(seed: u64) -> Result<Plan> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    // Only its entropy is used.
    let draw = runtime.block_on(async { Clock::simulated(seed, START_MS) });
    let mut at = Duration::ZERO;
    let crashes = (0..1 + draw.below(3)).map(|_| {
        at += Duration::from_millis(200 + draw.below(1_500));
        (at, Duration::from_millis(50 + draw.below(1_000)))
    });
    let crashes = crashes.collect();
    Ok(Plan { people: 2 + draw.below(4), sends: 8 + draw.below(24), conversations: 1 + draw.below(3), crashes })
}

pub fn run(seed: u64) -> Result<Outcome> {
    let plan = plan(seed)?;
    let users: Vec<String> = (0..plan.people).map(|n| format!("person{n}")).collect();
    let conversations: Vec<String> = (0..plan.conversations).map(|n| format!("room{n}")).collect();
    let (world, history) = (World::new(seed, users.clone(), conversations.clone()), History::default());
    for (user, conversation) in users.iter().flat_map(|user| conversations.iter().map(move |place| (user, place))) {
        // They are named when it is made.
        let (conversation, user) = (conversation.clone(), user.clone());
        history.add_at(0, HOST, Kind::Ok, Op::Join { conversation, user, seq: 1 });
    }
    let crowd = Crowd::of(users.len());
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .simulation_duration(LIMIT)
        .tick_duration(Duration::from_millis(1))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(20))
        .tcp_capacity(4_096)
        .build();
    let served = world.clone();
    sim.host(HOST, move || served.clone().serve());
    for (number, name) in (1..).zip(&users) {
        let person = Person { name: name.clone(), number, sends: plan.sends, conversations: conversations.clone() };
        sim.client(name.as_str(), person.live(world.clone(), crowd.clone(), history.clone()));
    }
    let at_ms = |sim: &turmoil::Sim<'_>| u64::try_from(sim.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut crashes = 0;
    for (when, down) in plan.crashes {
        if step_until(&mut sim, when)? || crowd.all_sent() {
            break;
        }
        world.cut_power();
        // Before the step: what comes to rest in it, did so after the cut.
        history.add_at(at_ms(&sim), HOST, Kind::Info, Op::Crash);
        sim.step().map_err(|error| anyhow::anyhow!("{error}"))?;
        sim.crash(HOST);
        crashes += 1;
        let back = sim.elapsed() + down;
        let done = step_until(&mut sim, back)?;
        sim.bounce(HOST);
        history.add_at(at_ms(&sim), HOST, Kind::Info, Op::Restart);
        if done {
            break;
        }
    }
    let done = step_until(&mut sim, LIMIT)?;
    let report = check(&history.events(), EXPECT);
    let mut violations: Vec<String> = report.violations.iter().map(ToString::to_string).collect();
    violations.extend(report.missing.iter().map(|sight| format!("not seen: {sight}")));
    if !done {
        violations.push(format!("not done after {LIMIT:?} of simulated time"));
    }
    Ok(Outcome { history, violations, crashes })
}

/// True when every client has ended.
fn step_until(sim: &mut turmoil::Sim<'_>, when: Duration) -> Result<bool> {
    while sim.elapsed() < when {
        if sim.step().map_err(|error| anyhow::anyhow!("{error}"))? {
            return Ok(true);
        }
    }
    Ok(false)
}
