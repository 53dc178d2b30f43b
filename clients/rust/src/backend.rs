//! The HTTP API, as an application's backend uses it: people, tokens, groups, members, entries.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use posthorn_clock::timeout;
use posthorn_errors::{Code, Failure};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    Connector, NetConnector,
    http::{Http, HttpError},
};

/// Largest answer that is read, bytes: a page of the largest messages is half of it.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// A tenant's backend. Cheap to clone; connections are kept.
#[derive(Clone)]
pub struct Backend {
    http: Http,
    base: String,
    key: String,
    timeout: Duration,
}

/// Why a request of the backend failed.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    #[error("{0}")]
    Refused(Failure),
    #[error("no answer: {0}")]
    Network(String),
    /// Its certificate, or what this machine has to check it with.
    #[error("no answer: {0}")]
    Untrusted(String),
    #[error("a request or an answer that is none: {0}")]
    Malformed(String),
    #[error("`{0}` is no address of a server")]
    Address(String),
}

impl BackendError {
    /// The same request, with the same ids, may succeed later.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Refused(failure) => failure.code.retryable(),
            Self::Network(_) => true,
            Self::Untrusted(_) | Self::Malformed(_) | Self::Address(_) => false,
        }
    }

    #[must_use]
    pub const fn code(&self) -> Option<Code> {
        match self {
            Self::Refused(failure) => Some(failure.code),
            _ => None,
        }
    }

    /// What the server asks to wait, ms.
    #[must_use]
    pub const fn retry_after_ms(&self) -> u64 {
        match self {
            Self::Refused(failure) => failure.retry_after_ms,
            _ => 0,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct MintedToken {
    pub token: String,
    pub expires_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub struct SentEntry {
    pub seq: u64,
    #[serde(default)]
    pub duplicate: bool,
}

/// One position of the log, as HTTP gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    pub seq: u64,
    pub kind: String,
    pub author: String,
    pub text: Option<String>,
    #[serde(default)]
    pub message_id: String,
    #[serde(default)]
    pub style: Option<String>,
    #[serde(default)]
    pub member: Option<LogMember>,
    #[serde(default)]
    pub created: Option<LogCreated>,
    #[serde(default)]
    pub time_ms: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogMember {
    pub user: String,
    #[serde(default)]
    pub role: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogCreated {
    #[serde(default)]
    pub members: Vec<LogMember>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct LogPage {
    pub entries: Vec<LogEntry>,
    pub next: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Problem {
    #[serde(default)]
    code: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    retry_after_ms: u64,
    #[serde(default)]
    limit: String,
}

impl Backend {
    /// `base` is `http://HOST:PORT` or `https://HOST:PORT`; `timeout` is for one request.
    pub fn new(base: &str, key: &str, timeout: Duration) -> Result<Self, BackendError> {
        Self::over(Arc::new(NetConnector::default()), base, key, timeout)
    }

    /// Over a connector of one's own: one that trusts another authority, too.
    pub fn over(connector: Arc<dyn Connector>, base: &str, key: &str, timeout: Duration) -> Result<Self, BackendError> {
        let base = base.trim_end_matches('/');
        let known = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
        if !base.parse::<Uri>().as_ref().is_ok_and(known) {
            return Err(BackendError::Address(base.to_owned()));
        }
        Ok(Self { http: Http::new(connector), base: base.to_owned(), key: key.to_owned(), timeout })
    }

    /// The HTTP address that goes with a WebSocket one: `ws://HOST:PORT/v1/ws` -> `http://HOST:PORT`.
    pub fn base_of(ws: &str) -> Result<String, BackendError> {
        let bad = || BackendError::Address(ws.to_owned());
        let (scheme, rest) = ws.split_once("://").ok_or_else(bad)?;
        let scheme = match scheme {
            "ws" => "http",
            "wss" => "https",
            _ => return Err(bad()),
        };
        let authority = rest.split(['/', '?']).next().filter(|authority| !authority.is_empty()).ok_or_else(bad)?;
        Ok(format!("{scheme}://{authority}"))
    }

    pub async fn create_user(&self, id: &str, name: &str) -> Result<(), BackendError> {
        self.ask::<Value>(Method::POST, "/v1/users", Some(json!({"id": id, "name": name}))).await.map(drop)
    }

    /// `limit_class`: empty for the default.
    pub async fn mint_token(
        &self,
        user: &str,
        device: &str,
        ttl_s: u64,
        limit_class: &str,
    ) -> Result<MintedToken, BackendError> {
        let mut body = json!({"user": user, "device": device, "ttl_s": ttl_s});
        if !limit_class.is_empty() {
            body["limit_class"] = limit_class.into();
        }
        self.ask(Method::POST, "/v1/tokens", Some(body)).await
    }

    /// A group. An id that is taken is answered with `already_exists`.
    pub async fn create_conversation(&self, id: &str, title: &str, members: &[&str]) -> Result<u64, BackendError> {
        let body = json!({"id": id, "title": title, "visibility": "since_join", "members": memberships(members)});
        let made: Value = self.ask(Method::POST, "/v1/conversations", Some(body)).await?;
        Ok(made["seq"].as_u64().unwrap_or(0))
    }

    /// Seq of the last entry that this made; 0 where all were members already.
    pub async fn add_members(&self, conversation: &str, members: &[&str]) -> Result<u64, BackendError> {
        let path = format!("/v1/conversations/{conversation}/members");
        let made: Value = self.ask(Method::POST, &path, Some(json!({"members": memberships(members)}))).await?;
        Ok(made["seq"].as_u64().unwrap_or(0))
    }

    /// Seq of the entry that this made; 0 where the user was no member.
    pub async fn remove_member(&self, conversation: &str, user: &str) -> Result<u64, BackendError> {
        let path = format!("/v1/conversations/{conversation}/members/{user}");
        let made: Value = self.ask(Method::DELETE, &path, None).await?;
        Ok(made["seq"].as_u64().unwrap_or(0))
    }

    /// Said by the application itself.
    pub async fn send_system(
        &self,
        conversation: &str,
        text: &str,
        message_id: &str,
    ) -> Result<SentEntry, BackendError> {
        let path = format!("/v1/conversations/{conversation}/entries");
        let body = json!({"kind": "system", "text": text, "message_id": message_id});
        self.ask(Method::POST, &path, Some(body)).await
    }

    /// The whole log, whoever may see it: entries after `after`, oldest first.
    pub async fn entries(&self, conversation: &str, after: u64, limit: u32) -> Result<LogPage, BackendError> {
        let path = format!("/v1/conversations/{conversation}/entries?after={after}&limit={limit}");
        self.ask(Method::GET, &path, None).await
    }

    /// A success without a body is read as `null`.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<T, BackendError> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body.map_or_else(Bytes::new, |body| body.to_string().into())))
            // Only what the caller gave can make it none: an id with a blank, a key with a line break.
            .map_err(|error| BackendError::Malformed(error.to_string()))?;
        let exchange = async {
            let response = self.http.send(request).await.map_err(|error| match error {
                HttpError::Untrusted(why) => BackendError::Untrusted(why),
                HttpError::Network(why) => BackendError::Network(why),
            })?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
            Ok::<_, BackendError>((status, body.map_err(|error| BackendError::Network(error.to_string()))?.to_bytes()))
        };
        let late = || BackendError::Network(format!("none came in {} s", self.timeout.as_secs()));
        let (status, bytes) = timeout(self.timeout, exchange).await.map_err(|_| late())??;
        if status.is_success() {
            let json: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
            return serde_json::from_slice(json).map_err(|error| BackendError::Malformed(error.to_string()));
        }
        Err(BackendError::Refused(failure_of(status, &bytes)))
    }
}

fn failure_of(status: StatusCode, body: &[u8]) -> Failure {
    let fallback = match status.as_u16() {
        404 => Code::NotFound,
        429 => Code::RateLimited,
        502..=504 => Code::Unavailable,
        300..=499 => Code::InvalidArgument,
        _ => Code::NotConfirmed,
    };
    let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
        return Failure::new(fallback, format!("HTTP {status}"));
    };
    let message = if problem.detail.is_empty() { problem.title } else { problem.detail };
    let code = problem.code.parse().unwrap_or(fallback);
    Failure::new(code, message).retry_after_ms(problem.retry_after_ms).limit(problem.limit)
}

fn memberships(users: &[&str]) -> Value {
    users.iter().map(|user| json!({"user": user})).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_http_address_follows_from_the_websocket_one() {
        let of = |ws| Backend::base_of(ws).ok();
        assert_eq!(of("ws://127.0.0.1:7000/v1/ws").as_deref(), Some("http://127.0.0.1:7000"));
        assert_eq!(of("wss://chat.example.com/v1/ws?x=1").as_deref(), Some("https://chat.example.com"));
        assert_eq!(of("ws://[::1]:7000").as_deref(), Some("http://[::1]:7000"));
        assert_eq!((of("http://x/"), of("ws:///v1"), of("x")), (None, None, None));
    }

    #[test]
    fn a_problem_becomes_its_code_and_anything_else_that_of_its_status() {
        let body = br#"{"code":"rate_limited","detail":"slower","retry_after_ms":70,"status":429}"#;
        let failure = failure_of(StatusCode::TOO_MANY_REQUESTS, body);
        assert_eq!((failure.code, failure.retry_after_ms), (Code::RateLimited, 70));
        assert_eq!(failure_of(StatusCode::BAD_GATEWAY, b"<html>").code, Code::Unavailable);
        assert!(failure_of(StatusCode::INTERNAL_SERVER_ERROR, b"").code.retryable());
    }
}
