//! The schema: numbered steps that only add, each of statements that may be repeated, and a table that
//! says which were taken. An apply that was cut off goes on where it was.

mod steps;

use std::time::Duration;

use scylla::{
    client::session::Session,
    statement::Statement,
    value::{CqlValue, Row},
};
use serde::Serialize;

use crate::{CqlConfig, OpenError, session};
use posthorn_store::StoreError;
pub use steps::{CURRENT, MINIMUM};

/// Making a table waits until all nodes know it.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// One step of the schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    pub version: u32,
    /// What it brings.
    pub name: &'static str,
    pub statements: Vec<String>,
    pub applied: bool,
}

/// What a keyspace has, and what it lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    pub keyspace: String,
    /// 0: no schema.
    pub version: u32,
    /// What this build can work with at least, and what it would make.
    pub minimum: u32,
    pub current: u32,
    /// In their order.
    pub steps: Vec<Step>,
}

/// A connection for looking at the schema and changing it.
pub struct Schema {
    session: Session,
    config: CqlConfig,
}

impl Schema {
    /// # Errors
    /// No node answers, or the configuration does not make sense.
    pub async fn connect(config: &CqlConfig) -> Result<Self, OpenError> {
        steps::check_keyspace(&config.keyspace)?;
        Ok(Self { session: session::connect(config).await?, config: config.clone() })
    }

    /// Changes nothing.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn status(&self) -> Result<Status, OpenError> {
        let applied = applied(&self.session, &self.config.keyspace).await?;
        let steps = steps::all(&self.config, &self.datacenter()?, self.has_tablets());
        let steps: Vec<Step> =
            steps.into_iter().map(|step| Step { applied: applied.contains(&step.version), ..step }).collect();
        let version = steps.iter().take_while(|step| step.applied).last().map_or(0, |step| step.version);
        let keyspace = self.config.keyspace.clone();
        Ok(Status { keyspace, version, minimum: MINIMUM, current: CURRENT, steps })
    }

    /// Takes the steps that are missing, and says which. One at a time: run it from one place.
    ///
    /// # Errors
    /// The database does not answer, or refuses; what was done stays, and the next apply goes on.
    pub async fn apply(&self) -> Result<Vec<Step>, OpenError> {
        let missing = self.status().await?.steps.into_iter().filter(|step| !step.applied);
        let mut taken = Vec::new();
        for step in missing {
            for text in &step.statements {
                execute(&self.session, text).await?;
            }
            let keyspace = &self.config.keyspace;
            let (version, name) = (step.version, step.name);
            execute(
                &self.session,
                &format!(
                    "INSERT INTO {keyspace}.schema_versions (part, version, name) VALUES ('all', {version}, '{name}')"
                ),
            )
            .await?;
            taken.push(Step { applied: true, ..step });
        }
        Ok(taken)
    }

    /// The tables were put back from a snapshot: a generation that nobody has seen begins, so that cursors of
    /// before are answered by a reset, and what is written from here on is newer than whatever was. `seen` is
    /// the highest generation there was after the snapshot, where the operator knows it. Nothing else may use
    /// the tables meanwhile.
    ///
    /// # Errors
    /// The database does not answer, there is no schema, or somebody else did the same at the same time.
    pub async fn restored(&self, seen: u64) -> Result<u64, OpenError> {
        let before = generation(&self.session, &self.config.keyspace).await?;
        let next = before.max(seen) + 1;
        let keyspace = &self.config.keyspace;
        let text = format!("UPDATE {keyspace}.about SET value = {next} WHERE name = 'generation' IF value = {before}");
        let rows = execute(&self.session, &text).await?.into_rows_result().map_err(unreadable)?;
        let row: Row = rows.first_row().map_err(unreadable)?;
        if row.columns.first() != Some(&Some(CqlValue::Boolean(true))) {
            let why = "the generation was changed by somebody else meanwhile".to_owned();
            return Err(OpenError::Store(StoreError::Unavailable(why)));
        }
        Ok(next)
    }

    /// For the bench alone, whose keyspace is its own.
    pub(crate) async fn drop_keyspace(&self) -> Result<(), OpenError> {
        execute(&self.session, &format!("DROP KEYSPACE {}", self.config.keyspace)).await.map(drop)
    }

    fn datacenter(&self) -> Result<String, OpenError> {
        if !self.config.datacenter.is_empty() {
            return Ok(self.config.datacenter.clone());
        }
        let found = session::datacenters(&self.session).into_iter().next();
        found.ok_or_else(|| OpenError::Config("the nodes name no data centre: set `cql.datacenter`".to_owned()))
    }

    /// Only ScyllaDB's nodes have shards, and only there conditional writes need a keyspace without tablets.
    fn has_tablets(&self) -> bool {
        self.session.get_cluster_state().get_nodes_info().iter().any(|node| node.sharder().is_some())
    }
}

/// Which one the tables are of.
pub(crate) async fn generation(session: &Session, keyspace: &str) -> Result<u64, OpenError> {
    let text = format!("SELECT value FROM {keyspace}.about WHERE name = 'generation'");
    let rows = execute(session, &text).await?.into_rows_result().map_err(unreadable)?;
    let row = rows.maybe_first_row::<(i64,)>().map_err(unreadable)?;
    let (value,) = row.ok_or_else(|| unreadable("there is no generation"))?;
    u64::try_from(value).map_err(unreadable)
}

/// The version of the tables that a driver finds.
async fn version(session: &Session, keyspace: &str) -> Result<u32, OpenError> {
    steps::check_keyspace(keyspace)?;
    let applied = applied(session, keyspace).await?;
    Ok((1..).take_while(|version| applied.contains(version)).last().unwrap_or(0))
}

/// Whether the tables are what this build needs at least.
pub(crate) async fn needed(session: &Session, keyspace: &str) -> Result<(), OpenError> {
    let found = version(session, keyspace).await?;
    if found < MINIMUM {
        return Err(OpenError::Schema { keyspace: keyspace.to_owned(), found, needed: MINIMUM });
    }
    Ok(())
}

async fn applied(session: &Session, keyspace: &str) -> Result<Vec<u32>, OpenError> {
    let exists = format!(
        "SELECT table_name FROM system_schema.tables WHERE keyspace_name = '{keyspace}' AND table_name = 'schema_versions'"
    );
    if execute(session, &exists).await?.into_rows_result().is_ok_and(|rows| rows.rows_num() == 0) {
        return Ok(Vec::new());
    }
    let text = format!("SELECT version FROM {keyspace}.schema_versions WHERE part = 'all'");
    let rows = execute(session, &text).await?.into_rows_result().map_err(unreadable)?;
    let mut versions = Vec::new();
    for row in rows.rows::<(i32,)>().map_err(unreadable)? {
        versions.push(u32::try_from(row.map_err(unreadable)?.0).map_err(unreadable)?);
    }
    Ok(versions)
}

pub(crate) fn unreadable(why: impl std::fmt::Display) -> OpenError {
    OpenError::Store(StoreError::Damaged(format!("what the schema says of itself: {why}")))
}

pub(crate) async fn execute(
    session: &Session,
    text: &str,
) -> Result<scylla::response::query_result::QueryResult, OpenError> {
    let mut statement = Statement::new(text);
    statement.set_request_timeout(Some(STATEMENT_TIMEOUT));
    let result = session.query_unpaged(statement, ()).await;
    result.map_err(|why| OpenError::Store(StoreError::Unavailable(format!("{text:?}: {why}"))))
}
