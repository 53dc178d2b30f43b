//! The large conversations that users of this gateway follow. Their entries come once for all of them, on a
//! subject of the conversation, and say nothing of who is to get them: this keeps who is a member, as the owner said
//! and as the entries since have changed it. So entries are taken strictly in the order of their seq; what is missing
//! is read from the log before anything behind it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use posthorn_core::{ConversationId, ConversationKey, TenantId, UserId, UserKey};
use posthorn_proto::{
    client::{Entry, Kind},
    convert::entry_of,
    internal::{Moved, Row},
};
use tokio::sync::Notify;

use super::moves::Moves;

#[cfg(test)]
mod tests;

/// One user in one conversation.
struct Share {
    /// What is beyond it is theirs.
    from: u64,
    /// What is up to it was given to others here before this user followed.
    began: u64,
}

struct Conversation {
    /// Everything up to it was given to those who followed.
    last: u64,
    /// It goes on up to here at least.
    end: u64,
    /// The last entry by which somebody left, as far as this knows: what was before it began may have been one.
    departed: u64,
    members: BTreeMap<UserId, Share>,
    /// Perhaps members: what the owner said of them is older than that entry.
    unsure: BTreeSet<UserId>,
    /// It may go on further: the owner is to be asked.
    doubted: bool,
    /// The bus brings what is published of it.
    heard: bool,
    /// It is not published on its subject any more.
    small: bool,
    /// There may be something to do.
    wake: Arc<Notify>,
}

/// What is to be done for a conversation, the most pressing first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Nothing,
    /// Nobody here follows it any more: it is forgotten. With the last entry that was given.
    Leave(u64),
    /// Ask whether this user is a member.
    Who(UserId),
    /// Ask where it ends.
    End,
    /// Read these from the log, both included.
    Read(u64, u64),
}

/// How a user stands who follows a conversation from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follows {
    /// Everything beyond what is known to them comes.
    All,
    /// Something beyond it was given to others before, and does not come again.
    Late,
    /// Nothing comes before the owner has said that they still are a member.
    Unsure,
}

/// `edge.max_followed` is reached.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Entries, and to whom they go.
#[derive(Debug, PartialEq)]
pub(crate) struct Given {
    pub users: Vec<UserId>,
    pub entries: Vec<Entry>,
}

/// Begins to be followed, and what wakes its follower.
pub(crate) type Begun = (ConversationKey, Arc<Notify>);

#[derive(Default)]
pub(crate) struct Followed {
    conversations: HashMap<ConversationKey, Conversation>,
    users: HashMap<UserKey, BTreeSet<ConversationKey>>,
    begun: Vec<Begun>,
    /// Users times conversations.
    shares: usize,
    max_shares: usize,
    /// Conversations of which the bus brings nothing.
    unheard: usize,
    pub moves: Moves,
}

impl Conversation {
    fn new(last: u64) -> Self {
        Self {
            last,
            end: last,
            departed: last,
            members: BTreeMap::new(),
            unsure: BTreeSet::new(),
            doubted: true,
            heard: false,
            small: false,
            wake: Arc::default(),
        }
    }

    fn goes_to(&mut self, seq: u64) {
        self.end = self.end.max(seq);
        if self.end > self.last {
            self.wake.notify_one();
        }
    }

    fn deserted(&self) -> bool {
        self.members.is_empty() && self.unsure.is_empty()
    }
}

impl Followed {
    pub fn new(max_shares: usize) -> Self {
        Self { max_shares, ..Self::default() }
    }

    pub fn contains(&self, key: &ConversationKey) -> bool {
        self.conversations.contains_key(key)
    }

    /// Whether the user follows it.
    pub fn follows(&self, key: &ConversationKey, user: &UserId) -> bool {
        self.conversations.get(key).is_some_and(|one| one.members.contains_key(user))
    }

    /// Those that began to be followed since the last call.
    pub fn begun(&mut self) -> Vec<Begun> {
        std::mem::take(&mut self.begun)
    }

    /// The owner said at `at` that the user is a member; the user knows, or is given, what is up to there.
    pub fn follow(&mut self, key: &ConversationKey, user: &UserId, at: u64) -> Result<Follows, Full> {
        self.follow_beyond(key, user, at, at)
    }

    /// As [`Followed::follow`], of a conversation that was told here up to `told` before anybody followed it.
    pub fn follow_beyond(&mut self, key: &ConversationKey, user: &UserId, at: u64, told: u64) -> Result<Follows, Full> {
        let room = self.shares < self.max_shares;
        if !room && !self.contains(key) {
            return Err(Full);
        }
        let begun = &mut self.begun;
        let unheard = &mut self.unheard;
        let conversation = self.conversations.entry(key.clone()).or_insert_with(|| {
            let conversation = Conversation::new(at.max(told));
            begun.push((key.clone(), Arc::clone(&conversation.wake)));
            *unheard += 1;
            conversation
        });
        if let Some(share) = conversation.members.get(user) {
            return Ok(if at < share.began { Follows::Late } else { Follows::All });
        }
        if !room {
            return Err(Full);
        }
        self.users.entry(user_key(key, user)).or_default().insert(key.clone());
        if at < conversation.departed {
            conversation.unsure.insert(user.clone());
            conversation.wake.notify_one();
            return Ok(Follows::Unsure);
        }
        conversation.unsure.remove(user);
        let share = Share { from: at, began: at.max(conversation.last) };
        conversation.members.insert(user.clone(), share);
        self.shares += 1;
        conversation.goes_to(at);
        Ok(if at < conversation.last { Follows::Late } else { Follows::All })
    }

    /// An owner published `seq` as of a large one, or one that is not. What is older than others says nothing of now.
    pub fn published_as(&mut self, key: &ConversationKey, large: bool, seq: u64) {
        if let Some(conversation) = self.conversations.get_mut(key).filter(|one| seq >= one.end) {
            conversation.small = !large;
            conversation.wake.notify_one();
        }
    }

    /// Entries, wherever they come from: what follows the last ones, and to whom it goes. `here` tells who
    /// is connected, of those who join.
    pub fn rows(&mut self, key: &ConversationKey, rows: &[Row], here: impl Fn(&UserId) -> bool) -> Vec<Given> {
        let Self { conversations, users, shares, max_shares, .. } = self;
        let mut given: Vec<Given> = Vec::new();
        let Some(conversation) = conversations.get_mut(key) else { return given };
        // They go to the same as the ones before.
        let mut same = false;
        for row in rows {
            if row.seq != conversation.last + 1 {
                conversation.goes_to(row.seq);
                continue;
            }
            conversation.last = row.seq;
            let Ok(entry) =
                entry_of(row).inspect_err(|error| tracing::error!(%error, "a published row does not decode"))
            else {
                continue;
            };
            let member = || UserId::new(&entry.body.as_ref()?.member.as_ref()?.user).ok();
            let (mut joined, mut left) = (None, None);
            match entry.kind() {
                Kind::Joined => joined = member(),
                Kind::Left | Kind::Removed => left = member(),
                _ => {}
            }
            if let Some(user) = joined.filter(|user| !conversation.members.contains_key(user))
                && *shares < *max_shares
                && here(&user)
            {
                users.entry(user_key(key, &user)).or_default().insert(key.clone());
                conversation.unsure.remove(&user);
                conversation.members.insert(user, Share { from: row.seq - 1, began: row.seq - 1 });
                *shares += 1;
                same = false;
            }
            let theirs = conversation.members.iter().filter(|(_, share)| share.from < row.seq);
            let whose: Vec<UserId> = if same { Vec::new() } else { theirs.map(|(user, _)| user.clone()).collect() };
            match given.last_mut().filter(|run| same || run.users == whose) {
                Some(run) => run.entries.push(entry),
                None => given.push(Given { users: whose, entries: vec![entry] }),
            }
            same = conversation.members.values().all(|share| share.from < row.seq);
            if let Some(user) = left {
                conversation.departed = row.seq;
                // Who is a member as of a later entry has come back since.
                if conversation.members.get(&user).is_some_and(|share| share.from < row.seq) {
                    conversation.members.remove(&user);
                    *shares -= 1;
                    forget(users, key, &user);
                    same = false;
                }
            }
        }
        conversation.end = conversation.end.max(conversation.last);
        if conversation.deserted() {
            conversation.wake.notify_one();
        }
        given.retain(|run| !run.users.is_empty());
        given
    }

    /// Who follows it.
    pub fn members(&self, key: &ConversationKey) -> Vec<UserId> {
        self.conversations.get(key).map(|one| one.members.keys().cloned().collect()).unwrap_or_default()
    }

    /// It goes on up to `seq`, as far as the one knows who says it.
    pub fn ends(&mut self, key: &ConversationKey, seq: u64) {
        if let Some(conversation) = self.conversations.get_mut(key) {
            conversation.goes_to(seq);
        }
    }

    /// As [`Followed::ends`], from its owner: it is in doubt no more.
    pub fn ends_for_sure(&mut self, key: &ConversationKey, seq: u64) {
        if let Some(conversation) = self.conversations.get_mut(key) {
            conversation.doubted = false;
            conversation.goes_to(seq);
        }
    }

    /// What its owner says of a user in doubt: as of which entry they are a member, if they are. True if they
    /// are, and may have missed something.
    pub fn who(&mut self, key: &ConversationKey, user: &UserId, member: Option<u64>) -> bool {
        let Some(conversation) = self.conversations.get_mut(key) else { return false };
        match member {
            // Gone meanwhile, or decided.
            _ if !conversation.unsure.contains(user) => false,
            Some(at) => match self.follow(key, user, at) {
                Ok(follows) => follows != Follows::Unsure,
                Err(Full) => {
                    self.refuse(key, user);
                    true
                }
            },
            None => {
                self.refuse(key, user);
                false
            }
        }
    }

    fn refuse(&mut self, key: &ConversationKey, user: &UserId) {
        if let Some(conversation) = self.conversations.get_mut(key) {
            conversation.unsure.remove(user);
        }
        forget(&mut self.users, key, user);
    }

    /// The last connection of the user has ended.
    pub fn gone(&mut self, user: &UserKey) {
        for key in self.users.remove(user).unwrap_or_default() {
            let Some(conversation) = self.conversations.get_mut(&key) else { continue };
            self.shares -= usize::from(conversation.members.remove(&user.user).is_some());
            conversation.unsure.remove(&user.user);
            if conversation.deserted() {
                conversation.wake.notify_one();
            }
        }
    }

    /// What is to be done; a conversation that is left is forgotten by this.
    pub fn work(&mut self, key: &ConversationKey) -> Work {
        let Some(conversation) = self.conversations.get(key) else { return Work::Leave(0) };
        let behind = conversation.end > conversation.last;
        if conversation.deserted() || conversation.small && !behind {
            let last = conversation.last;
            self.forget(key);
            return Work::Leave(last);
        }
        if let Some(user) = conversation.unsure.first() {
            return Work::Who(user.clone());
        }
        if conversation.doubted {
            return Work::End;
        }
        if behind { Work::Read(conversation.last + 1, conversation.end) } else { Work::Nothing }
    }

    fn forget(&mut self, key: &ConversationKey) {
        let Some(conversation) = self.conversations.remove(key) else { return };
        self.unheard -= usize::from(!conversation.heard);
        self.shares -= conversation.members.len();
        for user in conversation.members.keys().chain(&conversation.unsure) {
            forget(&mut self.users, key, user);
        }
    }

    /// The log does not give what is missing: who is a member is not known from here on.
    pub fn skip(&mut self, key: &ConversationKey) {
        let Some(conversation) = self.conversations.get_mut(key) else { return };
        (conversation.last, conversation.departed) = (conversation.end, conversation.end);
        self.shares -= conversation.members.len();
        conversation.unsure.extend(std::mem::take(&mut conversation.members).into_keys());
    }

    /// Whether the bus brings what is published of it from now on. What was published before is not known.
    pub fn heard(&mut self, key: &ConversationKey, heard: bool) {
        let Some(conversation) = self.conversations.get_mut(key) else { return };
        conversation.doubted = true;
        if std::mem::replace(&mut conversation.heard, heard) != heard {
            if heard { self.unheard -= 1 } else { self.unheard += 1 }
        }
    }

    /// An instance has ended that may have moved what the bus brings nothing of.
    pub fn doubt_unheard(&mut self) {
        for conversation in self.conversations.values_mut().filter(|one| !one.heard) {
            conversation.doubted = true;
            conversation.wake.notify_one();
        }
    }

    /// Something was lost, and nobody can say of which.
    pub fn doubt_all(&mut self) {
        for conversation in self.conversations.values_mut() {
            conversation.doubted = true;
            conversation.wake.notify_one();
        }
    }

    /// Whether instances are to be asked what moved.
    pub const fn asks(&self) -> bool {
        self.moves.are_wanted() || self.unheard > 0
    }

    /// An instance says what moved. True if it has more to say.
    pub fn moved(&mut self, publisher: &str, moved: Moved) -> bool {
        if moved.partial {
            self.doubt_all();
        }
        for end in moved.ends {
            let id = || Some((TenantId::new(&end.tenant).ok()?, ConversationId::new(&end.conversation).ok()?));
            if let Some((tenant, conversation)) = id() {
                self.ends(&ConversationKey { tenant, conversation }, end.seq);
            }
        }
        self.moves.tell(publisher.to_owned(), moved.last);
        moved.more
    }
}

fn user_key(key: &ConversationKey, user: &UserId) -> UserKey {
    UserKey { tenant: key.tenant.clone(), user: user.clone() }
}

fn forget(users: &mut HashMap<UserKey, BTreeSet<ConversationKey>>, key: &ConversationKey, user: &UserId) {
    let user = user_key(key, user);
    if let Some(theirs) = users.get_mut(&user) {
        theirs.remove(key);
        if theirs.is_empty() {
            users.remove(&user);
        }
    }
}
