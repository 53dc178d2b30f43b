//! Small records. A tenant's records of one table are spread over a few partitions by their key; a list
//! merges them. Every change is conditional on what it saw, as `if_absent` has to be: a plain write beside
//! conditional ones would be ordered by clocks.

use bytes::Bytes;
use futures_util::future::try_join_all;
use posthorn_store::{RecordKey, Result, StoreError, Table, rules::check_record_key};
use xxhash_rust::xxh3::xxh3_64;

use crate::{CqlStore, calls::bind, rows::Pages};

/// Partitions of one tenant's records of one table. Never changes.
const SLOTS: u16 = 16;
const MAX_ROUNDS: usize = 16;

fn slot(key: &RecordKey) -> i16 {
    i16::try_from(xxh3_64(key.key.as_bytes()) % u64::from(SLOTS)).unwrap_or_default()
}

impl CqlStore {
    pub(crate) async fn read_record(&self, key: &RecordKey) -> Result<Option<Bytes>> {
        Ok(self.stamped_record(key).await?.map(|(value, _)| value))
    }

    async fn stamped_record(&self, key: &RecordKey) -> Result<Option<(Bytes, i64)>> {
        let statement = &self.statements.records(key.table).get;
        let bound = bind(statement, &(key.tenant.as_str(), slot(key), key.key.as_str()))?;
        let rows = Pages::new(&self.calls, "get_record", bound).all::<(Vec<u8>, i64)>().await?;
        Ok(rows.into_iter().next().map(|(value, stamp)| (value.into(), stamp)))
    }

    /// What was there already; `None`: the value is there now.
    async fn insert_record(&self, key: &RecordKey, value: &Bytes) -> Result<Option<Bytes>> {
        let stamp = self.record_stamp();
        let statement = &self.statements.records(key.table).insert;
        let bound = bind(statement, &(key.tenant.as_str(), slot(key), key.key.as_str(), value, stamp))?;
        let mut outcome = self.calls.conditional("put_record", &bound).await?;
        if outcome.applied || outcome.number("stamp") == Some(stamp) {
            return Ok(None);
        }
        let there = outcome.take("value").and_then(scylla::value::CqlValue::into_blob);
        let there = there.ok_or_else(|| crate::error::damaged("a record", "it has no value"))?;
        Ok(Some(there.into()))
    }

    pub(crate) async fn write_record(&self, key: &RecordKey, value: &Bytes, if_absent: bool) -> Result<Option<Bytes>> {
        check_record_key(key)?;
        if if_absent {
            return self.insert_record(key, value).await;
        }
        for _ in 0..MAX_ROUNDS {
            let done = match self.stamped_record(key).await? {
                None => self.insert_record(key, value).await?.is_none(),
                Some((_, before)) => {
                    let stamp = self.record_stamp();
                    let statement = &self.statements.records(key.table).update;
                    let values = (value, stamp, key.tenant.as_str(), slot(key), key.key.as_str(), before);
                    let mut outcome = self.calls.conditional("put_record", &bind(statement, &values)?).await?;
                    outcome.applied || outcome.number("stamp") == Some(stamp)
                }
            };
            if done {
                return Ok(None);
            }
        }
        Err(busy(key))
    }

    /// Into new tables, that nobody uses yet: at a time below that of any conditional write.
    pub(crate) async fn import_record(&self, key: &RecordKey, value: &Bytes) -> Result<()> {
        check_record_key(key)?;
        let statement = &self.statements.records(key.table).import;
        let values = (key.tenant.as_str(), slot(key), key.key.as_str(), value, self.record_stamp());
        self.calls.write("import_record", &bind(statement, &values)?).await
    }

    pub(crate) async fn remove_record(&self, key: &RecordKey) -> Result<()> {
        for _ in 0..MAX_ROUNDS {
            let Some((_, before)) = self.stamped_record(key).await? else { return Ok(()) };
            let statement = &self.statements.records(key.table).delete;
            let bound = bind(statement, &(key.tenant.as_str(), slot(key), key.key.as_str(), before))?;
            if self.calls.conditional("delete_record", &bound).await?.applied {
                return Ok(());
            }
        }
        Err(busy(key))
    }

    pub(crate) async fn read_records(
        &self,
        table: Table,
        tenant: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(RecordKey, Bytes)>> {
        let mut found = if tenant.is_empty() {
            self.scan_records(table, after, limit).await?
        } else {
            let slots = (0..SLOTS).map(|slot| self.slot_records(table, tenant, after, limit, slot));
            try_join_all(slots).await?.into_iter().flatten().collect()
        };
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        found.truncate(limit);
        Ok(found)
    }

    async fn slot_records(
        &self,
        table: Table,
        tenant: &str,
        after: &str,
        limit: usize,
        slot: u16,
    ) -> Result<Vec<(RecordKey, Bytes)>> {
        let (slot, most) = (i16::try_from(slot).unwrap_or_default(), i32::try_from(limit).unwrap_or(i32::MAX));
        let bound = bind(&self.statements.records(table).list, &(tenant, slot, after, most))?;
        let rows = Pages::new(&self.calls, "list_records", bound).all::<(String, Vec<u8>)>().await?;
        let record =
            |(key, value): (String, Vec<u8>)| (RecordKey { table, tenant: tenant.to_owned(), key }, Bytes::from(value));
        Ok(rows.into_iter().map(record).collect())
    }

    /// Of all tenants: reads the whole table, keeps the first.
    async fn scan_records(&self, table: Table, after: &str, limit: usize) -> Result<Vec<(RecordKey, Bytes)>> {
        let bound = bind(&self.statements.records(table).scan, &())?;
        let mut pages = Pages::new(&self.calls, "scan_records", bound);
        let begin = RecordKey { table, tenant: String::new(), key: after.to_owned() };
        let mut first: Vec<(RecordKey, Bytes)> = Vec::new();
        while let Some(page) = pages.next::<(String, String, Vec<u8>)>().await? {
            let records = page.into_iter().map(|(tenant, key, value)| (RecordKey { table, tenant, key }, value.into()));
            first.extend(records.filter(|(key, _)| *key > begin));
            first.sort_by(|(a, _), (b, _)| a.cmp(b));
            first.truncate(limit);
        }
        Ok(first)
    }

    #[allow(clippy::cast_possible_wrap, reason = "any number will do")]
    fn record_stamp(&self) -> i64 {
        self.calls.clock.random() as i64
    }
}

fn busy(key: &RecordKey) -> StoreError {
    StoreError::Unavailable(format!("a record of {:?} is changed by others all the time", key.table))
}
