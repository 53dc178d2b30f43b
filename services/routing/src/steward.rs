//! Keeps an incarnation's part of the shards: beats, watches the others, fences who is silent, claims
//! what it should own, and hands over what others should.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use posthorn_bus::Nudges;
use posthorn_clock::{Instant, sleep, timeout};
use posthorn_core::{
    SHARDS, Shard,
    placement::wanted,
    suspicion::{Cap, Watch},
};
use posthorn_errors::Failure;
use posthorn_proto::internal::{
    Beat, BeatRequest, BeatsRequest, FenceRequest, ForgetBeatRequest, ShardRow, ShardsRequest,
};
use posthorn_rpc::{NUDGE_SUBJECT, call};
use tokio_util::sync::CancellationToken;

use crate::{
    claims::{claim, hand_over, settle_inherited},
    service::Core,
};

/// Shards in one claim.
const CLAIM_AT_ONCE: usize = 128;
/// Shards that are handed over at a time: the rest is served meanwhile.
const MOVE_AT_ONCE: usize = 32;

pub struct Steward {
    core: Arc<Core>,
    nudges: Nudges,
    watch: Watch,
    cap: Cap,
    beat: Duration,
    count: u64,
    /// The last look that went through.
    looked: Option<Instant>,
    started: Instant,
    /// When the shards are read again without a reason.
    next_read: Instant,
    /// Those who lived when the shards were last read.
    known: BTreeSet<String>,
    /// Whom this one has fenced, and who may still own something.
    fenced: BTreeSet<String>,
}

/// What the store says.
struct Seen {
    beats: BTreeMap<String, Beat>,
    silent: BTreeSet<String>,
}

impl Steward {
    pub fn new(core: Arc<Core>, nudges: Nudges) -> Self {
        let config = &core.config;
        let beat = Duration::from_millis(config.beat_ms);
        let now = Instant::now();
        Self {
            watch: Watch::new(Duration::from_millis(config.suspect_ms), beat),
            cap: Cap::per_minute(config.max_fences_per_min),
            beat,
            count: 0,
            looked: None,
            started: now,
            next_read: now,
            known: BTreeSet::new(),
            fenced: BTreeSet::new(),
            nudges,
            core,
        }
    }

    /// Until this incarnation is fenced, or `leaving` is cancelled and everything was handed over.
    pub async fn run(mut self, leaving: CancellationToken) {
        while !leaving.is_cancelled() {
            if let Err(failure) = self.look(false).await {
                tracing::warn!(%failure, "the state of the shards cannot be read or changed");
            }
            let pause = self.beat / 2 + Duration::from_millis(self.core.clock.below(self.core.config.beat_ms.max(1)));
            tokio::select! {
                nudged = timeout(pause, self.nudges.next()) => {
                    if nudged.is_ok() {
                        self.next_read = Instant::now();
                    }
                }
                () = leaving.cancelled() => {}
            }
        }
        self.leave().await;
    }

    async fn look(&mut self, leaving: bool) -> Result<(), Failure> {
        let now = Instant::now();
        let Some(seen) = self.beat_and_watch(leaving, now).await? else { return Ok(()) };
        let alive: BTreeSet<String> = seen
            .beats
            .iter()
            .filter(|(name, beat)| !beat.leaving && !seen.silent.contains(*name))
            .map(|(name, _)| name.clone())
            .collect();
        if alive != self.known || now >= self.next_read || !seen.silent.is_empty() {
            self.tend(&seen, &alive).await?;
            self.known = alive;
            self.next_read = Instant::now() + Duration::from_millis(self.core.config.shards_ms);
        }
        Ok(())
    }

    /// The own beat first: silence of others counts only while it goes through.
    async fn beat_and_watch(&mut self, leaving: bool, now: Instant) -> Result<Option<Seen>, Failure> {
        let core = &self.core;
        self.count += 1;
        let (instance, address) = (core.ownership.instance.clone(), core.address.clone());
        let beat = Beat { instance, address, count: self.count, leaving };
        let mut storage = core.storage.clone();
        let went = async {
            call(storage.beat(BeatRequest { beat: Some(beat) })).await?;
            call(storage.beats(BeatsRequest {})).await
        };
        let beats = match went.await {
            Ok(reply) => reply.beats,
            Err(failure) => {
                self.looked = None;
                return Err(failure);
            }
        };
        let beats: BTreeMap<String, Beat> = beats.into_iter().map(|beat| (beat.instance.clone(), beat)).collect();
        let passed = self.looked.map(|last| now.saturating_duration_since(last));
        self.looked = Some(now);
        let Some(passed) = passed else { return Ok(None) };
        let others = beats.iter().filter(|(name, _)| **name != self.core.ownership.instance);
        let silent = self.watch.look(passed, others.map(|(name, beat)| (name.as_str(), beat.count)));
        Ok(Some(Seen { beats, silent: silent.into_iter().collect() }))
    }

    /// Reads the shards and does what is to be done about them.
    async fn tend(&mut self, seen: &Seen, alive: &BTreeSet<String>) -> Result<(), Failure> {
        let core = Arc::clone(&self.core);
        let rows = call(core.storage.clone().shards(ShardsRequest {})).await?.shards;
        let rows: HashMap<u16, ShardRow> =
            rows.into_iter().filter_map(|row| Some((u16::try_from(row.shard).ok()?, row))).collect();
        // Who owns something and never beats is watched as well: from the first look on.
        let mute: BTreeSet<&str> = rows
            .values()
            .map(|row| row.instance.as_str())
            .filter(|owner| !owner.is_empty() && !seen.beats.contains_key(*owner))
            .collect();
        self.fence(seen, &mute).await?;
        let names: HashMap<&str, &str> = seen
            .beats
            .values()
            .filter(|beat| alive.contains(&beat.instance))
            .map(|beat| (beat.address.as_str(), beat.instance.as_str()))
            .collect();
        let me = core.ownership.instance.as_str();
        let (mut take, mut give) = (Vec::new(), Vec::new());
        for shard in (0..SHARDS).map(Shard) {
            let owner = rows.get(&shard.0).map_or("", |row| row.instance.as_str());
            let wanted = wanted(shard, names.keys().copied()).map(|address| names[address]);
            if owner == me && core.ownership.is_held(shard) {
                if wanted.is_some_and(|wanted| wanted != me) {
                    give.push(shard);
                }
            } else if wanted == Some(me) && (owner.is_empty() || owner == me || self.fenced.contains(owner)) {
                take.push(shard);
            }
        }
        self.take(&take).await?;
        give.truncate(MOVE_AT_ONCE);
        if !give.is_empty() {
            tracing::info!(shards = give.len(), "handing shards over");
            hand_over(&core, &give).await;
            self.nudge().await;
            self.next_read = Instant::now();
        }
        self.forget(&rows).await;
        core.metrics.shards.set(i64::try_from(core.ownership.held().len()).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Fences who is silent.
    async fn fence(&mut self, seen: &Seen, mute: &BTreeSet<&str>) -> Result<(), Failure> {
        let patient = self.started.elapsed() < Duration::from_millis(self.core.config.suspect_ms);
        let mute = mute.iter().filter(|_| !patient).map(|name| (*name).to_owned());
        for silent in seen.silent.iter().cloned().chain(mute) {
            if self.fenced.contains(&silent) {
                continue;
            }
            let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
            if !self.cap.take(now_ms) {
                tracing::error!(limit = "routing.max_fences_per_min", "more instances are silent than may be fenced");
                self.core.metrics.fences_capped.inc();
                break;
            }
            tracing::warn!(instance = silent, "a silent instance is fenced, its shards move");
            call(self.core.storage.clone().fence(FenceRequest { instance: silent.clone() })).await?;
            self.core.metrics.fences.inc();
            self.fenced.insert(silent);
        }
        Ok(())
    }

    async fn take(&mut self, shards: &[Shard]) -> Result<(), Failure> {
        let mut taken = 0;
        for chunk in shards.chunks(CLAIM_AT_ONCE) {
            taken += claim(&self.core, chunk).await?.len();
        }
        if taken > 0 {
            tracing::info!(taken, "shards claimed");
            self.nudge().await;
            let core = Arc::clone(&self.core);
            let stopping = core.tasks.stopping();
            self.core.tasks.background("inherited", async move {
                tokio::select! {
                    () = settle_inherited(&core) => {}
                    () = stopping.cancelled() => {}
                }
            });
        }
        Ok(())
    }

    /// The beats of those who are fenced and own nothing any more.
    async fn forget(&mut self, rows: &HashMap<u16, ShardRow>) {
        let done = self.fenced.iter().filter(|gone| !rows.values().any(|row| row.instance == **gone));
        for instance in done.cloned().collect::<Vec<_>>() {
            let request = ForgetBeatRequest { instance: instance.clone() };
            if call(self.core.storage.clone().forget_beat(request)).await.is_ok() {
                self.fenced.remove(&instance);
            }
        }
    }

    async fn nudge(&mut self) {
        // Without it the others find out a little later.
        let _ = self.core.bus.publish(NUDGE_SUBJECT, Bytes::new()).await;
    }

    /// Hands everything over, so that nobody has to suspect this instance.
    async fn leave(&mut self) {
        tracing::info!(shards = self.core.ownership.held().len(), "leaving: all shards are handed over");
        loop {
            // Also so that nobody suspects it meanwhile.
            if let Err(failure) = self.beat_and_watch(true, Instant::now()).await {
                tracing::warn!(%failure, "the others could not be told that this instance leaves");
                sleep(self.beat).await;
            }
            let held = self.core.ownership.held();
            let Some(chunk) = held.chunks(MOVE_AT_ONCE).next() else { break };
            hand_over(&self.core, chunk).await;
            self.nudge().await;
        }
        let instance = self.core.ownership.instance.clone();
        let mut storage = self.core.storage.clone();
        // Nobody depends on it from here on; others fence it where this fails.
        if call(storage.fence(FenceRequest { instance: instance.clone() })).await.is_ok() {
            let _ = call(storage.forget_beat(ForgetBeatRequest { instance })).await;
        }
    }
}
