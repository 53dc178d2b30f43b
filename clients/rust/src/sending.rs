//! A send and how far it came; tokens.

use std::sync::Arc;

use async_trait::async_trait;
use posthorn_clock::Uuid;
use posthorn_errors::Failure;
use posthorn_proto::client::{Body, Durability, Precondition};
use tokio::sync::watch;

/// What to send.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outgoing {
    /// Either an existing conversation, or `to`.
    pub conversation: String,
    /// The direct conversation with this user.
    pub to: String,
    pub body: Body,
    pub reply_to: u64,
    pub thread: u64,
    pub mentions: Vec<String>,
    pub precondition: Option<Precondition>,
    /// Without it the client makes one.
    pub message_id: Option<Uuid>,
    /// It was tried before, by an earlier process: (generation, after_seq) of then.
    pub tried: Option<(u64, u64)>,
}

impl Outgoing {
    #[must_use]
    pub fn text(conversation: impl Into<String>, text: impl Into<String>) -> Self {
        let body = Body { text: text.into(), ..Body::default() };
        Self { conversation: conversation.into(), body, ..Self::default() }
    }
}

/// An entry in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub conversation: String,
    pub seq: u64,
    pub time_ms: u64,
    pub durability: Durability,
    pub generation: u64,
    /// An earlier try had stored it.
    pub duplicate: bool,
}

/// How far a send came, never more than is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendState {
    /// Here, waiting for its turn or for a connection.
    Queued,
    /// On its way, without an answer.
    Sent,
    /// Tried, and nobody knows whether it was stored: it is tried again. If the client ends in this
    /// state, it stays unknown.
    NotConfirmed,
    Stored(Stored),
    /// At least one other member's device has it.
    Delivered(Stored),
    /// At least one other member has read it.
    Read(Stored),
    /// Refused for good. Whether it had an effect: `code.side_effect_free()`.
    Failed(Failure),
}

impl SendState {
    #[must_use]
    pub const fn stored(&self) -> Option<&Stored> {
        match self {
            Self::Stored(stored) | Self::Delivered(stored) | Self::Read(stored) => Some(stored),
            _ => None,
        }
    }
}

/// Follows one send.
#[derive(Clone, Debug)]
pub struct Sending {
    pub message_id: Uuid,
    pub(crate) state: watch::Receiver<SendState>,
}

/// The client ended before the send was stored or refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotStored {
    #[error("refused: {0}")]
    Refused(Failure),
    #[error("the client ended while the send was {0:?}")]
    Unknown(SendState),
}

impl Sending {
    #[must_use]
    pub fn state(&self) -> SendState {
        self.state.borrow().clone()
    }

    /// Waits for the next state; `None` when there will be none. States that were left at once may be missed.
    pub async fn next(&mut self) -> Option<SendState> {
        self.state.changed().await.ok()?;
        Some(self.state.borrow_and_update().clone())
    }

    /// Waits until it is stored or refused.
    pub async fn stored(&mut self) -> Result<Stored, NotStored> {
        loop {
            let state = self.state.borrow_and_update().clone();
            match state {
                SendState::Failed(failure) => return Err(NotStored::Refused(failure)),
                state => {
                    if let Some(stored) = state.stored() {
                        return Ok(stored.clone());
                    }
                }
            }
            if self.state.changed().await.is_err() {
                let last = self.state.borrow().clone();
                return last.stored().cloned().ok_or(NotStored::Unknown(last));
            }
        }
    }
}

/// Why a token is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenReason {
    First,
    /// The one in use ends soon, or has.
    Expiring,
    /// The server refused the one given before.
    Refused,
}

/// No token could be had; `give_up` ends the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TokenError {
    pub message: String,
    pub give_up: bool,
}

/// The application's own way to a token. Asked only when one is needed, and never twice at once.
#[async_trait]
pub trait TokenSource: Send + Sync {
    async fn token(&self, reason: TokenReason) -> Result<String, TokenError>;
}

/// One token that never changes.
#[async_trait]
impl TokenSource for String {
    async fn token(&self, reason: TokenReason) -> Result<String, TokenError> {
        match reason {
            TokenReason::First => Ok(self.clone()),
            _ => Err(TokenError { message: "the only token given is no good any more".into(), give_up: true }),
        }
    }
}

pub(crate) type Tokens = Arc<dyn TokenSource>;
