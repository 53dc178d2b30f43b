//! The client against a server that each test plays itself, over pipes and on virtual time.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{SinkExt, StreamExt};
use http::Uri;
use posthorn_clock::{Clock, sleep, timeout};
use posthorn_errors::{Code, Failure};
use posthorn_proto::client::{
    self, ClientFrame, Connected, Entries, Entry, HistoryPage, Kind, Reconnect, Sent, ServerFrame, SyncPage,
    client_frame::Request, server_frame::Frame,
};
use posthorn_tasks::Tasks;
use prost::Message as _;
use tokio::{
    io::DuplexStream,
    sync::{Mutex, mpsc},
};
use tokio_websockets::{CloseCode, Message, ServerBuilder, WebSocketStream};

use crate::{
    Client, ClientConfig, ClientDeps, ConnectionState, Connector, Event, Format, Io, Observer, Outgoing, Reason,
    SendState, Sink, TokenError, TokenReason, TokenSource,
};

/// Hands the other end of each pipe to the test.
struct Pipes(mpsc::UnboundedSender<DuplexStream>);

#[async_trait]
impl Connector for Pipes {
    async fn connect(&self, _url: &Uri) -> io::Result<Box<dyn Io>> {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        self.0.send(theirs).map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
        Ok(Box::new(ours))
    }
}

/// `token-1`, `token-2`, ... with why each was asked for.
#[derive(Default)]
struct Tokens {
    asked: AtomicU64,
    reasons: Mutex<Vec<TokenReason>>,
}

#[async_trait]
impl TokenSource for Tokens {
    async fn token(&self, reason: TokenReason) -> Result<String, TokenError> {
        self.reasons.lock().await.push(reason);
        Ok(format!("token-{}", self.asked.fetch_add(1, Relaxed) + 1))
    }
}

struct World {
    client: Client,
    events: mpsc::Receiver<Event>,
    pipes: mpsc::UnboundedReceiver<DuplexStream>,
    tokens: Arc<Tokens>,
    format: Format,
}

/// One accepted connection, seen from the server.
struct Server {
    stream: WebSocketStream<DuplexStream>,
    format: Format,
}

impl World {
    fn new(change: impl FnOnce(&mut ClientConfig)) -> Self {
        let (sink, events) = Sink::channel(64);
        Self::with_sink(sink, events, change)
    }

    fn with_sink(sink: Sink, events: mpsc::Receiver<Event>, change: impl FnOnce(&mut ClientConfig)) -> Self {
        let (tx, pipes) = mpsc::unbounded_channel();
        let mut config = ClientConfig::new("ws://test/v1/ws");
        config.auto_delivered = false;
        change(&mut config);
        let (tokens, format) = (Arc::new(Tokens::default()), config.format);
        let deps = ClientDeps {
            clock: Clock::simulated(1, 1_000_000),
            tasks: Tasks::new(),
            connector: Arc::new(Pipes(tx)),
            tokens: tokens.clone(),
            sink,
        };
        Self { client: Client::start(config, deps), events, pipes, tokens, format }
    }

    async fn accept(&mut self) -> Server {
        let pipe = timeout(Duration::from_secs(120), self.pipes.recv()).await.expect("the client comes").unwrap();
        let (_, stream) = ServerBuilder::new().accept(pipe).await.unwrap();
        Server { stream, format: self.format }
    }

    /// Accepts, greets and answers the sync with nothing.
    async fn greet(&mut self) -> Server {
        let mut server = self.accept().await;
        server.connected().await;
        let (id, request) = server.next().await;
        assert!(matches!(request, Request::Sync(_)), "{request:?}");
        server.reply(id, Frame::Sync(page("cursor"))).await;
        server
    }

    async fn event(&mut self) -> Event {
        timeout(Duration::from_secs(120), self.events.recv()).await.expect("an event").expect("the client lives")
    }

    /// The next event that is no state and no end of a sync.
    async fn told(&mut self) -> Event {
        loop {
            match self.event().await {
                Event::State(_) | Event::Synced { .. } => {}
                event => return event,
            }
        }
    }

    async fn ended(&mut self) -> Reason {
        loop {
            if let Event::State(ConnectionState::Disconnected { reason }) = self.event().await {
                return reason;
            }
        }
    }
}

impl Server {
    async fn next(&mut self) -> (u64, Request) {
        loop {
            let message = timeout(Duration::from_secs(120), self.stream.next()).await.expect("a frame").unwrap();
            let message = message.expect("the connection lives");
            let frame = match self.format {
                Format::Proto => ClientFrame::decode(&message.as_payload()[..]).unwrap(),
                Format::Json => serde_json::from_slice(message.as_payload()).unwrap(),
            };
            if !matches!(frame.request, Some(Request::Ping(_))) {
                return (frame.id, frame.request.unwrap());
            }
        }
    }

    async fn reply(&mut self, id: u64, frame: Frame) {
        let frame = ServerFrame { id, frame: Some(frame) };
        let message = match self.format {
            Format::Proto => Message::binary(frame.encode_to_vec()),
            Format::Json => Message::text(serde_json::to_string(&frame).unwrap()),
        };
        self.stream.send(message).await.unwrap();
    }

    async fn refuse(&mut self, id: u64, failure: Failure) {
        self.reply(id, Frame::Error(client::Error::from(&failure))).await;
    }

    async fn close(mut self, code: Code) {
        let close = CloseCode::try_from(code.close().unwrap()).unwrap();
        self.stream.send(Message::close(Some(close), code.as_str())).await.unwrap();
    }

    async fn connect(&mut self) -> (u64, client::Connect) {
        match self.next().await {
            (id, Request::Connect(connect)) => (id, connect),
            other => panic!("{other:?}"),
        }
    }

    async fn connected(&mut self) -> client::Connect {
        let (id, connect) = self.connect().await;
        let connected = Connected {
            user: "ada".into(),
            session: "s".into(),
            resume_token: "resume".into(),
            generation: 3,
            ping_interval_ms: 25_000,
            ..Connected::default()
        };
        self.reply(id, Frame::Connected(connected)).await;
        connect
    }

    async fn send(&mut self) -> (u64, client::Send) {
        match self.next().await {
            (id, Request::Send(send)) => (id, send),
            other => panic!("{other:?}"),
        }
    }

    async fn entries(&mut self, seqs: &[u64]) {
        let entries = seqs.iter().map(|&seq| entry(seq)).collect();
        self.reply(0, Frame::Entries(Entries { conversation: "c".into(), entries })).await;
    }
}

fn entry(seq: u64) -> Entry {
    let kind = if seq == 1 { Kind::Created } else { Kind::Message };
    Entry { seq, kind: kind.into(), ..Entry::default() }
}

fn page(cursor: &str) -> SyncPage {
    SyncPage { cursor: cursor.into(), generation: 3, ..SyncPage::default() }
}

fn sent(seq: u64) -> Frame {
    Frame::Sent(Sent { conversation: "c".into(), seq, generation: 3, ..Sent::default() })
}

fn seqs(event: Event) -> Vec<u64> {
    match event {
        Event::Entries { entries, .. } => entries.iter().map(|entry| entry.seq).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_hole_is_read_from_the_log_before_what_follows_is_given() {
    for format in [Format::Proto, Format::Json] {
        let mut world = World::new(|config| config.format = format);
        let mut server = world.greet().await;
        server.entries(&[1, 2]).await;
        assert_eq!(seqs(world.told().await), [1, 2]);
        server.entries(&[5]).await;
        let (id, Request::History(history)) = server.next().await else { panic!("no read") };
        assert_eq!(history.after, Some(2));
        server.entries(&[6]).await;
        let visible = vec![client::Range { from: 1, to: 0 }];
        let entries = [3, 4, 5].map(entry).into();
        let read = HistoryPage { conversation: "c".into(), entries, end_seq: 5, visible, ..HistoryPage::default() };
        server.reply(id, Frame::History(read)).await;
        assert_eq!(seqs(world.told().await), [3, 4, 5, 6]);
        let saved = world.client.saved().await;
        assert_eq!((saved.cursor.as_str(), saved.seen["c"], saved.generation), ("cursor", 6, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn a_send_that_was_cut_off_is_tried_again_as_it_was() {
    let mut world = World::new(|_| {});
    let mut server = world.greet().await;
    server.entries(&[1, 2]).await;
    world.told().await;
    let mut sending = world.client.send(Outgoing::text("c", "hello")).await.unwrap();
    let (_, first) = server.send().await;
    assert_eq!((first.after_seq, first.generation, first.retry), (2, 3, false));
    assert_eq!(sending.state(), SendState::Sent);
    drop(server);
    let mut server = world.accept().await;
    assert_eq!(sending.state(), SendState::NotConfirmed);
    let connect = server.connected().await;
    assert_eq!((connect.resume_token.as_str(), connect.cursor.as_str()), ("resume", "cursor"));
    let (id, _) = server.next().await;
    server.reply(id, Frame::Sync(page("later"))).await;
    let (id, again) = server.send().await;
    assert!(again.retry);
    assert_eq!(client::Send { retry: false, ..again }, first);
    server.reply(id, sent(3)).await;
    assert_eq!(sending.stored().await.unwrap().seq, 3);
    assert_eq!(*world.tokens.reasons.lock().await, [TokenReason::First]);
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_is_obeyed_and_nothing_overtakes() {
    let mut world = World::new(|_| {});
    let mut server = world.greet().await;
    let mut first = world.client.send(Outgoing::text("c", "1")).await.unwrap();
    let mut second = world.client.send(Outgoing::text("c", "2")).await.unwrap();
    let (id, send) = server.send().await;
    let refused_at = posthorn_clock::Instant::now();
    server.refuse(id, Failure::plain(Code::RateLimited).retry_after_ms(700)).await;
    let (id, again) = server.send().await;
    assert!(refused_at.elapsed() >= Duration::from_millis(700));
    assert_eq!(again, send);
    server.reply(id, sent(2)).await;
    let (id, next) = server.send().await;
    assert_eq!(next.body.unwrap().text, "2");
    server.reply(id, sent(3)).await;
    assert_eq!((first.stored().await.unwrap().seq, second.stored().await.unwrap().seq), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_while_away_goes_out_in_order_and_the_queue_is_bounded() {
    let mut world = World::new(|config| config.max_queued_sends = 2);
    for text in ["1", "2"] {
        world.client.send(Outgoing::text("c", text)).await.unwrap();
    }
    assert!(world.client.send(Outgoing::text("c", "3")).await.unwrap_err().retryable());
    let mut server = world.greet().await;
    for (text, seq) in [("1", 2), ("2", 3)] {
        let (id, send) = server.send().await;
        assert_eq!(send.body.unwrap().text, text);
        server.reply(id, sent(seq)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_close_code_says_whether_to_come_back() {
    let mut world = World::new(|_| {});
    let server = world.greet().await;
    server.close(Code::SlowConsumer).await;
    let server = world.greet().await;
    server.close(Code::TokenRevoked).await;
    assert!(matches!(world.ended().await, Reason::Server(failure) if failure.code == Code::TokenRevoked));
    assert!(world.client.send(Outgoing::text("c", "x")).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_new_token_is_asked_for_when_one_is_needed_and_not_for_ever() {
    let mut world = World::new(|_| {});
    let mut server = world.accept().await;
    let (id, connect) = server.connect().await;
    assert_eq!(connect.token, "token-1");
    server.refuse(id, Failure::plain(Code::TokenExpired)).await;
    let mut server = world.accept().await;
    assert_eq!(server.connected().await.token, "token-2");
    server.reply(0, Frame::TokenExpiring(client::TokenExpiring::default())).await;
    server.reply(0, Frame::TokenExpiring(client::TokenExpiring::default())).await;
    let mut refreshed = Vec::new();
    while refreshed.is_empty() {
        if let (_, Request::Refresh(refresh)) = server.next().await {
            refreshed.push(refresh.token);
        }
    }
    assert_eq!(refreshed, ["token-3"]);
    drop(server);
    for _ in 0..2 {
        let mut server = world.accept().await;
        let (id, _) = server.connect().await;
        server.refuse(id, Failure::plain(Code::Unauthenticated)).await;
    }
    assert!(matches!(world.ended().await, Reason::Server(failure) if failure.code == Code::Unauthenticated));
    let reasons = world.tokens.reasons.lock().await.clone();
    use TokenReason::{Expiring, First, Refused};
    assert_eq!(reasons, [First, Expiring, Expiring, Refused]);
}

#[tokio::test(start_paused = true)]
async fn asked_to_reconnect_it_leaves_within_the_window_with_the_resume_token() {
    let mut world = World::new(|_| {});
    let mut server = world.greet().await;
    let told_at = posthorn_clock::Instant::now();
    let window =
        Reconnect { delay_min_ms: 1_000, delay_max_ms: 3_000, resume_token: "other".into(), code: String::new() };
    server.reply(0, Frame::Reconnect(window)).await;
    let mut next = world.accept().await;
    let waited = told_at.elapsed();
    assert!((Duration::from_secs(1)..=Duration::from_secs(3)).contains(&waited), "{waited:?}");
    assert_eq!(next.connect().await.1.resume_token, "other");
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_left() {
    let mut world = World::new(|_| {});
    let server = world.greet().await;
    let began = posthorn_clock::Instant::now();
    let mut again = world.accept().await;
    assert!(began.elapsed() < Duration::from_secs(100));
    again.connected().await;
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn another_generation_begins_anew() {
    let mut world = World::new(|_| {});
    let mut server = world.greet().await;
    server.entries(&[1, 2, 3]).await;
    assert_eq!(seqs(world.told().await), [1, 2, 3]);
    drop(server);
    let mut server = world.accept().await;
    let (id, _) = server.connect().await;
    let connected = Connected { user: "ada".into(), generation: 4, reset: true, ..Connected::default() };
    server.reply(id, Frame::Connected(connected)).await;
    assert_eq!(world.told().await, Event::Reset { generation: 4 });
    let (id, Request::Sync(sync)) = server.next().await else { panic!("no sync") };
    assert_eq!(sync.cursor, "");
    let restored = client::Conversation { conversation: "c".into(), end_seq: 2, ..client::Conversation::default() };
    server.reply(id, Frame::Sync(SyncPage { conversations: vec![restored], generation: 4, ..page("new") })).await;
    assert!(matches!(world.told().await, Event::Conversation(_)));
    server.entries(&[3]).await;
    assert_eq!(seqs(world.told().await), [3]);
}

/// The next request, which must be to watch.
async fn watch(server: &mut Server) -> (u64, Vec<String>) {
    match server.next().await {
        (id, Request::WatchPresence(watch)) => (id, watch.users),
        other => panic!("{other:?}"),
    }
}

fn watched(user: &str, status: client::Status) -> Frame {
    let now = client::PresenceNow { user: user.into(), status: status.into(), last_seen_ms: 0 };
    Frame::PresenceWatched(client::PresenceWatched { now: vec![now] })
}

#[tokio::test(start_paused = true)]
async fn whoever_was_watched_is_watched_again_after_a_reconnect() {
    let mut world = World::new(|_| {});
    let mut server = world.greet().await;
    let ask = |users: &[&str]| {
        let (client, users) = (world.client.clone(), users.iter().map(|&user| user.to_owned()).collect());
        async move { client.watch_presence(client::WatchPresence { users }).await }
    };
    let answer = async {
        let (id, users) = watch(&mut server).await;
        assert_eq!(users, ["ben", "cyd"]);
        server.reply(id, watched("ben", client::Status::Online)).await;
    };
    let (taken, ()) = tokio::join!(ask(&["ben", "cyd"]), answer);
    assert_eq!(taken.unwrap().now[0].user, "ben");
    // One that was refused does not count.
    let refuse = async {
        let (id, _) = watch(&mut server).await;
        server.refuse(id, Failure::plain(Code::TooManyWatched)).await;
    };
    assert!(tokio::join!(ask(&["dan"]), refuse).0.is_err());

    drop(server);
    let mut server = world.greet().await;
    let (id, users) = watch(&mut server).await;
    assert_eq!(users, ["ben", "cyd"]);
    server.refuse(id, Failure::plain(Code::Unavailable)).await;
    // It asks until it is answered, and the application is told what is the case.
    let (id, users) = watch(&mut server).await;
    assert_eq!(users, ["ben", "cyd"]);
    server.reply(id, watched("ben", client::Status::Offline)).await;
    let Event::Presence(now) = world.told().await else { panic!("not told") };
    assert_eq!((now.user.as_str(), now.status()), ("ben", client::Status::Offline));

    // Events without a conversation to read them from were lost: the same.
    server.reply(0, Frame::Resync(client::Resync::default())).await;
    let (id, _) = server.next().await;
    server.reply(id, Frame::Sync(page("later"))).await;
    assert_eq!(watch(&mut server).await.1, ["ben", "cyd"]);
}

#[tokio::test(start_paused = true)]
async fn who_watches_nobody_asks_for_nothing_after_a_reconnect() {
    let mut world = World::new(|_| {});
    drop(world.greet().await);
    let mut server = world.greet().await;
    world.client.send(Outgoing::text("c", "hello")).await.unwrap();
    server.send().await;
}

struct Panics(mpsc::UnboundedSender<u64>);

impl Observer for Panics {
    fn frame(&self, _frame: &ServerFrame) {
        panic!("on purpose");
    }
    fn event(&self, event: Event) {
        if let Event::Entries { entries, .. } = event {
            for entry in &entries {
                let _ = self.0.send(entry.seq);
            }
            panic!("on purpose");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_callback_kills_the_client() {
    let (tx, mut seen) = mpsc::unbounded_channel();
    let (_, events) = mpsc::channel(1);
    let mut world = World::with_sink(Sink::Observer(Arc::new(Panics(tx))), events, |_| {});
    let mut server = world.greet().await;
    server.entries(&[1]).await;
    server.entries(&[2]).await;
    assert_eq!((seen.recv().await, seen.recv().await), (Some(1), Some(2)));
}

#[tokio::test(start_paused = true)]
async fn an_application_that_does_not_listen_stops_the_reading_and_loses_nothing() {
    let (sink, events) = Sink::channel(1);
    let mut world = World::with_sink(sink, events, |_| {});
    let mut server = world.greet().await;
    for seq in 1..=50 {
        server.entries(&[seq]).await;
    }
    sleep(Duration::from_secs(1)).await;
    let mut all = Vec::new();
    while all.len() < 50 {
        all.extend(seqs(world.told().await));
    }
    assert_eq!(all, (1..=50).collect::<Vec<_>>());
}
