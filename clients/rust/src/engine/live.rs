//! A connection in use: its frames, its timers, its end.

use std::{collections::BTreeSet, pin::Pin, sync::Arc, time::Duration};

use posthorn_clock::Instant;
use posthorn_errors::Failure;
use posthorn_proto::client::{
    self, ClientFrame, Connected, Mark, Ping, Pong, Reconnect, Refresh, ServerFrame, client_frame::Request,
    server_frame::Frame,
};

use super::{Engine, Phase, Step, dial::ask_token, requests::Pending};
use crate::{
    ClientConfig, Event, Reason, TokenError, TokenReason,
    socket::{Ended, Socket},
};

/// A silence of this many ping intervals, in quarters, makes us ask; as long again ends the connection.
const SILENCE_QUARTERS: u64 = 6;
/// After the moment to leave, for sends that are on their way, ms.
const LEAVE_GRACE_MS: u64 = 2_000;
/// Entries come in bursts: the delivered mark follows them at this distance, ms.
const DELIVERED_AFTER_MS: u64 = 250;

/// The application is asked for a token.
type Asking = Pin<Box<dyn Future<Output = Result<String, TokenError>> + Send>>;

pub(super) struct Live {
    pub socket: Socket,
    pub since: Instant,
    pub next_id: u64,
    pub max_pending: usize,
    /// Fatal errors come before the close frame.
    pub said: Option<Failure>,
    /// A sync is on its way or asked for.
    pub syncing: bool,
    pub sync_again: bool,
    /// The server is to be asked again for the presence of those who are watched.
    pub watch_again: bool,
    pub filling: usize,
    heard: Instant,
    asked: bool,
    silence: Duration,
    /// Leave at this moment.
    leave: Option<Instant>,
    delivered: BTreeSet<Arc<str>>,
    delivered_at: Option<Instant>,
    token: Option<Asking>,
}

impl Live {
    pub fn new(socket: Socket, connected: &Connected, config: &ClientConfig) -> Self {
        let now = Instant::now();
        let interval_ms = if connected.ping_interval_ms == 0 { 30_000 } else { connected.ping_interval_ms };
        let server_max = connected.limits.as_ref().map_or(usize::MAX, |limits| limits.max_pending_requests as usize);
        Self {
            socket,
            since: now,
            next_id: 2,
            max_pending: config.max_pending_requests.min(server_max).max(1),
            said: None,
            syncing: false,
            sync_again: false,
            watch_again: false,
            filling: 0,
            heard: now,
            asked: false,
            silence: Duration::from_millis(interval_ms * SILENCE_QUARTERS / 4),
            leave: None,
            delivered: BTreeSet::new(),
            delivered_at: None,
            token: None,
        }
    }

    /// The next frame, if `read`, or token. Cancel-safe.
    pub async fn next(&mut self, read: bool) -> Step {
        let Self { socket, token, .. } = self;
        tokio::select! {
            biased;
            fresh = async { token.as_mut().expect("checked").as_mut().await }, if token.is_some() => Step::Token(fresh),
            received = socket.receive(), if read => Step::Received(received),
            else => std::future::pending().await,
        }
    }

    pub fn due(&self) -> Option<Instant> {
        let grace = if self.leaving() { LEAVE_GRACE_MS } else { 0 };
        let leave = self.leave.map(|at| at + Duration::from_millis(grace));
        [Some(self.heard + self.silence), leave, self.delivered_at].into_iter().flatten().min()
    }

    /// The moment has come: nothing new is begun.
    pub fn leaving(&self) -> bool {
        self.leave.is_some_and(|at| at <= Instant::now())
    }
}

impl Engine {
    pub(super) fn received(&mut self, frame: ServerFrame) {
        self.deps.sink.frame(&frame);
        let Phase::Live(live) = &mut self.phase else { return };
        live.heard = Instant::now();
        live.asked = false;
        let ServerFrame { id, frame } = frame;
        // Of a later version of the protocol.
        let Some(frame) = frame else { return };
        if id != 0 {
            // Without one: the answer to a question that was given up.
            if let Some((_, pending)) = self.pending.remove(&id) {
                self.answered(pending, frame);
            }
            return;
        }
        match frame {
            Frame::Error(error) => live.said = Some(Failure::from(&error)),
            frame => self.event(frame),
        }
    }

    fn event(&mut self, frame: Frame) {
        match frame {
            Frame::Entries(new) => {
                let client::Entries { conversation, entries } = new;
                let told = self.timelines.live(&conversation, entries);
                self.tell(told);
                if std::mem::take(&mut self.timelines.unknown) {
                    self.begin_sync();
                }
            }
            Frame::Marks(mut marks) => {
                self.marks.others(&marks.conversation, &mut marks.marks);
                for mark in &marks.marks {
                    self.outbox.marked(&marks.conversation, mark.delivered, mark.read);
                }
                self.events.push_back(Event::Marks(marks));
            }
            Frame::Typing(typing) => self.events.push_back(Event::Typing(typing)),
            Frame::Presence(presence) => self.events.push_back(Event::Presence(presence)),
            Frame::Registers(registers) => {
                let known = self.marks.own(registers);
                self.events.push_back(Event::Registers(Box::new(known)));
            }
            Frame::Ping(_) => self.say(Request::Pong(Pong {})),
            Frame::Resync(resync) => {
                for conversation in &resync.conversations {
                    self.timelines.doubt(conversation);
                }
                // Without names anything may be lost, presence too.
                if resync.conversations.is_empty() {
                    self.watch_again();
                }
                if resync.conversations.is_empty() || std::mem::take(&mut self.timelines.unknown) {
                    self.begin_sync();
                }
            }
            Frame::Reconnect(reconnect) => self.told_to_leave(reconnect),
            Frame::TokenExpiring(_) => self.fetch_token(),
            _ => {}
        }
    }

    /// Whoever watches nobody has nothing to ask.
    pub(super) fn watch_again(&mut self) {
        let any = !self.watched.is_empty();
        if let Phase::Live(live) = &mut self.phase {
            live.watch_again = any;
        }
    }

    /// Gives events to the application, and notes what was delivered by them.
    pub(super) fn tell(&mut self, events: Vec<Event>) {
        if self.config.auto_delivered
            && let Phase::Live(live) = &mut self.phase
        {
            for event in &events {
                if let Event::Entries { conversation, .. } = event {
                    live.delivered.insert(conversation.clone());
                    live.delivered_at.get_or_insert(Self::now_plus(DELIVERED_AFTER_MS));
                }
            }
        }
        self.events.extend(events);
    }

    fn told_to_leave(&mut self, reconnect: Reconnect) {
        let Reconnect { delay_min_ms, delay_max_ms, resume_token, .. } = reconnect;
        let window = delay_max_ms.saturating_sub(delay_min_ms);
        let delay = delay_min_ms + self.deps.clock.below(window + 1);
        if !resume_token.is_empty() {
            self.resume_token = resume_token;
        }
        if let Phase::Live(live) = &mut self.phase {
            live.leave.get_or_insert(Self::now_plus(delay));
        }
    }

    fn fetch_token(&mut self) {
        let tokens = Arc::clone(&self.deps.tokens);
        if let Phase::Live(live) = &mut self.phase
            && live.token.is_none()
        {
            live.token = Some(Box::pin(ask_token(tokens, TokenReason::Expiring)));
        }
    }

    pub(super) fn refresh_with(&mut self, token: Result<String, TokenError>) {
        if let Phase::Live(live) = &mut self.phase {
            live.token = None;
        }
        match token {
            Ok(token) => {
                self.token = Some((token.clone(), 0));
                self.request(Request::Refresh(Refresh { token }), Pending::Quiet);
            }
            // The connection lives as long as its token; then the question comes again.
            Err(error) => tracing::warn!(%error, "no new token"),
        }
    }

    /// What the clock asks for.
    pub(super) fn timers(&mut self) {
        let now = Instant::now();
        match &mut self.phase {
            Phase::Waiting(at) if *at <= now => self.dial(),
            Phase::Live(live) => {
                let sending = self.pending.values().any(|(_, pending)| matches!(pending, Pending::Send(_)));
                let grace = Duration::from_millis(if sending { LEAVE_GRACE_MS } else { 0 });
                if live.leave.is_some_and(|at| at + grace <= now) {
                    return self.leave();
                }
                let silent = now.duration_since(live.heard);
                if silent >= live.silence && live.asked {
                    return self.lost(Ended::Network("the server fell silent".into()));
                }
                if silent >= live.silence {
                    live.asked = true;
                    live.heard = now;
                    self.request(Request::Ping(Ping {}), Pending::Quiet);
                }
                self.mark_delivered(now);
                self.overdue(now);
            }
            _ => {}
        }
    }

    fn leave(&mut self) {
        // At once: the delay was the window.
        self.come_back(Reason::Network("the server asked to reconnect".into()), 0);
        self.attempt = 0;
        self.phase = Phase::Waiting(Instant::now());
    }

    fn mark_delivered(&mut self, now: Instant) {
        let Phase::Live(live) = &mut self.phase else { return };
        if live.delivered_at.is_none_or(|at| at > now) {
            return;
        }
        live.delivered_at = None;
        for conversation in std::mem::take(&mut live.delivered) {
            let delivered = self.timelines.seen(&conversation);
            let mark = Mark { conversation: conversation.to_string(), delivered, read: 0 };
            self.request(Request::Mark(mark), Pending::Quiet);
        }
    }

    /// A frame without an answer.
    fn say(&mut self, request: Request) {
        let frame = ClientFrame { id: 0, traceparent: String::new(), request: Some(request) };
        self.write(&frame);
    }

    pub(super) fn write(&mut self, frame: &ClientFrame) -> bool {
        let Phase::Live(live) = &mut self.phase else { return false };
        match live.socket.send(frame) {
            Ok(()) => true,
            // The close frame may already be here, and says more than the failed write.
            Err(ended) => {
                let unread = std::iter::from_fn(|| live.socket.receive_now()).take(super::FRAMES_A_TURN);
                let closed = unread.filter_map(Result::err).find(|e| matches!(e, Ended::Closed(_)));
                self.lost(closed.unwrap_or(ended));
                false
            }
        }
    }
}
