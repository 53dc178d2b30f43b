//! An event that many connections get: encoded once per encoding, its bytes shared by all of them.

use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use posthorn_proto::client::{PresenceNow, ServerFrame, server_frame::Frame};

use crate::ws::{Protocol, codec};

/// What an overflow of a queue loses with an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// It can be read again from this conversation.
    Conversation(String),
    /// Worth nothing later (typing).
    Moment,
    /// State that no single conversation has (presence).
    Everything,
}

pub(crate) struct Event {
    frame: ServerFrame,
    pub about: About,
    /// When the owner confirmed it, ms since 1970; 0: not an entry.
    confirmed_ms: u64,
    timed: AtomicBool,
    json: OnceLock<Bytes>,
    proto: OnceLock<Bytes>,
}

impl Event {
    pub fn new(frame: Frame, confirmed_ms: u64) -> Self {
        let about = match &frame {
            Frame::Entries(e) => About::Conversation(e.conversation.clone()),
            Frame::Marks(m) => About::Conversation(m.conversation.clone()),
            Frame::Registers(r) => About::Conversation(r.conversation.clone()),
            Frame::Typing(_) | Frame::Ping(_) => About::Moment,
            _ => About::Everything,
        };
        Self {
            frame: ServerFrame { id: 0, frame: Some(frame) },
            about,
            confirmed_ms,
            timed: AtomicBool::new(confirmed_ms == 0),
            json: OnceLock::new(),
            proto: OnceLock::new(),
        }
    }

    /// The payload in this encoding; encoded by the first who asks.
    pub fn bytes(&self, protocol: Protocol) -> &Bytes {
        let cell = match protocol {
            Protocol::Json => &self.json,
            Protocol::Proto => &self.proto,
        };
        cell.get_or_init(|| codec::encode(protocol, &self.frame))
    }

    /// What it tells of a user's presence, if it does.
    pub fn presence(&self) -> Option<&PresenceNow> {
        match &self.frame.frame {
            Some(Frame::Presence(now)) => Some(now),
            _ => None,
        }
    }

    /// For the first connection that wrote it: when it was confirmed.
    pub fn first_written(&self) -> Option<u64> {
        let untimed = !self.timed.load(Ordering::Relaxed) && !self.timed.swap(true, Ordering::Relaxed);
        untimed.then_some(self.confirmed_ms)
    }
}
