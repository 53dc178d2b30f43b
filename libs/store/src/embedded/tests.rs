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
    let make = async || {
        made.set(made.get() + 1);
        open(&parent.path().join(made.get().to_string())) as Driver
    };
    conformance::run(make).await;
}
