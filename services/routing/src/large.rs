//! Large conversations. Each has a subject of its own, on which every publication goes out once, for all
//! gateways that follow it. Its entries are numbered by their seq, and what is missing of them is in the log: nothing is
//! kept for gateways to ask for but how far each conversation came. That is said on its subject again and again for
//! a while, so that a loss shows also where nothing comes behind it, and to whoever asks.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use posthorn_bus::{Bus, subjects::of_conversation};
use posthorn_clock::{Instant, sleep, timeout};
use posthorn_core::ConversationKey;
use posthorn_proto::internal::{ConversationEnd, Moved, Publication, publication::What};
use posthorn_tasks::Tasks;
use prost::Message;
use tokio_util::sync::CancellationToken;

use crate::{RoutingConfig, metrics::RoutingMetrics};

#[cfg(test)]
mod tests;

/// Ends in one reply.
const MAX_REPLY_ENDS: usize = 4_096;
/// For the ends that are said when the incarnation ends.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Those that one incarnation publishes. Cheap to clone.
#[derive(Clone)]
pub struct Large(Arc<Inner>);

struct Inner {
    bus: Arc<dyn Bus>,
    ends: Mutex<Ends>,
    metrics: Arc<RoutingMetrics>,
}

/// How far each conversation came, in the order in which they moved last.
struct Ends {
    known: HashMap<ConversationKey, End>,
    order: BTreeMap<u64, ConversationKey>,
    /// Of the last that moved; and of the last that was forgotten.
    number: u64,
    forgotten: u64,
    max: usize,
    /// From the first beat on the pauses grow, until nothing came for so long.
    beat: Duration,
    idle: Duration,
}

struct End {
    number: u64,
    seq: u64,
    moved: Instant,
    /// After the pause before it; `None` once it was said often enough.
    next_beat: Option<Instant>,
    pause: Duration,
}

impl Large {
    /// Begins to beat at once.
    pub fn new(
        config: &RoutingConfig,
        bus: Arc<dyn Bus>,
        metrics: Arc<RoutingMetrics>,
        tasks: &Tasks,
        fenced: CancellationToken,
    ) -> Self {
        let beat = Duration::from_millis(config.link_beat_ms.max(1));
        let idle = Duration::from_millis(config.link_idle_ms);
        let large =
            Self(Arc::new(Inner { bus, ends: Mutex::new(Ends::new(config.max_remembered_ends, beat, idle)), metrics }));
        let (beating, stopping) = (large.clone(), tasks.stopping());
        tasks.background("ends of large conversations", async move {
            tokio::select! {
                biased;
                () = stopping.cancelled() => {}
                () = beating.beats(beat) => {}
            }
            // Of one that was fenced gateways hear nothing more, and ask the next owners.
            if !fenced.is_cancelled() {
                let last = beating.0.ends.lock().beating();
                let _ = timeout(LAST_WORDS, beating.say(last)).await;
            }
        });
        large
    }

    /// Entries up to `seq`. Publications of one caller stay in order.
    pub async fn entries(&self, key: &ConversationKey, seq: u64, publication: Publication) {
        // Before it goes out: whoever asks because the bus is away is told of it.
        {
            let mut ends = self.0.ends.lock();
            ends.moved(key, seq, Instant::now());
            self.0.metrics.large.set(i64::try_from(ends.known.len()).unwrap_or(i64::MAX));
        }
        self.publish(key, publication).await;
    }

    pub async fn publish(&self, key: &ConversationKey, publication: Publication) {
        match self.send(key, publication).await {
            true => self.0.metrics.large_publications.inc(),
            false => self.0.metrics.publications_dropped.inc(),
        };
    }

    /// The conversations that moved since the one of this number.
    pub fn moved(&self, since: u64) -> Moved {
        self.0.ends.lock().since(since)
    }

    async fn beats(&self, beat: Duration) {
        loop {
            sleep(beat).await;
            let due = self.0.ends.lock().due(Instant::now());
            self.say(due).await;
        }
    }

    async fn say(&self, ends: Vec<(ConversationKey, u64)>) {
        for (key, seq) in ends {
            let end = end_of(&key, seq);
            let tenant = end.tenant.clone();
            // Where it is lost, another one comes, or the bus says that it was away.
            self.send(&key, Publication { tenant, what: Some(What::End(end)), ..Publication::default() }).await;
        }
    }

    async fn send(&self, key: &ConversationKey, publication: Publication) -> bool {
        let subject = of_conversation(key.tenant.as_str(), key.conversation.as_str());
        self.0.bus.publish(&subject, Bytes::from(publication.encode_to_vec())).await.is_ok()
    }
}

impl Ends {
    fn new(max: usize, beat: Duration, idle: Duration) -> Self {
        Self { known: HashMap::new(), order: BTreeMap::new(), number: 0, forgotten: 0, max: max.max(1), beat, idle }
    }

    fn moved(&mut self, key: &ConversationKey, seq: u64, now: Instant) {
        self.number += 1;
        let end = End { number: self.number, seq, moved: now, next_beat: Some(now + self.beat), pause: self.beat };
        let before = self.known.insert(key.clone(), end);
        if let Some(before) = before {
            self.order.remove(&before.number);
            // What a new owner repeats ends where it did.
            if let Some(end) = self.known.get_mut(key) {
                end.seq = end.seq.max(before.seq);
            }
        }
        self.order.insert(self.number, key.clone());
        while self.order.len() > self.max
            && let Some((number, oldest)) = self.order.pop_first()
        {
            self.known.remove(&oldest);
            self.forgotten = number;
        }
    }

    fn since(&self, number: u64) -> Moved {
        // One that was never given is another incarnation's.
        let number = if number > self.number { 0 } else { number };
        let beyond =
            || self.order.range(number + 1..).filter_map(|(number, key)| Some((number, key, self.known.get(key)?)));
        let ends: Vec<_> = beyond().take(MAX_REPLY_ENDS).map(|(_, key, end)| end_of(key, end.seq)).collect();
        let last = beyond().take(MAX_REPLY_ENDS).last().map_or(number, |(number, ..)| *number);
        let more = last < self.number;
        Moved { last: if more { last } else { self.number }, ends, partial: number < self.forgotten, more }
    }

    /// Those whose end is to be said again some time.
    fn beating(&self) -> Vec<(ConversationKey, u64)> {
        let known = self.order.values().filter_map(|key| Some((key, self.known.get(key)?)));
        let beating = known.filter(|(_, end)| end.next_beat.is_some());
        beating.map(|(key, end)| (key.clone(), end.seq)).collect()
    }

    /// Those whose end is to be said now.
    fn due(&mut self, now: Instant) -> Vec<(ConversationKey, u64)> {
        let mut due = Vec::new();
        for key in self.order.values() {
            let Some(end) = self.known.get_mut(key).filter(|end| end.next_beat.is_some_and(|at| at <= now)) else {
                continue;
            };
            due.push((key.clone(), end.seq));
            end.pause *= 2;
            let next = now + end.pause;
            end.next_beat = (next <= end.moved + self.idle).then_some(next);
        }
        due
    }
}

fn end_of(key: &ConversationKey, seq: u64) -> ConversationEnd {
    ConversationEnd { tenant: (&key.tenant).into(), conversation: (&key.conversation).into(), seq }
}
