//! The log, from which the consumer fills what the feed lost.

use async_trait::async_trait;
use posthorn_core::ConversationKey;
use posthorn_feed::{FeedError, consumer::Log};
use posthorn_proto::internal::{ReadRequest, Row};
use posthorn_rpc::{StorageClient, call};

/// Bytes of one page.
const MAX_PAGE_BYTES: u64 = 1024 * 1024;

pub struct StorageLog(pub StorageClient);

#[async_trait]
impl Log for StorageLog {
    async fn rows(&self, key: &ConversationKey, from: u64, to: u64, limit: u32) -> posthorn_feed::Result<Vec<Row>> {
        let request = ReadRequest {
            tenant: key.tenant.to_string(),
            conversation: key.conversation.to_string(),
            from,
            to,
            limit,
            max_bytes: MAX_PAGE_BYTES,
            ..ReadRequest::default()
        };
        let page = call(self.0.clone().read(request)).await;
        Ok(page.map_err(|failure| FeedError::Unavailable(failure.to_string()))?.rows)
    }
}
