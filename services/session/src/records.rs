//! Small durable records over the storage service, as JSON.

use bytes::Bytes;
use posthorn_errors::{Code, Failure};
use posthorn_proto::internal::{
    DeleteRecordRequest, GetRecordRequest, ListRecordsRequest, PutRecordRequest, Record, Table,
};
use posthorn_rpc::{StorageClient, call};
use serde::{Serialize, de::DeserializeOwned};

/// Records in one page of a start-up read.
const PAGE: u32 = 1_000;

#[derive(Clone)]
pub struct Records(pub StorageClient);

impl Records {
    pub async fn get<T: DeserializeOwned>(&self, table: Table, tenant: &str, key: &str) -> Result<Option<T>, Failure> {
        let request = GetRecordRequest { table: table.into(), tenant: tenant.to_owned(), key: key.to_owned() };
        let value = call(self.0.clone().get_record(request)).await?.value;
        value.map(|bytes| decode(&bytes)).transpose()
    }

    pub async fn put<T: Serialize>(&self, table: Table, tenant: &str, key: &str, value: &T) -> Result<(), Failure> {
        self.write(table, tenant, key, value, false).await.map(drop)
    }

    /// What is there stays: returns it.
    pub async fn put_if_absent<T: Serialize + DeserializeOwned>(
        &self,
        table: Table,
        tenant: &str,
        key: &str,
        value: &T,
    ) -> Result<Option<T>, Failure> {
        self.write(table, tenant, key, value, true).await?.map(|bytes| decode(&bytes)).transpose()
    }

    async fn write<T: Serialize>(
        &self,
        table: Table,
        tenant: &str,
        key: &str,
        value: &T,
        if_absent: bool,
    ) -> Result<Option<Bytes>, Failure> {
        let value = serde_json::to_vec(value).map_err(|_| Failure::plain(Code::Internal))?;
        let (table, tenant, key) = (table.into(), tenant.to_owned(), key.to_owned());
        let request = PutRecordRequest { table, tenant, key, value: value.into(), if_absent };
        Ok(call(self.0.clone().put_record(request)).await?.existing)
    }

    pub async fn delete(&self, table: Table, tenant: &str, key: &str) -> Result<(), Failure> {
        let request = DeleteRecordRequest { table: table.into(), tenant: tenant.to_owned(), key: key.to_owned() };
        call(self.0.clone().delete_record(request)).await.map(drop)
    }

    /// The next records of one tenant beyond the key `after`, (key, value), by key.
    pub async fn page<T: DeserializeOwned>(
        &self,
        table: Table,
        tenant: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<(String, T)>, Failure> {
        let (tenant, after) = (tenant.to_owned(), after.to_owned());
        let request = ListRecordsRequest { table: table.into(), tenant, after, limit };
        let page: Vec<Record> = call(self.0.clone().list_records(request)).await?.records;
        page.into_iter().map(|record| Ok((record.key, decode(&record.value)?))).collect()
    }

    /// Every record of one tenant, (key, value), by key.
    pub async fn of_tenant<T: DeserializeOwned>(
        &self,
        table: Table,
        tenant: &str,
    ) -> Result<Vec<(String, T)>, Failure> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.page(table, tenant, &after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(all) };
            after.clone_from(last);
            all.extend(page);
        }
    }
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|_| Failure::new(Code::DataLoss, "a stored record does not decode"))
}
