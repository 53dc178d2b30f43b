//! What the storage service can be asked, without its transport: the store, with ids checked and
//! pages bounded.

use std::sync::Arc;

use posthorn_core::{ConversationId, ConversationKey, InvalidId, Shard, TenantId, UserId, UserKey};
use posthorn_errors::{Code, Failure};
use posthorn_store::{Page, ReadRange, Store};

use crate::error::failure;

/// Rows in one page of a read.
pub const MAX_PAGE_ROWS: usize = 1_024;
/// Bytes in one page of a read: well below what a link carries in one message.
pub const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Records in one page.
pub const MAX_PAGE_RECORDS: usize = 1_000;
/// Names, users or heads in one call.
pub const MAX_NAMES: usize = 10_000;

/// What the service is made of.
pub struct StorageDeps {
    pub store: Arc<dyn Store>,
}

pub struct StorageService {
    pub(crate) store: Arc<dyn Store>,
}

impl StorageService {
    #[must_use]
    pub fn new(deps: StorageDeps) -> Arc<Self> {
        Arc::new(Self { store: deps.store })
    }

    /// A bounded page of a log.
    pub(crate) async fn read(&self, key: &ConversationKey, mut range: ReadRange) -> Result<Page, Failure> {
        range.limit = range.limit.clamp(1, MAX_PAGE_ROWS);
        range.max_bytes = range.max_bytes.clamp(1, MAX_PAGE_BYTES);
        if range.from > range.to {
            return Ok(Page::default());
        }
        self.store.read(key, range).await.map_err(|error| failure(&error))
    }
}

fn bad_id(error: &InvalidId) -> Failure {
    Failure::new(Code::InvalidArgument, error.to_string())
}

pub(crate) fn tenant(text: &str) -> Result<TenantId, Failure> {
    TenantId::new(text).map_err(|error| bad_id(&error))
}

pub(crate) fn conversation_key(of: &str, conversation: &str) -> Result<ConversationKey, Failure> {
    let conversation = ConversationId::new(conversation).map_err(|error| bad_id(&error))?;
    Ok(ConversationKey { tenant: tenant(of)?, conversation })
}

pub(crate) fn user_key(of: &str, user: &str) -> Result<UserKey, Failure> {
    let user = UserId::new(user).map_err(|error| bad_id(&error))?;
    Ok(UserKey { tenant: tenant(of)?, user })
}

pub(crate) fn users(names: &[String]) -> Result<Vec<UserId>, Failure> {
    bounded(names.len())?;
    names.iter().map(|name| UserId::new(name).map_err(|error| bad_id(&error))).collect()
}

pub(crate) fn shards(numbers: &[u32]) -> Result<Vec<Shard>, Failure> {
    let shard = |&number: &u32| u16::try_from(number).ok().filter(|&n| n < posthorn_core::SHARDS).map(Shard);
    numbers.iter().map(|n| shard(n).ok_or_else(|| crate::error::invalid("shards"))).collect()
}

pub(crate) fn bounded(count: usize) -> Result<(), Failure> {
    if count > MAX_NAMES { Err(Failure::plain(Code::Overloaded).limit("storage.max_names")) } else { Ok(()) }
}
