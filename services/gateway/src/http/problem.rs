//! Errors as RFC 9457 problem details (`application/problem+json`).
//!
//! A handler answers with a [`Problem`]; the outermost layer renders it, since only that layer knows
//! the trace id.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use posthorn_errors::{Code, Failure};
use posthorn_rpc::TraceContext;
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) const MEDIA_TYPE: &str = "application/problem+json";
const CHALLENGE: HeaderValue = HeaderValue::from_static(r#"Bearer realm="posthorn""#);
const CHALLENGE_AGAIN: HeaderValue = HeaderValue::from_static(r#"Bearer realm="posthorn", error="invalid_token""#);

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub failure: Failure,
    /// Credentials were there, but no good.
    pub bad_credentials: bool,
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Failure::new(code, detail).into()
    }

    /// A value of the request that is missing, malformed or out of range; `detail` names it.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, detail)
    }

    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.failure.code.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The answer, with the trace that its log lines carry.
    pub fn render(&self, trace: TraceContext) -> Response {
        let code = self.failure.code;
        let document = ProblemDocument {
            kind: format!("urn:posthorn:error:{code}"),
            title: code.summary().to_owned(),
            status: code.http(),
            detail: self.failure.message.clone(),
            code: code.as_str().to_owned(),
            retryable: code.retryable(),
            trace_id: trace.trace_id(),
            limit: (!self.failure.limit.is_empty()).then(|| self.failure.limit.clone()),
            retry_after_ms: (self.failure.retry_after_ms > 0).then_some(self.failure.retry_after_ms),
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (self.status(), [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        let headers = response.headers_mut();
        if self.failure.retry_after_ms > 0 {
            // RFC 9110 section 10.2.3: whole seconds.
            headers.insert(header::RETRY_AFTER, self.failure.retry_after_ms.div_ceil(1_000).into());
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            let challenge = if self.bad_credentials { CHALLENGE_AGAIN } else { CHALLENGE };
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// RFC 9457 problem details with the members of this API.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// Names the error; `urn:posthorn:error:` and the code.
    #[serde(rename = "type")]
    #[schema(examples("urn:posthorn:error:not_found"))]
    kind: String,
    /// What the code means, the same every time.
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What was wrong with this request.
    detail: String,
    /// A word that never changes its meaning: docs/errors.md lists all.
    #[schema(examples("not_found"))]
    code: String,
    /// The same request may succeed later.
    retryable: bool,
    /// Finds the server's log lines about this request.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    trace_id: String,
    /// The limit that was hit, by its name in the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<String>,
    /// When to try again; the `Retry-After` header says the same in whole seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    retry_after_ms: Option<u64>,
}

impl From<Failure> for Problem {
    fn from(mut failure: Failure) -> Self {
        if failure.code == Code::Internal {
            // What went wrong inside is for the log alone.
            tracing::warn!(detail = %failure.message, "request failed");
            failure.message = Code::Internal.advice().to_owned();
        }
        Self { failure, bad_credentials: false }
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Failure::plain(code).into()
    }
}

impl From<tonic::Status> for Problem {
    fn from(status: tonic::Status) -> Self {
        posthorn_errors::failure_of(&status).into()
    }
}

impl IntoResponse for Problem {
    /// The status alone, with the problem beside it for [`Problem::render`].
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}
