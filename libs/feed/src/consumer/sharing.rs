//! Which partitions of the feed are this process's, where several processes are one consumer group. Each
//! says over the bus that it is there; a partition is for the one that rendezvous hashing names among those
//! that are heard. Who takes a partition over waits until its former owner has noticed and is done with what
//! it had read. A cut between them, or a pause, can make both decide the same entries: at least once.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use posthorn_bus::{Bus, Delivery, Subscription};
use posthorn_clock::{Instant, interval, sleep};
use posthorn_core::{Shard, placement::wanted};
use tokio::sync::watch;

use super::{ConsumerDeps, ConsumerMetrics};
use crate::PARTITIONS;

const THERE: u8 = b'+';
const LEAVES: u8 = b'-';
/// Between tries to subscribe.
const AGAIN: Duration = Duration::from_secs(1);

/// The partitions of this process, as they are.
#[derive(Clone)]
pub struct Shares(watch::Receiver<Vec<bool>>);

impl Shares {
    /// All of them, for a process that is alone.
    pub fn all() -> Self {
        Self(watch::channel(vec![true; usize::from(PARTITIONS)]).1)
    }

    /// Shared with whoever is heard on the bus.
    pub fn among(bus: Arc<dyn Bus>, deps: &ConsumerDeps) -> Self {
        let (told, shares) = watch::channel(vec![false; usize::from(PARTITIONS)]);
        let member = Member {
            bus,
            group: deps.group,
            subject: format!("{}.members", deps.group),
            name: deps.clock.uuid_v4().to_string(),
            beat: Duration::from_millis(deps.config.beat_ms),
            silence: Duration::from_millis(deps.config.suspect_ms),
            takeover: Duration::from_millis(deps.config.takeover_ms),
            others: BTreeMap::new(),
            waits: BTreeMap::new(),
            told,
            metrics: deps.metrics.clone(),
        };
        let stopping = deps.tasks.stopping();
        deps.tasks.critical("group members", async move {
            let mut member = member;
            tokio::select! {
                () = member.run() => {}
                () = stopping.cancelled() => {}
            }
            member.say(LEAVES).await;
        });
        Self(shares)
    }

    pub fn mine(&self, partition: u16) -> bool {
        self.0.borrow().get(usize::from(partition)).copied().unwrap_or(false)
    }

    /// Returns when the partition is this process's.
    pub async fn until_mine(&mut self, partition: u16) {
        let at = usize::from(partition);
        if self.0.wait_for(|mine| mine.get(at).copied().unwrap_or(false)).await.is_err() {
            // The sender is gone: this process stops.
            std::future::pending::<()>().await;
        }
    }
}

struct Member {
    bus: Arc<dyn Bus>,
    group: &'static str,
    /// Where processes say that they are there, or leave.
    subject: String,
    name: String,
    beat: Duration,
    silence: Duration,
    takeover: Duration,
    /// When each was last heard.
    others: BTreeMap<String, Instant>,
    /// Partitions that are to be this process's, and from when on.
    waits: BTreeMap<u16, Instant>,
    told: watch::Sender<Vec<bool>>,
    metrics: ConsumerMetrics,
}

impl Member {
    async fn run(&mut self) {
        loop {
            match self.bus.subscribe(&self.subject).await {
                Ok(subscription) => self.listen(subscription).await,
                Err(error) => tracing::warn!(%error, "cannot listen to the others of the group"),
            }
            sleep(AGAIN).await;
        }
    }

    async fn listen(&mut self, mut subscription: Box<dyn Subscription>) {
        let mut beat = interval(self.beat);
        // Nobody was heard before: whoever is there says so within a beat.
        let from = Instant::now() + self.takeover;
        self.waits = (0..PARTITIONS).filter(|partition| !self.has(*partition)).map(|p| (p, from)).collect();
        loop {
            tokio::select! {
                _ = beat.tick() => {
                    if self.say(THERE).await {
                        self.others.retain(|_, heard| heard.elapsed() < self.silence);
                    } else {
                        // Nobody can be heard: that says nothing about the others.
                        self.others.values_mut().for_each(|heard| *heard = Instant::now());
                    }
                }
                delivery = subscription.next() => match delivery {
                    Some(Delivery::Message(message)) => self.heard(&message),
                    Some(Delivery::Dropped(_)) => {
                        self.others.values_mut().for_each(|heard| *heard = Instant::now());
                    }
                    None => return,
                },
            }
            self.share();
        }
    }

    fn heard(&mut self, message: &[u8]) {
        let Some((word, name)) = message.split_first() else { return };
        let Ok(name) = std::str::from_utf8(name) else { return };
        if name == self.name {
            return;
        }
        if *word == THERE {
            self.others.insert(name.to_owned(), Instant::now());
        } else if self.others.remove(name).is_some() {
            // It is done with what it had: what was its own is taken at once.
            let names = || self.names().chain([name]);
            let left: Vec<u16> = (0..PARTITIONS).filter(|p| wanted(Shard(*p), names()) == Some(name)).collect();
            self.waits.extend(left.into_iter().map(|partition| (partition, Instant::now())));
        }
    }

    fn share(&mut self) {
        let now = Instant::now();
        let mut mine = vec![false; usize::from(PARTITIONS)];
        for partition in 0..PARTITIONS {
            if wanted(Shard(partition), self.names()) != Some(self.name.as_str()) {
                self.waits.remove(&partition);
                continue;
            }
            let had = self.has(partition);
            let from = if had { now } else { *self.waits.entry(partition).or_insert(now + self.takeover) };
            if let Some(share) = mine.get_mut(usize::from(partition)) {
                *share = from <= now;
            }
            if from <= now {
                self.waits.remove(&partition);
            }
        }
        self.metrics.partitions(self.group, mine.iter().filter(|mine| **mine).count());
        self.told.send_if_modified(|told| {
            let changed = *told != mine;
            *told = mine;
            changed
        });
    }

    fn has(&self, partition: u16) -> bool {
        self.told.borrow().get(usize::from(partition)).copied().unwrap_or(false)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.others.keys().map(String::as_str).chain([self.name.as_str()])
    }

    async fn say(&self, word: u8) -> bool {
        let message: Vec<u8> = [word].into_iter().chain(self.name.bytes()).collect();
        self.bus.publish(&self.subject, Bytes::from(message)).await.is_ok()
    }
}
