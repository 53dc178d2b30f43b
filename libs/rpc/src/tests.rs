//! The layers over a real service of the generated code, on both kinds of link.

use std::{sync::Arc, time::Duration};

use http::{Request, Response};
use parking_lot::Mutex;
use posthorn_clock::{Clock, Instant, sleep};
use posthorn_errors::{Code, Failure, failure_of};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;
use tonic::{Status, body::Body, server::NamedService, service::Routes};

use crate::{Context, Link, Rpc, RpcConfig, StorageClient, TraceContext, current, serve, within};
use posthorn_proto::internal::{CheckRequest, DescribeRequest};

/// A service under the name of storage whose answers depend on the method: the generated client
/// calls it over either link.
#[derive(Clone, Default)]
pub(crate) struct Odd {
    seen: Arc<Mutex<Option<Context>>>,
}

impl NamedService for Odd {
    const NAME: &'static str = "posthorn.internal.v1.Storage";
}

impl tower::Service<Request<Body>> for Odd {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Response<Body>, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let seen = Arc::clone(&self.seen);
        Box::pin(async move {
            *seen.lock() = current();
            match request.uri().path().rsplit('/').next() {
                Some("Describe") => sleep(Duration::from_secs(3_600)).await,
                Some("Check") => panic!("on purpose"),
                _ => {}
            }
            Ok(Status::from(Failure::plain(Code::StoreFull)).into_http())
        })
    }
}

struct Linked {
    client: StorageClient,
    seen: Arc<Mutex<Option<Context>>>,
    metrics: Metrics,
    tasks: Tasks,
}

async fn linked(remote: bool, config: RpcConfig) -> Linked {
    let (metrics, tasks) = (Metrics::default(), Tasks::new());
    let rpc = Rpc::new(config, &metrics, Clock::system());
    let odd = Odd::default();
    let seen = Arc::clone(&odd.seen);
    let routes = rpc.guard("storage", Routes::new(odd));
    let link = if remote {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (served, stop) = (rpc.clone(), tasks.stopping());
        tasks.background("serve", async move {
            serve(&served, routes, Box::new(listener), stop.cancelled_owned()).await.unwrap();
        });
        Link::remote(&rpc, "storage", &address).unwrap()
    } else {
        Link::local(&rpc, "storage", routes)
    };
    Linked { client: link.storage(), seen, metrics, tasks }
}

fn quick() -> RpcConfig {
    RpcConfig { deadline_ms: 50, ..RpcConfig::default() }
}

async fn both(check: impl AsyncFn(Linked)) {
    for remote in [false, true] {
        let linked = linked(remote, quick()).await;
        let tasks = linked.tasks.clone();
        check(linked).await;
        tasks.stop();
        assert!(tasks.ended(Duration::from_secs(10)).await);
    }
}

#[tokio::test]
async fn a_call_that_takes_too_long_ends_at_its_deadline() {
    both(async |mut linked| {
        let status = linked.client.describe(DescribeRequest {}).await.unwrap_err();
        assert_eq!(failure_of(&status).code, Code::DeadlineExceeded);
        let text = linked.metrics.encode();
        let wanted = "posthorn_rpc_client_duration_seconds_count{service=\"storage\",method=\"Describe\",code=\"deadline_exceeded\"} 1";
        assert!(text.contains(wanted), "{text}");
    })
    .await;
}

#[tokio::test]
async fn a_panic_in_a_handler_is_internal_and_harms_no_other_call() {
    both(async |mut linked| {
        let status = linked.client.check(CheckRequest::default()).await.unwrap_err();
        assert_eq!(failure_of(&status).code, Code::Internal);
        assert!(!status.message().contains("on purpose"));
        let status = linked.client.shards(posthorn_proto::internal::ShardsRequest {}).await.unwrap_err();
        assert_eq!(failure_of(&status).code, Code::StoreFull);
        let text = linked.metrics.encode();
        let wanted =
            "posthorn_rpc_server_duration_seconds_count{service=\"storage\",method=\"Check\",code=\"internal\"} 1";
        assert!(text.contains(wanted), "{text}");
    })
    .await;
}

#[tokio::test]
async fn trace_and_deadline_of_a_request_reach_the_handler() {
    both(async |mut linked| {
        let trace = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        let until = Instant::now() + Duration::from_millis(20);
        let context = Context { trace, deadline: Some(until) };
        let call = linked.client.shards(posthorn_proto::internal::ShardsRequest {});
        within(context, call).await.unwrap_err();
        let seen = linked.seen.lock().take().unwrap();
        assert_eq!(seen.trace.trace_id(), trace.trace_id());
        assert_ne!(seen.trace.span_id(), trace.span_id());
        assert!(seen.trace.sampled());
        // The clocks of both ends start counting at different moments.
        assert!(seen.deadline.unwrap() < until + Duration::from_millis(20));
        assert_eq!(current(), None);
    })
    .await;
}

#[tokio::test]
async fn beyond_the_bound_requests_are_shed_by_name() {
    for remote in [false, true] {
        let config = RpcConfig { max_in_flight: 2, deadline_ms: 300, ..RpcConfig::default() };
        let linked = linked(remote, config).await;
        let calls: Vec<_> = (0..5).map(|_| linked.client.clone()).collect();
        let calls = calls.into_iter().map(|mut client| async move { client.describe(DescribeRequest {}).await });
        let answers = futures_util::future::join_all(calls).await;
        let codes: Vec<_> = answers.iter().map(|a| failure_of(a.as_ref().unwrap_err())).collect();
        let shed: Vec<_> = codes.iter().filter(|f| f.code == Code::Overloaded).collect();
        assert_eq!(shed.len(), 3);
        assert!(shed.iter().all(|f| f.limit == "rpc.max_in_flight"));
        assert!(linked.metrics.encode().contains("posthorn_rpc_shed_total{service=\"storage\"} 3"));
        linked.tasks.stop();
        assert!(linked.tasks.ended(Duration::from_secs(10)).await);
        assert!(linked.metrics.encode().contains("posthorn_rpc_in_flight{service=\"storage\"} 0"));
    }
}

#[tokio::test]
async fn nobody_there_is_unavailable_and_a_late_link_waits_for_its_binding() {
    let rpc = Rpc::new(quick(), &Metrics::default(), Clock::system());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let nobody = Link::remote(&rpc, "storage", &address).unwrap();
    let status = nobody.storage().check(CheckRequest::default()).await.unwrap_err();
    assert_eq!(failure_of(&status).code, Code::Unavailable);

    let late = Link::not_yet();
    let mut client = late.storage();
    let status = client.check(CheckRequest::default()).await.unwrap_err();
    assert_eq!(failure_of(&status).code, Code::Unavailable);
    let routes = rpc.guard("storage", Routes::new(Odd::default()));
    assert!(late.bind(Link::local(&rpc, "storage", routes)));
    assert!(!late.bind(nobody));
    let status = client.check(CheckRequest::default()).await.unwrap_err();
    assert_eq!(failure_of(&status).code, Code::Internal);
}

#[test]
fn an_address_that_is_none_is_refused() {
    let rpc = Rpc::new(quick(), &Metrics::default(), Clock::system());
    for bad in ["", "localhost:1", "https://x:1", "not an address"] {
        assert!(Link::remote(&rpc, "storage", bad).is_err(), "{bad}");
    }
}
