//! What was exported becomes a data directory.

use std::{
    fs::{self, File},
    path::PathBuf,
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use posthorn_core::ConversationKey;

use super::{
    StoreConfig,
    appends::Cell,
    engine::{CommitError, Engine, Put},
    keys::{self, Space},
    layout::{self, DATABASE, DirLock, FORMAT_FILE, RESTORING_FILE},
    ownership::shard_value,
    restore::{check_empty, remove_database},
    values::{encode_feed, encode_row, encode_u64},
};
use crate::{
    FEED_PARTITIONS, Result, StoreError, feed_partition,
    rules::check_record_key,
    transfer::{Piece, Target},
};

/// Bytes of one commit.
const COMMIT_BYTES: usize = 4 * 1024 * 1024;
/// Entries of the feed that are packed together.
const FEED_PACK: usize = 1_000;

/// A data directory that is being filled. Until [`Target::finish`] has returned it is no store, and is refused
/// as one; another import into it starts over.
pub struct EmbeddedImport {
    dir: PathBuf,
    generation: u64,
    now_ms: u64,
    engine: Arc<Engine>,
    staged: Mutex<Staged>,
    _lock: DirLock,
}

#[derive(Default)]
struct Staged {
    puts: Vec<Put>,
    bytes: usize,
    /// What the feed has not been given: conversations, with what it has and where they end.
    unfed: Vec<(ConversationKey, u64, u64)>,
}

impl EmbeddedImport {
    /// Takes a directory that holds no store, or what a cut-off import or restore left. `now_ms` is the time
    /// at which the feed's entries are taken to be written. Blocks.
    ///
    /// # Errors
    /// The directory holds a store, is in use, or has seen a later generation than the one that is imported.
    pub fn begin(config: &StoreConfig, generation: u64, now_ms: u64) -> Result<Self> {
        let dir = config.data_dir.clone();
        let lock = layout::lock(&dir)?;
        let marker = dir.join(RESTORING_FILE);
        if marker.exists() {
            let remove = || {
                remove_database(&dir.join(DATABASE))?;
                let format = dir.join(FORMAT_FILE);
                if format.exists() { fs::remove_file(format) } else { Ok(()) }
            };
            remove().map_err(|error| layout::io(&dir, "emptying", &error))?;
            fs::remove_file(&marker).map_err(|error| layout::io(&marker, "removing", &error))?;
        }
        check_empty(&dir)?;
        if let Some(seen) = layout::generation(&dir)?.filter(|seen| *seen > generation) {
            let dir = dir.display();
            return Err(StoreError::Exists(format!(
                "{dir} has seen generation {seen}, and the export is of {generation}: import into another directory"
            )));
        }
        let written = File::create(&marker).and_then(|file| file.sync_all());
        written.map_err(|error| layout::io(&marker, "writing", &error))?;
        let engine = Arc::new(Engine::open(&dir.join(DATABASE), config, 0)?);
        Ok(Self { dir, generation, now_ms, engine, staged: Mutex::default(), _lock: lock })
    }

    fn stage(&self, puts: Vec<Put>) -> Option<Vec<Put>> {
        let bytes: usize = puts.iter().map(|put| put.key.len() + put.value.as_ref().map_or(0, Bytes::len)).sum();
        let mut staged = self.staged.lock();
        staged.puts.extend(puts);
        staged.bytes += bytes;
        if staged.bytes < COMMIT_BYTES {
            return None;
        }
        staged.bytes = 0;
        Some(std::mem::take(&mut staged.puts))
    }

    async fn commit(&self, puts: Vec<Put>, sync: bool) -> Result<()> {
        let engine = Arc::clone(&self.engine);
        let ended = tokio::task::spawn_blocking(move || engine.commit(puts, None, sync)).await;
        let failed = |error: CommitError| StoreError::Unavailable(format!("the import was not written: {error:?}"));
        let died = |error| StoreError::Unavailable(format!("the import was not written: {error}"));
        ended.map_err(died)?.map_err(failed)
    }

    /// The entries that the feed is owed, in the order of each conversation.
    fn feed(&self) -> Result<Vec<Put>> {
        let mut partitions: Vec<Vec<Bytes>> = vec![Vec::new(); usize::from(FEED_PARTITIONS)];
        let view = self.engine.view();
        for (key, fed, end) in std::mem::take(&mut self.staged.lock().unfed) {
            let (from, to) = (keys::row(&key, fed + 1, 0, 0), keys::row(&key, end, u64::MAX, u32::MAX));
            for entry in view.range(Space::Log, from, to) {
                partitions[usize::from(feed_partition(&key))].push(entry?.0);
            }
        }
        let mut puts = Vec::new();
        for (partition, row_keys) in (0..FEED_PARTITIONS).zip(partitions) {
            let mut offset = 0;
            for pack in row_keys.chunks(FEED_PACK) {
                offset += pack.len() as u64;
                let value = Some(encode_feed(self.now_ms, pack.iter()));
                puts.push(Put { space: Space::Feed, key: keys::feed(partition, offset).into(), value });
            }
        }
        Ok(puts)
    }
}

#[async_trait]
impl Target for EmbeddedImport {
    async fn take(&self, piece: Piece) -> Result<()> {
        if let Piece::Head { key, head } = &piece
            && head.fed_seq < head.seq
        {
            self.staged.lock().unfed.push((key.clone(), head.fed_seq, head.seq));
        }
        match self.stage(puts_of(piece)?) {
            Some(puts) => self.commit(puts, false).await,
            None => Ok(()),
        }
    }

    async fn finish(&self) -> Result<()> {
        let rest = std::mem::take(&mut self.staged.lock().puts);
        self.commit(rest, false).await?;
        let mut puts = self.feed()?;
        let value = Some(encode_u64(self.generation));
        puts.push(Put { space: Space::System, key: keys::about("generation").into(), value });
        self.commit(puts, true).await?;
        layout::write_generation(&self.dir, self.generation)?;
        layout::write_format(&self.dir)?;
        let marker = self.dir.join(RESTORING_FILE);
        let done = fs::remove_file(&marker).and_then(|()| File::open(&self.dir)?.sync_all());
        done.map_err(|error| layout::io(&marker, "removing", &error))
    }
}

fn puts_of(piece: Piece) -> Result<Vec<Put>> {
    let cell = |cell: Cell| Put { space: Space::Cells, key: cell.key, value: Some(cell.value) };
    let system = |key: keys::Key, value| Put { space: Space::System, key: key.into(), value: Some(value) };
    Ok(match piece {
        Piece::Record { key, value } => {
            check_record_key(&key)?;
            vec![Put { space: Space::Cells, key: keys::record(&key).into(), value: Some(value) }]
        }
        Piece::Rows { key, rows } => {
            let row = |row: &posthorn_proto::internal::Row| {
                let (key, value) = encode_row(&keys::row(&key, row.seq, row.epoch, row.load), row)?;
                Ok(Put { space: Space::Log, key, value: Some(value) })
            };
            rows.iter().map(row).collect::<Result<_>>()?
        }
        Piece::Members { key, members } => {
            members.iter().map(|(user, record)| cell(Cell::member(&key, user, record))).collect()
        }
        Piece::Head { key, mut head } => {
            // Not kept here: the feed's entries are in the commits of the rows.
            head.fed_seq = 0;
            vec![cell(Cell::head(&key, &head))]
        }
        Piece::Registers { user, registers } => {
            registers.iter().map(|(name, record)| cell(Cell::register(&user, name, record))).collect()
        }
        Piece::Journal { instance, names } => {
            names.iter().map(|name| system(keys::journal(&instance, Some(name)), encode_u64(1))).collect()
        }
        Piece::Shards(rows) => rows.iter().map(|row| system(keys::shard(row.shard.0), shard_value(row))).collect(),
    })
}
