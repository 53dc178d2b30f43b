//! The client library. One [`Client`] is one device of one user: it keeps a connection, resumes it,
//! fills what was missed from the log, queues what is sent while it is away, and tells of every send
//! how far it really came.
//!
//! What an application may rely on:
//! - Entries of a conversation come in the order of `seq`, each once, without a hole. Where entries
//!   may not be seen, or are not to be had, an [`Event::Gap`] stands in their place.
//! - Sends of a conversation are stored in the order in which they were given; a send that was tried
//!   is tried again under the same `message_id` until it is stored or refused for good.
//! - A callback that fails or panics is logged; the client goes on.
//!
//! [`NetConnector`] dials `ws://` and, believing the system's certificate authorities and those of a
//! [`Trust`], `wss://`.
//!
//! Everything has a bound, in [`ClientConfig`].

pub mod backend;
mod client;
mod config;
mod connect;
mod engine;
mod event;
pub mod http;
mod marks;
pub mod operator;
mod outbox;
mod sending;
mod socket;
mod timeline;
mod tls;

pub use client::{Client, ClientDeps, ClientError};
pub use config::{ClientConfig, Format, Saved};
pub use connect::{Connector, Io, NetConnector, TcpConnector};
pub use event::{ConnectionState, Event, Gap, Observer, Reason, Sink};
pub use posthorn_errors::{Code, Failure};
pub use posthorn_proto::client as proto;
pub use sending::{NotStored, Outgoing, SendState, Sending, Stored, TokenError, TokenReason, TokenSource};
pub use tls::{TlsError, Trust};

#[cfg(test)]
mod tests;
