use posthorn_bus::{Delivery, Subscription, memory::MemoryBus};
use posthorn_clock::sleep;
use posthorn_proto::{client::TypingNow, internal::Heard};
use posthorn_telemetry::Metrics;

use super::*;

fn typing() -> Publication {
    let what = What::Typing(TypingNow { conversation: "c".into(), user: "ann".into(), active: true });
    Publication { tenant: "t".into(), connections: vec![1], what: Some(what), ..Publication::default() }
}

fn links(config: &RoutingConfig, tasks: &Tasks) -> (Links, Arc<MemoryBus>, CancellationToken) {
    let (bus, fenced) = (MemoryBus::new(), CancellationToken::new());
    let metrics = Arc::new(RoutingMetrics::new(&Metrics::default()));
    (Links::new(config, bus.clone(), "me".into(), metrics, tasks.clone(), fenced.clone()), bus, fenced)
}

/// The next publication: its number, and the interval where it is a heartbeat.
async fn next(subscription: &mut Box<dyn Subscription>) -> (u64, Option<u64>) {
    match subscription.next().await {
        Some(Delivery::Message(bytes)) => {
            let publication = Publication::decode(bytes).expect("decodes");
            assert_eq!(publication.publisher, "me");
            match publication.what {
                Some(What::Heartbeat(beat)) => (publication.number, Some(beat.interval_ms)),
                _ => (publication.number, None),
            }
        }
        other => panic!("{other:?}"),
    }
}

fn question(heard: &[(&str, u64, u64)]) -> MissedRequest {
    let heard = heard.iter().map(|&(publisher, own, all)| Heard { publisher: publisher.into(), own, all, moved: 0 });
    MissedRequest { gateway: "g".into(), heard: heard.collect() }
}

/// The numbers that are there beyond, and the last.
fn numbers(missed: Option<Missed>) -> (Vec<u64>, u64) {
    let missed = missed.expect("an answer");
    let number = |bytes: &Bytes| Publication::decode(bytes.clone()).expect("decodes").number;
    (missed.publications.iter().map(number).collect(), missed.last)
}

#[tokio::test(start_paused = true)]
async fn a_link_says_its_last_number_at_a_steady_interval_also_when_it_is_silent() {
    let tasks = Tasks::new();
    let config = RoutingConfig { link_beat_ms: 1_000, link_idle_ms: 3_500, ..RoutingConfig::default() };
    let (links, bus, _) = links(&config, &tasks);
    let mut all = bus.subscribe(ALL_GATEWAYS).await.expect("subscribes");
    let mut own = bus.subscribe("gateway.g").await.expect("subscribes");
    assert_eq!(next(&mut all).await, (0, Some(1_000)), "whoever has published nothing beats too");
    let begun = Instant::now();
    links.publish("gateway.g", typing()).await;
    links.publish("gateway.g", typing()).await;
    assert_eq!([next(&mut own).await, next(&mut own).await], [(1, None), (2, None)]);
    for beat in 0..4 {
        assert_eq!((next(&mut own).await, begun.elapsed().as_secs()), ((2, Some(1_000)), beat));
    }
    // Nothing went over it for long enough; the number stays known.
    assert_eq!((next(&mut own).await, begun.elapsed().as_secs()), ((2, Some(0)), 4));
    sleep(Duration::from_secs(60)).await;
    links.publish("gateway.g", typing()).await;
    assert_eq!(next(&mut own).await, (3, None));
}

#[tokio::test(start_paused = true)]
async fn a_gateway_is_told_what_it_misses_as_far_as_memory_has_it() {
    let tasks = Tasks::new();
    let one = typing().encode_to_vec().len() + "me".len() + 4;
    let (links, _bus, _) = links(&RoutingConfig { max_replay_bytes: 3 * one, ..RoutingConfig::default() }, &tasks);
    for _ in 0..5 {
        links.publish("gateway.g", typing()).await;
        sleep(Duration::from_millis(1)).await;
    }
    links.publish(ALL_GATEWAYS, typing()).await;
    sleep(Duration::from_millis(1)).await;
    let asked = |heard: &[(&str, u64, u64)]| links.missed(&question(heard));
    assert_eq!(numbers(asked(&[("me", 3, 0)]).own), (vec![4, 5], 5));
    assert_eq!(numbers(asked(&[("me", 3, 0)]).all), (vec![1], 1));
    assert_eq!(numbers(asked(&[("me", 5, u64::MAX)]).own), (vec![], 5));
    assert_eq!(numbers(asked(&[("me", 5, u64::MAX)]).all), (vec![], 1));
    assert_eq!(numbers(asked(&[("other", 9, 9)]).own), (vec![3, 4, 5], 5), "the oldest are gone, and it shows");
    assert_eq!(numbers(asked(&[("other", 9, 9)]).all), (vec![], 1));
    let elsewhere = MissedRequest { gateway: "h".into(), ..question(&[]) };
    assert_eq!(numbers(links.missed(&elsewhere).own), (vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_says_so_behind_all_that_waited_and_who_was_fenced_falls_silent() {
    for fenced in [false, true] {
        let tasks = Tasks::new();
        let (links, bus, fence) = links(&RoutingConfig::default(), &tasks);
        let mut own = bus.subscribe("gateway.g").await.expect("subscribes");
        for _ in 0..3 {
            links.publish("gateway.g", typing()).await;
        }
        if fenced {
            fence.cancel();
        }
        tasks.stop();
        assert!(tasks.ended(Duration::from_secs(5)).await);
        let mut heard = Vec::new();
        while heard.last().is_none_or(|&(number, _)| number < 3) {
            heard.push(next(&mut own).await);
        }
        assert_eq!(heard, [(1, None), (2, None), (3, None)]);
        let more = timeout(Duration::from_secs(1), next(&mut own)).await.ok();
        assert_eq!(more, if fenced { None } else { Some((3, Some(0))) });
    }
}

#[test]
fn only_the_connection_at_its_own_gateway_is_left_out() {
    use crate::fanout::Origin;
    let caller = |gateway: &str, connection| posthorn_proto::internal::Caller {
        gateway: gateway.into(),
        connection,
        ..Default::default()
    };
    assert_ne!(Origin::of(&caller("g", 7)), Origin::of(&caller("h", 7)));
    assert_eq!([Origin::of(&caller("", 7)), Origin::of(&caller("g", 0))], [None, None]);
}

#[tokio::test(start_paused = true)]
async fn a_publication_says_what_goes_before_it_on_other_subjects() {
    let tasks = Tasks::new();
    let (links, bus, _) = links(&RoutingConfig::default(), &tasks);
    let mut subscriptions = Vec::new();
    for subject in [ALL_GATEWAYS, "gateway.g", "gateway.h"] {
        subscriptions.push(bus.subscribe(subject).await.expect("subscribes"));
    }
    // To g, to all, to all, to h, to g, to all.
    for at in [1, 0, 0, 2, 1, 0] {
        links.publish([ALL_GATEWAYS, "gateway.g", "gateway.h"][at], typing()).await;
    }
    let mut published = Vec::new();
    for (subscription, how_many) in subscriptions.iter_mut().zip([3, 2, 1]) {
        let mut of_subject = Vec::new();
        while of_subject.len() < how_many {
            let Some(Delivery::Message(bytes)) = subscription.next().await else { panic!("the bus is gone") };
            let publication = Publication::decode(bytes).expect("decodes");
            if matches!(publication.what, Some(What::Typing(_))) {
                let mut before: Vec<_> =
                    publication.after_own.into_iter().map(|place| (place.subject, place.number)).collect();
                before.sort();
                of_subject.push((publication.number, publication.after_all, before));
            }
        }
        published.push(of_subject);
    }
    let place = |subject: &str, number| (subject.to_owned(), number);
    let both = vec![place("gateway.g", 2), place("gateway.h", 1)];
    assert_eq!(published[0], [(1, 0, vec![place("gateway.g", 1)]), (2, 0, vec![]), (3, 0, both)]);
    assert_eq!(published[1], [(1, 0, vec![]), (2, 2, vec![])]);
    assert_eq!(published[2], [(1, 2, vec![])]);
}
