//! From the bus to the connections' queues. The bus may lose messages: publications are numbered per
//! publisher, and a hole makes every connection of this gateway read from the log.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use posthorn_bus::{Delivery, Subscription};
use posthorn_clock::sleep;
use posthorn_errors::{Code, Failure};
use posthorn_proto::{
    client::{Entries, Kind, server_frame::Frame},
    convert::entry_of,
    internal::{Cut, NewEntries, Publication, publication::What},
};
use posthorn_rpc::TraceContext;
use prost::Message;

use super::{Connection, Event, Order, Registry, outbox::Pushed, watching::News};
use crate::{Gateway, ws::ending::Ending};

/// Subject of what goes to every gateway.
const ALL_GATEWAYS: &str = "gateways";
/// Between two attempts to subscribe, ms.
const RETRY_MS: u64 = 500;

/// Follows one subject for as long as the node runs.
pub(crate) async fn follow(gateway: Arc<Gateway>, subject: Subject) {
    let stopping = gateway.deps.tasks.stopping();
    let name = match subject {
        Subject::Own => format!("gateway.{}", gateway.incarnation),
        Subject::All => ALL_GATEWAYS.to_owned(),
    };
    let mut first = true;
    loop {
        let subscribed = tokio::select! {
            biased;
            subscribed = gateway.deps.bus.subscribe(&name) => subscribed,
            () = stopping.cancelled() => return,
        };
        match subscribed {
            Ok(subscription) => {
                if !first {
                    // What was published meanwhile is not known.
                    subject.lost(&gateway);
                }
                first = false;
                gateway.subscribed(subject, true);
                tokio::select! {
                biased;
                        () = consume(&gateway, subject, subscription) => {}
                        () = stopping.cancelled() => return,
                    }
                gateway.subscribed(subject, false);
                tracing::warn!(subject = name, "the bus ended a subscription");
            }
            Err(error) => tracing::warn!(subject = name, %error, "cannot subscribe"),
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
    /// Something that was published here did not arrive.
    fn lost(self, gateway: &Gateway) {
        gateway.metrics.bus_gaps.inc();
        match self {
            // Events: the log has them.
            Self::Own => {
                gateway.metrics.resync("bus");
                for connection in gateway.registry.all() {
                    connection.outbox.lose_all(Code::Overloaded);
                }
                // Somebody may have left.
                gateway.doubt_everybody();
            }
            // It may have been a revocation, and nothing here tells whose: everybody shows their token again.
            Self::All => {
                for connection in gateway.registry.all() {
                    connection.outbox.order(Order::Leave(Code::ConnectionAge));
                }
            }
        }
    }
}

async fn consume(gateway: &Gateway, subject: Subject, mut subscription: Box<dyn Subscription>) {
    let mut numbers = Numbers { any_first: subject == Subject::All, ..Numbers::default() };
    while let Some(delivery) = subscription.next().await {
        match delivery {
            Delivery::Message(bytes) => {
                let Some(publication) = decode(bytes) else { continue };
                gateway.metrics.publications.inc();
                match numbers.see(&publication.publisher, publication.number) {
                    Seen::Next => {}
                    Seen::Again => continue,
                    // Who publishes events to all gateways publishes no cuts.
                    Seen::Hole if !publication.users.is_empty() => Subject::Own.lost(gateway),
                    Seen::Hole => subject.lost(gateway),
                }
                spread(gateway, publication);
            }
            Delivery::Dropped(_) => {
                // The numbers will show the same hole once more: it is told once.
                numbers.forget();
                subject.lost(gateway);
            }
        }
    }
}

fn decode(bytes: Bytes) -> Option<Publication> {
    Publication::decode(bytes).inspect_err(|error| tracing::error!(%error, "a publication does not decode")).ok()
}

/// The last number of every publisher. The first of a link to one gateway is 1; 0 is not numbered.
#[derive(Default)]
struct Numbers {
    last: HashMap<String, u64>,
    /// A publisher's first number may be any: it publishes to others too, or the drop was told already.
    any_first: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Next,
    Again,
    Hole,
}

impl Numbers {
    fn see(&mut self, publisher: &str, number: u64) -> Seen {
        if number == 0 || publisher.is_empty() {
            return Seen::Next;
        }
        let Some(last) = self.last.get_mut(publisher) else {
            self.last.insert(publisher.to_owned(), number);
            return if number == 1 || self.any_first { Seen::Next } else { Seen::Hole };
        };
        if *last > 0 && number <= *last {
            return Seen::Again;
        }
        let next = *last == 0 || number == *last + 1;
        *last = number;
        if next { Seen::Next } else { Seen::Hole }
    }

    fn forget(&mut self) {
        self.any_first = true;
        for last in self.last.values_mut() {
            *last = 0;
        }
    }
}

/// Gives a publication to those of its connections that are here, in the trace that it came with.
pub(crate) fn spread(gateway: &Gateway, publication: Publication) {
    let Publication { tenant, mut connections, users, what, traceparent, .. } = publication;
    if !users.is_empty() {
        connections = gateway.registry.of_users(&tenant, &users);
    }
    let trace = TraceContext::parse(&traceparent).map(|trace| trace.child(gateway.clock()));
    let _entered = trace.map(|trace| span_of(trace, connections.len()).entered());
    let sampled = trace.is_some_and(TraceContext::sampled);
    let (mut departed, mut about) = (Vec::new(), None);
    let event = match what {
        Some(What::Entries(mut new)) => {
            let repeated = gateway.told.lock().first(&tenant, &mut new);
            gateway.metrics.repeated.inc_by(repeated as u64);
            if new.rows.is_empty() { None } else { entries_event(new, &mut departed) }
        }
        Some(What::Marks(marks)) => Some(Event::new(Frame::Marks(marks), 0)),
        Some(What::Typing(typing)) => Some(Event::new(Frame::Typing(typing), 0)),
        Some(What::Presence(presence)) => {
            about = Some(presence.user.clone());
            Some(Event::new(Frame::Presence(presence), 0))
        }
        Some(What::Registers(registers)) => Some(Event::new(Frame::Registers(registers), 0)),
        Some(What::Cut(cut)) => {
            end_all(&gateway.registry, &tenant, &cut, &connections);
            None
        }
        None => None,
    };
    let Some(event) = event.map(Arc::new) else { return };
    for id in connections {
        gateway.registry.with(id, |connection| {
            // A number of this incarnation cannot be another tenant's; if it ever were, nothing would leak.
            if connection.identity.tenant.as_str() != tenant {
                tracing::error!(connection = id, "a publication names a connection of another tenant");
                return;
            }
            let tell = about.as_ref().is_none_or(|user| connection.watching.news(user, &event) == News::Tell);
            if tell && gateway.push(connection, &event) {
                delivered(sampled, id);
            }
            if !departed.is_empty() {
                gateway.doubt(connection, &departed);
            }
        });
    }
}

impl Gateway {
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
                self.metrics.queue_changed(-(dropped as i64));
            }
            Pushed::Ended => {}
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
fn entries_event(new: NewEntries, departed: &mut Vec<String>) -> Option<Event> {
    let entries = new.rows.iter().map(entry_of).collect::<Result<Vec<_>, _>>();
    let entries = entries.inspect_err(|error| tracing::error!(%error, "a published row does not decode")).ok()?;
    let left = entries.iter().filter(|entry| matches!(entry.kind(), Kind::Left | Kind::Removed));
    departed.extend(left.filter_map(|entry| Some(entry.body.as_ref()?.member.as_ref()?.user.clone())));
    Some(Event::new(Frame::Entries(Entries { conversation: new.conversation, entries }), new.confirmed_ms))
}

fn end_all(registry: &Registry, tenant: &str, cut: &Cut, only: &[u64]) {
    let code = cut.code.parse().unwrap_or(Code::TokenRevoked);
    for connection in registry.cut(tenant, cut, only) {
        connection.outbox.order(Order::End(Ending::Server(Failure::plain(code))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_in_a_publishers_numbers_shows_once() {
        let mut numbers = Numbers::default();
        let seen: Vec<_> = [1, 2, 3, 5, 6, 6, 4].map(|n| numbers.see("r1", n)).into();
        use Seen::{Again, Hole, Next};
        assert_eq!(seen, [Next, Next, Next, Hole, Next, Again, Again]);
        assert_eq!(numbers.see("r2", 1), Next);
        assert_eq!(numbers.see("r3", 2), Hole);
        assert_eq!([numbers.see("", 9), numbers.see("r1", 0)], [Next, Next]);
    }

    #[test]
    fn what_goes_to_all_gateways_began_before_this_one() {
        let mut numbers = Numbers { any_first: true, ..Numbers::default() };
        let seen: Vec<_> = [7, 8, 10].map(|n| numbers.see("s1", n)).into();
        assert_eq!(seen, [Seen::Next, Seen::Next, Seen::Hole]);
    }

    #[test]
    fn after_a_drop_that_was_told_any_number_is_the_next() {
        let mut numbers = Numbers::default();
        numbers.see("r1", 1);
        numbers.forget();
        assert_eq!(
            [numbers.see("r1", 40), numbers.see("r1", 41), numbers.see("r1", 43)],
            [Seen::Next, Seen::Next, Seen::Hole]
        );
        assert_eq!(numbers.see("r2", 7), Seen::Next);
    }
}
