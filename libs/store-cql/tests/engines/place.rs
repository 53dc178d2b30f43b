//! Where tests run: a database, and a keyspace of their own in it.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use posthorn_clock::Clock;
use posthorn_engines::{
    Mode,
    cassandra::{Cassandra, Options},
};
use posthorn_store_cql::{CqlConfig, CqlStore, schema::Schema};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;
use scylla::client::{session::Session, session_builder::SessionBuilder};
use tokio::sync::{Mutex, OnceCell};

static ONE: OnceCell<Option<Cassandra>> = OnceCell::const_new();
static SHARED: OnceCell<Mutex<CqlConfig>> = OnceCell::const_new();
static THREE: OnceCell<Mutex<Three>> = OnceCell::const_new();
static KEYSPACES: AtomicU32 = AtomicU32::new(0);

/// False where tests that need an engine are switched off: they say so and end.
pub fn on() -> bool {
    let on = posthorn_engines::mode() == Mode::Run;
    if !on {
        eprintln!("not run: POSTHORN_TEST_ENGINES=off");
    }
    on
}

/// It is never started again.
pub const SINGLE: Options = Options { forgets_tables: true, ..Options::single() };

/// The contact points of one node.
pub async fn one() -> Vec<String> {
    if let Ok(given) = std::env::var("POSTHORN_TEST_CQL") {
        return given.split(',').map(str::to_owned).collect();
    }
    let start = async || Some(Cassandra::start(SINGLE).await.expect("Cassandra starts"));
    ONE.get_or_init(start).await.as_ref().expect("started").contact_points()
}

/// Three nodes that replicate to each other, and tables on them.
pub struct Three {
    pub nodes: Cassandra,
    pub config: CqlConfig,
}

/// With empty tables, for one test at a time. What a node misses, it misses: nobody keeps it for its return.
pub async fn three() -> tokio::sync::MutexGuard<'static, Three> {
    let start = async || {
        let options = Options { hints: false, ..Options::three() };
        let nodes = Cassandra::start(options).await.expect("Cassandra starts");
        let config = config(nodes.contact_points(), 3);
        Schema::connect(&config).await.expect("connects").apply().await.expect("makes the tables");
        Mutex::new(Three { nodes, config })
    };
    let three = THREE.get_or_init(start).await.lock().await;
    empty(&three.config).await;
    three
}

/// A configuration that names a keyspace which nobody has used.
pub fn config(nodes: Vec<String>, replication: u8) -> CqlConfig {
    let n = KEYSPACES.fetch_add(1, Ordering::Relaxed);
    let keyspace = format!("t{}_{n}", std::process::id());
    CqlConfig { nodes, keyspace, replication, ..CqlConfig::default() }
}

/// Empty tables on one node, for one test at a time: making tables takes seconds, and dropping them, too.
pub async fn shared() -> tokio::sync::MutexGuard<'static, CqlConfig> {
    let make = async || {
        let config = config(one().await, 1);
        Schema::connect(&config).await.expect("connects").apply().await.expect("makes the tables");
        Mutex::new(config)
    };
    let config = SHARED.get_or_init(make).await.lock().await;
    empty(&config).await;
    config
}

/// Takes out what is in the tables. A deletion would hide what is written later, at timestamps of our own.
pub async fn empty(config: &CqlConfig) {
    let keyspace = &config.keyspace;
    let session = session(config).await;
    let text = format!("SELECT table_name FROM system_schema.tables WHERE keyspace_name = '{keyspace}'");
    let tables = session.query_unpaged(text, ()).await.expect("asks").into_rows_result().expect("rows");
    for table in tables.rows::<(String,)>().expect("names").map(|row| row.expect("a name").0) {
        if ["about", "schema_versions"].contains(&table.as_str()) {
            continue;
        }
        let text = format!("SELECT * FROM {keyspace}.{table} LIMIT 1");
        let some = session.query_unpaged(text, ()).await.expect("asks").into_rows_result().expect("rows");
        if some.rows_num() > 0 {
            session.query_unpaged(format!("TRUNCATE {keyspace}.{table}"), ()).await.expect("empties");
        }
    }
}

/// A new store in `config.keyspace`.
pub async fn fresh(config: &CqlConfig) -> Arc<CqlStore> {
    Schema::connect(config).await.expect("connects").apply().await.expect("makes the tables");
    open(config).await
}

pub async fn open(config: &CqlConfig) -> Arc<CqlStore> {
    CqlStore::open(config, &Clock::system(), &Metrics::default(), &Tasks::new()).await.expect("opens")
}

/// As an operator would, by hand.
pub async fn statement(config: &CqlConfig, text: &str) {
    session(config).await.query_unpaged(text, ()).await.expect("does it");
}

async fn session(config: &CqlConfig) -> Session {
    // A node that was away a moment ago need not agree at once.
    let builder = SessionBuilder::new().known_nodes(&config.nodes).auto_await_schema_agreement(false);
    builder.build().await.expect("connects")
}
