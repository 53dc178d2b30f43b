use posthorn_bus::{Delivery, memory::MemoryBus};
use posthorn_core::{ConversationId, TenantId};
use posthorn_telemetry::Metrics;

use super::*;

fn key(conversation: &str) -> ConversationKey {
    let tenant = TenantId::new("t").expect("an id");
    ConversationKey { tenant, conversation: ConversationId::new(conversation).expect("an id") }
}

fn ends(max: usize) -> Ends {
    Ends::new(max, Duration::from_secs(1), Duration::from_secs(60))
}

/// Names and ends, and the last number.
fn told(moved: Moved) -> (Vec<(String, u64)>, u64) {
    assert!(!moved.partial && !moved.more, "{moved:?}");
    (moved.ends.into_iter().map(|end| (end.conversation, end.seq)).collect(), moved.last)
}

fn named(of: &[(&str, u64)]) -> Vec<(String, u64)> {
    of.iter().map(|&(name, seq)| (name.to_owned(), seq)).collect()
}

#[test]
fn who_asks_is_told_what_moved_since_the_last_answer_each_once() {
    let (mut ends, now) = (ends(8), Instant::now());
    assert_eq!(told(ends.since(0)), (named(&[]), 0));
    for (name, seq) in [("a", 1), ("b", 7), ("a", 2)] {
        ends.moved(&key(name), seq, now);
    }
    assert_eq!(told(ends.since(0)), (named(&[("b", 7), ("a", 2)]), 3));
    assert_eq!(told(ends.since(2)), (named(&[("a", 2)]), 3));
    assert_eq!(told(ends.since(3)), (named(&[]), 3));
    assert_eq!(told(ends.since(9)).0.len(), 2, "a number that was never given");
    ends.moved(&key("b"), 6, now);
    assert_eq!(told(ends.since(3)), (named(&[("b", 7)]), 4), "what is said again moves no end back");
}

#[test]
fn what_was_forgotten_at_the_bound_is_told_and_an_answer_is_bounded() {
    let (mut few, now) = (ends(2), Instant::now());
    for name in ["a", "b", "c"] {
        few.moved(&key(name), 1, now);
    }
    let moved = few.since(0);
    assert!(moved.partial && moved.ends.len() == 2);
    assert!(!few.since(1).partial, "who was told of the first has missed nothing");

    let mut many = ends(usize::MAX);
    for n in 0..=MAX_REPLY_ENDS {
        many.moved(&key(&format!("c{n}")), 1, now);
    }
    let first = many.since(0);
    assert!(first.more && first.ends.len() == MAX_REPLY_ENDS);
    assert_eq!(told(many.since(first.last)).0.len(), 1);
}

#[test]
fn an_end_is_said_at_growing_intervals_until_nothing_came_for_long() {
    let (mut ends, begun) = (ends(8), Instant::now());
    ends.moved(&key("a"), 3, begun);
    let mut said = Vec::new();
    for second in 0..200 {
        if second == 100 {
            ends.moved(&key("a"), 4, begun + Duration::from_secs(second));
        }
        let due = ends.due(begun + Duration::from_secs(second));
        said.extend(due.into_iter().map(|(_, seq)| (second, seq)));
    }
    let expected = [1, 3, 7, 15, 31].map(|at| (at, 3)).into_iter().chain([1, 3, 7, 15, 31].map(|at| (100 + at, 4)));
    assert_eq!(said, expected.collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn who_leaves_says_all_ends_once_more_and_who_was_fenced_nothing() {
    for fenced in [false, true] {
        let (bus, tasks, fence) = (MemoryBus::new(), Tasks::new(), CancellationToken::new());
        let metrics = Arc::new(RoutingMetrics::new(&Metrics::default()));
        let large = Large::new(&RoutingConfig::default(), bus.clone(), metrics, &tasks, fence.clone());
        let mut heard = bus.subscribe(&of_conversation("t", "a.b")).await.expect("subscribes");
        large.entries(&key("a.b"), 7, Publication::default()).await;
        if fenced {
            fence.cancel();
        }
        tasks.stop();
        assert!(tasks.ended(Duration::from_secs(5)).await);
        let mut ends = Vec::new();
        while let Ok(Some(Delivery::Message(bytes))) = timeout(Duration::from_secs(1), heard.next()).await {
            if let Some(What::End(end)) = Publication::decode(bytes).expect("decodes").what {
                ends.push((end.tenant, end.conversation, end.seq));
            }
        }
        let end = ("t".to_owned(), "a.b".to_owned(), 7);
        assert_eq!(ends, if fenced { vec![] } else { vec![end] });
    }
}
