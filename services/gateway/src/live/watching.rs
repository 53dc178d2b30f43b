//! Whom a connection watches, and of whom it may be told at this moment. Who is in doubt (somebody left a
//! conversation since it was asked) is not told of; the last word on them is held until routing was asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use parking_lot::Mutex;
use posthorn_proto::client::{PresenceNow, server_frame::Frame};

use super::Event;

/// One user who is watched.
enum Watch {
    Allowed,
    /// With what came meanwhile.
    Doubted(Option<Arc<Event>>),
}

/// What becomes of news about a user.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    Tell,
    Hold,
    Drop,
}

#[derive(Default)]
struct State {
    users: BTreeMap<String, Watch>,
    /// Somebody was put in doubt after the question that is being answered was asked.
    doubted_again: bool,
    /// Waits in the line of checks, or is being checked.
    in_line: bool,
    /// The session service may publish to this connection what it does not watch any more.
    surplus: bool,
    /// The session service lost what was watched: it is to be told again.
    forgotten: bool,
}

#[derive(Default)]
pub(crate) struct Watching {
    state: Mutex<State>,
    /// Held while whom to watch is asked and told: a client's request and a check take turns.
    pub turn: tokio::sync::Mutex<()>,
}

/// What an answer of routing came to.
#[derive(Default)]
pub(crate) struct Answered {
    /// Held until now, and may be told.
    pub held: Vec<Arc<Event>>,
    /// Some may not be watched, or it is not known what the session service holds.
    pub surplus: bool,
    /// Somebody is in doubt again: ask once more.
    pub again: bool,
}

impl Watching {
    /// The client watches these from now on: nothing is told of anybody before the answer. Returns whom it
    /// watched before.
    pub fn replace(&self, users: impl IntoIterator<Item = String>) -> Vec<String> {
        let fresh = users.into_iter().map(|user| (user, Watch::Doubted(None))).collect();
        let mut state = self.state.lock();
        state.surplus = true;
        std::mem::replace(&mut state.users, fresh).into_keys().collect()
    }

    /// These users left a conversation that `own` saw. True if somebody is in doubt by that.
    pub fn departed(&self, users: &[String], own: &str) -> bool {
        if users.iter().any(|user| user == own) {
            return self.doubt_all();
        }
        let mut state = self.state.lock();
        let mut any = false;
        for user in users {
            if let Some(watch) = state.users.get_mut(user) {
                watch.doubt();
                any = true;
            }
        }
        state.doubted_again |= any;
        any
    }

    /// Departures may have been missed. True if anybody is watched.
    pub fn doubt_all(&self) -> bool {
        let mut state = self.state.lock();
        state.users.values_mut().for_each(Watch::doubt);
        let any = !state.users.is_empty();
        state.doubted_again |= any;
        any
    }

    /// The session service has lost whom this watches. True if anybody is watched.
    pub fn forgotten(&self) -> bool {
        let any = self.doubt_all();
        self.state.lock().forgotten = any;
        any
    }

    /// It has to be told, whatever else comes of a check.
    pub fn is_forgotten(&self) -> bool {
        self.state.lock().forgotten
    }

    /// True if the caller is to put it in the line: it is in there once.
    pub fn join_line(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().in_line, true)
    }

    pub fn leave_line(&self) {
        self.state.lock().in_line = false;
    }

    /// Whom to ask about.
    pub fn question(&self) -> Vec<String> {
        let mut state = self.state.lock();
        state.doubted_again = false;
        let doubted = state.users.iter().filter(|(_, watch)| matches!(watch, Watch::Doubted(_)));
        doubted.map(|(user, _)| user.clone()).collect()
    }

    /// What routing says of those asked about. Whoever was put in doubt since stays so.
    pub fn answer(&self, asked: &[String], allowed: &[String]) -> Answered {
        let mut state = self.state.lock();
        if state.doubted_again {
            return Answered { again: true, ..Answered::default() };
        }
        let allowed: BTreeSet<&String> = allowed.iter().collect();
        let mut held = Vec::new();
        for user in asked {
            if !allowed.contains(user) {
                state.surplus |= state.users.remove(user).is_some();
            } else if let Some(watch) = state.users.get_mut(user)
                && let Watch::Doubted(event) = std::mem::replace(watch, Watch::Allowed)
            {
                held.extend(event);
            }
        }
        Answered { held, surplus: state.surplus || state.forgotten, again: false }
    }

    /// Everybody who is watched, for the session service: it has been told when [`Watching::told`] is called.
    pub fn all(&self) -> Vec<String> {
        self.state.lock().users.keys().cloned().collect()
    }

    pub fn told(&self) {
        let mut state = self.state.lock();
        (state.surplus, state.forgotten) = (false, false);
    }

    /// Of the states that the session service read, those that may be told now. Of somebody in doubt it is
    /// held, where nothing newer is.
    pub fn read(&self, now: Vec<PresenceNow>) -> Vec<PresenceNow> {
        let mut state = self.state.lock();
        let tell = |now: &PresenceNow| match state.users.get_mut(&now.user) {
            Some(Watch::Allowed) => true,
            Some(Watch::Doubted(held)) => {
                held.get_or_insert_with(|| Arc::new(Event::new(Frame::Presence(now.clone()), 0)));
                false
            }
            None => false,
        };
        now.into_iter().filter(tell).collect()
    }

    /// News of a user: in doubt, the last is kept.
    pub fn news(&self, user: &str, event: &Arc<Event>) -> News {
        match self.state.lock().users.get_mut(user) {
            Some(Watch::Allowed) => News::Tell,
            Some(Watch::Doubted(held)) => {
                *held = Some(event.clone());
                News::Hold
            }
            None => News::Drop,
        }
    }
}

impl Watch {
    fn doubt(&mut self) {
        if matches!(self, Self::Allowed) {
            *self = Self::Doubted(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(of: &[&str]) -> Vec<String> {
        of.iter().map(|&name| name.to_owned()).collect()
    }

    fn now(user: &str) -> PresenceNow {
        PresenceNow { user: user.into(), ..PresenceNow::default() }
    }

    fn event(user: &str) -> Arc<Event> {
        Arc::new(Event::new(Frame::Presence(now(user)), 0))
    }

    fn watching(users: &[&str]) -> Watching {
        let watching = Watching::default();
        watching.replace(names(users));
        let asked = watching.question();
        assert_eq!(asked, names(users));
        watching.answer(&asked, &asked);
        watching.told();
        watching
    }

    #[test]
    fn nothing_is_told_of_somebody_in_doubt_and_the_last_word_is_kept() {
        let watching = watching(&["ben", "cyd"]);
        assert!(!watching.departed(&names(&["eve"]), "ann"));
        assert!(watching.departed(&names(&["ben"]), "ann"));
        let (first, last) = (event("ben"), event("ben"));
        assert_eq!([watching.news("ben", &first), watching.news("ben", &last)], [News::Hold, News::Hold]);
        assert_eq!(
            (watching.news("cyd", &event("cyd")), watching.news("eve", &event("eve"))),
            (News::Tell, News::Drop)
        );
        assert_eq!(watching.question(), names(&["ben"]));
        let answered = watching.answer(&names(&["ben"]), &names(&["ben"]));
        assert!(answered.held.len() == 1 && Arc::ptr_eq(&answered.held[0], &last));
        assert!(!answered.surplus && watching.news("ben", &last) == News::Tell);
    }

    #[test]
    fn whoever_may_not_be_watched_is_forgotten_with_what_was_held() {
        let watching = watching(&["ben", "cyd"]);
        assert!(watching.departed(&names(&["ann"]), "ann"), "the own departure puts all in doubt");
        assert_eq!(watching.question(), names(&["ben", "cyd"]));
        watching.news("ben", &event("ben"));
        let answered = watching.answer(&names(&["ben", "cyd"]), &names(&["cyd"]));
        assert!(answered.held.is_empty() && answered.surplus && !answered.again);
        assert_eq!((watching.all(), watching.news("ben", &event("ben"))), (names(&["cyd"]), News::Drop));
    }

    #[test]
    fn an_answer_that_is_older_than_a_departure_counts_for_nothing() {
        let watching = watching(&["ben"]);
        watching.departed(&names(&["ben"]), "ann");
        let asked = watching.question();
        watching.departed(&names(&["ben"]), "ann");
        assert!(watching.answer(&asked, &asked).again);
        assert_eq!(watching.news("ben", &event("ben")), News::Hold);
        let asked = watching.question();
        assert!(!watching.answer(&asked, &[]).again && watching.all().is_empty());
    }

    #[test]
    fn a_state_that_was_read_is_held_too_and_never_in_place_of_a_newer_one() {
        let watching = watching(&["ben", "cyd", "dan"]);
        watching.departed(&names(&["ben", "cyd"]), "ann");
        let newer = event("cyd");
        watching.news("cyd", &newer);
        let told = watching.read(["ben", "cyd", "dan", "eve"].map(now).into());
        assert_eq!(told, [now("dan")]);
        let asked = watching.question();
        assert_eq!(asked, names(&["ben", "cyd"]));
        let held = watching.answer(&asked, &asked).held;
        assert!(held.len() == 2 && Arc::ptr_eq(&held[1], &newer));
    }

    #[test]
    fn a_connection_stands_in_the_line_once() {
        let watching = watching(&["ben"]);
        assert_eq!([watching.join_line(), watching.join_line()], [true, false]);
        watching.leave_line();
        assert!(watching.join_line());
        assert!(!Watching::default().doubt_all(), "who watches nobody has nothing to be checked");
    }
}
