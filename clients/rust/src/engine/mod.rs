//! The client's task: one loop over its connection, its commands and its timers.

mod dial;
mod live;
mod requests;

use std::{
    collections::{HashMap, VecDeque},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use posthorn_clock::{Instant, sleep_until};
use posthorn_core::backoff::Backoff;
use posthorn_errors::{Code, Failure};
use posthorn_proto::client::{ServerFrame, client_frame::Request};
use tokio::{
    sync::{mpsc, oneshot},
    time::Sleep,
};

use self::{
    dial::{DialError, Dialed, Dialing},
    live::Live,
    requests::Pending,
};
use crate::{
    ClientConfig, ClientDeps, ClientError, ConnectionState, Event, Outgoing, Reason, Saved, Sending, TokenError,
    TokenReason,
    client::{CallAnswer, Shared},
    marks::Marks,
    outbox::Outbox,
    socket::Ended,
    timeline::Timelines,
};

/// Frames handled before anything else gets its turn.
const FRAMES_A_TURN: usize = 32;

pub(crate) enum Command {
    Send { outgoing: Outgoing, answer: oneshot::Sender<Result<Sending, ClientError>> },
    Call { request: Request, answer: CallAnswer },
    Cut,
    Save(oneshot::Sender<Saved>),
    Close(oneshot::Sender<()>),
}

enum Phase {
    /// Before the next attempt.
    Waiting(Instant),
    Dialing(Dialing),
    Live(Box<Live>),
}

#[allow(clippy::large_enum_variant, reason = "one at a time, on the stack of the task's turn")]
enum Step {
    Command(Option<Box<Command>>),
    Room,
    Dialed(Result<Dialed, (Option<String>, DialError)>),
    Received(Result<ServerFrame, Ended>),
    Token(Result<String, TokenError>),
    Due,
}

pub(crate) struct Engine {
    config: ClientConfig,
    deps: ClientDeps,
    shared: Arc<Shared>,
    commands: mpsc::Receiver<Box<Command>>,
    phase: Phase,
    timer: Pin<Box<Sleep>>,
    attempt: u32,
    reconnects: Backoff,
    outbox: Outbox,
    timelines: Timelines,
    marks: Marks,
    /// Requests without an answer, by their id on this connection.
    pending: HashMap<u64, (Instant, Pending)>,
    /// The application's requests that wait for a connection or a place.
    waiting: VecDeque<(Request, CallAnswer)>,
    /// For the application, in order. While there are any, nothing is read.
    events: VecDeque<Event>,
    /// With the time at which it ends, ms since 1970 (0: not known).
    token: Option<(String, u64)>,
    token_reason: TokenReason,
    refused_tokens: u32,
    resume_token: String,
    cursor: String,
    /// Of a sync that is complete but for holes that are still being read.
    next_cursor: Option<String>,
    generation: u64,
    /// At least one sync was completed, now or by an earlier process.
    synced: bool,
    /// Whose presence the server was last asked for and said that it tells.
    watched: Vec<String>,
    /// Own reads (syncs, holes) wait until then.
    read_after: Option<Instant>,
    ended: bool,
}

impl Engine {
    pub fn new(
        config: ClientConfig,
        deps: ClientDeps,
        commands: mpsc::Receiver<Box<Command>>,
        shared: Arc<Shared>,
    ) -> Self {
        let saved = config.saved.clone().unwrap_or_default();
        let now = Instant::now();
        let reconnects = Backoff::new(config.backoff_base_ms, config.backoff_cap_ms);
        Self {
            outbox: Outbox::new(&config),
            marks: Marks::default(),
            timelines: Timelines::new(config.max_held_entries, config.max_fill_entries, saved.seen.into_iter()),
            synced: !saved.cursor.is_empty() || !config.sync,
            config,
            deps,
            shared,
            commands,
            phase: Phase::Waiting(now),
            timer: Box::pin(sleep_until(now)),
            attempt: 0,
            reconnects,
            pending: HashMap::new(),
            waiting: VecDeque::new(),
            events: VecDeque::new(),
            token: None,
            token_reason: TokenReason::First,
            refused_tokens: 0,
            resume_token: saved.resume_token,
            cursor: saved.cursor,
            next_cursor: None,
            generation: saved.generation,
            watched: Vec::new(),
            read_after: None,
            ended: false,
        }
    }

    pub async fn run(mut self: Box<Self>) {
        let stopping = self.deps.tasks.stopping();
        while !self.ended {
            let step = tokio::select! {
                biased;
                () = stopping.cancelled() => Step::Command(None),
                step = self.step() => step,
            };
            self.turn(step).await;
        }
        while let Some(event) = self.events.pop_front() {
            // The application may be slow, or gone: what does not fit is lost with the client.
            if self.deps.sink.offer(event).is_err() {
                break;
            }
        }
    }

    async fn step(&mut self) -> Step {
        let next = self.next_due();
        let Self { phase, commands, timer, events, deps, .. } = self;
        if timer.deadline() != next {
            timer.as_mut().reset(next);
        }
        let blocked = !events.is_empty();
        let connection = async {
            match phase {
                Phase::Waiting(_) => std::future::pending().await,
                Phase::Dialing(dialing) => Step::Dialed(dialing.as_mut().await),
                Phase::Live(live) => live.next(!blocked).await,
            }
        };
        // In order, so that a simulation repeats itself.
        tokio::select! {
            biased;
            command = commands.recv() => Step::Command(command),
            () = deps.sink.room(), if blocked => Step::Room,
            step = connection => step,
            () = timer => Step::Due,
        }
    }

    async fn turn(&mut self, step: Step) {
        match step {
            Step::Command(command) => self.command(command).await,
            Step::Room | Step::Due => {}
            Step::Dialed(Ok(dialed)) => self.dialed(dialed),
            Step::Dialed(Err((token, error))) => self.not_dialed(token, error),
            Step::Received(received) => self.received_all(received),
            Step::Token(token) => self.refresh_with(token),
        }
        if self.ended {
            return;
        }
        self.timers();
        self.pump();
        self.flush_events();
    }

    fn received_all(&mut self, first: Result<ServerFrame, Ended>) {
        let mut received = Some(first);
        for _ in 0..FRAMES_A_TURN {
            match received {
                Some(Ok(frame)) => self.received(frame),
                Some(Err(ended)) => return self.lost(ended),
                None => return,
            }
            self.flush_events();
            received = match &mut self.phase {
                Phase::Live(live) if self.events.is_empty() && !self.ended => live.socket.receive_now(),
                _ => return,
            };
        }
        match received {
            Some(Ok(frame)) => self.received(frame),
            Some(Err(ended)) => self.lost(ended),
            None => {}
        }
    }

    fn flush_events(&mut self) {
        while let Some(event) = self.events.pop_front() {
            if let Err(event) = self.deps.sink.offer(event) {
                self.events.push_front(event);
                return;
            }
        }
    }

    async fn command(&mut self, command: Option<Box<Command>>) {
        match command.map(|command| *command) {
            Some(Command::Send { outgoing, answer }) => self.queue_send(outgoing, answer),
            Some(Command::Call { request, answer }) => {
                if self.waiting.len() >= self.config.max_waiting_calls {
                    let _ = answer.send(Err(ClientError::Full("max_waiting_calls")));
                } else {
                    self.waiting.push_back((request, answer));
                }
            }
            Some(Command::Cut) => {
                if matches!(self.phase, Phase::Live(_)) {
                    self.lost(Ended::Network("cut by the application".into()));
                }
            }
            Some(Command::Save(answer)) => {
                self.save();
                let _ = answer.send(self.shared.saved.lock().clone());
            }
            Some(Command::Close(answer)) => {
                self.goodbye().await;
                let _ = answer.send(());
            }
            None => self.goodbye().await,
        }
    }

    async fn goodbye(&mut self) {
        let phase = std::mem::replace(&mut self.phase, Phase::Waiting(Instant::now()));
        if let Phase::Live(live) = phase {
            let limit = Duration::from_millis(500);
            let _ = posthorn_clock::timeout(limit, live.socket.close()).await;
        }
        self.end(Reason::Application);
    }

    /// For good.
    fn end(&mut self, reason: Reason) {
        let failure = match &reason {
            Reason::Server(failure) => failure.clone(),
            _ => Failure::new(Code::Unavailable, "the client ended"),
        };
        self.forget_pending();
        self.outbox.end(&failure);
        for (_, answer) in self.waiting.drain(..) {
            let _ = answer.send(Err(ClientError::Ended));
        }
        self.ended = true;
        self.save();
        self.state(ConnectionState::Disconnected { reason });
    }

    fn state(&mut self, state: ConnectionState) {
        self.shared.state.send_replace(state.clone());
        self.events.push_back(Event::State(state));
    }

    /// The connection is gone; comes back after a random delay, `asked_ms` at least.
    fn come_back(&mut self, reason: Reason, asked_ms: u64) {
        let stable = Duration::from_millis(self.config.stable_ms);
        self.attempt = match &self.phase {
            Phase::Live(live) if live.since.elapsed() >= stable => {
                self.reconnects.reset();
                0
            }
            _ => self.attempt + 1,
        };
        self.forget_pending();
        let delay_ms = self.reconnects.next_after_ms(asked_ms, self.deps.clock.random());
        self.phase = Phase::Waiting(Self::now_plus(delay_ms));
        self.state(ConnectionState::Connecting { attempt: self.attempt, reason: Some(reason) });
    }

    fn forget_pending(&mut self) {
        self.outbox.disconnected();
        // In order of their ids: a simulation must repeat itself.
        let mut pending: Vec<_> = self.pending.drain().collect();
        pending.sort_by_key(|(id, _)| *id);
        for (_, (_, pending)) in pending {
            match pending {
                Pending::Call(answer) | Pending::Watch { answer: Some(answer), .. } => {
                    drop(answer.send(Err(ClientError::NoAnswer)));
                }
                Pending::Fill(conversation) => self.timelines.reopen(&conversation),
                Pending::Send(_) | Pending::Sync(_) | Pending::Watch { .. } | Pending::Quiet => {}
            }
        }
    }

    /// What is written down for the application to keep.
    fn save(&self) {
        let mut saved = self.shared.saved.lock();
        saved.cursor.clone_from(&self.cursor);
        saved.generation = self.generation;
        saved.resume_token.clone_from(&self.resume_token);
        saved.seen = self.timelines.all_seen();
    }

    fn next_due(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(3_600);
        match &self.phase {
            Phase::Waiting(at) => *at,
            Phase::Dialing(_) => far,
            Phase::Live(live) => {
                // What is past waits for an answer, not for the clock.
                let now = Instant::now();
                let waiting = [self.outbox.due(), self.read_after].map(|at| at.filter(|at| *at > now));
                let [outbox, reads] = waiting;
                let own = [live.due(), outbox, self.answer_due(), reads];
                own.into_iter().flatten().min().unwrap_or(far).max(now)
            }
        }
    }
}

/// In case of a token that the server refuses again and again.
const MAX_REFUSED_TOKENS: u32 = 2;
