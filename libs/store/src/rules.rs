//! What every driver asks of its callers and of what it stores: for drivers.

use posthorn_proto::internal::{Head, RegisterRecord, Row};

use crate::{Append, Result, StoreError};

/// How many rows of a log share a partition.
pub const BUCKET_ROWS: u64 = 1_024;

/// Longest key of a small record, in bytes; tenants are shorter.
pub const MAX_RECORD_KEY_BYTES: usize = 1_024;

/// The epoch of a claim in this generation, after `before`: greater than it, and greater than any of
/// an earlier generation.
pub fn next_epoch(before: u64, generation: u64) -> u64 {
    before.max(generation << 44) + 1
}

/// (epoch, load): a row's number.
pub fn number(row: &Row) -> (u64, u32) {
    (row.epoch, row.load)
}

/// What makes one version of a head newer than another: its end, then its place in the shard's lists.
pub fn head_version(head: &Head) -> (u64, u64, u64) {
    (head.seq, head.version_epoch, head.version_counter)
}

/// What makes one version of a register cell newer than another.
pub fn register_version(record: &RegisterRecord) -> (u64, u64) {
    (record.version_epoch, record.version_counter)
}

/// Rows must be there, ascend without a hole and carry one number, and the head must end with them.
pub fn check_append(append: &Append) -> Result<()> {
    let misused = |what: &str| Err(StoreError::Misused(format!("append to {:?}: {what}", append.key)));
    let (Some(first), Some(last)) = (append.rows.first(), append.rows.last()) else {
        return misused("no rows");
    };
    if first.seq == 0 {
        return misused("seq begins at 1");
    }
    let dense = append.rows.windows(2).all(|pair| pair[0].seq.checked_add(1) == Some(pair[1].seq));
    if !dense {
        return misused("rows must ascend by one");
    }
    if append.rows.iter().any(|row| number(row) != number(first)) {
        return misused("rows must share one number");
    }
    if append.head.seq != last.seq {
        return misused("the head does not end with the rows");
    }
    Ok(())
}

/// A record's key must fit into a key of the store.
pub fn check_record_key(key: &crate::RecordKey) -> Result<()> {
    if key.tenant.len() + key.key.len() > MAX_RECORD_KEY_BYTES {
        return Err(StoreError::Misused(format!("record keys have at most {MAX_RECORD_KEY_BYTES} bytes")));
    }
    Ok(())
}

/// Picks, from rows in the order asked, the highest number of each seq, within limit and bytes.
pub struct Pager {
    range: crate::ReadRange,
    bytes: usize,
    candidate: Option<Row>,
    page: crate::Page,
}

impl Pager {
    pub fn new(range: crate::ReadRange) -> Self {
        Self { range, bytes: 0, candidate: None, page: crate::Page::default() }
    }

    /// Takes the next row; false once the page is full.
    pub fn offer(&mut self, row: Row) -> bool {
        match &self.candidate {
            Some(held) if held.seq == row.seq => {
                if number(&row) > number(held) {
                    self.candidate = Some(row);
                }
                true
            }
            _ => {
                let room = self.settle_candidate();
                self.candidate = Some(row);
                room
            }
        }
    }

    /// Moves the candidate into the page, if there is room; what has none means `more`.
    fn settle_candidate(&mut self) -> bool {
        let Some(row) = self.candidate.take() else { return true };
        let size = row.envelope.len() + row.body.as_ref().map_or(0, bytes::Bytes::len);
        let full = self.page.rows.len() >= self.range.limit
            || (!self.page.rows.is_empty() && self.bytes + size > self.range.max_bytes);
        if full {
            self.page.more = true;
            return false;
        }
        self.bytes += size;
        self.page.rows.push(row);
        true
    }

    pub fn finish(mut self) -> crate::Page {
        if !self.page.more {
            self.settle_candidate();
        }
        self.page
    }
}
