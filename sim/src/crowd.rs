//! What the people of a simulation know of each other: when all has been said, who received what, who is there.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};

use posthorn_clock::sleep;

use crate::guests::{Seat, Seats};

pub const POLL: Duration = Duration::from_millis(20);

/// Shared by the people of one simulation.
#[derive(Clone, Default)]
pub struct Crowd(Rc<RefCell<Gathered>>);

#[derive(Default)]
struct Gathered {
    still_sending: usize,
    /// Nothing is broken any more.
    calm: bool,
    settled: bool,
    /// Highest seq that each person received, by conversation.
    received: BTreeMap<(String, String), u64>,
    /// Conversations that each person was told the beginning of.
    followed: BTreeSet<(String, String)>,
    /// Whose first sync is complete.
    synced: BTreeSet<String>,
    /// When guests could see what, and of how many conversations that is known.
    seats: (Seats, usize),
    /// Of those whose presence is watched: who is there, and who seems to be.
    there: BTreeMap<String, bool>,
    seem: BTreeMap<String, bool>,
    /// Presence has been looked at.
    looked: bool,
}

impl Crowd {
    /// One more for whom the others wait until it has said everything.
    pub fn expect_one(&self) {
        self.0.borrow_mut().still_sending += 1;
    }

    pub fn one_has_ended(&self) {
        self.0.borrow_mut().still_sending -= 1;
    }

    pub fn all_sent(&self) -> bool {
        self.0.borrow().still_sending == 0
    }

    pub fn calm_down(&self) {
        self.0.borrow_mut().calm = true;
    }

    pub fn at_rest(&self) -> bool {
        self.all_sent() && self.0.borrow().calm
    }

    /// True for one of them.
    pub fn settles(&self) -> bool {
        !std::mem::replace(&mut self.0.borrow_mut().settled, true)
    }

    pub fn has_settled(&self) -> bool {
        self.0.borrow().settled
    }

    pub fn is_there(&self, name: &str, online: bool) {
        self.0.borrow_mut().there.insert(name.to_owned(), online);
    }

    pub fn seems(&self, name: &str, online: Option<bool>) {
        let seem = &mut self.0.borrow_mut().seem;
        match online {
            Some(online) => drop(seem.insert(name.to_owned(), online)),
            None => drop(seem.remove(name)),
        }
    }

    /// Until whoever watches sees of each of these whether it is there.
    pub async fn look(&self, watched: &[String]) {
        loop {
            {
                let mut gathered = self.0.borrow_mut();
                let Gathered { there, seem, .. } = &*gathered;
                if watched.iter().all(|name| there.contains_key(name) && there.get(name) == seem.get(name)) {
                    gathered.looked = true;
                    return;
                }
            }
            sleep(POLL).await;
        }
    }

    pub fn seat(&self, seats: Seats) {
        let known = &mut self.0.borrow_mut().seats;
        known.0.extend(seats);
        known.1 += 1;
    }

    /// Those of one guest, once the host has read the logs.
    pub async fn seats(&self, conversations: usize, conversation: &str, guest: &str) -> Vec<Seat> {
        while self.0.borrow().seats.1 < conversations {
            sleep(POLL).await;
        }
        let key = (conversation.to_owned(), guest.to_owned());
        self.0.borrow().seats.0.get(&key).cloned().unwrap_or_default()
    }

    /// True once, and only in the first sync: it tells where a client begins.
    pub fn follows(&self, name: &str, conversation: &str, after: u64) -> bool {
        let key = (name.to_owned(), conversation.to_owned());
        let mut gathered = self.0.borrow_mut();
        let known = gathered.synced.contains(name) || gathered.received.contains_key(&key);
        let first = !known && gathered.followed.insert(key.clone());
        if first {
            // Nothing before it comes.
            gathered.received.insert(key, after);
        }
        first
    }

    /// Of these conversations, those which the first sync has not told: of what comes later, all is owed.
    pub fn synced(&self, name: &str, conversations: &[String]) -> Vec<String> {
        let mut gathered = self.0.borrow_mut();
        if !gathered.synced.insert(name.to_owned()) {
            return Vec::new();
        }
        let key = |conversation: &String| (name.to_owned(), conversation.clone());
        let told = |conversation: &&String| {
            gathered.followed.contains(&key(conversation)) || gathered.received.contains_key(&key(conversation))
        };
        conversations.iter().filter(|conversation| !told(conversation)).cloned().collect()
    }

    /// Until presence has been looked at.
    pub async fn looked(&self) {
        while !self.0.borrow().looked {
            sleep(POLL).await;
        }
    }

    pub fn receives(&self, name: &str, conversation: &str, seq: u64) {
        self.0.borrow_mut().received.insert((name.to_owned(), conversation.to_owned()), seq);
    }

    /// Until it has received everything up to there.
    pub async fn received(&self, name: &str, conversation: &str, seq: u64) {
        let key = (name.to_owned(), conversation.to_owned());
        while self.0.borrow().received.get(&key).copied().unwrap_or(0) < seq {
            sleep(POLL).await;
        }
    }

    /// How far it has received.
    pub fn has(&self, name: &str, conversation: &str) -> u64 {
        self.0.borrow().received.get(&(name.to_owned(), conversation.to_owned())).copied().unwrap_or(0)
    }
}
