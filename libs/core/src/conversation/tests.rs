use super::*;
use crate::unread::unread;

fn user(name: &str) -> UserId {
    UserId::new(name).expect("a valid id")
}

fn id(n: u128) -> MessageId {
    MessageId(uuid::Uuid::from_u128(n))
}

fn draft(kind: Kind, author: &str, n: u128, fact: Fact) -> Draft {
    let mut envelope = envelope(kind, user(author), id(n));
    envelope.body_hash = Some(crate::chain::body_hash(&n.to_be_bytes()));
    Draft { envelope, fact }
}

fn group(visibility: Visibility, names: &[&str]) -> Conversation {
    let mut conversation = Conversation::empty(8);
    let members = names.iter().map(|n| (user(n), if *n == names[0] { Role::Owner } else { Role::Member })).collect();
    let fact = Fact::Created { kind: ConversationKind::Group, title: "t".into(), visibility, members };
    conversation.append(draft(Kind::Created, names[0], 0, fact), 10);
    conversation
}

fn say(conversation: &mut Conversation, author: &str, n: u128) -> (u64, Envelope) {
    conversation.append(draft(Kind::Message, author, n, Fact::None), 5)
}

#[test]
fn seq_is_dense_time_never_decreases_and_only_countable_entries_count() {
    let mut c = group(Visibility::SinceJoin, &["ann", "bob"]);
    let (seq, entry) = say(&mut c, "bob", 1);
    assert_eq!((seq, entry.ordinal, entry.author_ordinal, entry.time_ms), (2, 1, 1, 10));
    let mut threaded = draft(Kind::Message, "bob", 2, Fact::None);
    threaded.envelope.thread = 2;
    let (seq, entry) = c.append(threaded, 20);
    assert_eq!((seq, entry.ordinal, entry.time_ms), (3, 1, 20));
}

#[test]
fn a_retry_finds_its_first_copy_and_another_body_under_its_id_is_refused() {
    let mut c = group(Visibility::SinceJoin, &["ann", "bob"]);
    let (_, entry) = say(&mut c, "bob", 1);
    let bob = c.actor(&user("bob"));
    let retry = Terms { retry: true, after_seq: 1, expected: None };
    assert_eq!(c.judge(bob, &entry, &retry), Ok(Verdict::Duplicate(2)));
    let mut other = entry.clone();
    other.body_hash = None;
    assert_eq!(c.judge(bob, &other, &retry), Err(Refusal::MessageIdReused));
    let mut by_ann = entry.clone();
    by_ann.author = user("ann");
    assert_eq!(c.judge(c.actor(&user("ann")), &by_ann, &Terms::default()), Ok(Verdict::Append));
    for n in 2..20 {
        say(&mut c, "ann", n);
    }
    assert_eq!(c.judge(bob, &entry, &retry), Ok(Verdict::Search(2, c.recent.floor())));
}

#[test]
fn a_precondition_is_about_the_kinds_it_names() {
    let mut c = group(Visibility::SinceJoin, &["ann", "bob"]);
    say(&mut c, "bob", 1);
    let expect = |seq, kinds: &[Kind]| Some(Expected { seq, kinds: kinds.to_vec() });
    assert_eq!(c.expect(expect(1, &[]).as_ref()), Err(Refusal::Precondition { end_seq: 2 }));
    assert_eq!(c.expect(expect(1, &[Kind::Title]).as_ref()), Ok(()));
    assert_eq!(c.expect(expect(1, &[Kind::Title, Kind::Message]).as_ref()), Err(Refusal::Precondition { end_seq: 2 }));
    assert_eq!(c.expect(expect(2, &[]).as_ref()), Ok(()));
}

#[test]
fn strangers_find_nothing_and_former_members_may_not_send() {
    let mut c = group(Visibility::SinceJoin, &["ann", "bob"]);
    let (_, entry) = say(&mut c, "bob", 1);
    assert_eq!(c.judge(c.actor(&user("eve")), &entry, &Terms::default()), Err(Refusal::NotFound));
    c.append(draft(Kind::Left, "bob", 2, Fact::Left(user("bob"))), 0);
    assert_eq!(c.actor(&user("bob")), None);
}

#[test]
fn unread_follows_join_leave_and_rejoin() {
    let mut c = group(Visibility::SinceJoin, &["ann", "bob"]);
    say(&mut c, "ann", 1);
    say(&mut c, "bob", 2);
    let mark = c.recent.position(&user("bob"), 1, 1).expect("remembered");
    assert_eq!(unread(c.visible_end(&user("bob")).expect("a member"), mark), 1);
    c.append(draft(Kind::Removed, "ann", 3, Fact::Left(user("bob"))), 0);
    say(&mut c, "ann", 4);
    assert_eq!(unread(c.visible_end(&user("bob")).expect("was one"), mark), 1);
    let (joined, _) = c.append(draft(Kind::Joined, "ann", 5, Fact::Joined(user("bob"), Role::Member)), 0);
    let mark = c.recent.position(&user("bob"), joined, 1).expect("remembered");
    assert_eq!(unread(c.visible_end(&user("bob")).expect("a member"), mark), 0);
    say(&mut c, "ann", 6);
    assert_eq!(unread(c.visible_end(&user("bob")).expect("a member"), mark), 1);
    let visible: Vec<_> = (1..=c.end.seq).filter(|&s| c.members[&user("bob")].visible.contains(s)).collect();
    assert_eq!(visible, [1, 2, 3, 4, 6, 7]);
}

#[test]
fn the_last_owner_cannot_leave_the_others_without_one() {
    let mut c = group(Visibility::All, &["ann", "bob"]);
    let ann = user("ann");
    let leave = |c: &Conversation| c.change(c.actor(&ann), Some(&ann), &Change::Leave, 10);
    assert_eq!(leave(&c), Err(Refusal::LastOwner));
    c.append(draft(Kind::Role, "ann", 1, Fact::Role(user("bob"), Role::Owner)), 0);
    assert_eq!(leave(&c), Ok(Some((Kind::Left, Fact::Left(ann.clone())))));
}

#[test]
fn a_send_points_only_at_entries_that_its_author_may_see() {
    let mut c = group(Visibility::SinceJoin, &["ann", "bob"]);
    say(&mut c, "ann", 1);
    c.append(draft(Kind::Joined, "ann", 2, Fact::Joined(user("eve"), Role::Member)), 0);
    let (end, _) = say(&mut c, "bob", 3);
    let judge = |author: &str, actor: Option<Actor>, change: fn(&mut Envelope, u64), seq: u64| {
        let mut sent = draft(Kind::Message, author, 9, Fact::None).envelope;
        change(&mut sent, seq);
        c.judge(actor, &sent, &Terms::default())
    };
    type Set = fn(&mut Envelope, u64);
    let fields: [(&str, Set); 3] = [
        ("reply_to", |sent, seq| sent.reply_to = seq),
        ("thread", |sent, seq| sent.thread = seq),
        ("target", |sent, seq| sent.target = seq),
    ];
    for (name, change) in fields {
        let refused = Err(Refusal::NoSuchEntry(name));
        for (author, first) in [("ann", 1), ("eve", 3)] {
            let actor = c.actor(&user(author));
            assert_eq!(judge(author, actor, change, first), Ok(Verdict::Append), "{author}");
            assert_eq!(judge(author, actor, change, end), Ok(Verdict::Append), "{author}");
            assert_eq!(judge(author, actor, change, end + 1), refused, "{author}");
        }
        // There, but before eve's time: like what is not there.
        assert_eq!(judge("eve", c.actor(&user("eve")), change, 2), refused);
        assert_eq!(judge("system", Some(Actor::Backend), change, 2), Ok(Verdict::Append));
        assert_eq!(judge("system", Some(Actor::Backend), change, end + 1), refused);
    }
}

#[test]
fn after_seq_lies_within_the_log_also_of_a_first_try() {
    let mut c = group(Visibility::SinceJoin, &["ann", "bob"]);
    let (end, _) = say(&mut c, "ann", 1);
    let sent = draft(Kind::Message, "ann", 9, Fact::None).envelope;
    for retry in [false, true] {
        let judge = |after_seq| c.judge(c.actor(&user("ann")), &sent, &Terms { retry, after_seq, expected: None });
        assert_eq!(judge(end), Ok(Verdict::Append));
        assert_eq!(judge(end + 1), Err(Refusal::AfterEnd));
    }
}

/// A crash between the members and the head leaves members that know more than the log that is read again.
#[test]
fn members_that_are_ahead_of_the_log_are_not_set_back_by_it() {
    let bob = || user("bob");
    let mut whole = Conversation::empty(16);
    let members = vec![(user("ann"), Role::Owner)];
    let (kind, visibility) = (ConversationKind::Group, Visibility::SinceJoin);
    let created = Fact::Created { kind, title: "t".into(), visibility, members };
    let facts = [
        created,
        Fact::Joined(bob(), Role::Member),
        Fact::None,
        Fact::Left(bob()),
        Fact::Joined(bob(), Role::Member),
        Fact::Role(bob(), Role::Admin),
        Fact::None,
    ];
    let mut log = Vec::new();
    for (n, fact) in (1..).zip(facts) {
        let (kind, author) = if fact == Fact::None { (Kind::Message, "bob") } else { (Kind::Created, "ann") };
        let (_, envelope) = whole.append(draft(kind, author, n, fact.clone()), 1);
        log.push((envelope, fact));
    }
    let upto = |seq: usize| {
        let mut conversation = Conversation::empty(16);
        log[..seq].iter().for_each(|(envelope, fact)| conversation.apply(envelope, fact));
        conversation
    };
    for ahead in 1..=log.len() {
        for from in 1..=ahead {
            let mut loaded = upto(from);
            loaded.members = upto(ahead).members;
            loaded.present = loaded.members.values().filter(|member| member.present).count();
            log[from..].iter().for_each(|(envelope, fact)| loaded.apply(envelope, fact));
            assert_eq!((&loaded.members, loaded.present), (&whole.members, whole.present), "{from}, {ahead}");
        }
    }
}
