//! The session of docs/protocol.md is a recording: its client side is played against a real node, and
//! the node's frames must be those of the page, but for ids, times and tokens.
//!
//! `POSTHORN_RECORD=1 cargo test -p posthorn-tests guide` writes the page's server frames anew.

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use axum::http::{HeaderValue, header};
use futures_util::{SinkExt, StreamExt};
use posthorn_client::proto::{ClientFrame, ServerFrame};
use posthorn_clock::timeout;
use posthorn_testkit::{Cluster, ClusterOptions, Tenant, Topology};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_websockets::{ClientBuilder, Message, WebSocketStream};

/// What differs from run to run. A `message_id` is fixed by who sends; the first entry's is the server's.
const VOLATILE: [&str; 10] = [
    "cursor",
    "generation",
    "last_activity_ms",
    "last_seen_ms",
    "resume_token",
    "server",
    "server_time_ms",
    "session",
    "time_ms",
    "token_expires_ms",
];

/// Stands in the page where a person's token was sent.
const TOKEN: &str = "TOKEN OF ";

#[derive(Clone, Debug, PartialEq)]
enum Line {
    /// A frame from the client, and as it is written.
    Says(String, Value, String),
    /// A frame from the server.
    Hears(String, Value),
    /// The network of somebody breaks.
    Cut(String),
    Prose(String),
}

fn page() -> Result<(std::path::PathBuf, Vec<Line>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let lines: Result<Vec<Line>> = text.lines().map(line_of).collect();
    Ok((path, lines?))
}

fn line_of(line: &str) -> Result<Line> {
    let mut words = line.splitn(3, ' ');
    let (who, arrow, rest) = (words.next(), words.next(), words.next());
    let who = who.unwrap_or_default().to_owned();
    let frame = |rest: Option<&str>| serde_json::from_str(rest.unwrap_or_default()).with_context(|| line.to_owned());
    match arrow {
        Some(">") if who == "ada" || who == "ben" => {
            Ok(Line::Says(who, frame(rest)?, rest.unwrap_or_default().to_owned()))
        }
        Some("<") if who == "ada" || who == "ben" => Ok(Line::Hears(who, frame(rest)?)),
        Some("--") if who == "ada" || who == "ben" => Ok(Line::Cut(who)),
        _ => Ok(Line::Prose(line.to_owned())),
    }
}

struct Wire {
    stream: WebSocketStream<TcpStream>,
    /// Parsed, and as they came.
    replies: BTreeMap<u64, (Value, String)>,
    events: VecDeque<(Value, String)>,
}

impl Wire {
    async fn open(ws: &str) -> Result<Self> {
        let uri: axum::http::Uri = ws.parse()?;
        let tcp = TcpStream::connect(uri.authority().context("no authority")?.as_str()).await?;
        let protocol = HeaderValue::from_static("posthorn.v1.json");
        let builder = ClientBuilder::from_uri(uri).add_header(header::SEC_WEBSOCKET_PROTOCOL, protocol)?;
        Ok(Self { stream: builder.connect_on(tcp).await?.0, replies: BTreeMap::new(), events: VecDeque::new() })
    }

    /// The reply to `id`, or the next event (0). Which of the two comes first is not promised.
    async fn hear(&mut self, id: u64) -> Result<(Value, String)> {
        loop {
            let found = if id == 0 { self.events.pop_front() } else { self.replies.remove(&id) };
            if let Some(found) = found {
                return Ok(found);
            }
            let next = timeout(Duration::from_secs(20), self.stream.next()).await.context("nothing came")?;
            let message = next.context("the stream ended")??;
            let text = message.as_text().with_context(|| format!("no text: {message:?}"))?;
            let frame: Value = serde_json::from_str(text)?;
            match frame["id"].as_u64() {
                Some(id) => drop(self.replies.insert(id, (frame, text.to_owned()))),
                None => self.events.push_back((frame, text.to_owned())),
            }
        }
    }
}

/// Plays the page.
struct Play {
    tenant: Tenant,
    wires: BTreeMap<String, Wire>,
    /// Volatile strings of the page and what they are in this run.
    now: Vec<(String, String)>,
}

impl Play {
    async fn say(&mut self, who: &str, text: &str) -> Result<()> {
        let mut text = text.to_owned();
        for (then, now) in &self.now {
            text = text.replace(then.as_str(), now);
        }
        for user in ["ada", "ben"] {
            let token = self.tenant.token_of(user, "phone", "", 3_600).await?;
            text = text.replace(&format!("{TOKEN}{}", user.to_uppercase()), &token);
        }
        if !self.wires.contains_key(who) {
            self.wires.insert(who.to_owned(), Wire::open(&self.tenant.ws).await?);
        }
        let wire = self.wires.get_mut(who).context("nobody")?;
        Ok(wire.stream.send(Message::text(text)).await?)
    }

    async fn hear(&mut self, who: &str, page: &Value) -> Result<(Value, String)> {
        let wire = self.wires.get_mut(who).with_context(|| format!("{who} is not connected"))?;
        let (came, text) = wire.hear(page["id"].as_u64().unwrap_or(0)).await?;
        self.learn(page, &came);
        Ok((came, text))
    }

    fn learn(&mut self, page: &Value, came: &Value) {
        match (page, came) {
            (Value::Object(page), Value::Object(came)) => {
                for (key, then) in page {
                    match (then, came.get(key)) {
                        (Value::String(then), Some(Value::String(now)))
                            if then != now && (VOLATILE.contains(&key.as_str()) || key == "conversation") =>
                        {
                            self.now.push((then.clone(), now.clone()));
                        }
                        (then, Some(now)) => self.learn(then, now),
                        (_, None) => {}
                    }
                }
            }
            (Value::Array(page), Value::Array(came)) => {
                page.iter().zip(came).for_each(|(page, came)| self.learn(page, came));
            }
            _ => {}
        }
    }
}

fn masked(frame: &Value) -> Value {
    match frame {
        Value::Object(fields) => {
            let made_by_server = fields.get("kind").is_some_and(|kind| kind == "created") && fields.contains_key("seq");
            let mask = |(key, value): (&String, &Value)| {
                let volatile = VOLATILE.contains(&key.as_str()) || (made_by_server && key == "message_id");
                let value = match value {
                    Value::String(_) if volatile => "*".into(),
                    Value::Number(_) if volatile => 0.into(),
                    value => masked(value),
                };
                (key.clone(), value)
            };
            Value::Object(fields.iter().map(mask).collect())
        }
        Value::Array(values) => values.iter().map(masked).collect(),
        value => value.clone(),
    }
}

#[test]
fn every_frame_of_the_guide_is_one_of_the_protocol() -> Result<()> {
    let (mut said, mut heard) = (0, 0);
    for line in page()?.1 {
        // Back to JSON: a field that the protocol does not have would be lost on the way.
        let (frame, again) = match line {
            Line::Says(_, frame, _) => {
                said += 1;
                let parsed: ClientFrame = serde_json::from_value(frame.clone())?;
                ensure!(parsed.request.is_some(), "{frame}");
                (frame, serde_json::to_value(parsed)?)
            }
            Line::Hears(_, frame) => {
                heard += 1;
                let parsed: ServerFrame = serde_json::from_value(frame.clone())?;
                ensure!(parsed.frame.is_some(), "{frame}");
                (frame, serde_json::to_value(parsed)?)
            }
            Line::Cut(_) | Line::Prose(_) => continue,
        };
        ensure!(frame == again, "{frame}\nis read as\n{again}");
    }
    ensure!(said > 10 && heard >= said, "{said} and {heard} frames: this is no session");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_of_the_guide_happens_again() -> Result<()> {
    let record = std::env::var_os("POSTHORN_RECORD").is_some();
    let (path, lines) = page()?;
    let cluster = Cluster::start_with(ClusterOptions::new(Topology::Local)).await?;
    let tenant = cluster.tenant("guide").await?;
    for user in ["ada", "ben"] {
        tenant.user(user).await?;
    }
    let mut play = Play { tenant, wires: BTreeMap::new(), now: Vec::new() };
    let (mut again, mut differences) = (String::new(), Vec::new());
    for line in lines {
        let text = match line {
            Line::Prose(text) => text,
            Line::Says(who, _, mut text) => {
                play.say(&who, &text).await.with_context(|| text.clone())?;
                for (then, now) in &play.now {
                    text = text.replace(then.as_str(), now);
                }
                format!("{who} > {text}")
            }
            Line::Cut(who) => {
                play.wires.remove(&who).with_context(|| format!("{who} is not connected"))?;
                format!("{who} -- the network breaks")
            }
            Line::Hears(who, frame) => {
                let (came, text) = play.hear(&who, &frame).await.with_context(|| frame.to_string())?;
                if masked(&came) != masked(&frame) {
                    differences.push(format!("{frame}\nwas, now it is\n{came}"));
                }
                format!("{who} < {text}")
            }
        };
        again.push_str(&text);
        again.push('\n');
    }
    if record {
        std::fs::write(&path, again)?;
    }
    for (who, wire) in &play.wires {
        ensure!(wire.replies.is_empty() && wire.events.is_empty(), "{who} heard more: {:?}", wire.events);
    }
    drop(play);
    cluster.stop().await?;
    if !record && !differences.is_empty() {
        bail!("{}", differences.join("\n\n"));
    }
    Ok(())
}
