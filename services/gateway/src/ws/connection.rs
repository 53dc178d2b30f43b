//! One connection, one task: it reads, calls, and writes what its outbox holds. While the kernel takes
//! no more bytes it reads nothing, so a client that does not read cannot make the server queue replies.

use std::{collections::VecDeque, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use posthorn_clock::{Instant, timeout};
use posthorn_core::ConversationId;
use posthorn_errors::{Code, Failure};
use posthorn_proto::{
    client::{
        self, ClientFrame, Ping, Pong, Reconnect, Refreshed, Resync, Send as SendRequest, TokenExpiring,
        client_frame::Request, server_frame::Frame,
    },
    internal::{AuthenticateReply, AuthenticateRequest},
};
use posthorn_rpc::{Context, TraceContext, within};

use super::{
    codec,
    ending::Ending,
    greeting::{self, Greeted, greet},
    requests,
    sends::{Batch, Lanes},
    socket::{Received, Socket},
    timers::{Due, Timers},
};
use crate::{
    Gateway,
    limits::{Excess, Limits, UserLimit},
    live::{Connection, Item, Order},
    sends,
    service::Ticket,
};

/// Bytes handed to the socket before it is flushed: many frames leave in one write.
const CORK_BYTES: usize = 64 * 1024;
/// After the window of a `reconnect`, for requests still in flight, ms.
const LEAVE_GRACE_MS: u64 = 2_000;
/// For the session service to forget the connection, ms.
const DISCONNECT_MS: u64 = 5_000;

type Work = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A finished request.
enum Outcome {
    Reply { id: u64, name: &'static str, reply: Result<Frame, Failure> },
    Read { id: u64, name: &'static str, reply: Result<Frame, Failure> },
    Sends { conversation: ConversationId, answers: Vec<(u64, Instant, Result<client::Sent, Failure>)> },
    Refreshed { id: u64, reply: Result<AuthenticateReply, Failure> },
}

enum Step {
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

struct Serving {
    gateway: Arc<Gateway>,
    connection: Arc<Connection>,
    socket: Socket,
    limits: Limits,
    user_limit: Arc<UserLimit>,
    session: String,
    resume_token: String,
    lanes: Lanes,
    /// Reads and other calls that may be dropped with the connection.
    reads: FuturesUnordered<Work>,
    /// Calls that change something: they go on when the connection ends.
    writes: FuturesUnordered<Work>,
    /// Large reads that wait for their turn.
    waiting_reads: VecDeque<Work>,
    running_reads: usize,
    /// Requests without a reply so far.
    pending: usize,
    timers: Timers,
    pinged: Option<Instant>,
    /// The kernel did not take everything: nothing is read until it does.
    flushing: bool,
    /// Told to come back elsewhere, and why.
    leaving: Option<Code>,
    corked: Vec<Item>,
    /// The id of the request that ended the connection, for the error frame.
    fatal_id: u64,
}

impl Serving {
    fn new(gateway: Arc<Gateway>, socket: Socket, greeted: Greeted) -> Self {
        let config = gateway.config();
        let mut timers = Timers::new(config, gateway.clock());
        let expires_ms = greeted.connection.token.lock().expires_ms;
        timers.token(expires_ms, config.token_expiring_ms, gateway.clock().now_ms());
        greeted.connection.outbox.go_live(greeted.connected);
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

    /// Moves the next part of the outbox to the socket and flushes it, once.
    fn write(&mut self) -> Result<(), Ending> {
        let lost = self.connection.outbox.take(CORK_BYTES, &mut self.corked);
        if self.corked.is_empty() && lost.is_none() {
            return Ok(());
        }
        // `connected` is the first frame of all, also where events were lost before it was out.
        let mut resync = lost.map(|lost| {
            let code = lost.code.as_str().to_owned();
            codec::reply(self.socket.protocol, 0, Frame::Resync(Resync { code, conversations: lost.conversations }))
        });
        let mut bytes = 0;
        for item in &self.corked {
            let payload = item.bytes(self.socket.protocol);
            bytes += payload.len();
            if matches!(item, Item::Event(_))
                && let Some(resync) = resync.take()
            {
                self.socket.queue(resync)?;
            }
            self.socket.queue(payload.clone())?;
        }
        if let Some(resync) = resync {
            self.socket.queue(resync)?;
        }
        self.gateway.metrics.queue_changed(-i64::try_from(bytes).unwrap_or(i64::MAX));
        self.flush()
    }

    fn flush(&mut self) -> Result<(), Ending> {
        if self.socket.try_flush()? {
            self.written();
        } else {
            self.flushing = true;
            self.timers.after(Due::Write, self.gateway.config().write_timeout_ms);
        }
        Ok(())
    }

    fn written(&mut self) {
        for item in self.corked.drain(..) {
            if let Item::Event(event) = item
                && let Some(confirmed_ms) = event.first_written()
            {
                let ms = self.gateway.clock().now_ms().saturating_sub(confirmed_ms);
                self.gateway.metrics.delivered(Duration::from_millis(ms).as_secs_f64());
            }
        }
        // A burst must not keep its memory for the life of the connection.
        if self.corked.capacity() > 64 {
            self.corked = Vec::new();
        }
    }

    fn send(&self, payload: Bytes) {
        self.gateway.metrics.queue_changed(i64::try_from(payload.len()).unwrap_or(i64::MAX));
        self.connection.outbox.push_reply(payload);
    }

    fn send_event(&self, frame: Frame) {
        self.send(codec::reply(self.socket.protocol, 0, frame));
    }

    fn refuse(&self, id: u64, failure: &Failure) {
        self.send(codec::error(self.socket.protocol, id, failure));
    }

    fn received(&mut self, received: Received) -> Result<(), Ending> {
        // Whatever comes shows that the client lives.
        self.timers.set(Due::Pong, None);
        match received {
            Received::Frame(payload) => {
                let frame = codec::decode(self.socket.protocol, payload).map_err(|malformed| {
                    self.fatal_id = malformed.id;
                    Ending::Server(malformed.failure)
                })?;
                self.request(frame)
            }
            Received::Control => {
                self.counted(0)?;
                self.flush()
            }
            Received::WrongType => Err(Ending::server(Code::TextFrameExpected)),
            Received::End(ending) => Err(ending),
        }
    }

    /// Counts something that the client sent; false if it was refused, and the refusal told.
    fn counted(&mut self, id: u64) -> Result<bool, Ending> {
        let now_ms = self.gateway.clock().now_ms();
        let taken = self.limits.take(&self.user_limit, now_ms, &self.gateway.metrics);
        match taken {
            Ok(()) => Ok(true),
            Err(Excess::Refuse(failure)) => {
                if id > 0 {
                    self.refuse(id, &failure);
                }
                Ok(false)
            }
            Err(Excess::Flood(failure)) => Err(Ending::Server(failure)),
        }
    }

    fn request(&mut self, frame: ClientFrame) -> Result<(), Ending> {
        let ClientFrame { id, traceparent, request } = frame;
        if !self.counted(id)? {
            return Ok(());
        }
        let Some(request) = request else {
            self.refuse(id, &Code::UnknownRequest.into());
            return Ok(());
        };
        let name = requests::name(&request);
        match request {
            Request::Pong(_) => {
                if let Some(pinged) = self.pinged.take() {
                    self.gateway.metrics.ping_rtt_seconds.observe(pinged.elapsed().as_secs_f64());
                }
                return Ok(());
            }
            Request::Ping(_) => {
                self.send(codec::reply(self.socket.protocol, id, Frame::Pong(Pong {})));
                return Ok(());
            }
            Request::Connect(_) => {
                self.fatal_id = id;
                return Err(Ending::server(Code::AlreadyConnected));
            }
            _ => {}
        }
        if self.pending >= self.gateway.config().max_pending_requests {
            let failure = Failure::plain(Code::TooManyPending).limit("edge.max_pending_requests");
            return match self.limits.refuse(failure, self.gateway.clock().now_ms()) {
                Excess::Refuse(failure) => {
                    self.answered(id, name, Err(failure));
                    Ok(())
                }
                Excess::Flood(failure) => Err(Ending::Server(failure)),
            };
        }
        self.begin(id, name, self.trace(&traceparent), request);
        Ok(())
    }

    fn trace(&self, traceparent: &str) -> TraceContext {
        let clock = self.gateway.clock();
        TraceContext::parse(traceparent).map_or_else(|| TraceContext::root(clock), |trace| trace.child(clock))
    }

    fn context(&self, trace: TraceContext) -> Context {
        let limit = Duration::from_millis(self.gateway.config().call_timeout_ms);
        Context { trace, deadline: Some(Instant::now() + limit) }
    }

    fn begin(&mut self, id: u64, name: &'static str, trace: TraceContext, request: Request) {
        let context = self.context(trace);
        match request {
            Request::Send(send) => return self.begin_send(id, trace, send),
            Request::Refresh(refresh) => {
                let gateway = self.gateway.clone();
                self.writes.push(Box::pin(async move {
                    let asked = AuthenticateRequest { token: refresh.token, resume_token: String::new() };
                    let reply = within(context, gateway.authenticate(asked)).await;
                    Outcome::Refreshed { id, reply }
                }));
            }
            request => {
                let is_read = requests::is_read(&request);
                let answer = requests::answer(self.gateway.clone(), self.connection.clone(), request);
                if is_read {
                    let work = async move { Outcome::Read { id, name, reply: within(context, answer).await } };
                    self.waiting_reads.push_back(Box::pin(work));
                } else {
                    let work = async move { Outcome::Reply { id, name, reply: within(context, answer).await } };
                    self.writes.push(Box::pin(work));
                }
            }
        }
        self.pending += 1;
    }

    fn begin_send(&mut self, id: u64, trace: TraceContext, send: SendRequest) {
        match sends::check(self.gateway.config(), &self.connection.caller(), send) {
            Ok(checked) => {
                self.pending += 1;
                let batch = self.lanes.push(checked, Instant::now(), id, trace);
                self.append(batch);
            }
            Err(failure) => self.answered(id, "send", Err(failure)),
        }
    }

    fn append(&mut self, batch: Option<Batch>) {
        let Some(Batch { conversation, direct_to, sends }) = batch else { return };
        let (gateway, caller) = (self.gateway.clone(), self.connection.caller());
        let Some(trace) = sends.first().map(|send| send.trace) else { return };
        let context = self.context(trace);
        self.writes.push(Box::pin(async move {
            let (mut items, mut asked) = (Vec::with_capacity(sends.len()), Vec::with_capacity(sends.len()));
            for send in sends {
                items.push(send.item);
                asked.push((send.id, send.since));
            }
            let append = gateway.append(&caller, conversation.as_str(), &direct_to, items);
            let answers = match within(context, append).await {
                Ok(answers) => asked.into_iter().zip(answers).map(|((id, since), a)| (id, since, a)).collect(),
                Err(failure) => asked.into_iter().map(|(id, since)| (id, since, Err(failure.clone()))).collect(),
            };
            Outcome::Sends { conversation, answers }
        }));
    }

    /// Few large replies at a time, and none while the client does not read.
    fn start_reads(&mut self) {
        let config = self.gateway.config();
        while self.running_reads < config.max_running_reads
            && !self.waiting_reads.is_empty()
            && self.connection.outbox.bytes() < config.max_queue_bytes
        {
            self.running_reads += 1;
            self.reads.extend(self.waiting_reads.pop_front());
        }
    }

    fn finished(&mut self, outcome: Outcome) -> Result<(), Ending> {
        match outcome {
            Outcome::Reply { id, name, reply } => {
                self.pending -= 1;
                self.answered(id, name, reply);
            }
            Outcome::Read { id, name, reply } => {
                self.pending -= 1;
                self.running_reads -= 1;
                self.answered(id, name, reply);
            }
            Outcome::Sends { conversation, answers } => {
                self.pending -= answers.len();
                for (id, since, answer) in answers {
                    self.gateway.metrics.send_to_ack_seconds.observe(since.elapsed().as_secs_f64());
                    self.answered(id, "send", answer.map(Frame::Sent));
                }
                let next = self.lanes.answered(&conversation);
                self.append(next);
            }
            Outcome::Refreshed { id, reply } => {
                self.pending -= 1;
                let reply = reply.and_then(|authenticated| self.refreshed(&authenticated));
                self.answered(id, "refresh", reply);
            }
        }
        // Who was to leave and has nothing in flight any more, leaves.
        match self.leaving {
            Some(code) if self.pending == 0 && !self.timers.is_set(Due::Leave) => Err(Ending::server(code)),
            _ => Ok(()),
        }
    }

    fn answered(&self, id: u64, name: &'static str, reply: Result<Frame, Failure>) {
        match reply {
            Ok(frame) => {
                self.gateway.metrics.answered(name, "ok");
                self.send(codec::reply(self.socket.protocol, id, frame));
            }
            Err(failure) => {
                self.gateway.metrics.answered(name, failure.code.as_str());
                self.refuse(id, &failure);
            }
        }
    }

    /// The live connection goes on with the new token: of the same tenant, user and device.
    fn refreshed(&mut self, authenticated: &AuthenticateReply) -> Result<Frame, Failure> {
        if greeting::identity(authenticated)? != self.connection.identity {
            return Err(Failure::new(Code::Forbidden, "the new token is of another tenant, user or device"));
        }
        let token = greeting::token_of(authenticated);
        let token_expires_ms = token.expires_ms;
        *self.connection.token.lock() = token;
        let config = self.gateway.config();
        self.limits = Limits::new(config, &authenticated.limit_class);
        self.timers.token(token_expires_ms, config.token_expiring_ms, self.gateway.clock().now_ms());
        Ok(Frame::Refreshed(Refreshed { token_expires_ms }))
    }

    fn due(&mut self, due: Due) -> Result<(), Ending> {
        let config = self.gateway.config();
        match due {
            Due::Write => return Err(Ending::server(Code::SlowConsumer)),
            Due::Pong => return Err(Ending::server(Code::PingTimeout)),
            Due::TokenExpired => return Err(Ending::server(Code::TokenExpired)),
            Due::Ping => {
                let (interval, wait) = (config.ping_interval_ms, config.ping_timeout_ms);
                self.timers.after(Due::Ping, interval);
                // While we cannot write, the deadline of the write decides.
                if !self.flushing {
                    self.timers.after(Due::Pong, wait);
                    self.pinged = Some(Instant::now());
                    self.send_event(Frame::Ping(Ping {}));
                }
            }
            Due::TokenExpiring => {
                let token_expires_ms = self.connection.token.lock().expires_ms;
                self.send_event(Frame::TokenExpiring(TokenExpiring { token_expires_ms }));
            }
            Due::Age => self.leave(Code::ConnectionAge),
            Due::Leave => {
                let code = self.leaving.unwrap_or(Code::ConnectionAge);
                if self.pending == 0 {
                    return Err(Ending::server(code));
                }
                // What is in flight finishes, but not for ever: every call has its deadline.
            }
        }
        Ok(())
    }

    fn obey(&mut self, order: Order) -> Result<(), Ending> {
        match order {
            Order::End(ending) => Err(ending),
            Order::Leave(code) => {
                self.leave(code);
                Ok(())
            }
        }
    }

    /// Asks the client to come back elsewhere within a window; after it the connection ends.
    fn leave(&mut self, code: Code) {
        if self.leaving.replace(code).is_some() {
            return;
        }
        let window = self.gateway.config().reconnect_window_ms;
        self.timers.after(Due::Leave, window + LEAVE_GRACE_MS);
        self.send_event(Frame::Reconnect(Reconnect {
            code: code.as_str().to_owned(),
            delay_min_ms: 0,
            delay_max_ms: window,
            resume_token: self.resume_token.clone(),
        }));
    }

    async fn end(mut self, ending: Ending) {
        let (code, by) = ending.labels();
        self.gateway.registry.remove(&self.connection, &self.session);
        self.gateway.metrics.connections.dec();
        self.gateway.metrics.ended(code, by);
        if matches!(&ending, Ending::Server(failure) if failure.code == Code::SlowConsumer) {
            self.gateway.metrics.slow_consumers.inc();
        } else if matches!(ending, Ending::Server(_)) && !self.flushing {
            // What was queued before goes out before; a socket that takes no more loses it.
            let _ = self.write();
        }
        let left = self.connection.outbox.end();
        self.gateway.metrics.queue_changed(-i64::try_from(left).unwrap_or(i64::MAX));
        if let Ending::Server(failure) = &ending {
            let _ = self.socket.queue(codec::error(self.socket.protocol, self.fatal_id, failure));
        }
        tracing::debug!(connection = self.connection.id, code, by, "connection ended");
        let Self { gateway, connection, socket, mut writes, .. } = self;
        if !writes.is_empty() {
            // Nobody waits for the answers, but a half-done change helps nobody. Each has its deadline.
            gateway.deps.tasks.background("unanswered requests", async move { while writes.next().await.is_some() {} });
        }
        socket.close(ending.close()).await;
        let disconnect = gateway.disconnect_session(greeting::disconnect_request(&gateway, &connection));
        if !matches!(timeout(Duration::from_millis(DISCONNECT_MS), disconnect).await, Ok(Ok(_))) {
            tracing::warn!(connection = connection.id, "the session service was not told of an ended connection");
        }
    }
}
