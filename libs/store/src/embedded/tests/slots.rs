//! Heads are packed by the commit and become cells later: wherever one is, it is found.

use std::fs;

use super::*;

async fn head(store: &EmbeddedStore, of: &posthorn_core::ConversationKey) -> Option<u64> {
    store.heads(std::slice::from_ref(of)).await.expect("reads").remove(0).map(|head| head.seq)
}

/// Where the database itself has a head.
fn in_cells(dir: &Path, of: &posthorn_core::ConversationKey) -> bool {
    let engine = Engine::open(&dir.join(layout::DATABASE), &config(dir), 0).expect("opens");
    engine.latest(keys::Space::Cells, &keys::head(of)).expect("reads").is_some()
}

#[tokio::test]
async fn a_head_becomes_a_cell_when_its_slot_is_used_again_and_is_found_before_and_after() {
    let dir = tempfile::tempdir().expect("a directory");
    let (quiet, busy) = (key("t", "quiet"), key("t", "busy"));
    let end = heads::SLOTS + 9;
    {
        let store = open(dir.path());
        let (a, epoch) = owner(&(Arc::clone(&store) as Driver), "a", &[&quiet, &busy]).await;
        let first = rows(Chain::START, 1..=1, (epoch, 1));
        store.append(append(&quiet, &a, first)).await.expect("appends");
        assert_eq!(head(&store, &quiet).await, Some(1));
    }
    assert!(!in_cells(dir.path(), &quiet), "in its slot");
    {
        let store = open(dir.path());
        assert_eq!(head(&store, &quiet).await, Some(1), "from its slot");
        let mut chain = Chain::START;
        for seq in 1..=end {
            let row = rows(chain, seq..=seq, (u64::MAX, 1));
            chain = Chain::from_slice(&row[0].chain).expect("16 bytes");
            store.append(append(&busy, &instance("a"), row)).await.expect("appends");
        }
        assert_eq!((head(&store, &quiet).await, head(&store, &busy).await), (Some(1), Some(end)));
    }
    assert!(in_cells(dir.path(), &quiet), "its slot is in use again");
    assert!(!in_cells(dir.path(), &busy), "a younger slot always has it");
    let store = open(dir.path());
    assert_eq!((head(&store, &quiet).await, head(&store, &busy).await), (Some(1), Some(end)));
    let late = store.append(append(&quiet, &instance("a"), rows(Chain::START, 3..=3, (u64::MAX, 1)))).await;
    assert!(matches!(late, Err(StoreError::Misused(_))), "goes on where the head ends: {late:?}");
    for (of, seq) in [(&quiet, 2), (&busy, end + 1)] {
        let next = rows(Chain::START, seq..=seq, (u64::MAX, 1));
        store.append(append(of, &instance("a"), next)).await.expect("appends");
        assert_eq!(head(&store, of).await, Some(seq));
    }
}

#[tokio::test]
async fn a_store_of_format_1_is_read_and_becomes_one_of_format_2() {
    let dir = tempfile::tempdir().expect("a directory");
    let lobby = key("t", "lobby");
    let partition = crate::feed_partition(&lobby);
    let old = rows(Chain::START, 1..=1, (1 << 44, 1));
    {
        let engine = Engine::open(&dir.path().join(layout::DATABASE), &config(dir.path()), 0).expect("opens");
        let (at, row) = values::encode_row(&keys::row(&lobby, 1, 1 << 44, 1), &old[0]).expect("encodes");
        let last = append(&lobby, &instance("a"), old.clone()).head;
        let cell = values::encode_cell(&values::watermark(crate::rules::head_version(&last)), &last);
        let fed = [&1_700_000_000_000_u64.to_be_bytes()[..], &at[..]].concat();
        let put = |space, key: bytes::Bytes, value| engine::Put { space, key, value: Some(value) };
        let puts = vec![
            put(keys::Space::Cells, keys::head(&lobby).into(), cell),
            put(keys::Space::Feed, keys::feed(partition, 1).into(), fed.into()),
            put(keys::Space::Log, at, row),
        ];
        engine.commit(puts, None, true).expect("commits");
    }
    fs::write(dir.path().join("FORMAT"), "1\n").expect("writes");
    let bounded = StoreConfig { feed_max_age_ms: u64::MAX, ..config(dir.path()) };
    let store = EmbeddedStore::open(bounded, &Metrics::default()).expect("opens");
    assert_eq!(fs::read_to_string(dir.path().join("FORMAT")).expect("reads"), "2\n");
    let driver = Arc::clone(&store) as Driver;
    assert_eq!(head(&store, &lobby).await, Some(1));
    let (a, epoch) = owner(&driver, "a", &[&lobby]).await;
    store.append(append(&lobby, &a, rows(Chain::START, 2..=3, (epoch, 1)))).await.expect("appends");
    assert_eq!(seqs(&read_all(&driver, &lobby).await), [1, 2, 3]);
    let fed = store.feed_read(partition, 0, 9).await.expect("reads");
    let fed: Vec<_> =
        fed.iter().map(|(offset, entry)| (*offset, entry.row.as_ref().map_or(0, |row| row.seq))).collect();
    assert_eq!(fed, [(1, 1), (2, 2), (3, 3)], "entries of both formats, in order");
    assert_eq!(store.feed_read(partition, 2, 9).await.expect("reads").len(), 1, "from the middle of a pack");
}
