//! The conversation as a log, against a simple model: random sends, retries, joins, leaves, reads
//! and syncs over several devices, with restarts in between. Order, unread counts, visible ranges,
//! permissions and pages must be what the model says.

mod model;
mod ops;
mod run;

use proptest::{prelude::*, test_runner::Config};

proptest! {
    #![proptest_config(Config { cases: cases(), failure_persistence: None, ..Config::default() })]

    #[test]
    fn whatever_people_do_the_log_is_what_the_model_says((everything_visible, ops) in ops::history()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(run::run(everything_visible, ops));
    }
}

/// More with `POSTHORN_CASES`.
fn cases() -> u32 {
    std::env::var("POSTHORN_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(96)
}
