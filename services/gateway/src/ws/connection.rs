//! One connection, one task: it reads, calls, and writes what its outbox holds. While the kernel takes
//! no more bytes it reads nothing, so a client that does not read cannot make the server queue replies.

use std::{collections::VecDeque, pin::Pin, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use posthorn_clock::{Instant, timeout};
use posthorn_core::ConversationId;
use posthorn_errors::{Code, Failure};
use posthorn_proto::{
    client::{self, server_frame::Frame},
    internal::AuthenticateReply,
};

use super::{
    codec,
    ending::Ending,
    greeting::{self, Greeted, greet},
    sends::Lanes,
    socket::{Received, Socket},
    timers::{Due, Timers},
};
use crate::{
    Gateway,
    limits::{Limits, UserLimit},
    live::{Connection, Item, Order},
    service::Ticket,
};

/// For the session service to forget the connection, ms.
const DISCONNECT_MS: u64 = 5_000;

pub(super) type Work = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A finished request.
pub(super) enum Outcome {
    Reply {
        id: u64,
        name: &'static str,
        reply: Result<Frame, Failure>,
    },
    Read {
        id: u64,
        name: &'static str,
        reply: Result<Frame, Failure>,
    },
    Sends {
        conversation: ConversationId,
        answers: Vec<(u64, Instant, Result<client::Sent, Failure>)>,
    },
    Refreshed {
        id: u64,
        reply: Result<AuthenticateReply, Failure>,
    },
    /// Not a request: false if it has to be tried again.
    Followed(bool),
}

pub(super) enum Step {
    Outcome(Outcome),
    Received(Received),
    Flushed(Result<(), Ending>),
    Outbox,
    Due,
}

/// Reads, unless there is something left to write. Cancel-safe.
async fn move_bytes(socket: &mut Socket, flushing: bool) -> Step {
    if flushing { Step::Flushed(socket.flush().await) } else { Step::Received(socket.receive().await) }
}

pub(super) async fn serve(gateway: Arc<Gateway>, mut socket: Socket, mut ticket: Ticket) {
    match greet(&gateway, &mut socket, &mut ticket).await {
        Ok(greeted) => Serving::new(gateway, socket, greeted).run().await,
        Err(unwelcome) => {
            let (code, by) = unwelcome.ending.labels();
            gateway.metrics.ended(code, by);
            if let Ending::Server(failure) = &unwelcome.ending {
                let _ = socket.queue(codec::error(socket.protocol, unwelcome.id, failure));
            }
            socket.close(unwelcome.ending.close()).await;
        }
    }
    drop(ticket);
}

pub(super) struct Serving {
    pub(super) gateway: Arc<Gateway>,
    pub(super) connection: Arc<Connection>,
    pub(super) socket: Socket,
    pub(super) limits: Limits,
    pub(super) user_limit: Arc<UserLimit>,
    pub(super) session: String,
    pub(super) resume_token: String,
    pub(super) lanes: Lanes,
    /// Reads and other calls that may be dropped with the connection.
    pub(super) reads: FuturesUnordered<Work>,
    /// Calls that change something: they go on when the connection ends.
    pub(super) writes: FuturesUnordered<Work>,
    /// Large reads that wait for their turn.
    pub(super) waiting_reads: VecDeque<Work>,
    pub(super) running_reads: usize,
    /// Requests without a reply so far.
    pub(super) pending: usize,
    pub(super) timers: Timers,
    pub(super) pinged: Option<Instant>,
    /// The kernel did not take everything: nothing is read until it does.
    pub(super) flushing: bool,
    /// Told to come back elsewhere, and why.
    pub(super) leaving: Option<Code>,
    pub(super) corked: Vec<Item>,
    /// The id of the request that ended the connection, for the error frame.
    pub(super) fatal_id: u64,
}

impl Serving {
    fn new(gateway: Arc<Gateway>, socket: Socket, greeted: Greeted) -> Self {
        let config = gateway.config();
        let mut timers = Timers::new(config, gateway.clock());
        let expires_ms = greeted.connection.token.lock().expires_ms;
        timers.token(expires_ms, config.token_expiring_ms, gateway.clock().now_ms());
        greeted.connection.outbox.go_live(greeted.connected);
        // What went to all connections while this one was being greeted holds for it too.
        if gateway.deps.tasks.stopping().is_cancelled() {
            greeted.connection.outbox.order(Order::End(Ending::server(Code::Draining)));
        } else if gateway.is_draining() {
            greeted.connection.outbox.order(Order::Leave(Code::Draining));
        }
        gateway.metrics.connections.inc();
        Self {
            lanes: Lanes::new(config.max_append_items),
            connection: greeted.connection,
            socket,
            limits: greeted.limits,
            user_limit: greeted.user_limit,
            session: greeted.session,
            resume_token: greeted.resume_token,
            reads: FuturesUnordered::new(),
            writes: FuturesUnordered::new(),
            waiting_reads: VecDeque::new(),
            running_reads: 0,
            pending: 0,
            timers,
            pinged: None,
            flushing: false,
            leaving: None,
            corked: Vec::new(),
            fatal_id: 0,
            gateway,
        }
    }

    async fn run(mut self) {
        let ending = loop {
            if let Err(ending) = self.turn().await {
                break ending;
            }
        };
        self.end(ending).await;
    }

    /// Writes what can be written, then handles the next thing that happens.
    async fn turn(&mut self) -> Result<(), Ending> {
        while let Some(due) = self.timers.take_due() {
            self.due(due)?;
        }
        if let Some(order) = self.connection.outbox.take_order() {
            self.obey(order)?;
        }
        if !self.flushing {
            self.write()?;
            self.start_reads();
        }
        match self.step().await {
            Step::Outcome(outcome) => self.finished(outcome),
            Step::Received(received) => self.received(received),
            Step::Flushed(flushed) => {
                self.flushing = false;
                self.timers.set(Due::Write, None);
                self.written();
                flushed
            }
            Step::Outbox | Step::Due => Ok(()),
        }
    }

    async fn step(&mut self) -> Step {
        let Self { socket, reads, writes, timers, connection, flushing, .. } = self;
        let flushing = *flushing;
        // In order, so that a simulation repeats itself; each branch gives way to the others on the next turn.
        tokio::select! {
            biased;
            Some(outcome) = writes.next(), if !writes.is_empty() => Step::Outcome(outcome),
            Some(outcome) = reads.next(), if !reads.is_empty() => Step::Outcome(outcome),
            step = move_bytes(socket, flushing) => step,
            () = std::future::poll_fn(|cx| connection.outbox.poll_ready(cx, flushing)) => Step::Outbox,
            () = timers.wait() => Step::Due,
        }
    }

    async fn end(mut self, ending: Ending) {
        let (code, by) = ending.labels();
        let gateway = self.gateway.clone();
        let change = gateway.registry.change();
        self.gateway.registry.remove(&self.connection, &self.session);
        self.gateway.unfollow(&self.connection);
        self.gateway.metrics.connections.dec();
        self.gateway.metrics.ended(code, by);
        if matches!(&ending, Ending::Server(failure) if failure.code == Code::SlowConsumer) {
            self.gateway.metrics.slow_consumers.inc();
        } else if matches!(ending, Ending::Server(_)) {
            // What was queued before goes out before; a socket that takes no more loses it.
            while !self.flushing && self.connection.outbox.bytes() > 0 && self.write().is_ok() {}
        }
        let left = self.connection.outbox.end();
        self.gateway.metrics.queue_changed(-i64::try_from(left).unwrap_or(i64::MAX));
        if let Ending::Server(failure) = &ending {
            let _ = self.socket.queue(codec::error(self.socket.protocol, self.fatal_id, failure));
        }
        tracing::debug!(connection = self.connection.id, code, by, "connection ended");
        let Self { connection, socket, mut writes, .. } = self;
        if !writes.is_empty() {
            // Nobody waits for the answers, but a half-done change helps nobody. Each has its deadline.
            gateway.deps.tasks.background("unanswered requests", async move { while writes.next().await.is_some() {} });
        }
        let disconnect = async {
            let _change = change;
            let told = gateway.disconnect_session(greeting::disconnect_request(&gateway, &connection));
            timeout(Duration::from_millis(DISCONNECT_MS), told).await
        };
        // Others learn that the user is gone while the client still reads why.
        let (disconnected, ()) = tokio::join!(disconnect, socket.close(ending.close()));
        if !matches!(disconnected, Ok(Ok(_))) {
            tracing::warn!(connection = connection.id, "the session service was not told of an ended connection");
        }
    }
}
