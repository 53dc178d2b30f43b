//! From the bus to the connections' queues. The bus may lose messages: publications are numbered per
//! publisher, what is missing is asked for, and where nobody has it every connection of this gateway reads
//! from the log.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use posthorn_bus::{
    Delivery, Subscription,
    subjects::{ALL_GATEWAYS, of_gateway},
};
use posthorn_clock::{Instant, sleep};
use posthorn_errors::{Code, Failure};
use posthorn_proto::{
    client::{Entries, Entry, Kind, server_frame::Frame},
    convert::entry_of,
    internal::{Cut, Publication, publication::What},
};
use posthorn_rpc::TraceContext;
use prost::Message;

use super::{
    Connection, Event, Links, Order, Registry,
    links::{Lost, Step},
    outbox::Pushed,
    watching::News,
};
use crate::{Gateway, ws::ending::Ending};

/// Between two attempts to subscribe, ms.
const RETRY_MS: u64 = 500;
/// Attempts until it goes on without: a bus that is only slower than this to start costs nobody anything.
const PATIENCE: u32 = 4;

/// Follows one subject for as long as the node runs.
pub(crate) async fn follow(gateway: Arc<Gateway>, subject: Subject) {
    let stopping = gateway.deps.tasks.stopping();
    let name = match subject {
        Subject::Own => of_gateway(&gateway.incarnation),
        Subject::All => ALL_GATEWAYS.to_owned(),
    };
    // Once it is without, connections come that miss something.
    let (mut began, mut without, mut failures) = (false, false, 0);
    loop {
        let subscribed = tokio::select! {
            biased;
            subscribed = gateway.deps.bus.subscribe(&name) => subscribed,
            () = stopping.cancelled() => return,
        };
        match subscribed {
            Ok(subscription) => {
                if subject == Subject::All && !began {
                    gateway.links.lock().begin(Instant::now());
                    if without {
                        // Connections came before: who publishes cuts was not heard of yet, and says nothing of them.
                        gateway.lost(Lost::Cuts);
                    }
                }
                if without {
                    // What was published meanwhile is not known.
                    gateway.doubt_bus(subject);
                }
                began = true;
                gateway.subscribed(subject, true);
                tokio::select! {
                biased;
                        () = consume(&gateway, subject, subscription) => {}
                        () = stopping.cancelled() => return,
                    }
                without = true;
                gateway.subscribed(subject, false);
                tracing::warn!(subject = name, "the bus ended a subscription");
            }
            Err(error) => {
                tracing::warn!(subject = name, %error, "cannot subscribe");
                failures += 1;
                if failures >= PATIENCE {
                    // The instances are asked for what they publish.
                    without = true;
                    gateway.subscribed(subject, false);
                }
            }
        }
        tokio::select! {
            biased;
            () = sleep(Duration::from_millis(RETRY_MS)) => {}
            () = stopping.cancelled() => return,
        }
    }
}

/// What a gateway listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// `gateway.<incarnation>`
    Own,
    /// `gateways`
    All,
}

impl Subject {
    pub const fn other(self) -> Self {
        match self {
            Self::Own => Self::All,
            Self::All => Self::Own,
        }
    }
}

async fn consume(gateway: &Gateway, subject: Subject, mut subscription: Box<dyn Subscription>) {
    while let Some(delivery) = subscription.next().await {
        match delivery {
            Delivery::Message(bytes) => {
                let Some(publication) = decode(bytes) else { continue };
                gateway.metrics.publications.inc();
                gateway.handle_on(|links, now| match publication.what {
                    Some(What::Heartbeat(beat)) => {
                        links.beat(subject, publication.publisher, publication.number, beat, now)
                    }
                    _ => links.take(subject, publication, now),
                });
                if gateway.links.lock().behind() {
                    gateway.missing.notify_one();
                }
            }
            Delivery::Dropped(_) => gateway.doubt_bus(subject),
        }
    }
}

pub(crate) fn decode(bytes: Bytes) -> Option<Publication> {
    Publication::decode(bytes).inspect_err(|error| tracing::error!(%error, "a publication does not decode")).ok()
}

impl Gateway {
    /// Something that was published on this subject did not arrive.
    fn doubt_bus(&self, subject: Subject) {
        self.metrics.bus_gaps.inc();
        self.handle_on(|links, now| links.doubt(subject, now));
        self.missing.notify_one();
    }

    /// Changes what is known of publishers, and does what follows from it: one at a time, so that what is given
    /// on stays in order.
    pub(crate) fn handle_on(&self, change: impl FnOnce(&mut Links, Instant) -> Step) {
        let now = Instant::now();
        let mut links = self.links.lock();
        let step = change(&mut links, now);
        for what in [Lost::Events, Lost::Cuts] {
            if step.lost.contains(&what) {
                self.lost(what);
            }
        }
        for publication in step.ready {
            spread(self, publication);
        }
        if step.died {
            // It may have been the last change of somebody's presence, which no log has.
            self.look_again();
        }
    }

    fn lost(&self, what: Lost) {
        match what {
            // The log has them.
            Lost::Events => {
                self.metrics.resync("bus");
                for connection in self.registry.all() {
                    self.dropped(connection.outbox.lose_all(Code::Overloaded));
                }
                // Somebody may have left.
                self.doubt_everybody();
                self.following.table.lock().doubt_all();
            }
            // It may have been a revocation, and nothing here tells whose: everybody shows their token again.
            Lost::Cuts => {
                for connection in self.registry.all() {
                    connection.outbox.order(Order::Leave(Code::ConnectionAge));
                }
            }
        }
    }
}

/// Gives a publication to those of its connections that are here, in the trace that it came with.
pub(crate) fn spread(gateway: &Gateway, publication: Publication) {
    let Publication { tenant, mut connections, users, what, traceparent, large, presence_version, .. } = publication;
    if !users.is_empty() {
        connections = gateway.registry.of_users(&tenant, &users);
        let (there, origin) = (publication.except_gateway, publication.except_connection);
        connections.retain(|&id| id != origin || there != gateway.incarnation);
    }
    let trace = TraceContext::parse(&traceparent).map(|trace| trace.child(gateway.clock()));
    let mut told = Told { trace, found: users.is_empty(), ..Told::default() };
    if let (Some(What::Entries(new)), Some(ms)) = (&what, publication.found_before_ms) {
        gateway.pass_by(&tenant, &new.conversation, &connections, Duration::from_millis(ms));
    }
    let event = match what {
        Some(What::Entries(new)) if gateway.introduced(&tenant, &new, &connections, large, trace) => None,
        Some(What::Entries(mut new)) => {
            let first = gateway.told.lock().first(&tenant, &publication.publisher, &mut new);
            gateway.metrics.repeated.inc_by(first.repeated as u64);
            if first.hole {
                gateway.lose(&tenant, &new.conversation, &connections, "owner", |_| true);
            }
            let entries = new.rows.iter().map(entry_of).collect::<Result<Vec<_>, _>>();
            let entries = entries.inspect_err(|error| tracing::error!(%error, "a published row does not decode")).ok();
            let entries = entries.filter(|entries| !entries.is_empty());
            entries.map(|entries| entries_event(new.conversation, entries, new.confirmed_ms, &mut told.departed))
        }
        Some(What::Marks(marks)) => Some(Event::new(Frame::Marks(marks), 0)),
        Some(What::Typing(typing)) => Some(Event::new(Frame::Typing(typing), 0)),
        Some(What::Presence(presence)) => {
            told.about = Some((presence.user.clone(), presence_version));
            Some(Event::new(Frame::Presence(presence), 0))
        }
        Some(What::Registers(registers)) => Some(Event::new(Frame::Registers(registers), 0)),
        // Told apart before; of a conversation's subject alone.
        Some(What::Heartbeat(_) | What::End(_)) => None,
        Some(What::Cut(cut)) => {
            end_all(&gateway.registry, &tenant, &cut, &connections);
            None
        }
        None => None,
    };
    if let Some(event) = event.map(Arc::new) {
        tell(gateway, &tenant, &connections, &event, &told);
    }
}

/// How an event is told.
#[derive(Default)]
pub(crate) struct Told {
    pub trace: Option<TraceContext>,
    /// A lookup found the connections.
    pub found: bool,
    /// The user whose presence it is, and its version.
    pub about: Option<(String, u64)>,
    /// Who left a conversation by it.
    pub departed: Vec<String>,
}

/// Queues an event for connections of the tenant.
pub(crate) fn tell(gateway: &Gateway, tenant: &str, connections: &[u64], event: &Arc<Event>, told: &Told) {
    let _entered = told.trace.map(|trace| span_of(trace, connections.len()).entered());
    let sampled = told.trace.is_some_and(TraceContext::sampled);
    for &id in connections {
        gateway.registry.with(id, |connection| {
            // A number of this incarnation cannot be another tenant's; if it ever were, nothing would leak.
            if connection.identity.tenant.as_str() != tenant {
                tracing::error!(connection = id, "a publication names a connection of another tenant");
                return;
            }
            if told.found {
                gateway.found(connection);
            }
            let news = |(user, version): &(String, u64)| connection.watching.news(user, *version, event) == News::Tell;
            let tell = told.about.as_ref().is_none_or(news);
            if tell && gateway.push(connection, event) {
                delivered(sampled, id);
            }
            if !told.departed.is_empty() {
                gateway.doubt(connection, &told.departed);
            }
        });
    }
}

impl Gateway {
    /// So many bytes of a queue were never written.
    pub(crate) fn dropped(&self, bytes: usize) {
        self.metrics.queue_changed(-i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// The entries of this conversation before those that come to these connections went to whom a lookup of so long
    /// ago found: who was left out reads them from the log.
    fn pass_by(&self, tenant: &str, conversation: &str, connections: &[u64], ago: Duration) {
        let all = self.left_out(ago);
        self.lose(tenant, conversation, connections, "presence", |connection| all || !connection.is_registered());
    }

    /// These connections of the tenant read the conversation from the log.
    fn lose(
        &self,
        tenant: &str,
        conversation: &str,
        connections: &[u64],
        cause: &'static str,
        which: impl Fn(&Connection) -> bool,
    ) {
        for connection in connections.iter().filter_map(|&id| self.registry.get(id)) {
            if connection.identity.tenant.as_str() == tenant && which(&connection) {
                self.metrics.resync(cause);
                self.dropped(connection.outbox.lose(Code::Overloaded, conversation));
            }
        }
    }

    /// It was not known to be registered, and is: what was said before may have gone past it.
    pub(crate) fn found(&self, connection: &Connection) {
        if connection.registered() {
            self.metrics.resync("presence");
            self.dropped(connection.outbox.lose_all(Code::Overloaded));
        }
    }

    /// Queues an event for a connection; true if it is in the queue.
    pub(crate) fn push(&self, connection: &Connection, event: &Arc<Event>) -> bool {
        let pushed = connection.outbox.push_event(event);
        match pushed {
            Pushed::Queued => {
                self.metrics.events_queued.inc();
                self.metrics.queue_changed(event.bytes(connection.protocol).len() as i64);
            }
            Pushed::Overflow(dropped) => {
                self.metrics.slow_consumers.inc();
                self.metrics.resync("slow_consumer");
                self.dropped(dropped);
            }
            Pushed::Doubted | Pushed::Ended => {}
        }
        pushed == Pushed::Queued
    }
}

/// As on a link: at the usual level only what somebody asked to record has one.
fn span_of(trace: TraceContext, connections: usize) -> tracing::Span {
    let (trace_id, span_id) = (trace.trace_id(), trace.span_id());
    if trace.sampled() {
        tracing::info_span!("deliver", trace_id, span_id, connections)
    } else {
        tracing::debug_span!("deliver", trace_id, span_id, connections)
    }
}

fn delivered(sampled: bool, connection: u64) {
    if sampled {
        tracing::info!(connection, "an event is in the connection's queue");
    } else {
        tracing::debug!(connection, "an event is in the connection's queue");
    }
}

/// With the users who left by these entries.
pub(crate) fn entries_event(
    conversation: String,
    entries: Vec<Entry>,
    confirmed_ms: u64,
    departed: &mut Vec<String>,
) -> Event {
    let left = entries.iter().filter(|entry| matches!(entry.kind(), Kind::Left | Kind::Removed));
    departed.extend(left.filter_map(|entry| Some(entry.body.as_ref()?.member.as_ref()?.user.clone())));
    Event::new(Frame::Entries(Entries { conversation, entries }), confirmed_ms)
}

fn end_all(registry: &Registry, tenant: &str, cut: &Cut, only: &[u64]) {
    let code = cut.code.parse().unwrap_or(Code::TokenRevoked);
    for connection in registry.cut(tenant, cut, only) {
        connection.outbox.order(Order::End(Ending::Server(Failure::plain(code))));
    }
}
