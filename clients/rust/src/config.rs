//! What a client is told, and its bounds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The encoding of frames, chosen by subprotocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Format {
    #[default]
    Proto,
    Json,
}

impl Format {
    pub(crate) const fn subprotocol(self) -> &'static str {
        match self {
            Self::Proto => "posthorn.v1.proto",
            Self::Json => "posthorn.v1.json",
        }
    }
}

/// Where a client left off: keep it, and give it to the next start of the same device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// Of the last complete sync whose gaps were filled.
    pub cursor: String,
    pub generation: u64,
    pub resume_token: String,
    /// Conversation -> highest seq given to the application.
    pub seen: BTreeMap<String, u64>,
}

#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// `ws://HOST:PORT/v1/ws`
    pub url: String,
    pub format: Format,
    /// How the client calls itself, for the server's logs.
    pub name: String,
    pub saved: Option<Saved>,
    /// Begin with a sync, and sync after every reconnect.
    pub sync: bool,
    /// Move the delivered mark as entries come.
    pub auto_delivered: bool,
    /// For connecting up to the reply to `connect`, ms.
    pub connect_timeout_ms: u64,
    /// For the reply to a request, ms. A send without one is sent again.
    pub request_timeout_ms: u64,
    /// First bound of the random delay before a reconnect, doubled each time, and its largest, ms.
    pub backoff_base_ms: u64,
    pub backoff_cap_ms: u64,
    /// After so long a connection counts as good: the delays begin anew, ms.
    pub stable_ms: u64,
    /// Sends that wait, in all conversations together.
    pub max_queued_sends: usize,
    /// Stored sends whose delivered and read states are followed.
    pub max_followed_sends: usize,
    /// Other requests that wait for a connection or a place.
    pub max_waiting_calls: usize,
    /// Requests without a reply, besides the server's own bound.
    pub max_pending_requests: usize,
    /// Entries of one conversation that wait for those before them; beyond, they are read again.
    pub max_held_entries: usize,
    /// A hole larger than this is not filled but told.
    pub max_fill_entries: u64,
    /// Entries asked for in one page.
    pub page_entries: u64,
    /// Conversations asked for in one page of a sync.
    pub sync_page: u64,
    /// Largest frame taken from the server, bytes.
    pub max_frame_bytes: usize,
    /// Commands between the handle and the task.
    pub command_queue: usize,
}

impl ClientConfig {
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            format: Format::Proto,
            name: concat!("posthorn-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            saved: None,
            sync: true,
            auto_delivered: true,
            connect_timeout_ms: 15_000,
            request_timeout_ms: 20_000,
            backoff_base_ms: 500,
            backoff_cap_ms: 30_000,
            stable_ms: 5_000,
            max_queued_sends: 1_000,
            max_followed_sends: 256,
            max_waiting_calls: 256,
            max_pending_requests: 64,
            max_held_entries: 512,
            max_fill_entries: 10_000,
            page_entries: 200,
            sync_page: 200,
            max_frame_bytes: 16 * 1024 * 1024,
            command_queue: 32,
        }
    }
}
