//! Pieces as they stand in a file.

use posthorn_core::{ConversationId, ConversationKey, SHARDS, Shard, TenantId, UserId, UserKey};
use posthorn_proto::internal::{
    self, JournalRow, MemberRow, RegisterRow, TransferHead, TransferJournal, TransferMembers, TransferRecord,
    TransferRegisters, TransferRows, TransferShards, transfer_part::Part,
};

use super::Piece;
use crate::{InstanceId, RecordKey, Result, ShardRow, StoreError, Table};

pub(super) fn part_of(piece: Piece) -> Part {
    match piece {
        Piece::Record { key: RecordKey { table, tenant, key }, value } => {
            Part::Record(TransferRecord { table: u32::from(table.number()), tenant, key, value })
        }
        Piece::Rows { key, rows } => {
            let (tenant, conversation) = names(&key);
            Part::Rows(TransferRows { tenant, conversation, rows })
        }
        Piece::Members { key, members } => {
            let (tenant, conversation) = names(&key);
            let row = |(user, record)| MemberRow { user, record: Some(record) };
            Part::Members(TransferMembers { tenant, conversation, members: members.into_iter().map(row).collect() })
        }
        Piece::Head { key, head } => {
            let (tenant, conversation) = names(&key);
            Part::Head(TransferHead { tenant, conversation, head: Some(head) })
        }
        Piece::Registers { user, registers } => {
            let row = |(conversation, record)| RegisterRow { conversation, record: Some(record) };
            Part::Registers(TransferRegisters {
                tenant: (&user.tenant).into(),
                user: (&user.user).into(),
                registers: registers.into_iter().map(row).collect(),
            })
        }
        Piece::Journal { instance, names: keys } => {
            let row = |key: &ConversationKey| {
                let (tenant, conversation) = names(key);
                JournalRow { tenant, conversation, note: 0 }
            };
            Part::Journal(TransferJournal { instance: instance.0, names: keys.iter().map(row).collect() })
        }
        Piece::Shards(rows) => Part::Shards(TransferShards { shards: rows.into_iter().map(shard_row).collect() }),
    }
}

fn names(key: &ConversationKey) -> (String, String) {
    ((&key.tenant).into(), (&key.conversation).into())
}

fn shard_row(row: ShardRow) -> internal::ShardRow {
    internal::ShardRow {
        shard: u32::from(row.shard.0),
        epoch: row.epoch,
        instance: String::new(),
        address: String::new(),
        inherits: row.inherits.into_iter().map(|instance| instance.0).collect(),
    }
}

/// `None`: a header or an end.
pub(super) fn piece_of(part: Part) -> Result<Option<Piece>> {
    let piece = match part {
        Part::Header(_) | Part::End(_) => return Ok(None),
        Part::Record(record) => {
            let TransferRecord { table, tenant, key, value } = record;
            let known = Table::ALL.into_iter().find(|known| u32::from(known.number()) == table);
            let table = known.ok_or_else(|| bad("a table of records that this build does not know"))?;
            Piece::Record { key: RecordKey { table, tenant, key }, value }
        }
        Part::Rows(part) => Piece::Rows { key: key_of(&part.tenant, &part.conversation)?, rows: part.rows },
        Part::Members(part) => {
            let key = key_of(&part.tenant, &part.conversation)?;
            let member = |row: MemberRow| Ok((row.user, row.record.ok_or_else(|| bad("an empty member"))?));
            Piece::Members { key, members: part.members.into_iter().map(member).collect::<Result<_>>()? }
        }
        Part::Head(part) => {
            let key = key_of(&part.tenant, &part.conversation)?;
            Piece::Head { key, head: part.head.ok_or_else(|| bad("an empty head"))? }
        }
        Part::Registers(part) => {
            let tenant = TenantId::new(&part.tenant).map_err(|why| bad(&why.to_string()))?;
            let user = UserId::new(&part.user).map_err(|why| bad(&why.to_string()))?;
            let register =
                |row: RegisterRow| Ok((row.conversation, row.record.ok_or_else(|| bad("an empty register"))?));
            let registers = part.registers.into_iter().map(register).collect::<Result<_>>()?;
            Piece::Registers { user: UserKey { tenant, user }, registers }
        }
        Part::Journal(part) => {
            let names = part.names.iter().map(|row| key_of(&row.tenant, &row.conversation)).collect::<Result<_>>()?;
            Piece::Journal { instance: InstanceId(part.instance), names }
        }
        Part::Shards(part) => Piece::Shards(part.shards.into_iter().map(shard_of).collect::<Result<_>>()?),
    };
    Ok(Some(piece))
}

fn key_of(tenant: &str, conversation: &str) -> Result<ConversationKey> {
    let tenant = TenantId::new(tenant).map_err(|why| bad(&why.to_string()))?;
    let conversation = ConversationId::new(conversation).map_err(|why| bad(&why.to_string()))?;
    Ok(ConversationKey { tenant, conversation })
}

fn shard_of(row: internal::ShardRow) -> Result<ShardRow> {
    let shard = u16::try_from(row.shard).ok().filter(|shard| *shard < SHARDS);
    let shard = Shard(shard.ok_or_else(|| bad("a shard that there is not"))?);
    let inherits = row.inherits.into_iter().map(InstanceId).collect();
    Ok(ShardRow { shard, epoch: row.epoch, owner: None, inherits })
}

fn bad(what: &str) -> StoreError {
    StoreError::Damaged(format!("the file has {what}"))
}
