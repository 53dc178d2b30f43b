//! How far own messages come, and what is told of it.

use std::collections::BTreeSet;

use posthorn_client::{SendState, Sending};
use posthorn_clock::Uuid;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A new state of an own message.
pub struct Told {
    pub message_id: Uuid,
    /// The user whose direct conversation it was sent to, where the conversation was not known yet.
    pub to: String,
    pub state: SendState,
}

/// Tells how far a send comes; for whoever is leaving, stored is enough.
pub async fn follow(mut sending: Sending, to: String, told: mpsc::Sender<Told>, leaving: CancellationToken) {
    let message_id = sending.message_id;
    let mut state = sending.state();
    loop {
        let over = matches!(state, SendState::Failed(_) | SendState::Read(_));
        let stored = state.stored().is_some();
        if told.send(Told { message_id, to: to.clone(), state: state.clone() }).await.is_err() || over {
            return;
        }
        loop {
            let next = tokio::select! {
                next = sending.next() => next,
                () = leaving.cancelled(), if stored => return,
            };
            match next {
                Some(next) if next == state => {}
                Some(next) => {
                    state = next;
                    break;
                }
                None => return,
            }
        }
    }
}

/// Own messages, for the prompt of a terminal.
#[derive(Default)]
pub struct Ticks {
    open: BTreeSet<Uuid>,
    /// Conversation, seq and state of the latest that was stored.
    latest: Option<(String, u64, &'static str)>,
}

impl Ticks {
    pub fn sent(&mut self, message_id: Uuid) {
        self.open.insert(message_id);
    }

    /// Neither stored nor refused yet.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    pub fn told(&mut self, told: &Told) {
        let word = match &told.state {
            SendState::Stored(_) => "stored",
            SendState::Delivered(_) => "delivered",
            SendState::Read(_) => "read",
            SendState::Failed(_) => {
                self.open.remove(&told.message_id);
                return;
            }
            SendState::Queued | SendState::Sent | SendState::NotConfirmed => return,
        };
        self.open.remove(&told.message_id);
        let Some(stored) = told.state.stored() else { return };
        let older =
            |(conversation, seq, _): &(String, u64, &str)| *conversation == stored.conversation && *seq > stored.seq;
        if !self.latest.as_ref().is_some_and(older) {
            self.latest = Some((stored.conversation.clone(), stored.seq, word));
        }
    }

    /// In few words; nothing where nothing was sent here.
    pub fn words(&self, conversation: &str) -> Option<String> {
        match (&self.latest, self.open()) {
            (_, open) if open > 0 => Some(format!("{open} not stored yet")),
            (Some((of, seq, word)), _) if of == conversation => Some(format!("{seq} {word}")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use posthorn_client::{Stored, proto::Durability};
    use posthorn_errors::{Code, Failure};

    use super::*;

    #[test]
    fn the_latest_message_is_told_of_and_none_is_forgotten_before_it_is_stored() {
        let mut ticks = Ticks::default();
        let told = |ticks: &mut Ticks, n: u128, state| {
            ticks.told(&Told { message_id: Uuid::from_u128(n), to: String::new(), state });
        };
        let stored = |seq| Stored {
            conversation: "lobby".into(),
            seq,
            time_ms: 0,
            durability: Durability::Synced,
            generation: 1,
            duplicate: false,
        };
        (1..=3).for_each(|n| ticks.sent(Uuid::from_u128(n)));
        assert_eq!(ticks.words("lobby").as_deref(), Some("3 not stored yet"));
        told(&mut ticks, 1, SendState::NotConfirmed);
        told(&mut ticks, 1, SendState::Delivered(stored(7)));
        told(&mut ticks, 2, SendState::Stored(stored(8)));
        told(&mut ticks, 3, SendState::Failed(Failure::plain(Code::Forbidden)));
        told(&mut ticks, 1, SendState::Read(stored(7)));
        assert_eq!(ticks.words("lobby").as_deref(), Some("8 stored"));
        assert_eq!((ticks.words("other"), ticks.open()), (None, 0));
    }
}
