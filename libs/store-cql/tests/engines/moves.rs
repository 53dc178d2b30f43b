//! From one machine to the database, and back.

use std::{path::Path, sync::Arc};

use posthorn_clock::Clock;
use posthorn_store::{
    Settlement, Store, StoreError,
    conformance::{
        Driver, instance, key,
        moved::{World, exported, imported, pieces},
        read_all,
    },
    embedded::{EmbeddedImport, EmbeddedStore, StoreConfig},
    memory::MemoryStore,
    transfer::Target,
};
use posthorn_store_cql::{CqlConfig, CqlImport, CqlStore, OpenError, schema::Schema};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;

use super::place;

/// Of the content that is imported, and of another file.
const FILE: u64 = u64::MAX - 7;
const OTHER: u64 = 7;

async fn begin(config: &CqlConfig, generation: u64, file: u64) -> Result<CqlImport, OpenError> {
    CqlImport::begin(config, &Clock::system(), &Metrics::default(), &Tasks::new(), generation, file).await
}

async fn refused(config: &CqlConfig, generation: u64, file: u64) -> String {
    begin(config, generation, file).await.err().expect("refused").to_string()
}

fn on_disk(dir: &Path) -> StoreConfig {
    StoreConfig { data_dir: dir.to_owned(), min_free_bytes: 0, ..StoreConfig::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_moves_into_the_database_goes_on_there_and_moves_back() {
    if !place::on() {
        return;
    }
    let config = place::config(place::one().await, 1);
    let model = MemoryStore::new(Clock::simulated(1, 0)).restored();
    let world = World::of(Arc::clone(&model) as Driver, true).await;
    let file = exported(&*model).await.expect("exports");

    assert!(refused(&config, 2, FILE).await.contains("posthorn schema apply"));
    Schema::connect(&config).await.expect("connects").apply().await.expect("makes the tables");
    let seen = refused(&config, 0, OTHER).await;
    assert!(seen.contains("generation 1 was seen, and the export is of 0"), "{seen}");
    let import = begin(&config, 2, FILE).await.expect("begins: a refusal left no trace");
    for piece in pieces(&file).into_iter().rev().take(30) {
        import.take(piece).await.expect("takes");
    }
    drop(import);

    // Cut off: nobody takes it for a store, and only the same file goes on.
    let open = async || CqlStore::open(&config, &Clock::system(), &Metrics::default(), &Tasks::new()).await;
    let unfinished = open().await.err().expect("no store");
    assert!(matches!(unfinished, OpenError::Importing(_)) && unfinished.may_pass(), "{unfinished}");
    assert!(refused(&config, 2, OTHER).await.contains("an import of another file did not finish"));
    let import = begin(&config, 2, FILE).await.expect("goes on");
    imported(&file, &import).await.expect("imports");
    import.finish().await.expect("a second time changes nothing");
    drop(import);
    let full = refused(&config, 2, OTHER).await;
    assert!(full.contains("is not empty"), "{full}");

    let store = place::open(&config).await;
    let driver = Arc::clone(&store) as Driver;
    world.is_in(&driver).await;
    world.goes_on_in(&driver).await;

    // What was inherited is still to be settled; then nothing is.
    let owed = exported(&*store).await.expect_err("not settled");
    assert!(matches!(&owed, StoreError::Unavailable(why) if why.contains("1 conversations are not settled")), "{owed}");
    let (key, members, feed) = (key("t", "hall"), Vec::new(), Vec::new());
    let settlement = Settlement { key, head: None, members, feed, fed_seq: 0, remove: vec![1] };
    store.settle(&instance("c"), vec![settlement]).await.expect("settles");
    let back = exported(&*store).await.expect("exports");
    let dir = tempfile::tempdir().expect("a directory");
    let import = EmbeddedImport::begin(&on_disk(dir.path()), 2, 5).expect("begins");
    imported(&back, &import).await.expect("imports");
    drop(import);
    let here = EmbeddedStore::open(on_disk(dir.path()), &Metrics::default()).expect("opens") as Driver;
    for name in ["lobby", "hall"] {
        let key = posthorn_store::conformance::key("t", name);
        assert_eq!(read_all(&here, &key).await, read_all(&driver, &key).await);
        assert_eq!(here.members(&key).await, driver.members(&key).await);
    }
    let (before, after) = (driver.shards().await.expect("lists"), here.shards().await.expect("lists"));
    let epochs = |rows: &[posthorn_store::ShardRow]| rows.iter().map(|row| (row.shard, row.epoch)).collect::<Vec<_>>();
    assert_eq!((here.generation(), epochs(&after)), (2, epochs(&before)));
}
