//! `Idempotency-Key`: a POST that comes again within a day gets the answer of the first.
//!
//! A durable row is claimed before the work and holds the message id that the work uses; the answer goes
//! into it afterwards. Whoever finds a row whose worker must be dead (older than a request may take) works
//! again under the same message id, and the log returns the seq that it already has: so a crash between
//! append and answer costs nothing and doubles nothing. Only successes are kept; what failed without an
//! effect frees its key. The work goes on when its client leaves.

pub(crate) mod row;

use std::{panic::AssertUnwindSafe, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, Limited};
use posthorn_clock::{Instant, Uuid, sleep, timeout};
use posthorn_errors::{Code, Failure};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use self::row::{Keyed, Row, State as Stand};
use super::{Api, auth::Scope, extract::read_body, layers::Permit, problem::Problem, schema};
pub(crate) use row::sweep_in_background;

pub(crate) const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const FIRST_POLL: Duration = Duration::from_millis(10);
const LONGEST_POLL: Duration = Duration::from_millis(500);

/// What a handler of a POST does once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Once {
    /// Of what is appended or created: the same each time the request is worked on.
    pub message_id: Uuid,
    /// An earlier worker may have done it, or a part of it.
    pub again: bool,
    /// An earlier worker did it, and its answer was a secret that is not kept.
    pub done: bool,
}

/// Beside an answer that must not be stored: it holds a secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secret;

/// The layer: gives every request of a POST its [`Once`].
pub(crate) async fn answer_once(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let keyed = request.method() == Method::POST && request.headers().contains_key(HEADER);
    if keyed {
        return once(&api, request, next).await.unwrap_or_else(IntoResponse::into_response);
    }
    let message_id = api.deps().clock.uuid_v7();
    request.extensions_mut().insert(Once { message_id, again: false, done: false });
    next.run(request).await
}

async fn once(api: &Api, request: Request, next: Next) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let key = key_of(&parts.headers)?;
    let scope = parts.extensions.get::<Scope>().ok_or_else(|| Problem::from(Code::Forbidden))?;
    let keyed = Keyed::new(scope, &parts.method, &parts.uri, key);
    let body = read_body(&parts.headers, body, api.config().max_body_bytes).await?;
    let hash = hex(&Sha256::digest(&body));
    match claim(api, &keyed, &hash).await? {
        Claim::Answered(row) => Ok(replay(row)),
        Claim::Mine(claimed) => work(api, keyed, claimed, parts, body, next).await,
    }
}

fn key_of(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut given = headers.get_all(HEADER).iter();
    let key = given.next().and_then(|value| value.to_str().ok());
    key.filter(|key| given.next().is_none() && schema::matches(schema::VISIBLE_ASCII, key))
        .ok_or_else(|| Problem::invalid("`Idempotency-Key` must be 1 to 255 visible ASCII characters, once"))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

enum Claim {
    /// The work is ours; with the row as it stands in the store.
    Mine(Claimed),
    Answered(Row),
}

struct Claimed {
    /// The row's key in the table.
    name: String,
    row: Row,
    again: bool,
    done: bool,
}

/// Waits for another worker at most `idempotency_wait_ms`.
async fn claim(api: &Api, keyed: &Keyed, hash: &str) -> Result<Claim, Problem> {
    let config = api.config();
    let deadline = Instant::now() + Duration::from_millis(config.idempotency_wait_ms);
    let mut pause = FIRST_POLL;
    loop {
        let now_ms = api.deps().clock.now_ms();
        let fresh = Row::begun(hash, api.deps().clock.uuid_v7(), now_ms);
        let Some((name, row)) = keyed.find_or_put(api, &fresh).await? else {
            return Ok(Claim::Mine(Claimed { name: keyed.name(now_ms), row: fresh, again: false, done: false }));
        };
        if row.hash != hash {
            return Err(Code::IdempotencyKeyReused.into());
        }
        let left_ms = (row.worked_ms + config.request_timeout_ms).saturating_sub(now_ms);
        match row.state {
            Stand::Done if row.body.is_some() => return Ok(Claim::Answered(row)),
            Stand::Working if left_ms > 0 => {}
            state => {
                let row = Row { state: Stand::Working, worked_ms: now_ms, ..row };
                keyed.put(api, &name, &row).await?;
                return Ok(Claim::Mine(Claimed { name, row, again: true, done: state == Stand::Done }));
            }
        }
        if Instant::now() + pause > deadline {
            let failure = Failure::plain(Code::IdempotencyInFlight).retry_after_ms(left_ms);
            return Err(failure.limit("edge.http.idempotency_wait_ms").into());
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_POLL);
    }
}

fn replay(row: Row) -> Response {
    let status = StatusCode::from_u16(row.status).unwrap_or(StatusCode::OK);
    let mut response = (status, row.body.unwrap_or_default()).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    for (name, text) in [(header::CONTENT_TYPE, row.content_type), (header::LOCATION, row.location)] {
        if let Some(value) = text.and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(name, value);
        }
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

/// Does the work in a task of its own, so that it ends and is noted whether or not its client waits.
async fn work(
    api: &Api,
    keyed: Keyed,
    claimed: Claimed,
    mut parts: Parts,
    body: Bytes,
    next: Next,
) -> Result<Response, Problem> {
    let once = Once { message_id: claimed.row.message_id, again: claimed.again, done: claimed.done };
    parts.extensions.insert(once);
    let permit = parts.extensions.get::<Permit>().cloned();
    let request = Request::from_parts(parts, Body::from(body));
    let (answer, answered) = oneshot::channel();
    let context = posthorn_rpc::current();
    let worker = api.clone();
    let task = async move {
        let limit = worker.config().request_timeout();
        let run = timeout(limit, AssertUnwindSafe(next.run(request)).catch_unwind()).await;
        let response = match run {
            Ok(Ok(response)) => response,
            Ok(Err(_)) => Problem::new(Code::Internal, Code::Internal.advice()).into_response(),
            Err(_) => Problem::from(Code::DeadlineExceeded).into_response(),
        };
        let response = keep(&worker, &keyed, claimed, response).await;
        drop(permit);
        // The client may have left.
        let _ = answer.send(response);
    };
    let tasks = &api.deps().tasks;
    match context {
        Some(context) => tasks.background("http_keyed_request", posthorn_rpc::within(context, task)),
        None => tasks.background("http_keyed_request", task),
    }
    answered.await.map_err(|_| Problem::new(Code::NotConfirmed, "the server is stopping"))
}

/// Notes how the work ended, and hands on its answer.
async fn keep(api: &Api, keyed: &Keyed, claimed: Claimed, response: Response) -> Response {
    let Claimed { name, row, again, done } = claimed;
    if !response.status().is_success() {
        let code = response.extensions().get::<Problem>().map_or(Code::Internal, |problem| problem.failure.code);
        let noted = if done {
            keyed.put(api, &name, &Row { state: Stand::Done, ..row }).await
        } else if code.side_effect_free() && !again {
            keyed.delete(api, &name).await
        } else {
            // A repeated request may have had its effect the first time, whatever this one says.
            keyed.put(api, &name, &Row { state: Stand::Open, ..row }).await
        };
        return logged(noted, response);
    }
    let secret = response.extensions().get::<Secret>().is_some();
    let (parts, body) = response.into_parts();
    let Ok(body) = Limited::new(body, api.config().max_kept_answer_bytes).collect().await else {
        return Problem::new(Code::Internal, Code::Internal.advice()).into_response();
    };
    let body = body.to_bytes();
    let text = |name: HeaderName| parts.headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let row = Row {
        state: Stand::Done,
        status: parts.status.as_u16(),
        content_type: text(header::CONTENT_TYPE),
        location: text(header::LOCATION),
        body: (!secret).then(|| String::from_utf8_lossy(&body).into_owned()),
        ..row
    };
    let noted = keyed.put(api, &name, &row).await;
    logged(noted, Response::from_parts(parts, Body::from(body)))
}

/// The effect is durable by itself: without its note the next duplicate works again and finds it.
fn logged(noted: Result<(), Problem>, response: Response) -> Response {
    if let Err(problem) = noted {
        tracing::warn!(error = %problem.failure, "an answer could not be kept for its idempotency key");
    }
    response
}
