use std::{io::Cursor, path::Path, sync::Arc, time::Duration};

use futures_util::future::join;
use posthorn_clock::{Clock, sleep};
use posthorn_core::Chain;
use posthorn_telemetry::Metrics;

use super::*;
use crate::{
    Beat, FeedTable,
    conformance::{
        Driver, append, instance, key,
        moved::{World, exported, imported, pieces},
        owner, rows,
    },
    embedded::{EmbeddedImport, EmbeddedStore, StoreConfig},
    feed_partition,
    memory::{MemoryImport, MemoryOptions, MemoryStore},
};

const APART: MemoryOptions = MemoryOptions { sync: Duration::ZERO, settle_apart: true };

fn clock() -> Clock {
    Clock::simulated(1, 0)
}

fn config(dir: &Path) -> StoreConfig {
    StoreConfig { data_dir: dir.to_owned(), min_free_bytes: 0, housekeeping_ms: 20, ..StoreConfig::default() }
}

fn open(dir: &Path) -> Result<Arc<EmbeddedStore>> {
    EmbeddedStore::open(config(dir), &Metrics::default())
}

async fn into_directory(file: &[u8], dir: &Path, generation: u64) -> Result<Arc<EmbeddedStore>> {
    let import = EmbeddedImport::begin(&config(dir), generation, 5)?;
    imported(file, &import).await?;
    drop(import);
    open(dir)
}

async fn into_memory(file: &[u8], options: MemoryOptions) -> Arc<MemoryStore> {
    let import = MemoryImport::new(options, check(Cursor::new(file)).expect("whole").0.generation);
    imported(file, &import).await.expect("imports");
    import.store(clock())
}

#[tokio::test]
async fn a_store_that_was_moved_reads_the_same_and_goes_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let model = MemoryStore::new(clock()).restored();
    let world = World::of(Arc::clone(&model) as Driver, true).await;
    let file = exported(&*model).await.expect("exports");
    let (header, written) = check(Cursor::new(&file)).expect("whole");
    assert_eq!((header.generation, header.driver.as_str(), written.bytes), (2, "memory", file.len() as u64));
    assert_eq!((written.counts.conversations, written.counts.users), (3, 3));
    assert_eq!((written.counts.entries, written.counts.records), (130 + 3 + 1_030, 309));

    let copy = into_directory(&file, dir.path(), 2).await.expect("imports");
    world.is_in(&(Arc::clone(&copy) as Driver)).await;
    let again = exported(&*copy).await.expect("exports");
    assert_eq!(check(Cursor::new(&again)).expect("whole").1.counts, written.counts);
    let apart = into_memory(&again, APART).await as Driver;
    world.is_in(&apart).await;
    world.goes_on_in(&apart).await;
    world.goes_on_in(&(copy as Driver)).await;
}

/// In the way that the services stop: the names of the journal stay, those of the feed's rest join them.
#[tokio::test]
async fn the_new_feed_gets_what_consumers_of_the_old_one_had_not_handled() {
    let parent = tempfile::tempdir().expect("a directory");
    let store = open(&parent.path().join("from")).expect("opens");
    let driver = Arc::clone(&store) as Driver;
    let (lobby, hall) = (key("t", "lobby"), key("t", "hall"));
    assert_ne!(feed_partition(&lobby), feed_partition(&hall));
    let (a, epoch) = owner(&driver, "a", &[&hall, &lobby]).await;
    let all = rows(Chain::START, 1..=5, (epoch, 1));
    for at in 0..5 {
        for key in [&lobby, &hall] {
            store.append(append(key, &a, all[at..=at].to_vec())).await.expect("appends");
        }
    }
    let nobody = pieces(&exported(&*store).await.expect("exports"));
    assert!(!nobody.iter().any(|piece| matches!(piece, Piece::Journal { .. })), "nobody ever asked for the feed");
    // The slowest first: what all known groups have handled is trimmed, at any time.
    store.feed_commit("search", feed_partition(&lobby), 2).await.expect("commits");
    store.feed_commit("push", feed_partition(&lobby), 3).await.expect("commits");
    for group in ["push", "search"] {
        store.feed_commit(group, feed_partition(&hall), 5).await.expect("commits");
    }
    let file = exported(&*store).await.expect("exports");

    let seqs = async |store: &dyn FeedTable, key: &ConversationKey| {
        let fed = store.feed_read(feed_partition(key), 0, 9).await.expect("reads");
        fed.into_iter().map(|(offset, entry)| (offset, entry.row.map_or(0, |row| row.seq))).collect::<Vec<_>>()
    };
    let copy = into_directory(&file, &parent.path().join("to"), 1).await.expect("imports");
    assert_eq!(seqs(&*copy, &lobby).await, [(1, 3), (2, 4), (3, 5)], "what the slowest group lacks");
    assert_eq!(seqs(&*copy, &hall).await, []);
    let whole = into_memory(&file, MemoryOptions::default()).await;
    assert_eq!(seqs(&*whole, &lobby).await, [(1, 3), (2, 4), (3, 5)]);

    let apart = into_memory(&file, APART).await;
    let heads = apart.heads(&[lobby.clone(), hall.clone()]).await.expect("reads");
    let fed: Vec<_> = heads.into_iter().flatten().map(|head| (head.seq, head.fed_seq)).collect();
    assert_eq!(fed, [(5, 2), (5, 5)], "the next owner gives the rest");
    assert_eq!(apart.journal(&instance("gone")).await, Ok(vec![lobby.clone()]), "and is told so");
    let c = instance("c");
    apart.register(&c, "here").await.expect("registers");
    let claimed = apart.claim(&[hall.shard(), lobby.shard()], &c, "here").await.expect("claims");
    let inherits: Vec<_> = claimed.iter().map(|one| one.inherits.clone()).collect();
    assert_eq!(inherits, [vec![], vec![instance("gone")]]);
}

#[tokio::test]
async fn a_file_that_is_cut_off_bent_or_too_long_is_refused() {
    let model = MemoryStore::new(clock());
    World::of(Arc::clone(&model) as Driver, false).await;
    let file = exported(&*model).await.expect("exports");
    let refused = |bytes: &[u8]| check(Cursor::new(bytes)).expect_err("refused");
    // All of the beginning and the end, some of what lies between.
    let some = |at: usize| at < 60 || at + 60 > file.len() || at.is_multiple_of(9_973);
    for at in (0..file.len()).filter(|at| some(*at)) {
        assert!(matches!(refused(&file[..at]), StoreError::Damaged(_)), "cut to {at}");
        let mut bent = file.clone();
        bent[at] ^= 1 << (at % 8);
        refused(&bent);
    }
    let longer = [&file[..], &[0]].concat();
    assert!(refused(&longer).to_string().contains("goes on after its end"));
    assert!(refused(b"PHORNBAK").to_string().contains("no export"));
}

#[tokio::test]
async fn a_directory_that_was_not_filled_to_its_end_is_no_store_and_another_import_starts_over() {
    let parent = tempfile::tempdir().expect("a directory");
    let dir = parent.path().join("to");
    let model = MemoryStore::new(clock());
    let world = World::of(Arc::clone(&model) as Driver, false).await;
    let file = exported(&*model).await.expect("exports");
    {
        let import = EmbeddedImport::begin(&config(&dir), 1, 5).expect("begins");
        let busy = EmbeddedImport::begin(&config(&dir), 1, 5).err().expect("in use").to_string();
        assert!(busy.contains("in use"), "{busy}");
        for piece in pieces(&file).into_iter().take(20) {
            import.take(piece).await.expect("takes");
        }
    }
    let refused = open(&dir).err().expect("no store").to_string();
    assert!(refused.contains("did not finish"), "{refused}");
    // A sender that died on the way looks like one that is done.
    let import = EmbeddedImport::begin(&config(&dir), 1, 5).expect("starts over");
    let (tx, some) = mpsc::channel(1);
    drop(tx);
    let short = super::import(&import, some, Counts { records: 1, ..Counts::default() }).await;
    assert!(matches!(short, Err(StoreError::Damaged(_))), "{short:?}");
    drop(import);
    assert!(open(&dir).is_err(), "not finished");

    let copy = into_directory(&file, &dir, 1).await.expect("imports");
    world.is_in(&(Arc::clone(&copy) as Driver)).await;
    drop(copy);
    let full = EmbeddedImport::begin(&config(&dir), 1, 5).err().expect("a store is there").to_string();
    assert!(full.contains("is not empty"), "{full}");
    std::fs::create_dir(parent.path().join("seen")).expect("makes");
    std::fs::write(parent.path().join("seen/GENERATION"), "4\n").expect("writes");
    let seen = EmbeddedImport::begin(&config(&parent.path().join("seen")), 1, 5).err().expect("refused").to_string();
    assert!(seen.contains("has seen generation 4"), "{seen}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_at_work_or_not_settled_is_not_exported() {
    let store = MemoryStore::with_options(clock(), APART);
    let lobby = key("t", "lobby");
    let (a, epoch) = owner(&(Arc::clone(&store) as Driver), "a", &[&lobby]).await;
    let beat = async |count| {
        let beat = Beat { instance: a.clone(), address: "here".to_owned(), count, leaving: false };
        store.beat(&beat).await.expect("beats");
    };
    beat(1).await;
    let alive = async {
        sleep(Duration::from_secs(1)).await;
        beat(2).await;
    };
    let (refused, ()) = join(exported(&*store), alive).await;
    let refused = refused.expect_err("somebody writes").to_string();
    assert!(refused.contains("instance a at here is at work"), "{refused}");
    exported(&*store).await.expect("nobody beats any more");

    store.append(append(&lobby, &a, rows(Chain::START, 1..=1, (epoch, 1)))).await.expect("appends");
    let owed = exported(&*store).await.expect_err("not settled").to_string();
    assert!(owed.contains("1 conversations are not settled"), "{owed}");
}

#[tokio::test]
async fn a_log_with_a_hole_is_not_carried_elsewhere() {
    let lobby = key("t", "lobby");
    let good = rows(Chain::START, 1..=3, (1 << 44 | 1, 1));
    let elsewhere = rows(Chain([1; 16]), 3..=3, (1 << 44 | 1, 1));
    for (some, damaged) in [(vec![&good[..2], &good[2..]], false), (vec![&good[..2], &elsewhere[..]], true)] {
        let store = MemoryStore::new(clock());
        let (a, _) = owner(&(Arc::clone(&store) as Driver), "a", &[&lobby]).await;
        for rows in some {
            store.append(append(&lobby, &a, rows.to_vec())).await.expect("appends");
        }
        let outcome = exported(&*store).await.map(drop);
        assert_eq!(matches!(outcome, Err(StoreError::Damaged(_))), damaged, "{outcome:?}");
    }
}
