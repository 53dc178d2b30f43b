//! Applies one history to the services and to the model, and compares after every step.

use std::collections::BTreeMap;

use posthorn_errors::Code;
use posthorn_node::NodeConfig;
use posthorn_proto::client;

use super::{
    model::{Conversation, Role, User, What},
    ops::{Op, USERS},
};
use crate::world::World;

const GROUP: &str = "group";

struct Message {
    author: User,
    id: String,
    seq: u64,
    after_seq: u64,
}

struct Run {
    world: World,
    model: Conversation,
    first: Vec<User>,
    messages: Vec<Message>,
    /// What each device holds: its cursor and its copy of the conversation.
    devices: BTreeMap<(User, usize), (String, Option<client::Conversation>)>,
    /// The owner has the whole log in memory.
    remembers: bool,
}

fn name(user: User) -> String {
    format!("user-{user}")
}

fn wire(role: Role) -> client::Role {
    match role {
        Role::Member => client::Role::Member,
        Role::Admin => client::Role::Admin,
        Role::Owner => client::Role::Owner,
    }
}

pub async fn run(config: NodeConfig, everything_visible: bool, ops: Vec<Op>) {
    let remembers = config.routing.recent_entries > ops.len();
    let world = World::start_with(config).await;
    let first = vec![0, 1];
    let visibility = if everything_visible { client::Visibility::All } else { client::Visibility::SinceJoin };
    let members = [(name(0), client::Role::Owner), (name(1), client::Role::Member)];
    world.create(GROUP, visibility, &members).await.expect("created");
    let mut model = Conversation { everything_visible, ..Conversation::default() };
    model.create(&[(0, Role::Owner), (1, Role::Member)]);
    let (messages, devices) = (Vec::new(), BTreeMap::new());
    let mut run = Run { world, model, first, messages, devices, remembers };
    for op in ops {
        run.step(op).await;
    }
    run.compare_everything().await;
    run.world.stop().await;
}

impl Run {
    async fn step(&mut self, op: Op) {
        match op {
            Op::Send { user } => self.send(user).await,
            Op::Retry { nth, other_body } => self.retry(nth, other_body).await,
            Op::Add { by, user, role } => self.add(by, user, role).await,
            Op::Remove { by, user } => self.remove(by, user).await,
            Op::Leave { user } => self.leave(user).await,
            Op::Mark { user, seq } => self.mark(user, seq).await,
            Op::Sync { user, device } => self.sync(user, device).await,
            Op::History { user, from, limit, backwards, messages } => {
                self.history(user, from, limit, backwards, messages).await;
            }
            Op::Restart => self.world.restart().await,
            Op::Forgotten => self.forgotten().await,
        }
    }

    async fn forgotten(&self) {
        // Where the conversation has something to settle, there is no room for another one yet.
        while let Err(failure) = self.world.view_of_nothing().await {
            assert_eq!(failure.code, Code::Overloaded);
        }
        assert!(self.world.sync("nobody", "").await.conversations.is_empty());
    }

    async fn send(&mut self, user: User) {
        let (id, after_seq) = (self.world.fresh_id(), self.model.end());
        let sent = self.world.send(&name(user), GROUP, &id, &id, after_seq, false).await;
        let member = self.model.roles.contains_key(&user);
        if !member {
            let code = if self.model.knows(user) { Code::Forbidden } else { Code::NotFound };
            assert_eq!(sent.map_err(|failure| failure.code), Err(code));
            return;
        }
        let sent = sent.expect("a member may send");
        let seq = self.model.append(Some(user), What::Message, self.messages.len());
        assert_eq!((sent.seq, sent.duplicate), (seq, false));
        self.messages.push(Message { author: user, id, seq, after_seq });
    }

    async fn retry(&mut self, nth: usize, other_body: bool) {
        if self.messages.is_empty() {
            return;
        }
        let Message { author, id, seq, after_seq } = &self.messages[nth % self.messages.len()];
        let body = if other_body { "another body" } else { id.as_str() };
        let sent = self.world.send(&name(*author), GROUP, id, body, *after_seq, true).await;
        let answer = sent.map(|sent| (sent.seq, sent.duplicate)).map_err(|failure| failure.code);
        let expected = if !self.model.roles.contains_key(author) {
            Err(Code::Forbidden)
        } else if other_body {
            Err(Code::MessageIdReused)
        } else {
            Ok((*seq, true))
        };
        assert_eq!(answer, expected);
    }

    async fn add(&mut self, by: Option<User>, user: User, role: Role) {
        let made = self.world.add(by.map(name).as_deref(), GROUP, &name(user), wire(role)).await;
        if let Some(code) = self.stranger(by) {
            assert_eq!(made.map_err(|failure| failure.code), Err(code));
        } else if !self.model.may_add(by, role) {
            assert_eq!(made.map_err(|failure| failure.code), Err(Code::Forbidden));
        } else if self.model.roles.contains_key(&user) {
            assert_eq!(made.expect("allowed"), 0);
        } else {
            self.model.join(by, user, role);
            assert_eq!(made.expect("allowed"), self.model.end());
        }
    }

    /// How somebody who is no member is answered.
    fn stranger(&self, by: Option<User>) -> Option<Code> {
        let by = by.filter(|by| !self.model.roles.contains_key(by))?;
        Some(if self.model.knows(by) { Code::Forbidden } else { Code::NotFound })
    }

    async fn remove(&mut self, by: Option<User>, user: User) {
        let made = self.world.remove(by.map(name).as_deref(), GROUP, &name(user)).await;
        let of = self.model.roles.get(&user).copied();
        if let Some(code) = self.stranger(by) {
            assert_eq!(made.map_err(|failure| failure.code), Err(code));
        } else if by == Some(user) && self.model.is_last_owner(user) {
            assert_eq!(made.map_err(|failure| failure.code), Err(Code::LastOwner));
        } else if let Some(of) = of {
            if self.model.may_remove(by, of) {
                self.model.leave(by, user);
                assert_eq!(made.expect("allowed"), self.model.end());
            } else {
                assert_eq!(made.map_err(|failure| failure.code), Err(Code::Forbidden));
            }
        } else if let Ok(seq) = made {
            assert_eq!(seq, 0, "nobody there to remove");
        }
    }

    async fn leave(&mut self, user: User) {
        let made = self.world.leave(&name(user), GROUP).await;
        let answer = made.map_err(|failure| failure.code);
        if let Some(code) = self.stranger(Some(user)) {
            assert_eq!(answer, Err(code));
        } else if self.model.is_last_owner(user) {
            assert_eq!(answer, Err(Code::LastOwner));
        } else {
            self.model.leave(Some(user), user);
            assert_eq!(answer, Ok(self.model.end()));
        }
    }

    async fn mark(&mut self, user: User, seq: u64) {
        let marked = self.world.mark(&name(user), GROUP, seq).await;
        if !self.model.knows(user) {
            assert_eq!(marked.map_err(|failure| failure.code), Err(Code::NotFound));
            return;
        }
        let last = self.model.visible(user, &self.first).last().copied().unwrap_or(0);
        let read = self.model.read.entry(user).or_insert(0);
        *read = (*read).max(seq.min(last));
        let marked = marked.expect("a member may mark");
        assert_eq!(marked.unread, self.model.unread(user, &self.first));
        assert!(marked.delivered >= marked.read);
        self.compare_mark(user, marked.read);
    }

    async fn sync(&mut self, user: User, device: usize) {
        let (cursor, copy) = self.devices.entry((user, device)).or_default();
        let page = self.world.sync(&name(user), cursor).await;
        assert!(!page.more && !page.reset);
        cursor.clone_from(&page.cursor);
        if let Some(conversation) = page.conversations.into_iter().next() {
            *copy = Some(conversation);
        }
        let copy = copy.clone();
        self.compare_copy(user, copy.as_ref());
    }

    fn compare_copy(&self, user: User, copy: Option<&client::Conversation>) {
        assert_eq!(copy.is_some(), self.model.knows(user), "listed for those who are or were members");
        let Some(copy) = copy else { return };
        let visible = self.model.visible(user, &self.first);
        let registers = copy.registers.clone().unwrap_or_default();
        let inside = |seq: &u64| copy.visible.iter().any(|r| r.from <= *seq && (r.to == 0 || *seq <= r.to));
        let seen: Vec<u64> = (1..=self.model.end()).filter(inside).collect();
        assert_eq!(seen, visible, "visible ranges of {user}");
        assert_eq!(copy.unread, self.model.unread(user, &self.first), "unread of {user}");
        assert_eq!(registers.removed, !self.model.roles.contains_key(&user));
        assert!(registers.delivered >= registers.read);
        self.compare_mark(user, registers.read);
        assert_eq!(copy.end_seq, visible.last().copied().unwrap_or(0));
    }

    /// As far as own sends moved it, where memory goes so far; unread is exact without it.
    fn compare_mark(&self, user: User, read: u64) {
        let (marked, most) = (self.model.read.get(&user).copied().unwrap_or(0), self.model.shown_mark(user));
        // Where nothing is forgotten an answer says as much as a sync.
        let least = if self.remembers { most } else { marked };
        assert!(least <= read && read <= most, "{least} to {most}, not {read}");
    }

    async fn history(&self, user: User, from: u64, limit: u64, backwards: bool, messages: bool) {
        let page = self.world.history(&name(user), GROUP, from, limit, backwards, messages).await;
        if !self.model.knows(user) {
            assert_eq!(page.map_err(|failure| failure.code).err(), Some(Code::NotFound));
            return;
        }
        let page = page.expect("a member may read");
        let mut expected: Vec<u64> = self.model.visible(user, &self.first);
        expected.retain(|seq| if backwards { *seq < from } else { *seq > from });
        if backwards {
            expected.reverse();
        }
        let counted = |seq: &u64| {
            let entry = &self.model.log[usize::try_from(*seq).expect("small") - 1];
            !messages || entry.what == What::Message
        };
        let mut left = usize::try_from(limit).expect("small");
        let taken: Vec<u64> = expected
            .iter()
            .copied()
            .take_while(|seq| {
                let take = left > 0;
                left -= usize::from(take && counted(seq));
                take
            })
            .collect();
        let mut got: Vec<u64> = page.entries.iter().map(|entry| entry.seq).collect();
        if backwards {
            got.reverse();
        }
        assert_eq!(got, taken, "page of {user} from {from}, limit {limit}, messages {messages}");
        assert_eq!(page.next != 0, taken.len() < expected.len(), "whether there is more");
    }

    /// At the end: every device catches up, every log is read whole, and every body is the one sent.
    async fn compare_everything(&mut self) {
        for user in 0..USERS {
            for device in 0..2 {
                self.sync(user, device).await;
            }
            if !self.model.knows(user) {
                continue;
            }
            let page = self.world.history(&name(user), GROUP, 0, 500, false, false).await.expect("readable");
            let got: Vec<u64> = page.entries.iter().map(|entry| entry.seq).collect();
            assert_eq!(got, self.model.visible(user, &self.first));
            for entry in page.entries.iter().filter(|entry| entry.kind() == client::Kind::Message) {
                let meant = &self.model.log[usize::try_from(entry.seq).expect("small") - 1];
                let message = &self.messages[meant.message];
                assert_eq!((entry.seq, entry.author.clone()), (message.seq, name(message.author)));
                assert_eq!(entry.body.as_ref().map(|body| body.text.as_str()), Some(message.id.as_str()));
            }
        }
    }
}
