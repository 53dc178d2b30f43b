//! What makes one write newer than another, as the timestamp and the first bytes of a cell.
//!
//! A cell takes the write of the highest timestamp; of two with one timestamp, the one whose bytes are
//! greater (both Cassandra and ScyllaDB compare them unsigned, from the first on). So a mark of two parts
//! is a timestamp and a prefix of the value, and a cell only grows by plain writes, whoever sends them,
//! how often and in which order:
//!
//! | cell | timestamp | prefix of the value |
//! | --- | --- | --- |
//! | head | generation << 44, seq | list version: epoch, counter |
//! | member | generation << 44, `as_of_seq` | - |
//! | register | epoch of its version (which has the generation in its upper part) | counter |
//! | fed | generation << 44, seq | - |
//! | noted, removed | the note's number | - |
//!
//! Where all parts are equal, it is the same fact, and the same bytes.

use bytes::{BufMut, Bytes, BytesMut};
use posthorn_proto::internal::{Head, RegisterRecord};
use posthorn_store::{Result, StoreError};
use prost::Message;

use crate::error::damaged;

/// Bits below the generation.
const WATERMARK_BITS: u32 = 44;
/// Low bits of an epoch that are drawn: two claims that do not know of each other (a replica forgot) still
/// do not share a number.
const RANDOM_BITS: u32 = 16;
/// Rows are written at this time, and what takes back a body will come at a later one: what is written under
/// a row's key is always the same, so no clock has to order the two.
pub(crate) const WRITTEN_AT: i64 = 1;
/// Beyond any count of beats, and not in the future, where ScyllaDB takes no write.
pub(crate) const FORGOTTEN_AT: i64 = (1 << 50) - 1;

/// As the database counts.
pub(crate) fn signed(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|_| StoreError::Misused(format!("{number} is beyond what the database counts")))
}

/// What the database has counted.
pub(crate) fn unsigned(number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|why| damaged("a number", why))
}

/// The timestamp of a cell whose mark is a seq.
pub(crate) fn at_seq(generation: u64, seq: u64) -> Result<i64> {
    if seq >> WATERMARK_BITS != 0 {
        return Err(StoreError::Misused(format!("seq {seq} is beyond 2^{WATERMARK_BITS}")));
    }
    signed(generation << WATERMARK_BITS | seq)
}

/// The epoch of the next claim.
pub(crate) fn next_epoch(before: u64, generation: u64, random: u64) -> Result<u64> {
    let base = before.max(generation << WATERMARK_BITS);
    let next = (((base >> RANDOM_BITS) + 1) << RANDOM_BITS) | (random & ((1 << RANDOM_BITS) - 1));
    if next >> WATERMARK_BITS != generation {
        let what = "the store has another generation, or the epochs of this one are used up";
        return Err(StoreError::Unavailable(format!("after epoch {before} of generation {generation}: {what}")));
    }
    Ok(next)
}

/// Timestamp and value of a head's cell.
pub(crate) fn head_cell(generation: u64, head: &Head) -> Result<(i64, Bytes)> {
    // A mark of its own: it is in no cell of a head.
    let head = &Head { fed_seq: 0, ..head.clone() };
    let mut value = BytesMut::with_capacity(16 + head.encoded_len());
    value.put_u64(head.version_epoch);
    value.put_u64(head.version_counter);
    Ok((at_seq(generation, head.seq)?, with_message(value, head)))
}

pub(crate) fn head_of(value: &[u8]) -> Result<Head> {
    message_after(16, value, "a head")
}

/// Timestamp and value of a register's cell.
pub(crate) fn register_cell(record: &RegisterRecord) -> Result<(i64, Bytes)> {
    let mut value = BytesMut::with_capacity(8 + record.encoded_len());
    value.put_u64(record.version_counter);
    Ok((signed(record.version_epoch)?, with_message(value, record)))
}

pub(crate) fn register_of(value: &[u8]) -> Result<RegisterRecord> {
    message_after(8, value, "a register")
}

fn with_message(mut value: BytesMut, message: &impl Message) -> Bytes {
    value.put_slice(&message.encode_to_vec());
    value.freeze()
}

fn message_after<M: Message + Default>(prefix: usize, value: &[u8], what: &str) -> Result<M> {
    let message = value.get(prefix..).ok_or_else(|| damaged(what, "too short"))?;
    M::decode(message).map_err(|why| damaged(what, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_order_by_generation_then_seq_then_list_version() {
        let cell = |generation, seq, version_epoch, version_counter| {
            let head = Head { seq, version_epoch, version_counter, ..Head::default() };
            head_cell(generation, &head).expect("fits")
        };
        let ascending = [
            cell(1, 4, 9, 9),
            cell(1, 5, 1, 2),
            cell(1, 5, 1, 300),
            cell(1, 5, 2, 0),
            cell(1, 6, 0, 0),
            cell(2, 1, 0, 0),
        ];
        assert!(ascending.is_sorted_by(|a, b| a < b), "{ascending:?}");
        let head = Head { seq: 5, title: "t".into(), version_epoch: 1, ..Head::default() };
        let (_, value) = head_cell(1, &head).expect("fits");
        assert_eq!(head_of(&value), Ok(head));
        assert!(matches!(at_seq(1, 1 << 44), Err(StoreError::Misused(_))));
        assert!(matches!(head_of(&[0; 15]), Err(StoreError::Damaged(_))));
    }

    #[test]
    fn registers_order_by_epoch_then_counter() {
        let cell = |version_epoch, version_counter, draft: &str| {
            let draft = draft.to_owned();
            register_cell(&RegisterRecord { version_epoch, version_counter, draft, ..Default::default() })
                .expect("fits")
        };
        let ascending = [cell(1 << 44, 900, "z"), cell((1 << 44) + 1, 4, "y"), cell((1 << 44) + 1, 260, "x")];
        assert!(ascending.is_sorted_by(|a, b| a < b), "{ascending:?}");
    }

    #[test]
    fn epochs_grow_carry_their_generation_and_differ_where_two_claims_saw_the_same() {
        let first = next_epoch(0, 1, 7).expect("an epoch");
        assert_eq!(first >> 44, 1);
        let (a, b) = (next_epoch(first, 1, 1), next_epoch(first, 1, 2));
        assert!(a.as_ref().expect("an epoch") > &first && b.as_ref().expect("an epoch") > &first && a != b);
        let restored = next_epoch(first, 2, 0).expect("an epoch");
        assert_eq!(restored >> 44, 2);
        assert!(next_epoch(restored, 1, 0).is_err(), "a process that has not noticed the restore claims nothing");
        assert!(next_epoch((2 << 44) - 1, 1, 0).is_err(), "never into the next generation");
    }
}
