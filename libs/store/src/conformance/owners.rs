//! Ownership and journals.

use posthorn_core::Shard;

use super::{Driver, append, instance, key, owner, rows};
use crate::{Beat, StoreError};

pub async fn an_instance_registers_once_and_is_fenced_for_good(store: Driver) {
    let (a, b) = (instance("a"), instance("b"));
    assert_eq!(store.check(&a).await, Ok(false), "missing means fenced");
    store.register(&a, "here").await.expect("absent becomes active");
    assert_eq!(store.check(&a).await, Ok(true));
    assert!(matches!(store.register(&a, "here").await, Err(StoreError::Exists(_))));
    store.fence(&a).await.expect("fences");
    store.fence(&a).await.expect("fencing twice is no error");
    store.fence(&b).await.expect("fencing a missing one is no error");
    assert_eq!(store.check(&a).await, Ok(false));
    assert!(matches!(store.register(&a, "here").await, Err(StoreError::Exists(_))), "never back");
    assert_eq!(store.check(&a).await, Ok(false));
    assert_eq!(store.check(&b).await, Ok(false));
}

pub async fn shards_are_claimed_when_free_or_fenced_and_epochs_grow(store: Driver) {
    let (a, b) = (instance("a"), instance("b"));
    store.register(&a, "at a").await.expect("registers");
    store.register(&b, "at b").await.expect("registers");
    let both = [Shard(7), Shard(1_023)];
    let first = store.claim(&both, &a, "at a").await.expect("claims");
    assert_eq!(first.iter().map(|c| c.shard).collect::<Vec<_>>(), both);
    assert!(first.iter().all(|claim| claim.epoch > 0 && claim.inherits.is_empty()));
    assert!(first.iter().all(|claim| claim.epoch >> 44 == store.generation()), "the generation leads");
    assert_eq!(store.claim(&both, &b, "at b").await, Ok(Vec::new()), "an active owner keeps its shards");
    let again = store.claim(&both[..1], &a, "at a").await.expect("claims");
    assert!(again[0].epoch > first[0].epoch, "also for the claimer itself");
    store.fence(&a).await.expect("fences");
    let taken = store.claim(&both, &b, "at b").await.expect("claims");
    assert!(taken[0].epoch > again[0].epoch && taken[1].epoch > first[1].epoch);
    assert!(taken.iter().all(|claim| claim.inherits == [a.clone()]), "the previous owner is inherited");
    assert_eq!(store.claim(&[Shard(8)], &a, "at a").await, Ok(Vec::new()), "a fenced instance gets nothing");
    let shards = store.shards().await.expect("lists");
    assert_eq!(shards.iter().map(|row| row.shard).collect::<Vec<_>>(), both);
    for (row, claim) in shards.iter().zip(&taken) {
        assert_eq!(row.epoch, claim.epoch);
        assert_eq!(row.owner, Some((b.clone(), "at b".to_owned())));
        assert_eq!(row.inherits, std::slice::from_ref(&a));
    }
}

pub async fn a_release_counts_only_for_the_present_claim(store: Driver) {
    let (a, b) = (instance("a"), instance("b"));
    store.register(&a, "at a").await.expect("registers");
    store.register(&b, "at b").await.expect("registers");
    let shard = Shard(3);
    let claim = store.claim(&[shard], &a, "at a").await.expect("claims").remove(0);
    store.release(shard, claim.epoch + 1, &a, false).await.expect("does nothing");
    store.release(shard, claim.epoch, &b, false).await.expect("does nothing");
    store.release(Shard(4), claim.epoch, &a, false).await.expect("does nothing");
    assert_eq!(store.claim(&[shard], &b, "at b").await, Ok(Vec::new()), "still owned");
    store.release(shard, claim.epoch, &a, true).await.expect("releases");
    let freed = store.shards().await.expect("lists").remove(0);
    assert_eq!((freed.epoch, &freed.owner, &freed.inherits), (claim.epoch, &None, &vec![a.clone()]));
    let next = store.claim(&[shard], &b, "at b").await.expect("claims").remove(0);
    assert!(next.epoch > claim.epoch);
    assert_eq!(next.inherits, std::slice::from_ref(&a));
    store.release(shard, claim.epoch, &a, false).await.expect("does nothing: that claim is over");
    assert_eq!(store.claim(&[shard], &a, "at a").await, Ok(Vec::new()));
    store.release(shard, next.epoch, &b, false).await.expect("releases");
    let last = store.claim(&[shard], &a, "at a").await.expect("claims").remove(0);
    assert_eq!(last.inherits, std::slice::from_ref(&a), "a settled release adds nothing and removes nothing");
}

pub async fn journals_are_inherited_until_carried_over(store: Driver) {
    let (lobby, hall) = (key("t", "lobby"), key("t", "hall"));
    let (a, epoch) = owner(&store, "a", &[&hall, &lobby]).await;
    assert_eq!(store.journal(&a).await, Ok(Vec::new()));
    let mut with_effects = append(&lobby, &a, rows(Default::default(), 1..=1, (epoch, 1)));
    with_effects.effects = true;
    store.append(with_effects).await.expect("appends");
    store.note(&a, &[(hall.clone(), 2)]).await.expect("notes");
    let mut names = store.journal(&a).await.expect("lists");
    names.sort();
    assert_eq!(names, [hall.clone(), lobby.clone()]);

    store.fence(&a).await.expect("fences");
    let b = instance("b");
    store.register(&b, "at b").await.expect("registers");
    let shards = [lobby.shard(), hall.shard()];
    assert_eq!(store.claim(&shards, &b, "at b").await.expect("claims").len(), 2);
    assert_eq!(store.journal(&a).await.expect("lists").len(), 2, "the names stay until they are carried over");
    let notes: Vec<_> = names.iter().cloned().zip(1..).collect();
    store.note(&b, &notes).await.expect("notes");
    store.carried_over(&shards[..1], &a).await.expect("not the owner: nothing");
    store.carried_over(&shards[..1], &b).await.expect("carries over");
    let inherits = |rows: Vec<crate::ShardRow>| rows.iter().map(|row| row.inherits.len()).sum::<usize>();
    assert_eq!(inherits(store.shards().await.expect("lists")), 1, "the other shard still depends on it");
    assert_eq!(store.journal(&a).await.expect("lists").len(), 2);
    store.carried_over(&shards, &b).await.expect("carries over");
    assert_eq!(inherits(store.shards().await.expect("lists")), 0);
    assert_eq!(store.journal(&b).await.expect("lists").len(), 2, "the new owner's names stand");
}

pub async fn beats_are_kept_until_forgotten(store: Driver) {
    let beat =
        |name: &str, count, leaving| Beat { instance: instance(name), address: format!("at {name}"), count, leaving };
    assert_eq!(store.beats().await, Ok(Vec::new()));
    store.beat(&beat("a", 1, false)).await.expect("beats");
    store.beat(&beat("b", 7, false)).await.expect("beats");
    store.beat(&beat("a", 2, true)).await.expect("beats");
    let all = async || {
        let mut beats = store.beats().await.expect("lists");
        beats.sort_by(|x, y| x.instance.cmp(&y.instance));
        beats
    };
    assert_eq!(all().await, [beat("a", 2, true), beat("b", 7, false)]);
    store.forget_beat(&instance("b")).await.expect("forgets");
    store.forget_beat(&instance("never there")).await.expect("no error");
    assert_eq!(all().await, [beat("a", 2, true)]);
}

pub async fn one_of_many_claimers_gets_a_shard(store: Driver) {
    let names: Vec<_> = (0..8).map(|n| instance(&format!("i{n}"))).collect();
    for name in &names {
        store.register(name, "here").await.expect("registers");
    }
    let shard = [Shard(5)];
    let claims = names.iter().map(|name| store.claim(&shard, name, "here"));
    let claims = super::join(claims).await;
    let won = claims.iter().filter(|claim| !claim.as_ref().expect("claims").is_empty()).count();
    assert_eq!(won, 1);
}
