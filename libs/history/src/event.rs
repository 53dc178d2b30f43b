//! One thing that a client did or saw.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Milliseconds since the recorder began. Nothing is judged by it: the order of the lines is.
    pub at_ms: u64,
    /// `user` or `user/device`; for what is nobody's doing, any other name.
    pub process: String,
    pub kind: Kind,
    pub op: Op,
}

/// `invoke` begins an operation; `ok`, `fail` (certainly not done) or `info` (unknown) ends it. What only
/// happened is `ok`, or `info` where nobody asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Invoke,
    Ok,
    Fail,
    Info,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Op {
    /// A message that counts as unread for others.
    Send {
        conversation: String,
        /// One of its own within the conversation, the same for every try.
        id: String,
        author: String,
        /// Its [`body_digest`].
        body: u64,
        /// Of an `ok`; else 0.
        #[serde(default, skip_serializing_if = "is_0")]
        seq: u64,
        /// Of an `ok`: an earlier try had stored it.
        #[serde(default, skip_serializing_if = "is_false")]
        again: bool,
    },
    /// Live, in the order in which they came.
    Receive {
        conversation: String,
        /// Number of the process's connection that brought them, from 1; 0: behind the client library, over all.
        #[serde(default, skip_serializing_if = "is_0")]
        connection: u64,
        entries: Vec<Item>,
    },
    /// Of the log. An `invoke` before it is needed while others go on sending.
    Read {
        conversation: String,
        scope: Scope,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        entries: Vec<Item>,
    },
    /// The user sees from the entry at `seq` on.
    Join {
        conversation: String,
        user: String,
        seq: u64,
    },
    /// The user sees up to the entry at `seq`.
    Leave {
        conversation: String,
        user: String,
        seq: u64,
    },
    /// `invoke`: asked for; `ok`: how far the user's marks are, as the process was told. 0: not said.
    Mark {
        conversation: String,
        user: String,
        delivered: u64,
        read: u64,
    },
    /// As answered to the process, with the read mark that it goes with.
    Unread {
        conversation: String,
        read: u64,
        unread: u64,
    },
    /// The process is owed all it may see beyond `after`. Over a connection: a sync said that the log ends there.
    Follow {
        conversation: String,
        /// As in `receive`.
        #[serde(default, skip_serializing_if = "is_0")]
        connection: u64,
        after: u64,
    },
    Connect {
        /// The server went on with the earlier session.
        #[serde(default, skip_serializing_if = "is_false")]
        resumed: bool,
    },
    Disconnect,
    /// A declared hole: entries of these conversations (none named: of all) are to be read from the log.
    Reset {
        /// As in `receive`.
        #[serde(default, skip_serializing_if = "is_0")]
        connection: u64,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        conversations: Vec<String>,
    },
    /// The process is a consumer of the feed and handled these.
    Feed {
        conversation: String,
        entries: Vec<Item>,
    },
    /// What the process, who watches, was told of the user; `null`: unknown.
    Presence {
        user: String,
        online: Option<bool>,
    },
    /// Whether the user really is there.
    Truth {
        user: String,
        online: bool,
    },
    Crash,
    Restart,
    Fault {
        what: String,
    },
    /// Nothing is sent and nothing broken any more; by the end everything has come. A later send, crash or
    /// fault takes it back.
    Settled,
}

/// How much of the log a read is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// A part.
    Page,
    /// All that the reader may see.
    Whole,
    /// All there is, whoever may see it: the application's own read.
    Log,
}

/// One position of a log; `[seq, id, body]` in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    pub seq: u64,
    /// As its send named it; empty: the server made the entry.
    pub id: String,
    /// Its [`body_digest`]; 0: it has none, or it was not looked at.
    pub body: u64,
}

impl Item {
    #[must_use]
    pub fn new(seq: u64, id: impl Into<String>, body: u64) -> Self {
        Self { seq, id: id.into(), body }
    }
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.seq, &self.id, self.body).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (seq, id, body) = Deserialize::deserialize(deserializer)?;
        Ok(Self { seq, id, body })
    }
}

/// FNV-1a of the bytes, folded to the 53 bits that every JSON reader keeps; never 0.
#[must_use]
pub fn body_digest(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, step);
    ((hash >> 53) ^ (hash & ((1 << 53) - 1))).max(1)
}

/// The user that a process acts for.
#[must_use]
pub fn user_of(process: &str) -> &str {
    process.split('/').next().unwrap_or(process)
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
const fn is_0(number: &u64) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_short_and_come_back_as_they_were() {
        let entries = vec![Item::new(7, "x", 5)];
        let receive = Op::Receive { conversation: "c".into(), connection: 0, entries };
        let event = Event { at_ms: 3, process: "ada/phone".into(), kind: Kind::Ok, op: receive };
        let line = serde_json::to_string(&event).unwrap();
        let expect = "{\"at_ms\":3,\"process\":\"ada/phone\",\"kind\":\"ok\",\
                      \"op\":{\"receive\":{\"conversation\":\"c\",\"entries\":[[7,\"x\",5]]}}}";
        assert_eq!(line, expect);
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
        assert_eq!(user_of(&event.process), "ada");
    }

    #[test]
    fn digests_fit_a_json_number() {
        assert_ne!(body_digest(b"a"), body_digest(b"b"));
        for text in ["", "a", "the same again and again"] {
            assert!((1..1 << 53).contains(&body_digest(text.as_bytes())), "{text}");
        }
    }
}
