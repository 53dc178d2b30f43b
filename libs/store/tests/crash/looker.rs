//! Opens a store that was left by a crash, says all that it shows, and goes on in it. A process of its own:
//! a library that aborts, or never comes back, is found out.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use posthorn_proto::internal::Row;
use posthorn_store::{FeedTable, InstanceId, Store, StoreError, conformance, embedded::EmbeddedStore, feed_partition};
use serde::{Deserialize, Serialize};

use crate::{
    order::Order,
    payload::{self, PROBE, check_log, digest, key, user},
    writer,
};

/// What a store shows, or why it does not open.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    pub refused: Option<String>,
    pub generation: u64,
    /// What contradicts itself.
    pub wrong: Vec<String>,
    /// The digest of each row, from seq 1 on.
    pub logs: BTreeMap<String, Vec<u64>>,
    /// (epoch, number) of each register and record, by conversation.
    pub registers: BTreeMap<String, (u64, u64)>,
    pub records: BTreeMap<String, (u64, u64)>,
    /// Conversations in the journal of the instance that was killed.
    pub noted: Vec<String>,
    /// The mark of the last that was written: by whoever looked.
    pub probe: String,
}

pub async fn run(order: Order) -> Result<()> {
    let mut seen = Seen::default();
    match order.open() {
        Ok(store) => {
            if let Err(error) = look(&order, &store, &mut seen).await {
                seen.wrong.push(format!("{error:#}"));
            }
            store.close();
        }
        Err(error) => seen.refused = Some(error.to_string()),
    }
    println!("{}", serde_json::to_string(&seen)?);
    Ok(())
}

async fn look(order: &Order, store: &EmbeddedStore, seen: &mut Seen) -> Result<()> {
    seen.generation = store.generation();
    match order.open() {
        Err(StoreError::Unavailable(why)) if why.contains("in use") => {}
        other => anyhow::bail!("the directory is not locked: {:?}", other.map(|_| "opened twice")),
    }
    for name in payload::names(order.conversations) {
        let shown = conversation(store, &name, seen).await;
        if let Err(error) = shown {
            seen.wrong.push(format!("{error:#}"));
        }
    }
    let journal = store.journal(&InstanceId(order.instance.clone())).await?;
    seen.noted = journal.iter().map(|key| key.conversation.as_str().to_owned()).collect();
    goes_on(order, store, seen).await.context("it does not go on")
}

/// Rows, head, member and feed are one commit.
async fn conversation(store: &EmbeddedStore, name: &str, seen: &mut Seen) -> Result<()> {
    let key = key(name)?;
    let log = store.read(&key, conformance::ALL).await?.rows;
    seen.logs.insert(name.to_owned(), log.iter().map(digest).collect());
    check_log(name, &log)?;
    let head = store.heads(std::slice::from_ref(&key)).await?.remove(0).unwrap_or_default();
    let last = log.last().cloned().unwrap_or_default();
    ensure!(
        (head.seq, &head.chain) == (last.seq, &last.chain),
        "{name}: the head is at {}, the log at {}",
        head.seq,
        last.seq
    );
    let member = store.members(&key).await?.pop().map_or(0, |(_, record)| record.as_of_seq);
    ensure!(member == last.seq, "{name}: the member is at {member}, the log at {}", last.seq);
    ensure!(store.read_tail(&key, last.seq).await?.is_empty(), "{name}: rows beyond the head");
    fed(store, name, &log).await?;
    let of = [user(name)?.user];
    if let Some(record) = store.registers_of(&key, &of).await?.remove(0) {
        let at = (record.version_epoch, record.version_counter);
        ensure!(record.draft == payload::mark('g', name, at.1, at.0), "{name}: a register that nobody wrote");
        seen.registers.insert(name.to_owned(), at);
    }
    if let Some(value) = store.get_record(&writer::record_key(name)).await? {
        let text = String::from_utf8_lossy(&value).into_owned();
        let numbers: Vec<u64> = text.trim_end_matches('>').split(' ').filter_map(|word| word.parse().ok()).collect();
        let [number, epoch] = numbers[..] else { anyhow::bail!("{name}: a record that nobody wrote: {text}") };
        ensure!(text == payload::mark('k', name, number, epoch), "{name}: a record that nobody wrote: {text}");
        seen.records.insert(name.to_owned(), (epoch, number));
    }
    Ok(())
}

async fn fed(store: &EmbeddedStore, name: &str, log: &[Row]) -> Result<()> {
    let entries = store.feed_read(feed_partition(&key(name)?), 0, usize::MAX).await?;
    let ours = entries.iter().filter(|(_, entry)| entry.conversation == name);
    let fed: Vec<u64> = ours.map(|(_, entry)| entry.row.as_ref().map_or(0, |row| row.seq)).collect();
    let whole = fed.iter().copied().eq(1..=log.len() as u64);
    ensure!(whole, "{name}: the log is at {}, the feed has {} entries up to {:?}", log.len(), fed.len(), fed.last());
    Ok(())
}

/// Another owner comes and appends.
async fn goes_on(order: &Order, store: &EmbeddedStore, seen: &mut Seen) -> Result<()> {
    let me = InstanceId(format!("{}-look-{}", order.instance, std::process::id()));
    let epochs = writer::own(store, &me, &[PROBE.to_owned()]).await?;
    let epoch = epochs.get(PROBE).copied().context("a claim")?;
    let key = key(PROBE)?;
    let head = store.heads(std::slice::from_ref(&key)).await?.remove(0).unwrap_or_default();
    store.append(writer::append(&me, PROBE, &head, 1, epoch, false)?).await?;
    let log = store.read(&key, conformance::ALL).await?.rows;
    ensure!(log.len() as u64 == head.seq + 1, "the log of {PROBE} is at {}, its head was at {}", log.len(), head.seq);
    seen.logs.insert(PROBE.to_owned(), log.iter().map(digest).collect());
    seen.probe = payload::mark('r', PROBE, head.seq + 1, epoch);
    check_log(PROBE, &log)
}
