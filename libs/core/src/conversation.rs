//! A conversation as a state machine over its log: decides what is appended, assigns seq, ordinal
//! and time, and keeps the members. Its owner holds one; the same code re-applies entries on load.

use std::collections::BTreeMap;

use crate::{
    ConversationKind, Envelope, Kind, MessageId, Ranges, Role, UserId, Visibility,
    permissions::{Action, Actor, may},
    recent::{Found, Position, Recent},
};

/// How many kinds there are, and then some: index of [`End::last_of_kind`].
pub const KINDS: usize = 16;

/// The end of a log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct End {
    pub seq: u64,
    pub ordinal: u64,
    pub time_ms: u64,
    /// The last countable entry.
    pub preview_seq: u64,
    /// By [`Kind::index`]: the last seq of that kind.
    pub last_of_kind: [u64; KINDS],
}

/// Somebody who is or was a member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    pub role: Role,
    pub present: bool,
    pub visible: Ranges,
    pub joined_seq: u64,
    /// The conversation's ordinal when they joined.
    pub joined_ordinal: u64,
    /// Their countable entries so far.
    pub sent: u64,
    /// Up to which seq this record counts.
    pub as_of_seq: u64,
    /// The counts when they left.
    pub left: Position,
}

/// What an entry's body says about the conversation itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact {
    None,
    Created { kind: ConversationKind, title: String, visibility: Visibility, members: Vec<(UserId, Role)> },
    Joined(UserId, Role),
    Left(UserId),
    Role(UserId, Role),
    Title(String),
}

/// A send as it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Draft {
    pub envelope: Envelope,
    pub fact: Fact,
}

/// What an owner needs to know of a send besides the entry.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Terms {
    /// This message id was tried before: a copy can lie beyond `after_seq`.
    pub retry: bool,
    pub after_seq: u64,
    pub expected: Option<Expected>,
}

/// Only if no entry of `kinds` (none named: of any) came after `seq`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expected {
    pub seq: u64,
    pub kinds: Vec<Kind>,
}

/// What becomes of a send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Append,
    Duplicate(u64),
    /// A copy may lie between these seqs (both included), below what memory holds.
    Search(u64, u64),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    NotFound,
    Forbidden,
    MessageIdReused,
    Precondition {
        end_seq: u64,
    },
    MembersLimit,
    LastOwner,
    /// `after_seq` lies beyond the end.
    AfterEnd,
    /// The named field points at an entry that is not there, or that its author may not see: the two
    /// are answered alike.
    NoSuchEntry(&'static str),
}

#[derive(Clone, Debug)]
pub struct Conversation {
    pub kind: ConversationKind,
    pub title: String,
    pub visibility: Visibility,
    pub end: End,
    pub members: BTreeMap<UserId, Member>,
    pub recent: Recent,
    present: usize,
}

impl Kind {
    /// Index in [`End::last_of_kind`]; the number of the wire enum.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Message => 1,
            Self::Created => 2,
            Self::Joined => 3,
            Self::Left => 4,
            Self::Removed => 5,
            Self::Role => 6,
            Self::Title => 7,
            Self::System => 8,
            Self::Edit => 9,
            Self::Redaction => 10,
            Self::Reaction => 11,
            Self::Pin => 12,
        }
    }
}

impl Conversation {
    /// A log without entries.
    #[must_use]
    pub fn empty(recent_max: usize) -> Self {
        Self {
            kind: ConversationKind::Group,
            title: String::new(),
            visibility: Visibility::default(),
            end: End::default(),
            members: BTreeMap::new(),
            recent: Recent::new(0, 0, recent_max),
            present: 0,
        }
    }

    /// From its projections. `recent` is to be fed from its floor to the end.
    #[must_use]
    pub fn restored(
        kind: ConversationKind,
        title: String,
        visibility: Visibility,
        end: End,
        members: BTreeMap<UserId, Member>,
        recent: Recent,
    ) -> Self {
        let present = members.values().filter(|m| m.present).count();
        Self { kind, title, visibility, end, members, recent, present }
    }

    #[must_use]
    pub const fn exists(&self) -> bool {
        self.end.seq > 0
    }

    /// Members now.
    #[must_use]
    pub const fn present(&self) -> usize {
        self.present
    }

    /// Users who are members now, by id.
    pub fn present_users(&self) -> impl Iterator<Item = &UserId> {
        self.members.iter().filter(|(_, member)| member.present).map(|(user, _)| user)
    }

    /// Whether the send may stand, and whether it stands already.
    pub fn judge(&self, actor: Option<Actor>, envelope: &Envelope, terms: &Terms) -> Result<Verdict, Refusal> {
        self.allow(actor, Action::Send)?;
        match self.recent.find(&envelope.author, envelope.message_id, envelope.body_hash) {
            Found::Same(seq) => return Ok(Verdict::Duplicate(seq)),
            Found::Other(_) => return Err(Refusal::MessageIdReused),
            Found::No => {}
        }
        if terms.after_seq > self.end.seq {
            return Err(Refusal::AfterEnd);
        }
        self.points_at_entries(actor, envelope)?;
        if terms.retry && terms.after_seq < self.recent.floor() {
            return Ok(Verdict::Search(terms.after_seq + 1, self.recent.floor()));
        }
        self.expect(terms.expected.as_ref())?;
        Ok(Verdict::Append)
    }

    /// What a send points at has to be there, and where its author may see it. What one may see never
    /// shrinks, so a retry passes where its first try did.
    fn points_at_entries(&self, actor: Option<Actor>, envelope: &Envelope) -> Result<(), Refusal> {
        let member = self.members.get(&envelope.author);
        let visible = |seq: u64| {
            seq <= self.end.seq && (actor == Some(Actor::Backend) || member.is_some_and(|m| m.visible.contains(seq)))
        };
        match references(envelope).find(|(_, seq)| !visible(*seq)) {
            Some((field, _)) => Err(Refusal::NoSuchEntry(field)),
            None => Ok(()),
        }
    }

    /// The precondition, decided in the same step as the number.
    pub fn expect(&self, expected: Option<&Expected>) -> Result<(), Refusal> {
        let Some(expected) = expected else { return Ok(()) };
        let last = if expected.kinds.is_empty() {
            self.end.seq
        } else {
            expected.kinds.iter().map(|kind| self.end.last_of_kind[kind.index()]).max().unwrap_or(0)
        };
        if last > expected.seq { Err(Refusal::Precondition { end_seq: self.end.seq }) } else { Ok(()) }
    }

    /// Who this is here: `None` for somebody who never was a member.
    #[must_use]
    pub fn actor(&self, user: &UserId) -> Option<Actor> {
        self.members.get(user).filter(|m| m.present).map(|m| Actor::Member(m.role))
    }

    /// What one may not see is answered like what does not exist; a former member is told no.
    pub fn allow(&self, actor: Option<Actor>, action: Action) -> Result<(), Refusal> {
        match actor {
            Some(actor) if !self.exists() => {
                // Only a first append or a create finds nothing there.
                if actor == Actor::Backend { Err(Refusal::NotFound) } else { Ok(()) }
            }
            Some(actor) if may(actor, action, self.kind) => Ok(()),
            Some(_) => Err(Refusal::Forbidden),
            None => Err(Refusal::NotFound),
        }
    }

    /// The facts that a change of members comes to; empty where all is so already.
    pub fn change(
        &self,
        actor: Option<Actor>,
        by: Option<&UserId>,
        change: &Change,
        max: usize,
    ) -> Result<Option<(Kind, Fact)>, Refusal> {
        let member = |user: &UserId| self.members.get(user).filter(|m| m.present);
        match change {
            Change::Add(user, role) => {
                self.allow(actor, Action::AddMember { as_role: *role })?;
                if member(user).is_some() {
                    return Ok(None);
                }
                if self.present >= max {
                    return Err(Refusal::MembersLimit);
                }
                Ok(Some((Kind::Joined, Fact::Joined(user.clone(), *role))))
            }
            Change::Remove(user) => {
                let of = self.members.get(user).map_or(Role::Member, |m| m.role);
                self.allow(actor, Action::RemoveMember { of })?;
                if by == Some(user) {
                    self.keeps_an_owner(user, None)?;
                }
                Ok(member(user).map(|_| (Kind::Removed, Fact::Left(user.clone()))))
            }
            Change::Leave => {
                self.allow(actor, Action::Leave)?;
                let user = by.ok_or(Refusal::NotFound)?;
                self.keeps_an_owner(user, None)?;
                Ok(member(user).map(|_| (Kind::Left, Fact::Left(user.clone()))))
            }
            Change::Role(user, role) => {
                self.allow(actor, Action::SetRole)?;
                let now = member(user).ok_or(Refusal::NotFound)?.role;
                if now == *role {
                    return Ok(None);
                }
                self.keeps_an_owner(user, Some(*role))?;
                Ok(Some((Kind::Role, Fact::Role(user.clone(), *role))))
            }
        }
    }

    fn keeps_an_owner(&self, user: &UserId, becomes: Option<Role>) -> Result<(), Refusal> {
        let is_owner = |m: &Member| m.present && m.role == Role::Owner;
        let was_owner = self.members.get(user).is_some_and(is_owner);
        let owner_left =
            becomes == Some(Role::Owner) || self.members.iter().any(|(other, m)| other != user && is_owner(m));
        let others = self.present > 1;
        if was_owner && !owner_left && others { Err(Refusal::LastOwner) } else { Ok(()) }
    }

    /// Appends: fills in seq's counts and time, applies the fact, and returns (seq, envelope).
    pub fn append(&mut self, draft: Draft, now_ms: u64) -> (u64, Envelope) {
        let Draft { mut envelope, fact } = draft;
        envelope.time_ms = now_ms.max(self.end.time_ms);
        let countable = u64::from(envelope.countable());
        envelope.ordinal = self.end.ordinal + countable;
        envelope.author_ordinal = self.members.get(&envelope.author).map_or(0, |m| m.sent) + countable;
        self.apply(&envelope, &fact);
        (self.end.seq, envelope)
    }

    /// The next entry of the log, as decided here or read from the log.
    pub fn apply(&mut self, envelope: &Envelope, fact: &Fact) {
        let seq = self.end.seq + 1;
        self.end.seq = seq;
        self.end.time_ms = envelope.time_ms;
        self.end.ordinal = envelope.ordinal;
        self.end.last_of_kind[envelope.kind.index()] = seq;
        if envelope.countable() {
            self.end.preview_seq = seq;
            if let Some(member) = self.before(&envelope.author, seq) {
                member.sent = envelope.author_ordinal;
                member.as_of_seq = seq;
            }
        }
        self.recent.push(envelope);
        match fact {
            Fact::None => {}
            Fact::Created { kind, title, visibility, members } => {
                self.kind = *kind;
                self.title.clone_from(title);
                self.visibility = *visibility;
                for (user, role) in members {
                    self.join(user, *role, seq);
                }
            }
            Fact::Joined(user, role) => self.join(user, *role, seq),
            Fact::Left(user) => self.leave(user, seq),
            Fact::Role(user, role) => {
                if let Some(member) = self.before(user, seq) {
                    member.role = *role;
                    member.as_of_seq = seq;
                }
            }
            Fact::Title(title) => self.title.clone_from(title),
        }
    }

    /// A member as before the entry at `seq`. What was loaded may be ahead of the log that is read again: it has
    /// what that entry did, and a second time would undo what came after.
    fn before(&mut self, user: &UserId, seq: u64) -> Option<&mut Member> {
        self.members.get_mut(user).filter(|member| member.as_of_seq < seq)
    }

    fn join(&mut self, user: &UserId, role: Role, seq: u64) {
        if self.members.get(user).is_some_and(|member| member.as_of_seq >= seq) {
            return;
        }
        let from = if self.visibility == Visibility::All { 1 } else { seq };
        let member = self.members.entry(user.clone()).or_insert_with(|| Member {
            role,
            present: false,
            visible: Ranges::default(),
            joined_seq: seq,
            joined_ordinal: 0,
            sent: 0,
            as_of_seq: seq,
            left: Position::default(),
        });
        self.present += usize::from(!member.present);
        member.present = true;
        member.role = role;
        member.joined_seq = seq;
        member.joined_ordinal = self.end.ordinal;
        member.as_of_seq = seq;
        member.visible.open(from);
    }

    fn leave(&mut self, user: &UserId, seq: u64) {
        let ordinal = self.end.ordinal;
        let Some(member) = self.before(user, seq) else { return };
        let was_present = std::mem::take(&mut member.present);
        member.as_of_seq = seq;
        member.visible.close(seq);
        member.left = Position { seq, ordinal, own: member.sent };
        self.present -= usize::from(was_present);
    }

    /// The counts at the end of what the user may see.
    #[must_use]
    pub fn visible_end(&self, user: &UserId) -> Option<Position> {
        let member = self.members.get(user)?;
        Some(if member.present {
            Position { seq: self.end.seq, ordinal: self.end.ordinal, own: member.sent }
        } else {
            member.left
        })
    }
}

/// The entries of its own conversation that an envelope points at, by field.
pub fn references(envelope: &Envelope) -> impl Iterator<Item = (&'static str, u64)> {
    let fields = [("reply_to", envelope.reply_to), ("thread", envelope.thread), ("target", envelope.target)];
    fields.into_iter().filter(|(_, seq)| *seq > 0)
}

/// A change of members that somebody asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    Add(UserId, Role),
    Remove(UserId),
    Leave,
    Role(UserId, Role),
}

/// An envelope that is complete but for what [`Conversation::append`] fills in.
#[must_use]
pub fn envelope(kind: Kind, author: UserId, message_id: MessageId) -> Envelope {
    Envelope {
        kind,
        author,
        device: None,
        message_id,
        time_ms: 0,
        after_seq: 0,
        ordinal: 0,
        author_ordinal: 0,
        reply_to: 0,
        thread: 0,
        target: 0,
        mentions: Vec::new(),
        media: Vec::new(),
        expires_ms: 0,
        content_type: String::new(),
        encrypted: false,
        body_hash: None,
    }
}

#[cfg(test)]
mod tests;
