//! The conversation as a log, against a simple model: random sends, retries, joins, leaves, reads
//! and syncs over several devices, with restarts in between. Order, unread counts, visible ranges,
//! permissions and pages must be what the model says.

mod model;
mod ops;
mod run;

use posthorn_node::NodeConfig;
use proptest::{prelude::*, test_runner::Config};

proptest! {
    #![proptest_config(Config { cases: cases(), failure_persistence: None, ..Config::default() })]

    #[test]
    fn whatever_people_do_the_log_is_what_the_model_says((everything_visible, ops) in ops::history()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(run::run(NodeConfig::default(), everything_visible, ops));
    }

    /// Counts, marks moved by own sends, retries and pages rest on the log and on what members stored, never on
    /// what happens to be in memory.
    #[test]
    fn with_next_to_no_memory_it_is_the_same((everything_visible, ops) in ops::history()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut config = NodeConfig::default();
        config.routing.recent_entries = 2;
        config.routing.max_loaded_conversations = 1;
        config.routing.max_loaded_users = 3;
        config.routing.settle_marks_ms = 1;
        runtime.block_on(run::run(config, everything_visible, ops));
    }
}

/// More with `POSTHORN_CASES`.
fn cases() -> u32 {
    std::env::var("POSTHORN_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(96)
}
