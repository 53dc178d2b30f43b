//! Filling new tables with what was exported from another store. A row in `about` says that an import is under
//! way, and of which file: nobody opens the store meanwhile, and the same file may be imported again, from its
//! beginning, until it is whole. Every write is one that may be repeated.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use posthorn_clock::{Clock, sleep};
use posthorn_core::backoff::Backoff;
use posthorn_store::{
    Result, Settlement, Store, StoreError, Table,
    transfer::{Piece, Target},
};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;
use scylla::{
    client::session::Session,
    value::{CqlValue, Row},
};

use crate::{
    CqlConfig, CqlStore, OpenError,
    schema::{self, execute, unreadable},
    session,
    statements::table_name,
};

/// Those that are empty in a keyspace that nobody has used, beside the tables of records.
const TABLES: [&str; 7] = ["log", "heads", "members", "registers", "instances", "shards", "journal"];
/// Tries to say that the import is whole, and the pauses between them.
const END_TRIES: u32 = 10;
const RETRY_BASE_MS: u64 = 50;
const RETRY_CAP_MS: u64 = 2_000;

/// Tables that are being filled. Until [`Target::finish`] has returned they are no store, and are refused as one.
pub struct CqlImport {
    store: Arc<CqlStore>,
    session: Arc<Session>,
    keyspace: String,
    file: i64,
    clock: Clock,
}

impl CqlImport {
    /// Takes the tables of `config.keyspace`, which are empty, or hold what an import of the same `file` left
    /// that was cut off. They become of `generation`.
    ///
    /// # Errors
    /// There is no schema, the tables hold something else, or have seen a later generation.
    pub async fn begin(
        config: &CqlConfig,
        clock: &Clock,
        metrics: &Metrics,
        tasks: &Tasks,
        generation: u64,
        file: u64,
    ) -> Result<Self, OpenError> {
        let session = Arc::new(session::connect(config).await?);
        let keyspace = config.keyspace.clone();
        schema::needed(&session, &keyspace).await?;
        let file = file.cast_signed();
        seen(&session, &keyspace, generation).await?;
        match under_way(&session, &keyspace).await? {
            Some(before) if before == file => {}
            Some(_) => {
                let what = "an import of another file did not finish: import that one, or drop the keyspace, apply \
                            the schema and begin anew";
                return Err(in_keyspace(&keyspace, what));
            }
            None => {
                empty(&session, &keyspace).await?;
                let marker =
                    format!("INSERT INTO {keyspace}.about (name, value) VALUES ('importing', {file}) IF NOT EXISTS");
                if !applied(&session, &marker).await? && under_way(&session, &keyspace).await? != Some(file) {
                    return Err(in_keyspace(&keyspace, "somebody else began an import"));
                }
            }
        }
        adopt(&session, &keyspace, generation).await?;
        let store = CqlStore::over(Arc::clone(&session), config, clock, metrics, tasks).await?;
        Ok(Self { store, session, keyspace, file, clock: clock.clone() })
    }
}

/// The file whose import into the keyspace did not finish.
pub(crate) async fn under_way(session: &Session, keyspace: &str) -> Result<Option<i64>, OpenError> {
    let text = format!("SELECT value FROM {keyspace}.about WHERE name = 'importing'");
    let rows = execute(session, &text).await?.into_rows_result().map_err(unreadable)?;
    Ok(rows.maybe_first_row::<(i64,)>().map_err(unreadable)?.map(|(file,)| file))
}

fn in_keyspace(keyspace: &str, what: &str) -> OpenError {
    OpenError::Store(StoreError::Exists(format!("in keyspace {keyspace} {what}")))
}

async fn empty(session: &Session, keyspace: &str) -> Result<(), OpenError> {
    for table in TABLES.into_iter().chain(Table::ALL.into_iter().map(table_name)) {
        let text = format!("SELECT * FROM {keyspace}.{table} LIMIT 1");
        let rows = execute(session, &text).await?.into_rows_result().map_err(unreadable)?;
        if rows.rows_num() > 0 {
            let what = format!("the table {table} is not empty: import into a keyspace that nobody has used");
            return Err(in_keyspace(keyspace, &what));
        }
    }
    Ok(())
}

/// Refuses a generation that is over: cursors of a later one would be taken for ones of this.
async fn seen(session: &Session, keyspace: &str, generation: u64) -> Result<u64, OpenError> {
    let now = schema::generation(session, keyspace).await?;
    if now > generation {
        let what = format!("generation {now} was seen, and the export is of {generation}: use another keyspace");
        return Err(in_keyspace(keyspace, &what));
    }
    Ok(now)
}

async fn adopt(session: &Session, keyspace: &str, generation: u64) -> Result<(), OpenError> {
    let now = seen(session, keyspace, generation).await?;
    if now == generation {
        return Ok(());
    }
    let text = format!("UPDATE {keyspace}.about SET value = {generation} WHERE name = 'generation' IF value = {now}");
    if !applied(session, &text).await? && schema::generation(session, keyspace).await? != generation {
        return Err(in_keyspace(keyspace, "somebody else changed the generation meanwhile"));
    }
    Ok(())
}

/// Whether a conditional statement was applied.
async fn applied(session: &Session, text: &str) -> Result<bool, OpenError> {
    let rows = execute(session, text).await?.into_rows_result().map_err(unreadable)?;
    let row: Row = rows.first_row().map_err(unreadable)?;
    Ok(row.columns.first() == Some(&Some(CqlValue::Boolean(true))))
}

#[async_trait]
impl Target for CqlImport {
    async fn take(&self, piece: Piece) -> Result<()> {
        match piece {
            Piece::Record { key, value } => self.store.import_record(&key, &value).await,
            Piece::Rows { key, rows } => self.store.write_rows(&key, &rows).await,
            Piece::Members { key, members } => self.store.write_members(&key, &members).await,
            Piece::Head { key, head } => {
                let (members, feed, remove, fed_seq) = (Vec::new(), Vec::new(), Vec::new(), head.fed_seq);
                self.store.project(&Settlement { key, head: Some(head), members, feed, fed_seq, remove }).await
            }
            Piece::Registers { user, registers } => self.store.put_registers(&user, &registers).await,
            Piece::Journal { instance, names } => {
                let notes: Vec<_> = names.into_iter().map(|name| (name, 1)).collect();
                self.store.note(&instance, &notes).await
            }
            Piece::Shards(rows) => self.store.import_shards(&rows).await,
        }
    }

    async fn finish(&self) -> Result<()> {
        let Self { keyspace, file, .. } = self;
        let text = format!("DELETE FROM {keyspace}.about WHERE name = 'importing' IF value = {file}");
        let mut backoff = Backoff::new(RETRY_BASE_MS, RETRY_CAP_MS);
        let mut last = String::new();
        for _ in 0..END_TRIES {
            // One that was not answered may have been applied: then there is nothing left to delete.
            match applied(&self.session, &text).await {
                Ok(true) => return Ok(()),
                Ok(false) => match under_way(&self.session, keyspace).await {
                    Ok(None) => return Ok(()),
                    Ok(Some(_)) => last = "another import began".to_owned(),
                    Err(error) => last = error.to_string(),
                },
                Err(error) => last = error.to_string(),
            }
            sleep(Duration::from_millis(backoff.next_ms(self.clock.random()))).await;
        }
        Err(StoreError::Unavailable(format!("everything is there, but it could not be said so: {last}")))
    }
}
