//! The listener over in-memory sockets and virtual time.

use std::{io, net::SocketAddr, time::Duration};

use async_trait::async_trait;
use axum::{Router, routing::get};
use posthorn_clock::{Instant, sleep, timeout};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use super::{HttpServer, ListenConfig};
use posthorn_rpc::{Io, Listener};

/// Accepts what the test dials.
struct Pipes(mpsc::Receiver<DuplexStream>);

#[async_trait]
impl Listener for Pipes {
    async fn accept(&mut self) -> io::Result<(Box<dyn Io>, SocketAddr)> {
        match self.0.recv().await {
            Some(stream) => Ok((Box::new(stream), self.local_addr()?)),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from(([127, 0, 0, 1], 1)))
    }
}

struct Served {
    dial: mpsc::Sender<DuplexStream>,
    metrics: Metrics,
    tasks: Tasks,
    closing: CancellationToken,
}

fn served(config: ListenConfig) -> Served {
    let (dial, dialled) = mpsc::channel(8);
    let (metrics, tasks) = (Metrics::default(), Tasks::new());
    let slow = async || {
        sleep(Duration::from_secs(60)).await;
        "slow"
    };
    let router = Router::new().route("/quick", get(async || "quick")).route("/slow", get(slow));
    let server = HttpServer::new(config, router, tasks.clone(), &metrics);
    let closing = server.closing.clone();
    tasks.background("listener", server.run(Box::new(Pipes(dialled))));
    Served { dial, metrics, tasks, closing }
}

impl Served {
    async fn connect(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        self.dial.send(theirs).await.unwrap();
        ours
    }

    /// Polls: a socket is counted out when its task has ended, a moment after its peer has seen that.
    async fn until_open(&self, sockets: u32) {
        let wanted = format!("posthorn_listen_connections {sockets}\n");
        let seen = timeout(Duration::from_secs(5), async {
            while !self.metrics.encode().contains(&wanted) {
                sleep(Duration::from_millis(1)).await;
            }
        });
        assert!(seen.await.is_ok(), "{}", self.metrics.encode());
    }
}

const QUICK: &[u8] = b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n";
const SLOW: &[u8] = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n";

async fn answer(io: &mut DuplexStream) -> String {
    let mut buffer = vec![0; 4_096];
    let read = io.read(&mut buffer).await.unwrap();
    String::from_utf8_lossy(&buffer[..read]).into_owned()
}

async fn ended(io: &mut DuplexStream) -> bool {
    let mut rest = Vec::new();
    io.read_to_end(&mut rest).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn beyond_the_bound_a_socket_is_refused_by_name_and_then_there_is_room_again() {
    let served = served(ListenConfig { max_connections: 1, ..ListenConfig::default() });
    let mut first = served.connect().await;
    first.write_all(QUICK).await.unwrap();
    assert!(answer(&mut first).await.ends_with("quick"));

    let mut second = served.connect().await;
    let mut refusal = String::new();
    second.read_to_string(&mut refusal).await.unwrap();
    let (head, body) = refusal.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{refusal}");
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["limit"], "listen.max_connections");
    assert!(served.metrics.encode().contains("posthorn_listen_refused_total 1"));

    drop(first);
    served.until_open(0).await;
    let mut third = served.connect().await;
    third.write_all(QUICK).await.unwrap();
    assert!(answer(&mut third).await.ends_with("quick"));
}

#[tokio::test(start_paused = true)]
async fn who_sends_no_request_is_let_go() {
    let served = served(ListenConfig::default());
    for half in ["", "GET /quick HTTP/1.1\r\nHo"] {
        let begun = Instant::now();
        let mut idle = served.connect().await;
        idle.write_all(half.as_bytes()).await.unwrap();
        assert!(ended(&mut idle).await);
        assert_eq!(begun.elapsed().as_secs(), 10, "{half:?}");
    }
    // Also after a request that was answered.
    let mut kept = served.connect().await;
    kept.write_all(QUICK).await.unwrap();
    assert!(answer(&mut kept).await.ends_with("quick"));
    assert!(timeout(Duration::from_secs(30), ended(&mut kept)).await.is_ok());
    served.until_open(0).await;
}

#[tokio::test(start_paused = true)]
async fn closing_ends_idle_sockets_at_once_and_busy_ones_after_their_answer() {
    let served = served(ListenConfig::default());
    let (mut idle, mut busy) = (served.connect().await, served.connect().await);
    idle.write_all(QUICK).await.unwrap();
    answer(&mut idle).await;
    busy.write_all(SLOW).await.unwrap();
    sleep(Duration::from_secs(1)).await;

    served.closing.cancel();
    assert!(timeout(Duration::from_secs(1), ended(&mut idle)).await.is_ok());
    assert!(answer(&mut busy).await.ends_with("slow"));
    assert!(ended(&mut busy).await);
    served.tasks.stop();
    assert!(served.tasks.ended(Duration::from_secs(1)).await);
}

#[tokio::test(start_paused = true)]
async fn a_head_beyond_the_bounds_is_refused() {
    let served = served(ListenConfig::default());
    let long = format!("GET /quick HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(70 * 1024));
    let many = format!("GET /quick HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(200));
    for head in [long, many] {
        let mut io = served.connect().await;
        let _ = io.write_all(head.as_bytes()).await;
        assert!(answer(&mut io).await.starts_with("HTTP/1.1 431 "), "{}", head.len());
    }
}
