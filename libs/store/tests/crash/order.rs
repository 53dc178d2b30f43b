//! What a child process is told, as its second argument.

use std::{path::PathBuf, sync::Arc};

use posthorn_store::{
    StoreError,
    embedded::{EmbeddedStore, StoreConfig},
};
use posthorn_telemetry::Metrics;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    pub dir: PathBuf,
    pub seed: u64,
    /// Small ones are written, and journals rotated, within a run.
    pub memtable_bytes: u64,
    pub conversations: u64,
    /// Under which name the child owns; whoever looks, looks into this one's journal.
    pub instance: String,
    /// Acknowledges before the append: what this looks for has to be found in such a writer.
    pub too_early: bool,
    /// Where a backup goes.
    pub backup: Option<PathBuf>,
}

impl Order {
    pub fn config(&self) -> StoreConfig {
        StoreConfig {
            data_dir: self.dir.clone(),
            min_free_bytes: 0,
            housekeeping_ms: 20,
            cache_bytes: 4 << 20,
            memtable_bytes: self.memtable_bytes,
            max_journal_bytes: 64 << 20,
            ..StoreConfig::default()
        }
    }

    pub fn open(&self) -> Result<Arc<EmbeddedStore>, StoreError> {
        EmbeddedStore::open(self.config(), &Metrics::default())
    }
}
