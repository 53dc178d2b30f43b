//! Heads, members and registers: cells that only grow (see `marks`).

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use posthorn_core::{ConversationKey, UserId, UserKey};
use posthorn_proto::internal::{Head, MemberRecord, RegisterRecord};
use posthorn_store::{Result, Settlement};
use prost::Message;

use crate::{
    CqlStore,
    calls::bind,
    error::damaged,
    marks::{at_seq, head_cell, head_of, register_cell, register_of, signed, unsigned},
    rows::Pages,
    statements::Statements,
};

/// Reads of one call that run at once.
const READS_AT_ONCE: usize = 32;
/// Cells of one partition in one write.
const CELLS_PER_WRITE: usize = 100;

impl CqlStore {
    pub(crate) async fn read_heads(&self, keys: &[ConversationKey]) -> Result<Vec<Option<Head>>> {
        let reads: Vec<_> = keys.iter().map(|key| self.read_head(key)).collect();
        stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await
    }

    async fn read_head(&self, key: &ConversationKey) -> Result<Option<Head>> {
        let bound = bind(&self.statements.head_read, &(key.tenant.as_str(), key.conversation.as_str()))?;
        let rows = Pages::new(&self.calls, "heads", bound).all::<(Option<Vec<u8>>, Option<i64>)>().await?;
        let Some((Some(value), fed)) = rows.into_iter().next() else { return Ok(None) };
        let fed_seq = fed.map_or(Ok(0), unsigned)?;
        Ok(Some(Head { fed_seq, ..head_of(&value)? }))
    }

    /// Members, then head and the feed's mark of one conversation: whoever reads a head, reads members after it that are
    /// as new. Were they written beside each other, a crash between the two would leave a head whose members nobody
    /// has, and which nothing writes again.
    pub(crate) async fn project(&self, settlement: &Settlement) -> Result<()> {
        let Settlement { key, head, members, fed_seq, .. } = settlement;
        self.write_members(key, members).await?;
        self.write_head(key, head.as_ref(), *fed_seq).await
    }

    /// Head and feed mark are cells of one row, each with a timestamp of its own: one write where both are told.
    async fn write_head(&self, key: &ConversationKey, head: Option<&Head>, fed_seq: u64) -> Result<()> {
        let (tenant, conversation) = (key.tenant.as_str(), key.conversation.as_str());
        let Statements { head_write, fed_write, .. } = &*self.statements;
        let fed = (fed_seq > 0).then(|| Ok((at_seq(self.generation, fed_seq)?, signed(fed_seq)?))).transpose()?;
        let fed = fed.map(|(at, seq)| (at, seq, tenant, conversation));
        let head = head.map(|head| head_cell(self.generation, head)).transpose()?;
        let head = head.map(|(at, value)| (at, value, tenant, conversation));
        match (head, fed) {
            (Some(head), Some(fed)) => self.calls.batch("settle_head", &[head_write, fed_write], &(head, fed)).await,
            (Some(head), None) => self.calls.write("settle_head", &bind(head_write, &head)?).await,
            (None, Some(fed)) => self.calls.write("settle_fed", &bind(fed_write, &fed)?).await,
            (None, None) => Ok(()),
        }
    }

    pub(crate) async fn write_members(&self, key: &ConversationKey, members: &[(String, MemberRecord)]) -> Result<()> {
        for chunk in members.chunks(CELLS_PER_WRITE) {
            let values = chunk
                .iter()
                .map(|(user, record)| {
                    let at = at_seq(self.generation, record.as_of_seq)?;
                    let value = Bytes::from(record.encode_to_vec());
                    Ok((at, value, key.tenant.as_str(), key.conversation.as_str(), user.as_str()))
                })
                .collect::<Result<Vec<_>>>()?;
            let statements = vec![&self.statements.member_write; values.len()];
            self.calls.batch("settle_members", &statements, &values).await?;
        }
        Ok(())
    }

    pub(crate) async fn read_members(&self, key: &ConversationKey) -> Result<Vec<(String, MemberRecord)>> {
        let bound = bind(&self.statements.members_read, &(key.tenant.as_str(), key.conversation.as_str()))?;
        let rows = Pages::new(&self.calls, "members", bound).all::<(String, Vec<u8>)>().await?;
        let decode = |(user, value): (String, Vec<u8>)| {
            let record = MemberRecord::decode(value.as_slice()).map_err(|why| damaged("a member", why))?;
            Ok((user, record))
        };
        rows.into_iter().map(decode).collect()
    }

    pub(crate) async fn read_registers(&self, user: &UserKey) -> Result<Vec<(String, RegisterRecord)>> {
        let bound = bind(&self.statements.registers_read, &(user.tenant.as_str(), user.user.as_str()))?;
        let rows = Pages::new(&self.calls, "registers", bound).all::<(String, Vec<u8>)>().await?;
        rows.into_iter().map(|(conversation, value)| Ok((conversation, register_of(&value)?))).collect()
    }

    pub(crate) async fn read_registers_of(
        &self,
        key: &ConversationKey,
        users: &[UserId],
    ) -> Result<Vec<Option<RegisterRecord>>> {
        let reads: Vec<_> = users.iter().map(|user| self.read_register(key, user)).collect();
        stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await
    }

    async fn read_register(&self, key: &ConversationKey, user: &UserId) -> Result<Option<RegisterRecord>> {
        let values = (key.tenant.as_str(), user.as_str(), key.conversation.as_str());
        let bound = bind(&self.statements.register_read, &values)?;
        let rows = Pages::new(&self.calls, "registers_of", bound).all::<(Vec<u8>,)>().await?;
        rows.into_iter().next().map(|(value,)| register_of(&value)).transpose()
    }

    pub(crate) async fn put_registers(&self, user: &UserKey, cells: &[(String, RegisterRecord)]) -> Result<()> {
        for chunk in cells.chunks(CELLS_PER_WRITE) {
            let values = chunk
                .iter()
                .map(|(conversation, record)| {
                    let (at, value) = register_cell(record)?;
                    Ok((at, value, user.tenant.as_str(), user.user.as_str(), conversation.as_str()))
                })
                .collect::<Result<Vec<_>>>()?;
            let statements = vec![&self.statements.register_write; values.len()];
            self.calls.batch("write_registers", &statements, &values).await?;
        }
        Ok(())
    }
}
