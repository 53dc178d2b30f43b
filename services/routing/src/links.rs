//! Links: what goes from this incarnation to one subject, in order, with ascending numbers. The last of it
//! stays in memory, for gateways that the bus did not bring it; and at a steady interval a heartbeat says
//! which number was the last, so that a loss shows also where nothing comes behind it.
//!
//! What is published later on another subject may overtake: a publication says which numbers of the other links
//! go before it, and gateways wait for these.
//!
//! The link to all gateways beats for as long as the incarnation lives: they learn of it there, and notice
//! when it falls silent. One to a single gateway beats until nothing went over it for `routing.link_idle_ms`.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use posthorn_bus::{
    Bus,
    subjects::{ALL_GATEWAYS, of_gateway},
};
use posthorn_clock::{Instant, sleep_until, timeout};
use posthorn_proto::internal::{
    Heartbeat, Missed, MissedReply, MissedRequest, PlaceOnSubject, Publication, publication::What,
};
use posthorn_tasks::Tasks;
use prost::Message;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{RoutingConfig, metrics::RoutingMetrics};

#[cfg(test)]
mod tests;

/// Bytes of publications in one reply about one subject; the first goes out whatever its size.
const MAX_REPLY_BYTES: usize = 1024 * 1024;
/// Links of which the last number is known; beyond it, idle ones are forgotten.
const MAX_REMEMBERED: usize = 4_096;
/// For what waits when the incarnation ends.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The links of one incarnation. Cheap to clone.
#[derive(Clone)]
pub struct Links(Arc<Inner>);

struct Inner {
    bus: Arc<dyn Bus>,
    publisher: String,
    queue: usize,
    beat: Duration,
    idle: Duration,
    replay_bytes: usize,
    links: Mutex<Known>,
    metrics: Arc<RoutingMetrics>,
    tasks: Tasks,
    fenced: CancellationToken,
}

#[derive(Default)]
struct Known {
    links: HashMap<String, Link>,
    /// The greatest number of a link that was forgotten: no number of it is given twice.
    floor: u64,
}

struct Link {
    queue: mpsc::Sender<Publication>,
    /// The last number that was given.
    number: u64,
    /// The number that the last publication to all gateways goes after.
    before_all: u64,
    sent: Arc<Mutex<Sent>>,
    /// Held by the task that publishes: the next one waits for it.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// What went out, the last of it with its bytes.
#[derive(Default)]
struct Sent {
    number: u64,
    kept: VecDeque<Bytes>,
    bytes: usize,
}

impl Links {
    /// Begins to beat at once.
    pub fn new(
        config: &RoutingConfig,
        bus: Arc<dyn Bus>,
        publisher: String,
        metrics: Arc<RoutingMetrics>,
        tasks: Tasks,
        fenced: CancellationToken,
    ) -> Self {
        let links = Self(Arc::new(Inner {
            bus,
            publisher,
            queue: config.max_queued_publications,
            beat: Duration::from_millis(config.link_beat_ms.max(1)),
            idle: Duration::from_millis(config.link_idle_ms),
            replay_bytes: config.max_replay_bytes,
            links: Mutex::default(),
            metrics,
            tasks,
            fenced,
        }));
        links.queue(ALL_GATEWAYS);
        links
    }

    /// In the order of the calls, one after the other. Waits while the subject's queue is full.
    pub async fn publish(&self, subject: &str, mut publication: Publication) {
        publication.publisher.clone_from(&self.0.publisher);
        while !self.0.tasks.stopping().is_cancelled() {
            let queue = self.queue(subject);
            // It may become idle just now.
            let Ok(place) = queue.reserve().await else { continue };
            let mut known = self.0.links.lock();
            if known.number(subject, &queue, &mut publication) {
                return place.send(publication);
            }
        }
        self.0.metrics.publications_dropped.inc();
    }

    /// What this incarnation published, or tried to, beyond what the gateway has.
    pub fn missed(&self, request: &MissedRequest) -> MissedReply {
        let heard = request.heard.iter().find(|heard| heard.publisher == self.0.publisher);
        let (own, all) = heard.map_or((0, u64::MAX), |heard| (heard.own, heard.all));
        let own = self.beyond(&of_gateway(&request.gateway), own);
        let all = self.beyond(ALL_GATEWAYS, all);
        self.0.metrics.replayed.inc_by((own.publications.len() + all.publications.len()) as u64);
        MissedReply { publisher: self.0.publisher.clone(), own: Some(own), all: Some(all), moved: None }
    }

    fn beyond(&self, subject: &str, number: u64) -> Missed {
        let sent = self.0.links.lock().links.get(subject).map(|link| Arc::clone(&link.sent));
        sent.map_or_else(Missed::default, |sent| sent.lock().beyond(number))
    }

    fn queue(&self, subject: &str) -> mpsc::Sender<Publication> {
        let mut known = self.0.links.lock();
        let before = known.links.get(subject);
        if let Some(link) = before.filter(|link| !link.queue.is_closed()) {
            return link.queue.clone();
        }
        let (queue, publications) = mpsc::channel(self.0.queue);
        let link = match before {
            Some(link) => {
                Link { queue: queue.clone(), sent: Arc::clone(&link.sent), turn: Arc::clone(&link.turn), ..*link }
            }
            None => {
                known.make_room();
                let number = if subject == ALL_GATEWAYS { 0 } else { known.floor };
                let sent = Arc::new(Mutex::new(Sent { number, ..Sent::default() }));
                Link { queue: queue.clone(), number, before_all: number, sent, turn: Arc::default() }
            }
        };
        let (sent, turn) = (Arc::clone(&link.sent), Arc::clone(&link.turn));
        known.links.insert(subject.to_owned(), link);
        drop(known);
        let task = Publishing { inner: Arc::clone(&self.0), subject: subject.to_owned(), publications, sent };
        self.0.tasks.background("fanout", async move {
            let _turn = turn.lock().await;
            task.run().await;
        });
        queue
    }
}

impl Known {
    /// Gives it the next number, and says what of the other links goes before. False where another queue has taken
    /// the place of this one.
    fn number(&mut self, subject: &str, queue: &mpsc::Sender<Publication>, publication: &mut Publication) -> bool {
        let after_all = self.links.get(ALL_GATEWAYS).map_or(0, |link| link.number);
        let Some(link) = self.links.get_mut(subject).filter(|link| link.queue.same_channel(queue)) else {
            return false;
        };
        link.number += 1;
        publication.number = link.number;
        if subject != ALL_GATEWAYS {
            publication.after_all = after_all;
            return true;
        }
        let others = self.links.iter_mut().filter(|(other, link)| *other != subject && link.number > link.before_all);
        publication.after_own = others
            .map(|(subject, link)| {
                link.before_all = link.number;
                PlaceOnSubject { subject: subject.clone(), number: link.number }
            })
            .collect();
        true
    }

    fn make_room(&mut self) {
        if self.links.len() < MAX_REMEMBERED {
            return;
        }
        let floor = &mut self.floor;
        self.links.retain(|_, link| {
            let idle = link.queue.is_closed();
            if idle {
                *floor = link.number.max(*floor);
            }
            !idle
        });
    }
}

impl Sent {
    fn add(&mut self, message: Bytes, max_bytes: usize) {
        self.bytes += message.len();
        self.kept.push_back(message);
        while self.bytes > max_bytes {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= oldest.len();
        }
    }

    fn beyond(&self, number: u64) -> Missed {
        let first = self.number - self.kept.len() as u64 + 1;
        let passed = usize::try_from((number.saturating_add(1)).saturating_sub(first)).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let fits = |message: &&Bytes| {
            let fits = bytes == 0 || bytes + message.len() <= MAX_REPLY_BYTES;
            bytes += message.len();
            fits
        };
        Missed { last: self.number, publications: self.kept.iter().skip(passed).take_while(fits).cloned().collect() }
    }

    fn forget(&mut self) {
        *self = Self { number: self.number, ..Self::default() };
    }
}

/// One task a subject: the order on the bus is that of the numbers.
struct Publishing {
    inner: Arc<Inner>,
    subject: String,
    publications: mpsc::Receiver<Publication>,
    sent: Arc<Mutex<Sent>>,
}

impl Publishing {
    async fn run(mut self) {
        let stopping = self.inner.tasks.stopping();
        let (mut beat_at, mut used, mut works) = (Instant::now(), Instant::now(), true);
        loop {
            tokio::select! {
                biased;
                () = stopping.cancelled() => return self.end().await,
                publication = self.publications.recv() => match publication {
                    Some(publication) => {
                        used = Instant::now();
                        self.send(publication, &mut works).await;
                    }
                    // Closed below, and empty.
                    None => return self.sent.lock().forget(),
                },
                () = sleep_until(beat_at) => {
                    beat_at = Instant::now() + self.inner.beat;
                    let idle = self.subject != ALL_GATEWAYS && used.elapsed() >= self.inner.idle;
                    self.beat(!idle).await;
                    if idle {
                        self.publications.close();
                    }
                }
            }
        }
    }

    async fn send(&self, publication: Publication, works: &mut bool) {
        let message = {
            let mut sent = self.sent.lock();
            sent.number = publication.number;
            let message = Bytes::from(publication.encode_to_vec());
            sent.add(message.clone(), self.inner.replay_bytes);
            message
        };
        let published = self.inner.bus.publish(&self.subject, message).await;
        match &published {
            Ok(()) => self.inner.metrics.publications.inc(),
            Err(error) => {
                // Once: while the bus is away it is every one of them.
                if *works {
                    tracing::warn!(%error, subject = self.subject, "publications fail, gateways have to ask for them");
                }
                self.inner.metrics.publications_dropped.inc()
            }
        };
        *works = published.is_ok();
    }

    /// `more`: another one follows.
    async fn beat(&self, more: bool) {
        let interval_ms = if more { u64::try_from(self.inner.beat.as_millis()).unwrap_or(u64::MAX) } else { 0 };
        let publication = Publication {
            publisher: self.inner.publisher.clone(),
            number: self.sent.lock().number,
            what: Some(What::Heartbeat(Heartbeat { interval_ms, keeps: true })),
            ..Publication::default()
        };
        // Where it is lost, the next one comes; where none comes, gateways ask.
        let _ = self.inner.bus.publish(&self.subject, Bytes::from(publication.encode_to_vec())).await;
    }

    /// What waits still goes out; then gateways are told that nobody has to wait for more.
    async fn end(&mut self) {
        self.publications.close();
        let mut works = true;
        let rest = async {
            while let Some(publication) = self.publications.recv().await {
                self.send(publication, &mut works).await;
            }
            // Owners of one that was fenced end after this, and may have something left to publish: gateways
            // hear nothing more of it, and read from the log.
            if !self.inner.fenced.is_cancelled() {
                self.beat(false).await;
            }
        };
        if timeout(LAST_WORDS, rest).await.is_err() {
            tracing::warn!(subject = self.subject, "what waited for the bus was not published");
        }
    }
}
