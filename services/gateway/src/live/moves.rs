//! What to ask instances about large conversations, where the bus may have lost something of them: which moved
//! since the last answer.

use std::collections::HashMap;

#[derive(Default)]
pub(crate) struct Moves {
    /// They are to be asked once.
    wanted: bool,
    /// Up to which number each told.
    told: HashMap<String, u64>,
}

impl Moves {
    pub const fn want(&mut self) {
        self.wanted = true;
    }

    pub const fn are_wanted(&self) -> bool {
        self.wanted
    }

    /// They are being asked. True if it was wanted.
    pub const fn ask(&mut self) -> bool {
        std::mem::replace(&mut self.wanted, false)
    }

    pub fn told(&self, publisher: &str) -> u64 {
        self.told.get(publisher).copied().unwrap_or(0)
    }

    pub fn tell(&mut self, publisher: String, number: u64) {
        self.told.insert(publisher, number);
    }

    /// Every instance there is has answered. True if one of before is not there any more.
    pub fn only(&mut self, publishers: &[String]) -> bool {
        let before = self.told.len();
        self.told.retain(|publisher, _| publishers.contains(publisher));
        self.told.len() < before
    }
}
