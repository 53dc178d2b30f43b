//! What a client tells the application.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use posthorn_errors::Failure;
use posthorn_proto::client::{Conversation, Entry, Marks, PresenceNow, Registers, ServerFrame, TypingNow};
use tokio::sync::mpsc;

#[derive(Clone, Debug, PartialEq)]
pub enum ConnectionState {
    /// Attempt 0 is the first; `reason` is why the last connection, or attempt, ended.
    Connecting {
        attempt: u32,
        reason: Option<Reason>,
    },
    Connected {
        session: String,
        resumed: bool,
        generation: u64,
    },
    /// For good: the client does not come back.
    Disconnected {
        reason: Reason,
    },
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    Application,
    Network(String),
    /// The server said why.
    Server(Failure),
    /// The server closed with this code and said nothing.
    Closed(u16),
    /// The application gave no token.
    Token(String),
}

/// Why entries are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// The user may not see them.
    Hidden,
    /// Visible, but the server does not give them.
    Missing,
    /// More than `max_fill_entries`, or said before the user joined: read them with `history` where needed.
    TooFar,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    State(ConnectionState),
    /// Ascending, each once, without a hole to what came before.
    Entries {
        conversation: Arc<str>,
        entries: Vec<Entry>,
    },
    /// In place of the entries `from..=to`.
    Gap {
        conversation: Arc<str>,
        from: u64,
        to: u64,
        gap: Gap,
    },
    /// As a sync found it: new, or changed while the client was away.
    Conversation(Box<Conversation>),
    /// A sync is complete.
    Synced {
        total_unread: u64,
    },
    /// The server was restored from a backup: what was seen before may be gone. Entries of the new
    /// generation begin where a sync finds each conversation.
    Reset {
        generation: u64,
    },
    /// Of others: never less than an event said before.
    Marks(Marks),
    Typing(TypingNow),
    Presence(PresenceNow),
    /// One's own as they are known now, by whichever device they changed, also by an own mark.
    Registers(Box<Registers>),
}

/// Is called in the client's own task: it must be quick. What it panics with is logged.
pub trait Observer: Send + Sync {
    /// Every frame as it came, before the client has looked at it. `connected` begins a connection.
    fn frame(&self, _frame: &ServerFrame) {}
    fn event(&self, _event: Event) {}
}

/// Where events go.
#[derive(Clone)]
pub enum Sink {
    /// While the channel is full the client reads nothing from its connection.
    Channel(mpsc::Sender<Event>),
    Observer(Arc<dyn Observer>),
}

impl Sink {
    #[must_use]
    pub fn channel(capacity: usize) -> (Self, mpsc::Receiver<Event>) {
        let (tx, rx) = mpsc::channel(capacity.max(1));
        (Self::Channel(tx), rx)
    }

    pub(crate) fn frame(&self, frame: &ServerFrame) {
        if let Self::Observer(observer) = self {
            guarded(|| observer.frame(frame));
        }
    }

    /// Gives the event, or gives it back where there is no room.
    pub(crate) fn offer(&self, event: Event) -> Result<(), Event> {
        match self {
            Self::Observer(observer) => guarded(|| observer.event(event)),
            Self::Channel(tx) => match tx.try_send(event) {
                Err(mpsc::error::TrySendError::Full(event)) => return Err(event),
                // Nobody listens any more.
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
            },
        }
        Ok(())
    }

    /// Returns when there is room. Cancel-safe.
    pub(crate) async fn room(&self) {
        if let Self::Channel(tx) = self {
            drop(tx.reserve().await);
        }
    }
}

fn guarded(call: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(call)).is_err() {
        tracing::error!("an observer panicked");
    }
}
