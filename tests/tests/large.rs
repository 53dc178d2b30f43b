//! Conversations that are published once for all gateways: two gateways and two routing instances, and more
//! members than `routing.direct_members`. Who is a member is shown everything once; nobody else anything.

use std::time::Duration;

use futures_util::future::join_all;
use posthorn_client::proto::{Entry, Kind, Role, Sync, client_frame::Request, server_frame::Frame};
use posthorn_clock::{Instant, sleep, timeout};
use posthorn_gateway::conversations::change;
use posthorn_proto::internal::member_change::Op;

use crate::{
    fleet::{Fleet, LIMIT, backend},
    raw::{Raw, seqs},
};

const HALL: &str = "the.hall";
const MEMBERS: [&str; 5] = ["ann", "ben", "cyd", "dan", "eve"];

async fn fleet() -> Fleet {
    Fleet::start_with(|config| {
        config.routing.direct_members = 3;
        config.edge.follow_ms = 300;
    })
    .await
}

/// The members at both gateways, one of them at each, in a conversation that is new.
async fn meet(fleet: &Fleet) -> Vec<Raw> {
    let mut people = Vec::new();
    for (gateway, user) in [(0, "ann"), (1, "ben"), (0, "cyd"), (1, "cyd"), (1, "dan"), (0, "eve")] {
        let mut person = fleet.join(gateway, user).await;
        sync(&mut person).await;
        people.push(person);
    }
    fleet.create(HALL, &MEMBERS).await;
    for person in &mut people {
        assert_eq!(seqs(&come(person, 1).await), [1]);
    }
    people
}

async fn come(person: &mut Raw, seq: u64) -> Vec<Entry> {
    person.entries_to(HALL, seq).await.expect("they come")
}

/// The first says something `count` times; everybody is shown that and nothing else, within `within`.
async fn talk(people: &mut [Raw], count: usize, within: Duration) -> u64 {
    let mut said = Vec::new();
    for _ in 0..count {
        said.push(people[0].say(HALL, "hello").await.expect("sends go on").seq);
    }
    let (begun, last) = (Instant::now(), *said.last().expect("something"));
    for came in join_all(people.iter_mut().map(|person| come(person, last))).await {
        assert_eq!(seqs(&came), said);
    }
    assert!(begun.elapsed() < within, "{:?}", begun.elapsed());
    last
}

fn undisturbed(people: &[Raw]) {
    for person in people {
        assert!(person.events.is_empty(), "{:?}", person.events);
    }
}

async fn sync(person: &mut Raw) {
    let synced = person.ask(Request::Sync(Sync::default())).await.expect("answered");
    assert!(matches!(synced, Frame::Sync(_)), "{synced:?}");
}

async fn change_member(fleet: &Fleet, op: Op, user: &str) -> u64 {
    let gateway = fleet.nodes[0].0.gateway().expect("a gateway");
    let changes = vec![change(op, user, Role::Member)];
    gateway.change_members(&backend(), HALL, changes).await.expect("changed").seq
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let held = timeout(LIMIT, async {
        while !holds() {
            sleep(Duration::from_millis(20)).await;
        }
    });
    held.await.unwrap_or_else(|_| panic!("{what}"));
}

/// Publications by name, and on conversations' subjects.
fn published(fleet: &Fleet) -> [u64; 2] {
    ["broker_publications_total", "broker_large_publications_total"]
        .map(|name| fleet.metric(2, name) + fleet.metric(3, name))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_entry_is_published_once_for_all_gateways_and_shown_once_to_every_member() {
    let fleet = fleet().await;
    let mut people = meet(&fleet).await;
    talk(&mut people, 1, LIMIT).await;
    let before = published(&fleet);
    talk(&mut people, 10, LIMIT).await;
    let after = published(&fleet);
    assert_eq!([after[0] - before[0], after[1] - before[1]], [0, 10]);
    assert_eq!([0, 1].map(|gateway| fleet.metric(gateway, "edge_followed_conversations")), [1, 1]);

    // Whoever comes later has it from what they knew when they came on.
    let mut later = fleet.join(1, "eve").await;
    sync(&mut later).await;
    people.push(later);
    talk(&mut people, 3, LIMIT).await;
    undisturbed(&people);
    // And who asks for nothing is told to read it.
    let mut silent = fleet.join(0, "dan").await;
    let resync = silent.until(|event| match event {
        Frame::Resync(resync) => Some(resync.conversations.clone()),
        _ => None,
    });
    assert_eq!(resync.await.expect("it comes"), [HALL]);
    people.push(silent);
    talk(&mut people, 3, LIMIT).await;

    // Nobody follows it any more: nothing is left of it.
    drop(people);
    for gateway in [0, 1] {
        until("it is left", || {
            fleet.metric(gateway, "edge_followed_conversations") + fleet.metric(gateway, "edge_conversation_subjects")
                == 0
        })
        .await;
    }
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_removed_is_shown_that_and_nothing_after_and_who_joins_all_from_there() {
    let fleet = fleet().await;
    let mut people = meet(&fleet).await;
    // At a gateway that does not follow it, and with nothing said for them.
    let mut guest = fleet.join(1, "gus").await;
    sync(&mut guest).await;
    for round in 0..3 {
        let last = talk(&mut people, 2, LIMIT).await;
        let removed = change_member(&fleet, Op::Remove, "ben").await;
        let joined = change_member(&fleet, Op::Add, "gus").await;
        assert_eq!((removed, joined), (last + 1, last + 2));
        let said = people[0].say(HALL, "without ben").await.expect("sent").seq;
        for (at, person) in people.iter_mut().enumerate().filter(|(at, _)| *at != 1) {
            assert_eq!(seqs(&come(person, said).await), [removed, joined, said], "{at}");
        }
        let came = come(&mut guest, said).await;
        assert_eq!((seqs(&came), came[0].kind()), (vec![joined, said], Kind::Joined), "{round}");
        let came = come(&mut people[1], removed).await;
        assert_eq!((seqs(&came), came[0].kind()), (vec![removed], Kind::Removed));
        // Nothing of it is on the way to ben: he is shown his return as the next.
        let (left, back) =
            (change_member(&fleet, Op::Remove, "gus").await, change_member(&fleet, Op::Add, "ben").await);
        for (at, person) in people.iter_mut().enumerate() {
            let expected = if at == 1 { vec![back] } else { vec![left, back] };
            assert_eq!(seqs(&come(person, back).await), expected, "{at}");
        }
        assert_eq!(seqs(&come(&mut guest, left).await), [left]);
    }
    // It becomes small, and large again.
    for user in ["eve", "dan"] {
        let left = change_member(&fleet, Op::Remove, user).await;
        for person in &mut people[..4] {
            come(person, left).await;
        }
    }
    let before = published(&fleet)[1];
    talk(&mut people[..4], 3, LIMIT).await;
    assert_eq!(published(&fleet)[1], before);
    until("it is left", || fleet.metric(0, "edge_followed_conversations") == 0).await;
    let joined = change_member(&fleet, Op::Add, "gus").await;
    for person in people[..4].iter_mut().chain([&mut guest]) {
        assert_eq!(seqs(&come(person, joined).await), [joined]);
    }
    talk(&mut people[..4], 3, LIMIT).await;
    assert_eq!(published(&fleet)[1], before + 4);
    undisturbed(&people[..4]);
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_bus_loses_of_it_is_read_from_the_log_also_the_last_and_while_the_bus_is_away() {
    let fleet = fleet().await;
    let mut people = meet(&fleet).await;
    talk(&mut people, 1, LIMIT).await;
    for every in [3, 2, 1] {
        fleet.lose(every);
        for count in [1, 3] {
            talk(&mut people, count, Duration::from_secs(5)).await;
        }
    }
    fleet.lose(0);
    assert!((0..2).all(|gateway| fleet.metric(gateway, "edge_entries_read_total") > 0));
    talk(&mut people, 3, Duration::from_secs(5)).await;
    fleet.bus(false);
    for _ in 0..3 {
        talk(&mut people, 2, Duration::from_secs(5)).await;
        sleep(Duration::from_millis(500)).await;
    }
    // Who comes meanwhile follows it all the same.
    let mut later = fleet.join(1, "ann").await;
    sync(&mut later).await;
    people.push(later);
    talk(&mut people, 2, Duration::from_secs(5)).await;
    fleet.bus(true);
    for _ in 0..3 {
        talk(&mut people, 2, Duration::from_secs(5)).await;
        sleep(Duration::from_millis(400)).await;
    }
    undisturbed(&people);
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_without_room_for_its_subject_asks_and_shows_it_all_the_same() {
    let fleet = Fleet::start_with(|config| {
        config.routing.direct_members = 3;
        config.edge.max_conversation_subjects = 1;
    })
    .await;
    let mut people = Vec::new();
    for (gateway, user) in [(0, "ann"), (1, "ben")] {
        people.push(fleet.join(gateway, user).await);
    }
    fleet.create("other", &MEMBERS).await;
    for gateway in [0, 1] {
        until("it is heard", || fleet.metric(gateway, "edge_conversation_subjects") == 1).await;
    }
    fleet.create(HALL, &MEMBERS).await;
    for person in &mut people {
        come(person, 1).await;
    }
    for _ in 0..3 {
        talk(&mut people, 2, Duration::from_secs(5)).await;
    }
    assert_eq!([0, 1].map(|gateway| fleet.metric(gateway, "edge_followed_conversations")), [2, 2]);
    assert!((0..2).all(|gateway| fleet.metric(gateway, "edge_entries_read_total") > 0));
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_would_be_one_too_many_is_told_to_come_back() {
    let fleet = Fleet::start_with(|config| (config.routing.direct_members, config.edge.max_followed) = (3, 1)).await;
    let mut ann = fleet.join(0, "ann").await;
    fleet.create(HALL, &MEMBERS).await;
    come(&mut ann, 1).await;
    let mut cyd = fleet.join(0, "cyd").await;
    let refused = cyd.ask(Request::Sync(Sync::default())).await.expect("answered");
    assert!(
        matches!(&refused, Frame::Error(error) if (&*error.code, &*error.limit) == ("overloaded", "edge.max_followed")),
        "{refused:?}"
    );
    sync(&mut ann).await;
    drop(ann);
    until("there is room", || fleet.metric(0, "edge_connections") == 1).await;
    sync(&mut cyd).await;
    let said = people_say(&fleet, "ben").await;
    assert_eq!(seqs(&come(&mut cyd, said).await), [said]);
    fleet.stop().await;
}

async fn people_say(fleet: &Fleet, user: &str) -> u64 {
    let mut person = fleet.join(1, user).await;
    person.say(HALL, "hello").await.expect("sent").seq
}
