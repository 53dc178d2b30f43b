//! Ownership: run by the writer, one after the other, so each is linearizable.

use std::collections::BTreeSet;

use bytes::Bytes;
use posthorn_core::{SHARDS, Shard};
use posthorn_proto::internal;
use prost::Message;

use super::{
    group::Group,
    keys::{self, Space},
    values::{decode, encode_u64},
};
use crate::{Claimed, InstanceId, Result, ShardRow, StoreError, rules::next_epoch};

fn instance_value(active: bool, address: &str) -> Bytes {
    let mut value = vec![u8::from(active)];
    value.extend(address.as_bytes());
    value.into()
}

/// As stored.
pub(crate) fn shard_row(value: Bytes) -> Result<ShardRow> {
    let row: internal::ShardRow = decode(value)?;
    let number = u16::try_from(row.shard).map_err(|_| StoreError::Damaged(format!("shard {}", row.shard)))?;
    let owner = (!row.instance.is_empty()).then_some((InstanceId(row.instance), row.address));
    let inherits = row.inherits.into_iter().map(InstanceId).collect();
    Ok(ShardRow { shard: Shard(number), epoch: row.epoch, owner, inherits })
}

pub(crate) fn shard_value(row: &ShardRow) -> Bytes {
    let (instance, address) = row.owner.clone().map_or_else(Default::default, |(id, address)| (id.0, address));
    let inherits = row.inherits.iter().map(|id| id.0.clone()).collect();
    let row = internal::ShardRow { shard: u32::from(row.shard.0), epoch: row.epoch, instance, address, inherits };
    row.encode_to_vec().into()
}

impl Group<'_> {
    pub(crate) fn register(&mut self, instance: &InstanceId, address: &str) -> Result<()> {
        if self.held.instances.contains_key(instance) {
            return Err(StoreError::Exists(format!("instance {instance}")));
        }
        self.held.instances.insert(instance.clone(), true);
        self.put(Space::System, keys::instance(instance), instance_value(true, address));
        Ok(())
    }

    pub(crate) fn fence(&mut self, instance: &InstanceId) {
        if let Some(active) = self.held.instances.get_mut(instance) {
            *active = false;
            self.put(Space::System, keys::instance(instance), instance_value(false, ""));
        }
    }

    fn shard(&self, shard: Shard) -> Result<Option<ShardRow>> {
        self.get(Space::System, &keys::shard(shard.0))?.map(shard_row).transpose()
    }

    fn put_shard(&mut self, row: &ShardRow) {
        self.put(Space::System, keys::shard(row.shard.0), shard_value(row));
    }

    pub(crate) fn claim(&mut self, shards: &[Shard], instance: &InstanceId, address: &str) -> Result<Vec<Claimed>> {
        if let Some(shard) = shards.iter().find(|shard| shard.0 >= SHARDS) {
            return Err(StoreError::Misused(format!("there is no shard {}", shard.0)));
        }
        let mut claimed = Vec::new();
        if !self.held.active(instance) {
            return Ok(claimed);
        }
        for &shard in shards {
            let free = ShardRow { shard, epoch: 0, owner: None, inherits: Vec::new() };
            let mut row = self.shard(shard)?.unwrap_or(free);
            if let Some((owner, _)) = row.owner.take()
                && owner != *instance
            {
                if self.held.active(&owner) {
                    continue;
                }
                if !row.inherits.contains(&owner) {
                    row.inherits.push(owner);
                }
            }
            row.epoch = next_epoch(row.epoch, self.generation);
            self.held.epochs[usize::from(shard.0)] = row.epoch;
            row.owner = Some((instance.clone(), address.to_owned()));
            self.put_shard(&row);
            claimed.push(Claimed { shard, epoch: row.epoch, inherits: row.inherits });
        }
        Ok(claimed)
    }

    pub(crate) fn release(&mut self, shard: Shard, epoch: u64, instance: &InstanceId, unsettled: bool) -> Result<()> {
        let Some(mut row) = self.shard(shard)? else { return Ok(()) };
        if row.epoch != epoch || row.owner.as_ref().is_none_or(|(owner, _)| owner != instance) {
            return Ok(());
        }
        row.owner = None;
        if unsettled && !row.inherits.contains(instance) {
            row.inherits.push(instance.clone());
        }
        self.put_shard(&row);
        Ok(())
    }

    /// Empties `inherits` of the instance's own shards, and with it the journals that nobody needs.
    pub(crate) fn carried_over(&mut self, shards: &[Shard], instance: &InstanceId) -> Result<()> {
        let mut freed = BTreeSet::new();
        for &shard in shards {
            let Some(mut row) = self.shard(shard)? else { continue };
            if row.inherits.is_empty() || row.owner.as_ref().is_none_or(|(owner, _)| owner != instance) {
                continue;
            }
            freed.extend(std::mem::take(&mut row.inherits));
            self.put_shard(&row);
        }
        if freed.is_empty() {
            return Ok(());
        }
        for (_, value) in self.prefix(Space::System, &keys::shards())? {
            let row = shard_row(value)?;
            row.inherits.iter().chain(row.owner.iter().map(|(owner, _)| owner)).for_each(|id| {
                freed.remove(id);
            });
        }
        for gone in freed.iter().filter(|id| !self.held.active(id)).cloned().collect::<Vec<_>>() {
            for (key, _) in self.prefix(Space::System, &keys::journal(&gone, None))? {
                self.remove(Space::System, key);
            }
        }
        Ok(())
    }

    /// Notes a name. Of several notes the highest is kept: it stands for all.
    pub(crate) fn note(
        &mut self,
        instance: &InstanceId,
        key: &posthorn_core::ConversationKey,
        note: u64,
    ) -> Result<()> {
        let name = keys::journal(instance, Some(key));
        let noted = self.get(Space::System, &name)?.map(|value| super::values::decode_u64(&value)).transpose()?;
        if noted.is_none_or(|noted| noted < note) {
            self.put(Space::System, name, encode_u64(note));
        }
        Ok(())
    }
}
