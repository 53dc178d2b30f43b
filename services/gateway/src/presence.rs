//! Who may watch whom is asked when a client asks to watch, and again whenever that may have changed: when
//! a member of a conversation left, be it the watcher or who is watched. Until the answer nothing is told.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use parking_lot::Mutex;
use posthorn_clock::{Instant, sleep};
use posthorn_errors::{Code, Failure};
use posthorn_proto::{
    client::{PresenceNow, WatchPresence, server_frame::Frame},
    internal::{WatchAllowedRequest, WatchReply, WatchRequest},
};
use posthorn_rpc::{Context, TraceContext, within};
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;

use crate::{
    Gateway,
    error::invalid,
    live::{Connection, Event, Watching},
};

/// Before a check that was not answered is made again, ms.
const RETRY_MS: u64 = 1_000;
/// Times that a request is answered again from the start because somebody left meanwhile.
const MAX_ROUNDS: u32 = 8;

/// Connections to be checked, in the order in which they came to be in doubt. Each is in here once, so it is
/// bounded by `edge.max_connections`.
pub(crate) struct Line {
    waiting: Mutex<VecDeque<u64>>,
    comes: Notify,
    length: Gauge,
}

impl Line {
    pub fn new(length: Gauge) -> Self {
        Self { waiting: Mutex::default(), comes: Notify::new(), length }
    }

    pub fn push(&self, connection: &Connection) {
        if connection.watching.join_line() {
            self.waiting.lock().push_back(connection.id);
            self.length.inc();
            self.comes.notify_one();
        }
    }

    fn pop(&self) -> Option<u64> {
        let first = self.waiting.lock().pop_front();
        if first.is_some() {
            self.length.dec();
        }
        first
    }
}

/// Checks the connections in the line for as long as the node runs, `edge.max_presence_checks` at once.
pub(crate) async fn check_in_turn(gateway: Arc<Gateway>) {
    let stopping = gateway.deps.tasks.stopping();
    let most = gateway.config().max_presence_checks.max(1);
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < most
            && let Some(id) = gateway.line.pop()
        {
            running.push(check(&gateway, id));
        }
        tokio::select! {
            biased;
            Some(()) = running.next(), if !running.is_empty() => {}
            () = gateway.line.comes.notified(), if running.len() < most => {}
            () = stopping.cancelled() => return,
        }
    }
}

async fn check(gateway: &Gateway, id: u64) {
    // Gone meanwhile: with it went what it watched.
    let Some(connection) = gateway.registry.get(id) else { return };
    let turn = connection.watching.turn.lock().await;
    connection.watching.leave_line();
    let result = gateway.in_context(settle(gateway, &connection)).await;
    gateway.metrics.presence_checked(result.as_ref().err().map_or("ok", |failure| failure.code.as_str()));
    if let Err(failure) = result {
        tracing::debug!(connection = id, %failure, "whom a connection may watch is not known");
        drop(turn);
        sleep(Duration::from_millis(RETRY_MS)).await;
        gateway.line.push(&connection);
    }
}

/// Asks until nobody is in doubt; tells what was held, and the session service what is left.
async fn settle(gateway: &Gateway, connection: &Connection) -> Result<(), Failure> {
    if !ask(gateway, connection).await? {
        return Ok(());
    }
    let missed = connection.watching.has_missed();
    if missed {
        connection.watching.reads();
    }
    match watch(gateway, connection, !missed).await {
        Ok(reply) if missed => {
            for now in connection.watching.read_missed(reply.now, &reply.versions) {
                gateway.push(connection, &Arc::new(Event::new(Frame::Presence(now), 0)));
            }
        }
        Ok(_) => {}
        Err(failure) if missed || connection.watching.is_forgotten() => {
            if missed {
                connection.watching.missed();
            }
            return Err(failure);
        }
        // What it goes on to publish is dropped here: that it could not be told does no harm.
        Err(failure) => {
            tracing::debug!(connection = connection.id, %failure, "the session service was not told whom to watch");
        }
    }
    Ok(())
}

/// True if the session service may hold more than is watched.
async fn ask(gateway: &Gateway, connection: &Connection) -> Result<bool, Failure> {
    for _ in 0..MAX_ROUNDS {
        let asked = connection.watching.question();
        let allowed = if asked.is_empty() {
            Vec::new()
        } else {
            let request = WatchAllowedRequest { caller: Some(connection.caller()), users: asked.clone() };
            gateway.watch_allowed(request).await?.users
        };
        let answered = connection.watching.answer(&asked, &allowed);
        if !answered.again {
            for event in &answered.held {
                gateway.push(connection, event);
            }
            return Ok(answered.surplus);
        }
    }
    // Members come and go faster than this can be answered.
    Err(Failure::plain(Code::Overloaded).retry_after_ms(RETRY_MS))
}

async fn watch(gateway: &Gateway, connection: &Connection, silent: bool) -> Result<WatchReply, Failure> {
    let request = WatchRequest {
        tenant: connection.identity.tenant.as_str().to_owned(),
        gateway: gateway.incarnation.clone(),
        connection: connection.id,
        users: connection.watching.all(),
        silent,
    };
    let reply = gateway.watch_presence(request).await?;
    connection.watching.told();
    Ok(reply)
}

impl Gateway {
    /// Replaces whom the connection watches; those it may not watch are left out.
    pub(crate) async fn replace_watched(
        &self,
        connection: &Connection,
        asked: WatchPresence,
    ) -> Result<Vec<PresenceNow>, Failure> {
        if asked.users.len() > self.config().max_watched_users {
            return Err(Failure::plain(Code::TooManyWatched).limit("edge.max_watched_users"));
        }
        for user in &asked.users {
            posthorn_core::UserId::new(user).map_err(|error| invalid(format!("`users`: {error}")))?;
        }
        let _turn = connection.watching.turn.lock().await;
        let before = connection.watching.replace(asked.users);
        let answered = async {
            ask(self, connection).await?;
            connection.watching.reads();
            watch(self, connection, false).await
        };
        match answered.await {
            // Somebody may have left while the states were read.
            Ok(reply) => Ok(connection.watching.read(reply.now, &reply.versions)),
            Err(failure) => {
                // As if it had not been asked: whom it watched before is asked about once more.
                connection.watching.replace(before);
                self.line.push(connection);
                Err(failure)
            }
        }
    }

    /// Members left the conversation, or it is not known whether: whoever is in doubt by that is checked.
    pub(crate) fn doubt(&self, connection: &Connection, departed: &[String]) {
        if connection.watching.departed(departed, connection.identity.user.as_str()) {
            self.line.push(connection);
        }
    }

    /// The session service has lost whom connections watch: it is told again.
    pub(crate) fn watch_again(&self) {
        self.check_those(Watching::forgotten);
    }

    /// News of whom connections watch may have been lost: their states are read again.
    pub(crate) fn look_again(&self) {
        self.check_those(Watching::missed);
    }

    pub(crate) fn doubt_everybody(&self) {
        self.check_those(Watching::doubt_all);
    }

    fn check_those(&self, whom: impl Fn(&Watching) -> bool) {
        for connection in self.registry.all().iter().filter(|connection| whom(&connection.watching)) {
            self.line.push(connection);
        }
    }

    pub(crate) async fn in_context<T>(&self, work: impl Future<Output = T>) -> T {
        let limit = Duration::from_millis(self.config().call_timeout_ms);
        within(Context { trace: TraceContext::root(self.clock()), deadline: Some(Instant::now() + limit) }, work).await
    }
}
