//! The last entry of each conversation, as long as there is room.

use std::collections::{HashMap, VecDeque};

use posthorn_core::ConversationKey;

/// (generation, seq), which compares as one.
pub type At = (u64, u64);

/// Bounded; who came first is forgotten first. What is forgotten may be handled twice, and its holes are
/// not seen.
pub struct Remembered {
    last: HashMap<ConversationKey, At>,
    order: VecDeque<ConversationKey>,
    max: usize,
}

impl Remembered {
    pub fn new(max: usize) -> Self {
        Self { last: HashMap::new(), order: VecDeque::new(), max: max.max(1) }
    }

    pub fn last(&self, key: &ConversationKey) -> Option<At> {
        self.last.get(key).copied()
    }

    pub fn set(&mut self, key: &ConversationKey, at: At) {
        if let Some(last) = self.last.get_mut(key) {
            *last = at;
            return;
        }
        if self.last.len() >= self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.last.remove(&oldest);
        }
        self.order.push_back(key.clone());
        self.last.insert(key.clone(), at);
    }
}
