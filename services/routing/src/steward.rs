//! Keeps an incarnation's part of the shards: fences who is silent, claims what it should own, and hands
//! over what others should.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use posthorn_bus::Nudges;
use posthorn_clock::{Instant, sleep, timeout};
use posthorn_core::{SHARDS, Shard, placement::wanted, suspicion::Cap};
use posthorn_errors::Failure;
use posthorn_proto::internal::{Beat, FenceRequest, ForgetBeatRequest, ShardRow, ShardsRequest};
use posthorn_rpc::{NUDGE_SUBJECT, call};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    beats::{Beats, Seen},
    claims::{claim, forget_behind, hand_over, settle_inherited},
    service::Core,
};

/// Shards in one claim.
const CLAIM_AT_ONCE: usize = 128;
/// Shards that are handed over at a time: the rest is served meanwhile.
const MOVE_AT_ONCE: usize = 32;
/// Before one that leaves tries again to give shards back.
const LEAVE_AGAIN: Duration = Duration::from_millis(250);
/// How long one that leaves waits for its beat to say so.
const LEAVE_SAID: Duration = Duration::from_secs(2);

pub struct Steward {
    core: Arc<Core>,
    nudges: Nudges,
    cap: Cap,
    started: Instant,
    /// When the shards are read again without a reason.
    next_read: Instant,
    /// Those who lived when the shards were last read.
    known: BTreeSet<String>,
    /// Whom this one has fenced, and who may still own something.
    fenced: BTreeSet<String>,
    /// What was inherited is being settled.
    settles: Arc<AtomicBool>,
}

impl Steward {
    pub fn new(core: Arc<Core>, nudges: Nudges) -> Self {
        let now = Instant::now();
        Self {
            cap: Cap::per_minute(core.config.max_fences_per_min),
            started: now,
            next_read: now,
            known: BTreeSet::new(),
            fenced: BTreeSet::new(),
            settles: Arc::default(),
            nudges,
            core,
        }
    }

    /// Until this incarnation is fenced, or `leaving` is cancelled and everything was handed over. Beats go
    /// on beside the rest: to claim a dead owner's shards may take longer than one may be silent.
    pub async fn run(mut self, leaving: CancellationToken) {
        let (told, seen) = watch::channel(None);
        let beats = Beats::new(Arc::clone(&self.core)).run(&told, &leaving);
        let rest = async {
            self.keep(seen.clone(), &leaving).await;
            self.leave(seen).await;
        };
        tokio::select! {
            () = beats => {}
            () = rest => {}
        }
        self.farewell().await;
    }

    async fn keep(&mut self, mut seen: watch::Receiver<Option<Seen>>, leaving: &CancellationToken) {
        while !leaving.is_cancelled() {
            tokio::select! {
                looked = seen.changed() => if looked.is_err() { return },
                () = self.nudges.next() => self.next_read = Instant::now(),
                () = leaving.cancelled() => return,
            }
            // What was last seen may be old by now: a beat that fails leaves it as it is.
            let Some(last) = seen.borrow_and_update().clone() else { continue };
            if let Err(failure) = self.look(&last).await {
                tracing::warn!(%failure, "the state of the shards cannot be read or changed");
            }
        }
    }

    async fn look(&mut self, seen: &Seen) -> Result<(), Failure> {
        // Whoever was fenced is dead for good, also where it still beats.
        let lives = |(name, beat): &(&String, &Beat)| {
            !beat.leaving && !seen.silent.contains(*name) && !self.fenced.contains(*name)
        };
        let alive: BTreeSet<String> = seen.beats.iter().filter(lives).map(|(name, _)| name.clone()).collect();
        if alive != self.known || Instant::now() >= self.next_read || !seen.silent.is_empty() {
            self.tend(seen, &alive).await?;
            self.known = alive;
            self.next_read = Instant::now() + Duration::from_millis(self.core.config.shards_ms);
        }
        Ok(())
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
            let (held, serves) = (core.ownership.is_held(shard), core.ownership.serves(shard).is_ok());
            if owner == me && held {
                // What was once begun to be given back is, also where this one should have it again: it is served
                // under another epoch only, with what its journal says.
                if !serves || wanted.is_some_and(|wanted| wanted != me) {
                    give.push(shard);
                }
                continue;
            }
            if held && !serves {
                // Given back, and never told so.
                core.ownership.left(shard);
            }
            if owner == me {
                // Claimed, and never told so. Others leave it alone as long as this one lives, also who should have
                // it by now: only from here can it be handed over.
                take.push(shard);
            } else if wanted == Some(me) && (owner.is_empty() || self.fenced.contains(owner)) {
                take.push(shard);
            }
        }
        let taken = self.take(&take).await;
        self.settle_inherited();
        taken?;
        give.truncate(MOVE_AT_ONCE);
        if !give.is_empty() {
            tracing::info!(shards = give.len(), "handing shards over");
            hand_over(&core, &give).await;
            self.nudge().await;
            self.next_read = Instant::now();
        }
        self.forget(&rows).await;
        forget_behind(&core, &rows).await?;
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
        }
        Ok(())
    }

    /// Until nothing is named any more: a conversation that cannot be loaded now is tried again with the next look.
    fn settle_inherited(&self) {
        if self.core.ownership.named().is_empty() || self.settles.swap(true, Ordering::AcqRel) {
            return;
        }
        let (core, settles) = (Arc::clone(&self.core), Arc::clone(&self.settles));
        let work = async move {
            settle_inherited(&core).await;
            settles.store(false, Ordering::Release);
        };
        self.core.tasks.background("inherited", self.core.tasks.until_stopped(work));
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
    async fn leave(&mut self, mut seen: watch::Receiver<Option<Seen>>) {
        tracing::info!(shards = self.core.ownership.held().len(), "leaving: all shards are handed over");
        // Others take nothing for one who leaves: without it a shard could come back at once.
        let said = seen.wait_for(|seen| seen.as_ref().is_some_and(|seen| seen.leaving));
        if timeout(LEAVE_SAID, said).await.is_err() {
            tracing::warn!("the others could not be told yet that this instance leaves");
        }
        loop {
            let held = self.core.ownership.held();
            let Some(chunk) = held.chunks(MOVE_AT_ONCE).next() else { break };
            hand_over(&self.core, chunk).await;
            self.nudge().await;
            if self.core.ownership.held().len() == held.len() {
                // Nobody answers: it is asked again until the process has to end.
                sleep(LEAVE_AGAIN).await;
            }
        }
    }

    /// After the last beat. Nobody depends on this incarnation from here on; others fence it where this fails.
    async fn farewell(self) {
        let instance = self.core.ownership.instance.clone();
        let mut storage = self.core.storage.clone();
        if call(storage.fence(FenceRequest { instance: instance.clone() })).await.is_ok() {
            let _ = call(storage.forget_beat(ForgetBeatRequest { instance })).await;
        }
    }
}
