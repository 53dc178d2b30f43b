//! The rows of `Idempotency-Key`: table IDEMPOTENCY, key `http.DAY.HASH`.
//!
//! A row lies in the window (day since 1970) in which it was claimed. It is looked for in the present window
//! and the one before, and counts while it is younger than its time: so nothing is ever overwritten because
//! of its age, and claiming needs no more than "put if absent".

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use http::{Method, Uri};
use posthorn_clock::{Uuid, sleep};
use posthorn_core::blind;
use posthorn_errors::Code;
use posthorn_proto::internal::{
    DeleteRecordRequest, GetRecordRequest, ListRecordsRequest, PutRecordRequest, Record, Table,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Api, Problem, Scope, hex};
use crate::http::{auth::OPERATOR_ROWS, config::DAY_MS};

const PREFIX: &str = "http.";
/// Rows read at once by the sweep.
const SWEEP_PAGE: u32 = 1_000;
/// Tenants that a gateway remembers to sweep for.
const MAX_KEYED_TENANTS: usize = 10_000;

/// Where a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Working,
    /// The work ended and may have had its effect: to be repeated by whoever comes.
    Open,
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// SHA-256 of the request's body.
    pub hash: String,
    pub message_id: Uuid,
    pub state: State,
    /// When the key was first claimed; its day runs from here.
    pub begun_ms: u64,
    /// When the present worker began.
    pub worked_ms: u64,
    pub status: u16,
    pub content_type: Option<String>,
    pub location: Option<String>,
    /// Of a `Done` row: absent where it is a secret.
    pub body: Option<String>,
}

impl Row {
    pub fn begun(hash: &str, message_id: Uuid, now_ms: u64) -> Self {
        Self {
            hash: hash.to_owned(),
            message_id,
            state: State::Working,
            begun_ms: now_ms,
            worked_ms: now_ms,
            status: 0,
            content_type: None,
            location: None,
            body: None,
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, Problem> {
        serde_json::from_slice(bytes)
            .map_err(|error| Problem::new(Code::Internal, format!("an idempotency row is damaged: {error}")))
    }
}

/// Where the rows of one key lie.
pub(crate) struct Keyed {
    tenant: String,
    hash: String,
}

impl Keyed {
    pub fn new(scope: &Scope, method: &Method, uri: &Uri, key: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [method.as_str(), uri.path(), uri.query().unwrap_or_default(), key] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        Self { tenant: scope.tenant.clone(), hash: hex(&hash.finalize()) }
    }

    /// In the window of `at_ms`.
    pub fn name(&self, at_ms: u64) -> String {
        format!("{PREFIX}{:08}.{}", at_ms / DAY_MS, self.hash)
    }

    /// The row that holds the key, or `None`: then `fresh` is now in its place.
    pub async fn find_or_put(&self, api: &Api, fresh: &Row) -> Result<Option<(String, Row)>, Problem> {
        let now_ms = fresh.begun_ms;
        let before = self.name(now_ms.saturating_sub(DAY_MS));
        let young = |row: &Row| now_ms < row.begun_ms + api.config().idempotency_ttl_ms.min(DAY_MS);
        if let Some(row) = self.get(api, &before).await?.filter(young) {
            return Ok(Some((before, row)));
        }
        served(api, &self.tenant);
        let name = self.name(now_ms);
        let existing = self.write(api, &name, fresh, true).await?;
        existing.map(|bytes| Row::decode(&bytes).map(|row| (name, row))).transpose()
    }

    pub async fn get(&self, api: &Api, name: &str) -> Result<Option<Row>, Problem> {
        let (tenant, key) = (self.tenant.clone(), name.to_owned());
        let request = GetRecordRequest { table: Table::Idempotency.into(), tenant, key };
        let value = api.deps().storage.clone().get_record(request).await?.into_inner().value;
        value.map(|bytes| Row::decode(&bytes)).transpose()
    }

    pub async fn put(&self, api: &Api, name: &str, row: &Row) -> Result<(), Problem> {
        self.write(api, name, row, false).await.map(drop)
    }

    async fn write(&self, api: &Api, name: &str, row: &Row, if_absent: bool) -> Result<Option<Bytes>, Problem> {
        let value = serde_json::to_vec(row).map_err(|error| Problem::new(Code::Internal, error.to_string()))?;
        let put = PutRecordRequest {
            table: Table::Idempotency.into(),
            tenant: self.tenant.clone(),
            key: name.to_owned(),
            value: value.into(),
            if_absent,
        };
        Ok(api.deps().storage.clone().put_record(put).await?.into_inner().existing)
    }

    pub async fn delete(&self, api: &Api, name: &str) -> Result<(), Problem> {
        remove(api, self.tenant.clone(), name.to_owned()).await
    }
}

async fn remove(api: &Api, tenant: String, key: String) -> Result<(), Problem> {
    let delete = DeleteRecordRequest { table: Table::Idempotency.into(), tenant, key };
    api.deps().storage.clone().delete_record(delete).await?;
    Ok(())
}

/// Removes rows of windows that nobody looks into any more, now and then.
pub(crate) fn sweep_in_background(api: &Api) {
    let (api, tasks) = (api.clone(), api.deps().tasks.clone());
    let stopping = tasks.stopping();
    tasks.background("http_idempotency_sweep", async move {
        loop {
            let mean = api.config().idempotency_sweep_ms;
            // Many gateways, one table: not all at once.
            let pause = Duration::from_millis(mean / 2 + api.deps().clock.below(mean));
            tokio::select! {
                () = stopping.cancelled() => return,
                () = sleep(pause) => {}
            }
            if let Err(problem) = sweep(&api).await {
                tracing::info!(error = %problem.failure, "old idempotency rows stay for now");
            }
        }
    });
}

/// One pass over the table.
pub(crate) async fn sweep(api: &Api) -> Result<(), Problem> {
    let now_ms = api.deps().clock.now_ms();
    let requests = format!("{PREFIX}{:08}.", (now_ms / DAY_MS).saturating_sub(1));
    for tenant in tenants(api).await? {
        sweep_prefix(api, &tenant, PREFIX, &requests).await?;
        sweep_prefix(api, &tenant, blind::PREFIX, &blind::oldest(now_ms)).await?;
    }
    Ok(())
}

/// Removes what begins with `prefix` and lies below `oldest`.
async fn sweep_prefix(api: &Api, tenant: &str, prefix: &str, oldest: &str) -> Result<(), Problem> {
    let mut after = prefix.to_owned();
    loop {
        let page = list(api, Table::Idempotency, tenant, &after, SWEEP_PAGE).await?;
        let old = |record: &&Record| record.key.as_str() < oldest && record.key.starts_with(prefix);
        let past = page.iter().take_while(old).count();
        for record in &page[..past] {
            remove(api, record.tenant.clone(), record.key.clone()).await?;
            api.metrics.idempotency_rows_removed.inc();
        }
        match page.last() {
            Some(last) if past == page.len() => after.clone_from(&last.key),
            _ => return Ok(()),
        }
    }
}

/// Whose rows to look through: the operator's, those of the tenants that this gateway served, and of as many
/// others as one page names. A tenant beyond is looked after by the gateways that serve it.
async fn tenants(api: &Api) -> Result<BTreeSet<String>, Problem> {
    let mut names = api.keyed_tenants.lock().clone();
    names.insert(OPERATOR_ROWS.to_owned());
    let page = list(api, Table::Tenants, "", "", SWEEP_PAGE).await?;
    names.extend(page.into_iter().map(|record| record.tenant));
    Ok(names)
}

/// Remembers whose rows there are.
fn served(api: &Api, tenant: &str) {
    let mut names = api.keyed_tenants.lock();
    if names.len() < MAX_KEYED_TENANTS && !names.contains(tenant) {
        names.insert(tenant.to_owned());
    }
}

async fn list(api: &Api, table: Table, tenant: &str, after: &str, limit: u32) -> Result<Vec<Record>, Problem> {
    let (tenant, after) = (tenant.to_owned(), after.to_owned());
    let request = ListRecordsRequest { table: table.into(), tenant, after, limit };
    Ok(api.deps().storage.clone().list_records(request).await?.into_inner().records)
}
