//! What an owner keeps in memory alone, and what becomes of it: after a restart, and where memory is
//! bounded.

use posthorn_errors::Code;
use posthorn_node::NodeConfig;
use posthorn_proto::client::{Conversation, Role, Visibility};

use crate::world::World;

const CONVERSATIONS: &str = "posthorn_routing_conversations";
const UNSETTLED: &str = "posthorn_routing_unsettled";
const SETTLED: &str = "posthorn_routing_settled_total";
const EVICTED: &str = "posthorn_routing_evicted_total{what=\"conversation\"}";

fn config(change: impl FnOnce(&mut NodeConfig)) -> NodeConfig {
    let mut config = NodeConfig::default();
    change(&mut config);
    config
}

async fn group(world: &World, name: &str) {
    let members = [("ann".to_owned(), Role::Owner), ("ben".to_owned(), Role::Member)];
    world.create(name, Visibility::All, &members).await.expect("created");
}

async fn say(world: &World, user: &str, name: &str) -> u64 {
    let id = world.fresh_id();
    world.send(user, name, &id, &id, 0, false).await.expect("sent").seq
}

/// So many conversations were taken out of the journal since the start, and none is in it.
async fn settled(world: &World, count: u64) {
    world.until_metric(SETTLED, |settled| settled >= count).await;
    world.until_metric(UNSETTLED, |named| named == 0).await;
}

/// The cursor of a device that knows everything, whose next sync is empty.
async fn caught_up(world: &World, user: &str) -> String {
    let mut cursor = String::new();
    loop {
        let page = world.sync(user, &cursor).await;
        cursor = page.cursor;
        if page.conversations.is_empty() {
            return cursor;
        }
    }
}

fn reads_of(conversations: &[Conversation], user: &str) -> Vec<(String, u64)> {
    let read = |c: &Conversation| c.marks.iter().find(|marks| marks.user == user).map_or(0, |marks| marks.read);
    conversations.iter().map(|c| (c.conversation.clone(), read(c))).collect()
}

/// A tick that came while a device was away is in its next sync, and only there: whether the owner died
/// at once, settled first, or left the memory in between.
#[tokio::test]
async fn a_tick_shows_in_the_sync_after_a_restart() {
    for (settle_marks_ms, settles) in [(60_000, false), (1, true)] {
        let config = config(|config| config.routing.settle_marks_ms = settle_marks_ms);
        let mut world = World::start_with(config).await;
        group(&world, "read").await;
        group(&world, "unread").await;
        let seq = say(&world, "ann", "read").await;
        say(&world, "ann", "unread").await;
        let cursor = caught_up(&world, "ann").await;
        settled(&world, 2).await;
        world.mark("ben", "read", seq).await.expect("marked");
        if settles {
            settled(&world, 3).await;
        }
        world.restart().await;
        let page = world.sync("ann", &cursor).await;
        assert_eq!(reads_of(&page.conversations, "ben"), [("read".to_owned(), seq)], "settles: {settles}");
        // What is loaded while it is asked for comes once more.
        let again = world.sync("ann", &page.cursor).await;
        assert!(again.conversations.iter().all(|c| c.conversation == "read"), "{:?}", again.conversations);
        let again = world.sync("ann", &again.cursor).await;
        assert_eq!(reads_of(&again.conversations, "ben"), []);
        // What was named is not any more.
        settled(&world, u64::from(!settles)).await;
        // Whoever comes after that restart takes versions beyond those of before.
        world.restart().await;
        assert_eq!(reads_of(&world.sync("ann", &again.cursor).await.conversations, "ben"), []);
        let next = say(&world, "ann", "read").await;
        world.mark("ben", "read", next).await.expect("marked");
        let page = world.sync("ann", &again.cursor).await;
        assert_eq!(reads_of(&page.conversations, "ben"), [("read".to_owned(), next)]);
        world.stop().await;
    }
}

#[tokio::test]
async fn the_least_recently_used_conversation_makes_room_and_is_loaded_as_it_was() {
    let world = World::start_with(config(|config| {
        config.routing.max_loaded_conversations = 2;
        config.routing.settle_marks_ms = 1;
    }));
    let world = world.await;
    for (name, count) in [("a", 1), ("b", 2), ("c", 3)] {
        group(&world, name).await;
        settled(&world, count).await;
    }
    assert!(world.metric(CONVERSATIONS) <= 2 && world.metric(EVICTED) >= 1);
    let cursor = caught_up(&world, "ann").await;
    let seq = say(&world, "ann", "a").await;
    world.mark("ben", "a", seq).await.expect("marked");
    settled(&world, 4).await;
    let evicted = world.metric(EVICTED);
    say(&world, "ben", "b").await;
    say(&world, "ben", "c").await;
    assert!(world.metric(EVICTED) > evicted && world.metric(CONVERSATIONS) <= 2);
    // The mark's version outlives the memory.
    let page = world.sync("ann", &cursor).await;
    let mut reads = reads_of(&page.conversations, "ben");
    reads.sort();
    assert_eq!(reads[0], ("a".to_owned(), seq));
    assert_eq!(reads.len(), 3, "each of them has news: {reads:?}");
    assert_eq!(page.total_unread, 2);
    let id = world.fresh_id();
    let first = world.send("ben", "a", &id, "once", seq, false).await.expect("sent");
    for name in ["b", "c"] {
        say(&world, "ann", name).await;
    }
    let again = world.send("ben", "a", &id, "once", seq, true).await.expect("found");
    assert_eq!((again.seq, again.duplicate), (first.seq, true));
    world.stop().await;
}

/// Method: the only place is taken by a conversation that may not leave, since marks of its members are
/// not settled.
#[tokio::test]
async fn what_has_something_to_settle_stays_and_who_finds_no_room_may_try_again() {
    let world = World::start_with(config(|config| config.routing.max_loaded_conversations = 1)).await;
    group(&world, "b").await;
    settled(&world, 1).await;
    group(&world, "a").await;
    settled(&world, 2).await;
    let seq = say(&world, "ann", "a").await;
    world.mark("ben", "a", seq).await.expect("marked");
    world.until_metric(UNSETTLED, |named| named == 1).await;
    let id = world.fresh_id();
    let refused = world.send("ann", "b", &id, "no room", 0, false).await.expect_err("refused");
    assert_eq!((refused.code, refused.limit.as_str()), (Code::Overloaded, "routing.max_loaded_conversations"));
    assert!(refused.retry_after_ms > 0 && refused.code.retryable() && refused.code.side_effect_free());
    assert_eq!(world.metric("posthorn_routing_no_room_total{what=\"conversation\"}"), 1);
    // What is there goes on.
    assert_eq!(say(&world, "ben", "a").await, seq + 1);
    world.stop().await;
}

#[tokio::test]
async fn the_least_recently_used_user_makes_room_and_keeps_their_registers() {
    let world = World::start_with(config(|config| config.routing.max_loaded_users = 1)).await;
    group(&world, "a").await;
    let seq = say(&world, "ann", "a").await;
    world.mark("ben", "a", seq).await.expect("marked");
    for (user, unread) in [("ann", 0), ("ben", 0), ("ann", 0)] {
        let page = world.sync(user, "").await;
        assert_eq!((page.conversations.len(), page.total_unread), (1, unread), "{user}");
    }
    assert!(world.metric("posthorn_routing_evicted_total{what=\"user\"}") >= 3);
    assert_eq!(world.metric("posthorn_routing_users"), 1);
    world.stop().await;
}
