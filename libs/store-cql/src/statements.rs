//! Every statement, prepared once. docs/storage.md has the tables.

use futures_util::future::try_join_all;
use posthorn_store::Table;
use scylla::{
    client::session::Session,
    statement::{Consistency, Statement, prepared::PreparedStatement},
};

use crate::{
    CqlConfig, OpenError,
    error::verdict,
    marks::{FORGOTTEN_AT, WRITTEN_AT},
};
use posthorn_store::StoreError;

macro_rules! statements {
    ($($name:ident: $kind:ident($text:expr),)*) => {
        pub(crate) struct Statements {
            $(pub $name: PreparedStatement,)*
            records: Vec<RecordStatements>,
        }

        impl Statements {
            pub async fn prepare(session: &Session, config: &CqlConfig) -> Result<Self, OpenError> {
                let prepare = Prepare { session, config };
                // At once: one after the other they would be most of the time of a start.
                let records = Table::ALL.map(|table| RecordStatements::prepare(&prepare, table_name(table)));
                let (records, $($name),*) = tokio::try_join!(
                    Box::pin(try_join_all(records)),
                    $(Box::pin(prepare.$kind($text))),*
                )?;
                Ok(Self { $($name,)* records })
            }
        }
    };
}

statements! {
    row_write: write("INSERT INTO {}.log (tenant, conversation, bucket, seq, epoch, load, format, chain, envelope, body) \
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP {written}"),
    rows_up: read("SELECT seq, epoch, load, format, chain, envelope, body FROM {}.log \
        WHERE tenant = ? AND conversation = ? AND bucket = ? AND seq >= ? AND seq <= ?"),
    rows_down: read("SELECT seq, epoch, load, format, chain, envelope, body FROM {}.log \
        WHERE tenant = ? AND conversation = ? AND bucket = ? AND seq >= ? AND seq <= ? \
        ORDER BY seq DESC, epoch DESC, load DESC"),
    head_write: write("UPDATE {}.heads USING TIMESTAMP ? SET head = ? WHERE tenant = ? AND conversation = ?"),
    fed_write: write("UPDATE {}.heads USING TIMESTAMP ? SET fed = ? WHERE tenant = ? AND conversation = ?"),
    head_read: read("SELECT head, fed FROM {}.heads WHERE tenant = ? AND conversation = ?"),
    heads_all: read("SELECT DISTINCT tenant, conversation FROM {}.heads"),
    member_write: write("UPDATE {}.members USING TIMESTAMP ? SET member = ? \
        WHERE tenant = ? AND conversation = ? AND user = ?"),
    members_read: read("SELECT user, member FROM {}.members WHERE tenant = ? AND conversation = ?"),
    register_write: write("UPDATE {}.registers USING TIMESTAMP ? SET register = ? \
        WHERE tenant = ? AND user = ? AND conversation = ?"),
    registers_read: read("SELECT conversation, register FROM {}.registers WHERE tenant = ? AND user = ?"),
    registers_all: read("SELECT DISTINCT tenant, user FROM {}.registers"),
    register_read: read("SELECT register FROM {}.registers WHERE tenant = ? AND user = ? AND conversation = ?"),

    noted: write("UPDATE {}.journal USING TIMESTAMP ? SET noted = ? \
        WHERE instance = ? AND slot = ? AND tenant = ? AND conversation = ?"),
    removed: write("UPDATE {}.journal USING TIMESTAMP ? SET removed = ? \
        WHERE instance = ? AND slot = ? AND tenant = ? AND conversation = ?"),
    journal_read: read("SELECT tenant, conversation, noted, removed FROM {}.journal WHERE instance = ? AND slot = ?"),
    journal_drop: write("DELETE FROM {}.journal WHERE instance = ? AND slot = ?"),

    instance_register: conditional("INSERT INTO {}.instances (instance, state, address, stamp) \
        VALUES (?, 'active', ?, ?) IF NOT EXISTS"),
    instance_fence: conditional("UPDATE {}.instances SET state = 'fenced' WHERE instance = ? IF state = 'active'"),
    instance_read: read("SELECT state FROM {}.instances WHERE instance = ?"),
    shard_first: conditional("INSERT INTO {}.shards (region, shard, epoch, owner, address, inherits, stamp) \
        VALUES (?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS"),
    shard_change: conditional("UPDATE {}.shards SET epoch = ?, owner = ?, address = ?, inherits = ?, stamp = ? \
        WHERE region = ? AND shard = ? IF stamp = ?"),
    shard_read: serial("SELECT shard, epoch, owner, address, inherits, stamp FROM {}.shards \
        WHERE region = ? AND shard = ?"),
    shards_read: read("SELECT shard, epoch, owner, address, inherits, stamp FROM {}.shards"),
    beat: write("INSERT INTO {}.beats (region, instance, count, address, leaving) VALUES (?, ?, ?, ?, ?) \
        USING TIMESTAMP ? AND TTL ?"),
    beats_read: read("SELECT instance, address, count, leaving FROM {}.beats WHERE region = ?"),
    beat_forget: write("DELETE FROM {}.beats USING TIMESTAMP {forever} WHERE region = ? AND instance = ?"),
}

impl Statements {
    pub fn records(&self, table: Table) -> &RecordStatements {
        &self.records[Table::ALL.iter().position(|known| *known == table).unwrap_or_default()]
    }
}

/// Those of one table of small records.
pub(crate) struct RecordStatements {
    pub get: PreparedStatement,
    pub insert: PreparedStatement,
    pub update: PreparedStatement,
    pub delete: PreparedStatement,
    pub list: PreparedStatement,
    pub scan: PreparedStatement,
    /// Into new tables, that nobody uses yet.
    pub import: PreparedStatement,
}

impl RecordStatements {
    async fn prepare(prepare: &Prepare<'_>, table: &str) -> Result<Self, OpenError> {
        let text = |text: &str| text.replace("{table}", table);
        let at = "tenant = ? AND slot = ? AND key";
        let list = text(&format!("SELECT key, value FROM {{}}.{{table}} WHERE {at} > ? LIMIT ?"));
        let get = text(&format!("SELECT value, stamp FROM {{}}.{{table}} WHERE {at} = ?"));
        let scan = text("SELECT tenant, key, value FROM {}.{table}");
        let insert =
            text("INSERT INTO {}.{table} (tenant, slot, key, value, stamp) VALUES (?, ?, ?, ?, ?) IF NOT EXISTS");
        let update = text(&format!("UPDATE {{}}.{{table}} SET value = ?, stamp = ? WHERE {at} = ? IF stamp = ?"));
        let delete = text(&format!("DELETE FROM {{}}.{{table}} WHERE {at} = ? IF stamp = ?"));
        let import = text(
            "INSERT INTO {}.{table} (tenant, slot, key, value, stamp) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP {written}",
        );
        let (get, list, scan, insert, update, delete, import) = tokio::try_join!(
            prepare.read(&get),
            prepare.read(&list),
            prepare.read(&scan),
            prepare.conditional(&insert),
            prepare.conditional(&update),
            prepare.conditional(&delete),
            prepare.write(&import),
        )?;
        Ok(Self { get, insert, update, delete, list, scan, import })
    }
}

pub(crate) const fn table_name(table: Table) -> &'static str {
    match table {
        Table::Tenants => "tenants",
        Table::SigningKeys => "signing_keys",
        Table::ApiKeys => "api_keys",
        Table::Users => "users",
        Table::Devices => "devices",
        Table::Revocations => "revocations",
        Table::Idempotency => "idempotency",
        Table::LastSeen => "last_seen",
        Table::DeadLetters => "dead_letters",
    }
}

struct Prepare<'a> {
    session: &'a Session,
    config: &'a CqlConfig,
}

impl Prepare<'_> {
    /// At the level of the session, LOCAL_QUORUM. The second of two copies may be asked.
    async fn read(&self, text: &str) -> Result<PreparedStatement, OpenError> {
        let mut statement = self.plain(text).await?;
        statement.set_page_size(i32::try_from(self.config.page_rows.max(1)).unwrap_or(i32::MAX));
        statement.set_is_idempotent(true);
        Ok(statement)
    }

    /// Sees, and completes, what a conditional write has begun.
    async fn serial(&self, text: &str) -> Result<PreparedStatement, OpenError> {
        let mut statement = self.plain(text).await?;
        statement.set_consistency(Consistency::LocalSerial);
        Ok(statement)
    }

    /// Repeated by us, not by the session: it would not tell what became of the tries before the last.
    async fn write(&self, text: &str) -> Result<PreparedStatement, OpenError> {
        self.plain(text).await
    }

    async fn conditional(&self, text: &str) -> Result<PreparedStatement, OpenError> {
        self.plain(text).await
    }

    async fn plain(&self, text: &str) -> Result<PreparedStatement, OpenError> {
        let text = text
            .replace("{}", &self.config.keyspace)
            .replace("{written}", &WRITTEN_AT.to_string())
            .replace("{forever}", &FORGOTTEN_AT.to_string());
        let prepared = self.session.prepare(Statement::new(&text)).await;
        prepared.map_err(|why| {
            let (word, _) = verdict(&why.clone().into());
            OpenError::Store(StoreError::Unavailable(format!("cannot prepare ({word}) {text:?}: {why}")))
        })
    }
}
