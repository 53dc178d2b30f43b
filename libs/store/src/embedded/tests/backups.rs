use std::io::Cursor;

use super::*;
use crate::{RecordKey, Table};

pub(super) async fn read_whole(store: &EmbeddedStore) -> Vec<u8> {
    let mut chunks = store.backup().await.expect("begins");
    let mut whole = Vec::new();
    while let Some(chunk) = chunks.recv().await {
        whole.extend_from_slice(&chunk.expect("goes on"));
    }
    whole
}

async fn filled(dir: &Path) -> Arc<EmbeddedStore> {
    let store = open(dir);
    let driver = Arc::clone(&store) as Driver;
    let keys: Vec<_> = (0..5).map(|n| key("t", &format!("c{n}"))).collect();
    let (a, _) = owner(&driver, "a", &[]).await;
    for key in &keys {
        let epoch = store.claim(&[key.shard()], &a, "here").await.expect("claims").remove(0).epoch;
        store.append(append(key, &a, rows(Chain::START, 1..=50, (epoch, 1)))).await.expect("appends");
    }
    let record = RecordKey { table: Table::Users, tenant: "t".to_owned(), key: "ann".to_owned() };
    store.put_record(&record, bytes::Bytes::from(vec![7; 300_000]), false).await.expect("puts");
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_taken_while_appends_run_restores_to_a_prefix_under_a_new_generation() {
    let (from, to) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let store = filled(from.path()).await;
    let c0 = key("t", "c0");
    let epoch = read_all(&(Arc::clone(&store) as Driver), &c0).await[0].epoch;
    let goes_on = async {
        for seq in 51..=120 {
            let more = rows(Chain::START, seq..=seq, (epoch, 1));
            store.append(append(&c0, &instance("a"), more)).await.expect("appends");
        }
    };
    let (backup, ()) = tokio::join!(read_whole(&store), goes_on);
    let target = to.path().join("new");
    let restored = restore(Cursor::new(&backup), &target).expect("restores");
    assert_eq!(restored.generation, 2);
    let copy = open(&target);
    assert_eq!(copy.generation(), 2);
    let driver = Arc::clone(&copy) as Driver;
    let source = Arc::clone(&store) as Driver;
    for n in 1..5 {
        let key = key("t", &format!("c{n}"));
        assert_eq!(read_all(&driver, &key).await, read_all(&source, &key).await);
    }
    let (old, new) = (read_all(&source, &c0).await, read_all(&driver, &c0).await);
    assert!(new.len() >= 50 && new == old[..new.len()], "a prefix");
    let head = copy.heads(std::slice::from_ref(&c0)).await.expect("reads").remove(0).expect("a head");
    assert_eq!(head.seq, new.len() as u64, "one consistent view");
    let record = copy.list_records(Table::Users, "t", "", 9).await.expect("lists");
    assert_eq!(record[0].1, vec![7; 300_000]);
    let again = copy.claim(&[c0.shard()], &instance("a"), "here").await.expect("claims").remove(0);
    assert!(again.epoch > epoch && again.epoch >> 44 == 2);
}

#[tokio::test]
async fn the_same_backup_restored_again_is_of_a_generation_that_nobody_saw() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = filled(&dir.path().join("a")).await;
    let backup = read_whole(&store).await;
    let target = dir.path().join("b");
    assert_eq!(restore(Cursor::new(&backup), &target).expect("restores").generation, 2);
    drop(open(&target));
    let full = restore(Cursor::new(&backup), &target).expect_err("not empty").to_string();
    assert!(full.contains("is not empty"), "{full}");
    std::fs::remove_dir_all(target.join("db")).expect("removes");
    std::fs::remove_file(target.join("FORMAT")).expect("removes");
    assert_eq!(restore(Cursor::new(&backup), &target).expect("restores").generation, 3);
    let in_use = open(&target);
    let locked = restore(Cursor::new(&backup), &target).expect_err("in use").to_string();
    assert!(locked.contains("in use"), "{locked}");
    drop(in_use);
}

#[tokio::test]
async fn a_backup_that_is_cut_off_or_bent_is_refused_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = filled(&dir.path().join("a")).await;
    let backup = read_whole(&store).await;
    let target = dir.path().join("b");
    let refused = |bytes: &[u8]| {
        let error = restore(Cursor::new(bytes), &target).expect_err("refused").to_string();
        assert!(!target.join("db").exists() && !target.join("RESTORING").exists(), "{error}");
        error
    };
    for length in [0, 5, 8, 20, 27, 28, backup.len() / 2, backup.len() - 33, backup.len() - 1] {
        assert!(refused(&backup[..length]).contains("cut off"), "{length}");
    }
    for at in [0, 30, 31, 40, backup.len() / 3, backup.len() / 2, backup.len() - 40, backup.len() - 2] {
        let mut bent = backup.clone();
        bent[at] ^= 0x10;
        refused(&bent);
    }
    let another = refused(b"%PDF-1.7 and so on, for a while");
    assert!(another.contains("no backup"), "another file: {another}");
    let longer = [&backup[..], b"x"].concat();
    assert!(refused(&longer).contains("after its end"));
    assert_eq!(restore(Cursor::new(&backup), &target).expect("restores").generation, 2, "still empty");
}
