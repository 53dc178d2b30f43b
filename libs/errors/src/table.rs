//! The table itself.

use std::{fmt, str::FromStr};

/// gRPC status codes in use, as in the gRPC documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grpc {
    InvalidArgument,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    Internal,
    Unavailable,
    DeadlineExceeded,
    Unauthenticated,
    DataLoss,
}

macro_rules! codes {
    ($($variant:ident $name:literal $grpc:ident $http:literal $close:expr, $retry:literal $clean:literal $what:literal $todo:literal;)*) => {
        /// An error code: a word that never changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $(#[doc = $what] $variant,)* }

        /// Every code, in the order of the documentation.
        pub const ALL: &[Code] = &[$(Code::$variant,)*];

        impl Code {
            /// The word on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $name,)* }
            }
            #[must_use]
            pub const fn grpc(self) -> Grpc {
                match self { $(Code::$variant => Grpc::$grpc,)* }
            }
            #[must_use]
            pub const fn http(self) -> u16 {
                match self { $(Code::$variant => $http,)* }
            }
            /// The close code of a connection that ends for this reason, if one does.
            #[must_use]
            pub const fn close(self) -> Option<u16> {
                match self { $(Code::$variant => $close,)* }
            }
            /// The same request may succeed later.
            #[must_use]
            pub const fn retryable(self) -> bool {
                match self { $(Code::$variant => $retry,)* }
            }
            /// Certain: the request changed nothing.
            #[must_use]
            pub const fn side_effect_free(self) -> bool {
                match self { $(Code::$variant => $clean,)* }
            }
            /// What happened, in a line.
            #[must_use]
            pub const fn summary(self) -> &'static str {
                match self { $(Code::$variant => $what,)* }
            }
            /// What to do about it, in a line.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self { $(Code::$variant => $todo,)* }
            }
        }

        impl FromStr for Code {
            type Err = UnknownCode;
            fn from_str(text: &str) -> Result<Self, UnknownCode> {
                match text { $($name => Ok(Code::$variant),)* _ => Err(UnknownCode) }
            }
        }
    };
}

/// The text is no code of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownCode;

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// Close codes: 4000..4499 come back (with a delay), 4500..4999 do not. See `close.rs`.
//
// variant, word, gRPC, HTTP, close code, retryable, side-effect-free, what, what to do
codes! {
    // What was sent does not parse or is out of bounds.
    MalformedFrame "malformed_frame" InvalidArgument 400 Some(4500), false true "the frame is not valid JSON or protobuf of the edge protocol" "fix the client: the connection ends, since what follows cannot be trusted";
    UnknownRequest "unknown_request" InvalidArgument 400 None, false true "the frame names no request that this server knows" "check the request's name, or the server's version";
    InvalidArgument "invalid_argument" InvalidArgument 400 None, false true "a field is missing, malformed or out of range; the message names it" "correct the field";
    FrameTooLarge "frame_too_large" ResourceExhausted 413 Some(4501), false true "the frame is larger than `edge.max_frame_bytes`" "send less in one frame";
    BodyTooLarge "body_too_large" ResourceExhausted 413 None, false true "the body is larger than `limits.max_body_bytes`" "shorten the text, or send it as a file";
    UnsupportedProtocol "unsupported_protocol" InvalidArgument 400 Some(4502), false true "the subprotocol asked for is none that this server speaks" "ask for posthorn.v1.json or posthorn.v1.proto";
    TextFrameExpected "wrong_frame_type" InvalidArgument 400 Some(4503), false true "a text message on a protobuf connection, or a binary one on a JSON connection" "send JSON as text messages and protobuf as binary ones";
    MethodNotAllowed "method_not_allowed" InvalidArgument 405 None, false true "the path exists, but not with this method; the `Allow` header names those it has" "check the method against /v1/openapi.json";
    UnsupportedMediaType "unsupported_media_type" InvalidArgument 415 None, false true "the body's Content-Type is not application/json" "send JSON with `Content-Type: application/json`";

    // Who asks.
    NotConnected "not_connected" FailedPrecondition 400 Some(4504), false true "the first frame of a connection must be `connect`" "send `connect` with a token first";
    AlreadyConnected "already_connected" FailedPrecondition 400 Some(4505), false true "a second `connect` on the same connection" "use `refresh` to change the token";
    ConnectTimeout "connect_timeout" DeadlineExceeded 408 Some(4400), true true "no `connect` within `edge.connect_timeout_ms`" "connect again and authenticate at once";
    Unauthenticated "unauthenticated" Unauthenticated 401 Some(4510), false true "the token or key is missing, malformed, unsigned, of a foreign tenant or signed by an unknown key" "get a new token from the application's backend";
    TokenExpired "token_expired" Unauthenticated 401 Some(4410), true true "the token has expired" "get a new token from the application's backend, then come back";
    TokenRevoked "token_revoked" Unauthenticated 401 Some(4511), false true "the token was revoked" "sign in again";
    Forbidden "forbidden" PermissionDenied 403 None, false true "the caller may not do this here" "ask an owner or admin of the conversation; operator keys read no content";
    NotFound "not_found" NotFound 404 None, false true "no such conversation or user, or the caller may not know of it" "check the id: what one may not see is answered like what does not exist";

    // The conversation said no.
    AlreadyExists "already_exists" AlreadyExists 409 None, false true "the id is taken by another object" "choose another id, or use the one that is there";
    MessageIdReused "message_id_reused" FailedPrecondition 409 None, false true "this message_id was used by the same author for another body" "make a new message_id for every new message";
    PreconditionFailed "precondition_failed" Aborted 409 None, false true "an entry of the named kinds lies beyond `expected_seq`; `end_seq` tells the present end" "read what is new and decide again";
    RetryTooOld "retry_too_old" FailedPrecondition 409 None, false false "the retry's `after_seq` lies too far back to look for the first copy" "read the history from `after_seq` to see whether it was stored";
    StaleGeneration "stale_generation" FailedPrecondition 409 None, false true "the seq or cursor is of another generation: the store was restored from a backup" "sync from nothing, then send again with a new after_seq";
    IdempotencyKeyReused "idempotency_key_reused" FailedPrecondition 422 None, false true "this Idempotency-Key came with another request within 24 hours" "make a new key for every new request";
    IdempotencyInFlight "idempotency_in_flight" Aborted 409 None, true true "a request with this Idempotency-Key is being worked on" "try again after the delay: the answer of the first will be repeated";
    MembersLimit "members_limit" ResourceExhausted 409 None, false true "the conversation has `limits.max_members` members" "make another conversation";
    LastOwner "last_owner" FailedPrecondition 409 None, false true "a group's last owner cannot leave or step down while others remain" "make another member owner first";

    // Too much, too fast.
    RateLimited "rate_limited" ResourceExhausted 429 None, true true "more requests than the token's limit class, or the API key, allows; `limit` names which" "wait `retry_after_ms`";
    TooManyPending "too_many_pending" ResourceExhausted 429 None, true true "more than `edge.max_pending_requests` requests of this connection wait for an answer" "wait for replies before sending more";
    TooManyWatched "too_many_watched" ResourceExhausted 409 None, false true "more than `edge.max_watched_users` users watched by one connection" "watch only who is on the screen";
    Flood "flood" ResourceExhausted 429 Some(4420), true true "the connection went on sending far beyond its limits" "come back after the delay, slower";
    SlowConsumer "slow_consumer" ResourceExhausted 429 Some(4421), true true "the connection did not read: its queue of `edge.max_queue_bytes` overflowed, or a write took longer than `edge.write_timeout_ms`" "come back and sync: the log has everything";
    PingTimeout "ping_timeout" DeadlineExceeded 408 Some(4401), true true "no answer to a ping within `edge.ping_timeout_ms`" "come back";
    Admission "admission" ResourceExhausted 503 Some(4422), true true "the gateway takes no more handshakes at the moment" "come back after the delay";

    // The server's own state.
    Draining "draining" Unavailable 503 Some(4430), true true "this gateway is going down" "come back: another gateway answers";
    ConnectionAge "connection_age" Unavailable 503 Some(4431), true true "the connection reached its maximum age" "come back with the resume token";
    SessionReplaced "session_replaced" Aborted 409 Some(4512), false true "the same session was resumed on another connection" "nothing: the newer connection is in use";
    Unavailable "unavailable" Unavailable 503 Some(4432), true true "a part of the server does not answer; nothing was done" "try again after a moment";
    NotConfirmed "not_confirmed" Unavailable 503 None, true false "whether the entry was stored is not known yet" "send again with the same message_id, after_seq and `retry`";
    DeadlineExceeded "deadline_exceeded" DeadlineExceeded 504 None, true false "the answer did not come in time" "try again with the same message_id";
    Overloaded "overloaded" Unavailable 503 None, true true "a queue of the server is full; `limit` names it" "try again after a moment";
    StoreFull "store_full" ResourceExhausted 507 None, true true "the disk has less than `store.min_free_bytes` left: nothing is appended, reads go on" "free disk space on the server; it recovers by itself";
    WrongOwner "wrong_owner" FailedPrecondition 421 None, true true "another instance owns this conversation" "nothing for clients: services ask again at the owner";
    DataLoss "data_loss" DataLoss 500 None, false true "the log ends below a seq that was confirmed" "restore the store: docs/operations.md says how";
    Internal "internal" Internal 500 Some(4490), false false "a bug in the server; its log has the details under the trace id" "report it with the trace id";
}
