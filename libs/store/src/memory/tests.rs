use std::time::Duration;

use posthorn_core::Chain;

use super::*;
use crate::{
    Store,
    conformance::{self, Driver, append, key, owner, read_all, rows, seqs},
};

const SYNC: Duration = Duration::from_millis(4);

fn clock() -> Clock {
    Clock::simulated(1, 0)
}

#[tokio::test(start_paused = true)]
async fn the_model_conforms() {
    conformance::run(async || MemoryStore::new(clock()), async |store| store.restored()).await;
}

#[tokio::test(start_paused = true)]
async fn the_model_with_syncs_conforms() {
    let options = MemoryOptions { sync: SYNC, settle_apart: false };
    conformance::run(async || MemoryStore::with_options(clock(), options), async |store| store.restored()).await;
}

#[tokio::test(start_paused = true)]
async fn the_model_that_settles_apart_conforms() {
    let options = MemoryOptions { sync: SYNC, settle_apart: true };
    conformance::run(async || MemoryStore::with_options(clock(), options), async |store| store.restored()).await;
}

async fn with_syncs(settle_apart: bool) -> Arc<MemoryStore> {
    MemoryStore::with_options(clock(), MemoryOptions { sync: SYNC, settle_apart })
}

#[tokio::test(start_paused = true)]
async fn a_crash_keeps_what_was_acknowledged_and_loses_what_was_not_synced() {
    let store = with_syncs(false).await;
    let driver = Arc::clone(&store) as Driver;
    let lobby = key("t", "lobby");
    let (a, epoch) = owner(&driver, "a", &[&lobby]).await;
    let all = rows(Chain::START, 1..=2, (epoch, 1));
    store.append(append(&lobby, &a, all[..1].to_vec())).await.expect("acknowledged");
    let late = store.append(append(&lobby, &a, all[1..].to_vec()));
    let crash = async {
        posthorn_clock::sleep(SYNC / 2).await;
        assert_eq!(seqs(&read_all(&driver, &lobby).await), [1], "nothing is shown before its sync");
        store.crash()
    };
    let (late, reopened) = tokio::join!(late, crash);
    assert!(late.expect_err("not acknowledged").ambiguous());
    assert!(matches!(store.check(&a).await, Err(StoreError::Unavailable(_))), "the old handle is dead");
    let reopened = reopened as Driver;
    assert_eq!(read_all(&reopened, &lobby).await, all[..1]);
    assert_eq!(reopened.check(&a).await, Ok(true), "what owned before still stands");
    assert_eq!(reopened.shards().await.expect("lists").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_leaves_what_it_wrote_also_if_nobody_heard() {
    let store = with_syncs(false).await;
    let driver = Arc::clone(&store) as Driver;
    let lobby = key("t", "lobby");
    let (a, epoch) = owner(&driver, "a", &[&lobby]).await;
    let write = store.append(append(&lobby, &a, rows(Chain::START, 1..=1, (epoch, 1))));
    let (write, reopened) = tokio::join!(write, async { store.crash_of_process() });
    assert!(write.expect_err("not acknowledged").ambiguous());
    assert_eq!(seqs(&read_all(&(reopened as Driver), &lobby).await), [1]);
}

#[tokio::test(start_paused = true)]
async fn writes_that_wait_share_a_sync_and_one_that_comes_during_it_waits_for_the_next() {
    let store = with_syncs(false).await;
    let begun = Instant::now();
    let register = async |name: &str, after: Duration| {
        posthorn_clock::sleep(after).await;
        store.register(&conformance::instance(name), "here").await.expect("registers");
        begun.elapsed()
    };
    let ms = Duration::from_millis;
    let took = tokio::join!(register("a", ms(0)), register("b", ms(0)), register("c", ms(1)), register("d", ms(3)));
    assert_eq!(took, (SYNC, SYNC, SYNC * 2, SYNC * 2));
}

#[tokio::test(start_paused = true)]
async fn a_settlement_is_seen_at_once_and_lost_with_the_power_until_a_sync_takes_it() {
    let store = with_syncs(true).await;
    let driver = Arc::clone(&store) as Driver;
    let lobby = key("t", "lobby");
    let (a, epoch) = owner(&driver, "a", &[&lobby]).await;
    let write = append(&lobby, &a, rows(Chain::START, 1..=1, (epoch, 1)));
    let (head, members) = (Some(write.head.clone()), Vec::new());
    assert_eq!(store.append(write).await, Ok(false));
    let settle = crate::Settlement { key: lobby.clone(), head, members, feed: Vec::new(), fed_seq: 1, remove: vec![1] };
    store.settle(&a, vec![settle.clone()]).await.expect("settles");
    assert_eq!(store.journal(&a).await, Ok(Vec::new()));
    let lost = store.crash();
    assert_eq!(lost.journal(&a).await, Ok(vec![lobby.clone()]), "settled again after the crash");
    assert_eq!(lost.heads(std::slice::from_ref(&lobby)).await, Ok(vec![None]));
    lost.settle(&a, vec![settle]).await.expect("settles");
    lost.register(&conformance::instance("b"), "here").await.expect("a write that syncs");
    let kept = lost.crash();
    assert_eq!(kept.journal(&a).await, Ok(Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_restored_store_is_of_another_generation_with_greater_epochs() {
    let store = MemoryStore::new(clock());
    let lobby = key("t", "lobby");
    let (a, epoch) = owner(&(Arc::clone(&store) as Driver), "a", &[&lobby]).await;
    let restored = store.restored();
    assert_eq!((store.generation(), restored.generation()), (1, 2));
    let again = restored.claim(&[lobby.shard()], &a, "here").await.expect("claims").remove(0);
    assert!(again.epoch > epoch && again.epoch >> 44 == 2);
}
