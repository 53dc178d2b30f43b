//! The checker itself: a good history, and for every rule one that was broken by hand and that this rule,
//! and no other, catches.

use posthorn_history::{Event, Item, Kind, Op, Report, Rule, Scope, Sight, check};

const C: &str = "c";

fn event(process: &str, kind: Kind, op: Op) -> Event {
    Event { at_ms: 0, process: process.into(), kind, op }
}

fn ok(process: &str, op: Op) -> Event {
    event(process, Kind::Ok, op)
}

fn body_of(id: &str) -> u64 {
    posthorn_history::body_digest(id.as_bytes())
}

/// `""` is an entry of the server.
fn items(entries: &[(u64, &str)]) -> Vec<Item> {
    let item = |&(seq, id): &(u64, &str)| Item::new(seq, id, if id.is_empty() { 0 } else { body_of(id) });
    entries.iter().map(item).collect()
}

fn send(author: &str, kind: Kind, id: &str, seq: u64, again: bool) -> Event {
    let body = body_of(id);
    let (conversation, id) = (C.to_owned(), id.to_owned());
    event(author, kind, Op::Send { conversation, id, author: author.to_owned(), body, seq, again })
}

fn receive(process: &str, connection: u64, entries: &[(u64, &str)]) -> Event {
    ok(process, Op::Receive { conversation: C.into(), connection, entries: items(entries) })
}

fn read(process: &str, scope: Scope, entries: &[(u64, &str)]) -> Event {
    ok(process, Op::Read { conversation: C.into(), scope, entries: items(entries) })
}

fn join(user: &str, seq: u64) -> Event {
    ok("backend", Op::Join { conversation: C.into(), user: user.into(), seq })
}

fn leave(user: &str, seq: u64) -> Event {
    ok("backend", Op::Leave { conversation: C.into(), user: user.into(), seq })
}

fn mark(process: &str, user: &str, delivered: u64, read: u64) -> Event {
    ok(process, Op::Mark { conversation: C.into(), user: user.into(), delivered, read })
}

fn unread(process: &str, read: u64, unread: u64) -> Event {
    ok(process, Op::Unread { conversation: C.into(), read, unread })
}

fn feed(entries: &[(u64, &str)]) -> Event {
    ok("consumer", Op::Feed { conversation: C.into(), entries: items(entries) })
}

fn presence(user: &str, online: Option<bool>) -> Event {
    ok("a", Op::Presence { user: user.into(), online })
}

/// By seq - 1: created, x by a, y by b, e joins, z by a, e leaves, w by b.
const LOG: [&str; 7] = ["", "x", "y", "", "z", "", "w"];
const E_SEES: (u64, u64) = (4, 6);

/// Entries of a log from one seq to another.
fn part(log: [&'static str; 7], from: u64, to: u64) -> Vec<(u64, &'static str)> {
    (1..).zip(log).filter(|(seq, _)| (from..=to).contains(seq)).collect()
}

/// What b calls `y` ends unknown, `no` is refused; everything else goes well, over a lost connection of a's.
fn story(log: [&'static str; 7]) -> Vec<Event> {
    use Kind::{Fail, Info, Invoke, Ok};
    let connect = |process: &str, resumed| ok(process, Op::Connect { resumed });
    let at = |id: &str| 1 + log.iter().position(|other| *other == id).unwrap() as u64;
    let all = part(log, 1, 7);
    vec![
        join("a", 1),
        join("b", 1),
        connect("a/1", false),
        connect("b", false),
        connect("e", false),
        ok("b", Op::Follow { conversation: C.into(), connection: 0, after: 0 }),
        send("a", Invoke, "x", 0, false),
        send("b", Invoke, "no", 0, false),
        send("b", Fail, "no", 0, false),
        send("a", Ok, "x", at("x"), false),
        send("b", Invoke, "y", 0, false),
        send("b", Info, "y", 0, false),
        join("e", 4),
        send("a", Invoke, "z", 0, false),
        send("a", Ok, "z", at("z"), false),
        receive("a/1", 1, &part(log, 2, 3)),
        receive("a/1", 0, &part(log, 2, 3)),
        receive("e", 0, &part(log, 4, 6)),
        leave("e", 6),
        send("b", Invoke, "w", 0, false),
        send("b", Ok, "w", at("w"), false),
        send("b", Ok, "w", at("w"), true),
        event("a/1", Info, Op::Disconnect),
        connect("a/1", true),
        // What lies between the connections is filled behind the library.
        receive("a/1", 2, &part(log, 5, 7)),
        receive("a/1", 0, &part(log, 4, 7)),
        receive("b", 0, &all),
        ok("test", Op::Settled),
        event("a/1", Invoke, Op::Read { conversation: C.into(), scope: Scope::Whole, entries: Vec::new() }),
        read("a/1", Scope::Whole, &all),
        read("b", Scope::Whole, &all),
        read("b", Scope::Page, &part(log, 3, 5)),
        read("e", Scope::Whole, &part(log, 4, 6)),
        read("backend", Scope::Log, &all),
        mark("b", "b", 7, 2),
        mark("a/1", "b", 7, 3),
        // z, but not w; y and w.
        unread("b", 3, 1),
        unread("a/1", 2, 2),
        feed(&part(log, 1, 4)),
        feed(&part(log, 3, 7)),
        ok("test", Op::Truth { user: "b".into(), online: false }),
        presence("b", Some(true)),
        presence("b", Some(false)),
    ]
}

/// The story with other events in place of one that it has.
fn but(story: &[Event], old: &Event, new: &[Event]) -> Vec<Event> {
    let at = story.iter().position(|event| event == old).expect("the story has it");
    [&story[..at], new, &story[at + 1..]].concat()
}

/// The story without one position of the log, for everybody.
fn without(seq: u64) -> Vec<Event> {
    let mut story = story(LOG);
    for event in &mut story {
        if let Op::Receive { entries, .. } | Op::Read { entries, .. } | Op::Feed { entries, .. } = &mut event.op {
            entries.retain(|item| item.seq != seq);
        }
    }
    story
}

/// Every rule, what happened, and the history in which it did.
fn broken() -> Vec<(Rule, &'static str, Vec<Event>)> {
    let (good, all) = (story(LOG), part(LOG, 1, 7));
    let (whole, log) = (|process: &str| read(process, Scope::Whole, &all), read("backend", Scope::Log, &all));
    let but = |old: Event, new: &[Event]| but(&good, &old, new);
    let also = |after: Event, more: Event| but(after.clone(), &[after, more]);
    let settled = ok("test", Op::Settled);
    let changed = Op::Read { conversation: C.into(), scope: Scope::Page, entries: vec![Item::new(2, "x", 99)] };
    let swapped = part(["", "y", "x", "", "z", "", "w"], 1, 7);
    let mut unread_by_all = good.clone();
    for event in &mut unread_by_all {
        if let Op::Read { entries, .. } = &mut event.op {
            entries.retain(|item| item.seq != 7);
        }
    }
    let mut unsent = good.clone();
    unsent.retain(|event| !matches!(&event.op, Op::Send { id, .. } if id == "y"));
    let early = |read| mark("b", "b", 0, read);
    let of_e = || read("e", Scope::Whole, &part(LOG, E_SEES.0, E_SEES.1));
    let a_later = receive("a/1", 0, &part(LOG, 4, 7));
    vec![
        (Rule::Lost, "no read has what was acknowledged and received", unread_by_all),
        (Rule::Lost, "one read lacks what others have", but(whole("b"), &[read("b", Scope::Whole, &part(LOG, 2, 7))])),
        (
            Rule::Lost,
            "a page has a hole",
            but(read("b", Scope::Page, &part(LOG, 3, 5)), &[read("b", Scope::Page, &[(3, "y"), (5, "z")])]),
        ),
        (
            Rule::Lost,
            "another entry stands where it was acknowledged",
            but(send("a", Kind::Ok, "z", 5, false), &[send("a", Kind::Ok, "z", 6, false)]),
        ),
        (Rule::Changed, "another body", also(settled.clone(), ok("b", changed))),
        (Rule::Invented, "nobody sent it", crate::but(&unsent, &unread("a/1", 2, 2), &[unread("a/1", 2, 1)])),
        (Rule::Refused, "what was refused stands", story(["", "x", "no", "", "z", "", "w"])),
        (
            Rule::Twice,
            "another seq for the second try",
            but(send("b", Kind::Ok, "w", 7, true), &[send("b", Kind::Ok, "w", 6, true)]),
        ),
        (Rule::Twice, "one id at two places", twice()),
        (Rule::Disagreement, "two entries in the other order", but(whole("b"), &[read("b", Scope::Whole, &swapped)])),
        (Rule::RealTime, "before what was acknowledged earlier", story(["", "x", "y", "", "w", "", "z"])),
        (Rule::Hole, "nothing at a seq", crate::but(&without(3), &unread("a/1", 2, 2), &[unread("a/1", 2, 1)])),
        (
            Rule::Reordered,
            "on one connection",
            but(receive("a/1", 1, &part(LOG, 2, 3)), &[receive("a/1", 1, &[(3, "y"), (2, "x")])]),
        ),
        (Rule::Reordered, "within a read", but(of_e(), &[read("e", Scope::Whole, &[(4, ""), (6, ""), (5, "z")])])),
        (Rule::Duplicated, "behind the library", also(settled.clone(), receive("b", 0, &[(7, "w")]))),
        (
            Rule::Duplicated,
            "within a read",
            but(of_e(), &[read("e", Scope::Whole, &[(4, ""), (5, "z"), (5, "z"), (6, "")])]),
        ),
        (
            Rule::Rewound,
            "less than what was received",
            but(whole("a/1"), &[read("a/1", Scope::Whole, &part(LOG, 1, 6))]),
        ),
        (
            Rule::Rewound,
            "without the own message",
            but(send("b", Kind::Ok, "w", 7, true), &[read("b", Scope::Whole, &part(LOG, 1, 6))]),
        ),
        (Rule::Gap, "across a resume", but(a_later.clone(), &[receive("a/1", 0, &part(LOG, 5, 7))])),
        (
            Rule::Gap,
            "on one connection",
            but(receive("a/1", 2, &part(LOG, 5, 7)), &[receive("a/1", 2, &[(5, "z"), (7, "w")])]),
        ),
        (Rule::Gap, "at the beginning", but(receive("b", 0, &all), &[receive("b", 0, &part(LOG, 2, 7))])),
        (
            Rule::Undelivered,
            "the last one never came",
            but(receive("b", 0, &all), &[receive("b", 0, &part(LOG, 1, 6))]),
        ),
        (Rule::Undelivered, "nothing ever came", but(receive("b", 0, &all), &[])),
        (Rule::MarkFell, "lower than told before", also(mark("a/1", "b", 7, 3), mark("a/1", "b", 7, 1))),
        (
            Rule::MarkFell,
            "lower than told before, while others still send",
            but(send("a", Kind::Ok, "z", 5, false), &[send("a", Kind::Ok, "z", 5, false), early(2), early(1)]),
        ),
        (Rule::MarkBeyond, "beyond the log", also(mark("a/1", "b", 7, 3), mark("a/1", "b", 8, 3))),
        (Rule::MarkBeyond, "read and not delivered", also(mark("a/1", "b", 7, 3), mark("a/1", "a", 3, 5))),
        (Rule::Outsider, "received after leaving", also(settled.clone(), receive("e", 0, &[(7, "w")]))),
        (Rule::Outsider, "read from before joining", but(of_e(), &[read("e", Scope::Whole, &part(LOG, 3, 6))])),
        (Rule::Outsider, "marked by a stranger", also(mark("a/1", "b", 7, 3), mark("a/1", "nobody", 2, 2))),
        (Rule::Unread, "one too many", but(unread("b", 3, 1), &[unread("b", 3, 2)])),
        (
            Rule::FeedOrder,
            "a first copy too early",
            but(feed(&part(LOG, 3, 7)), &[feed(&part(LOG, 6, 7)), feed(&part(LOG, 5, 7))]),
        ),
        (Rule::FeedEnd, "the last one never came", but(feed(&part(LOG, 3, 7)), &[feed(&part(LOG, 3, 6))])),
        (Rule::FeedEnd, "the first one never came", but(feed(&part(LOG, 1, 4)), &[feed(&part(LOG, 2, 4))])),
        (Rule::Presence, "still shown", but(presence("b", Some(false)), &[])),
        (Rule::Unanswered, "a send hangs", but(settled.clone(), &[send("a", Kind::Invoke, "late", 0, false), settled])),
        (Rule::Malformed, "an end without a beginning", also(log, send("a", Kind::Info, "ghost", 0, false))),
    ]
}

/// x stands at 2 and, where nobody knows what is at 3, at 3.
fn twice() -> Vec<Event> {
    let story = story(["", "x", "x", "", "z", "", "w"]);
    crate::but(&story, &unread("a/1", 2, 2), &[unread("a/1", 2, 1)])
}

fn rules(report: &Report) -> Vec<Rule> {
    report.broken.keys().copied().collect()
}

#[test]
fn a_good_history_is_good_and_shows_all_that_can_be_expected() {
    let report = check(&story(LOG), &[Sight::Settled, Sight::Resumed, Sight::SentAgain, Sight::WholeRead, Sight::Fed]);
    assert!(report.good(), "{}", report.text());
    assert_eq!(report.events, story(LOG).len() as u64);
}

#[test]
fn every_rule_catches_what_was_broken_by_hand_and_no_other_rule_does() {
    let broken = broken();
    for (rule, what, history) in &broken {
        let report = check(history, &[]);
        assert_eq!(rules(&report), [*rule], "{what}: {}", report.text());
    }
    for rule in Rule::ALL {
        assert!(broken.iter().any(|(broken, ..)| broken == rule), "no history breaks {rule}");
    }
}

/// Not only where somebody thought of it.
#[test]
fn whatever_entry_of_whatever_event_is_altered_swapped_or_repeated_it_is_found() {
    type Alter = fn(&mut Vec<Item>, usize);
    let good = story(LOG);
    let alter: [(&str, Alter); 4] = [
        ("is another", |entries, at| entries[at].id = "ghost".to_owned()),
        ("has another body", |entries, at| entries[at].body = 99),
        ("comes before the one before", |entries, at| entries.swap(at, at - 1)),
        ("comes twice", |entries, at| entries.insert(at, entries[at].clone())),
    ];
    let mut found = 0;
    for (place, event) in good.iter().enumerate() {
        let (Op::Receive { entries, .. } | Op::Read { entries, .. }) = &event.op else { continue };
        for at in 0..entries.len() {
            for (what, alter) in alter {
                // A body that was not looked at is nothing to compare with.
                if (what.contains("body") && entries[at].body == 0) || (what.contains("before") && at == 0) {
                    continue;
                }
                let mut broken = good.clone();
                let (Op::Receive { entries, .. } | Op::Read { entries, .. }) = &mut broken[place].op else { continue };
                alter(entries, at);
                assert!(!check(&broken, &[]).good(), "entry {at} of {event:?} {what}");
                found += 1;
            }
        }
    }
    assert!(found > 100, "{found}");
}

#[test]
fn what_a_reset_declares_is_no_gap() {
    let reset = |connection| ok("a/1", Op::Reset { connection, conversations: vec![C.into()] });
    let (first, later) = (receive("a/1", 2, &part(LOG, 5, 7)), receive("a/1", 0, &part(LOG, 4, 7)));
    let jumps = |n| receive("a/1", n, &[(5, "z")]);
    let last = |n| receive("a/1", n, &[(7, "w")]);
    let declared = but(&story(LOG), &first, &[jumps(2), reset(2), last(2)]);
    let declared = but(&declared, &later, &[reset(0), jumps(0), reset(0), last(0)]);
    let report = check(&declared, &[Sight::ResetSeen]);
    assert!(report.good(), "{}", report.text());
    // Of all conversations, also of those of which nothing came before.
    let all = ok("a/1", Op::Reset { connection: 2, conversations: Vec::new() });
    let follow = ok("a/1", Op::Follow { conversation: C.into(), connection: 2, after: 4 });
    let report = check(&but(&story(LOG), &first, &[all, follow.clone(), last(2)]), &[]);
    assert!(report.good(), "{}", report.text());
    let report = check(&but(&story(LOG), &first, &[follow, last(2)]), &[]);
    assert_eq!(rules(&report), [Rule::Gap], "{}", report.text());
    // Not the first of the two jumps.
    let report = check(&but(&declared, &reset(0), &[]), &[]);
    assert_eq!(rules(&report), [Rule::Gap], "{}", report.text());
}

#[test]
fn what_a_connection_was_told_by_a_sync_is_no_gap_and_what_comes_behind_it_is_none_either() {
    let follow = |after| ok("a/1", Op::Follow { conversation: C.into(), connection: 2, after });
    let (first, one) = (receive("a/1", 2, &part(LOG, 5, 7)), |seq| receive("a/1", 2, &part(LOG, seq, seq)));
    let told = |events: &[Event]| rules(&check(&but(&story(LOG), &first, events), &[]));
    // 4 was on its way before: the sync has all up to 6.
    assert_eq!(told(&[one(4), follow(6), one(7)]), []);
    assert_eq!(told(&[follow(6), one(4), one(7)]), []);
    assert_eq!(told(&[one(4), follow(5), one(7)]), [Rule::Gap]);
    assert_eq!(told(&[follow(5), one(7)]), [Rule::Gap]);
    assert_eq!(told(&[one(5), follow(6), one(4)]), [Rule::Reordered]);
    // Of the first sync alone.
    assert_eq!(told(&[one(4), one(6), follow(6), one(7)]), []);
    assert_eq!(told(&[one(4), one(7), follow(5)]), [Rule::Gap]);
    assert_eq!(told(&[one(4), follow(4), one(6), follow(6), one(7)]), [Rule::Gap]);
    assert_eq!(told(&[one(4), follow(4), follow(6), one(7)]), [Rule::Gap]);
}

#[test]
fn what_never_came_to_rest_owes_nothing_at_the_end() {
    let mut story = story(LOG);
    story.retain(|event| event.op != Op::Settled && *event != receive("b", 0, &part(LOG, 1, 7)));
    let report = check(&story, &[]);
    assert!(report.good(), "{}", report.text());
    assert_eq!(check(&story, &[Sight::Settled]).missing, [Sight::Settled]);
    // Neither does what was broken again.
    let mut again = crate::story(LOG);
    again.push(event("server", Kind::Info, Op::Crash));
    assert_eq!(check(&again, &[Sight::Settled, Sight::Crashed]).missing, [Sight::Settled]);
}

#[test]
fn a_run_that_shows_too_little_is_invalid() {
    let report = check(&story(LOG), &[Sight::Acked, Sight::Faulted, Sight::Crashed]);
    assert!(!report.good() && report.broken.is_empty());
    assert_eq!(report.missing, [Sight::Faulted, Sight::Crashed]);
    assert!(report.text().contains("NOT SEEN crashed"), "{}", report.text());
}

#[test]
fn the_page_of_the_format_names_every_rule_and_every_sight() {
    let page = include_str!("../../../docs/history.md");
    for rule in Rule::ALL {
        assert!(page.contains(&format!("| `{rule}`")), "{rule}");
        assert!(page.contains(rule.invariant()), "{rule}");
    }
    for sight in Sight::ALL {
        assert!(page.contains(sight.as_str()), "{sight}");
    }
}
