//! The last of each key, as long as there is room: how far a conversation was handled, or told.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

/// Bounded; who came first is forgotten first.
#[derive(Clone, Debug)]
pub struct Remembered<K, V> {
    last: HashMap<K, V>,
    order: VecDeque<K>,
    max: usize,
}

impl<K: Clone + Eq + Hash, V: Copy> Remembered<K, V> {
    /// Of `max` keys; of one at least.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { last: HashMap::new(), order: VecDeque::new(), max: max.max(1) }
    }

    #[must_use]
    pub fn last(&self, key: &K) -> Option<V> {
        self.last.get(key).copied()
    }

    pub fn set(&mut self, key: &K, value: V) {
        if let Some(last) = self.last.get_mut(key) {
            *last = value;
            return;
        }
        if self.last.len() >= self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.last.remove(&oldest);
        }
        self.order.push_back(key.clone());
        self.last.insert(key.clone(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_came_first_is_forgotten_first_and_a_new_value_makes_nobody_younger() {
        let mut remembered = Remembered::new(2);
        for (key, value) in [("a", 1), ("b", 1), ("a", 2), ("c", 1)] {
            remembered.set(&key, value);
        }
        assert_eq!(["a", "b", "c"].map(|key| remembered.last(&key)), [None, Some(1), Some(1)]);
    }
}
