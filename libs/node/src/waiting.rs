//! What is answered before there is a node: alive, and not ready, with the reason.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    http::{StatusCode, header},
    routing::get,
};
use parking_lot::Mutex;
use posthorn_tasks::Tasks;
use posthorn_telemetry::{Metrics, OPENMETRICS};
use serde_json::json;

use posthorn_rpc::Listener;

use crate::{config::ListenConfig, http::HttpServer, ops::live};

/// For connections that are in the middle of an answer when the node is there.
const CLOSE: Duration = Duration::from_secs(1);

/// Why the node is not there yet, for `/readyz`.
#[derive(Clone, Default)]
pub struct Reason(Arc<Mutex<String>>);

impl Reason {
    pub fn set(&self, why: String) {
        *self.0.lock() = why;
    }
}

/// Does `work`, and answers `/livez`, `/readyz` (503 with the reason) and `/metrics` on the listener meanwhile.
/// The node that `work` starts has another handle of the same socket.
pub async fn while_waiting<T>(
    config: ListenConfig,
    listener: Box<dyn Listener>,
    metrics: Metrics,
    reason: Reason,
    work: impl Future<Output = T>,
) -> T {
    let tasks = Tasks::new();
    // Its own metrics: the node's listener will count under the same names.
    let http = HttpServer::new(config, routes(metrics, reason), tasks.clone(), &Metrics::default());
    tasks.background("waiting", http.clone().run(listener));
    let worked = work.await;
    http.closing.cancel();
    tasks.stop();
    tasks.ended(CLOSE).await;
    worked
}

fn routes(metrics: Metrics, reason: Reason) -> Router {
    let ready = async move || {
        let detail = reason.0.lock().clone();
        let answer = json!({"status": "unready", "degraded": [{"part": "start", "detail": detail, "fatal": true}]});
        (StatusCode::SERVICE_UNAVAILABLE, Json(answer))
    };
    let metrics = async move || ([(header::CONTENT_TYPE, OPENMETRICS)], metrics.encode());
    Router::new().route("/livez", get(live)).route("/readyz", get(ready)).route("/metrics", get(metrics))
}
