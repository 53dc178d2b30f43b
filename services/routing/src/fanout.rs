//! From confirmed entries to gateways: one lookup of the recipients' connections, one publication per
//! gateway. Of a large conversation it is one publication for all of them.

use std::{sync::Arc, time::Duration};

use posthorn_bus::subjects::{ALL_GATEWAYS, of_gateway};
use posthorn_clock::{Instant, sleep};
use posthorn_core::ConversationKey;
use posthorn_proto::internal::{Caller, GatewayConnections, LookupRequest, NewEntries, Publication, publication::What};
use posthorn_rpc::{SessionClient, call, current};

use crate::{large::Large, links::Links, metrics::RoutingMetrics};

/// Tries of a lookup before its publication goes to all gateways.
const LOOKUP_TRIES: u32 = 5;

/// The connection that something came from: it need not hear of it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    gateway: String,
    connection: u64,
}

impl Origin {
    /// `None` where it came from no connection, or nobody says at which gateway that is: numbers are unique
    /// within one alone.
    pub fn of(caller: &Caller) -> Option<Self> {
        let known = caller.connection != 0 && !caller.gateway.is_empty();
        known.then(|| Self { gateway: caller.gateway.clone(), connection: caller.connection })
    }
}

/// How the entries of a conversation went out before, as its owner knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// By another owner, to whomever.
    Unknown,
    /// To those who were found, which was known then.
    Found(Instant),
    /// To all gateways.
    All,
}

impl Before {
    /// How long ago somebody may have been left out who was not found; `None` if nobody was.
    fn found_ms(self) -> Option<u64> {
        match self {
            Self::Unknown => Some(0),
            Self::Found(at) => Some(u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX)),
            Self::All => None,
        }
    }
}

pub struct Fanout {
    session: SessionClient,
    pub links: Links,
    pub large: Large,
    /// Members up to which each gateway is told of their connections.
    direct_members: usize,
    metrics: Arc<RoutingMetrics>,
}

impl Fanout {
    pub const fn new(
        session: SessionClient,
        links: Links,
        large: Large,
        direct_members: usize,
        metrics: Arc<RoutingMetrics>,
    ) -> Self {
        Self { session, links, large, direct_members, metrics }
    }

    /// A conversation of so many is published on a subject of its own.
    pub const fn is_large(&self, members: usize) -> bool {
        members > self.direct_members
    }

    /// Entries to those who may see them. Of a large conversation they go to the gateways that follow it, and to
    /// the connections of `newcomers` besides: their gateways may not follow it yet, and do from here on. Returns what
    /// is `before` those that come next.
    pub async fn entries(
        &self,
        key: &ConversationKey,
        audience: &[String],
        newcomers: &[String],
        new: NewEntries,
        before: Before,
    ) -> Before {
        let tenant = key.tenant.as_str();
        if !self.is_large(audience.len()) {
            return self.direct(audience, None, publication(tenant, What::Entries(new)), before).await;
        }
        let seq = new.rows.last().map_or(0, |row| row.seq);
        // Most of the time nobody comes, and nothing is copied.
        if !newcomers.is_empty() {
            let named = Publication { large: true, ..publication(tenant, What::Entries(new.clone())) };
            self.direct(newcomers, None, named, before).await;
        }
        let started = Instant::now();
        self.large.entries(key, seq, publication(tenant, What::Entries(new))).await;
        self.metrics.publish_seconds.observe(started.elapsed().as_secs_f64());
        Before::Found(Instant::now())
    }

    /// What is worth nothing later, to the connections of these users.
    pub async fn moment(&self, key: &ConversationKey, users: &[String], except: Option<&Origin>, what: What) {
        let tenant = key.tenant.as_str();
        if !self.is_large(users.len()) {
            return self.publish(tenant, users, except, what).await;
        }
        self.large.publish(key, without(except, publication(tenant, what))).await;
    }

    /// To every connection of these users, in the trace of the present request. Publications of one
    /// caller stay in order.
    pub async fn publish(&self, tenant: &str, users: &[String], except: Option<&Origin>, what: What) {
        self.direct(users, except, publication(tenant, what), Before::All).await;
    }

    async fn direct(
        &self,
        users: &[String],
        except: Option<&Origin>,
        publication: Publication,
        before: Before,
    ) -> Before {
        if users.is_empty() {
            return before;
        }
        let started = Instant::now();
        let Some(found) = self.lookup(&publication.tenant, users).await else {
            // Where the recipients are is not known: every gateway gets it, and finds its own among them.
            self.metrics.broadcasts.inc();
            let found_before_ms = before.found_ms();
            let publication = Publication { users: users.to_vec(), found_before_ms, ..without(except, publication) };
            self.links.publish(ALL_GATEWAYS, publication).await;
            return Before::All;
        };
        let answered = Instant::now();
        for GatewayConnections { gateway, mut connections } in found {
            if let Some(origin) = except.filter(|origin| origin.gateway == gateway) {
                connections.retain(|&connection| connection != origin.connection);
            }
            if !connections.is_empty() {
                let publication = Publication { connections, ..publication.clone() };
                self.links.publish(&of_gateway(&gateway), publication).await;
            }
        }
        self.metrics.publish_seconds.observe(started.elapsed().as_secs_f64());
        Before::Found(answered)
    }

    /// `None` where nobody knows.
    async fn lookup(&self, tenant: &str, users: &[String]) -> Option<Vec<GatewayConnections>> {
        for attempt in 0..LOOKUP_TRIES {
            let request = LookupRequest { tenant: tenant.to_owned(), users: users.to_vec() };
            match call(self.session.clone().lookup(request)).await {
                Ok(reply) => return (!reply.unknown).then_some(reply.gateways),
                Err(failure) => {
                    tracing::warn!(%failure, attempt, "lookup of recipients failed");
                    sleep(Duration::from_millis(20 << attempt)).await;
                }
            }
        }
        None
    }
}

/// The gateway is to leave out the connection that it came from.
fn without(except: Option<&Origin>, publication: Publication) -> Publication {
    match except {
        Some(Origin { gateway, connection }) => {
            Publication { except_gateway: gateway.clone(), except_connection: *connection, ..publication }
        }
        None => publication,
    }
}

/// To nobody yet, in the trace of the present request.
fn publication(tenant: &str, what: What) -> Publication {
    let traceparent = current().map(|context| context.trace.to_string()).unwrap_or_default();
    Publication { tenant: tenant.to_owned(), traceparent, what: Some(what), ..Publication::default() }
}
