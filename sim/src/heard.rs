//! What a person is told, as the history has it. Marks that come once all is at rest may have been under way
//! before: they say nothing of the end, and are left out.

use posthorn_client::{
    ConnectionState, Event,
    proto::{Entry, Kind as EntryKind, Marks, MemberMarks, PresenceNow, Registers, Status},
};
use posthorn_history::{Item, Kind, Op, body_digest, user_of};

use crate::{crowd::Crowd, guests::Seat, history::History};

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
                history.add(name, Kind::Ok, Op::Follow { conversation: listed.conversation, after: listed.end_seq });
            }
        }
        Event::Marks(Marks { conversation, marks }) if !crowd.has_settled() => {
            told(name, history, &conversation, &marks);
        }
        Event::Registers(own) if !crowd.has_settled() => registers(name, history, &own),
        Event::Presence(now) => present(name, history, crowd, &now),
        Event::Synced { .. } => {
            for conversation in crowd.synced(name, conversations) {
                history.add(name, Kind::Ok, Op::Follow { conversation, after: 0 });
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
