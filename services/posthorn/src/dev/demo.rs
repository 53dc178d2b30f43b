//! The page's own settings: who sits where, with tokens that are fresh at every load.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
};

use anyhow::{Result, anyhow};
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use posthorn_errors::failure_of;
use posthorn_node::Node;
use posthorn_proto::internal::MintTokenRequest;
use posthorn_rpc::SessionClient;
use serde::Serialize;

use super::provision::{GROUP, Provisioned, TENANT, USERS};

/// A page that stays open refreshes its token; one that was closed overnight asks for a new one.
const TOKEN_TTL_S: u64 = 12 * 3_600;

/// A demo user, signed in.
#[derive(Clone, Debug, Serialize)]
pub struct Seat {
    pub user: &'static str,
    pub name: &'static str,
    pub token: String,
}

/// Gives out seats.
pub struct Demo {
    ws: String,
    conversation: String,
    session: SessionClient,
}

/// What the page asks for.
#[derive(Serialize)]
struct Config<'a> {
    ws: &'a str,
    users: Vec<Seat>,
    conversation: &'a str,
    group: &'a str,
}

impl Demo {
    pub fn new(addr: SocketAddr, node: &Node, provisioned: &Provisioned) -> Self {
        let (session, conversation) = (node.clients().session.clone(), provisioned.conversation.clone());
        Self { ws: format!("ws://{addr}/v1/ws"), conversation, session }
    }

    /// Each user with a token of their own.
    pub async fn seats(&self) -> Result<Vec<Seat>> {
        let mut seats = Vec::new();
        for (user, name) in USERS {
            let request = MintTokenRequest {
                tenant: TENANT.to_owned(),
                user: user.to_owned(),
                device: String::new(),
                ttl_s: TOKEN_TTL_S,
                limit_class: String::new(),
            };
            let minted = self.session.clone().mint_token(request).await.map_err(|s| anyhow!("{}", failure_of(&s)))?;
            seats.push(Seat { user, name, token: minted.into_inner().token });
        }
        Ok(seats)
    }
}

#[derive(Clone)]
struct Desk {
    demo: Arc<OnceLock<Demo>>,
    exposed: bool,
}

/// `GET /demo/config.json`: 503 until `demo` is set.
pub fn routes(demo: Arc<OnceLock<Demo>>, exposed: bool) -> Router {
    Router::new().route("/demo/config.json", get(config)).with_state(Desk { demo, exposed })
}

async fn config(State(desk): State<Desk>, headers: HeaderMap) -> Response {
    // A page of another site whose name was made to resolve to this machine sends that name.
    if !desk.exposed && !names_this_machine(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let Some(demo) = desk.demo.get() else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")]).into_response();
    };
    match demo.seats().await {
        Ok(users) => {
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
            let ws = host.map_or_else(|| demo.ws.clone(), |host| format!("ws://{host}/v1/ws"));
            let config = Config { ws: &ws, users, conversation: &demo.conversation, group: GROUP };
            ([(header::CACHE_CONTROL, "no-store")], Json(config)).into_response()
        }
        Err(error) => {
            tracing::warn!(%error, "no tokens for the page");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

fn names_this_machine(headers: &HeaderMap) -> bool {
    let authority = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let Some(authority) = authority.and_then(|host| host.parse::<axum::http::uri::Authority>().ok()) else {
        return false;
    };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_name_is_not_this_machine() {
        let named = |host: &str| names_this_machine(&HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]));
        for own in ["127.0.0.1:7200", "localhost", "LOCALHOST:1", "[::1]:7200", "127.9.9.9"] {
            assert!(named(own), "{own}");
        }
        for foreign in ["evil.example", "127.0.0.1.evil.example:7200", "192.168.0.9", "", "[::1"] {
            assert!(!named(foreign), "{foreign}");
        }
        assert!(!names_this_machine(&HeaderMap::new()));
    }
}
