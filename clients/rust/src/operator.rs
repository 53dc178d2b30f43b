//! The HTTP API, as the operator uses it. No content passes here.

use std::{sync::Arc, time::Duration};

use http::Method;
use serde::{Deserialize, Serialize};

use crate::{
    Connector,
    backend::{Backend, BackendError},
};

/// Whoever runs the servers. Cheap to clone; connections are kept.
#[derive(Clone)]
pub struct Operator(Backend);

/// An entry that a consumer group of the feed gave up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    pub tenant: String,
    pub conversation: String,
    pub generation: u64,
    pub seq: u64,
    pub why: String,
    pub attempts: u32,
    pub parked_ms: u64,
}

impl Letter {
    /// `TENANT/CONVERSATION/GENERATION/SEQ`: by what it is named in requests.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}/{}/{}", self.tenant, self.conversation, self.generation, self.seq)
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct LetterPage {
    pub letters: Vec<Letter>,
    pub next: Option<String>,
}

/// What became of a letter that was tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetriedLetter {
    pub done: bool,
    pub why: Option<String>,
}

/// Whether a gateway takes new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainState {
    pub draining: bool,
    pub connections: u64,
}

impl Operator {
    /// See [`Backend::over`]; the key is an operator's.
    pub fn over(connector: Arc<dyn Connector>, base: &str, key: &str, timeout: Duration) -> Result<Self, BackendError> {
        Backend::over(connector, base, key, timeout).map(Self)
    }

    /// A page of the group's dead letters, from where the page before ended.
    pub async fn letters(&self, group: &str, after: Option<&str>, limit: u32) -> Result<LetterPage, BackendError> {
        let after = after.map(|after| format!("&after={after}")).unwrap_or_default();
        let path = format!("/v1/operator/letters/{group}?limit={limit}{after}");
        self.0.ask(Method::GET, &path, None).await
    }

    /// Tried again at once; it is gone if that goes well.
    pub async fn retry_letter(&self, group: &str, id: &str) -> Result<RetriedLetter, BackendError> {
        self.0.ask(Method::POST, &format!("/v1/operator/letters/{group}/{id}/retry"), None).await
    }

    pub async fn discard_letter(&self, group: &str, id: &str) -> Result<(), BackendError> {
        self.0.ask(Method::DELETE, &format!("/v1/operator/letters/{group}/{id}"), None).await
    }

    /// Of the gateway that answers: it takes no new connections and sends those that it has elsewhere.
    pub async fn drain(&self) -> Result<DrainState, BackendError> {
        self.0.ask(Method::POST, "/v1/operator/drain", None).await
    }

    /// It takes connections again.
    pub async fn cancel_drain(&self) -> Result<DrainState, BackendError> {
        self.0.ask(Method::DELETE, "/v1/operator/drain", None).await
    }

    pub async fn drain_state(&self) -> Result<DrainState, BackendError> {
        self.0.ask(Method::GET, "/v1/operator/drain", None).await
    }
}
