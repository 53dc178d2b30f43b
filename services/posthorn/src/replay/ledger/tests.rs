use posthorn_client::proto::{Body, Connected, Entries, Membership, Resync};

use super::*;

/// ada and bob from the start; eve joins at 3 and leaves at 6.
fn ledger() -> (Arc<Ledger>, Plan) {
    let plan = Plan::of(
        b"<ada> one\n=== eve has joined #x\n<bob> two\n<ada> three\n=== eve has left #x\n<bob> four\n<ada> five\n",
    );
    let number: Vec<u32> = (0..plan.users.len() as u32).collect();
    let expected = Expected::new(&plan, "c".into(), &number, |line| format!("m{line}"));
    (Arc::new(Ledger::new(vec![expected])), plan)
}

fn watcher(user: &str) -> (Watcher, Arc<Ledger>, u32) {
    let (ledger, plan) = ledger();
    let number = plan.users.iter().position(|(id, _)| id == user).unwrap();
    let seats = vec![(0, plan.seats[number].clone())];
    (Watcher::new(Arc::clone(&ledger), number as u32, seats), ledger, number as u32)
}

/// The entry that the log has at this seq.
fn entry(seq: u64) -> Entry {
    let said = |author: &str, line: u64, text: &str| Entry {
        kind: Kind::Message.into(),
        author: author.into(),
        message_id: format!("m{line}"),
        body: Some(Body { text: text.into(), ..Body::default() }),
        ..Entry::default()
    };
    let member = |kind: Kind| Entry {
        kind: kind.into(),
        author: "system".into(),
        body: Some(Body { member: Some(Membership { user: "eve".into(), role: 1 }), ..Body::default() }),
        ..Entry::default()
    };
    let entry = match seq {
        1 => Entry { kind: Kind::Created.into(), ..Entry::default() },
        2 => said("ada", 0, "one"),
        3 => member(Kind::Joined),
        4 => said("bob", 2, "two"),
        5 => said("ada", 3, "three"),
        6 => member(Kind::Removed),
        7 => said("bob", 5, "four"),
        _ => said("ada", 6, "five"),
    };
    Entry { seq, ..entry }
}

fn raw(watcher: &Watcher, seqs: &[u64]) {
    let entries = seqs.iter().map(|&seq| entry(seq)).collect();
    let frame = Frame::Entries(Entries { conversation: "c".into(), entries });
    watcher.frame(&ServerFrame { id: 0, frame: Some(frame) });
}

fn sdk(watcher: &Watcher, seqs: &[u64]) {
    let entries = seqs.iter().map(|&seq| entry(seq)).collect();
    watcher.event(Event::Entries { conversation: "c".into(), entries });
}

/// duplicated, reordered, gaps, mismatched, wrong recipients
fn faults(ledger: &Ledger) -> [u64; 5] {
    let f = &ledger.faults;
    [&f.duplicated, &f.reordered, &f.gaps, &f.mismatched, &f.wrong_recipients].map(|counter| counter.load(Relaxed))
}

#[tokio::test(start_paused = true)]
async fn what_is_due_is_messages_of_others_within_the_seats() {
    let (ledger, plan) = ledger();
    let due = |user: &str| {
        let number = plan.users.iter().position(|(id, _)| id == user).unwrap();
        plan.seats[number].iter().map(|&(from, to)| ledger.expected[0].of_others(number as u32, from, to)).sum::<u64>()
    };
    assert_eq!((due("ada"), due("bob"), due("eve")), (2, 3, 2));
    assert_eq!((ledger.expected[0].head_seq(), ledger.expected[0].countable_up_to(u64::MAX)), (8, 5));
}

#[tokio::test(start_paused = true)]
async fn a_clean_run_counts_no_fault_and_every_delivery() {
    let (w, ledger, user) = watcher("bob");
    raw(&w, &[1, 2, 3]);
    raw(&w, &[4, 5, 6, 7, 8]);
    sdk(&w, &[1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(faults(&ledger), [0; 5]);
    assert_eq!(ledger.seen.load(Relaxed), ledger.expected[0].of_others(user, 1, 8));
}

#[tokio::test(start_paused = true)]
async fn raw_faults_are_those_of_one_connection() {
    let (w, ledger, _) = watcher("bob");
    raw(&w, &[1, 2, 2]);
    assert_eq!(faults(&ledger), [1, 0, 0, 0, 0]);
    raw(&w, &[4, 3, 3]);
    assert_eq!(faults(&ledger), [1, 2, 1, 0, 0]);
    // A new connection begins wherever it begins.
    w.frame(&ServerFrame { id: 1, frame: Some(Frame::Connected(Connected::default())) });
    raw(&w, &[2, 3]);
    assert_eq!(faults(&ledger), [1, 2, 1, 0, 0]);
    // An announced hole is none.
    w.frame(&ServerFrame { id: 0, frame: Some(Frame::Resync(Resync::default())) });
    raw(&w, &[6]);
    raw(&w, &[8]);
    assert_eq!(faults(&ledger), [1, 2, 2, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn behind_the_sdk_every_visible_hole_counts() {
    let (w, ledger, _) = watcher("ada");
    sdk(&w, &[1, 2, 4, 4, 3, 5]);
    assert_eq!(faults(&ledger), [1, 1, 1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn what_one_may_not_see_and_what_is_not_as_sent_is_noted() {
    let (w, ledger, _) = watcher("eve");
    raw(&w, &[3, 4, 5, 6]);
    assert_eq!(faults(&ledger), [0; 5]);
    raw(&w, &[7]);
    assert_eq!(faults(&ledger), [0, 0, 0, 0, 1]);
    let (w, ledger, _) = watcher("bob");
    let mut forged = entry(2);
    forged.author = "eve".into();
    w.event(Event::Entries { conversation: "c".into(), entries: vec![entry(1), forged] });
    assert_eq!(faults(&ledger), [0, 0, 0, 1, 0]);
    let (w, ledger, _) = watcher("bob");
    sdk(&w, &[1]);
    w.event(Event::Entries { conversation: "c".into(), entries: vec![Entry { seq: 9, ..entry(8) }] });
    assert_eq!(faults(&ledger)[3], 1);
}

#[test]
fn both_ways_to_read_the_log_give_the_same_fingerprint() {
    use posthorn_client::backend::{LogEntry, LogMember};
    let (_, plan) = (0, Plan::default());
    assert_eq!(plan.head_seq(), 1);
    let log = LogEntry {
        seq: 2,
        kind: "message".into(),
        author: "ada".into(),
        text: Some("one".into()),
        message_id: "m0".into(),
        ..LogEntry::default()
    };
    assert_eq!(print_of_log(&log), print_of_entry(&entry(2)));
    assert_ne!(print_of_log(&LogEntry { style: Some("action".into()), ..log }), print_of_entry(&entry(2)));
    let member = Some(LogMember { user: "eve".into(), role: "member".into() });
    let joined = LogEntry { seq: 3, kind: "joined".into(), author: "system".into(), member, ..LogEntry::default() };
    assert_eq!(print_of_log(&joined), print_of_entry(&entry(3)));
}
