//! On one node.

use std::{path::PathBuf, sync::Arc, time::Duration};

use posthorn_clock::{Clock, Instant, sleep};
use posthorn_core::{Chain, ConversationKey};
use posthorn_engines::cassandra::{Cassandra, CommitLog, Options, certificate};
use posthorn_store::{
    Beat, Durability, Settlement, Store,
    conformance::{self, Driver, append, append_and_settle, instance, key, owner, rows},
};
use posthorn_store_cql::{CqlConfig, CqlStore, OpenError, bench, schema::Schema};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;

use super::place;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_driver_conforms() {
    if !place::on() {
        return;
    }
    let config = place::shared().await;
    let open = async || {
        place::empty(&config).await;
        place::open(&config).await
    };
    let restored = async |store: Arc<CqlStore>| {
        let schema = Schema::connect(&config).await.expect("connects");
        let next = schema.restored(0).await.expect("takes a generation");
        assert_eq!(next, store.generation() + 1);
        assert_eq!(schema.restored(next + 5).await.ok(), Some(next + 6), "beyond what was seen after the backup");
        place::open(&config).await
    };
    conformance::run(open, restored).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_sends_no_conditional_statement() {
    if !place::on() {
        return;
    }
    let config = place::shared().await;
    let metrics = Metrics::default();
    let store = CqlStore::open(&config, &Clock::system(), &metrics, &Tasks::new()).await.expect("opens");
    let driver = Arc::clone(&store) as Driver;
    let lobby = key("t", "lobby");
    let (a, epoch) = owner(&driver, "a", &[&lobby]).await;
    let beat = |count| Beat { instance: a.clone(), address: "here".to_owned(), count, leaving: false };
    let before = store.conditional_statements();
    assert!(before > 0, "ownership is conditional");
    let mut chain = Chain::START;
    for seq in 1..=40 {
        let batch = rows(chain, seq..=seq, (epoch, 1));
        chain = Chain::from_slice(&batch[0].chain).expect("a chain");
        append_and_settle(&driver, append(&lobby, &a, batch)).await;
        assert_eq!(store.check(&a).await, Ok(true));
        store.beat(&beat(seq)).await.expect("beats");
    }
    assert_eq!(store.conditional_statements(), before);
    let told = metrics.encode();
    assert!(told.contains(&format!("posthorn_store_conditional_statements_total {before}")), "{told}");
    assert!(told.contains("posthorn_store_op_duration_seconds_count{op=\"append\"} 40"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_is_made_step_by_step_and_an_apply_that_was_cut_off_goes_on() {
    if !place::on() {
        return;
    }
    let config = place::config(place::one().await, 1);
    let open = async || CqlStore::open(&config, &Clock::system(), &Metrics::default(), &Tasks::new()).await;
    let refused = open().await.err().expect("there is no schema");
    assert!(matches!(refused, OpenError::Schema { found: 0, .. }) && refused.may_pass(), "{refused}");
    let schema = Schema::connect(&config).await.expect("connects");
    let before = schema.status().await.expect("reads");
    assert_eq!((before.version, before.steps.iter().any(|step| step.applied)), (0, false));
    let taken = schema.apply().await.expect("applies");
    assert_eq!(taken.iter().map(|step| step.version).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(schema.apply().await.expect("applies"), [], "nothing is left to do");
    let keyspace = &config.keyspace;
    place::statement(&config, &format!("DELETE FROM {keyspace}.schema_versions WHERE part = 'all' AND version = 2"))
        .await;
    assert_eq!(schema.status().await.expect("reads").version, 1, "what follows a gap does not count");
    let refused = open().await.err().expect("a step is missing");
    assert!(matches!(refused, OpenError::Schema { found: 1, needed: 3, .. }), "{refused}");
    let taken = schema.apply().await.expect("applies");
    assert_eq!(taken.iter().map(|step| step.version).collect::<Vec<_>>(), [2]);
    let store = open().await.expect("opens");
    assert_eq!((store.generation(), store.durability()), (1, Durability::Synced), "the commit log is `batch`");
}

/// As Cassandra itself would not, were each note a row that its removal deletes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_of_many_notes_and_removals_is_read() {
    if !place::on() {
        return;
    }
    let config = place::shared().await;
    let store = place::open(&config).await;
    let a = instance("a");
    let names: Vec<_> = (0..500).map(|n| key("t", &format!("c{n}"))).collect();
    for round in 0..8 {
        let notes: Vec<_> = names.iter().cloned().zip(std::iter::repeat(round * 2 + 1)).collect();
        store.note(&a, &notes).await.expect("notes");
        let settlement = |key: &ConversationKey| Settlement {
            key: key.clone(),
            head: None,
            members: Vec::new(),
            feed: Vec::new(),
            fed_seq: 0,
            remove: vec![round * 2 + 1],
        };
        store.settle(&a, names.iter().map(settlement).collect()).await.expect("settles");
    }
    assert_eq!(store.journal(&a).await, Ok(Vec::new()));
    store.note(&a, &[(names[7].clone(), 99)]).await.expect("notes");
    assert_eq!(store.journal(&a).await, Ok(vec![names[7].clone()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_speaks_tls_and_proves_who_it_is() {
    if !place::on() {
        return;
    }
    let options = Options { heap_mib: 512, secured: true, commit_log: CommitLog::Periodic, ..place::SINGLE };
    let secured = Cassandra::start(options).await.expect("Cassandra starts");
    let plain = place::config(secured.contact_points(), 1);
    let (user, password, ca_file) = ("cassandra".to_owned(), "cassandra".to_owned(), secured.ca_file());
    let good = CqlConfig { user, password, ca_file, ..plain.clone() };
    // The node makes its first user some time after it opens its port.
    let begun = Instant::now();
    while let Err(error) = Schema::connect(&good).await {
        assert!(begun.elapsed() < Duration::from_secs(120), "{error}");
        sleep(Duration::from_millis(200)).await;
    }
    let elsewhere = tempfile::tempdir().expect("a folder");
    let stranger = certificate(elsewhere.path()).expect("another authority");
    let bad = [
        ("without TLS", CqlConfig { ca_file: PathBuf::new(), ..good.clone() }),
        ("signed by somebody else", CqlConfig { ca_file: stranger, ..good.clone() }),
        ("without a name", CqlConfig { user: String::new(), ..good.clone() }),
        ("with a wrong password", CqlConfig { password: "wrong".to_owned(), ..good.clone() }),
    ];
    for (what, config) in bad {
        let refused = Schema::connect(&config).await.err().unwrap_or_else(|| panic!("{what}: connected"));
        assert!(matches!(refused, OpenError::Session(_)), "{what}: {refused}");
        assert!(!format!("{refused} {config:?}").contains("wrong"), "no password in {what}");
    }
    let store = place::fresh(&good).await;
    assert_eq!(store.durability(), Durability::Quorum, "the commit log is `periodic`");
}

/// Also the way to run it: `cargo test --release -p posthorn-store-cql bench -- --nocapture`, with
/// `BENCH_SECONDS=10` for figures worth noting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bench_compares_appends_with_plain_inserts() {
    if !place::on() {
        return;
    }
    let seconds = std::env::var("BENCH_SECONDS").ok().and_then(|text| text.parse().ok());
    let each = seconds.map_or(Duration::from_millis(300), Duration::from_secs);
    let config = place::shared().await;
    let store = place::open(&config).await;
    let report = bench::compare(&store, 256, 2, each).await.expect("measures");
    println!("{}", serde_json::to_string_pretty(&report).expect("encodes"));
    assert_eq!(report.conditional_statements, 0);
    assert!(report.plain.messages > 0 && report.appends.messages > 0 && report.ratio > 0.0);
}
