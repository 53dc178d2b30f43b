//! `--history`: what the people of a run did and saw, in the form of `posthorn_history`. Without the option
//! nothing is made and nobody listens.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use anyhow::{Context, Result};
use parking_lot::Mutex;
use posthorn_client::{
    ConnectionState, Event, Gap, Observer, Reason,
    backend::LogEntry,
    proto::{Entry, Kind as EntryKind, PresenceNow, ServerFrame, Status, Style, server_frame::Frame},
};
use posthorn_clock::Instant;
use posthorn_history::{Item, Kind, Op, Recorder, Report, Scope, Sight, body_digest, check_file};

use super::ledger::Watcher;

/// The process of what the application does; no user can be called so.
pub const BACKEND: &str = "(backend)";
/// Author of what the application says.
pub const SYSTEM: &str = "system";
/// What every run shows.
const EXPECT: &[Sight] = &[Sight::Settled, Sight::WholeRead];

/// Cheap to clone.
#[derive(Clone)]
pub struct Tape {
    recorder: Recorder,
    started: Instant,
    settled: Arc<AtomicBool>,
    /// Whom the one who watches sees, and whether they are there.
    seen: Arc<Mutex<BTreeMap<String, Option<bool>>>>,
}

/// A message, as every event about it names it.
pub struct Said {
    pub process: String,
    pub author: String,
    pub conversation: String,
    pub message_id: String,
    pub body: u64,
}

impl Tape {
    /// To this file, or to nowhere.
    pub fn to(path: Option<&Path>) -> Result<Self> {
        let file = |path: &Path| Recorder::file(path).with_context(|| format!("cannot write {}", path.display()));
        let recorder = path.map_or_else(|| Ok(Recorder::off()), file)?;
        Ok(Self { recorder, started: Instant::now(), settled: Arc::default(), seen: Arc::default() })
    }

    pub const fn on(&self) -> bool {
        self.recorder.on()
    }

    pub fn add(&self, process: &str, kind: Kind, op: Op) {
        let at_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.recorder.add(at_ms, process, kind, op);
    }

    pub fn send(&self, said: &Said, kind: Kind, seq: u64, again: bool) {
        let op = Op::Send {
            conversation: said.conversation.clone(),
            id: said.message_id.clone(),
            author: said.author.clone(),
            body: said.body,
            seq,
            again,
        };
        self.add(&said.process, kind, op);
    }

    pub fn joined(&self, conversation: &str, user: &str, seq: u64) {
        let (conversation, user) = (conversation.to_owned(), user.to_owned());
        self.add(BACKEND, Kind::Ok, Op::Join { conversation, user, seq });
    }

    pub fn left(&self, conversation: &str, user: &str, seq: u64) {
        let (conversation, user) = (conversation.to_owned(), user.to_owned());
        self.add(BACKEND, Kind::Ok, Op::Leave { conversation, user, seq });
    }

    /// Everything has come to rest.
    pub fn settled(&self) {
        self.settled.store(true, Relaxed);
        self.add(BACKEND, Kind::Ok, Op::Settled);
    }

    /// As somebody was told.
    pub fn mark(&self, process: &str, kind: Kind, conversation: &str, user: &str, (delivered, read): (u64, u64)) {
        let (conversation, user) = (conversation.to_owned(), user.to_owned());
        self.add(process, kind, Op::Mark { conversation, user, delivered, read });
    }

    pub fn present(&self, watcher: &str, now: &PresenceNow) {
        let online = match now.status() {
            Status::Online => Some(true),
            Status::Offline => Some(false),
            Status::Unknown | Status::Unspecified => None,
        };
        self.seen.lock().insert(now.user.clone(), online);
        self.add(watcher, Kind::Ok, Op::Presence { user: now.user.clone(), online });
    }

    pub fn watches(&self) -> bool {
        !self.seen.lock().is_empty()
    }

    pub fn seems_online(&self, user: &str) -> bool {
        self.seen.lock().get(user) == Some(&Some(true))
    }

    /// A read of the whole begins: what it brings is gathered, and given to [`Self::read`] at its end.
    pub fn reading(&self, process: &str, conversation: &str, scope: Scope) -> Option<Vec<Item>> {
        self.on().then(|| {
            let op = Op::Read { conversation: conversation.to_owned(), scope, entries: Vec::new() };
            self.add(process, Kind::Invoke, op);
            Vec::new()
        })
    }

    pub fn read(&self, process: &str, conversation: &str, scope: Scope, entries: Option<Vec<Item>>) {
        if let Some(entries) = entries {
            self.add(process, Kind::Ok, Op::Read { conversation: conversation.to_owned(), scope, entries });
        }
    }

    /// What the checker finds in the file.
    pub fn judge(&self, path: &Path) -> Result<Report> {
        self.flush(path)?;
        check_file(path, EXPECT).with_context(|| format!("the history in {}", path.display()))
    }

    pub fn flush(&self, path: &Path) -> Result<()> {
        self.recorder.flush().with_context(|| format!("cannot write {}", path.display()))
    }
}

pub fn digest(action: bool, text: &str) -> u64 {
    body_digest([if action { "*" } else { "" }, text].concat().as_bytes())
}

fn item(seq: u64, kind: EntryKind, message_id: &str, (action, text): (bool, &str), about: &str) -> Item {
    match kind {
        EntryKind::Message => Item::new(seq, message_id, digest(action, text)),
        EntryKind::System => Item::new(seq, message_id, digest(false, text)),
        // How one ceased to be a member is told by two words.
        EntryKind::Removed | EntryKind::Left => Item::new(seq, "", digest(true, &format!("removed {about}"))),
        EntryKind::Joined => Item::new(seq, "", digest(true, &format!("joined {about}"))),
        _ => Item::new(seq, "", 0),
    }
}

pub fn item_of_entry(entry: &Entry) -> Item {
    let body = entry.body.as_ref();
    let about = body.and_then(|b| b.member.as_ref()).map_or("", |member| member.user.as_str());
    let text = body.map_or("", |b| b.text.as_str());
    let action = body.is_some_and(|b| b.style() == Style::Action);
    item(entry.seq, entry.kind(), &entry.message_id, (action, text), about)
}

pub fn item_of_log(entry: &LogEntry) -> Item {
    let about = entry.member.as_ref().map_or("", |member| member.user.as_str());
    let (text, action) = (entry.text.as_deref().unwrap_or(""), entry.style.as_deref() == Some("action"));
    let kind = match entry.kind.as_str() {
        "message" => EntryKind::Message,
        "system" => EntryKind::System,
        "joined" => EntryKind::Joined,
        "removed" | "left" => EntryKind::Removed,
        _ => EntryKind::Unspecified,
    };
    item(entry.seq, kind, &entry.message_id, (action, text), about)
}

/// One user's client on the tape, and then on to who counts.
pub struct Taped {
    pub tape: Tape,
    pub user: String,
    pub watcher: Arc<Watcher>,
    /// Number of the present connection.
    connection: AtomicU64,
}

impl Taped {
    pub fn new(tape: Tape, user: String, watcher: Arc<Watcher>) -> Self {
        Self { tape, user, watcher, connection: AtomicU64::new(0) }
    }

    fn received(&self, conversation: &str, connection: u64, entries: &[Entry]) {
        let (conversation, entries) = (conversation.to_owned(), entries.iter().map(item_of_entry).collect());
        self.tape.add(&self.user, Kind::Ok, Op::Receive { conversation, connection, entries });
    }

    fn reset(&self, connection: u64, conversations: Vec<String>) {
        self.tape.add(&self.user, Kind::Info, Op::Reset { connection, conversations });
    }
}

impl Observer for Taped {
    fn frame(&self, frame: &ServerFrame) {
        let connection = self.connection.load(Relaxed);
        match &frame.frame {
            Some(Frame::Entries(new)) => self.received(&new.conversation, connection, &new.entries),
            Some(Frame::Resync(resync)) => self.reset(connection, resync.conversations.clone()),
            Some(Frame::Connected(_)) => self.connection.store(connection + 1, Relaxed),
            // What came before is read from the log.
            Some(Frame::Sync(page)) => {
                for listed in &page.conversations {
                    let (conversation, after) = (listed.conversation.clone(), listed.end_seq);
                    self.tape.add(&self.user, Kind::Ok, Op::Follow { conversation, connection, after });
                }
            }
            _ => {}
        }
        self.watcher.frame(frame);
    }

    fn event(&self, event: Event) {
        match &event {
            Event::Entries { conversation, entries } => self.received(conversation, 0, entries),
            Event::Gap { conversation, gap: Gap::TooFar, .. } => self.reset(0, vec![conversation.to_string()]),
            Event::Reset { .. } => self.reset(0, Vec::new()),
            // What comes late says less than others know by then.
            Event::Marks(marks) if !self.tape.settled.load(Relaxed) => {
                for now in &marks.marks {
                    let to = (now.delivered, now.read);
                    self.tape.mark(&self.user, Kind::Ok, &marks.conversation, &now.user, to);
                }
            }
            Event::Presence(now) => self.tape.present(&self.user, now),
            Event::State(ConnectionState::Connected { resumed, .. }) => {
                self.tape.add(&self.user, Kind::Ok, Op::Connect { resumed: *resumed });
            }
            // Who is closed at the end has had what they were owed.
            Event::State(ConnectionState::Disconnected { reason: Reason::Application }) => {}
            Event::State(
                ConnectionState::Connecting { reason: Some(_), .. } | ConnectionState::Disconnected { .. },
            ) => self.tape.add(&self.user, Kind::Info, Op::Disconnect),
            _ => {}
        }
        self.watcher.event(event);
    }
}

#[cfg(test)]
mod tests {
    use posthorn_client::{
        backend::LogMember,
        proto::{Body, Membership},
    };

    use super::*;

    #[test]
    fn both_ways_to_read_the_log_give_the_same_item() {
        let body = Body { text: "waves".into(), style: Style::Action.into(), ..Body::default() };
        let kind = EntryKind::Message.into();
        let said = Entry { seq: 2, kind, message_id: "m".into(), body: Some(body), ..Entry::default() };
        let log = LogEntry {
            seq: 2,
            kind: "message".into(),
            message_id: "m".into(),
            text: Some("waves".into()),
            style: Some("action".into()),
            ..LogEntry::default()
        };
        assert_eq!(item_of_entry(&said), item_of_log(&log));
        assert_ne!(item_of_log(&log), item_of_log(&LogEntry { style: None, ..log.clone() }));
        let member = Some(Membership { user: "eve".into(), role: 1 });
        let body = Some(Body { member, ..Body::default() });
        let left = Entry { seq: 3, kind: EntryKind::Left.into(), body, ..Entry::default() };
        let member = Some(LogMember { user: "eve".into(), role: "member".into() });
        let removed = LogEntry { seq: 3, kind: "removed".into(), member, ..LogEntry::default() };
        assert_eq!(item_of_entry(&left), item_of_log(&removed));
        assert_eq!(item_of_log(&removed).id, "");
    }
}
