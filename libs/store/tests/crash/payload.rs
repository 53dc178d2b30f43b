//! What is written: everything follows from its name and number, so that nothing can be invented.

use std::ops::RangeInclusive;

use anyhow::{Result, ensure};
use bytes::Bytes;
use posthorn_core::{Chain, ConversationId, ConversationKey, TenantId, UserId, UserKey};
use posthorn_proto::internal::Row;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

pub const TENANT: &str = "crash";
/// Appends by whoever looks, to see that the store goes on.
pub const PROBE: &str = "probe";
const LOAD: u32 = 1;

pub fn names(conversations: u64) -> Vec<String> {
    (0..conversations).map(|n| format!("c{n}")).collect()
}

pub fn key(name: &str) -> Result<ConversationKey> {
    Ok(ConversationKey { tenant: TenantId::new(TENANT)?, conversation: ConversationId::new(name)? })
}

/// The user whose register belongs to a conversation.
pub fn user(name: &str) -> Result<UserKey> {
    Ok(UserKey { tenant: TenantId::new(TENANT)?, user: UserId::new(&format!("of-{name}"))? })
}

/// Stands once in the journal: it shows where what was acknowledged ends.
pub fn mark(kind: char, name: &str, number: u64, epoch: u64) -> String {
    format!("<{kind} {name} {number} of {epoch}>")
}

/// Mostly a line of chat, sometimes several pages of the disk.
fn body(name: &str, seq: u64, epoch: u64) -> Bytes {
    let unit = mark('b', name, seq, epoch);
    let drawn = xxh3_64(unit.as_bytes());
    let length = match drawn % 100 {
        0 => 20_000 + drawn % 20_000,
        1..10 => 1_000 + drawn % 8_000,
        _ => drawn % 300,
    };
    unit.bytes().cycle().take(length as usize).collect()
}

pub fn rows(name: &str, mut chain: Chain, seqs: RangeInclusive<u64>, epoch: u64) -> Vec<Row> {
    let row = |seq| {
        let envelope = Bytes::from(mark('r', name, seq, epoch));
        chain = chain.link(&envelope);
        let (link, body) = (Bytes::copy_from_slice(&chain.0), Some(body(name, seq, epoch)));
        Row { seq, epoch, load: LOAD, chain: link, envelope, body }
    };
    seqs.map(row).collect()
}

pub fn digest(row: &Row) -> u64 {
    let mut hash = Xxh3::new();
    for part in [&row.seq.to_be_bytes()[..], &row.epoch.to_be_bytes(), &row.chain, &row.envelope] {
        hash.update(part);
    }
    hash.update(row.body.as_deref().unwrap_or_default());
    hash.digest()
}

/// A whole log: dense from 1, each row the one that somebody wrote, each continuing the one before.
pub fn check_log(name: &str, log: &[Row]) -> Result<()> {
    let mut chain = Chain::START;
    for (row, seq) in log.iter().zip(1..) {
        ensure!(row.seq == seq, "{name}: {} where {seq} is expected", row.seq);
        ensure!(*row == rows(name, chain, seq..=seq, row.epoch)[0], "{name}: row {seq} is not what was written");
        chain = Chain::from_slice(&row.chain).unwrap_or(chain);
    }
    Ok(())
}

/// Keeps the draws of conversations apart.
pub fn name_seed(name: &str) -> u64 {
    xxh3_64(name.as_bytes())
}
