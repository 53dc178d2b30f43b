//! Values of the tables. A row ends with a checksum over its key and value: a flipped bit anywhere on
//! the way shows as damage, never as a message.

use bytes::{BufMut, Bytes, BytesMut};
use posthorn_proto::internal::Row;
use prost::Message;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::keys;
use crate::{Result, StoreError};

const ROW_FORMAT: u8 = 1;
const NO_BODY: u32 = u32::MAX;
/// Format, length of chain, of envelope and of body.
const ROW_HEAD_BYTES: usize = 1 + 1 + 4 + 4;
const CHECKSUM_BYTES: usize = 8;

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(what.to_owned())
}

fn checksum(key: &[u8], value: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(key);
    hash.update(value);
    hash.digest()
}

/// chain, envelope and body of a row, under `key`: key and value in one allocation. Erasing a body writes
/// the row again without it, under its key.
pub(crate) fn encode_row(key: &[u8], row: &Row) -> Result<(Bytes, Bytes)> {
    let body = row.body.as_ref().map_or(&[][..], |body| body);
    let chain = u8::try_from(row.chain.len()).map_err(|_| StoreError::Misused("chain too long".to_owned()))?;
    let length = |bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).ok().filter(|length| *length < NO_BODY);
        length.ok_or_else(|| StoreError::Misused("row too large".to_owned()))
    };
    let parts = row.chain.len() + row.envelope.len() + body.len();
    let mut both = BytesMut::with_capacity(key.len() + ROW_HEAD_BYTES + parts + CHECKSUM_BYTES);
    both.put_slice(key);
    both.put_u8(ROW_FORMAT);
    both.put_u8(chain);
    both.put_u32(length(&row.envelope)?);
    both.put_u32(if row.body.is_some() { length(body)? } else { NO_BODY });
    both.put_slice(&row.chain);
    both.put_slice(&row.envelope);
    both.put_slice(body);
    // In one piece this is several times faster than in two.
    both.put_u64(xxh3_64(&both));
    let mut key_bytes = both.freeze();
    let value = key_bytes.split_off(key.len());
    Ok((key_bytes, value))
}

/// Shares the bytes of `value`.
pub(crate) fn decode_row(key: &[u8], value: &Bytes) -> Result<Row> {
    let (seq, epoch, load) = keys::row_place(key)?;
    let fail = || damaged(&format!("row {seq} does not decode"));
    let (content, sum) = value.split_last_chunk::<CHECKSUM_BYTES>().ok_or_else(fail)?;
    if checksum(key, content) != u64::from_be_bytes(*sum) {
        return Err(damaged(&format!("row {seq} fails its checksum")));
    }
    let (head, rest) = content.split_first_chunk::<ROW_HEAD_BYTES>().ok_or_else(fail)?;
    let [format, chain, e0, e1, e2, e3, b0, b1, b2, b3] = *head;
    if format != ROW_FORMAT {
        return Err(damaged(&format!("row {seq} is of format {format}")));
    }
    let chain = usize::from(chain);
    let envelope = u32::from_be_bytes([e0, e1, e2, e3]) as usize;
    let body = Some(u32::from_be_bytes([b0, b1, b2, b3])).filter(|length| *length != NO_BODY);
    if rest.len() != chain + envelope + body.unwrap_or(0) as usize {
        return Err(fail());
    }
    let from = ROW_HEAD_BYTES;
    let end = content.len();
    Ok(Row {
        seq,
        epoch,
        load,
        chain: value.slice(from..from + chain),
        envelope: value.slice(from + chain..from + chain + envelope),
        body: body.map(|_| value.slice(from + chain + envelope..end)),
    })
}

/// What makes a cell newer than another; compares as bytes.
pub(crate) type Watermark = [u8; 24];

pub(crate) fn watermark((a, b, c): (u64, u64, u64)) -> Watermark {
    let mut mark = [0; 24];
    mark[..8].copy_from_slice(&a.to_be_bytes());
    mark[8..16].copy_from_slice(&b.to_be_bytes());
    mark[16..].copy_from_slice(&c.to_be_bytes());
    mark
}

/// A cell that only grows: its watermark, then the message.
pub(crate) fn encode_cell(mark: &Watermark, message: &impl Message) -> Bytes {
    let mut value = BytesMut::with_capacity(mark.len() + message.encoded_len());
    value.put_slice(mark);
    // A buffer of bytes grows as needed.
    let _ = message.encode(&mut value);
    value.freeze()
}

pub(crate) fn cell_watermark(value: &[u8]) -> Result<Watermark> {
    value.first_chunk().copied().ok_or_else(|| damaged("a cell without watermark"))
}

pub(crate) fn decode_cell<M: Message + Default>(value: &Bytes) -> Result<M> {
    let mark = cell_watermark(value)?;
    decode(value.slice(mark.len()..))
}

pub(crate) fn decode<M: Message + Default>(value: Bytes) -> Result<M> {
    M::decode(value).map_err(|error| damaged(&format!("a cell does not decode: {error}")))
}

pub(crate) fn encode_u64(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

pub(crate) fn decode_u64(value: &[u8]) -> Result<u64> {
    let bytes = value.try_into().map_err(|_| damaged("a number of the wrong length"))?;
    Ok(u64::from_be_bytes(bytes))
}

/// Packed heads.
const HEADS_FORMAT: u8 = 1;

/// The heads of one commit, under its number: key and cell of each. A write has at most
/// `store.max_queue_bytes`, so lengths fit.
pub(crate) fn encode_heads(number: u64, heads: &[(Bytes, Bytes)]) -> Bytes {
    let size: usize = heads.iter().map(|(key, cell)| 8 + key.len() + cell.len()).sum();
    let mut value = BytesMut::with_capacity(1 + 8 + size);
    value.put_u8(HEADS_FORMAT);
    value.put_u64(number);
    for (key, cell) in heads {
        value.put_u32(key.len() as u32);
        value.put_u32(cell.len() as u32);
        value.put_slice(key);
        value.put_slice(cell);
    }
    value.freeze()
}

/// Copies: a head that stays in memory does not keep the others.
pub(crate) fn decode_heads(value: &[u8]) -> Result<(u64, Vec<(Bytes, Bytes)>)> {
    let fail = || damaged("packed heads do not decode");
    let (&[format, ref number @ ..], mut rest) = value.split_first_chunk::<9>().ok_or_else(fail)?;
    if format != HEADS_FORMAT {
        return Err(fail());
    }
    let mut heads = Vec::new();
    while !rest.is_empty() {
        let (lengths, tail) = rest.split_first_chunk::<8>().ok_or_else(fail)?;
        let [k0, k1, k2, k3, c0, c1, c2, c3] = *lengths;
        let key_bytes = u32::from_be_bytes([k0, k1, k2, k3]) as usize;
        let cell_bytes = u32::from_be_bytes([c0, c1, c2, c3]) as usize;
        let (key, tail) = tail.split_at_checked(key_bytes).ok_or_else(fail)?;
        let (cell, tail) = tail.split_at_checked(cell_bytes).ok_or_else(fail)?;
        heads.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(cell)));
        rest = tail;
    }
    Ok((decode_u64(number)?, heads))
}

/// Packed feed entries. What format 1 of the tables wrote is one entry without this byte: it begins with
/// the first byte of a time in milliseconds, which is 0.
const FEED_FORMAT: u8 = 1;

/// Entries of one commit in a partition: when they were written, and the keys of their rows.
pub(crate) fn encode_feed<'a>(written_ms: u64, row_keys: impl Iterator<Item = &'a Bytes> + Clone) -> Bytes {
    let size: usize = row_keys.clone().map(|key| 4 + key.len()).sum();
    let mut value = BytesMut::with_capacity(1 + 8 + size);
    value.put_u8(FEED_FORMAT);
    value.put_u64(written_ms);
    for key in row_keys {
        value.put_u32(key.len() as u32);
        value.put_slice(key);
    }
    value.freeze()
}

/// When they were written, and the keys of their rows, in order.
pub(crate) fn decode_feed(value: &[u8]) -> Result<(u64, Vec<&[u8]>)> {
    let fail = || damaged("a feed entry does not decode");
    let (mut rest, packed) = match value.split_first().ok_or_else(fail)? {
        (&FEED_FORMAT, rest) => (rest, true),
        _ => (value, false),
    };
    let (written_ms, tail) = rest.split_first_chunk::<8>().ok_or_else(fail)?;
    let written_ms = u64::from_be_bytes(*written_ms);
    if !packed {
        return Ok((written_ms, vec![tail]));
    }
    rest = tail;
    let mut keys = Vec::new();
    while !rest.is_empty() {
        let (length, tail) = rest.split_first_chunk::<4>().ok_or_else(fail)?;
        let (key, tail) = tail.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(fail)?;
        keys.push(key);
        rest = tail;
    }
    Ok((written_ms, keys))
}

#[cfg(test)]
mod tests {
    use posthorn_core::{ConversationId, ConversationKey, TenantId};

    use super::*;

    fn key() -> Vec<u8> {
        let tenant = TenantId::new("t").expect("valid");
        keys::row(&ConversationKey { tenant, conversation: ConversationId::new("c").expect("valid") }, 7, 3, 1)
    }

    fn row(body: Option<&'static [u8]>) -> Row {
        let (chain, envelope) = (Bytes::from_static(&[5; 16]), Bytes::from_static(b"envelope"));
        Row { seq: 7, epoch: 3, load: 1, chain, envelope, body: body.map(Bytes::from_static) }
    }

    #[test]
    fn rows_come_back_and_an_empty_body_is_not_a_missing_one() {
        for body in [None, Some(&b""[..]), Some(b"hello")] {
            let (at, value) = encode_row(&key(), &row(body)).expect("encodes");
            assert_eq!(at, key());
            assert_eq!(decode_row(&key(), &value), Ok(row(body)));
        }
    }

    #[test]
    fn every_flipped_bit_of_a_row_is_noticed() {
        let (_, value) = encode_row(&key(), &row(Some(b"hello"))).expect("encodes");
        for bit in 0..value.len() * 8 {
            let mut bent = value.to_vec();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_row(&key(), &bent.into()).is_err(), "bit {bit}");
        }
        for length in 0..value.len() {
            assert!(decode_row(&key(), &value.slice(..length)).is_err(), "cut to {length}");
        }
    }

    #[test]
    fn packs_come_back_and_a_cut_one_is_damage() {
        let some = |name: &'static str| Bytes::from_static(name.as_bytes());
        let heads = vec![(some("k"), some("cell")), (some(""), some("")), (some("longer"), some("c"))];
        let packed = encode_heads(7, &heads);
        assert_eq!(decode_heads(&packed), Ok((7, heads)));
        let keys = [some("row 1"), some("row 22")];
        let fed = encode_feed(9, keys.iter());
        assert_eq!(decode_feed(&fed), Ok((9, vec![&b"row 1"[..], b"row 22"])));
        for length in [0, 1, 8, 10, 16] {
            assert!(decode_heads(&packed[..length]).is_err(), "heads cut to {length}");
            assert!(decode_feed(&fed[..length.min(12)]).is_err(), "feed cut to {length}");
        }
    }

    #[test]
    fn a_feed_entry_of_format_1_is_a_pack_of_one() {
        let old = [&1_700_000_000_000_u64.to_be_bytes()[..], b"row"].concat();
        assert_eq!(decode_feed(&old), Ok((1_700_000_000_000, vec![&b"row"[..]])));
    }
}
