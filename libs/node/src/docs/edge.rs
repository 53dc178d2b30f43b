//! Rows of the edge: `[edge]` with `[edge.http]` and `[edge.classes]`.

use posthorn_config::Row;

pub(super) const ROWS: &[Row] = &[
    Row::new("edge", "Client connections and the HTTP API."),
    Row::new("edge.max_frame_bytes", "Largest frame accepted from a client (`frame_too_large`)."),
    Row::new("edge.max_body_bytes", "Largest encoded body of an entry (`body_too_large`)."),
    Row::new(
        "edge.max_pending_requests",
        "Requests of one connection that may wait for their replies (`too_many_pending`).",
    ),
    Row::new("edge.max_page_entries", "Largest page of history or of conversations."),
    Row::new(
        "edge.max_queue_bytes",
        "Bytes queued for one connection; beyond it the queue is dropped and the client told to resync, or the connection ends (`slow_consumer`).",
    ),
    Row::new(
        "edge.max_told_conversations",
        "Conversations of which is remembered up to where they were told, so that what a new owner publishes again reaches nobody twice.",
    ),
    Row::new(
        "edge.ask_ms",
        "Between two questions to the routing instances for what the bus does not bring, a quarter more or less.",
    ),
    Row::new("edge.ask_timeout_ms", "How long each of them may take to answer."),
    Row::new(
        "edge.max_held_publications",
        "Publications of one publisher that wait until those before them were asked for; beyond it clients read from the log.",
    ),
    Row::new(
        "edge.max_conversation_subjects",
        "Large conversations that are heard on subjects of their own; of more, the routing instances are asked every `edge.ask_ms`.",
    ),
    Row::new(
        "edge.max_followed",
        "Users times the large conversations that they follow; beyond it their `sync` is `overloaded`.",
    ),
    Row::new(
        "edge.max_log_reads",
        "Questions to owners and reads of the log at once, for what the bus did not bring of large conversations.",
    ),
    Row::new(
        "edge.follow_ms",
        "After which a client that has not synced is told of its large conversations all the same, with a `resync`.",
    ),
    Row::new("edge.max_watched_users", "Users whose presence one connection may watch (`too_many_watched`)."),
    Row::new(
        "edge.max_presence_checks",
        "Connections at once for which is asked anew whom they may watch, after a member left; more wait.",
    ),
    Row::new("edge.connect_timeout_ms", "Time for `connect` after the handshake (`connect_timeout`)."),
    Row::new("edge.ping_interval_ms", "How often the server pings."),
    Row::new("edge.ping_timeout_ms", "How long the answer may take (`ping_timeout`)."),
    Row::new("edge.write_timeout_ms", "How long a client may leave a write waiting (`slow_consumer`)."),
    Row::new("edge.call_timeout_ms", "Longest wait for an answer of a service below."),
    Row::new("edge.max_connections", "Open WebSockets of this gateway (`admission`)."),
    Row::new("edge.max_unauthenticated", "Open WebSockets without a `connect` yet (`admission`)."),
    Row::new(
        "edge.max_running_reads",
        "History, lists and syncs of one connection that run at once; more wait their turn.",
    ),
    Row::new("edge.max_page_bytes", "Encoded entries of one page of history."),
    Row::new("edge.max_scan_entries", "Entries looked at for one page of messages."),
    Row::new("edge.max_append_items", "Sends to one conversation that go out in one append."),
    Row::new("edge.token_expiring_ms", "How long before its end a token's holder is told."),
    Row::new(
        "edge.allowed_origins",
        "Web origins that may connect, such as `https://chat.example.com`; `*`: any. The same host, and loopback from loopback, may always.",
    ),
    Row::new("edge.handshakes_per_s", "New connections admitted a second (`admission`)."),
    Row::new("edge.handshake_burst", "New connections admitted at once."),
    Row::new("edge.resumes_per_s", "Resumed connections admitted a second: a budget of their own."),
    Row::new("edge.resume_burst", "Resumed connections admitted at once."),
    Row::new("edge.max_connection_age_ms", "Mean age at which a connection is asked to come back, with +-25 % jitter."),
    Row::new("edge.requests_per_s", "Requests a second of one connection of limit class `default` (`rate_limited`)."),
    Row::new("edge.request_burst", "Requests of such a connection at once."),
    Row::new("edge.user_factor", "A user's connections together may ask this many times as much as one."),
    Row::new("edge.flood_factor", "Refused requests, in bursts, after which the connection ends (`flood`)."),
    Row::new("edge.reconnect_window_ms", "Window in which clients that are asked to reconnect spread themselves."),
    Row::new("edge.drain_propagation_ms", "Drain: how long unready before the first client is asked to leave."),
    Row::new("edge.drain_per_s", "Drain: clients asked a second."),
    Row::new("edge.drain_cap_ms", "Drain: when it ends whoever is still connected."),
    Row::new(
        "edge.classes.unlimited.requests_per_s",
        "Limit classes by the name in a token's claim; add your own as `[edge.classes.NAME]`. 0: no limit.",
    ),
    Row::new("edge.classes.unlimited.request_burst", "Requests at once."),
    Row::new("edge.http.max_body_bytes", "Largest body of an HTTP request."),
    Row::new("edge.http.max_in_flight", "HTTP requests at work at once, health and metrics apart (`overloaded`)."),
    Row::new("edge.http.requests_per_s", "HTTP requests a second of one API key (`rate_limited`). 0: no limit."),
    Row::new("edge.http.request_burst", "HTTP requests of one API key at once."),
    Row::new(
        "edge.http.max_limited_keys",
        "API keys whose requests are counted at once; beyond it, the one that was away longest is forgotten.",
    ),
    Row::new("edge.http.request_timeout_ms", "Time for an HTTP request (`deadline_exceeded`)."),
    Row::new("edge.http.idempotency_ttl_ms", "How long the answer to an `Idempotency-Key` is kept: at most a day."),
    Row::new(
        "edge.http.idempotency_wait_ms",
        "How long a duplicate waits for the answer to the first request of its key.",
    ),
    Row::new("edge.http.max_kept_answer_bytes", "Largest answer that is kept for an `Idempotency-Key`."),
    Row::new("edge.http.idempotency_sweep_ms", "Between two removals of such answers that are past their time."),
    Row::new("edge.http.probe_timeout_ms", "Longest wait for a part's sign of life in `/readyz`."),
    Row::new("edge.http.probe_reuse_ms", "How long that finding is reused."),
];
