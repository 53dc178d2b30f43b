//! From nothing to a connection that answered `connect`.

use std::{panic::AssertUnwindSafe, pin::Pin, sync::Arc, time::Duration};

use futures_util::FutureExt;
use http::Uri;
use posthorn_clock::{Instant, timeout};
use posthorn_errors::{Close, Code, Failure};
use posthorn_proto::client::{ClientFrame, Connect, Connected, client_frame::Request, server_frame::Frame};

use super::{Engine, MAX_REFUSED_TOKENS, Phase, live::Live};
use crate::{
    ClientConfig, ConnectionState, Connector, Event, Reason, Sink, TokenError, TokenReason,
    sending::Tokens,
    socket::{Ended, Socket},
};

pub(super) type DialResult = Result<Dialed, (Option<String>, DialError)>;
pub(super) type Dialing = Pin<Box<dyn Future<Output = DialResult> + Send>>;

pub(super) struct Dialed {
    pub socket: Socket,
    pub connected: Connected,
    pub token: String,
}

pub(super) enum DialError {
    Token(TokenError),
    Ended(Ended),
    Refused(Failure),
}

/// Asks the application, and survives what it does.
pub(super) async fn ask_token(tokens: Tokens, reason: TokenReason) -> Result<String, TokenError> {
    let asked = AssertUnwindSafe(async { tokens.token(reason).await }).catch_unwind().await;
    asked.unwrap_or_else(|_| {
        tracing::error!("the token callback panicked");
        Err(TokenError { message: "the token callback panicked".into(), give_up: false })
    })
}

struct Dial {
    config: ClientConfig,
    connector: Arc<dyn Connector>,
    tokens: Tokens,
    sink: Sink,
    token: Option<String>,
    reason: TokenReason,
    connect: Connect,
}

async fn dial(mut dial: Dial) -> DialResult {
    let token = match dial.token.take() {
        Some(token) => token,
        None => ask_token(Arc::clone(&dial.tokens), dial.reason).await.map_err(|e| (None, DialError::Token(e)))?,
    };
    dial.connect.token.clone_from(&token);
    let limit = Duration::from_millis(dial.config.connect_timeout_ms);
    match timeout(limit, greet(dial)).await {
        Ok(Ok((socket, connected))) => Ok(Dialed { socket, connected, token }),
        Ok(Err(error)) => Err((Some(token), error)),
        Err(_) => Err((Some(token), DialError::Ended(Ended::Network("connecting took too long".into())))),
    }
}

async fn greet(dial: Dial) -> Result<(Socket, Connected), DialError> {
    let network = |error: &dyn std::fmt::Display| DialError::Ended(Ended::Network(error.to_string()));
    let url: Uri = dial.config.url.parse().map_err(|error| network(&error))?;
    let io = dial.connector.connect(&url).await.map_err(|error| network(&error))?;
    let mut socket = Socket::open(io, &url, &dial.config).await.map_err(DialError::Ended)?;
    let frame = ClientFrame { id: 1, traceparent: String::new(), request: Some(Request::Connect(dial.connect)) };
    socket.send(&frame).map_err(DialError::Ended)?;
    loop {
        let frame = socket.receive().await.map_err(DialError::Ended)?;
        dial.sink.frame(&frame);
        match frame.frame {
            Some(Frame::Connected(connected)) => return Ok((socket, connected)),
            Some(Frame::Error(error)) => return Err(DialError::Refused(Failure::from(&error))),
            _ => {}
        }
    }
}

impl Engine {
    pub(super) fn dial(&mut self) {
        let now_ms = self.deps.clock.now_ms();
        // One that ends while connecting is as good as none.
        if self.token.as_ref().is_some_and(|(_, until)| *until != 0 && *until <= now_ms + 1_000) {
            self.token = None;
            self.token_reason = TokenReason::Expiring;
        }
        let connect = Connect {
            token: String::new(),
            resume_token: self.resume_token.clone(),
            cursor: self.cursor.clone(),
            client: self.config.name.clone(),
        };
        self.phase = Phase::Dialing(Box::pin(dial(Dial {
            config: ClientConfig { saved: None, ..self.config.clone() },
            connector: Arc::clone(&self.deps.connector),
            tokens: Arc::clone(&self.deps.tokens),
            sink: self.deps.sink.clone(),
            token: self.token.as_ref().map(|(token, _)| token.clone()),
            reason: self.token_reason,
            connect,
        })));
    }

    pub(super) fn dialed(&mut self, dialed: Dialed) {
        let Dialed { socket, connected, token } = dialed;
        self.token = Some((token, connected.token_expires_ms));
        self.token_reason = TokenReason::Expiring;
        self.refused_tokens = 0;
        self.resume_token.clone_from(&connected.resume_token);
        self.timelines.user_is(&connected.user);
        let (session, resumed, generation) = (connected.session.clone(), connected.resumed, connected.generation);
        self.phase = Phase::Live(Box::new(Live::new(socket, &connected, &self.config)));
        self.state(ConnectionState::Connected { session, resumed, generation });
        self.generation_is(generation, connected.reset);
        if self.config.sync {
            self.begin_sync();
        }
        // The server forgot it with the connection.
        self.watch_again();
    }

    /// `reset`: the cursor is void.
    pub(super) fn generation_is(&mut self, generation: u64, reset: bool) {
        let another = self.generation != 0 && self.generation != generation;
        if another {
            self.timelines.forget();
            self.marks.forget();
            self.synced = !self.config.sync;
            self.events.push_back(Event::Reset { generation });
        }
        if another || reset {
            self.cursor.clear();
            self.next_cursor = None;
        }
        self.generation = generation;
    }

    pub(super) fn not_dialed(&mut self, token: Option<String>, error: DialError) {
        if let (Some(token), None) = (token, &self.token) {
            self.token = Some((token, 0));
        }
        match error {
            DialError::Token(error) if error.give_up => self.end(Reason::Token(error.message)),
            DialError::Token(error) => self.come_back(Reason::Token(error.message), 0),
            DialError::Refused(failure) => self.turned_away(failure),
            DialError::Ended(Ended::Network(why)) => self.come_back(Reason::Network(why), 0),
            DialError::Ended(Ended::Closed(close)) => self.closed(close),
        }
    }

    /// The server ended it, with a reason.
    pub(super) fn turned_away(&mut self, failure: Failure) {
        let another_token = match failure.code {
            Code::TokenExpired => true,
            Code::Unauthenticated => {
                self.refused_tokens += 1;
                self.refused_tokens < MAX_REFUSED_TOKENS
            }
            _ => false,
        };
        if another_token {
            self.token = None;
            let expired = failure.code == Code::TokenExpired;
            self.token_reason = if expired { TokenReason::Expiring } else { TokenReason::Refused };
            self.come_back(Reason::Server(failure), 0);
        } else if failure.code.retryable() || failure.code == Code::Internal {
            let asked_ms = failure.retry_after_ms;
            self.come_back(Reason::Server(failure), asked_ms);
        } else {
            self.end(Reason::Server(failure));
        }
    }

    pub(super) fn closed(&mut self, close: u16) {
        let known = posthorn_errors::CLOSE_CODES().into_iter().find(|known| known.close == close);
        match (known, Close::of(close)) {
            (Some(known), _) => self.turned_away(known.code.into()),
            (None, Close::ComeBack) => self.come_back(Reason::Closed(close), 0),
            (None, Close::StayAway) => self.end(Reason::Closed(close)),
        }
    }

    pub(super) fn lost(&mut self, ended: Ended) {
        let said = match &mut self.phase {
            Phase::Live(live) => live.said.take(),
            _ => None,
        };
        match (said, ended) {
            // It told why before it closed.
            (Some(failure), _) => self.turned_away(failure),
            (None, Ended::Closed(close)) => self.closed(close),
            (None, Ended::Network(why)) => self.come_back(Reason::Network(why), 0),
        }
    }

    pub(super) fn now_plus(ms: u64) -> Instant {
        Instant::now() + Duration::from_millis(ms)
    }
}
