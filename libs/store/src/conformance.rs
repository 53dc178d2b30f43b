//! What every driver must do: one function per property, each on a store of its own. A failure is a
//! panic that names the property.

pub mod log;
pub mod moved;
pub mod owners;
pub mod people;
pub mod restores;
pub mod small;

use std::sync::Arc;

use bytes::Bytes;
use posthorn_core::{Chain, ConversationId, ConversationKey, TenantId, UserId, UserKey};
use posthorn_proto::internal::{Head, Row};

use crate::{Append, InstanceId, ReadRange, Store};

/// A store to try, as callers hold it.
pub type Driver = Arc<dyn Store>;

/// Runs the whole suite. `open` gives a new, empty store each time; `restore` takes a backup of one that it
/// gave, and opens what is restored from it.
pub async fn run<S: Store>(open: impl AsyncFn() -> Arc<S>, restore: impl AsyncFn(Arc<S>) -> Arc<S>) {
    let make = async || open().await as Driver;
    owners::an_instance_registers_once_and_is_fenced_for_good(make().await).await;
    owners::shards_are_claimed_when_free_or_fenced_and_epochs_grow(make().await).await;
    owners::a_release_counts_only_for_the_present_claim(make().await).await;
    owners::journals_are_inherited_until_carried_over(make().await).await;
    owners::one_of_many_claimers_gets_a_shard(make().await).await;
    log::an_append_is_visible_whole(make().await).await;
    log::appends_that_break_the_rules_are_refused(make().await).await;
    log::the_highest_number_of_a_seq_wins(make().await).await;
    log::pages_are_bounded_in_rows_and_bytes_in_both_directions(make().await).await;
    log::a_log_crosses_its_buckets(make().await).await;
    log::a_missing_body_stays_missing_and_an_empty_one_empty(make().await).await;
    log::heads_and_members_only_grow(make().await).await;
    log::a_name_leaves_the_journal_when_its_last_note_is_removed(make().await).await;
    log::a_repeated_append_changes_nothing(make().await).await;
    log::conversations_do_not_show_in_each_other(make().await).await;
    log::an_owner_that_was_fenced_changes_no_head(make().await).await;
    owners::beats_are_kept_until_forgotten(make().await).await;
    log::the_mark_of_the_feed_only_grows(make().await).await;
    small::registers_take_only_newer_versions(make().await).await;
    small::registers_are_kept_per_tenant_user_and_conversation(make().await).await;
    small::records_are_listed_in_order_and_deleted(make().await).await;
    small::if_absent_has_one_winner(make().await).await;
    people::who_leaves_and_rejoins_sees_both_times_and_not_what_lies_between(make().await).await;
    let whole = open().await;
    let before = restores::Before::of(Arc::clone(&whole) as Driver).await;
    let restored = restore(whole).await as Driver;
    restores::a_restored_store_goes_on_under_a_new_generation(restored, before).await;
}

pub fn key(tenant: &str, conversation: &str) -> ConversationKey {
    let tenant = TenantId::new(tenant).expect("a valid id");
    ConversationKey { tenant, conversation: ConversationId::new(conversation).expect("a valid id") }
}

pub fn user(tenant: &str, user: &str) -> UserKey {
    UserKey { tenant: TenantId::new(tenant).expect("a valid id"), user: user_id(user) }
}

pub fn user_id(user: &str) -> UserId {
    UserId::new(user).expect("a valid id")
}

pub fn instance(name: &str) -> InstanceId {
    InstanceId(name.to_owned())
}

/// Rows of one number that go on from `chain`, with a body that names them.
pub fn rows(chain: Chain, seqs: std::ops::RangeInclusive<u64>, number: (u64, u32)) -> Vec<Row> {
    let mut chain = chain;
    let row = |seq: u64| {
        let envelope = Bytes::from(format!("envelope {seq} of {number:?}"));
        chain = chain.link(&envelope);
        let (epoch, load) = number;
        let body = Some(Bytes::from(format!("body {seq} of {number:?}")));
        Row { seq, epoch, load, chain: Bytes::copy_from_slice(&chain.0), envelope, body }
    };
    seqs.map(row).collect()
}

/// The append of `rows` by `instance`, without members and effects.
pub fn append(key: &ConversationKey, instance: &InstanceId, rows: Vec<Row>) -> Append {
    let last = rows.last().expect("rows");
    let head = Head { seq: last.seq, chain: last.chain.clone(), ordinal: last.seq, ..Head::default() };
    Append {
        key: key.clone(),
        instance: instance.clone(),
        rows,
        head,
        members: Vec::new(),
        effects: false,
        note: Some(1),
    }
}

/// An instance that owns the shards of `keys`, and the epoch of the last of them.
pub async fn owner(store: &Driver, name: &str, keys: &[&ConversationKey]) -> (InstanceId, u64) {
    let instance = instance(name);
    store.register(&instance, "here").await.expect("registers");
    let mut epoch = 0;
    for key in keys {
        let claimed = store.claim(&[key.shard()], &instance, "here").await.expect("claims");
        epoch = claimed.first().expect("the shard is free").epoch;
    }
    (instance, epoch)
}

/// Appends rows and settles what the driver left to settle.
pub async fn append_and_settle(store: &Driver, append: Append) {
    let (key, instance) = (append.key.clone(), append.instance.clone());
    let (head, members, rows) = (append.head.clone(), append.members.clone(), append.rows.clone());
    let effects = append.effects;
    let whole = store.append(append).await.expect("appends");
    if !whole || effects {
        let feed = if whole { Vec::new() } else { rows };
        let (fed_seq, remove) = (head.seq, vec![1]);
        let settlement = crate::Settlement { key, head: Some(head), members, feed, fed_seq, remove };
        store.settle(&instance, vec![settlement]).await.expect("settles");
    }
}

pub const ALL: ReadRange =
    ReadRange { from: 1, to: u64::MAX, limit: usize::MAX, max_bytes: usize::MAX, reverse: false };

pub async fn read_all(store: &Driver, key: &ConversationKey) -> Vec<Row> {
    let page = store.read(key, ALL).await.expect("reads");
    assert!(!page.more, "nothing ends this page");
    page.rows
}

pub fn seqs(rows: &[Row]) -> Vec<u64> {
    rows.iter().map(|row| row.seq).collect()
}

/// Awaits all at once, on this task.
pub async fn join<T, Fut: Future<Output = T>>(all: impl Iterator<Item = Fut>) -> Vec<T> {
    let mut all: Vec<_> = all.map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|cx| {
        let mut waiting = false;
        for (one, done) in &mut all {
            if done.is_none() {
                match one.as_mut().poll(cx) {
                    std::task::Poll::Ready(value) => *done = Some(value),
                    std::task::Poll::Pending => waiting = true,
                }
            }
        }
        if waiting { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    all.into_iter().filter_map(|(_, done)| done).collect()
}
