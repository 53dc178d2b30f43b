//! The file of an export. `PHORNEXP`; then parts, each its length (u32, big-endian) and a `TransferPart`, of
//! which the first is a header and the last an end; then SHA-256 of everything before.

use std::io::{ErrorKind, Read, Write};

use bytes::Bytes;
use posthorn_proto::internal::{TransferEnd, TransferHeader, TransferPart, transfer_part::Part};
use prost::Message;
use sha2::{Digest, Sha256};

use super::{
    Counts, Piece,
    wire::{part_of, piece_of},
};
use crate::{Result, StoreError};

const MAGIC: &[u8; 8] = b"PHORNEXP";
const FORMAT: u32 = 1;
/// Longest part. Longer ones are damage: everything is cut up to far less.
const MAX_PART_BYTES: usize = 64 * 1024 * 1024;
const HASH_BYTES: u64 = 32;

/// What a file says of the store that it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub generation: u64,
    pub driver: String,
    /// Milliseconds since 1970.
    pub taken_ms: u64,
}

/// A file that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub counts: Counts,
    pub bytes: u64,
    /// Drawn from its content: no two files share it.
    pub id: u64,
}

pub struct Writer<W> {
    out: W,
    hash: Sha256,
    counts: Counts,
    parts: u64,
    bytes: u64,
}

impl<W: Write> Writer<W> {
    /// # Errors
    /// Nothing can be written, here and below.
    pub fn begin(out: W, header: &Header) -> Result<Self> {
        let mut writer = Self { out, hash: Sha256::new(), counts: Counts::default(), parts: 0, bytes: 0 };
        writer.bytes(MAGIC)?;
        let Header { generation, driver, taken_ms } = header.clone();
        writer.part(Part::Header(TransferHeader { format: FORMAT, generation, driver, taken_ms }))?;
        Ok(writer)
    }

    pub fn put(&mut self, piece: Piece) -> Result<()> {
        self.counts.add(&piece);
        self.part(part_of(piece))
    }

    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// The end. The caller makes it durable.
    pub fn finish(mut self) -> Result<(W, Written)> {
        let Counts { conversations, entries, users, records } = self.counts;
        let parts = self.parts + 1;
        self.part(Part::End(TransferEnd { conversations, entries, users, records, parts }))?;
        let hash = std::mem::take(&mut self.hash).finalize();
        self.out.write_all(&hash).and_then(|()| self.out.flush()).map_err(|error| unwritten(&error))?;
        let written = Written { counts: self.counts, bytes: self.bytes + HASH_BYTES, id: id_of(&hash) };
        Ok((self.out, written))
    }

    fn part(&mut self, part: Part) -> Result<()> {
        let encoded = TransferPart { part: Some(part) }.encode_to_vec();
        let length = u32::try_from(encoded.len()).ok().filter(|_| encoded.len() <= MAX_PART_BYTES);
        let length = length.ok_or_else(|| StoreError::Misused(format!("a part of {} bytes", encoded.len())))?;
        self.parts += 1;
        self.bytes(&length.to_be_bytes())?;
        self.bytes(&encoded)
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes).map_err(|error| unwritten(&error))
    }
}

fn unwritten(error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("writing the export: {error}"))
}

fn id_of(hash: &[u8]) -> u64 {
    hash.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

pub struct Reader<R> {
    input: R,
    hash: Sha256,
    header: Header,
    counts: Counts,
    parts: u64,
    bytes: u64,
    /// Once the end was found to be right.
    whole: Option<Written>,
}

impl<R: Read> Reader<R> {
    /// # Errors
    /// It is no export, or one of a format that this build does not know.
    pub fn begin(input: R) -> Result<Self> {
        let header = Header { generation: 0, driver: String::new(), taken_ms: 0 };
        let (hash, counts) = (Sha256::new(), Counts::default());
        let mut reader = Self { input, hash, header, counts, parts: 0, bytes: 0, whole: None };
        if reader.array()? != *MAGIC {
            return Err(StoreError::Damaged("this is no export of a posthorn store".to_owned()));
        }
        let Part::Header(TransferHeader { format, generation, driver, taken_ms }) = reader.part()? else {
            return Err(reader.damaged());
        };
        if format != FORMAT {
            let what = format!("the export is of format {format}, this build understands {FORMAT}");
            return Err(StoreError::Unavailable(what));
        }
        reader.header = Header { generation, driver, taken_ms };
        Ok(reader)
    }

    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// `None` at the end, which was found to be right.
    ///
    /// # Errors
    /// The file is cut off, bent, or goes on after its end.
    pub fn piece(&mut self) -> Result<Option<Piece>> {
        if self.whole.is_some() {
            return Ok(None);
        }
        match self.part()? {
            Part::End(end) => self.end(&end).map(|()| None),
            part => {
                let piece = piece_of(part)?.ok_or_else(|| self.damaged())?;
                self.counts.add(&piece);
                Ok(Some(piece))
            }
        }
    }

    fn end(&mut self, end: &TransferEnd) -> Result<()> {
        let Counts { conversations, entries, users, records } = self.counts;
        let found = TransferEnd { conversations, entries, users, records, parts: self.parts };
        let hash = self.hash.clone().finalize();
        if *end != found || self.array::<{ HASH_BYTES as usize }>()? != hash.as_slice() {
            return Err(self.damaged());
        }
        if !matches!(self.input.read(&mut [0]), Ok(0)) {
            return Err(StoreError::Damaged("the export goes on after its end".to_owned()));
        }
        self.whole = Some(Written { counts: self.counts, bytes: self.bytes, id: id_of(&hash) });
        Ok(())
    }

    fn part(&mut self) -> Result<Part> {
        let length = u32::from_be_bytes(self.array()?) as usize;
        if length > MAX_PART_BYTES {
            return Err(self.damaged());
        }
        let mut encoded = vec![0; length];
        self.exact(&mut encoded)?;
        self.parts += 1;
        let part = TransferPart::decode(Bytes::from(encoded)).ok().and_then(|part| part.part);
        part.ok_or_else(|| self.damaged())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.exact(&mut bytes)?;
        Ok(bytes)
    }

    fn exact(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.input.read_exact(bytes).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => {
                StoreError::Damaged(format!("the export is cut off after {} parts", self.parts))
            }
            _ => StoreError::Unavailable(format!("reading the export: {error}")),
        })?;
        self.bytes += bytes.len() as u64;
        self.hash.update(&*bytes);
        Ok(())
    }

    fn damaged(&self) -> StoreError {
        StoreError::Damaged(format!("the export is damaged after {} parts", self.parts))
    }
}

/// Reads a file to its end: what it says of itself, once it was found to be whole.
///
/// # Errors
/// As [`Reader::piece`].
pub fn check(input: impl Read) -> Result<(Header, Written)> {
    let mut reader = Reader::begin(input)?;
    while reader.piece()?.is_some() {}
    let written = reader.whole.clone().ok_or_else(|| reader.damaged())?;
    Ok((reader.header, written))
}
