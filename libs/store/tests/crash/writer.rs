//! The process that is killed: it owns its conversations and writes as routing does, and says on standard
//! output what was acknowledged, after it was.

use std::{collections::BTreeMap, io::Write, path::Path, sync::Arc};

use anyhow::{Context, Result};
use bytes::Bytes;
use posthorn_clock::Clock;
use posthorn_core::Chain;
use posthorn_proto::internal::{Head, MemberRecord, RegisterRecord, Row};
use posthorn_store::{Append, InstanceId, RecordKey, Settlement, Store, Table, conformance, embedded::EmbeddedStore};

use crate::{
    order::Order,
    payload::{self, digest, key, mark, user},
};

pub async fn run(order: Order) -> Result<()> {
    let store = order.open()?;
    let names = payload::names(order.conversations);
    let me = InstanceId(order.instance.clone());
    say(&format!("instance {me}"))?;
    let epochs = own(&store, &me, &names).await?;
    let talks = names.iter().map(async |name| {
        let epoch = epochs.get(name).copied().context("a claim")?;
        Talk { store: &store, me: &me, name, epoch, too_early: order.too_early }.go(order.seed).await
    });
    let backup = async {
        match &order.backup {
            Some(path) => take(&store, path).await,
            None => Ok(()),
        }
    };
    let (talked, saved) = tokio::join!(conformance::join(talks), backup);
    saved?;
    talked.into_iter().collect()
}

/// One line, in one write: whoever reads it has all of it, or none.
fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes())?;
    Ok(out.flush()?)
}

/// Whoever owned before is dead: the directory is ours. The epoch of each conversation.
pub async fn own(store: &EmbeddedStore, me: &InstanceId, names: &[String]) -> Result<BTreeMap<String, u64>> {
    for shard in store.shards().await? {
        if let Some((dead, _)) = shard.owner {
            store.fence(&dead).await?;
        }
    }
    store.register(me, "here").await?;
    let mut epochs = BTreeMap::new();
    for name in names {
        let claimed = store.claim(&[key(name)?.shard()], me, "here").await?;
        epochs.insert(name.clone(), claimed.first().context("the shard is free")?.epoch);
    }
    // Two names may share a shard: the later claim counts for both.
    let rows = store.shards().await?;
    for (name, epoch) in &mut epochs {
        let shard = key(name)?.shard();
        *epoch = rows.iter().find(|row| row.shard == shard).map_or(*epoch, |row| row.epoch);
    }
    Ok(epochs)
}

/// The append of so many rows to what `head` says.
pub fn append(me: &InstanceId, name: &str, head: &Head, many: u64, epoch: u64, effects: bool) -> Result<Append> {
    let chain = Chain::from_slice(&head.chain).unwrap_or(Chain::START);
    let rows = payload::rows(name, chain, head.seq + 1..=head.seq + many, epoch);
    let seq = head.seq + many;
    let head = Head {
        seq,
        ordinal: seq,
        chain: rows.last().map(|row| row.chain.clone()).unwrap_or_default(),
        version_epoch: epoch,
        version_counter: seq,
        ..Head::default()
    };
    let member = MemberRecord { present: true, sent: seq, as_of_seq: seq, ..MemberRecord::default() };
    let members = vec![("writer".to_owned(), member)];
    Ok(Append { key: key(name)?, instance: me.clone(), rows, head, members, effects, note: Some(seq) })
}

struct Talk<'a> {
    store: &'a EmbeddedStore,
    me: &'a InstanceId,
    name: &'a str,
    epoch: u64,
    too_early: bool,
}

impl Talk<'_> {
    async fn go(&self, seed: u64) -> Result<()> {
        let draw = Clock::simulated(seed ^ payload::name_seed(self.name), 0);
        let key = key(self.name)?;
        let mut head = self.store.heads(std::slice::from_ref(&key)).await?.remove(0).unwrap_or_default();
        loop {
            let many = if draw.below(6) == 0 { 2 + draw.below(4) } else { 1 };
            let append = append(self.me, self.name, &head, many, self.epoch, draw.below(6) == 0)?;
            let (rows, effects) = (append.rows.clone(), append.effects);
            head = append.head.clone();
            say("begun")?;
            if self.too_early {
                self.acked(&rows)?;
                self.store.append(append).await?;
            } else {
                self.store.append(append).await?;
                self.acked(&rows)?;
            }
            if effects {
                self.tell(&head, draw.below(2) == 0).await?;
            }
            if draw.below(10) == 0 {
                self.record(head.seq).await?;
            }
        }
    }

    fn acked(&self, rows: &[Row]) -> Result<()> {
        rows.iter().try_for_each(|row| say(&format!("row {} {} {} {}", self.name, row.seq, self.epoch, digest(row))))
    }

    /// Registers that have to be told, and the settlement after it, unless it is left to the next owner.
    async fn tell(&self, head: &Head, settle: bool) -> Result<()> {
        say(&format!("noted {} {}", self.name, head.seq))?;
        let record = RegisterRecord {
            version_epoch: self.epoch,
            version_counter: head.seq,
            draft: mark('g', self.name, head.seq, self.epoch),
            ..RegisterRecord::default()
        };
        say("begun")?;
        self.store.write_registers(&user(self.name)?, vec![(self.name.to_owned(), record)]).await?;
        say(&format!("register {} {} {}", self.name, head.seq, self.epoch))?;
        if !settle {
            return Ok(());
        }
        say(&format!("settling {}", self.name))?;
        let (key, remove) = (key(self.name)?, vec![head.seq]);
        let settlement =
            Settlement { key, head: None, members: Vec::new(), feed: Vec::new(), fed_seq: head.seq, remove };
        Ok(self.store.settle(self.me, vec![settlement]).await?)
    }

    async fn record(&self, number: u64) -> Result<()> {
        let value = mark('k', self.name, number, self.epoch);
        say("begun")?;
        self.store.put_record(&record_key(self.name), Bytes::from(value), false).await?;
        say(&format!("record {} {number} {}", self.name, self.epoch))
    }
}

pub fn record_key(name: &str) -> RecordKey {
    RecordKey { table: Table::Users, tenant: payload::TENANT.to_owned(), key: name.to_owned() }
}

/// A backup, once there is something to save; what was said before `backup` has to be in it.
async fn take(store: &Arc<EmbeddedStore>, path: &Path) -> Result<()> {
    posthorn_clock::sleep(std::time::Duration::from_millis(40)).await;
    say("backup")?;
    let mut chunks = store.backup().await?;
    let mut file = std::fs::File::create(path)?;
    while let Some(chunk) = chunks.recv().await {
        file.write_all(&chunk?)?;
    }
    file.sync_all()?;
    say("saved")
}
