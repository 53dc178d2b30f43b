//! A backup: every key of a consistent view, as one stream, while the store runs.
//!
//! `PHORNBAK`, format (u32), generation (u64), time of the backup (u64, ms); then records: 1, table
//! (u8), lengths of key and value (u32 each), key, value; at the end 2, the number of records (u64) and
//! SHA-256 of everything before it. Numbers are big-endian.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::{
    EmbeddedStore, Shared,
    engine::Engine,
    keys::{Key, Space},
};
use crate::{Result, StoreError};

pub(crate) const MAGIC: &[u8; 8] = b"PHORNBAK";
/// Follows the format of the tables: 1 is read as well.
pub(crate) const BACKUP_FORMAT: u32 = 2;
pub(crate) const RECORD: u8 = 1;
pub(crate) const END: u8 = 2;

/// Size of the chunks, and how many of them wait for a slow reader.
const CHUNK_BYTES: usize = 256 * 1024;
const CHUNKS_WAITING: usize = 4;

impl EmbeddedStore {
    /// Streams the store as it is now; what is written meanwhile is not part of it. A bit more than a
    /// mebibyte is held, however slow the reader is. A chunk that is an error ends the stream, and what
    /// came before it is no backup. Call it within a runtime.
    pub async fn backup(&self) -> Result<mpsc::Receiver<Result<Bytes>>> {
        let engine = self.engine().await?;
        let shared = Arc::clone(&self.shared);
        let (chunks, reader) = mpsc::channel(CHUNKS_WAITING);
        let write = move || {
            let mut sink = Sink { chunks, hash: Sha256::new(), buffer: BytesMut::with_capacity(CHUNK_BYTES) };
            match write_all(&shared, &engine, &mut sink) {
                Ok(()) => tracing::info!("a backup was read to its end"),
                // Nobody is there to hear it if the reader is gone.
                Err(error) => drop(sink.chunks.blocking_send(Err(error))),
            }
        };
        drop(tokio::task::spawn_blocking(write));
        Ok(reader)
    }
}

struct Sink {
    chunks: mpsc::Sender<Result<Bytes>>,
    hash: Sha256,
    buffer: BytesMut,
}

impl Sink {
    fn flush(&mut self) -> Result<()> {
        let chunk = self.buffer.split().freeze();
        self.hash.update(&chunk);
        self.send(chunk)
    }

    fn send(&mut self, chunk: Bytes) -> Result<()> {
        let gone = |_| StoreError::Unavailable("the reader of the backup is gone".to_owned());
        self.chunks.blocking_send(Ok(chunk)).map_err(gone)
    }
}

fn length(bytes: &[u8]) -> Result<u32> {
    u32::try_from(bytes.len()).map_err(|_| StoreError::Damaged("a record beyond 4 GiB".to_owned()))
}

fn write_all(shared: &Shared, engine: &Engine, sink: &mut Sink) -> Result<()> {
    let view = engine.view();
    sink.buffer.put_slice(MAGIC);
    sink.buffer.put_u32(BACKUP_FORMAT);
    sink.buffer.put_u64(shared.generation);
    sink.buffer.put_u64(shared.clock.now_ms());
    let mut records = 0_u64;
    for space in Space::ALL {
        for entry in view.range(space, Key::new(), vec![0xFF; 64]) {
            let (key, value) = entry?;
            sink.buffer.put_u8(RECORD);
            sink.buffer.put_u8(space.number());
            sink.buffer.put_u32(length(&key)?);
            sink.buffer.put_u32(length(&value)?);
            sink.buffer.put_slice(&key);
            sink.buffer.put_slice(&value);
            records += 1;
            if sink.buffer.len() >= CHUNK_BYTES {
                if shared.engine.borrow().is_none() {
                    return Err(StoreError::Unavailable("the store is being opened again".to_owned()));
                }
                sink.flush()?;
            }
        }
    }
    sink.buffer.put_u8(END);
    sink.buffer.put_u64(records);
    sink.flush()?;
    let hash = std::mem::take(&mut sink.hash).finalize();
    sink.send(Bytes::copy_from_slice(&hash))
}
