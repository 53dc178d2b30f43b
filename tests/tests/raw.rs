//! A client without the SDK: what goes over the wire, and nothing between it and the test.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use axum::http::{HeaderValue, Uri, header};
use futures_util::{SinkExt, StreamExt};
use posthorn_client::{
    Format,
    proto::{
        Body, ClientFrame, Connect, Connected, Entry, Pong, Send, Sent, ServerFrame, client_frame::Request,
        server_frame::Frame,
    },
};
use posthorn_clock::{Clock, timeout};
use posthorn_testkit::Tenant;
use prost::Message as _;
use tokio::net::TcpStream;
use tokio_websockets::{ClientBuilder, Message, WebSocketStream};

/// How long a test waits for what must come, on a slow machine.
const WAIT: Duration = Duration::from_secs(30);

/// Asks, and takes the reply that is named; any other is an error.
macro_rules! ask {
    ($who:expr, $request:ident { $($field:ident: $value:expr,)* ..$rest:expr } => $frame:ident) => {{
        #[allow(clippy::needless_update, reason = "some requests are given whole")]
        let request = posthorn_client::proto::$request { $($field: $value,)* ..$rest };
        match $who.ask(posthorn_client::proto::client_frame::Request::$request(request)).await? {
            posthorn_client::proto::server_frame::Frame::$frame(answer) => answer,
            other => anyhow::bail!("{} was answered with {other:?}", stringify!($request)),
        }
    }};
    ($who:expr, $request:ident { $($field:ident: $value:expr),* $(,)? } => $frame:ident) => {
        ask!($who, $request { $($field: $value,)* ..Default::default() } => $frame)
    };
}

/// Asks, and checks that it is refused with this code.
macro_rules! refused {
    ($who:expr, $request:ident { $($fields:tt)* } => $code:expr) => {{
        let error = ask!($who, $request { $($fields)* } => Error);
        anyhow::ensure!(error.code == $code, "{}: {error:?}, not {}", stringify!($request), $code);
    }};
}

pub(crate) use {ask, refused};

/// One WebSocket. Replies and events are kept until they are asked for.
pub struct Raw {
    stream: WebSocketStream<TcpStream>,
    format: Format,
    next: u64,
    replies: BTreeMap<u64, Frame>,
    pub events: VecDeque<Frame>,
    pub connected: Connected,
}

enum Came {
    Frame(Box<ServerFrame>),
    Closed(u16, String),
}

impl Raw {
    /// A socket on which nothing was said yet.
    pub async fn open(ws: &str, format: Format) -> Result<Self> {
        let uri: Uri = ws.parse()?;
        let tcp = TcpStream::connect(uri.authority().context("no authority")?.as_str()).await?;
        let protocol = match format {
            Format::Json => "posthorn.v1.json",
            Format::Proto => "posthorn.v1.proto",
        };
        let builder = ClientBuilder::from_uri(uri);
        let builder = builder.add_header(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol))?;
        let (stream, _) = builder.connect_on(tcp).await?;
        let (replies, events, connected) = (BTreeMap::new(), VecDeque::new(), Connected::default());
        Ok(Self { stream, format, next: 1, replies, events, connected })
    }

    /// The user, made if not there, on `device`.
    pub async fn join(tenant: &Tenant, user: &str, device: &str, format: Format) -> Result<Self> {
        tenant.user(user).await?;
        let token = tenant.token_of(user, device, "unlimited", 3_600).await?;
        Self::connect(&tenant.ws, format, Connect { token, ..Connect::default() }).await
    }

    pub async fn connect(ws: &str, format: Format, connect: Connect) -> Result<Self> {
        let mut raw = Self::open(ws, format).await?;
        match raw.ask(Request::Connect(connect)).await? {
            Frame::Connected(connected) => raw.connected = connected,
            other => bail!("connect was answered with {other:?}"),
        }
        Ok(raw)
    }

    /// Sends a request and does not wait; its id.
    pub async fn post(&mut self, request: Request) -> Result<u64> {
        let id = self.next;
        self.next += 1;
        self.send(&ClientFrame { id, request: Some(request), ..ClientFrame::default() }).await?;
        Ok(id)
    }

    pub async fn send(&mut self, frame: &ClientFrame) -> Result<()> {
        let message = match self.format {
            Format::Json => Message::text(serde_json::to_string(frame)?),
            Format::Proto => Message::binary(frame.encode_to_vec()),
        };
        Ok(self.stream.send(message).await?)
    }

    pub async fn ask(&mut self, request: Request) -> Result<Frame> {
        let id = self.post(request).await?;
        self.reply(id).await
    }

    pub async fn reply(&mut self, id: u64) -> Result<Frame> {
        loop {
            if let Some(reply) = self.replies.remove(&id) {
                return Ok(reply);
            }
            self.take().await?;
        }
    }

    /// The first event that `wanted` finds something in; the others stay.
    pub async fn until<T>(&mut self, mut wanted: impl FnMut(&Frame) -> Option<T>) -> Result<T> {
        let mut looked = 0;
        loop {
            while looked < self.events.len() {
                if let Some(found) = wanted(&self.events[looked]) {
                    self.events.remove(looked);
                    return Ok(found);
                }
                looked += 1;
            }
            self.take().await?;
        }
    }

    /// The entries of a conversation as they came, until `seq` has come.
    pub async fn entries_to(&mut self, conversation: &str, seq: u64) -> Result<Vec<Entry>> {
        let mut all: Vec<Entry> = Vec::new();
        while all.last().is_none_or(|entry| entry.seq < seq) {
            let next = self.until(|event| match event {
                Frame::Entries(entries) if entries.conversation == conversation => Some(entries.entries.clone()),
                _ => None,
            });
            all.extend(next.await?);
        }
        Ok(all)
    }

    /// Says something under a new `message_id`.
    pub async fn say(&mut self, conversation: &str, text: &str) -> Result<Sent> {
        let send = Send { conversation: conversation.into(), ..text_of(text) };
        match self.ask(Request::Send(send)).await? {
            Frame::Sent(sent) => Ok(sent),
            other => bail!("send was answered with {other:?}"),
        }
    }

    /// Reads on until the server has closed: its close code and word.
    pub async fn closed(&mut self) -> Result<(u16, String)> {
        loop {
            match self.read().await? {
                Came::Frame(frame) => self.keep(*frame),
                Came::Closed(code, word) => return Ok((code, word)),
            }
        }
    }

    async fn take(&mut self) -> Result<()> {
        match self.read().await? {
            Came::Frame(frame) if matches!(frame.frame, Some(Frame::Ping(_))) => {
                let request = Some(Request::Pong(Pong {}));
                self.send(&ClientFrame { request, ..ClientFrame::default() }).await
            }
            Came::Frame(frame) => {
                self.keep(*frame);
                Ok(())
            }
            Came::Closed(code, word) => bail!("the server closed with {code} {word}"),
        }
    }

    fn keep(&mut self, ServerFrame { id, frame }: ServerFrame) {
        match (id, frame) {
            (_, None) => {}
            (0, Some(event)) => self.events.push_back(event),
            (id, Some(reply)) => drop(self.replies.insert(id, reply)),
        }
    }

    async fn read(&mut self) -> Result<Came> {
        loop {
            let next = timeout(WAIT, self.stream.next()).await;
            let message = next.context("nothing came in time")?.context("the stream ended")??;
            if let Some((code, word)) = message.as_close() {
                return Ok(Came::Closed(code.into(), word.to_owned()));
            }
            if message.is_ping() || message.is_pong() {
                continue;
            }
            ensure!(message.is_text() == (self.format == Format::Json), "a message of the wrong type");
            let payload = message.as_payload();
            let frame = match self.format {
                Format::Json => serde_json::from_slice(payload)?,
                Format::Proto => ServerFrame::decode(&payload[..])?,
            };
            return Ok(Came::Frame(Box::new(frame)));
        }
    }
}

/// A send to nobody yet, with an id of its own.
pub fn text_of(text: &str) -> Send {
    let body = Some(Body { text: text.into(), ..Body::default() });
    Send { message_id: Clock::system().uuid_v7().to_string(), body, ..Send::default() }
}

/// What was said, in the order of the log.
pub fn texts(entries: &[Entry]) -> Vec<&str> {
    entries.iter().filter_map(|entry| entry.body.as_ref()).map(|body| body.text.as_str()).collect()
}

pub fn seqs(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.seq).collect()
}
