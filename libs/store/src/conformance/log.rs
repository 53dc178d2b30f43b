//! The log and its projections.

use posthorn_core::Chain;
use posthorn_proto::internal::{Head, MemberRecord};

use super::{ALL, Driver, append, append_and_settle, key, owner, read_all, rows, seqs};
use crate::{BUCKET_ROWS, ReadRange, Settlement, StoreError};

fn chain_of(row: &posthorn_proto::internal::Row) -> Chain {
    Chain::from_slice(&row.chain).expect("16 bytes")
}

pub async fn an_append_is_visible_whole(store: Driver) {
    let lobby = key("t", "lobby");
    let (a, epoch) = owner(&store, "a", &[&lobby]).await;
    assert_eq!(store.heads(std::slice::from_ref(&lobby)).await, Ok(vec![None]));
    assert_eq!(read_all(&store, &lobby).await, []);
    let mut write = append(&lobby, &a, rows(Chain::START, 1..=3, (epoch, 1)));
    let ann = MemberRecord { present: true, joined_seq: 1, as_of_seq: 3, ..MemberRecord::default() };
    write.members = vec![("ann".to_owned(), ann.clone())];
    let (sent, head) = (write.rows.clone(), Head { fed_seq: 3, ..write.head.clone() });
    append_and_settle(&store, write).await;
    assert_eq!(read_all(&store, &lobby).await, sent);
    assert_eq!(store.read_tail(&lobby, 0).await.expect("reads"), sent);
    assert_eq!(store.read_tail(&lobby, 2).await.expect("reads"), sent[2..]);
    assert_eq!(store.read_tail(&lobby, u64::MAX).await.expect("reads"), []);
    let other = key("t", "nowhere");
    assert_eq!(store.heads(&[other.clone(), lobby.clone()]).await, Ok(vec![None, Some(head)]), "in the order asked");
    assert_eq!(store.members(&lobby).await.expect("lists"), [("ann".to_owned(), ann)]);
    assert_eq!(store.members(&other).await.expect("lists"), []);
    assert_eq!(store.journal(&a).await, Ok(Vec::new()), "nothing is left to settle");
}

pub async fn appends_that_break_the_rules_are_refused(store: Driver) {
    let lobby = key("t", "lobby");
    let (a, epoch) = owner(&store, "a", &[&lobby]).await;
    let good = rows(Chain::START, 1..=3, (epoch, 1));
    let mut hole = append(&lobby, &a, good.clone());
    hole.rows.remove(1);
    let mut mixed = append(&lobby, &a, good.clone());
    mixed.rows[1].load = 9;
    let mut empty = append(&lobby, &a, good.clone());
    empty.rows.clear();
    let mut beyond = append(&lobby, &a, good.clone());
    beyond.head.seq = 4;
    let zero = append(&lobby, &a, rows(Chain::START, 0..=1, (epoch, 1)));
    for broken in [hole, mixed, empty, beyond, zero] {
        assert!(matches!(store.append(broken).await, Err(StoreError::Misused(_))));
    }
    assert_eq!(read_all(&store, &lobby).await, []);
    assert_eq!(store.heads(std::slice::from_ref(&lobby)).await, Ok(vec![None]));
}

pub async fn the_highest_number_of_a_seq_wins(store: Driver) {
    let lobby = key("t", "lobby");
    let (a, epoch) = owner(&store, "a", &[&lobby]).await;
    let old = rows(Chain::START, 1..=2, (epoch, 1));
    let new = rows(Chain::START, 2..=2, (epoch, 3));
    let between = rows(Chain::START, 2..=2, (epoch, 2));
    for write in [old.clone(), new.clone(), between.clone()] {
        store.append(append(&lobby, &a, write)).await.expect("appends");
    }
    assert_eq!(read_all(&store, &lobby).await, [old[0].clone(), new[0].clone()], "not the last written");
    let back = store.read(&lobby, ReadRange { to: 2, reverse: true, ..ALL }).await.expect("reads").rows;
    assert_eq!(back, [new[0].clone(), old[0].clone()]);
    let tail = store.read_tail(&lobby, 1).await.expect("reads");
    assert_eq!(tail, [old[1].clone(), between[0].clone(), new[0].clone()], "a loader sees every number, ascending");
    let one = store.read(&lobby, ReadRange { from: 2, limit: 1, ..ALL }).await.expect("reads");
    assert_eq!((one.rows, one.more), (new, false), "numbers of one seq are one row of a page");
}

pub async fn pages_are_bounded_in_rows_and_bytes_in_both_directions(store: Driver) {
    let lobby = key("t", "lobby");
    let (a, epoch) = owner(&store, "a", &[&lobby]).await;
    let sent = rows(Chain::START, 1..=10, (epoch, 1));
    append_and_settle(&store, append(&lobby, &a, sent.clone())).await;
    let read = async |range: ReadRange| {
        let page = store.read(&lobby, range).await.expect("reads");
        (seqs(&page.rows), page.more)
    };
    let some = ReadRange { from: 3, to: 6, ..ALL };
    assert_eq!(read(some).await, (vec![3, 4, 5, 6], false), "both ends are included");
    assert_eq!(read(ReadRange { reverse: true, ..some }).await, (vec![6, 5, 4, 3], false));
    assert_eq!(read(ReadRange { limit: 2, ..some }).await, (vec![3, 4], true));
    assert_eq!(read(ReadRange { limit: 4, ..some }).await, (vec![3, 4, 5, 6], false), "the range ended it");
    assert_eq!(read(ReadRange { limit: 2, reverse: true, ..some }).await, (vec![6, 5], true));
    let size = sent[0].envelope.len() + sent[0].body.as_ref().map_or(0, |body| body.len());
    assert_eq!(read(ReadRange { max_bytes: 2 * size, ..some }).await, (vec![3, 4], true));
    assert_eq!(read(ReadRange { max_bytes: 1, ..some }).await, (vec![3], true), "at least one, however large");
    assert_eq!(read(ReadRange { from: 9, to: 99, ..ALL }).await, (vec![9, 10], false));
    assert_eq!(read(ReadRange { from: 6, to: 3, ..ALL }).await, (vec![], false), "an empty range is no error");
}

pub async fn a_log_crosses_its_buckets(store: Driver) {
    let lobby = key("t", "lobby");
    let (a, epoch) = owner(&store, "a", &[&lobby]).await;
    let mut chain = Chain::START;
    let end = 2 * BUCKET_ROWS + 7;
    for first in (1..=end).step_by(61) {
        let batch = rows(chain, first..=end.min(first + 60), (epoch, 1));
        chain = chain_of(&batch[batch.len() - 1]);
        append_and_settle(&store, append(&lobby, &a, batch)).await;
    }
    let all = read_all(&store, &lobby).await;
    assert!(seqs(&all).into_iter().eq(1..=end));
    let mut chain = Chain::START;
    for row in &all {
        chain = chain.link(&row.envelope);
        assert_eq!(chain, chain_of(row), "each row continues the one before");
    }
    let edge = ReadRange { from: BUCKET_ROWS, to: BUCKET_ROWS + 1, reverse: true, ..ALL };
    assert_eq!(seqs(&store.read(&lobby, edge).await.expect("reads").rows), [BUCKET_ROWS + 1, BUCKET_ROWS]);
}

pub async fn a_missing_body_stays_missing_and_an_empty_one_empty(store: Driver) {
    let lobby = key("t", "lobby");
    let (a, epoch) = owner(&store, "a", &[&lobby]).await;
    let mut sent = rows(Chain::START, 1..=2, (epoch, 1));
    sent[0].body = None;
    sent[1].body = Some(bytes::Bytes::new());
    append_and_settle(&store, append(&lobby, &a, sent.clone())).await;
    assert_eq!(read_all(&store, &lobby).await, sent);
}

pub async fn heads_and_members_only_grow(store: Driver) {
    let lobby = key("t", "lobby");
    let (a, epoch) = owner(&store, "a", &[&lobby]).await;
    append_and_settle(&store, append(&lobby, &a, rows(Chain::START, 1..=5, (epoch, 1)))).await;
    let member = |as_of_seq, sent| MemberRecord { as_of_seq, sent, ..MemberRecord::default() };
    let settle = async |head: Head, members: Vec<(String, MemberRecord)>| {
        let (key, head) = (lobby.clone(), Some(head));
        let settlement = Settlement { key, head, members, feed: Vec::new(), fed_seq: 0, remove: Vec::new() };
        store.settle(&a, vec![settlement]).await.expect("settles");
    };
    let head =
        |seq, version_counter, title: &str| Head { seq, version_counter, title: title.to_owned(), ..Head::default() };
    settle(head(6, 1, "six"), vec![("ann".to_owned(), member(6, 2)), ("bob".to_owned(), member(3, 1))]).await;
    settle(head(4, 9, "four"), vec![("ann".to_owned(), member(5, 9)), ("bob".to_owned(), member(4, 2))]).await;
    settle(head(6, 0, "older in lists"), vec![("ann".to_owned(), member(6, 2)), ("bob".to_owned(), member(2, 9))])
        .await;
    let now = async || store.heads(std::slice::from_ref(&lobby)).await.expect("reads").remove(0).expect("a head");
    assert_eq!(now().await.title, "six");
    settle(head(6, 2, "newer in lists"), Vec::new()).await;
    assert_eq!(now().await.title, "newer in lists");
    let members = store.members(&lobby).await.expect("lists");
    assert_eq!(members, [("ann".to_owned(), member(6, 2)), ("bob".to_owned(), member(4, 2))], "by user id");
}

pub async fn a_name_leaves_the_journal_when_its_last_note_is_removed(store: Driver) {
    let lobby = key("t", "lobby");
    let (a, epoch) = owner(&store, "a", &[&lobby]).await;
    let sent = rows(Chain::START, 1..=2, (epoch, 1));
    let mut first = append(&lobby, &a, sent[..1].to_vec());
    first.effects = true;
    let mut second = append(&lobby, &a, sent[1..].to_vec());
    (second.effects, second.note) = (true, Some(2));
    let settle = async |head: &Head, remove: Vec<u64>| {
        let (key, head) = (lobby.clone(), Some(head.clone()));
        let settlement = Settlement { key, head, members: Vec::new(), feed: Vec::new(), fed_seq: 0, remove };
        store.settle(&a, vec![settlement]).await.expect("settles");
    };
    let (head_1, head_2) = (first.head.clone(), second.head.clone());
    store.append(first).await.expect("appends");
    store.append(second).await.expect("appends");
    settle(&head_2, Vec::new()).await;
    assert_eq!(store.journal(&a).await, Ok(vec![lobby.clone()]), "nothing was to be removed");
    settle(&head_1, vec![1]).await;
    assert_eq!(store.journal(&a).await, Ok(vec![lobby.clone()]), "the second note stands");
    settle(&head_2, vec![2]).await;
    assert_eq!(store.journal(&a).await, Ok(Vec::new()));
    settle(&head_2, vec![1, 2]).await;
    store.note(&a, &[(lobby.clone(), 3)]).await.expect("notes");
    settle(&head_2, vec![1, 2]).await;
    assert_eq!(store.journal(&a).await, Ok(vec![lobby]), "a removal that comes late takes no later note along");
}

pub async fn the_mark_of_the_feed_only_grows(store: Driver) {
    let lobby = key("t", "lobby");
    let (a, epoch) = owner(&store, "a", &[&lobby]).await;
    let write = append(&lobby, &a, rows(Chain::START, 1..=5, (epoch, 1)));
    let head = write.head.clone();
    let whole = store.append(write).await.expect("appends");
    assert_eq!(whole, !store.settles_apart());
    let fed =
        async || store.heads(std::slice::from_ref(&lobby)).await.expect("reads").remove(0).map(|head| head.fed_seq);
    if whole {
        assert_eq!(fed().await, Some(5), "in the commit of the rows");
        return;
    }
    for (said, expected) in [(0, 0), (3, 3), (2, 3), (5, 5), (4, 5)] {
        let (key, head, members) = (lobby.clone(), Some(head.clone()), Vec::new());
        let settlement = Settlement { key, head, members, feed: Vec::new(), fed_seq: said, remove: Vec::new() };
        store.settle(&a, vec![settlement]).await.expect("settles");
        assert_eq!(fed().await, Some(expected), "after {said}: the head may be ahead of it");
    }
}

pub async fn a_repeated_append_changes_nothing(store: Driver) {
    let lobby = key("t", "lobby");
    let (a, epoch) = owner(&store, "a", &[&lobby]).await;
    let sent = rows(Chain::START, 1..=2, (epoch, 1));
    for _ in 0..3 {
        append_and_settle(&store, append(&lobby, &a, sent[..1].to_vec())).await;
    }
    append_and_settle(&store, append(&lobby, &a, sent[1..].to_vec())).await;
    append_and_settle(&store, append(&lobby, &a, sent[..1].to_vec())).await;
    assert_eq!(read_all(&store, &lobby).await, sent);
    let head = store.heads(std::slice::from_ref(&lobby)).await.expect("reads").remove(0).expect("a head");
    assert_eq!(head.seq, 2);
}

pub async fn conversations_do_not_show_in_each_other(store: Driver) {
    let keys = [key("t", "a"), key("t", "a.b"), key("t", "aa"), key("t.a", "a"), key("ta", "a")];
    let (a, _) = owner(&store, "a", &[]).await;
    for key in &keys {
        // Some of them may share a shard: claiming it again is allowed.
        let epoch = store.claim(&[key.shard()], &a, "here").await.expect("claims").remove(0).epoch;
        let mut write = append(key, &a, rows(Chain::START, 1..=2, (epoch, 1)));
        write.members = vec![(format!("of-{}", key.conversation), MemberRecord { as_of_seq: 1, ..Default::default() })];
        append_and_settle(&store, write).await;
    }
    for key in &keys {
        assert_eq!(seqs(&read_all(&store, key).await), [1, 2], "{key:?}");
        assert_eq!(store.read_tail(key, 0).await.expect("reads").len(), 2, "{key:?}");
        let members = store.members(key).await.expect("lists");
        assert_eq!(members.len(), 1, "{key:?}");
        assert_eq!(members[0].0, format!("of-{}", key.conversation));
    }
}

/// Where head and feed go with the rows, a late write of a former owner must change nothing; where they
/// do not, it may leave rows that no head covers.
pub async fn an_owner_that_was_fenced_changes_no_head(store: Driver) {
    let lobby = key("t", "lobby");
    let (a, old_epoch) = owner(&store, "a", &[&lobby]).await;
    let first = rows(Chain::START, 1..=1, (old_epoch, 1));
    append_and_settle(&store, append(&lobby, &a, first.clone())).await;
    store.fence(&a).await.expect("fences");
    let (b, epoch) = owner(&store, "b", &[&lobby]).await;
    let late = store.append(append(&lobby, &a, rows(chain_of(&first[0]), 2..=2, (old_epoch, 1)))).await;
    assert!(matches!(late, Err(StoreError::Fenced(_)) | Ok(false)), "{late:?}");
    let head = async || store.heads(std::slice::from_ref(&lobby)).await.expect("reads").remove(0).map(|head| head.seq);
    assert_eq!(head().await, Some(1));
    let second = rows(chain_of(&first[0]), 2..=2, (epoch, 1));
    append_and_settle(&store, append(&lobby, &b, second.clone())).await;
    assert_eq!(head().await, Some(2));
    assert_eq!(read_all(&store, &lobby).await, [first[0].clone(), second[0].clone()]);
    store.release(lobby.shard(), epoch, &b, false).await.expect("releases");
    let (c, _) = owner(&store, "c", &[&lobby]).await;
    let released = store.append(append(&lobby, &b, rows(chain_of(&second[0]), 3..=3, (epoch, 1)))).await;
    assert!(matches!(released, Err(StoreError::Fenced(_)) | Ok(false)), "active, and no longer the owner");
    assert_eq!(head().await, Some(2));
    assert_eq!(store.check(&c).await, Ok(true));
}
