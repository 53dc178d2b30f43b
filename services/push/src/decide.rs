//! Who is notified of what: pure, from what storage says.

use std::collections::BTreeMap;

use posthorn_core::Envelope;
use posthorn_proto::{convert::ranges_from_wire, internal::RegisterRecord};

use crate::Notification;

/// Countable entries of one conversation, ascending: (seq, author).
pub type Countable = Vec<(u64, String)>;

/// What push needs of an entry; `None` for those that notify nobody.
pub fn countable(seq: u64, envelope: &Envelope) -> Option<(u64, String)> {
    envelope.countable().then(|| (seq, (&envelope.author).into()))
}

/// One notification a user at most: of the newest entry by somebody else that they may see, have
/// neither received nor read, and did not mute.
pub fn notifications(
    tenant: &str,
    conversation: &str,
    entries: &Countable,
    members: &BTreeMap<String, Option<RegisterRecord>>,
) -> Vec<Notification> {
    let notify = |(user, record): (&String, &Option<RegisterRecord>)| {
        let record = record.as_ref()?;
        if record.muted || record.removed {
            return None;
        }
        let visible = ranges_from_wire(&record.visible);
        let marks = [&record.delivered, &record.read];
        let received = marks.into_iter().flatten().map(|mark| mark.seq).max().unwrap_or(0);
        let unseen = |(seq, author): &&(u64, String)| author != user && *seq > received && visible.contains(*seq);
        let (seq, _) = entries.iter().rev().find(unseen)?;
        Some(Notification {
            tenant: tenant.to_owned(),
            user: user.clone(),
            conversation: conversation.to_owned(),
            seq: *seq,
        })
    };
    members.iter().filter_map(notify).collect()
}

#[cfg(test)]
mod tests {
    use posthorn_proto::{client::Range, internal::MarkAt};

    use super::*;

    #[test]
    fn only_who_has_not_received_it_and_did_not_mute_is_notified_once_of_the_newest() {
        let record = |delivered: u64| RegisterRecord {
            visible: vec![Range { from: 1, to: 0 }],
            delivered: Some(MarkAt { seq: delivered, ..MarkAt::default() }),
            ..RegisterRecord::default()
        };
        let muted = RegisterRecord { muted: true, ..record(0) };
        let removed = RegisterRecord { removed: true, ..record(0) };
        let late = RegisterRecord { visible: vec![Range { from: 9, to: 0 }], ..record(0) };
        let read = RegisterRecord { read: Some(MarkAt { seq: 4, ..MarkAt::default() }), ..record(0) };
        let members: BTreeMap<String, Option<RegisterRecord>> = [
            ("author", Some(record(0))),
            ("away", Some(record(1))),
            ("caught-up", Some(record(4))),
            ("late", Some(late)),
            ("muted", Some(muted)),
            ("reader", Some(read)),
            ("removed", Some(removed)),
            ("unknown", None),
        ]
        .map(|(user, record)| (user.to_owned(), record))
        .into();
        let entries = vec![(2, "away".to_owned()), (3, "author".to_owned()), (4, "author".to_owned())];
        let told: Vec<_> = notifications("t", "c", &entries, &members).into_iter().map(|n| (n.user, n.seq)).collect();
        assert_eq!(told, [("author".to_owned(), 2), ("away".to_owned(), 4)]);
    }
}
