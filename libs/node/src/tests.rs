//! Starting and stopping, step by step, in both topologies.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, routing::get};
use posthorn_clock::{Clock, Instant, sleep, timeout};
use posthorn_errors::{Code, failure_of};
use posthorn_proto::{
    client::{Body, Kind, Membership, Role, Visibility},
    internal::{
        AppendItem, AppendReply, AppendRequest, Caller, CreateRequest, CreateTenantRequest, PutUserRequest,
        ViewRequest, append_result,
    },
};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{Clients, Engines, Node, NodeConfig, NodeParts, Roles, Topology};

const LIMIT: Duration = Duration::from_secs(30);

fn config() -> NodeConfig {
    let mut config = NodeConfig::default();
    config.edge.drain_cap_ms = 2_000;
    config.node.stop_budget_ms = 20_000;
    config
}

async fn started(config: NodeConfig, topology: Topology, engines: Engines) -> Node {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let slow = async || {
        sleep(Duration::from_millis(800)).await;
        "slow"
    };
    let never = async || std::future::pending::<&str>().await;
    let parts = NodeParts {
        listener: Box::new(listener),
        clock: Clock::system(),
        metrics: Metrics::default(),
        topology,
        roles: Roles::ALL,
        grpc: None,
        network: posthorn_rpc::Tcp::shared(),
        engines,
        pages: Router::new().route("/slow", get(slow)).route("/never", get(never)),
    };
    Node::start(config, parts).await.unwrap()
}

fn memory() -> Engines {
    Engines::memory(&Clock::system())
}

/// One request on a connection of its own; the whole answer.
async fn fetched(addr: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut io = TcpStream::connect(addr).await?;
    io.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    io.read_to_string(&mut answer).await?;
    Ok(answer)
}

fn backend() -> Caller {
    Caller { tenant: "acme".into(), backend: true, ..Caller::default() }
}

async fn group(clients: &Clients) {
    let mut session = clients.session.clone();
    session.create_tenant(CreateTenantRequest { tenant: "acme".into() }).await.unwrap();
    for user in ["ann", "ben"] {
        let request = PutUserRequest { tenant: "acme".into(), user: user.into(), ..Default::default() };
        session.put_user(request).await.unwrap();
    }
    let request = CreateRequest {
        caller: Some(backend()),
        conversation: "room".into(),
        visibility: Visibility::All.into(),
        members: ["ann", "ben"].map(|user| Membership { user: user.into(), role: Role::Member.into() }).into(),
        message_id: Clock::system().uuid_v7().as_bytes().to_vec().into(),
        ..Default::default()
    };
    clients.routing.clone().create(request).await.unwrap();
}

async fn said(clients: &Clients, text: &str) -> Result<AppendReply, tonic::Status> {
    let body = Body { text: text.into(), ..Default::default() };
    let item = AppendItem {
        kind: Kind::Message.into(),
        author: "ann".into(),
        message_id: Clock::system().uuid_v7().as_bytes().to_vec().into(),
        body: body.encode_to_vec().into(),
        ..Default::default()
    };
    let caller = Caller { user: "ann".into(), backend: false, ..backend() };
    let request =
        AppendRequest { caller: Some(caller), conversation: "room".into(), items: vec![item], ..Default::default() };
    clients.routing.clone().append(request).await.map(tonic::Response::into_inner)
}

fn seq(reply: &AppendReply) -> u64 {
    match reply.results[0].result.as_ref().unwrap() {
        append_result::Result::Sent(sent) => sent.seq,
        append_result::Result::Error(error) => panic!("{error:?}"),
    }
}

async fn end(clients: &Clients) -> u64 {
    let request = ViewRequest { caller: Some(backend()), conversation: "room".into() };
    clients.routing.clone().view(request).await.unwrap().into_inner().end_seq
}

#[tokio::test(flavor = "multi_thread")]
async fn five_services_answer_over_either_link_and_stop_cleanly() {
    for topology in [Topology::Local, Topology::Loopback] {
        let node = started(config(), topology, memory()).await;
        let clients = node.clients().clone();
        group(&clients).await;
        assert_eq!(seq(&said(&clients, "hello").await.unwrap()), 2);
        assert_eq!(end(&clients).await, 2);
        let answer = fetched(node.addr(), "/readyz").await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let stopped = node.shutdown().await;
        assert!(stopped.clean(), "{topology:?}: {stopped:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn first_it_is_unready_and_still_answers() {
    let mut config = config();
    config.edge.drain_propagation_ms = 700;
    config.edge.http.probe_reuse_ms = 0;
    let node = started(config, Topology::Local, memory()).await;
    let addr = node.addr();
    assert!(fetched(addr, "/readyz").await.unwrap().starts_with("HTTP/1.1 200 "));
    let watch = async {
        sleep(Duration::from_millis(200)).await;
        (fetched(addr, "/readyz").await.unwrap(), fetched(addr, "/livez").await.unwrap())
    };
    let (stopped, (ready, live)) = tokio::join!(node.shutdown(), watch);
    assert!(stopped.clean(), "{stopped:?}");
    assert!(ready.starts_with("HTTP/1.1 503 "), "{ready}");
    assert!(live.starts_with("HTTP/1.1 200 "), "{live}");
}

#[tokio::test(flavor = "multi_thread")]
async fn then_the_listener_closes_and_requests_in_hand_are_answered() {
    let node = started(config(), Topology::Local, memory()).await;
    let addr = node.addr();
    let in_hand = fetched(addr, "/slow");
    let stop = async {
        sleep(Duration::from_millis(200)).await;
        node.shutdown().await
    };
    let late = async {
        sleep(Duration::from_millis(500)).await;
        fetched(addr, "/livez").await
    };
    let (answer, stopped, late) = tokio::join!(in_hand, stop, late);
    assert!(answer.unwrap().ends_with("slow"));
    assert!(stopped.clean(), "{stopped:?}");
    assert!(late.is_err() || late.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_does_not_end_costs_no_more_than_the_budget() {
    let mut config = config();
    config.node.stop_budget_ms = 500;
    let node = started(config, Topology::Local, memory()).await;
    let addr = node.addr();
    let stuck = Tasks::new();
    stuck.background("stuck request", async move { drop(fetched(addr, "/never").await) });
    sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    let stopped = timeout(LIMIT, node.shutdown()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(stopped.unfinished.contains(&"listener"), "{stopped:?}");
    assert!(!stopped.clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_death_of_a_critical_task_is_told_and_named() {
    let node = started(config(), Topology::Local, memory()).await;
    assert!(timeout(Duration::from_millis(100), node.died()).await.is_err());
    node.parts[2].tasks.critical("vital", async {});
    timeout(LIMIT, node.died()).await.unwrap();
    assert_eq!(node.shutdown().await.failed.as_deref(), Some("vital"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_in_flight_is_stored_or_not_acknowledged_and_the_store_closes_last() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    config.store.data_dir = folder.path().join("data");
    config.store.min_free_bytes = 0;
    let embedded = async || Engines::embedded(&config, &Metrics::default()).await.unwrap();
    let node = started(config.clone(), Topology::Local, embedded().await).await;
    let clients = node.clients().clone();
    group(&clients).await;
    let sending = async {
        let mut acknowledged = 1;
        loop {
            match said(&clients, "on and on").await {
                Ok(reply) => match reply.results.into_iter().next().and_then(|result| result.result) {
                    Some(append_result::Result::Sent(sent)) => acknowledged = sent.seq,
                    _ => return acknowledged,
                },
                Err(status) => {
                    assert_ne!(failure_of(&status).code, Code::Internal, "{status}");
                    return acknowledged;
                }
            }
        }
    };
    let stop = async {
        sleep(Duration::from_millis(300)).await;
        node.shutdown().await
    };
    let (acknowledged, stopped) = timeout(LIMIT, async { tokio::join!(sending, stop) }).await.unwrap();
    assert!(stopped.clean(), "{stopped:?}");
    assert!(acknowledged > 2, "{acknowledged}");

    // The directory is free again, and has everything that was acknowledged.
    let node = started(config.clone(), Topology::Local, embedded().await).await;
    assert!(end(node.clients()).await >= acknowledged);
    assert!(node.shutdown().await.clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_in_use_is_an_error_of_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    config.store.data_dir = folder.path().join("data");
    let first = Engines::embedded(&config, &Metrics::default()).await.unwrap();
    let second = Engines::embedded(&config, &Metrics::default()).await;
    assert!(second.err().unwrap().to_string().contains("data"));
    first.close().await;
}
