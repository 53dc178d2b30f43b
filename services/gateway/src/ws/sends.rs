//! Sends keep their order per conversation: while one append is in flight, those that come after it
//! wait and go out together in the next. Different conversations do not wait for each other.

use std::collections::{HashMap, VecDeque};

use posthorn_clock::Instant;
use posthorn_core::ConversationId;
use posthorn_proto::internal::AppendItem;
use posthorn_rpc::TraceContext;

use crate::sends::Checked;

/// Bodies of one append, bytes.
const MAX_BATCH_BYTES: usize = 512 * 1024;
/// The routing service takes no more in one append.
const MAX_ITEMS: usize = 64;

pub(super) struct Waiting {
    /// The request's.
    pub id: u64,
    pub item: AppendItem,
    pub trace: TraceContext,
    pub since: Instant,
}

/// Sends that go out in one append.
pub(super) struct Batch {
    pub conversation: ConversationId,
    pub direct_to: String,
    pub sends: Vec<Waiting>,
}

/// The conversations of one connection with an append in flight. The sends that wait count as pending
/// requests: that bounds them.
pub(super) struct Lanes {
    max_items: usize,
    lanes: HashMap<ConversationId, Lane>,
}

#[derive(Default)]
struct Lane {
    direct_to: String,
    waiting: VecDeque<Waiting>,
}

impl Lanes {
    pub fn new(max_items: usize) -> Self {
        Self { max_items: max_items.clamp(1, MAX_ITEMS), lanes: HashMap::new() }
    }

    /// The batch to append now, if none is in flight for this conversation.
    pub fn push(&mut self, checked: Checked, since: Instant, id: u64, trace: TraceContext) -> Option<Batch> {
        let Checked { conversation, direct_to, item } = checked;
        let send = Waiting { id, item, trace, since };
        if let Some(lane) = self.lanes.get_mut(&conversation) {
            if lane.direct_to.is_empty() {
                lane.direct_to = direct_to;
            }
            lane.waiting.push_back(send);
            return None;
        }
        self.lanes.insert(conversation.clone(), Lane { direct_to: direct_to.clone(), waiting: VecDeque::new() });
        Some(Batch { conversation, direct_to, sends: vec![send] })
    }

    /// The append in flight was answered: the next batch, if any waits.
    pub fn answered(&mut self, conversation: &ConversationId) -> Option<Batch> {
        let lane = self.lanes.get_mut(conversation)?;
        let (mut sends, mut bytes) = (Vec::new(), 0);
        while let Some(next) = lane.waiting.front() {
            bytes += next.item.body.len();
            if !sends.is_empty() && (sends.len() == self.max_items || bytes > MAX_BATCH_BYTES) {
                break;
            }
            sends.extend(lane.waiting.pop_front());
        }
        if sends.is_empty() {
            self.lanes.remove(conversation);
            return None;
        }
        Some(Batch { conversation: conversation.clone(), direct_to: lane.direct_to.clone(), sends })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use posthorn_clock::Clock;

    use super::*;

    fn send(lanes: &mut Lanes, conversation: &str, id: u64, body: usize) -> Option<(String, Vec<u64>)> {
        let item = AppendItem { body: Bytes::from(vec![b'x'; body]), ..AppendItem::default() };
        let conversation = ConversationId::new(conversation).unwrap();
        let checked = Checked { conversation, direct_to: String::new(), item };
        let trace = TraceContext::root(&Clock::simulated(1, 0));
        ids(lanes.push(checked, Instant::now(), id, trace))
    }

    fn ids(batch: Option<Batch>) -> Option<(String, Vec<u64>)> {
        batch.map(|b| (b.conversation.to_string(), b.sends.iter().map(|send| send.id).collect()))
    }

    fn answered(lanes: &mut Lanes, conversation: &str) -> Option<Vec<u64>> {
        ids(lanes.answered(&ConversationId::new(conversation).unwrap())).map(|(_, ids)| ids)
    }

    #[tokio::test(start_paused = true)]
    async fn sends_wait_for_the_append_before_them_and_go_out_together() {
        let mut lanes = Lanes::new(3);
        assert_eq!(send(&mut lanes, "a", 1, 1), Some(("a".into(), vec![1])));
        for id in 2..=6 {
            assert_eq!(send(&mut lanes, "a", id, 1), None);
        }
        assert_eq!(send(&mut lanes, "b", 7, 1), Some(("b".into(), vec![7])));
        assert_eq!(answered(&mut lanes, "a"), Some(vec![2, 3, 4]));
        assert_eq!(send(&mut lanes, "a", 8, 1), None);
        assert_eq!(answered(&mut lanes, "a"), Some(vec![5, 6, 8]));
        assert_eq!(answered(&mut lanes, "a"), None);
        assert_eq!(answered(&mut lanes, "b"), None);
        assert!(lanes.lanes.is_empty());
        assert!(send(&mut lanes, "a", 9, 1).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_bounded_in_bytes_but_never_empty() {
        let mut lanes = Lanes::new(100);
        send(&mut lanes, "a", 1, 1);
        for id in 2..=5 {
            send(&mut lanes, "a", id, MAX_BATCH_BYTES / 2);
        }
        send(&mut lanes, "a", 6, MAX_BATCH_BYTES * 2);
        assert_eq!(answered(&mut lanes, "a"), Some(vec![2, 3]));
        assert_eq!(answered(&mut lanes, "a"), Some(vec![4, 5]));
        assert_eq!(answered(&mut lanes, "a"), Some(vec![6]));
    }
}
