//! What this instance gives to the bus: numbered per subject, so that a hole shows, with a heartbeat that says
//! the last number, so that it shows also where nothing comes behind it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use posthorn_bus::subjects::ALL_GATEWAYS;
use posthorn_clock::{Instant, sleep};
use posthorn_proto::internal::{Heartbeat, Publication, publication::What};
use prost::Message;

use crate::service::SessionService;

/// Subjects of which the last number is known; beyond it, idle ones are forgotten.
const MAX_REMEMBERED: usize = 4_096;

/// The last numbers.
pub(crate) struct Numbers {
    subjects: BTreeMap<String, Last>,
    /// The greatest number of a subject that was forgotten: no number of it is given twice.
    floor: u64,
}

struct Last {
    number: u64,
    at: Instant,
}

impl Default for Numbers {
    fn default() -> Self {
        let all = Last { number: 0, at: Instant::now() };
        Self { subjects: BTreeMap::from([(ALL_GATEWAYS.to_owned(), all)]), floor: 0 }
    }
}

impl Numbers {
    fn next(&mut self, subject: &str, idle: Duration) -> u64 {
        let now = Instant::now();
        if let Some(last) = self.subjects.get_mut(subject) {
            (last.number, last.at) = (last.number + 1, now);
            return last.number;
        }
        if self.subjects.len() >= MAX_REMEMBERED {
            let floor = &mut self.floor;
            self.subjects.retain(|subject, last| {
                let keep = subject == ALL_GATEWAYS || last.at.elapsed() < idle;
                *floor = if keep { *floor } else { last.number.max(*floor) };
                keep
            });
        }
        self.subjects.insert(subject.to_owned(), Last { number: self.floor + 1, at: now });
        self.floor + 1
    }

    /// Subjects that something was published to within `idle`, and the one that beats always.
    fn beating(&self, idle: Duration) -> Vec<(String, u64)> {
        let beats = |(subject, last): &(&String, &Last)| *subject == ALL_GATEWAYS || last.at.elapsed() < idle;
        self.subjects.iter().filter(beats).map(|(subject, last)| (subject.clone(), last.number)).collect()
    }
}

impl SessionService {
    /// Numbered per subject; what is lost shows as a hole.
    pub(crate) async fn publish(&self, subject: &str, tenant: &str, connections: Vec<u64>, what: What) {
        let _ = self.publish_version(subject, tenant, connections, what, 0).await;
    }

    /// With the version of what is told of a user. False if the bus did not take it.
    pub(crate) async fn publish_version(
        &self,
        subject: &str,
        tenant: &str,
        connections: Vec<u64>,
        what: What,
        presence_version: u64,
    ) -> bool {
        // Held over the publication: the order on the bus is that of the numbers.
        let mut numbers = self.numbers.lock().await;
        let publication = Publication {
            publisher: self.instance.clone(),
            number: numbers.next(subject, self.link_idle()),
            tenant: tenant.to_owned(),
            connections,
            what: Some(what),
            presence_version,
            ..Publication::default()
        };
        if let Err(error) = self.bus.publish(subject, Bytes::from(publication.encode_to_vec())).await {
            self.metrics.publications_dropped.inc();
            tracing::warn!(%error, subject, "publication failed");
            return false;
        }
        true
    }

    async fn beat(&self, interval_ms: u64) {
        let numbers = self.numbers.lock().await;
        for (subject, number) in numbers.beating(self.link_idle()) {
            let publication = Publication {
                publisher: self.instance.clone(),
                number,
                what: Some(What::Heartbeat(Heartbeat { interval_ms, keeps: false })),
                ..Publication::default()
            };
            // Where it is lost, the next one comes.
            let _ = self.bus.publish(&subject, Bytes::from(publication.encode_to_vec())).await;
        }
    }

    const fn link_idle(&self) -> Duration {
        Duration::from_millis(self.config.link_idle_ms)
    }
}

/// For as long as the node runs; then gateways are told that nothing more comes.
pub(crate) async fn beat(service: Arc<SessionService>) {
    let (stopping, interval_ms) = (service.tasks.stopping(), service.config.link_beat_ms.max(1));
    loop {
        tokio::select! {
            biased;
            () = stopping.cancelled() => break,
            () = service.beat(interval_ms) => {}
        }
        tokio::select! {
            biased;
            () = stopping.cancelled() => break,
            () = sleep(Duration::from_millis(interval_ms)) => {}
        }
    }
    service.beat(0).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn subjects_beat_until_they_are_idle_and_no_number_is_given_twice() {
        let idle = Duration::from_secs(60);
        let mut numbers = Numbers::default();
        let beating = |numbers: &Numbers| numbers.beating(idle);
        assert_eq!(beating(&numbers), [("gateways".to_owned(), 0)]);
        assert_eq!([numbers.next("a", idle), numbers.next("a", idle), numbers.next("b", idle)], [1, 2, 1]);
        assert_eq!(beating(&numbers), [("a".to_owned(), 2), ("b".to_owned(), 1), ("gateways".to_owned(), 0)]);
        sleep(idle).await;
        assert_eq!(beating(&numbers), [("gateways".to_owned(), 0)]);
        assert_eq!(numbers.next("a", idle), 3);
        sleep(idle).await;
        for n in 0..MAX_REMEMBERED {
            assert!(numbers.next(&format!("g{n}"), idle) > 0);
        }
        assert!(numbers.next("a", idle) > 3, "it was forgotten meanwhile");
    }
}
