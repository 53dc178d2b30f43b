//! The sync cursor: (generation, shard -> highest version below which nothing is in flight). Opaque
//! to clients, and not secret: everything it selects is authorised again.

use std::collections::BTreeMap;

use crate::Shard;

/// A place in a shard's list order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Version {
    pub epoch: u64,
    pub counter: u64,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Cursor {
    pub generation: u64,
    pub shards: BTreeMap<Shard, Version>,
}

/// The bytes are no cursor of this format.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this server")]
pub struct InvalidCursor;

const FORMAT: u64 = 1;

impl Cursor {
    /// Compact bytes: epochs as differences to the largest, which most share.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let base = self.shards.values().map(|v| v.epoch).max().unwrap_or(0);
        let mut out = Vec::with_capacity(8 + self.shards.len() * 8);
        for number in [FORMAT, self.generation, base, self.shards.len() as u64] {
            put(&mut out, number);
        }
        for (shard, version) in &self.shards {
            put(&mut out, u64::from(shard.0));
            put(&mut out, base - version.epoch);
            put(&mut out, version.counter);
        }
        out
    }

    pub fn decode(mut bytes: &[u8]) -> Result<Self, InvalidCursor> {
        let input = &mut bytes;
        if take(input)? != FORMAT {
            return Err(InvalidCursor);
        }
        let (generation, base, count) = (take(input)?, take(input)?, take(input)?);
        if count > u64::from(crate::SHARDS) {
            return Err(InvalidCursor);
        }
        let mut shards = BTreeMap::new();
        for _ in 0..count {
            let shard = u16::try_from(take(input)?).ok().filter(|&n| n < crate::SHARDS).ok_or(InvalidCursor)?;
            let epoch = base.checked_sub(take(input)?).ok_or(InvalidCursor)?;
            shards.insert(Shard(shard), Version { epoch, counter: take(input)? });
        }
        if input.is_empty() { Ok(Self { generation, shards }) } else { Err(InvalidCursor) }
    }
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        #[allow(clippy::cast_possible_truncation, reason = "seven bits")]
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    #[allow(clippy::cast_possible_truncation, reason = "seven bits")]
    out.push(number as u8);
}

fn take(input: &mut &[u8]) -> Result<u64, InvalidCursor> {
    let mut number = 0;
    for shift in (0..70).step_by(7) {
        let (&byte, rest) = input.split_first().ok_or(InvalidCursor)?;
        *input = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(InvalidCursor);
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(InvalidCursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_encoding_and_damage_is_refused() {
        let mut cursor = Cursor { generation: 3, ..Cursor::default() };
        for n in [0_u16, 7, 1_023] {
            let epoch = (3 << 44) + u64::from(n);
            cursor.shards.insert(Shard(n), Version { epoch, counter: u64::MAX - u64::from(n) });
        }
        let bytes = cursor.encode();
        assert_eq!(Cursor::decode(&bytes), Ok(cursor));
        for cut in 0..bytes.len() {
            assert_eq!(Cursor::decode(&bytes[..cut]), Err(InvalidCursor));
        }
        assert_eq!(Cursor::decode(&[bytes, vec![0]].concat()), Err(InvalidCursor));
        assert_eq!(Cursor::decode(&[0xff; 40]), Err(InvalidCursor));
    }
}
