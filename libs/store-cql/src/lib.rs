//! The store on ScyllaDB or Cassandra. docs/storage.md has the tables, and the reasons for what is written
//! how.
//!
//! An append is one plain insert for each partition of the log that it touches (as a rule one), and, where the
//! owner asks for a note, a share of a write to the instance's journal; heads, members and the feed are left to [`Store::settle`]. Only
//! ownership and small records are written conditionally; `store_conditional_statements` counts that.
//!
//! There is no feed table: who settles publishes to the stream first.

pub mod bench;
mod calls;
mod cells;
mod config;
mod durability;
mod error;
mod import;
mod journal;
mod log;
mod marks;
mod metrics;
mod ownership;
mod records;
mod rows;
mod scan;
pub mod schema;
mod session;
mod statements;
mod trait_impl;

use std::sync::Arc;

use posthorn_clock::Clock;
use posthorn_store::Durability;
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;
use scylla::client::session::Session;

use calls::Calls;
pub use config::CqlConfig;
pub use error::OpenError;
pub use import::CqlImport;
use journal::Journal;
use metrics::StoreMetrics;
use statements::Statements;

#[cfg(doc)]
use posthorn_store::Store;

/// See the crate's documentation. Connections are closed when it is dropped.
pub struct CqlStore {
    calls: Arc<Calls>,
    statements: Arc<Statements>,
    journal: Journal,
    generation: u64,
    durability: Durability,
}

impl CqlStore {
    /// Connects, and looks at what is there: the schema's version, the generation, how nodes sync.
    ///
    /// # Errors
    /// [`OpenError::may_pass`] says whether to try again: the database is away, or its schema is older than
    /// this build needs, and the service is not ready meanwhile.
    pub async fn open(
        config: &CqlConfig,
        clock: &Clock,
        metrics: &Metrics,
        tasks: &Tasks,
    ) -> Result<Arc<Self>, OpenError> {
        let session = Arc::new(session::connect(config).await?);
        let keyspace = &config.keyspace;
        schema::needed(&session, keyspace).await?;
        if import::under_way(&session, keyspace).await?.is_some() {
            return Err(OpenError::Importing(keyspace.clone()));
        }
        Self::over(session, config, clock, metrics, tasks).await
    }

    /// Of tables that are there.
    async fn over(
        session: Arc<Session>,
        config: &CqlConfig,
        clock: &Clock,
        metrics: &Metrics,
        tasks: &Tasks,
    ) -> Result<Arc<Self>, OpenError> {
        let generation = schema::generation(&session, &config.keyspace).await?;
        let durability = durability::detect(&session).await;
        let statements = Arc::new(Statements::prepare(&session, config).await?);
        let calls = Arc::new(Calls::new(session, config, StoreMetrics::new(metrics), clock.clone()));
        let (for_journal, prepared) = (Arc::clone(&calls), Arc::clone(&statements));
        let journal = Journal::start(for_journal, prepared, config.max_batch_notes, tasks);
        Ok(Arc::new(Self { calls, statements, journal, generation, durability }))
    }

    /// How many conditional statements were sent so far.
    #[must_use]
    pub fn conditional_statements(&self) -> u64 {
        self.calls.metrics.conditional.get()
    }
}
