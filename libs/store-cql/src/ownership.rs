//! The two tables that are written conditionally, and only they. Each write carries a random stamp and is
//! conditional on the stamp that it saw: so one that was not answered is repeated as it is, and an answer
//! that shows the own stamp says that an earlier try was applied.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use posthorn_core::{SHARDS, Shard};
use posthorn_store::{Claimed, InstanceId, Result, ShardRow, StoreError};

use crate::{
    CqlStore,
    calls::bind,
    error::damaged,
    marks::{next_epoch, signed, unsigned},
    rows::Pages,
};

/// Until there are several.
pub(crate) const REGION: &str = "local";
/// Shards of one claim that are asked for at once.
const CLAIMS_AT_ONCE: usize = 32;
/// How often a shard is looked at again because somebody else changed it meanwhile.
const MAX_ROUNDS: usize = 16;

type Columns = (i16, i64, Option<String>, Option<String>, Option<Vec<String>>, i64);

/// A row of `shards`, with what its next write is conditional on.
#[derive(Clone)]
struct Stamped {
    row: ShardRow,
    stamp: i64,
}

impl CqlStore {
    #[allow(clippy::cast_possible_wrap, reason = "any number will do")]
    fn stamp(&self) -> i64 {
        self.calls.clock.random() as i64
    }

    pub(crate) async fn register_instance(&self, instance: &InstanceId, address: &str) -> Result<()> {
        let stamp = self.stamp();
        let bound = bind(&self.statements.instance_register, &(instance.0.as_str(), address, stamp))?;
        let mut outcome = self.calls.conditional("register", &bound).await?;
        if outcome.applied || outcome.number("stamp") == Some(stamp) {
            return Ok(());
        }
        Err(StoreError::Exists(format!("instance {instance}")))
    }

    pub(crate) async fn is_active(&self, instance: &InstanceId) -> Result<bool> {
        let bound = bind(&self.statements.instance_read, &(instance.0.as_str(),))?;
        let rows = Pages::new(&self.calls, "check", bound).all::<(Option<String>,)>().await?;
        Ok(rows.iter().any(|(state,)| state.as_deref() == Some("active")))
    }

    /// Applied or not, it is not active afterwards: it was not before, or is not now.
    pub(crate) async fn fence_instance(&self, instance: &InstanceId) -> Result<()> {
        let bound = bind(&self.statements.instance_fence, &(instance.0.as_str(),))?;
        self.calls.conditional("fence", &bound).await.map(drop)
    }

    pub(crate) async fn read_shards(&self) -> Result<Vec<ShardRow>> {
        let all = self.stamped().await?;
        Ok(all.into_values().map(|stamped| stamped.row).collect())
    }

    async fn stamped(&self) -> Result<BTreeMap<u16, Stamped>> {
        let bound = bind(&self.statements.shards_read, &())?;
        let rows = Pages::new(&self.calls, "shards", bound).all::<Columns>().await?;
        rows.into_iter().map(|columns| stamped_of(columns).map(|one| (one.row.shard.0, one))).collect()
    }

    /// As it is after everything that was begun: also what the own write came to that nobody answered.
    async fn serial(&self, shard: Shard) -> Result<Option<Stamped>> {
        let bound = bind(&self.statements.shard_read, &(REGION, small(shard)))?;
        self.calls.metrics.conditional.inc();
        let rows = Pages::new(&self.calls, "shard_serial", bound).all::<Columns>().await?;
        rows.into_iter().next().map(stamped_of).transpose()
    }

    /// Writes the row where it is as `before` says. False: it is not.
    async fn change(&self, op: &'static str, before: Option<i64>, row: &ShardRow) -> Result<bool> {
        let stamp = self.stamp();
        let (owner, address) = row.owner.as_ref().map(|(owner, address)| (owner.0.as_str(), address.as_str())).unzip();
        let inherits: Vec<&str> = row.inherits.iter().map(|instance| instance.0.as_str()).collect();
        let (epoch, shard) = (signed(row.epoch)?, small(row.shard));
        let bound = match before {
            None => {
                let values = (REGION, shard, epoch, owner, address, inherits, stamp);
                bind(&self.statements.shard_first, &values)?
            }
            Some(before) => {
                let values = (epoch, owner, address, inherits, stamp, REGION, shard, before);
                bind(&self.statements.shard_change, &values)?
            }
        };
        let mut outcome = self.calls.conditional(op, &bound).await?;
        Ok(outcome.applied || outcome.number("stamp") == Some(stamp))
    }

    /// Rows of new tables; those that are there already were put there by an earlier try.
    pub(crate) async fn import_shards(&self, rows: &[ShardRow]) -> Result<()> {
        let changes: Vec<_> = rows.iter().map(|row| self.change("import_shard", None, row)).collect();
        stream::iter(changes).buffered(CLAIMS_AT_ONCE).try_for_each(|_| async { Ok(()) }).await
    }

    pub(crate) async fn claim_shards(
        &self,
        shards: &[Shard],
        instance: &InstanceId,
        address: &str,
    ) -> Result<Vec<Claimed>> {
        if !self.is_active(instance).await? {
            return Ok(Vec::new());
        }
        let known = self.stamped().await?;
        let claim = |shard: &Shard| self.claim_shard(*shard, known.get(&shard.0).cloned(), instance, address);
        let claims: Vec<_> = shards.iter().map(claim).collect();
        let mut claims = stream::iter(claims).buffered(CLAIMS_AT_ONCE);
        let (mut claimed, mut failed) = (Vec::new(), None);
        while let Some(claim) = claims.next().await {
            match claim {
                Ok(taken) => claimed.extend(taken),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if claimed.is_empty() => Err(error),
            Some(error) => {
                tracing::warn!(%error, claimed = claimed.len(), "some shards of a claim were not answered");
                Ok(claimed)
            }
            None => Ok(claimed),
        }
    }

    async fn claim_shard(
        &self,
        shard: Shard,
        mut seen: Option<Stamped>,
        instance: &InstanceId,
        address: &str,
    ) -> Result<Option<Claimed>> {
        for _ in 0..MAX_ROUNDS {
            let free = ShardRow { shard, epoch: 0, owner: None, inherits: Vec::new() };
            let before = seen.as_ref().map(|stamped| stamped.stamp);
            let mut row = seen.map_or(free, |stamped| stamped.row);
            if let Some((owner, _)) = row.owner.take()
                && owner != *instance
            {
                if self.is_active(&owner).await? {
                    return Ok(None);
                }
                if !row.inherits.contains(&owner) {
                    row.inherits.push(owner);
                }
            }
            row.epoch = next_epoch(row.epoch, self.generation, self.calls.clock.random())?;
            row.owner = Some((instance.clone(), address.to_owned()));
            if self.change("claim", before, &row).await? {
                return Ok(Some(Claimed { shard, epoch: row.epoch, inherits: row.inherits }));
            }
            seen = self.serial(shard).await?;
        }
        Ok(None)
    }

    pub(crate) async fn release_shard(
        &self,
        shard: Shard,
        epoch: u64,
        instance: &InstanceId,
        unsettled: bool,
    ) -> Result<()> {
        let release = |row: &mut ShardRow| {
            if row.epoch != epoch {
                return false;
            }
            row.owner = None;
            if unsettled && !row.inherits.contains(instance) {
                row.inherits.push(instance.clone());
            }
            true
        };
        self.change_own("release", shard, instance, release).await
    }

    /// Changes a shard of the instance's own until it is done; `change` says whether there is anything to do.
    async fn change_own(
        &self,
        op: &'static str,
        shard: Shard,
        instance: &InstanceId,
        change: impl Fn(&mut ShardRow) -> bool,
    ) -> Result<()> {
        for _ in 0..MAX_ROUNDS {
            let Some(Stamped { mut row, stamp }) = self.serial(shard).await? else { return Ok(()) };
            let own = row.owner.as_ref().is_some_and(|(owner, _)| owner == instance);
            if !own || !change(&mut row) || self.change(op, Some(stamp), &row).await? {
                return Ok(());
            }
        }
        Err(StoreError::Unavailable(format!("{op} of shard {}: somebody else changes it all the time", shard.0)))
    }

    pub(crate) async fn end_inheritance(&self, shards: &[Shard], instance: &InstanceId) -> Result<()> {
        let known = self.stamped().await?;
        let inheriting = |shard: &&Shard| known.get(&shard.0).is_some_and(|one| !one.row.inherits.is_empty());
        let clear = |row: &mut ShardRow| !std::mem::take(&mut row.inherits).is_empty();
        let change = |shard: Shard| async move {
            self.change_own("carried_over", shard, instance, clear).await.map(|()| shard.0)
        };
        let changes: Vec<_> = shards.iter().filter(inheriting).copied().map(change).collect();
        let mut changes = stream::iter(changes).buffered(CLAIMS_AT_ONCE);
        let mut freed = BTreeSet::new();
        while let Some(shard) = changes.next().await {
            freed.extend(known.get(&shard?).map(|one| one.row.inherits.clone()).unwrap_or_default());
        }
        self.drop_journals(freed).await
    }

    /// Those that no shard depends on any more. A fenced instance gets no shard again, so what is not needed
    /// now never will be.
    async fn drop_journals(&self, freed: BTreeSet<InstanceId>) -> Result<()> {
        if freed.is_empty() {
            return Ok(());
        }
        let shards = self.read_shards().await?;
        let depends = |row: &ShardRow, gone: &InstanceId| {
            row.inherits.contains(gone) || row.owner.as_ref().is_some_and(|(owner, _)| owner == gone)
        };
        for gone in freed {
            if !shards.iter().any(|row| depends(row, &gone)) && !self.is_active(&gone).await? {
                self.journal.drop_whole(&gone).await?;
            }
        }
        Ok(())
    }
}

fn small(shard: Shard) -> i16 {
    i16::try_from(shard.0).unwrap_or(i16::MAX)
}

fn stamped_of((shard, epoch, owner, address, inherits, stamp): Columns) -> Result<Stamped> {
    let shard = u16::try_from(shard).ok().filter(|shard| *shard < SHARDS);
    let shard = Shard(shard.ok_or_else(|| damaged("a row of shards", "no such shard"))?);
    let owner = owner.map(|owner| (InstanceId(owner), address.unwrap_or_default()));
    let inherits = inherits.unwrap_or_default().into_iter().map(InstanceId).collect();
    Ok(Stamped { row: ShardRow { shard, epoch: unsigned(epoch)?, owner, inherits }, stamp })
}
