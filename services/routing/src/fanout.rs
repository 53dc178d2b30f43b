//! From confirmed entries to gateways: one lookup of the recipients' connections, one publication per
//! gateway, numbered per (publisher, gateway) so that a hole shows.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use posthorn_bus::Bus;
use posthorn_clock::{Instant, sleep};
use posthorn_proto::internal::{LookupRequest, Publication, publication::What};
use posthorn_rpc::{SessionClient, call, current};
use posthorn_tasks::Tasks;
use prost::Message;
use tokio::sync::mpsc;

use crate::metrics::RoutingMetrics;

/// Goes to every gateway.
const ALL_GATEWAYS: &str = "gateways";
/// Tries of a lookup before its publication goes to all gateways.
const LOOKUP_TRIES: u32 = 5;

pub struct Fanout {
    session: SessionClient,
    bus: Arc<dyn Bus>,
    publisher: String,
    subjects: Mutex<HashMap<String, mpsc::Sender<Publication>>>,
    queue: usize,
    metrics: Arc<RoutingMetrics>,
    tasks: Tasks,
}

impl Fanout {
    pub fn new(
        session: SessionClient,
        bus: Arc<dyn Bus>,
        publisher: String,
        queue: usize,
        metrics: Arc<RoutingMetrics>,
        tasks: Tasks,
    ) -> Self {
        Self { session, bus, publisher, subjects: Mutex::default(), queue, metrics, tasks }
    }

    /// To every connection of these users, in the trace of the present request. Publications of one
    /// caller stay in order.
    pub async fn publish(&self, tenant: &str, users: &[String], except: u64, what: What) {
        if users.is_empty() {
            return;
        }
        let started = Instant::now();
        let Some(found) = self.lookup(tenant, users).await else {
            return self.broadcast(tenant, users, what).await;
        };
        let traceparent = current().map(|context| context.trace.to_string()).unwrap_or_default();
        for mut gateway in found {
            if except != 0 {
                gateway.connections.retain(|&connection| connection != except);
            }
            if gateway.connections.is_empty() {
                continue;
            }
            let publication = Publication {
                publisher: self.publisher.clone(),
                number: 0,
                tenant: tenant.to_owned(),
                connections: gateway.connections,
                traceparent: traceparent.clone(),
                users: Vec::new(),
                what: Some(what.clone()),
            };
            let queue = self.queue(format!("gateway.{}", gateway.gateway));
            if queue.send(publication).await.is_err() {
                self.metrics.publications_dropped.inc();
            }
        }
        self.metrics.publish_seconds.observe(started.elapsed().as_secs_f64());
    }

    /// Where the recipients are is not known: every gateway gets it, and finds its own among them. Whoever
    /// asked gets it too, its connection being one of them.
    async fn broadcast(&self, tenant: &str, users: &[String], what: What) {
        self.metrics.broadcasts.inc();
        let publication = Publication {
            publisher: self.publisher.clone(),
            tenant: tenant.to_owned(),
            users: users.to_vec(),
            traceparent: current().map(|context| context.trace.to_string()).unwrap_or_default(),
            what: Some(what),
            ..Publication::default()
        };
        if self.queue(ALL_GATEWAYS.to_owned()).send(publication).await.is_err() {
            self.metrics.publications_dropped.inc();
        }
    }

    /// `None` where nobody knows.
    async fn lookup(
        &self,
        tenant: &str,
        users: &[String],
    ) -> Option<Vec<posthorn_proto::internal::GatewayConnections>> {
        for attempt in 0..LOOKUP_TRIES {
            let request = LookupRequest { tenant: tenant.to_owned(), users: users.to_vec() };
            match call(self.session.clone().lookup(request)).await {
                Ok(reply) => return (!reply.unknown).then_some(reply.gateways),
                Err(failure) => {
                    tracing::warn!(%failure, attempt, "lookup of recipients failed");
                    sleep(std::time::Duration::from_millis(20 << attempt)).await;
                }
            }
        }
        None
    }

    fn queue(&self, subject: String) -> mpsc::Sender<Publication> {
        let mut subjects = self.subjects.lock();
        if let Some(queue) = subjects.get(&subject).filter(|queue| !queue.is_closed()) {
            return queue.clone();
        }
        let (tx, rx) = mpsc::channel(self.queue);
        subjects.insert(subject.clone(), tx.clone());
        let (bus, metrics) = (Arc::clone(&self.bus), Arc::clone(&self.metrics));
        let stopping = self.tasks.stopping();
        self.tasks.background("fanout", async move {
            tokio::select! {
                () = number_and_publish(bus, metrics, subject, rx) => {}
                () = stopping.cancelled() => {}
            }
        });
        tx
    }
}

/// The numbers are those of the order on the bus: one task per subject gives both.
async fn number_and_publish(
    bus: Arc<dyn Bus>,
    metrics: Arc<RoutingMetrics>,
    subject: String,
    mut queue: mpsc::Receiver<Publication>,
) {
    let mut number = 0;
    while let Some(mut publication) = queue.recv().await {
        number += 1;
        publication.number = number;
        if let Err(error) = bus.publish(&subject, Bytes::from(publication.encode_to_vec())).await {
            metrics.publications_dropped.inc();
            tracing::warn!(%error, subject, number, "publication failed");
        } else {
            metrics.publications.inc();
        }
    }
}
