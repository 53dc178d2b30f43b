//! Requests and their answers.

use std::{sync::Arc, time::Duration};

use posthorn_clock::Instant;
use posthorn_core::backoff::Backoff;
use posthorn_errors::{Code, Failure};
use posthorn_proto::client::{
    ClientFrame, History, RegistersSet, Send, Sync, SyncPage, Unit, WatchPresence, client_frame::Request,
    server_frame::Frame,
};
use tokio::sync::{oneshot, watch};

use super::{Engine, Phase};
use crate::{ClientError, Event, Outgoing, SendState, Sending, client::CallAnswer, outbox::Queued, socket::Ended};

/// Holes that are read at the same time.
const MAX_FILLING: usize = 2;

pub(super) enum Pending {
    /// With its lane in the outbox.
    Send(String),
    /// Whether it is of the client's first sync.
    Sync(bool),
    Fill(Arc<str>),
    Call(CallAnswer),
    /// Whose presence is to be watched; without `answer` it is asked for again.
    Watch {
        users: Vec<String>,
        answer: Option<CallAnswer>,
    },
    /// Nobody waits for the answer.
    Quiet,
}

impl Engine {
    pub(super) fn queue_send(&mut self, outgoing: Outgoing, answer: oneshot::Sender<Result<Sending, ClientError>>) {
        let message_id = outgoing.message_id.unwrap_or_else(|| self.deps.clock.uuid_v7());
        let tried = outgoing.tried;
        let (generation, after_seq) = tried.unwrap_or_default();
        let send = Send {
            conversation: outgoing.conversation,
            to: outgoing.to,
            message_id: message_id.to_string(),
            after_seq,
            generation,
            retry: tried.is_some(),
            reply_to: outgoing.reply_to,
            thread: outgoing.thread,
            mentions: outgoing.mentions,
            body: Some(outgoing.body),
            precondition: outgoing.precondition,
        };
        let (state, follow) = watch::channel(SendState::Queued);
        let queued = self.outbox.push(Queued::new(send, state, tried.is_some()));
        let sending = Sending { message_id, state: follow };
        // Whoever does not wait for the handle still sends.
        let _ = answer.send(if queued { Ok(sending) } else { Err(ClientError::Full("max_queued_sends")) });
    }

    /// Sends a request; its answer is handled as `pending`.
    pub(super) fn request(&mut self, request: Request, pending: Pending) -> bool {
        let Phase::Live(live) = &mut self.phase else { return false };
        let id = live.next_id;
        live.next_id += 1;
        let deadline = Self::now_plus(self.config.request_timeout_ms);
        self.pending.insert(id, (deadline, pending));
        // A failed write has already taken the connection, and with it what is pending.
        self.write(&ClientFrame { id, traceparent: String::new(), request: Some(request) })
    }

    fn has_room(&self) -> bool {
        match &self.phase {
            Phase::Live(live) => !live.leaving() && self.pending.len() < live.max_pending,
            _ => false,
        }
    }

    /// Puts on the wire what waits, as far as the bounds allow.
    pub(super) fn pump(&mut self) {
        if self.read_after.is_some_and(|at| at <= Instant::now()) {
            self.read_after = None;
        }
        while self.has_room() {
            let may_read = self.read_after.is_none();
            let Phase::Live(live) = &mut self.phase else { return };
            if may_read && live.sync_again && !live.syncing {
                live.sync_again = false;
                self.begin_sync();
            } else if may_read
                && live.filling < MAX_FILLING
                && let Some((conversation, seen)) = self.timelines.take_hole()
            {
                live.filling += 1;
                let history = History {
                    conversation: conversation.to_string(),
                    after: Some(seen),
                    limit: self.config.page_entries,
                    unit: Unit::Entries.into(),
                    ..History::default()
                };
                self.request(Request::History(history), Pending::Fill(conversation));
            } else if may_read && live.watch_again {
                // Before what the application asks: a set of its own comes after, and replaces this one.
                live.watch_again = false;
                let users = self.watched.clone();
                let request = Request::WatchPresence(WatchPresence { users: users.clone() });
                self.request(request, Pending::Watch { users, answer: None });
            } else if let Some((request, answer)) = self.waiting.pop_front() {
                if answer.is_closed() {
                    continue;
                }
                let pending = match &request {
                    Request::WatchPresence(watch) => {
                        Pending::Watch { users: watch.users.clone(), answer: Some(answer) }
                    }
                    _ => Pending::Call(answer),
                };
                self.request(request, pending);
            } else if !self.pump_send() {
                return;
            }
        }
    }

    fn pump_send(&mut self) -> bool {
        let (generation, timelines) = (self.generation, &self.timelines);
        let next = self.outbox.next(Instant::now(), |send| {
            send.after_seq = timelines.seen(&send.conversation);
            send.generation = generation;
        });
        let Some((lane, send)) = next else { return false };
        self.request(Request::Send(send), Pending::Send(lane))
    }

    pub(super) fn begin_sync(&mut self) {
        let Phase::Live(live) = &mut self.phase else { return };
        if live.syncing {
            live.sync_again = true;
            return;
        }
        live.syncing = true;
        self.timelines.asked();
        self.next_cursor = None;
        self.sync_page(String::new());
    }

    fn sync_page(&mut self, page: String) {
        let sync = Sync { cursor: self.cursor.clone(), limit: self.config.sync_page, page };
        let first = !self.synced;
        self.marks.asked();
        self.request(Request::Sync(sync), Pending::Sync(first));
    }

    pub(super) fn answered(&mut self, pending: Pending, frame: Frame) {
        match (pending, frame) {
            (Pending::Send(lane), Frame::Sent(sent)) => self.outbox.stored(&lane, sent),
            (Pending::Send(lane), Frame::Error(error)) => self.send_refused(&lane, Failure::from(&error)),
            (Pending::Sync(first), Frame::Sync(page)) => self.synced_page(first, page),
            (Pending::Sync(_), Frame::Error(error)) => self.sync_refused(&Failure::from(&error)),
            (Pending::Fill(_), Frame::History(page)) => {
                self.filled();
                let told = self.timelines.page(page);
                self.tell(told);
                self.settle_cursor();
            }
            (Pending::Fill(conversation), Frame::Error(error)) => {
                self.filled();
                let failure = Failure::from(&error);
                // What may not be read any more is no hole.
                if failure.code.retryable() {
                    self.timelines.reopen(&conversation);
                    self.pause(&failure);
                } else {
                    tracing::debug!(%conversation, %failure, "a hole cannot be read");
                }
                self.settle_cursor();
            }
            (Pending::Watch { users, answer }, Frame::PresenceWatched(watched)) => {
                self.watched = users;
                match answer {
                    Some(answer) => drop(answer.send(Ok(Frame::PresenceWatched(watched)))),
                    None => self.events.extend(watched.now.into_iter().map(Event::Presence)),
                }
            }
            (Pending::Watch { answer: None, .. }, Frame::Error(error)) => self.watch_refused(&Failure::from(&error)),
            (Pending::Call(answer) | Pending::Watch { answer: Some(answer), .. }, Frame::Error(error)) => {
                let _ = answer.send(Err(ClientError::Refused(Failure::from(&error))));
            }
            (Pending::Call(answer), mut frame) => {
                self.answers_marks(&mut frame);
                let _ = answer.send(Ok(frame));
            }
            (Pending::Quiet, Frame::Refreshed(refreshed)) => {
                if let Some((_, until)) = &mut self.token {
                    *until = refreshed.token_expires_ms;
                }
            }
            (Pending::Quiet, mut frame) => self.answers_marks(&mut frame),
            (_, _) => self.lost(Ended::Network("an answer of another kind than its request".into())),
        }
    }

    /// With what is known; of an own mark nobody else tells the application.
    fn answers_marks(&mut self, answer: &mut Frame) {
        match answer {
            Frame::Marked(now) => {
                if let Some(known) = self.marks.answered(now) {
                    (now.delivered, now.read, now.unread) = (known.delivered, known.read, known.unread);
                    self.events.push_back(Event::Registers(Box::new(known)));
                }
            }
            Frame::RegistersSet(RegistersSet { registers: Some(now) }) => *now = self.marks.own(now.clone()),
            _ => {}
        }
    }

    fn filled(&mut self) {
        if let Phase::Live(live) = &mut self.phase {
            live.filling = live.filling.saturating_sub(1);
        }
    }

    fn send_refused(&mut self, lane: &str, failure: Failure) {
        self.outbox.refused(lane, failure, Instant::now(), self.deps.clock.random());
    }

    fn synced_page(&mut self, first: bool, page: SyncPage) {
        let reset = page.reset && !self.cursor.is_empty();
        self.generation_is(page.generation, reset);
        for mut conversation in page.conversations {
            self.marks.listed(&mut conversation);
            let told = self.timelines.listed(&conversation, first);
            self.events.push_back(Event::Conversation(Box::new(conversation)));
            self.tell(told);
        }
        if page.more {
            return self.sync_page(page.page);
        }
        if let Phase::Live(live) = &mut self.phase {
            live.syncing = false;
        }
        let told = self.timelines.all_listed();
        self.tell(told);
        self.synced = true;
        self.next_cursor = Some(page.cursor);
        self.events.push_back(Event::Synced { total_unread: page.total_unread });
        self.settle_cursor();
    }

    /// A cursor counts when what it covers was given to the application.
    fn settle_cursor(&mut self) {
        let filling = matches!(&self.phase, Phase::Live(live) if live.filling > 0);
        if !filling
            && !self.timelines.has_holes()
            && let Some(cursor) = self.next_cursor.take()
        {
            self.cursor = cursor;
        }
    }

    fn sync_refused(&mut self, failure: &Failure) {
        if let Phase::Live(live) = &mut self.phase {
            live.syncing = false;
        }
        if failure.code.retryable() {
            self.pause(failure);
            if let Phase::Live(live) = &mut self.phase {
                live.sync_again = true;
            }
        } else if failure.code == Code::InvalidArgument && !self.cursor.is_empty() {
            // A cursor of another server: begin from nothing.
            self.cursor.clear();
            self.begin_sync();
        } else {
            tracing::warn!(%failure, "sync was refused");
        }
    }

    fn watch_refused(&mut self, failure: &Failure) {
        if failure.code.retryable() {
            self.pause(failure);
            self.watch_again();
        } else {
            tracing::warn!(%failure, "presence is not told any more");
        }
    }

    /// The next read of our own waits as long as the server asks.
    fn pause(&mut self, failure: &Failure) {
        let mut first = Backoff::new(self.config.backoff_base_ms, self.config.backoff_cap_ms);
        let delay_ms = first.next_after_ms(failure.retry_after_ms, self.deps.clock.random());
        self.read_after = Some(Self::now_plus(delay_ms));
    }

    pub(super) fn answer_due(&self) -> Option<Instant> {
        self.pending.values().map(|(deadline, _)| *deadline).min()
    }

    /// No answer in time: calls fail, everything else is begun anew on another connection.
    pub(super) fn overdue(&mut self, now: Instant) {
        let mut late: Vec<u64> = self.pending.iter().filter(|(_, (at, _))| *at <= now).map(|(id, _)| *id).collect();
        late.sort_unstable();
        let mut anew = false;
        for id in late {
            match self.pending.remove(&id) {
                Some((_, Pending::Call(answer) | Pending::Watch { answer: Some(answer), .. })) => {
                    drop(answer.send(Err(ClientError::NoAnswer)));
                }
                Some((_, Pending::Quiet)) | None => {}
                Some((at, pending)) => {
                    self.pending.insert(id, (at + Duration::from_secs(1), pending));
                    anew = true;
                }
            }
        }
        if anew {
            self.lost(Ended::Network("no answer in time".into()));
        }
    }
}
