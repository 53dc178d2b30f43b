//! A conversation as a person would define it: lists and loops, no counters kept anywhere. What the
//! services answer is compared with this.

use std::collections::BTreeMap;

pub type User = usize;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    Created,
    Message,
    Joined(User),
    Left(User),
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub author: Option<User>,
    pub what: What,
    /// Of a message: which.
    pub message: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    Member,
    Admin,
    Owner,
}

#[derive(Clone, Debug, Default)]
pub struct Conversation {
    pub log: Vec<Entry>,
    /// Present members.
    pub roles: BTreeMap<User, Role>,
    pub everything_visible: bool,
    /// Where each user's own `mark` requests and joins put their read mark.
    pub read: BTreeMap<User, u64>,
}

impl Conversation {
    pub fn end(&self) -> u64 {
        self.log.len() as u64
    }

    pub fn append(&mut self, author: Option<User>, what: What, message: usize) -> u64 {
        self.log.push(Entry { author, what, message });
        self.end()
    }

    pub fn create(&mut self, members: &[(User, Role)]) {
        let seq = self.append(None, What::Created, 0);
        for &(user, role) in members {
            self.roles.insert(user, role);
            self.read.insert(user, seq);
        }
    }

    pub fn join(&mut self, by: Option<User>, user: User, role: Role) {
        let seq = self.append(by, What::Joined(user), 0);
        self.roles.insert(user, role);
        self.read.insert(user, seq);
    }

    pub fn leave(&mut self, by: Option<User>, user: User) {
        self.append(by, What::Left(user), 0);
        self.roles.remove(&user);
    }

    /// Was `user` ever a member?
    pub fn knows(&self, user: User) -> bool {
        self.read.contains_key(&user)
    }

    /// By walking the log: a user sees from each join to the leave that ends it, both included.
    pub fn visible(&self, user: User, first: &[User]) -> Vec<u64> {
        let (mut inside, mut seen) = (false, Vec::new());
        for (seq, entry) in (1..).zip(&self.log) {
            let joins = match entry.what {
                What::Created => first.contains(&user),
                What::Joined(who) => who == user,
                _ => false,
            };
            if joins && self.everything_visible {
                seen = (1..seq).collect();
            }
            inside |= joins;
            if inside {
                seen.push(seq);
            }
            if entry.what == What::Left(user) {
                inside = false;
            }
        }
        seen
    }

    /// Others' messages after the mark that the user may see.
    pub fn unread(&self, user: User, first: &[User]) -> u64 {
        let mark = self.read.get(&user).copied().unwrap_or(0);
        let visible = self.visible(user, first);
        let counts = |seq: &&u64| {
            let entry = &self.log[usize::try_from(**seq).expect("small") - 1];
            **seq > mark && entry.what == What::Message && entry.author != Some(user)
        };
        visible.iter().filter(counts).count() as u64
    }

    /// The mark as shown: a send by someone who had read all before it moves it there.
    pub fn shown_mark(&self, user: User) -> u64 {
        let mut mark = self.read.get(&user).copied().unwrap_or(0);
        for (seq, entry) in (1..).zip(&self.log) {
            if seq <= mark || entry.what != What::Message {
                continue;
            }
            if entry.author != Some(user) {
                break;
            }
            mark = seq;
        }
        mark
    }

    pub fn may_add(&self, by: Option<User>, role: Role) -> bool {
        by.is_none_or(|by| self.roles.get(&by).is_some_and(|mine| *mine >= Role::Admin && role <= *mine))
    }

    pub fn may_remove(&self, by: Option<User>, of: Role) -> bool {
        by.is_none_or(|by| match self.roles.get(&by) {
            Some(Role::Owner) => true,
            Some(Role::Admin) => of == Role::Member,
            _ => false,
        })
    }

    pub fn is_last_owner(&self, user: User) -> bool {
        let owners = self.roles.iter().filter(|(other, role)| **other != user && **role == Role::Owner).count();
        self.roles.get(&user) == Some(&Role::Owner) && owners == 0 && self.roles.len() > 1
    }
}
