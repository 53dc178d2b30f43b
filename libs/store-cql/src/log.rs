//! Rows of the log. A bucket is a partition; its rows of one append are one mutation, so that a replica
//! has them together or not at all.

use bytes::Bytes;
use futures_util::future::join_all;
use posthorn_core::ConversationKey;
use posthorn_proto::internal::Row;
use posthorn_store::{
    Append, BUCKET_ROWS, Page, ReadRange, Result, StoreError,
    rules::{Pager, check_append},
};
use scylla::{statement::prepared::PreparedStatement, value::MaybeUnset};

use crate::{
    CqlStore,
    calls::bind,
    error::damaged,
    marks::{signed, unsigned},
    rows::Pages,
};

/// What rows are written in. One more is the next build's: it is refused, not guessed at.
const FORMAT: i16 = 1;
/// Beyond it nothing is counted: JSON numbers hold less.
const MAX_SEQ: u64 = (1 << 53) - 1;

type Columns = (i64, i64, i64, Option<i16>, Vec<u8>, Vec<u8>, Option<Vec<u8>>);
type Values<'a> = (&'a str, &'a str, i64, i64, i64, i64, i16, &'a Bytes, &'a Bytes, MaybeUnset<&'a Bytes>);

fn bucket(seq: u64) -> u64 {
    seq.saturating_sub(1) / BUCKET_ROWS
}

impl CqlStore {
    /// Rows and note at once; both have to be there before the caller checks.
    pub(crate) async fn append_rows(&self, append: &Append) -> Result<()> {
        check_append(append)?;
        let note = async {
            match append.note {
                Some(note) => self.journal.note(&append.instance, &append.key, note).await,
                None => Ok(()),
            }
        };
        let (rows, noted) = tokio::join!(self.write_rows(&append.key, &append.rows), note);
        rows?;
        match noted {
            // The rows stand: a loader may take them, although nobody was told.
            Err(StoreError::Unavailable(text)) => Err(StoreError::Ambiguous(text)),
            other => other,
        }
    }

    /// For the bench, too, which writes rows and nothing else.
    pub(crate) async fn write_rows(&self, key: &ConversationKey, rows: &[Row]) -> Result<()> {
        let parts = rows.chunk_by(|a, b| bucket(a.seq) == bucket(b.seq));
        let written: Vec<Result<()>> = join_all(parts.map(|part| self.write_part(key, part))).await;
        let some = written.iter().any(Result::is_ok);
        match written.into_iter().find_map(Result::err) {
            None => Ok(()),
            Some(StoreError::Unavailable(text)) if some => Err(StoreError::Ambiguous(text)),
            Some(error) => Err(error),
        }
    }

    async fn write_part(&self, key: &ConversationKey, rows: &[Row]) -> Result<()> {
        let values = rows.iter().map(|row| values_of(key, row)).collect::<Result<Vec<_>>>()?;
        let statement = &self.statements.row_write;
        match values.as_slice() {
            [only] => self.calls.write("append", &bind(statement, only)?).await,
            several => self.calls.batch("append", &vec![statement; several.len()], several).await,
        }
    }

    pub(crate) async fn read_page(&self, key: &ConversationKey, range: ReadRange) -> Result<Page> {
        let mut pager = Pager::new(range);
        let (from, to) = (range.from.max(1), range.to.min(MAX_SEQ));
        if from > to || range.limit == 0 {
            return Ok(pager.finish());
        }
        let (first, last) = (bucket(from), bucket(to));
        let mut next = if range.reverse { last } else { first };
        let statement = if range.reverse { &self.statements.rows_down } else { &self.statements.rows_up };
        loop {
            let mut pages = self.bucket_pages("read", statement, key, next, (from, to))?;
            let mut empty = true;
            while let Some(page) = pages.next::<Columns>().await? {
                for columns in page {
                    empty = false;
                    if !pager.offer(row_of(columns)?) {
                        return Ok(pager.finish());
                    }
                }
            }
            // A log has no holes: an empty bucket is beyond its end, or below what is kept.
            let end = if range.reverse { first } else { last };
            if empty || next == end {
                return Ok(pager.finish());
            }
            next = if range.reverse { next - 1 } else { next + 1 };
        }
    }

    pub(crate) async fn read_beyond(&self, key: &ConversationKey, after: u64) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        if after >= MAX_SEQ {
            return Ok(rows);
        }
        for next in bucket(after + 1).. {
            let pages = self.bucket_pages("read_tail", &self.statements.rows_up, key, next, (after + 1, MAX_SEQ))?;
            let found = pages.all::<Columns>().await?;
            if found.is_empty() {
                break;
            }
            for columns in found {
                rows.push(row_of(columns)?);
            }
        }
        Ok(rows)
    }

    fn bucket_pages(
        &self,
        op: &'static str,
        statement: &PreparedStatement,
        key: &ConversationKey,
        bucket: u64,
        (from, to): (u64, u64),
    ) -> Result<Pages<'_>> {
        let (tenant, conversation) = (key.tenant.as_str(), key.conversation.as_str());
        let values = (tenant, conversation, signed(bucket)?, signed(from)?, signed(to)?);
        Ok(Pages::new(&self.calls, op, bind(statement, &values)?))
    }
}

fn values_of<'a>(key: &'a ConversationKey, row: &'a Row) -> Result<Values<'a>> {
    let (tenant, conversation) = (key.tenant.as_str(), key.conversation.as_str());
    let (bucket, seq, epoch) = (signed(bucket(row.seq))?, signed(row.seq)?, signed(row.epoch)?);
    let body = MaybeUnset::from_option(row.body.as_ref());
    Ok((tenant, conversation, bucket, seq, epoch, i64::from(row.load), FORMAT, &row.chain, &row.envelope, body))
}

fn row_of((seq, epoch, load, format, chain, envelope, body): Columns) -> Result<Row> {
    if format != Some(FORMAT) {
        return Err(damaged("a row", format!("of format {format:?}, this build reads {FORMAT}")));
    }
    Ok(Row {
        seq: unsigned(seq)?,
        epoch: unsigned(epoch)?,
        load: u32::try_from(load).map_err(|why| damaged("a load number", why))?,
        chain: chain.into(),
        envelope: envelope.into(),
        body: body.map(Bytes::from),
    })
}
