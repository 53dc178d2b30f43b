//! What the store holds, for an export: whole tables, in the order of the database.

use async_trait::async_trait;
use posthorn_core::{ConversationId, ConversationKey, TenantId, UserId, UserKey};
use posthorn_store::{
    RecordKey, Result, StoreError, Table,
    transfer::{Found, Source},
};
use scylla::statement::prepared::PreparedStatement;
use tokio::sync::mpsc;

use crate::{CqlStore, calls::bind, error::damaged, rows::Pages};

#[async_trait]
impl Source for CqlStore {
    async fn scan(&self, found: mpsc::Sender<Found>) -> Result<()> {
        for table in Table::ALL {
            let record = |(tenant, key, value): (String, String, Vec<u8>)| {
                Ok(Found::Record(RecordKey { table, tenant, key }, value.into()))
            };
            self.send_all(&self.statements.records(table).scan, record, &found).await?;
        }
        let user = |(tenant, user): (String, String)| {
            Ok(Found::User(UserKey { tenant: tenant_of(&tenant)?, user: user_of(&user)? }))
        };
        self.send_all(&self.statements.registers_all, user, &found).await?;
        // The stream of the feed is another engine's: what its consumers have not handled is not known here.
        let conversation = |(tenant, name): (String, String)| {
            let conversation = ConversationId::new(&name).map_err(|why| damaged("a row of heads", why))?;
            let key = ConversationKey { tenant: tenant_of(&tenant)?, conversation };
            Ok(Found::Conversation { key, unhandled: None })
        };
        self.send_all(&self.statements.heads_all, conversation, &found).await
    }
}

fn tenant_of(name: &str) -> Result<TenantId> {
    TenantId::new(name).map_err(|why| damaged("the tenant of a row", why))
}

fn user_of(name: &str) -> Result<UserId> {
    UserId::new(name).map_err(|why| damaged("the user of a row", why))
}

impl CqlStore {
    async fn send_all<R>(
        &self,
        statement: &PreparedStatement,
        found_of: impl Fn(R) -> Result<Found>,
        found: &mpsc::Sender<Found>,
    ) -> Result<()>
    where
        R: for<'frame, 'meta> scylla::deserialize::row::DeserializeRow<'frame, 'meta>,
    {
        let mut pages = Pages::new(&self.calls, "scan", bind(statement, &())?);
        while let Some(page) = pages.next::<R>().await? {
            for row in page {
                let closed = |_| StoreError::Unavailable("nobody reads on".to_owned());
                found.send(found_of(row)?).await.map_err(closed)?;
            }
        }
        Ok(())
    }
}
