//! From a fresh socket to a connection that events can find: authenticate, register, then answer.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use posthorn_clock::{Instant, timeout};
use posthorn_core::{DeviceId, TenantId, UserId, cursor::Cursor};
use posthorn_errors::{Code, Failure};
use posthorn_proto::{
    client::{self, Connect, Connected, client_frame::Request, server_frame::Frame},
    internal::{AuthenticateReply, AuthenticateRequest, ConnectReply, ConnectRequest, DisconnectRequest},
};
use posthorn_rpc::{Context, TraceContext, within};

use super::{
    Protocol, codec,
    ending::Ending,
    socket::{Received, Socket},
};
use crate::{
    Gateway,
    limits::{Limits, UserLimit},
    live::{Connection, Identity, Token},
    service::Ticket,
};

/// A registered connection whose `connected` waits to be sent.
pub(super) struct Greeted {
    pub connection: Arc<Connection>,
    pub session: String,
    pub resume_token: String,
    pub limits: Limits,
    pub user_limit: Arc<UserLimit>,
    pub connected: Bytes,
}

/// Why there is no connection, and the id of the request that asked for it.
pub(super) struct Unwelcome {
    pub id: u64,
    pub ending: Ending,
}

impl From<Ending> for Unwelcome {
    fn from(ending: Ending) -> Self {
        Self { id: 0, ending }
    }
}

impl Unwelcome {
    fn new(id: u64, failure: Failure) -> Self {
        Self { id, ending: Ending::Server(failure) }
    }
}

pub(super) async fn greet(
    gateway: &Arc<Gateway>,
    socket: &mut Socket,
    ticket: &mut Ticket,
) -> Result<Greeted, Unwelcome> {
    let since = Instant::now();
    let limit = Duration::from_millis(gateway.config().connect_timeout_ms);
    let stopping = gateway.deps.tasks.stopping();
    let first = tokio::select! {
        biased;
        first = timeout(limit, first_frame(socket)) => first.unwrap_or_else(|_| Err(Ending::server(Code::ConnectTimeout).into())),
        () = stopping.cancelled() => Err(Ending::server(Code::Draining).into()),
    };
    let (id, trace, connect) = first?;
    let clock = gateway.clock();
    let trace = TraceContext::parse(&trace).map_or_else(|| TraceContext::root(clock), |trace| trace.child(clock));
    let greeted = within(Context { trace, deadline: None }, welcome(gateway, socket.protocol, id, connect)).await;
    let result = match &greeted {
        Ok(_) => "ok",
        Err(failure) => failure.code.as_str(),
    };
    gateway.metrics.connected(result);
    let greeted = greeted.map_err(|failure| Unwelcome::new(id, failure))?;
    ticket.authenticated();
    gateway.metrics.connect_seconds.observe(since.elapsed().as_secs_f64());
    Ok(greeted)
}

/// The first frame, which must be `connect`.
async fn first_frame(socket: &mut Socket) -> Result<(u64, String, Connect), Unwelcome> {
    loop {
        let payload = match socket.receive().await {
            Received::Frame(payload) => payload,
            Received::Control => {
                socket.flush().await?;
                continue;
            }
            Received::WrongType => return Err(Ending::server(Code::TextFrameExpected).into()),
            Received::End(ending) => return Err(ending.into()),
        };
        let frame = codec::decode(socket.protocol, payload)
            .map_err(|malformed| Unwelcome::new(malformed.id, malformed.failure))?;
        return match frame.request {
            Some(Request::Connect(connect)) => Ok((frame.id, frame.traceparent, connect)),
            _ => Err(Unwelcome::new(frame.id, Code::NotConnected.into())),
        };
    }
}

async fn welcome(gateway: &Arc<Gateway>, protocol: Protocol, id: u64, connect: Connect) -> Result<Greeted, Failure> {
    if gateway.is_draining() {
        return Err(Failure::plain(Code::Draining).retry_after_ms(1_000));
    }
    admit(gateway, !connect.resume_token.is_empty())?;
    let authenticated = gateway
        .authenticate(AuthenticateRequest { token: connect.token.clone(), resume_token: connect.resume_token.clone() })
        .await?;
    let resumed = !authenticated.session.is_empty();
    // A resume token that is no good must not buy a place in the faster lane.
    if !connect.resume_token.is_empty() && !resumed {
        admit(gateway, false)?;
    }
    let wait = Duration::from_millis(gateway.config().connect_timeout_ms);
    timeout(wait, gateway.when_reachable()).await.map_err(|_| Failure::plain(Code::Unavailable))?;
    let generation = gateway.generation().await?;
    let reset = is_void(&connect.cursor, generation);

    let _change = gateway.registry.change();
    let connection = Arc::new(Connection::new(
        gateway.incarnation.as_str().into(),
        gateway.registry.next_id(),
        identity(&authenticated)?,
        protocol,
        gateway.config().max_queue_bytes,
        token_of(&authenticated),
    ));
    // Registered before the reply, here and then there: from this moment on events are queued for it.
    let user_limit = gateway.registry.insert(&connection);
    let registration = Registration { gateway, connection: &connection, kept: false };
    let request = connect_request(gateway, &connection, &authenticated, connect.client);
    let reply = match gateway.connect_session(request).await {
        Ok(reply) => reply,
        Err(failure) => {
            // It may have been registered all the same.
            let _ = gateway.disconnect_session(disconnect_request(gateway, &connection)).await;
            return Err(failure);
        }
    };
    registration.keep();
    if reply.unregistered {
        connection.unregistered();
        // What came has holes before it as well.
        gateway.dropped(connection.outbox.lose_all(Code::Overloaded));
    }
    gateway.registry.take_session(&reply.session, connection.id);
    if !connect.resume_token.is_empty() {
        gateway.metrics.resumed(match (resumed, reset) {
            (false, _) => "refused",
            (true, true) => "gap",
            (true, false) => "full",
        });
    }
    let connected = connected(gateway, &authenticated, &reply, generation, reset);
    Ok(Greeted {
        connected: codec::reply(protocol, id, Frame::Connected(connected)),
        limits: Limits::new(gateway.config(), &authenticated.limit_class),
        user_limit,
        session: reply.session,
        resume_token: reply.resume_token,
        connection,
    })
}

fn admit(gateway: &Gateway, resume: bool) -> Result<(), Failure> {
    let admitted = gateway.admission.admit(resume, gateway.clock().now_ms());
    admitted.inspect_err(|_| {
        gateway.metrics.admission_refused.inc();
    })
}

/// Takes the connection out of the registry again where the session service refused it, also when the
/// client's going away cut the call short.
struct Registration<'a> {
    gateway: &'a Gateway,
    connection: &'a Connection,
    kept: bool,
}

impl Registration<'_> {
    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.gateway.registry.remove(self.connection, "");
            self.gateway.unfollow(self.connection);
        }
    }
}

pub(super) fn identity(authenticated: &AuthenticateReply) -> Result<Identity, Failure> {
    let bad = |error: posthorn_core::InvalidId| Failure::new(Code::Unauthenticated, format!("the token's {error}"));
    Ok(Identity {
        tenant: TenantId::new(&authenticated.tenant).map_err(bad)?,
        user: UserId::new(&authenticated.user).map_err(bad)?,
        device: DeviceId::new(&authenticated.device).map_err(bad)?,
    })
}

pub(super) fn token_of(authenticated: &AuthenticateReply) -> Token {
    Token {
        id: authenticated.token_id.clone(),
        issued_ms: authenticated.issued_ms,
        expires_ms: authenticated.expires_ms,
        signed_by: authenticated.signed_by.clone(),
    }
}

/// Of another generation. What is no cursor at all is left to `sync` to refuse.
fn is_void(cursor: &str, generation: u64) -> bool {
    let decoded = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| Cursor::decode(&bytes).ok());
    !cursor.is_empty() && decoded.is_some_and(|cursor| cursor.generation != generation)
}

fn connect_request(
    gateway: &Gateway,
    connection: &Connection,
    authenticated: &AuthenticateReply,
    client: String,
) -> ConnectRequest {
    ConnectRequest {
        tenant: authenticated.tenant.clone(),
        user: authenticated.user.clone(),
        device: authenticated.device.clone(),
        session: authenticated.session.clone(),
        connection: connection.id,
        gateway: gateway.incarnation.clone(),
        client,
    }
}

pub(super) fn disconnect_request(gateway: &Gateway, connection: &Connection) -> DisconnectRequest {
    DisconnectRequest {
        tenant: (&connection.identity.tenant).into(),
        user: (&connection.identity.user).into(),
        connection: connection.id,
        gateway: gateway.incarnation.clone(),
    }
}

fn connected(
    gateway: &Gateway,
    authenticated: &AuthenticateReply,
    reply: &ConnectReply,
    generation: u64,
    reset: bool,
) -> Connected {
    let config = gateway.config();
    Connected {
        user: authenticated.user.clone(),
        device: authenticated.device.clone(),
        session: reply.session.clone(),
        resume_token: reply.resume_token.clone(),
        resumed: !authenticated.session.is_empty() && reply.session == authenticated.session,
        reset,
        generation,
        ping_interval_ms: config.ping_interval_ms,
        token_expires_ms: authenticated.expires_ms,
        server_time_ms: gateway.clock().now_ms(),
        limits: Some(client::Limits {
            max_frame_bytes: config.max_frame_bytes as u64,
            max_body_bytes: config.max_body_bytes as u64,
            max_pending_requests: config.max_pending_requests as u64,
            max_page_entries: config.max_page_entries.into(),
        }),
        server: concat!("posthorn/", env!("CARGO_PKG_VERSION")).to_owned(),
    }
}
