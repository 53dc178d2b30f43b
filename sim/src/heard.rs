//! What a person is told, as the history has it. Marks that come once all is at rest may have been under way
//! before: they say nothing of the end, and are left out.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use posthorn_client::{
    ConnectionState, Event, Observer,
    proto::{
        Entry, Kind as EntryKind, Marks, MemberMarks, PresenceNow, Registers, ServerFrame, Status, server_frame::Frame,
    },
};
use posthorn_history::{Item, Kind, Op, body_digest, user_of};
use tokio::sync::mpsc;

use crate::{crowd::Crowd, guests::Seat, history::History};

/// Frames go to the history, as they came over the connection, events on to whoever listens.
pub struct Ear {
    name: String,
    history: History,
    events: mpsc::UnboundedSender<Event>,
    /// The number of the connection.
    connection: AtomicU64,
}

impl Ear {
    pub fn new(name: &str, history: &History) -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (events, rest) = mpsc::unbounded_channel();
        let ear = Self { name: name.to_owned(), history: history.clone(), events, connection: AtomicU64::new(0) };
        (ear, rest)
    }
}

impl Observer for Ear {
    fn frame(&self, frame: &ServerFrame) {
        let connection = self.connection.load(Relaxed);
        match &frame.frame {
            Some(Frame::Connected(_)) => self.connection.store(connection + 1, Relaxed),
            Some(Frame::Entries(new)) => {
                let (conversation, entries) = (new.conversation.clone(), new.entries.iter().map(item_of).collect());
                self.history.add(&self.name, Kind::Ok, Op::Receive { conversation, connection, entries });
            }
            // What came before is read from the log.
            Some(Frame::Sync(page)) => {
                for listed in &page.conversations {
                    let (conversation, after) = (listed.conversation.clone(), listed.end_seq);
                    self.history.add(&self.name, Kind::Ok, Op::Follow { conversation, connection, after });
                }
            }
            Some(Frame::Resync(resync)) => {
                let conversations = resync.conversations.clone();
                self.history.add(&self.name, Kind::Info, Op::Reset { connection, conversations });
            }
            _ => {}
        }
    }

    fn event(&self, event: Event) {
        // Nobody listens once the person is gone.
        let _ = self.events.send(event);
    }
}

/// What a person calls an entry: the text, which is unique; nothing where the server made it.
pub fn item_of(entry: &Entry) -> Item {
    match &entry.body {
        Some(body) if entry.kind() == EntryKind::Message => {
            Item::new(entry.seq, body.text.as_str(), body_digest(body.text.as_bytes()))
        }
        _ => Item::new(entry.seq, "", 0),
    }
}

pub fn seated(history: &History, by: &str, conversation: &str, guest: &str, seats: &[Seat]) {
    let names = || (conversation.to_owned(), guest.to_owned());
    for seat in seats {
        let (conversation, user) = names();
        history.add(by, Kind::Ok, Op::Join { conversation, user, seq: seat.from });
        if let Some(seq) = seat.to {
            let (conversation, user) = names();
            history.add(by, Kind::Ok, Op::Leave { conversation, user, seq });
        }
    }
}

pub fn present(watcher: &str, history: &History, crowd: &Crowd, now: &PresenceNow) {
    let online = match now.status() {
        Status::Online => Some(true),
        Status::Offline => Some(false),
        Status::Unknown | Status::Unspecified => None,
    };
    history.add(watcher, Kind::Ok, Op::Presence { user: now.user.clone(), online });
    crowd.seems(&now.user, online);
}

pub fn hear(name: &str, conversations: &[String], history: &History, crowd: &Crowd, event: Event) {
    match event {
        Event::Entries { conversation, entries } => {
            let conversation = conversation.to_string();
            if let Some(last) = entries.last() {
                crowd.receives(name, &conversation, last.seq);
            }
            let entries = entries.iter().map(item_of).collect();
            history.add(name, Kind::Ok, Op::Receive { conversation, connection: 0, entries });
        }
        Event::Conversation(listed) => {
            if !crowd.has_settled() {
                told(name, history, &listed.conversation, &listed.marks);
                if let Some(own) = &listed.registers {
                    registers(name, history, own);
                }
            }
            if crowd.follows(name, &listed.conversation, listed.end_seq) {
                let (conversation, after) = (listed.conversation, listed.end_seq);
                history.add(name, Kind::Ok, Op::Follow { conversation, connection: 0, after });
            }
        }
        Event::Marks(Marks { conversation, marks }) if !crowd.has_settled() => {
            told(name, history, &conversation, &marks);
        }
        Event::Registers(own) if !crowd.has_settled() => registers(name, history, &own),
        Event::Presence(now) => present(name, history, crowd, &now),
        Event::Synced { .. } => {
            for conversation in crowd.synced(name, conversations) {
                history.add(name, Kind::Ok, Op::Follow { conversation, connection: 0, after: 0 });
            }
        }
        Event::State(ConnectionState::Connected { resumed, .. }) => {
            history.add(name, Kind::Ok, Op::Connect { resumed });
        }
        Event::State(ConnectionState::Connecting { reason: Some(_), .. }) => {
            history.add(name, Kind::Info, Op::Disconnect);
        }
        _ => {}
    }
}

fn told(name: &str, history: &History, conversation: &str, marks: &[MemberMarks]) {
    for mark in marks {
        marked(name, history, conversation, &mark.user, (mark.delivered, mark.read));
    }
}

fn registers(name: &str, history: &History, own: &Registers) {
    marked(name, history, &own.conversation, user_of(name), (own.delivered, own.read));
    let unread = Op::Unread { conversation: own.conversation.clone(), read: own.read, unread: own.unread };
    history.add(name, Kind::Ok, unread);
}

fn marked(name: &str, history: &History, conversation: &str, user: &str, (delivered, read): (u64, u64)) {
    if delivered.max(read) > 0 {
        let (conversation, user) = (conversation.to_owned(), user.to_owned());
        history.add(name, Kind::Ok, Op::Mark { conversation, user, delivered, read });
    }
}
