//! The HTTP API for an application's backend and for the operator, `/v1/openapi.json`, health and metrics.
//!
//! Everything is refused that is not named here: routes of `tenant_routes` want a tenant's API key, those
//! of `operator_routes` an operator's; `public_routes` lists what is open to all. The layers, from the
//! outside: trace, metrics, panic, time limit and problem documents (`layers`); who asks, and
//! how often (`auth`, `limits`);
//! `Idempotency-Key` (`idempotency`); then the handler.

mod auth;
pub mod config;
pub(crate) mod extract;
mod idempotency;
mod layers;
mod limits;
mod openapi;
mod problem;
pub(crate) mod routes;
mod schema;
mod types;

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, ops::Deref, sync::Arc};

use axum::{Router, extract::FromRef, middleware::from_fn_with_state, routing::get};
use parking_lot::Mutex;
use posthorn_errors::Code;
use tokio::sync::Semaphore;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use config::HttpConfig;
pub use openapi::openapi_json;

use self::{layers::HttpMetrics, limits::KeyLimits, problem::Problem, routes::*};
use crate::Gateway;

/// What every handler shares.
#[derive(Clone)]
pub(crate) struct Api(Arc<ApiParts>);

pub(crate) struct ApiParts {
    gateway: Arc<Gateway>,
    metrics: HttpMetrics,
    in_flight: Arc<Semaphore>,
    limits: KeyLimits,
    readiness: health::Readiness,
    /// Tenants that used an idempotency key here; `idempotency::row` bounds it.
    keyed_tenants: Mutex<BTreeSet<String>>,
}

impl Api {
    fn new(gateway: Arc<Gateway>) -> Self {
        let metrics = HttpMetrics::new(&gateway.deps.metrics);
        let in_flight = Arc::new(Semaphore::new(gateway.deps.config.http.max_in_flight));
        let (limits, readiness) = (KeyLimits::default(), health::Readiness::default());
        Self(Arc::new(ApiParts { gateway, metrics, in_flight, limits, readiness, keyed_tenants: Mutex::default() }))
    }

    fn config(&self) -> &HttpConfig {
        &self.gateway.deps.config.http
    }

    fn deps(&self) -> &crate::GatewayDeps {
        &self.gateway.deps
    }
}

impl Deref for Api {
    type Target = ApiParts;
    fn deref(&self) -> &ApiParts {
        &self.0
    }
}

impl FromRef<Api> for Arc<Gateway> {
    fn from_ref(api: &Api) -> Self {
        api.gateway.clone()
    }
}

/// Everything that the gateway serves over HTTP, `/v1/ws` included. Other routers (a page) may be merged
/// to it; they bring no fallback. Starts the removal of old idempotency rows.
pub fn router(gateway: Arc<Gateway>) -> Router {
    let api = Api::new(gateway);
    idempotency::sweep_in_background(&api);
    assembled(&api)
}

fn assembled(api: &Api) -> Router {
    let keyed = |routes: OpenApiRouter<Api>| {
        Router::from(routes).route_layer(from_fn_with_state(api.clone(), idempotency::answer_once))
    };
    let tenant = keyed(tenant_routes()).route_layer(from_fn_with_state(api.clone(), auth::tenant_only));
    let operator = keyed(operator_routes()).route_layer(from_fn_with_state(api.clone(), auth::operator_only));
    Router::new()
        .merge(tenant)
        .merge(operator)
        .merge(Router::from(public_routes()))
        .route("/v1/ws", get(crate::ws::upgrade))
        .fallback(async || Problem::new(Code::NotFound, "no such path; /v1/openapi.json lists all"))
        .method_not_allowed_fallback(async || Problem::from(Code::MethodNotAllowed))
        .layer(from_fn_with_state(api.clone(), layers::around))
        .with_state(api.clone())
}

/// For an application's backend, with a key of its tenant.
fn tenant_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(users::put_user, users::create_user))
        .routes(routes!(users::get_user))
        .routes(routes!(devices::list_devices))
        .routes(routes!(tokens::mint_token))
        .routes(routes!(tokens::revoke))
        .routes(routes!(conversations::create_conversation))
        .routes(routes!(conversations::get_conversation))
        .routes(routes!(members::add_members, members::list_members))
        .routes(routes!(members::set_role, members::remove_member))
        .routes(routes!(entries::send_entry, entries::list_entries))
}

/// For the operator.
fn operator_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(tenants::create_tenant))
        .routes(routes!(tenants::create_api_key))
        .routes(routes!(tenants::revoke_api_key))
        .routes(routes!(tenants::add_signing_key))
        .routes(routes!(tenants::remove_signing_key))
        .routes(routes!(drain::get_drain, drain::start_drain, drain::cancel_drain))
        .routes(routes!(letters::list_letters))
        .routes(routes!(letters::retry_letter))
        .routes(routes!(letters::discard_letter))
}

/// For everybody.
fn public_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
        .routes(routes!(health::openapi))
}
