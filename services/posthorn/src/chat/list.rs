//! The conversations that `/list` shows: as a sync found them, kept up to date by what comes. Pure.

use std::cmp::Reverse;

use posthorn_client::proto::{Conversation, ConversationKind, Entry, Kind};

/// Conversations that are known, the latest first.
const MAX_LISTED: usize = 50;

#[derive(Default)]
pub struct List(Vec<Conversation>);

impl List {
    pub fn all(&self) -> &[Conversation] {
        &self.0
    }

    pub fn get(&self, conversation: &str) -> Option<&Conversation> {
        self.0.iter().find(|known| known.conversation == conversation)
    }

    /// The direct conversation with a user.
    pub fn with(&self, user: &str) -> Option<&Conversation> {
        self.0.iter().find(|known| known.peer == user)
    }

    pub fn note(&mut self, conversation: Conversation) {
        self.0.retain(|known| known.conversation != conversation.conversation);
        self.0.push(conversation);
        self.sort();
    }

    /// `read`: they were seen as they came.
    pub fn heard(&mut self, me: &str, conversation: &str, entries: &[Entry], read: bool) {
        let Some(last) = entries.last() else { return };
        let at = self.0.iter().position(|known| known.conversation == conversation).unwrap_or_else(|| {
            self.0.push(Conversation { conversation: conversation.to_owned(), ..Conversation::default() });
            self.0.len() - 1
        });
        let known = &mut self.0[at];
        entries.iter().for_each(|entry| changed(known, me, entry));
        let counts = |entry: &&Entry| matches!(entry.kind(), Kind::Message | Kind::System) && entry.author != me;
        known.unread = if read { 0 } else { known.unread + entries.iter().filter(counts).count() as u64 };
        (known.end_seq, known.last_activity_ms, known.preview) = (last.seq, last.time_ms, Some(last.clone()));
        self.sort();
    }

    pub fn read(&mut self, conversation: &str) {
        if let Some(known) = self.0.iter_mut().find(|known| known.conversation == conversation) {
            known.unread = 0;
        }
    }

    fn sort(&mut self) {
        self.0.sort_by_key(|known| Reverse(known.last_activity_ms));
        self.0.truncate(MAX_LISTED);
    }
}

/// Name and members, as the log tells them.
fn changed(known: &mut Conversation, me: &str, entry: &Entry) {
    let Some(body) = &entry.body else { return };
    match entry.kind() {
        Kind::Created => {
            let Some(created) = &body.created else { return };
            known.title.clone_from(&created.title);
            known.member_count = created.members.len() as u64;
            let peer = created.members.iter().find(|member| member.user != me);
            if let (ConversationKind::Direct, Some(peer)) = (created.kind(), peer) {
                known.peer.clone_from(&peer.user);
            }
        }
        Kind::Title => known.title.clone_from(&body.title),
        Kind::Joined => known.member_count += 1,
        Kind::Left | Kind::Removed => known.member_count = known.member_count.saturating_sub(1),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use posthorn_client::proto::{Body, Created, Membership};

    use super::*;

    #[test]
    fn what_comes_keeps_the_list_up_to_date() {
        let mut list = List::default();
        let said = |seq, author: &str| Entry {
            seq,
            kind: Kind::Message.into(),
            author: author.into(),
            time_ms: seq,
            ..Entry::default()
        };
        list.note(Conversation { conversation: "lobby".into(), unread: 1, last_activity_ms: 5, ..Default::default() });
        list.heard("ann", "lobby", &[said(9, "ben"), said(10, "ann")], false);
        let members = ["ann", "ben"].map(|user| Membership { user: user.into(), ..Membership::default() }).into();
        let created = Created { kind: ConversationKind::Direct.into(), members, ..Created::default() };
        let body = Some(Body { created: Some(created), ..Body::default() });
        let first = Entry { seq: 1, kind: Kind::Created.into(), time_ms: 20, body, ..Entry::default() };
        list.heard("ann", "d.1", &[first], false);
        let seen: Vec<_> = list.all().iter().map(|c| (c.conversation.as_str(), c.unread, c.member_count)).collect();
        assert_eq!(seen, [("d.1", 0, 2), ("lobby", 2, 0)]);
        assert_eq!(list.with("ben").map(|c| c.conversation.as_str()), Some("d.1"));
        list.heard("ann", "lobby", &[said(21, "ben")], true);
        assert_eq!((list.all()[0].conversation.as_str(), list.all()[0].unread), ("lobby", 0));
    }
}
