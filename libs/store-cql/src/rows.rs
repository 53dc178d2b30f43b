//! Answers of the database, row by row, page by page.

use posthorn_store::Result;
use scylla::{
    deserialize::row::DeserializeRow,
    response::{PagingState, query_result::QueryResult},
    statement::bound::BoundStatement,
};

use crate::{calls::Calls, error::damaged};

/// Decodes the rows of one page. `R` owns what it holds: a row that is kept does not keep its page.
pub(crate) fn decode<R>(result: QueryResult) -> Result<Vec<R>>
where
    R: for<'frame, 'meta> DeserializeRow<'frame, 'meta>,
{
    let unreadable = |why: &dyn std::fmt::Display| damaged("an answer of the database", why);
    let rows = result.into_rows_result().map_err(|why| unreadable(&why))?;
    let rows = rows.rows::<R>().map_err(|why| unreadable(&why))?;
    rows.map(|row| row.map_err(|why| unreadable(&why))).collect()
}

/// The pages of an answer.
pub(crate) struct Pages<'a> {
    calls: &'a Calls,
    op: &'static str,
    bound: BoundStatement,
    next: Option<PagingState>,
}

impl<'a> Pages<'a> {
    pub fn new(calls: &'a Calls, op: &'static str, bound: BoundStatement) -> Self {
        Self { calls, op, bound, next: Some(PagingState::start()) }
    }

    /// `None` after the last one.
    pub async fn next<R>(&mut self) -> Result<Option<Vec<R>>>
    where
        R: for<'frame, 'meta> DeserializeRow<'frame, 'meta>,
    {
        let Some(from) = self.next.take() else { return Ok(None) };
        let (result, next) = self.calls.page(self.op, &self.bound, from).await?;
        self.next = next;
        decode(result).map(Some)
    }

    /// Every row: for what is known to be small.
    pub async fn all<R>(mut self) -> Result<Vec<R>>
    where
        R: for<'frame, 'meta> DeserializeRow<'frame, 'meta>,
    {
        let mut all = Vec::new();
        while let Some(page) = self.next().await? {
            all.extend(page);
        }
        Ok(all)
    }
}
