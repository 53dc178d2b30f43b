//! Where notifications go.

use async_trait::async_trait;

/// A wake: that there is something, and where; never what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Notification {
    pub tenant: String,
    pub user: String,
    pub conversation: String,
    /// The newest entry that the user has not received.
    pub seq: u64,
}

/// The words are shown to operators: they name no content, no user and no key.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// Trying again may help.
    #[error("the provider does not answer: {0}")]
    Unavailable(String),
    /// It never will.
    #[error("the provider refused: {0}")]
    Refused(String),
}

#[async_trait]
pub trait Provider: Send + Sync + 'static {
    fn name(&self) -> &'static str;
    /// At least once: (user, conversation, seq) collapses repetitions.
    async fn notify(&self, notification: &Notification) -> Result<(), ProviderError>;
}

/// One structured line each.
pub struct LogProvider;

#[async_trait]
impl Provider for LogProvider {
    fn name(&self) -> &'static str {
        "log"
    }

    async fn notify(&self, n: &Notification) -> Result<(), ProviderError> {
        tracing::info!(tenant = n.tenant, user = n.user, conversation = n.conversation, seq = n.seq, "would notify");
        Ok(())
    }
}
