//! `[edge]` and `[limits]`: every bound of the edge, by name and unit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::http::HttpConfig;

/// The `[edge]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayConfig {
    /// Largest frame accepted from a client.
    pub max_frame_bytes: usize,
    /// Largest encoded body of an entry.
    pub max_body_bytes: usize,
    /// Requests of one connection that may wait for their replies.
    pub max_pending_requests: usize,
    /// Largest page of history or of conversations.
    pub max_page_entries: u32,
    /// Bytes queued for one connection before it is told to resync.
    pub max_queue_bytes: usize,
    /// Between two questions to the routing instances for what the bus does not bring, and how long each may
    /// take to answer.
    pub ask_ms: u64,
    pub ask_timeout_ms: u64,
    /// Publications of one publisher that are held until those before them were asked for.
    pub max_held_publications: usize,
    /// Users whose presence one connection may watch.
    pub max_watched_users: usize,
    /// Connections at once for which is asked anew whom they may watch; more wait, each once.
    pub max_presence_checks: usize,
    /// Conversations of which is remembered up to where they were told.
    pub max_told_conversations: usize,
    /// Large conversations that are heard on subjects of their own; of more, the routing instances are asked
    /// every `ask_ms`.
    pub max_conversation_subjects: usize,
    /// Users times the large conversations that they follow.
    pub max_followed: usize,
    /// Questions to owners and reads of the log at once, for what the bus did not bring of large conversations.
    pub max_log_reads: usize,
    /// After which a client that has not synced follows its large conversations all the same.
    pub follow_ms: u64,
    /// Time for `connect` after the handshake.
    pub connect_timeout_ms: u64,
    pub ping_interval_ms: u64,
    pub ping_timeout_ms: u64,
    pub write_timeout_ms: u64,
    /// Longest wait for an answer of a service below.
    pub call_timeout_ms: u64,
    /// Open WebSockets, and those of them that have not authenticated yet.
    pub max_connections: u64,
    pub max_unauthenticated: u64,
    /// History, lists and syncs of one connection that run at once; more wait their turn.
    pub max_running_reads: usize,
    /// Encoded entries of one page of history.
    pub max_page_bytes: u64,
    /// Entries looked at for one page of messages.
    pub max_scan_entries: u32,
    /// Sends to one conversation that go out in one append, 64 at most.
    pub max_append_items: usize,
    /// How long before its end a token's holder is told.
    pub token_expiring_ms: u64,
    /// Web origins that may connect, such as `https://chat.example.com`; `*`: any. Same host and
    /// loopback may always; who sends no `Origin` is no browser.
    pub allowed_origins: Vec<String>,
    /// Handshakes a second that are admitted, and how many at once; resumes have a budget of their own.
    pub handshakes_per_s: u32,
    pub handshake_burst: u32,
    pub resumes_per_s: u32,
    pub resume_burst: u32,
    /// Mean age at which a connection is asked to come back elsewhere, with +-25 % jitter.
    pub max_connection_age_ms: u64,
    /// Requests a second of a connection of limit class `default`, and how many at once.
    pub requests_per_s: u32,
    pub request_burst: u32,
    /// A user's connections together may ask this many times as much as one.
    pub user_factor: u32,
    /// This many times `request_burst` refusals, faster than `requests_per_s`, and a connection is ended as a flood.
    pub flood_factor: u32,
    /// Limit classes besides `default`, by the name in the token.
    pub classes: BTreeMap<String, LimitClass>,
    /// Window in which clients that are asked to reconnect spread themselves.
    pub reconnect_window_ms: u64,
    /// Drain: how long unready before the first `reconnect`, connections told a second, and the cap.
    pub drain_propagation_ms: u64,
    pub drain_per_s: u32,
    pub drain_cap_ms: u64,
    /// The `[edge.http]` section.
    pub http: HttpConfig,
}

/// What a limit class allows one connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitClass {
    /// 0: no limit, for replay and load tools.
    pub requests_per_s: u32,
    pub request_burst: u32,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            max_frame_bytes: 256 * 1024,
            max_body_bytes: 64 * 1024,
            max_pending_requests: 256,
            max_page_entries: 500,
            max_queue_bytes: 1024 * 1024,
            ask_ms: 1_000,
            ask_timeout_ms: 1_000,
            max_held_publications: 4_096,
            max_watched_users: 1_000,
            max_presence_checks: 16,
            max_told_conversations: 100_000,
            max_conversation_subjects: 20_000,
            max_followed: 2_000_000,
            max_log_reads: 16,
            follow_ms: 5_000,
            connect_timeout_ms: 10_000,
            ping_interval_ms: 25_000,
            ping_timeout_ms: 10_000,
            write_timeout_ms: 15_000,
            call_timeout_ms: 15_000,
            max_connections: 200_000,
            max_unauthenticated: 10_000,
            max_running_reads: 8,
            max_page_bytes: 256 * 1024,
            max_scan_entries: 2_000,
            max_append_items: 64,
            token_expiring_ms: 60_000,
            allowed_origins: Vec::new(),
            handshakes_per_s: 2_000,
            handshake_burst: 4_000,
            resumes_per_s: 4_000,
            resume_burst: 8_000,
            max_connection_age_ms: 4 * 3_600_000,
            requests_per_s: 100,
            request_burst: 400,
            user_factor: 4,
            flood_factor: 4,
            classes: BTreeMap::from([("unlimited".to_owned(), LimitClass { requests_per_s: 0, request_burst: 0 })]),
            reconnect_window_ms: 5_000,
            drain_propagation_ms: 0,
            drain_per_s: 500,
            drain_cap_ms: 30_000,
            http: HttpConfig::default(),
        }
    }
}
