//! An incarnation's signs of life, and who else gives them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use posthorn_clock::{Instant, sleep};
use posthorn_core::suspicion::Watch;
use posthorn_errors::Failure;
use posthorn_proto::internal::{Beat, BeatRequest, BeatsRequest};
use posthorn_rpc::call;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::service::Core;

/// Every so many beats an incarnation looks whether it was fenced: one that has nothing to write would not
/// find out, and nobody would have its shards.
const CHECK_EVERY: u64 = 4;

/// What the store says.
#[derive(Clone)]
pub struct Seen {
    pub beats: BTreeMap<String, Beat>,
    pub silent: BTreeSet<String>,
    /// The own last beat said that this incarnation leaves.
    pub leaving: bool,
}

pub struct Beats {
    core: Arc<Core>,
    watch: Watch,
    count: u64,
    /// The last look that went through.
    looked: Option<Instant>,
}

impl Beats {
    pub fn new(core: Arc<Core>) -> Self {
        let (suspect_ms, beat_ms) = (core.config.suspect_ms, core.config.beat_ms);
        let watch = Watch::new(Duration::from_millis(suspect_ms), Duration::from_millis(beat_ms));
        Self { core, watch, count: 0, looked: None }
    }

    /// Does not end.
    pub async fn run(mut self, told: &watch::Sender<Option<Seen>>, leaving: &CancellationToken) {
        loop {
            let leaves = leaving.is_cancelled();
            match self.look(leaves).await {
                Ok(seen) => {
                    // The first look that counts is the second: silence is measured between two.
                    if seen.is_some() {
                        told.send_replace(seen);
                    }
                }
                Err(failure) => {
                    self.looked = None;
                    tracing::warn!(%failure, "no sign of life could be given");
                }
            }
            let beat_ms = self.core.config.beat_ms;
            let pause = Duration::from_millis(beat_ms / 2 + self.core.clock.below(beat_ms.max(1)));
            tokio::select! {
                () = sleep(pause) => {}
                // Said at once.
                () = leaving.cancelled(), if !leaves => {}
            }
        }
    }

    /// The own beat first: silence of others counts only while it goes through.
    async fn look(&mut self, leaving: bool) -> Result<Option<Seen>, Failure> {
        let core = &self.core;
        let now = Instant::now();
        self.count += 1;
        let (instance, address) = (core.ownership.instance.clone(), core.address.clone());
        if self.count.is_multiple_of(CHECK_EVERY) {
            core.checker.active().await?;
        }
        let mut storage = core.storage.clone();
        let beat = Beat { instance, address, count: self.count, leaving };
        call(storage.beat(BeatRequest { beat: Some(beat) })).await?;
        let beats = call(storage.beats(BeatsRequest {})).await?.beats;
        let beats: BTreeMap<String, Beat> = beats.into_iter().map(|beat| (beat.instance.clone(), beat)).collect();
        let passed = self.looked.map(|last| now.saturating_duration_since(last));
        self.looked = Some(now);
        let Some(passed) = passed else { return Ok(None) };
        let others = beats.iter().filter(|(name, _)| **name != self.core.ownership.instance);
        let silent = self.watch.look(passed, others.map(|(name, beat)| (name.as_str(), beat.count)));
        Ok(Some(Seen { beats, silent: silent.into_iter().collect(), leaving }))
    }
}
