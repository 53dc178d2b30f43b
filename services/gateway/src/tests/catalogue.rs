//! The catalogue of bad inputs: what is sent, and what it must be answered with. Afterwards the door is open, and
//! somebody who did nothing wrong is served.

mod bodies;
mod framing;
mod groups;
mod http;
mod json;
mod page;
mod pages;
mod protobuf;
mod requests;
mod tokens;
mod upgrade;
mod utf8;

use std::fmt;

use serde_json::{Value, json};

use super::{
    place::{OTHER, Place, TENANT},
    wire::{Came, Wire},
};
use crate::ws::Protocol::{self, Json, Proto};

/// How many inputs there are at least.
const AT_LEAST: usize = 120;

/// The reply's id that inputs ask under, and that of the question after them.
const ID: u64 = 7;
const AFTER: u64 = 99;

/// What is sent, as it is.
pub enum How {
    /// An HTTP request on a new socket.
    Http(Vec<u8>),
    /// On a WebSocket that has said nothing yet.
    Fresh(Protocol, Vec<u8>),
    /// On a connection of `ada`.
    Connected(Protocol, Vec<u8>),
}

/// What comes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The `error` of the reply; the connection goes on.
    Refused(String),
    /// The close code, and where it is one of ours the word, which the error before it has too.
    Closed(u16, String),
    /// Harmless: answered with this reply, and the connection goes on.
    Taken(String),
    /// HTTP: the status, and the code of the problem document.
    Problem(u16, String),
    /// HTTP: a status alone, where no request could be read.
    Status(u16),
    /// The socket ends without a word.
    Ended,
    /// None of these.
    Other(String),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(code) => write!(f, "error `{code}`"),
            Self::Closed(close, word) if word.is_empty() => write!(f, "close {close}"),
            Self::Closed(close, word) => write!(f, "close {close} `{word}`"),
            Self::Taken(reply) => write!(f, "taken: `{reply}`"),
            Self::Problem(status, code) => write!(f, "{status} `{code}`"),
            Self::Status(status) => write!(f, "{status}"),
            Self::Ended => write!(f, "the socket ends"),
            Self::Other(what) => write!(f, "{what}"),
        }
    }
}

pub struct Bad {
    pub name: String,
    /// In words.
    pub input: String,
    pub how: How,
    pub expected: Answer,
}

pub fn bad(name: &str, input: &str, how: How, expected: Answer) -> Bad {
    Bad { name: name.to_owned(), input: input.to_owned(), how, expected }
}

pub fn refused(code: &str) -> Answer {
    Answer::Refused(code.to_owned())
}

pub fn closed(close: u16, word: &str) -> Answer {
    Answer::Closed(close, word.to_owned())
}

pub fn problem(status: u16, code: &str) -> Answer {
    Answer::Problem(status, code.to_owned())
}

/// Rows by the heading that they stand under.
pub type Section = (&'static str, Vec<Bad>);

async fn sections(place: &Place) -> Vec<Section> {
    vec![
        ("The opening handshake", upgrade::rows()),
        ("Framing (RFC 6455)", framing::rows()),
        ("Text that is no UTF-8", utf8::rows()),
        ("JSON frames", json::rows()),
        ("Protobuf frames", protobuf::rows()),
        ("Tokens", tokens::rows(place).await),
        ("Requests", requests::rows(place).await),
        ("HTTP", http::rows(place).await),
    ]
}

impl Bad {
    async fn send(&self, place: &Place) -> Answer {
        match &self.how {
            How::Http(request) => match place.http(request).await {
                Some((status, body)) if body["code"].is_string() => {
                    problem(status, body["code"].as_str().unwrap_or_default())
                }
                Some((status, _)) => Answer::Status(status),
                None => Answer::Ended,
            },
            How::Fresh(protocol, bytes) => {
                let mut wire = Wire::open(place, *protocol).await;
                wire.write(bytes).await;
                self.answer(wire).await
            }
            How::Connected(protocol, bytes) => {
                let mut wire = place.connected(*protocol, TENANT, "ada").await;
                wire.write(bytes).await;
                self.answer(wire).await
            }
        }
    }

    async fn answer(&self, mut wire: Wire) -> Answer {
        let goes_on = matches!(self.expected, Answer::Refused(_) | Answer::Taken(_));
        if goes_on {
            wire.ask(&json!({ "id": AFTER, "ping": {} })).await;
        }
        let (mut reply, mut error, mut after) = (None, None, false);
        loop {
            match wire.read().await {
                Some(Came::Frame(frame)) => {
                    if let Some(code) = frame["error"]["code"].as_str() {
                        error = Some(code.to_owned());
                    }
                    if frame["id"] == ID {
                        reply = Some(answer_of(&frame));
                    }
                    // Replies may come in any order.
                    after |= frame["id"] == AFTER;
                    if goes_on && after && reply.is_some() {
                        return reply.unwrap_or(Answer::Ended);
                    }
                }
                Some(Came::Control) => {}
                Some(Came::Closed(close, word)) if close >= 4000 => {
                    let told = error.as_ref().is_none_or(|code| *code == word);
                    return if told {
                        Answer::Closed(close, word)
                    } else {
                        Answer::Other(format!("{error:?}, {word}"))
                    };
                }
                Some(Came::Closed(close, _)) => return closed(close, ""),
                Some(Came::End) => return Answer::Ended,
                None => return Answer::Other("hangs".into()),
            }
        }
    }
}

fn answer_of(frame: &Value) -> Answer {
    if let Some(code) = frame["error"]["code"].as_str() {
        return refused(code);
    }
    let name = frame.as_object().into_iter().flat_map(|fields| fields.keys()).find(|name| *name != "id");
    Answer::Taken(name.cloned().unwrap_or_default())
}

/// People, conversations and a neighbour who does nothing wrong.
async fn furnished() -> (Place, Wire) {
    let place = Place::new().await;
    place.group(TENANT, "club", "ada", &[("bob", "admin"), ("cyd", "member")]).await;
    place.group(TENANT, "team", "bob", &[("ada", "member"), ("cyd", "member")]).await;
    place.group(TENANT, "board", "dan", &[("cyd", "member")]).await;
    place.group(TENANT, "late", "bob", &[]).await;
    let mut bob = place.person(TENANT, "bob").await;
    bob.say("late", 1, "before the time of ada").await.unwrap();
    bob.ask("add_members", json!({ "conversation": "late", "members": [{ "user": "ada" }] })).await.unwrap();
    place.group(OTHER, "vault", "eve", &[]).await;
    let neighbour = place.connected(Json, TENANT, "nel").await;
    (place, neighbour)
}

#[tokio::test(start_paused = true)]
async fn every_bad_input_is_answered_as_the_catalogue_says_and_harms_nobody() {
    let (place, mut neighbour) = furnished().await;
    let sections = sections(&place).await;
    let count: usize = sections.iter().map(|(_, rows)| rows.len()).sum();
    assert!(count >= AT_LEAST, "{count}");
    let mut names: Vec<&str> = sections.iter().flat_map(|(_, rows)| rows).map(|row| row.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "two inputs have one name");

    let mut wrong = Vec::new();
    for (title, rows) in &sections {
        println!("{title}");
        for row in rows {
            let got = row.send(&place).await;
            let well = place.is_well(&mut neighbour).await;
            println!("  {:<44} {}", row.name, got);
            if got != row.expected {
                wrong.push(format!("{}: {got}, not {}", row.name, row.expected));
            }
            if !well {
                wrong.push(format!("{}: others are not served after it", row.name));
                neighbour = place.connected(Json, TENANT, "nel").await;
            }
        }
    }
    println!("{count} bad inputs");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    left_nothing_behind(&place).await;
    page::check(&sections);
}

/// Who was let go is forgotten: one connection is left, the neighbour's.
async fn left_nothing_behind(place: &Place) {
    tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    assert_eq!(place.wired.gateway.connections(), 1);
    let metrics = place.wired.gateway.deps.metrics.encode();
    for line in ["posthorn_edge_inflight_handshakes 0", "posthorn_http_in_flight 0"] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in {metrics}");
    }
}
