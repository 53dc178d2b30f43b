//! Letters as small records of the store.

use std::sync::Arc;

use async_trait::async_trait;
use posthorn_store::{RecordKey, Store, StoreError, Table};
use prost::Message;

use super::{DeadLetter, DeadLetters, LetterId, LetterPage, check_group};
use crate::{FeedError, Result};

/// Whose records they are: a group's letters are of many tenants, and listed together.
const OWNER: &str = "~";

pub struct RecordLetters(Arc<dyn Store>);

impl RecordLetters {
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }
}

fn record(group: &str, id: &LetterId) -> Result<RecordKey> {
    check_group(group)?;
    Ok(RecordKey { table: Table::DeadLetters, tenant: OWNER.to_owned(), key: format!("{group}/{id}") })
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn failed(error: StoreError) -> FeedError {
    FeedError::Unavailable(error.to_string())
}

#[async_trait]
impl DeadLetters for RecordLetters {
    async fn park(&self, group: &str, id: &LetterId, letter: DeadLetter) -> Result<()> {
        let value = letter.encode_to_vec().into();
        self.0.put_record(&record(group, id)?, value, false).await.map(drop).map_err(failed)
    }

    async fn get(&self, group: &str, id: &LetterId) -> Result<Option<DeadLetter>> {
        let found = self.0.get_record(&record(group, id)?).await.map_err(failed)?;
        found.map(|bytes| DeadLetter::decode(bytes).map_err(|e| FeedError::Damaged(e.to_string()))).transpose()
    }

    async fn list(&self, group: &str, from: Option<&str>, limit: usize) -> Result<LetterPage> {
        check_group(group)?;
        let begin = format!("{group}/");
        let after = from.unwrap_or(&begin);
        let found = self.0.list_records(Table::DeadLetters, OWNER, after, limit).await.map_err(failed)?;
        let mut page = LetterPage::default();
        for (at, bytes) in found {
            let Some(id) = at.key.strip_prefix(&begin) else {
                page.next = None;
                break;
            };
            let id = id.parse().map_err(|e: super::NoLetterId| FeedError::Damaged(e.to_string()))?;
            let letter = DeadLetter::decode(bytes).map_err(|e| FeedError::Damaged(e.to_string()))?;
            page.letters.push((id, letter));
            page.next = Some(at.key);
        }
        if page.letters.len() < limit {
            page.next = None;
        }
        Ok(page)
    }

    async fn discard(&self, group: &str, id: &LetterId) -> Result<bool> {
        let key = record(group, id)?;
        let was = self.0.get_record(&key).await.map_err(failed)?.is_some();
        self.0.delete_record(&key).await.map_err(failed)?;
        Ok(was)
    }
}

#[cfg(test)]
mod tests {
    use posthorn_clock::Clock;
    use posthorn_store::memory::MemoryStore;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn letters_in_records_conform() {
        let letters = RecordLetters::new(MemoryStore::new(Clock::simulated(1, 0)));
        super::super::conformance::run(&letters).await;
    }
}
