use std::path::Path;

use posthorn_telemetry::Metrics;

use super::*;
use crate::conformance::{self, Driver};

/// Bounds that let a test run on any disk.
pub(super) fn config(dir: &Path) -> StoreConfig {
    StoreConfig {
        data_dir: dir.to_owned(),
        min_free_bytes: 0,
        housekeeping_ms: 20,
        cache_bytes: 4 << 20,
        memtable_bytes: 2 << 20,
        max_journal_bytes: 64 << 20,
        ..StoreConfig::default()
    }
}

pub(super) fn open(dir: &Path) -> Arc<EmbeddedStore> {
    EmbeddedStore::open(config(dir), &Metrics::default()).expect("opens")
}

#[tokio::test]
async fn the_embedded_store_conforms() {
    let parent = tempfile::tempdir().expect("a directory");
    let made = std::cell::Cell::new(0);
    let place = || {
        made.set(made.get() + 1);
        parent.path().join(made.get().to_string())
    };
    let restored = async |store: Arc<EmbeddedStore>| {
        let (backup, target) = (backups::read_whole(&store).await, place());
        restore(std::io::Cursor::new(backup), &target).expect("restores");
        open(&target)
    };
    conformance::run(async || open(&place()), restored).await;
}

mod backups;
mod crash;
mod disk;
mod slots;
mod torn;

use posthorn_core::Chain;

use crate::{
    FeedTable, Store,
    conformance::{append, instance, key, owner, read_all, rows, seqs},
};

#[tokio::test]
async fn a_closed_store_opens_with_everything_in_it_and_goes_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let lobby = key("t", "lobby");
    let all = rows(Chain::START, 1..=3, (1 << 44 | 2, 1));
    {
        let store = open(dir.path());
        let (a, _) = owner(&(Arc::clone(&store) as Driver), "a", &[&lobby, &lobby]).await;
        store.append(append(&lobby, &a, all[..2].to_vec())).await.expect("appends");
        store.feed_commit("push", crate::feed_partition(&lobby), 1).await.expect("commits");
        store.close();
        assert!(matches!(store.fence(&a).await, Err(StoreError::Unavailable(_))));
    }
    let store = open(dir.path());
    assert_eq!(store.generation(), 1);
    let driver = Arc::clone(&store) as Driver;
    assert_eq!(read_all(&driver, &lobby).await, all[..2]);
    let a = instance("a");
    assert_eq!(store.check(&a).await, Ok(true), "until who starts fences it");
    assert!(matches!(store.register(&a, "here").await, Err(StoreError::Exists(_))));
    store.append(append(&lobby, &a, all[2..].to_vec())).await.expect("the claim still stands");
    let partition = crate::feed_partition(&lobby);
    assert_eq!(store.feed_cursor("push", partition).await, Ok(1));
    let fed = store.feed_read(partition, 0, 9).await.expect("reads");
    let last = fed.last().expect("entries");
    assert_eq!((last.0, last.1.row.as_ref().map(|row| row.seq)), (3, Some(3)), "offsets go on");
}

#[tokio::test]
async fn a_directory_has_one_user_who_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let second = EmbeddedStore::open(config(dir.path()), &Metrics::default()).err().expect("refused").to_string();
    assert!(second.contains(&format!("in use by process {}", std::process::id())), "{second}");
    drop(store);
    open(dir.path());
}

#[tokio::test]
async fn a_directory_of_a_newer_format_or_a_broken_off_restore_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(open(dir.path()));
    let refusal = || EmbeddedStore::open(config(dir.path()), &Metrics::default()).err().expect("refused").to_string();
    std::fs::write(dir.path().join("FORMAT"), "3\n").expect("writes");
    assert!(refusal().contains("is of format 3, this build understands 2"), "{}", refusal());
    std::fs::remove_file(dir.path().join("FORMAT")).expect("removes");
    assert!(refusal().contains("no FORMAT file"), "{}", refusal());
    std::fs::write(dir.path().join("FORMAT"), "1\n").expect("writes");
    std::fs::write(dir.path().join("RESTORING"), "").expect("writes");
    assert!(refusal().contains("did not finish"), "{}", refusal());
}

#[tokio::test]
async fn below_the_free_space_bound_appends_are_refused_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let lobby = key("t", "lobby");
    let all = rows(Chain::START, 1..=2, (1 << 44 | 1, 1));
    {
        let store = open(dir.path());
        let (a, _) = owner(&(Arc::clone(&store) as Driver), "a", &[&lobby]).await;
        store.append(append(&lobby, &a, all[..1].to_vec())).await.expect("appends");
    }
    let free = space::free_bytes(dir.path());
    let metrics = Metrics::default();
    let short = StoreConfig { min_free_bytes: free * 2, ..config(dir.path()) };
    let store = EmbeddedStore::open(short, &metrics).expect("opens");
    assert!(!store.writable());
    let a = instance("a");
    let refused = store.append(append(&lobby, &a, all[1..].to_vec())).await;
    assert!(matches!(refused, Err(StoreError::Full { .. })), "{refused:?}");
    let driver = Arc::clone(&store) as Driver;
    assert_eq!(seqs(&read_all(&driver, &lobby).await), [1]);
    store.fence(&a).await.expect("ownership goes on");
    owner(&driver, "b", &[&lobby]).await;
    store.feed_commit("push", 0, 1).await.expect("cursors go on");
    let text = metrics.encode();
    assert!(text.contains("posthorn_store_refused_total{reason=\"full\"} 1"), "{text}");
    assert!(text.contains("posthorn_store_free_bytes "), "{text}");
}

#[tokio::test]
async fn a_full_queue_makes_writers_wait_and_refuses_them_in_the_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let keys: Vec<_> = (0..64).map(|n| key("t", &format!("c{n}"))).collect();
    for queue_wait_ms in [10_000, 0] {
        let small = StoreConfig { max_queue_bytes: 4_096, queue_wait_ms, ..config(dir.path()) };
        let store = EmbeddedStore::open(small, &Metrics::default()).expect("opens");
        let a = instance(&format!("of-{queue_wait_ms}"));
        store.register(&a, "here").await.expect("registers");
        let end = u64::from(queue_wait_ms == 0) + 1;
        let epoch = u64::MAX;
        let writes = keys.iter().map(|key| store.append(append(key, &a, rows(Chain::START, end..=end, (epoch, 1)))));
        let answers = conformance::join(writes).await;
        let refused = answers.iter().filter(|answer| matches!(answer, Err(StoreError::Unavailable(_)))).count();
        assert_eq!(refused > 0, queue_wait_ms == 0, "{refused} refused");
        for (key, answer) in keys.iter().zip(&answers) {
            let there = read_all(&(Arc::clone(&store) as Driver), key).await.len() as u64;
            assert_eq!(there == end, answer.is_ok(), "{answer:?}");
        }
        let huge = store.put_record(&record(), bytes::Bytes::from(vec![0; 5_000]), false).await;
        assert!(matches!(huge, Err(StoreError::Misused(_))), "{huge:?}");
    }
}

fn record() -> crate::RecordKey {
    crate::RecordKey { table: crate::Table::Users, tenant: "t".to_owned(), key: "k".to_owned() }
}

#[tokio::test]
async fn the_feed_is_trimmed_behind_all_groups_and_offsets_are_never_used_twice() {
    let dir = tempfile::tempdir().expect("a directory");
    let lobby = key("t", "lobby");
    let partition = crate::feed_partition(&lobby);
    let offsets = async |store: &EmbeddedStore| {
        let fed = store.feed_read(partition, 0, 99).await.expect("reads");
        fed.into_iter().map(|(offset, _)| offset).collect::<Vec<_>>()
    };
    let trimmed_to = async |store: &EmbeddedStore, expected: &[u64]| {
        while offsets(store).await != expected {
            posthorn_clock::sleep(Duration::from_millis(5)).await;
        }
    };
    let all = rows(Chain::START, 1..=6, (1 << 44 | 1, 1));
    {
        let store = open(dir.path());
        let (a, _) = owner(&(Arc::clone(&store) as Driver), "a", &[&lobby]).await;
        store.append(append(&lobby, &a, all[..5].to_vec())).await.expect("appends");
        store.feed_commit("push", partition, 5).await.expect("commits");
        store.feed_commit("search", partition, 3).await.expect("commits");
        trimmed_to(&store, &[4, 5]).await;
        store.feed_commit("search", partition, 5).await.expect("commits");
        trimmed_to(&store, &[]).await;
    }
    let bounded = StoreConfig { feed_max_entries: 2, ..config(dir.path()) };
    let store = EmbeddedStore::open(bounded, &Metrics::default()).expect("opens");
    store.append(append(&lobby, &instance("a"), all[5..].to_vec())).await.expect("appends");
    assert_eq!(offsets(&store).await, [6], "not 1 again");
    let more = rows(Chain::START, 7..=9, (1 << 44 | 1, 1));
    store.append(append(&lobby, &instance("a"), more)).await.expect("appends");
    trimmed_to(&store, &[8, 9]).await;
}
