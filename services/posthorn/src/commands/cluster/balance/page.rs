//! What the balancer says about itself and the cluster, over HTTP: `/livez`, `/readyz`, and the metrics of
//! every process at `/metrics`.

use std::{path::PathBuf, time::Duration};

use axum::{
    Json, Router,
    extract::State as Shared,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use futures_util::future::join_all;
use posthorn_telemetry::{Metrics, OPENMETRICS};
use serde_json::json;

use super::{
    super::{fetch, state::State},
    gateways::{Gateways, Health},
    merge::merge,
};

/// For one process to tell its metrics; who does not is left out.
const ASK: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub struct Page {
    pub dir: PathBuf,
    pub gateways: Gateways,
    pub metrics: Metrics,
}

pub fn router(page: Page) -> Router {
    Router::new()
        .route("/livez", get(async || Json(json!({"status": "live"}))))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(page)
}

async fn ready(Shared(page): Shared<Page>) -> impl IntoResponse {
    let (ready, accepting) = (page.gateways.count(Health::Ready), page.gateways.count(Health::Unready));
    let code = if accepting > 0 { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(json!({"gateways_ready": ready, "gateways_accepting": accepting})))
}

async fn metrics(Shared(page): Shared<Page>) -> impl IntoResponse {
    let members = State::load(&page.dir).ok().flatten().map(|state| state.members).unwrap_or_default();
    let services = members.iter().filter(|member| member.part.is_service() && member.running());
    let asked = services.map(|member| {
        let (name, address) = (member.name.clone(), member.address());
        async move {
            let (status, text) = fetch::get(address, "/metrics", ASK).await.ok()?;
            (status == 200).then_some((name, text))
        }
    });
    let mut pages: Vec<_> = join_all(asked).await.into_iter().flatten().collect();
    pages.push(("balancer".to_owned(), page.metrics.encode()));
    ([(header::CONTENT_TYPE, OPENMETRICS)], merge(&pages))
}
