//! Frames to bytes and back, in both encodings.

use bytes::Bytes;
use posthorn_errors::{Code, Failure};
use posthorn_proto::client::{
    Body, ClientFrame, ConversationKind, Entry, Error, Kind, Membership, Role, ServerFrame, Style, Visibility,
    server_frame::Frame,
};
use prost::Message;
use serde::Deserialize;

/// Deepest nesting of a JSON frame; the protocol itself needs five.
const MAX_JSON_DEPTH: usize = 32;

/// The encoding of a connection, chosen by its subprotocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `posthorn.v1.json`: text messages.
    Json,
    /// `posthorn.v1.proto`: binary messages.
    Proto,
}

impl Protocol {
    pub const ALL: [Self; 2] = [Self::Json, Self::Proto];

    /// As in `Sec-WebSocket-Protocol`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "posthorn.v1.json",
            Self::Proto => "posthorn.v1.proto",
        }
    }
}

/// A frame that is none, with the request's id where that much could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub id: u64,
    pub failure: Failure,
}

impl Malformed {
    fn new(id: u64, why: impl std::fmt::Display) -> Self {
        Self { id, failure: Failure::new(Code::MalformedFrame, format!("{}: {why}", Code::MalformedFrame.summary())) }
    }
}

pub(crate) fn decode(protocol: Protocol, payload: Bytes) -> Result<ClientFrame, Malformed> {
    match protocol {
        Protocol::Proto => ClientFrame::decode(payload).map_err(|error| Malformed::new(0, error)),
        Protocol::Json => decode_json(&payload),
    }
}

fn decode_json(payload: &[u8]) -> Result<ClientFrame, Malformed> {
    #[derive(Deserialize)]
    struct OnlyId {
        #[serde(default)]
        id: u64,
    }
    if nested_deeper_than(payload, MAX_JSON_DEPTH) {
        return Err(Malformed::new(0, format_args!("nested deeper than {MAX_JSON_DEPTH}")));
    }
    serde_json::from_slice(payload).map_err(|error| {
        let is_object = payload.trim_ascii_start().starts_with(b"{");
        let id = serde_json::from_slice::<OnlyId>(payload).ok().filter(|_| is_object).map_or(0, |only| only.id);
        // The position is told, what stands there is not: it may be a secret.
        let why = if error.is_data() { "a field has the wrong type" } else { "not JSON" };
        Malformed::new(id, format_args!("{why} at line {} column {}", error.line(), error.column()))
    })
}

/// serde bounds the recursion only where it recurses; unknown fields it skips at any depth.
fn nested_deeper_than(json: &[u8], max: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for &byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > max {
                    return true;
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

pub(crate) fn encode(protocol: Protocol, frame: &ServerFrame) -> Bytes {
    match protocol {
        Protocol::Proto => frame.encode_to_vec().into(),
        Protocol::Json => serde_json::to_vec(frame)
            .or_else(|_| serde_json::to_vec(&without_unknown_words(frame.clone())))
            // Nothing else in a frame has no JSON.
            .expect("frames are plain messages")
            .into(),
    }
}

/// An entry that a later version stored may be of a kind for which there is no word here yet. Its place is kept, as
/// clients keep it.
fn without_unknown_words(mut frame: ServerFrame) -> ServerFrame {
    let entries: Vec<&mut Entry> = match &mut frame.frame {
        Some(Frame::Entries(new)) => new.entries.iter_mut().collect(),
        Some(Frame::History(page)) => page.entries.iter_mut().collect(),
        Some(Frame::Sync(page)) => page.conversations.iter_mut().filter_map(|c| c.preview.as_mut()).collect(),
        _ => Vec::new(),
    };
    for entry in entries {
        entry.kind = Kind::try_from(entry.kind).unwrap_or_default().into();
        if let Some(body) = &mut entry.body {
            known_words(body);
        }
    }
    frame
}

fn known_words(body: &mut Body) {
    let role = |member: &mut Membership| member.role = Role::try_from(member.role).unwrap_or_default().into();
    body.style = Style::try_from(body.style).unwrap_or_default().into();
    body.member.as_mut().map(role);
    if let Some(created) = &mut body.created {
        created.kind = ConversationKind::try_from(created.kind).unwrap_or_default().into();
        created.visibility = Visibility::try_from(created.visibility).unwrap_or_default().into();
        created.members.iter_mut().for_each(role);
    }
}

pub(crate) fn reply(protocol: Protocol, id: u64, frame: Frame) -> Bytes {
    encode(protocol, &ServerFrame { id, frame: Some(frame) })
}

pub(crate) fn error(protocol: Protocol, id: u64, failure: &Failure) -> Bytes {
    reply(protocol, id, Frame::Error(Error::from(failure)))
}

#[cfg(test)]
mod tests {
    use posthorn_proto::client::{Created, Entries, Send, client_frame::Request};

    use super::*;

    fn json(text: &str) -> Result<ClientFrame, Malformed> {
        decode(Protocol::Json, Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn both_encodings_say_the_same() {
        let send = Send {
            conversation: "lobby".into(),
            message_id: "019a".into(),
            after_seq: 7,
            body: Some(Body { text: "hé \"you\"".into(), ..Body::default() }),
            ..Send::default()
        };
        let frame = ClientFrame { id: 3, traceparent: String::new(), request: Some(Request::Send(send)) };
        let text = r#"{"id":3,"send":{"conversation":"lobby","message_id":"019a","after_seq":7,
            "body":{"text":"hé \"you\""},"from_the_future":[{"a":1}]}}"#;
        assert_eq!(json(text), Ok(frame.clone()));
        assert_eq!(decode(Protocol::Proto, frame.encode_to_vec().into()), Ok(frame));
    }

    #[test]
    fn an_entry_of_a_later_version_keeps_its_place_in_json() {
        let member = Membership { user: "ada".into(), role: 99 };
        let created = Created { kind: 99, visibility: 99, members: vec![member.clone()], ..Created::default() };
        let body = Body { style: 99, member: Some(member), created: Some(created), ..Body::default() };
        let later = Entry { seq: 2, kind: 99, author: "ada".into(), body: Some(body), ..Entry::default() };
        let entries = vec![Entry { seq: 1, kind: Kind::Message.into(), ..Entry::default() }, later];
        let frame = Frame::Entries(Entries { conversation: "lobby".into(), entries });
        let text = encode(Protocol::Json, &ServerFrame { id: 0, frame: Some(frame) });
        let shown: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(shown["entries"]["entries"][0]["kind"], "message");
        let later = &shown["entries"]["entries"][1];
        assert_eq!(
            (&later["seq"], &later["author"], &later["kind"]),
            (&2.into(), &"ada".into(), &serde_json::Value::Null)
        );
    }

    #[test]
    fn a_request_of_another_version_is_a_frame_without_a_request() {
        let frame = json(r#"{"id":4,"teleport":{"to":"mars"}}"#).unwrap();
        assert_eq!((frame.id, frame.request), (4, None));
    }

    #[test]
    fn malformed_frames_are_named_with_their_id_where_it_can_be_read() {
        for (text, id) in [
            ("", 0),
            ("hello", 0),
            ("[1]", 0),
            (r#"{"id":"x"}"#, 0),
            (r#"{"id":7,"send":{"#, 0),
            (r#"{"id":7,"send":[]}"#, 7),
            (r#"{"id":7,"send":{"after_seq":"many"}}"#, 7),
            (r#"{"id":7,"ping":{},"typing":{}}"#, 7),
        ] {
            let malformed = json(text).expect_err(text);
            assert_eq!((malformed.failure.code, malformed.id), (Code::MalformedFrame, id), "{text}");
        }
        let garbage = decode(Protocol::Proto, Bytes::from_static(&[0xff; 9]));
        assert_eq!(garbage.unwrap_err().failure.code, Code::MalformedFrame);
    }

    #[test]
    fn nesting_is_bounded_even_where_nobody_reads_it() {
        let nest = |n: usize| format!(r#"{{"id":1,"ping":{{}},"x":{}{}}}"#, "[".repeat(n), "]".repeat(n));
        assert!(json(&nest(MAX_JSON_DEPTH - 1)).is_ok());
        assert!(json(&nest(MAX_JSON_DEPTH)).is_err());
        assert!(json(&nest(100_000)).is_err());
        let brackets_in_a_text = format!(r#"{{"id":1,"ping":{{}},"x":"\"{}"}}"#, "[".repeat(100));
        assert!(json(&brackets_in_a_text).is_ok());
    }

    #[test]
    fn what_was_sent_never_comes_back_in_an_error() {
        let malformed = json(r#"{"id":1,"connect":{"token":"secret.token" oops}}"#).unwrap_err();
        assert!(!malformed.failure.message.contains("secret"), "{}", malformed.failure.message);
    }

    #[test]
    fn no_bytes_make_the_decoders_panic() {
        let clock = posthorn_clock::Clock::simulated(11, 0);
        let text = r#"{"id":3,"send":{"conversation":"lobby","after_seq":7,"mentions":["a"],"body":{"text":"hé"}}}"#;
        let frame = json(text).unwrap().encode_to_vec();
        for _ in 0..5_000 {
            for (protocol, good) in [(Protocol::Json, text.as_bytes()), (Protocol::Proto, &frame)] {
                let mut bytes = good.to_vec();
                for _ in 0..=clock.below(4) {
                    let at = usize::try_from(clock.below(bytes.len() as u64)).unwrap();
                    match clock.below(3) {
                        0 => bytes[at] = clock.random().to_be_bytes()[0],
                        1 => bytes.truncate(at.max(1)),
                        _ => bytes.extend_from_within(at..),
                    }
                }
                if let Err(malformed) = decode(protocol, bytes.into()) {
                    assert_eq!(malformed.failure.code, Code::MalformedFrame);
                }
            }
        }
    }
}
