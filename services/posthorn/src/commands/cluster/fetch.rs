//! GET, as much of HTTP as it takes to ask a process of this machine about itself: version 1.0, so that the
//! answer ends with its connection.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, bail};
use posthorn_clock::timeout;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Of one answer. A page of metrics is far below.
const MAX_ANSWER_BYTES: u64 = 16 * 1024 * 1024;

/// The status and the body.
///
/// # Errors
/// No whole answer came within `limit`.
pub async fn get(at: SocketAddr, path: &str, limit: Duration) -> Result<(u16, String)> {
    timeout(limit, exchange(at, path)).await.with_context(|| format!("no answer from {at} within {limit:?}"))?
}

/// Whether the answer is 200.
pub async fn says_ok(at: SocketAddr, path: &str, limit: Duration) -> bool {
    matches!(get(at, path, limit).await, Ok((200, _)))
}

async fn exchange(at: SocketAddr, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(at).await.with_context(|| format!("cannot connect to {at}"))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {at}\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    if stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).await? as u64 == MAX_ANSWER_BYTES {
        bail!("the answer of {at} is too long");
    }
    parse(&String::from_utf8_lossy(&answer)).with_context(|| format!("{at} did not answer in HTTP"))
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_status_and_a_body() {
        let parsed = parse("HTTP/1.0 503 Service Unavailable\r\na: b\r\n\r\nx\r\n\r\ny");
        assert_eq!(parsed, Some((503, "x\r\n\r\ny".to_owned())));
        assert_eq!(parse("INFO {}\r\n\r\n"), None);
        assert_eq!(parse(""), None);
    }
}
