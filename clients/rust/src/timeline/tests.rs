use posthorn_proto::client::{Body, Membership};

use super::*;

fn timelines() -> Timelines {
    let mut timelines = Timelines::new(4, 1_000, std::iter::empty());
    timelines.user_is("ada");
    timelines
}

fn message(seq: u64) -> Entry {
    Entry { seq, kind: Kind::Message.into(), ..Entry::default() }
}

fn member(seq: u64, kind: Kind, user: &str) -> Entry {
    let member = Some(Membership { user: user.into(), role: 1 });
    Entry { seq, kind: kind.into(), body: Some(Body { member, ..Body::default() }), ..Entry::default() }
}

fn listed(end_seq: u64, visible: &[(u64, u64)]) -> Conversation {
    Conversation { conversation: "c".into(), end_seq, visible: ranges(visible), ..Conversation::default() }
}

fn ranges(visible: &[(u64, u64)]) -> Vec<Range> {
    visible.iter().map(|&(from, to)| Range { from, to }).collect()
}

fn page(seqs: &[u64], next: u64, end_seq: u64, visible: &[(u64, u64)]) -> HistoryPage {
    let entries = seqs.iter().map(|&seq| message(seq)).collect();
    HistoryPage { conversation: "c".into(), entries, next, end_seq, visible: ranges(visible), generation: 1 }
}

/// `3` an entry, `-3..5` a gap of that kind.
fn told(events: Events) -> String {
    let words = events.into_iter().flat_map(|event| match event {
        Event::Entries { entries, .. } => entries.iter().map(|e| e.seq.to_string()).collect::<Vec<_>>(),
        Event::Gap { from, to, gap, .. } => vec![format!("{gap:?}:{from}-{to}")],
        other => vec![format!("{other:?}")],
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn entries_come_once_and_in_order_whatever_arrives() {
    let mut t = timelines();
    assert_eq!(told(t.live("c", vec![member(1, Kind::Created, "x"), message(2)])), "1 2");
    assert_eq!(told(t.live("c", vec![message(2)])), "");
    assert_eq!(told(t.live("c", vec![message(5)])), "");
    assert_eq!(t.take_hole(), Some(("c".into(), 2)));
    assert_eq!(told(t.live("c", vec![message(6)])), "");
    assert_eq!(told(t.page(page(&[3, 4, 5], 0, 5, &[(1, 0)]))), "3 4 5 6");
    assert_eq!(told(t.live("c", vec![message(4), message(7)])), "7");
    assert!(t.take_hole().is_none() || !t.has_holes());
    assert_eq!(t.seen("c"), 7);
}

#[test]
fn what_overflows_while_waiting_is_read_from_the_log() {
    let mut t = timelines();
    t.live("c", vec![member(1, Kind::Created, "x")]);
    for seq in 3..20 {
        assert_eq!(told(t.live("c", vec![message(seq)])), "");
    }
    assert_eq!(t.take_hole(), Some(("c".into(), 1)));
    assert_eq!(told(t.page(page(&[2, 3, 4], 4, 19, &[(1, 0)]))), "2 3 4 5 6");
    assert_eq!(t.take_hole(), Some(("c".into(), 6)));
    let rest: Vec<u64> = (7..20).collect();
    assert_eq!(told(t.page(page(&rest, 0, 19, &[(1, 0)]))), "7 8 9 10 11 12 13 14 15 16 17 18 19");
    assert!(!t.has_holes());
}

#[test]
fn between_two_seats_there_may_be_one_that_nobody_told_of() {
    let mut t = timelines();
    let before = [(4, 6)];
    t.listed(&listed(6, &before), true);
    assert_eq!(told(t.live("c", vec![member(14, Kind::Joined, "ada"), message(15)])), "");
    assert_eq!(t.take_hole(), Some(("c".into(), 6)));
    assert_eq!(told(t.page(page(&[8, 9, 14], 0, 15, &[(4, 6), (8, 9), (14, 0)]))), "Hidden:7-7 8 9 Hidden:10-13 14 15");
    assert!(!t.has_holes() && !t.unknown);
}

#[test]
fn a_conversation_that_is_new_begins_with_the_first_seat() {
    let mut t = timelines();
    // Only the second seat came up live.
    assert_eq!(told(t.live("c", vec![member(14, Kind::Joined, "ada"), message(15)])), "");
    assert!(t.unknown);
    assert_eq!(told(t.listed(&listed(15, &[(8, 9), (14, 0)]), false)), "");
    assert_eq!(t.take_hole(), Some(("c".into(), 7)));
    assert_eq!(told(t.page(page(&[8, 9, 14], 0, 15, &[(8, 9), (14, 0)]))), "8 9 Hidden:10-13 14 15");
}

#[test]
fn what_a_sync_does_not_list_begins_with_the_own_join() {
    let mut t = timelines();
    t.live("c", vec![member(14, Kind::Joined, "ada"), message(15)]);
    t.live("d", vec![message(7)]);
    assert_eq!(told(t.all_listed()), "", "it had begun before");
    t.asked();
    assert_eq!(told(t.all_listed()), "14 15");
    assert_eq!(told(t.all_listed()), "", "of d nothing is known yet");
}

#[test]
fn a_hole_that_is_too_long_is_looked_at_by_a_sync_first() {
    let mut t = timelines();
    t.listed(&listed(6, &[(1, 0)]), true);
    assert_eq!(told(t.live("c", vec![member(5_000, Kind::Joined, "ada")])), "");
    assert!(t.unknown && !t.has_holes());
    assert_eq!(told(t.listed(&listed(5_000, &[(1, 0)]), false)), "TooFar:7-5000");
    // Where most of it is hidden it is filled.
    let mut t = timelines();
    t.listed(&listed(6, &[(1, 6)]), true);
    t.live("c", vec![member(5_000, Kind::Joined, "ada")]);
    assert_eq!(told(t.listed(&listed(5_000, &[(1, 6), (5_000, 0)]), false)), "");
    assert_eq!(t.take_hole(), Some(("c".into(), 6)));
}

#[test]
fn where_all_is_visible_what_is_told_begins_with_the_join() {
    let mut t = timelines();
    t.live("c", vec![member(14, Kind::Joined, "ada"), message(15)]);
    assert_eq!(told(t.listed(&listed(15, &[(1, 0)]), false)), "TooFar:1-13 14 15");
    assert!(!t.has_holes());
}

#[test]
fn another_persons_join_does_not_begin_a_timeline() {
    let mut t = timelines();
    assert_eq!(told(t.live("c", vec![member(4, Kind::Joined, "bob")])), "");
    assert!(t.unknown);
    // Joined at 3, which was lost on the way.
    assert_eq!(told(t.listed(&listed(4, &[(3, 0)]), false)), "");
    assert_eq!(t.take_hole(), Some(("c".into(), 2)));
    assert_eq!(told(t.page(page(&[3, 4], 0, 4, &[(3, 0)]))), "3 4");
}

#[test]
fn a_first_sync_begins_at_the_end_and_a_later_one_fills() {
    let mut t = timelines();
    assert_eq!(told(t.listed(&listed(8, &[(1, 0)]), true)), "");
    assert!(!t.has_holes());
    assert_eq!(told(t.live("c", vec![message(9)])), "9");
    t.listed(&listed(12, &[(1, 0)]), false);
    assert_eq!(t.take_hole(), Some(("c".into(), 9)));
}

#[test]
fn a_removal_while_away_ends_at_the_visible_end() {
    let mut t = timelines();
    t.listed(&listed(3, &[(1, 0)]), true);
    t.listed(&listed(5, &[(1, 5), (8, 9)]), false);
    t.take_hole();
    let mut read = page(&[4, 5, 8, 9], 0, 9, &[(1, 5), (8, 9)]);
    read.entries[0].seq = 4;
    assert_eq!(told(t.page(read)), "4 5 Hidden:6-7 8 9");
    assert!(!t.has_holes());
}

#[test]
fn what_the_log_does_not_give_is_told_and_does_not_stop_the_rest() {
    let mut t = timelines();
    t.live("c", vec![member(1, Kind::Created, "x")]);
    t.live("c", vec![message(4)]);
    let mut all = String::new();
    for _ in 0..MAX_FRUITLESS {
        let Some(_) = t.take_hole() else { break };
        all.push_str(&told(t.page(page(&[], 0, 4, &[(1, 0)]))));
    }
    assert_eq!(all, "Missing:2-3 4");
    assert!(!t.has_holes());
}

#[test]
fn a_hole_beyond_the_bound_is_told_instead_of_filled() {
    let mut t = timelines();
    t.listed(&listed(3, &[(1, 0)]), true);
    assert_eq!(told(t.listed(&listed(2_000, &[(1, 0)]), false)), "TooFar:4-2000");
    assert!(!t.has_holes());
    assert_eq!(told(t.live("c", vec![message(2_001)])), "2001");
}
