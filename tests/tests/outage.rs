//! Live delivery while the bus loses messages, or is away: two gateways and two routing instances on one
//! store. Nobody reconnects, nobody reads from the log; what people are shown comes live, in order and once.

use std::time::Duration;

use futures_util::future::join_all;
use posthorn_client::proto::server_frame::Frame;
use posthorn_clock::{Instant, sleep};
use posthorn_node::Role;

use crate::{
    fleet::{Fleet, LIMIT},
    raw::{Raw, seqs},
};

/// People at both gateways, and what each has seen of every conversation.
struct People {
    people: Vec<Raw>,
    conversations: Vec<String>,
    seq: u64,
}

impl People {
    async fn meet(fleet: &Fleet) -> Self {
        let mut people = Vec::new();
        for (gateway, user) in [(0, "ann"), (1, "ben"), (0, "cyd"), (1, "cyd")] {
            people.push(fleet.join(gateway, user).await);
        }
        let conversations: Vec<String> = (0..8).map(|n| format!("c{n}")).collect();
        for conversation in &conversations {
            fleet.create(conversation, &["ann", "ben", "cyd"]).await;
        }
        Self { people, conversations, seq: 1 }
    }

    /// Ann says something everywhere; everybody is shown it, as the next entry, within `within`.
    async fn talk(&mut self, within: Duration) {
        self.seq += 1;
        for conversation in &self.conversations {
            let sent = self.people[0].say(conversation, "hello").await.expect("sends go on");
            assert_eq!(sent.seq, self.seq);
        }
        let begun = Instant::now();
        let (seq, conversations) = (self.seq, &self.conversations);
        let from = if seq == 2 { 1 } else { seq };
        join_all(self.people.iter_mut().map(|person| async move {
            for conversation in conversations {
                let came = person.entries_to(conversation, seq).await.expect("it comes");
                assert_eq!(seqs(&came), (from..=seq).collect::<Vec<_>>(), "{conversation}");
            }
        }))
        .await;
        assert!(begun.elapsed() < within, "{:?}", begun.elapsed());
    }

    /// Nothing came twice, and nobody was told to read or to come back.
    fn undisturbed(&self) {
        for person in &self.people {
            let left: Vec<&Frame> = person.events.iter().filter(|event| !matches!(event, Frame::Marks(_))).collect();
            assert!(left.is_empty(), "{left:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_bus_loses_is_shown_all_the_same_also_the_last_of_it() {
    let fleet = Fleet::start().await;
    let mut people = People::meet(&fleet).await;
    people.talk(LIMIT).await;
    for every in [3, 2, 1] {
        fleet.lose(every);
        for _ in 0..3 {
            people.talk(Duration::from_secs(5)).await;
        }
    }
    fleet.lose(0);
    people.talk(Duration::from_secs(5)).await;
    people.undisturbed();
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_bus_is_away_people_see_messages_and_afterwards_nothing_twice() {
    let fleet = Fleet::start().await;
    let mut people = People::meet(&fleet).await;
    people.talk(LIMIT).await;
    for _ in 0..2 {
        fleet.bus(false);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(3) {
            people.talk(Duration::from_secs(5)).await;
        }
        fleet.bus(true);
        for _ in 0..5 {
            people.talk(Duration::from_secs(5)).await;
            sleep(Duration::from_millis(400)).await;
        }
        people.undisturbed();
    }
    // Nobody goes on asking.
    let asked = |fleet: &Fleet| [0, 1].map(|gateway| fleet.metric(gateway, r#"edge_questions_total{result="ok"}"#));
    let before = asked(&fleet);
    assert!(before.iter().all(|&count| count > 0), "{before:?}");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(asked(&fleet), before);
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_starts_while_the_bus_is_away_takes_people_and_shows_them_messages() {
    let mut fleet = Fleet::start().await;
    let mut people = People::meet(&fleet).await;
    people.talk(LIMIT).await;
    fleet.bus(false);
    let late = fleet.add(&[Role::Gateway], false).await;
    let mut dan = fleet.join(late, "dan").await;
    let ready = fleet.nodes[late].0.gateway().expect("a gateway").ready();
    assert_eq!((ready.ready, ready.degraded), (true, vec!["bus"]));
    people.people.push(fleet.join(late, "ben").await);
    for _ in 0..3 {
        people.talk(Duration::from_secs(5)).await;
    }
    fleet.bus(true);
    // A token may have been revoked meanwhile: everybody there is to show it again, elsewhere or here.
    let told = dan.until(|event| match event {
        Frame::Reconnect(reconnect) => Some(reconnect.code.clone()),
        _ => None,
    });
    assert_eq!(told.await.expect("it comes"), "connection_age");
    people.people.pop();
    people.people.push(fleet.join(late, "ben").await);
    for _ in 0..5 {
        people.talk(Duration::from_secs(5)).await;
        sleep(Duration::from_millis(400)).await;
    }
    let ready = fleet.nodes[late].0.gateway().expect("a gateway").ready();
    assert_eq!((ready.ready, ready.degraded), (true, vec![]));
    people.undisturbed();
    fleet.stop().await;
}
