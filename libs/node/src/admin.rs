//! `/admin/backup`: for the operator alone, streamed while the node runs.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use posthorn_errors::{Code, Failure, failure_of};
use posthorn_proto::internal::{AuthenticateKeyRequest, KeyScope};
use posthorn_rpc::SessionClient;
use posthorn_store::embedded::EmbeddedStore;
use tokio::sync::Semaphore;

/// What the routes need.
#[derive(Clone)]
pub(crate) struct Admin {
    session: SessionClient,
    store: Option<Arc<EmbeddedStore>>,
    backups: Arc<Semaphore>,
}

impl Admin {
    pub(crate) fn new(session: SessionClient, store: Option<Arc<EmbeddedStore>>, max_backups: usize) -> Self {
        Self { session, store, backups: Arc::new(Semaphore::new(max_backups)) }
    }

    /// Errors: `unauthenticated`, or `forbidden` for a key that is no operator's.
    async fn authorize(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let key = given.and_then(|value| value.strip_prefix("Bearer ")).ok_or(Code::Unauthenticated)?;
        let request = AuthenticateKeyRequest { key: key.to_owned() };
        let known = self.session.clone().authenticate_key(request).await.map_err(|status| failure_of(&status))?;
        if known.get_ref().scope() == KeyScope::Operator {
            Ok(())
        } else {
            Err(Failure::new(Code::Forbidden, "this needs an operator's key"))
        }
    }

    /// The body of a backup. An error within it breaks the connection off, so that no reader takes
    /// what came for a whole one.
    async fn begin(&self, headers: &HeaderMap) -> Result<Body, Failure> {
        self.authorize(headers).await?;
        let no_backup = "the store of this node cannot be backed up from here: back up its database";
        let store = self.store.as_ref().ok_or_else(|| Failure::new(Code::NotFound, no_backup))?;
        let ticket = Arc::clone(&self.backups).try_acquire_owned();
        let ticket = ticket.map_err(|_| Failure::plain(Code::Overloaded).limit("node.max_backups"))?;
        let chunks = store.backup().await.map_err(|error| Failure::new(Code::Unavailable, error.to_string()))?;
        let chunks = futures_util::stream::unfold((chunks, ticket), |(mut chunks, ticket)| async move {
            chunks.recv().await.map(|chunk| (chunk, (chunks, ticket)))
        });
        Ok(Body::from_stream(chunks))
    }
}

pub(crate) fn routes(admin: Admin) -> Router {
    Router::new().route("/admin/backup", get(backup)).with_state(admin)
}

async fn backup(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    match admin.begin(&headers).await {
        Ok(body) => ([(header::CONTENT_TYPE, "application/octet-stream")], body).into_response(),
        Err(failure) => problem(&failure),
    }
}

/// RFC 9457, as everywhere in the HTTP API.
fn problem(failure: &Failure) -> Response {
    let code = failure.code;
    let body = serde_json::json!({
        "type": format!("urn:posthorn:error:{code}"),
        "title": code.summary(),
        "status": code.http(),
        "detail": failure.message,
        "code": code.as_str(),
        "retryable": code.retryable(),
        "limit": (!failure.limit.is_empty()).then_some(&failure.limit),
    });
    let status = StatusCode::from_u16(code.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}
