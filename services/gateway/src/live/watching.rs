//! Whom a connection watches, and of whom it may be told at this moment. Who is in doubt (somebody left a
//! conversation since it was asked) is not told of; the last word on them is held until routing was asked.
//! Several session instances tell of one user: what is older than what was told of them is dropped.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use parking_lot::Mutex;
use posthorn_proto::client::{PresenceNow, server_frame::Frame};

use super::Event;

/// One user who is watched.
#[derive(Default)]
struct Watch {
    /// Not in doubt.
    allowed: bool,
    /// In doubt, what came meanwhile; else what was told while their state is being read.
    last: Option<Arc<Event>>,
    /// Of the last news, or of the state that was read; 0: not known.
    version: u64,
    /// The status that was told last.
    told: Option<i32>,
}

/// What becomes of news about a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// The states of those who are watched were asked for, and not read yet.
    reading: bool,
    /// Waits in the line of checks, or is being checked.
    in_line: bool,
    /// The session service may publish to this connection what it does not watch any more.
    surplus: bool,
    /// The session service lost what was watched: it is to be told again.
    forgotten: bool,
    /// News of those who are watched may have been lost: their states are to be read again.
    missed: bool,
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
        let mut state = self.state.lock();
        (state.surplus, state.reading) = (true, false);
        let before = std::mem::take(&mut state.users);
        let fresh = |user: String| {
            let version = before.get(&user).map_or(0, |watch| watch.version);
            (user, Watch { version, ..Watch::default() })
        };
        state.users = users.into_iter().map(fresh).collect();
        before.into_keys().collect()
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
        let mut state = self.state.lock();
        state.forgotten = any;
        // It may have lost its versions, too.
        state.users.values_mut().for_each(|watch| (watch.version, watch.told) = (0, None));
        any
    }

    /// News of them may have been lost. True if anybody is watched.
    pub fn missed(&self) -> bool {
        let mut state = self.state.lock();
        state.missed = !state.users.is_empty();
        state.missed
    }

    /// Their states have to be read again.
    pub fn has_missed(&self) -> bool {
        self.state.lock().missed
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
        let doubted = state.users.iter().filter(|(_, watch)| !watch.allowed);
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
                && !std::mem::replace(&mut watch.allowed, true)
            {
                let last = watch.last.take();
                watch.told = last.as_ref().map_or(watch.told, |event| status_of(event));
                held.extend(last);
            }
        }
        Answered { held, surplus: state.surplus || state.forgotten || state.missed, again: false }
    }

    /// Everybody who is watched, for the session service: it has been told when [`Watching::told`] is called.
    pub fn all(&self) -> Vec<String> {
        self.state.lock().users.keys().cloned().collect()
    }

    pub fn told(&self) {
        let mut state = self.state.lock();
        (state.surplus, state.forgotten) = (false, false);
    }

    /// The states of those who are watched are about to be asked for. What is missed from here on is missed again.
    pub fn reads(&self) {
        let mut state = self.state.lock();
        (state.reading, state.missed) = (true, false);
    }

    /// Of the states that the session service read, each with its version, those that may be told now; in place
    /// of one that is older than what was told meanwhile, that. Of somebody in doubt the newest is held.
    pub fn read(&self, now: Vec<PresenceNow>, versions: &[u64]) -> Vec<PresenceNow> {
        self.states(now, versions).into_iter().map(|(now, _)| now).collect()
    }

    /// As [`Watching::read`], of those alone whose state is not what they were told.
    pub fn read_missed(&self, now: Vec<PresenceNow>, versions: &[u64]) -> Vec<PresenceNow> {
        self.states(now, versions).into_iter().filter_map(|(now, differs)| differs.then_some(now)).collect()
    }

    /// Each with whether it differs from what was told.
    fn states(&self, now: Vec<PresenceNow>, versions: &[u64]) -> Vec<(PresenceNow, bool)> {
        let mut state = self.state.lock();
        let versions = versions.iter().copied().chain(std::iter::repeat(0));
        let mut told = Vec::with_capacity(now.len());
        for (now, version) in now.into_iter().zip(versions) {
            let Some(watch) = state.users.get_mut(&now.user) else { continue };
            // Where there is no version what came meanwhile is taken for newer.
            let later = watch.last.take().filter(|_| version == 0 || version < watch.version);
            if later.is_none() && version > 0 {
                watch.version = version;
            }
            if watch.allowed {
                let now = later.and_then(|event| event.presence().cloned()).unwrap_or(now);
                let before = watch.told.replace(now.status);
                let differs = before != watch.told;
                told.push((now, differs));
            } else {
                watch.last = later.or_else(|| Some(Arc::new(Event::new(Frame::Presence(now), 0))));
            }
        }
        state.reading = false;
        told
    }

    /// News of a user, with its version: in doubt, the last is kept.
    pub fn news(&self, user: &str, version: u64, event: &Arc<Event>) -> News {
        let mut state = self.state.lock();
        let reading = state.reading;
        let Some(watch) = state.users.get_mut(user) else { return News::Drop };
        if version > 0 && version <= watch.version {
            return News::Drop;
        }
        watch.version = watch.version.max(version);
        watch.last = (!watch.allowed || reading).then(|| event.clone());
        if !watch.allowed {
            return News::Hold;
        }
        watch.told = status_of(event);
        News::Tell
    }
}

fn status_of(event: &Event) -> Option<i32> {
    event.presence().map(|now| now.status)
}

impl Watch {
    fn doubt(&mut self) {
        if std::mem::take(&mut self.allowed) {
            self.last = None;
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
        assert_eq!([watching.news("ben", 0, &first), watching.news("ben", 0, &last)], [News::Hold, News::Hold]);
        assert_eq!(
            (watching.news("cyd", 0, &event("cyd")), watching.news("eve", 0, &event("eve"))),
            (News::Tell, News::Drop)
        );
        assert_eq!(watching.question(), names(&["ben"]));
        let answered = watching.answer(&names(&["ben"]), &names(&["ben"]));
        assert!(answered.held.len() == 1 && Arc::ptr_eq(&answered.held[0], &last));
        assert!(!answered.surplus && watching.news("ben", 0, &last) == News::Tell);
    }

    #[test]
    fn whoever_may_not_be_watched_is_forgotten_with_what_was_held() {
        let watching = watching(&["ben", "cyd"]);
        assert!(watching.departed(&names(&["ann"]), "ann"), "the own departure puts all in doubt");
        assert_eq!(watching.question(), names(&["ben", "cyd"]));
        watching.news("ben", 0, &event("ben"));
        let answered = watching.answer(&names(&["ben", "cyd"]), &names(&["cyd"]));
        assert!(answered.held.is_empty() && answered.surplus && !answered.again);
        assert_eq!((watching.all(), watching.news("ben", 0, &event("ben"))), (names(&["cyd"]), News::Drop));
    }

    #[test]
    fn an_answer_that_is_older_than_a_departure_counts_for_nothing() {
        let watching = watching(&["ben"]);
        watching.departed(&names(&["ben"]), "ann");
        let asked = watching.question();
        watching.departed(&names(&["ben"]), "ann");
        assert!(watching.answer(&asked, &asked).again);
        assert_eq!(watching.news("ben", 0, &event("ben")), News::Hold);
        let asked = watching.question();
        assert!(!watching.answer(&asked, &[]).again && watching.all().is_empty());
    }

    #[test]
    fn a_state_that_was_read_is_held_too_and_never_in_place_of_a_newer_one() {
        let watching = watching(&["ben", "cyd", "dan"]);
        watching.departed(&names(&["ben", "cyd"]), "ann");
        let newer = event("cyd");
        watching.news("cyd", 0, &newer);
        let told = watching.read(["ben", "cyd", "dan", "eve"].map(now).into(), &[]);
        assert_eq!(told, [now("dan")]);
        let asked = watching.question();
        assert_eq!(asked, names(&["ben", "cyd"]));
        let held = watching.answer(&asked, &asked).held;
        assert!(held.len() == 2 && Arc::ptr_eq(&held[1], &newer));
    }

    /// Of the user, seen last at `seen_ms`.
    fn seen(user: &str, seen_ms: u64) -> PresenceNow {
        PresenceNow { last_seen_ms: seen_ms, ..now(user) }
    }

    fn seen_event(user: &str, seen_ms: u64) -> Arc<Event> {
        Arc::new(Event::new(Frame::Presence(seen(user, seen_ms)), 0))
    }

    #[test]
    fn what_is_older_than_what_was_told_is_dropped() {
        let watching = watching(&["ben", "cyd"]);
        let news = |user, version| watching.news(user, version, &event(user));
        assert_eq!([news("ben", 7), news("ben", 6), news("ben", 7)], [News::Tell, News::Drop, News::Drop]);
        assert_eq!([news("cyd", 3), news("ben", 8), news("ben", 0)], [News::Tell; 3], "0: it is not known");
        // Also in doubt, where the last word is held.
        watching.departed(&names(&["ben"]), "ann");
        let last = event("ben");
        assert_eq!(watching.news("ben", 11, &last), News::Hold);
        assert_eq!([news("ben", 10), news("ben", 8)], [News::Drop; 2]);
        let held = watching.answer(&watching.question(), &names(&["ben"])).held;
        assert!(held.len() == 1 && Arc::ptr_eq(&held[0], &last));
        // The engine lost everything, its clock was put back.
        assert!(watching.forgotten());
        let asked = watching.question();
        watching.answer(&asked, &asked);
        assert_eq!([news("ben", 2), news("ben", 1)], [News::Tell, News::Drop]);
    }

    #[test]
    fn a_state_that_was_read_is_told_unless_newer_news_came_meanwhile() {
        let watching = watching(&["ben", "cyd", "dan"]);
        watching.reads();
        assert_eq!(watching.news("ben", 9, &seen_event("ben", 9)), News::Tell);
        assert_eq!(watching.news("cyd", 4, &seen_event("cyd", 4)), News::Tell);
        let read = watching.read(vec![seen("ben", 5), seen("cyd", 5), seen("dan", 5)], &[5, 5, 5]);
        assert_eq!(read, [seen("ben", 9), seen("cyd", 5), seen("dan", 5)]);
        // What is in the states that were read is no news.
        let news = |user, version| watching.news(user, version, &event(user));
        assert_eq!([news("ben", 9), news("cyd", 5), news("dan", 4)], [News::Drop; 3]);
        assert_eq!([news("ben", 10), news("cyd", 6), news("dan", 6)], [News::Tell; 3]);
        // Who is watched anew is not told what they know to be old.
        watching.replace(names(&["ben"]));
        let asked = watching.question();
        watching.answer(&asked, &asked);
        assert_eq!(watching.news("ben", 9, &event("ben")), News::Drop);
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
