//! Reading a piece of a stream in one request, without a consumer: the servers keep nothing about it.

use async_nats::{
    HeaderMap, Message, StatusCode,
    header::{NATS_LAST_SEQUENCE, NATS_SEQUENCE},
};
use bytes::Bytes;
use futures_util::StreamExt;
use posthorn_feed::{FeedError, Result};
use serde::Serialize;

use super::FeedStream;
use crate::{Connection, stream::unavailable};

/// The servers have sent what was asked for.
const END: u16 = 204;
/// How many more there are.
const PENDING: &str = "Nats-Num-Pending";

/// Of the servers' direct reads (`$JS.API.DIRECT.GET`, in batches since 2.11).
#[derive(Serialize)]
struct Request<'a> {
    seq: u64,
    next_by_subj: &'a str,
    batch: usize,
    max_bytes: usize,
}

pub struct Stored {
    pub sequence: u64,
    pub headers: HeaderMap,
    pub payload: Bytes,
}

/// What one request brought.
#[derive(Default)]
pub struct Page {
    /// Ascending.
    pub messages: Vec<Stored>,
    /// The limit or the bytes ended it, not the stream.
    pub more: bool,
}

/// Up to `limit` messages of the subject, from a sequence on.
pub async fn read(stream: &FeedStream, subject: &str, from: u64, limit: usize) -> Result<Page> {
    let page = of(&stream.connection, &stream.name, subject, from, limit).await;
    page.inspect_err(|_| stream.suspect())
}

/// As [`read`], of any stream that allows it.
pub async fn of(connection: &Connection, stream: &str, subject: &str, from: u64, limit: usize) -> Result<Page> {
    let max_bytes = connection.0.config.feed.max_read_bytes;
    let request = Request { seq: from.max(1), next_by_subj: subject, batch: limit.max(1), max_bytes };
    let request = serde_json::to_vec(&request).map_err(unavailable)?;
    connection.answered(ask(connection, stream, request)).await?
}

async fn ask(connection: &Connection, stream: &str, request: Vec<u8>) -> Result<Page> {
    let client = &connection.0.client;
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.map_err(unavailable)?;
    let api = format!("$JS.API.DIRECT.GET.{stream}");
    client.publish_with_reply(api, inbox, request.into()).await.map_err(unavailable)?;
    let mut page = Page::default();
    while let Some(answer) = answers.next().await {
        let before = page.messages.last().map_or(0, |last| last.sequence);
        match answer.status {
            None => page.messages.push(stored(answer, before)?),
            Some(StatusCode::NOT_FOUND) => return Ok(page),
            Some(status) if status.as_u16() == END => {
                let headers = answer.headers.as_ref();
                page.more = headers.and_then(|headers| number(headers, PENDING)).is_some_and(|pending| pending > 0);
                let last = headers.and_then(|headers| number(headers, NATS_LAST_SEQUENCE));
                return if last == Some(before) { Ok(page) } else { Err(torn()) };
            }
            Some(status) => return Err(FeedError::Unavailable(format!("the stream {stream} answers {status}"))),
        }
    }
    Err(FeedError::Unavailable("NATS went away".to_owned()))
}

/// Every message names the one before it: an answer that lost some on its way is no page.
fn stored(answer: Message, before: u64) -> Result<Stored> {
    let headers = answer.headers.unwrap_or_default();
    match (number(&headers, NATS_SEQUENCE), number(&headers, NATS_LAST_SEQUENCE)) {
        (Some(sequence), Some(follows)) if follows == before => {
            Ok(Stored { sequence, headers, payload: answer.payload })
        }
        _ => Err(torn()),
    }
}

fn torn() -> FeedError {
    FeedError::Unavailable("a part of a page was lost".to_owned())
}

fn number(headers: &HeaderMap, name: impl async_nats::header::IntoHeaderName) -> Option<u64> {
    headers.get_last(name)?.as_str().parse().ok()
}
