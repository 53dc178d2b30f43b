//! What a seed says: who there is, and what is broken when.

use anyhow::Result;
use posthorn_clock::Clock;
use posthorn_node::Role;

use crate::{
    faults::{self, Timed},
    fleet::HOSTS,
    world::{Cast, START_MS},
};

/// How wrong a clock is at most.
const SKEW_MS: u64 = 3_600_000;
/// `session.leeway_ms`, as it is where nobody changes it.
const LEEWAY_MS: u64 = 5_000;

/// What the seed decides before anything runs.
pub struct Plan {
    /// One process with everything in it, or two of each tier.
    pub alone: bool,
    /// People mark what they have as they go, one of them has two devices, and a fleet has faults of more kinds. Seeds
    /// that were kept before there was this go on as they were.
    pub troubled: bool,
    pub cast: Cast,
    pub conversations: Vec<String>,
    pub sends: u64,
    /// Of members, by the host.
    pub changes: u64,
    pub skews_ms: Vec<i64>,
    /// Ascending.
    pub steps: Vec<Timed>,
}

pub fn plan(seed: u64) -> Result<Plan> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    // Only its entropy is used.
    let draw = runtime.block_on(async { Clock::simulated(seed, START_MS) });
    let troubled = seed % 4 == 1;
    let alone = seed % 8 == 1;
    let talkers: Vec<String> = (0..2 + draw.below(4)).map(|n| format!("person{n}")).collect();
    let conversations = (0..1 + draw.below(3)).map(|n| format!("room{n}")).collect();
    let steps = match (alone, troubled) {
        (true, _) => faults::power_cuts(&draw),
        (false, true) => faults::of_a_troubled_fleet(&draw, &talkers, seed / 8),
        (false, false) => faults::of_a_fleet(&draw, &talkers),
    };
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
    let seconds = talkers.last().filter(|_| troubled).map(|user| format!("{user}/second")).into_iter().collect();
    let cast = Cast { seconds, talkers, host: changing.then(|| "host".to_owned()), guests };
    Ok(Plan { alone, troubled, cast, conversations, sends, changes: 6 + draw.below(20), skews_ms, steps })
}
