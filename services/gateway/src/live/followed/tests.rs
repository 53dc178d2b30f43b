use bytes::Bytes;
use posthorn_core::{Envelope, MessageId, conversation};
use posthorn_proto::{
    client::{Body, Membership},
    convert::encode_envelope,
    internal::ConversationEnd,
};
use prost::Message;

use super::*;

fn user(name: &str) -> UserId {
    UserId::new(name).expect("an id")
}

fn key() -> ConversationKey {
    ConversationKey {
        tenant: TenantId::new("t").expect("an id"),
        conversation: ConversationId::new("c").expect("an id"),
    }
}

fn row(seq: u64, kind: posthorn_core::Kind, about: &str) -> Row {
    let id = MessageId::from_slice(&[7; 16]).expect("an id");
    let envelope =
        Envelope { time_ms: 1, ordinal: 1, author_ordinal: 1, ..conversation::envelope(kind, user("ann"), id) };
    let member = (!about.is_empty()).then(|| Membership { user: about.to_owned(), role: 1 });
    let body = Body { member, ..Body::default() };
    let (envelope, body) = (encode_envelope(&envelope), Some(Bytes::from(body.encode_to_vec())));
    Row { seq, envelope, body, ..Row::default() }
}

fn said(seqs: std::ops::RangeInclusive<u64>) -> Vec<Row> {
    seqs.map(|seq| row(seq, posthorn_core::Kind::Message, "")).collect()
}

fn joins(seq: u64, name: &str) -> Vec<Row> {
    vec![row(seq, posthorn_core::Kind::Joined, name)]
}

fn leaves(seq: u64, name: &str) -> Vec<Row> {
    vec![row(seq, posthorn_core::Kind::Removed, name)]
}

struct Bench(Followed);

impl Bench {
    /// One conversation that these follow from `at` on, and that the bus brings.
    fn new(at: u64, names: &[&str]) -> Self {
        let mut bench = Self(Followed::new(100));
        for name in names {
            assert_eq!(bench.follow(name, at), Ok(Follows::All));
        }
        bench.0.heard(&key(), true);
        bench.0.ends_for_sure(&key(), at);
        assert_eq!(bench.0.begun().len(), usize::from(!names.is_empty()));
        bench
    }

    fn follow(&mut self, name: &str, at: u64) -> Result<Follows, Full> {
        self.0.follow(&key(), &user(name), at)
    }

    /// To whom which entries go; "ann", "ben" and "cyd" are connected.
    fn rows(&mut self, rows: &[Row]) -> Vec<(String, Vec<u64>)> {
        let given = self.0.rows(&key(), rows, |user| ["ann", "ben", "cyd"].contains(&user.as_str()));
        let names = |users: Vec<UserId>| users.iter().map(UserId::as_str).collect::<Vec<_>>().join(" ");
        given.into_iter().map(|run| (names(run.users), run.entries.iter().map(|entry| entry.seq).collect())).collect()
    }

    fn work(&mut self) -> Work {
        self.0.work(&key())
    }
}

fn to(names: &str, seqs: &[u64]) -> Vec<(String, Vec<u64>)> {
    vec![(names.to_owned(), seqs.to_vec())]
}

#[test]
fn entries_go_to_all_members_here_once_and_in_order() {
    let mut bench = Bench::new(4, &["ann", "ben"]);
    assert_eq!(bench.rows(&said(5..=6)), to("ann ben", &[5, 6]));
    assert_eq!(bench.rows(&said(5..=7)), to("ann ben", &[7]));
    assert_eq!(bench.work(), Work::Nothing);
    // A hole is read before anything behind it.
    assert_eq!(bench.rows(&said(9..=10)), []);
    assert_eq!(bench.work(), Work::Read(8, 10));
    assert_eq!(bench.rows(&said(8..=8)), to("ann ben", &[8]));
    assert_eq!(bench.work(), Work::Read(9, 10));
    assert_eq!(bench.rows(&said(9..=10)), to("ann ben", &[9, 10]));
    // Also the last of it, by what a beat says.
    bench.0.ends(&key(), 10);
    assert_eq!(bench.work(), Work::Nothing);
    bench.0.ends(&key(), 11);
    assert_eq!(bench.work(), Work::Read(11, 11));
}

#[test]
fn who_is_removed_is_given_that_and_nothing_after() {
    let mut bench = Bench::new(4, &["ann", "ben"]);
    let rows = [said(5..=5), leaves(6, "ben"), said(7..=8)].concat();
    assert_eq!(bench.rows(&rows), [to("ann ben", &[5, 6]), to("ann", &[7, 8])].concat());
    // What the owner said of them before counts for nothing now.
    assert_eq!(bench.follow("ben", 5), Ok(Follows::Unsure));
    assert_eq!(bench.rows(&said(9..=9)), to("ann", &[9]));
    assert_eq!(bench.work(), Work::Who(user("ben")));
    assert!(!bench.0.who(&key(), &user("ben"), None));
    assert_eq!(bench.work(), Work::Nothing);
    // Nor is another's word of before, who still is one: they are told to read.
    assert_eq!(bench.follow("cyd", 5), Ok(Follows::Unsure));
    assert!(bench.0.who(&key(), &user("cyd"), Some(9)));
    assert_eq!(bench.rows(&said(10..=10)), to("ann cyd", &[10]));
}

#[test]
fn who_joins_is_given_everything_from_there_and_nothing_before() {
    let mut bench = Bench::new(4, &["ann"]);
    let rows = [said(5..=5), joins(6, "ben"), joins(7, "eve"), said(8..=8)].concat();
    assert_eq!(bench.rows(&rows), [to("ann", &[5]), to("ann ben", &[6, 7, 8])].concat());
    // The owner knows more of it than was given here: nothing of before the return is theirs.
    assert_eq!(bench.rows(&leaves(9, "ben")), to("ann ben", &[9]));
    assert_eq!(bench.follow("ben", 12), Ok(Follows::All));
    assert_eq!(bench.work(), Work::Read(10, 12));
    let missing = [said(10..=10), leaves(11, "ben"), joins(12, "ben")].concat();
    assert_eq!(bench.rows(&missing), to("ann", &[10, 11, 12]));
    assert_eq!(bench.rows(&said(13..=13)), to("ann ben", &[13]));
}

#[test]
fn who_comes_late_is_told_so_each_connection_for_itself() {
    let mut bench = Bench::new(4, &["ann"]);
    bench.rows(&said(5..=6));
    assert_eq!(bench.follow("ben", 5), Ok(Follows::Late));
    assert_eq!(bench.follow("ben", 5), Ok(Follows::Late), "another device, that asked as early");
    assert_eq!(bench.follow("ben", 6), Ok(Follows::All));
    assert_eq!(bench.rows(&said(7..=7)), to("ann ben", &[7]));
    assert_eq!(bench.follow("ann", 4), Ok(Follows::All), "it was here all the time");
    assert_eq!(bench.follow("ben", 6), Ok(Follows::All));
}

#[test]
fn a_conversation_is_left_with_its_last_follower_and_when_it_is_large_no_more() {
    let mut bench = Bench::new(4, &["ann", "ben"]);
    for name in ["ann", "ben"] {
        assert_eq!(bench.work(), Work::Nothing);
        bench.0.gone(&UserKey { tenant: key().tenant, user: user(name) });
    }
    assert_eq!((bench.work(), bench.0.contains(&key())), (Work::Leave(4), false));
    assert_eq!(bench.rows(&said(5..=5)), []);

    let mut bench = Bench::new(4, &["ann"]);
    bench.0.published_as(&key(), false, 3);
    assert_eq!(bench.work(), Work::Nothing, "an owner before this one said so");
    assert_eq!(bench.rows(&said(6..=6)), []);
    bench.0.published_as(&key(), false, 6);
    assert_eq!(bench.work(), Work::Read(5, 6), "what is missing comes first");
    assert_eq!(bench.rows(&said(5..=6)), to("ann", &[5, 6]));
    assert_eq!(bench.work(), Work::Leave(6));
    assert_eq!((bench.0.shares, bench.0.users.len(), bench.0.unheard), (0, 0, 0));
}

#[test]
fn what_the_bus_does_not_bring_is_asked_for_and_what_instances_forgot_is_in_doubt() {
    let mut bench = Bench::new(4, &["ann"]);
    assert!(!bench.0.asks());
    bench.0.heard(&key(), false);
    assert!(bench.0.asks(), "as long as it is not heard");
    bench.0.ends_for_sure(&key(), 4);
    let end = |conversation: &str, seq| ConversationEnd { tenant: "t".into(), conversation: conversation.into(), seq };
    let moved = |partial, seq| Moved { last: 9, ends: vec![end("c", seq), end("d", 3)], partial, more: false };
    assert!(!bench.0.moved("r1", moved(false, 5)));
    assert_eq!((bench.0.moves.told("r1"), bench.0.moves.told("r2"), bench.work()), (9, 0, Work::Read(5, 5)));
    bench.rows(&said(5..=5));
    bench.0.moved("r1", moved(true, 5));
    assert_eq!(bench.work(), Work::End);
    bench.0.heard(&key(), true);
    assert!(!bench.0.asks());
    bench.0.moves.want();
    assert!(bench.0.asks() && bench.0.moves.ask() && !bench.0.asks());
    bench.0.moves.only(&["r2".to_owned()]);
    assert_eq!(bench.0.moves.told("r1"), 0);
}

#[test]
fn where_the_log_has_a_hole_members_are_asked_for_and_told_to_read() {
    let mut bench = Bench::new(4, &["ann"]);
    bench.rows(&said(7..=7));
    bench.0.skip(&key());
    assert_eq!(bench.work(), Work::Who(user("ann")));
    assert!(bench.0.who(&key(), &user("ann"), Some(7)));
    assert_eq!(bench.rows(&said(8..=8)), to("ann", &[8]));
}

#[test]
fn there_is_a_bound() {
    let mut bench = Bench(Followed::new(1));
    assert_eq!(bench.follow("ann", 4), Ok(Follows::All));
    assert_eq!([bench.follow("ann", 4), bench.follow("ben", 4)], [Ok(Follows::All), Err(Full)]);
    assert_eq!(bench.rows(&joins(5, "ben")), to("ann", &[5]));
    bench.0.gone(&UserKey { tenant: key().tenant, user: user("ann") });
    assert_eq!(bench.follow("ben", 5), Ok(Follows::All));
}

#[test]
fn a_word_that_is_older_than_what_this_began_with_does_not_make_a_member() {
    let mut bench = Bench::new(41, &["ann"]);
    assert_eq!(bench.follow("ben", 39), Ok(Follows::Unsure), "who may have left at 40");
    assert_eq!(bench.rows(&said(42..=42)), to("ann", &[42]));
    assert_eq!(bench.work(), Work::Who(user("ben")));
    assert!(!bench.0.who(&key(), &user("ben"), None));
    assert_eq!(bench.rows(&said(43..=43)), to("ann", &[43]));

    let mut bench = Bench::new(0, &[]);
    let again = bench.0.follow_beyond(&key(), &user("ben"), 49, 52);
    assert_eq!(again, Ok(Follows::Unsure), "told here up to 52 before, when they may have left");
    assert_eq!(bench.rows(&said(50..=53)), []);
    assert!(bench.0.who(&key(), &user("ben"), Some(53)), "and may have missed something");
    assert_eq!(bench.rows(&said(54..=54)), to("ben", &[54]));
}

#[test]
fn when_an_instance_has_ended_what_the_bus_brings_nothing_of_is_asked_for() {
    let mut bench = Bench::new(4, &["ann"]);
    bench.0.moves.tell("one".to_owned(), 7);
    assert!(!bench.0.moves.only(&["one".to_owned(), "two".to_owned()]));
    assert!(bench.0.moves.only(&["two".to_owned()]));
    bench.0.doubt_unheard();
    assert_eq!(bench.work(), Work::Nothing, "it is heard");
    bench.0.heard(&key(), false);
    bench.0.ends_for_sure(&key(), 4);
    assert_eq!(bench.work(), Work::Nothing);
    bench.0.doubt_unheard();
    assert_eq!(bench.work(), Work::End);
}
