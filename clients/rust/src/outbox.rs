//! Sends that wait: in order per conversation, one of each on its way at a time, so that a refusal that
//! passes cannot let a later one overtake.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use posthorn_clock::Instant;
use posthorn_core::backoff::Backoff;
use posthorn_errors::{Code, Failure};
use posthorn_proto::client::{Send, Sent};
use tokio::sync::watch;

use crate::{ClientConfig, SendState, Stored};

pub(crate) struct Queued {
    pub send: Send,
    pub state: watch::Sender<SendState>,
    /// `after_seq` and generation are fixed: it was tried.
    pub tried: bool,
    in_flight: bool,
    refusals: u32,
    /// Once it was refused.
    backoff: Option<Backoff>,
    not_before: Option<Instant>,
}

impl Queued {
    pub fn new(send: Send, state: watch::Sender<SendState>, tried: bool) -> Self {
        Self { send, state, tried, in_flight: false, refusals: 0, backoff: None, not_before: None }
    }

    fn lane(&self) -> String {
        if self.send.to.is_empty() { self.send.conversation.clone() } else { format!("to:{}", self.send.to) }
    }

    fn tell(&self, state: SendState) {
        // Nobody may be listening.
        self.state.send_replace(state);
    }
}

/// All waiting sends of a client.
pub(crate) struct Outbox {
    max: usize,
    max_followed: usize,
    /// Of each send's first refusal.
    backoff: Backoff,
    len: usize,
    lanes: BTreeMap<String, VecDeque<Queued>>,
    /// Stored sends whose delivered and read states somebody follows, oldest first.
    followed: VecDeque<(Stored, watch::Sender<SendState>)>,
}

impl Outbox {
    pub fn new(config: &ClientConfig) -> Self {
        Self {
            max: config.max_queued_sends,
            max_followed: config.max_followed_sends,
            backoff: Backoff::new(config.backoff_base_ms, config.backoff_cap_ms),
            len: 0,
            lanes: BTreeMap::new(),
            followed: VecDeque::new(),
        }
    }

    /// False: it is full.
    pub fn push(&mut self, queued: Queued) -> bool {
        if self.len >= self.max {
            return false;
        }
        self.len += 1;
        self.lanes.entry(queued.lane()).or_default().push_back(queued);
        true
    }

    /// The next send that may go out now. `stamp` fixes what a first try fixes.
    pub fn next(&mut self, now: Instant, stamp: impl Fn(&mut Send)) -> Option<(String, Send)> {
        if self.len == 0 {
            return None;
        }
        let ready = |queued: &Queued| !queued.in_flight && queued.not_before.is_none_or(|at| at <= now);
        let (lane, waiting) = self.lanes.iter_mut().find(|(_, waiting)| waiting.front().is_some_and(ready))?;
        let first = waiting.front_mut()?;
        if !first.tried {
            first.tried = true;
            stamp(&mut first.send);
        }
        first.in_flight = true;
        first.not_before = None;
        first.tell(SendState::Sent);
        Some((lane.clone(), first.send.clone()))
    }

    /// When the earliest of those that must wait may go.
    pub fn due(&self) -> Option<Instant> {
        self.lanes.values().filter_map(|waiting| waiting.front()?.not_before).min()
    }

    pub fn stored(&mut self, lane: &str, sent: Sent) {
        let Some(queued) = self.pop(lane) else { return };
        let stored = Stored {
            durability: sent.durability(),
            conversation: sent.conversation,
            seq: sent.seq,
            time_ms: sent.time_ms,
            generation: sent.generation,
            duplicate: sent.duplicate,
        };
        queued.tell(SendState::Stored(stored.clone()));
        if !queued.state.is_closed() {
            if self.followed.len() >= self.max_followed {
                self.followed.pop_front();
            }
            self.followed.push_back((stored, queued.state));
        }
    }

    /// Refused: for good, or to be tried again after a while, for which `random` is uniform over `u64`.
    pub fn refused(&mut self, lane: &str, failure: Failure, now: Instant, random: u64) {
        let fresh = self.backoff;
        let Some(first) = self.lanes.get_mut(lane).and_then(VecDeque::front_mut) else { return };
        let again = failure.code.retryable() || (failure.code == Code::Internal && first.refusals < 3);
        if !again {
            if let Some(queued) = self.pop(lane) {
                queued.tell(SendState::Failed(failure));
            }
            return;
        }
        first.in_flight = false;
        let delay_ms = first.backoff.get_or_insert(fresh).next_after_ms(failure.retry_after_ms, random);
        first.not_before = Some(now + Duration::from_millis(delay_ms));
        first.refusals += 1;
        if failure.code.side_effect_free() && !first.send.retry {
            first.tell(SendState::Queued);
        } else {
            first.send.retry = true;
            first.tell(SendState::NotConfirmed);
        }
    }

    /// The connection is gone: what was on its way is not confirmed.
    pub fn disconnected(&mut self) {
        for first in self.lanes.values_mut().filter_map(VecDeque::front_mut) {
            if std::mem::take(&mut first.in_flight) {
                first.send.retry = true;
                first.not_before = None;
                first.tell(SendState::NotConfirmed);
            }
        }
    }

    /// Another member's marks.
    pub fn marked(&mut self, conversation: &str, delivered: u64, read: u64) {
        self.followed.retain(|(stored, state)| {
            if stored.conversation == conversation {
                if stored.seq <= read {
                    state.send_replace(SendState::Read(stored.clone()));
                    return false;
                }
                if stored.seq <= delivered && !matches!(*state.borrow(), SendState::Delivered(_)) {
                    state.send_replace(SendState::Delivered(stored.clone()));
                }
            }
            !state.is_closed()
        });
    }

    /// The client ends: what was never tried did not happen, the rest stays unknown.
    pub fn end(&mut self, failure: &Failure) {
        for queued in std::mem::take(&mut self.lanes).into_values().flatten() {
            if !queued.tried {
                queued.tell(SendState::Failed(failure.clone()));
            } else if queued.in_flight {
                queued.tell(SendState::NotConfirmed);
            }
        }
        self.len = 0;
    }

    fn pop(&mut self, lane: &str) -> Option<Queued> {
        let waiting = self.lanes.get_mut(lane)?;
        let first = waiting.pop_front()?;
        self.len -= 1;
        if waiting.is_empty() {
            self.lanes.remove(lane);
        }
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox() -> Outbox {
        Outbox::new(&ClientConfig { max_queued_sends: 3, max_followed_sends: 2, ..ClientConfig::new("") })
    }

    fn queue(outbox: &mut Outbox, conversation: &str, id: &str) -> Option<watch::Receiver<SendState>> {
        let send = Send { conversation: conversation.into(), message_id: id.into(), ..Send::default() };
        let (tx, rx) = watch::channel(SendState::Queued);
        outbox.push(Queued::new(send, tx, false)).then_some(rx)
    }

    fn next(outbox: &mut Outbox, seen: u64) -> Option<Send> {
        outbox.next(Instant::now(), |send| send.after_seq = seen).map(|(_, send)| send)
    }

    fn sent(seq: u64) -> Sent {
        Sent { conversation: "a".into(), seq, ..Sent::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn one_of_each_conversation_goes_out_in_order_and_the_bound_holds() {
        let mut o = outbox();
        let states: Vec<_> = [("a", "1"), ("a", "2"), ("b", "3")].map(|(c, m)| queue(&mut o, c, m)).into();
        assert!(queue(&mut o, "a", "4").is_none());
        assert_eq!(next(&mut o, 7).unwrap().message_id, "1");
        assert_eq!(next(&mut o, 7).unwrap().message_id, "3");
        assert_eq!(next(&mut o, 7), None);
        o.stored("a", sent(8));
        assert_eq!(states[0].as_ref().unwrap().borrow().stored().unwrap().seq, 8);
        assert_eq!(next(&mut o, 8).unwrap().message_id, "2");
    }

    #[tokio::test(start_paused = true)]
    async fn a_retry_keeps_what_its_first_try_fixed() {
        let mut o = outbox();
        let state = queue(&mut o, "a", "1").unwrap();
        assert_eq!(next(&mut o, 7).unwrap().after_seq, 7);
        o.disconnected();
        assert_eq!(*state.borrow(), SendState::NotConfirmed);
        let again = next(&mut o, 9).unwrap();
        assert!(again.retry && again.after_seq == 7);
        let busy = Failure::plain(Code::RateLimited).retry_after_ms(50);
        o.refused("a", busy, Instant::now(), 0);
        assert_eq!((next(&mut o, 9), state.borrow().clone()), (None, SendState::NotConfirmed));
        tokio::time::advance(Duration::from_millis(50)).await;
        assert!(next(&mut o, 9).is_some());
        o.refused("a", Failure::plain(Code::Forbidden), Instant::now(), 0);
        assert_eq!(*state.borrow(), SendState::Failed(Failure::plain(Code::Forbidden)));
        assert!(o.lanes.is_empty() && o.len == 0);
    }

    #[tokio::test(start_paused = true)]
    async fn others_marks_move_stored_sends_on_and_never_back() {
        let mut o = outbox();
        let state = queue(&mut o, "a", "1").unwrap();
        next(&mut o, 0);
        o.stored("a", sent(5));
        o.marked("b", 9, 9);
        o.marked("a", 4, 0);
        assert!(matches!(*state.borrow(), SendState::Stored(_)));
        o.marked("a", 5, 0);
        assert!(matches!(*state.borrow(), SendState::Delivered(_)));
        o.marked("a", 9, 5);
        assert!(matches!(*state.borrow(), SendState::Read(_)));
        assert!(o.followed.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_never_tried_fails_at_the_end_and_the_rest_stays_unknown() {
        let mut o = outbox();
        let (tried, waiting) = (queue(&mut o, "a", "1").unwrap(), queue(&mut o, "a", "2").unwrap());
        next(&mut o, 0);
        o.end(&Failure::plain(Code::Unavailable));
        assert_eq!(*tried.borrow(), SendState::NotConfirmed);
        assert!(matches!(*waiting.borrow(), SendState::Failed(_)));
    }
}
