use std::time::Duration;

use posthorn_core::Chain;

use super::*;
use crate::{
    Store,
    conformance::{self, Driver, append, key, owner, read_all, rows, seqs},
};

const SYNC: Duration = Duration::from_millis(4);

fn clock() -> Clock {
    Clock::simulated(1, 0)
}

#[tokio::test(start_paused = true)]
async fn the_model_conforms() {
    conformance::run(async || MemoryStore::new(clock()) as Driver).await;
}

#[tokio::test(start_paused = true)]
async fn the_model_with_syncs_conforms() {
    let options = MemoryOptions { sync: SYNC, settle_apart: false };
    conformance::run(async || MemoryStore::with_options(clock(), options) as Driver).await;
}

#[tokio::test(start_paused = true)]
async fn the_model_that_settles_apart_conforms() {
    let options = MemoryOptions { sync: SYNC, settle_apart: true };
    conformance::run(async || MemoryStore::with_options(clock(), options) as Driver).await;
}
