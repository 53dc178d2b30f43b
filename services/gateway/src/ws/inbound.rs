//! From the socket to the services, and their answers to the outbox.

use std::time::Duration;

use posthorn_clock::Instant;
use posthorn_errors::{Code, Failure};
use posthorn_proto::{
    client::{ClientFrame, Pong, Refreshed, Send as SendRequest, client_frame::Request, server_frame::Frame},
    internal::{AuthenticateReply, AuthenticateRequest},
};
use posthorn_rpc::{Context, TraceContext, within};

use super::{
    codec,
    connection::{Outcome, Serving},
    ending::Ending,
    greeting, requests,
    sends::Batch,
    socket::Received,
    timers::Due,
};
use crate::{
    limits::{Excess, Limits},
    sends,
};

impl Serving {
    pub(super) fn received(&mut self, received: Received) -> Result<(), Ending> {
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
                self.counted(None)?;
                self.flush()
            }
            Received::WrongType => Err(Ending::server(Code::TextFrameExpected)),
            Received::End(ending) => Err(ending),
        }
    }

    /// Counts something that the client sent; false if it was refused, which is told where there is a reply to it.
    pub(super) fn counted(&mut self, id: Option<u64>) -> Result<bool, Ending> {
        let now_ms = self.gateway.clock().now_ms();
        let taken = self.limits.take(&self.user_limit, now_ms, &self.gateway.metrics);
        match taken {
            Ok(()) => Ok(true),
            Err(Excess::Refuse(failure)) => {
                if let Some(id) = id {
                    self.refuse(id, &failure);
                }
                Ok(false)
            }
            Err(Excess::Flood(failure)) => Err(Ending::Server(failure)),
        }
    }

    pub(super) fn request(&mut self, frame: ClientFrame) -> Result<(), Ending> {
        let ClientFrame { id, traceparent, request } = frame;
        let replied_to = (!matches!(request, Some(Request::Pong(_)))).then_some(id);
        if !self.counted(replied_to)? {
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
        let trace = self.trace(&traceparent);
        if trace.sampled() {
            let (trace_id, span_id) = (trace.trace_id(), trace.span_id());
            tracing::info!(trace_id, span_id, connection = self.connection.id, request = name, "a request to trace");
        }
        self.begin(id, name, trace, request);
        Ok(())
    }

    pub(super) fn trace(&self, traceparent: &str) -> TraceContext {
        let clock = self.gateway.clock();
        TraceContext::parse(traceparent).map_or_else(|| TraceContext::root(clock), |trace| trace.child(clock))
    }

    pub(super) fn context(&self, trace: TraceContext) -> Context {
        let limit = Duration::from_millis(self.gateway.config().call_timeout_ms);
        Context { trace, deadline: Some(Instant::now() + limit) }
    }

    pub(super) fn begin(&mut self, id: u64, name: &'static str, trace: TraceContext, request: Request) {
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

    pub(super) fn begin_send(&mut self, id: u64, trace: TraceContext, send: SendRequest) {
        match sends::check(self.gateway.config(), &self.connection.caller(), send) {
            Ok(checked) => {
                self.pending += 1;
                let batch = self.lanes.push(checked, Instant::now(), id, trace);
                self.append(batch);
            }
            Err(failure) => self.answered(id, "send", Err(failure)),
        }
    }

    pub(super) fn append(&mut self, batch: Option<Batch>) {
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
    pub(super) fn start_reads(&mut self) {
        let config = self.gateway.config();
        while self.running_reads < config.max_running_reads
            && !self.waiting_reads.is_empty()
            && self.connection.outbox.bytes() < config.max_queue_bytes
        {
            self.running_reads += 1;
            self.reads.extend(self.waiting_reads.pop_front());
        }
    }

    pub(super) fn finished(&mut self, outcome: Outcome) -> Result<(), Ending> {
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
            Outcome::Followed(true) => {}
            Outcome::Followed(false) => self.timers.after(Due::Follow, self.gateway.config().follow_ms),
        }
        // Who was to leave and has nothing in flight any more, leaves.
        match self.leaving {
            Some(code) if self.pending == 0 && !self.timers.is_set(Due::Leave) => Err(Ending::server(code)),
            _ => Ok(()),
        }
    }

    /// The live connection goes on with the new token: of the same tenant, user and device.
    pub(super) fn refreshed(&mut self, authenticated: &AuthenticateReply) -> Result<Frame, Failure> {
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
}
