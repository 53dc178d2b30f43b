//! What waits to be written to one connection: bounded in bytes. When it overflows, the events in it
//! are dropped and the client is told which conversations to read from the log.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use parking_lot::Mutex;
use posthorn_errors::Code;

use super::{Event, event::About};
use crate::{ws::Protocol, ws::ending::Ending};

/// More conversations than this are not named in a `resync`: it then means all.
const MAX_NAMED: usize = 100;

pub(crate) enum Item {
    Event(Arc<Event>),
    Reply(Bytes),
}

impl Item {
    pub fn bytes(&self, protocol: Protocol) -> &Bytes {
        match self {
            Self::Event(event) => event.bytes(protocol),
            Self::Reply(bytes) => bytes,
        }
    }
}

/// What others ask of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Tell it to come back elsewhere, finish what is in flight, then end it.
    Leave(Code),
    End(Ending),
}

/// Events that will not come: to be told before anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    pub code: Code,
    /// Empty: all.
    pub conversations: Vec<String>,
}

pub(crate) struct Outbox {
    protocol: Protocol,
    max_bytes: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    bytes: usize,
    lost: Option<(Code, Named)>,
    /// Events are not believed to be whole: none is taken until what was lost is told.
    doubted: bool,
    /// `connected` was queued: events may go out.
    live: bool,
    ended: bool,
    /// It was told to leave once.
    leaving: bool,
    order: Option<Order>,
    waker: Option<Waker>,
}

#[derive(PartialEq, Eq)]
enum Named {
    Some(BTreeSet<String>),
    All,
}

impl Named {
    fn add(&mut self, about: &About) {
        match (&mut *self, about) {
            (Self::All, _) | (_, About::Moment) => {}
            (_, About::Everything) => *self = Self::All,
            (Self::Some(names), About::Conversation(name)) => {
                if !names.contains(name) {
                    names.insert(name.clone());
                }
                if names.len() > MAX_NAMED {
                    *self = Self::All;
                }
            }
        }
    }
}

/// What became of a pushed event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    Queued,
    /// The queue was full: this many bytes of it were dropped, and the event with them.
    Overflow(usize),
    /// Dropped, for [`Outbox::doubt`].
    Doubted,
    /// The connection is ending.
    Ended,
}

impl Outbox {
    pub fn new(protocol: Protocol, max_bytes: usize) -> Self {
        Self { protocol, max_bytes, state: Mutex::default() }
    }

    /// Before the connection is live the event waits behind `connected`.
    pub fn push_event(&self, event: &Arc<Event>) -> Pushed {
        let size = event.bytes(self.protocol).len();
        let mut state = self.state.lock();
        if state.ended {
            return Pushed::Ended;
        }
        if state.doubted {
            return Pushed::Doubted;
        }
        if state.bytes + size > self.max_bytes {
            let dropped = state.overflow(event, self.protocol);
            state.wake();
            return Pushed::Overflow(dropped);
        }
        state.bytes += size;
        state.items.push_back(Item::Event(event.clone()));
        state.wake();
        Pushed::Queued
    }

    /// Replies are never dropped: the connection stops reading requests while it cannot write.
    pub fn push_reply(&self, bytes: Bytes) {
        let mut state = self.state.lock();
        if !state.ended {
            state.bytes += bytes.len();
            state.items.push_back(Item::Reply(bytes));
            state.wake();
        }
    }

    /// Puts `connected` before everything that waits and lets events go out.
    pub fn go_live(&self, connected: Bytes) {
        let mut state = self.state.lock();
        state.bytes += connected.len();
        state.items.push_front(Item::Reply(connected));
        state.live = true;
        state.wake();
    }

    /// Something may be missing before what comes from here on: no event goes out before [`Outbox::lose_doubted`],
    /// so that nobody sees a hole that was not told of.
    pub fn doubt(&self) {
        self.state.lock().doubted = true;
    }

    /// What was in doubt is lost; what comes from here on is whole. As [`Outbox::lose_all`].
    pub fn lose_doubted(&self, code: Code) -> usize {
        self.state.lock().doubted = false;
        self.lose_all(code)
    }

    /// Events of unknown conversations were lost on the way here. Those that wait go, too: behind the word that
    /// events were lost, the hole would be one that was not told of. Returns their bytes.
    pub fn lose_all(&self, code: Code) -> usize {
        let mut state = self.state.lock();
        if state.ended {
            return 0;
        }
        state.lost = Some((code, Named::All));
        let dropped = state.drop_events(self.protocol, |_| true);
        state.wake();
        dropped
    }

    /// Events of this conversation were not given to it. As [`Outbox::lose_all`].
    pub fn lose(&self, code: Code, conversation: &str) -> usize {
        let mut state = self.state.lock();
        if state.ended {
            return 0;
        }
        let about = About::Conversation(conversation.to_owned());
        let (_, named) = state.lost.get_or_insert_with(|| (code, Named::Some(BTreeSet::new())));
        named.add(&about);
        let dropped = state.drop_events(self.protocol, |event| event.about == about);
        state.wake();
        dropped
    }

    pub fn order(&self, order: Order) {
        let mut state = self.state.lock();
        state.leaving = true;
        // An end is not taken back by a later wish to leave.
        if !matches!(state.order, Some(Order::End(_))) {
            state.order = Some(order);
        }
        if let Some(waker) = state.waker.take() {
            drop(state);
            waker.wake();
        }
    }

    /// Nobody has told it to leave or to end yet.
    pub fn may_leave(&self) -> bool {
        !self.state.lock().leaving
    }

    pub fn take_order(&self) -> Option<Order> {
        self.state.lock().order.take()
    }

    /// What was lost, and the next items: about `max_bytes` of them, at least one.
    pub fn take(&self, max_bytes: usize, into: &mut Vec<Item>) -> Option<Lost> {
        let mut state = self.state.lock();
        if !state.live {
            return None;
        }
        let mut taken = 0;
        while taken < max_bytes {
            let Some(item) = state.items.pop_front() else { break };
            taken += item.bytes(self.protocol).len();
            into.push(item);
        }
        state.bytes -= taken;
        let (code, named) = state.lost.take()?;
        let conversations = match named {
            Named::All => Vec::new(),
            Named::Some(names) if names.is_empty() => return None,
            Named::Some(names) => names.into_iter().collect(),
        };
        Some(Lost { code, conversations })
    }

    /// Ready while an order waits or, unless `only_orders`, something to write.
    pub fn poll_ready(&self, cx: &mut Context<'_>, only_orders: bool) -> Poll<()> {
        let mut state = self.state.lock();
        let writable = state.live && (!state.items.is_empty() || state.lost.is_some());
        if state.order.is_some() || (writable && !only_orders) {
            return Poll::Ready(());
        }
        if !state.waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    pub fn bytes(&self) -> usize {
        self.state.lock().bytes
    }

    /// Takes nothing more; returns the bytes that were still queued.
    pub fn end(&self) -> usize {
        let mut state = self.state.lock();
        state.ended = true;
        state.items.clear();
        std::mem::take(&mut state.bytes)
    }
}

impl State {
    fn wake(&mut self) {
        if self.live
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }

    fn overflow(&mut self, event: &Arc<Event>, protocol: Protocol) -> usize {
        let (_, named) = self.lost.get_or_insert_with(|| (Code::SlowConsumer, Named::Some(BTreeSet::new())));
        for item in &self.items {
            if let Item::Event(event) = item {
                named.add(&event.about);
            }
        }
        named.add(&event.about);
        self.drop_events(protocol, |_| true)
    }

    /// Their bytes.
    fn drop_events(&mut self, protocol: Protocol, which: impl Fn(&Event) -> bool) -> usize {
        let mut dropped = 0;
        self.items.retain(|item| {
            let goes = matches!(item, Item::Event(event) if which(event));
            dropped += if goes { item.bytes(protocol).len() } else { 0 };
            !goes
        });
        self.bytes -= dropped;
        dropped
    }
}

#[cfg(test)]
mod tests {
    use posthorn_proto::client::{Entries, Entry, PresenceNow, TypingNow, server_frame::Frame};

    use super::*;

    fn entries(conversation: &str, mentions: usize) -> Arc<Event> {
        let entry = Entry { seq: 1, mentions: vec!["x".into(); mentions], ..Entry::default() };
        Arc::new(Event::new(Frame::Entries(Entries { conversation: conversation.into(), entries: vec![entry] }), 0))
    }

    fn live(max_bytes: usize) -> Outbox {
        let outbox = Outbox::new(Protocol::Proto, max_bytes);
        outbox.go_live(Bytes::from_static(b"connected"));
        outbox.take(usize::MAX, &mut Vec::new());
        outbox
    }

    fn taken(outbox: &Outbox) -> (Option<Lost>, usize) {
        let mut items = Vec::new();
        let lost = outbox.take(usize::MAX, &mut items);
        (lost, items.len())
    }

    #[test]
    fn all_recipients_share_the_same_bytes() {
        let event = entries("a", 1);
        let outboxes: Vec<_> = (0..300).map(|_| live(1 << 20)).collect();
        let payloads: Vec<_> = outboxes
            .iter()
            .map(|outbox| {
                assert_eq!(outbox.push_event(&event), Pushed::Queued);
                let mut items = Vec::new();
                outbox.take(usize::MAX, &mut items);
                items[0].bytes(Protocol::Proto).as_ptr()
            })
            .collect();
        assert!(payloads.iter().all(|&payload| payload == payloads[0]));
    }

    #[test]
    fn what_is_in_doubt_does_not_go_out_until_it_is_told_what_was_lost() {
        let outbox = live(1 << 20);
        assert_eq!(outbox.push_event(&entries("a", 1)), Pushed::Queued);
        outbox.doubt();
        assert_eq!(outbox.push_event(&entries("a", 1)), Pushed::Doubted);
        assert_eq!(taken(&outbox), (None, 1), "what came before is whole");
        assert_eq!(outbox.lose_all(Code::Overloaded), 0);
        assert_eq!(outbox.push_event(&entries("a", 1)), Pushed::Doubted, "another loss does not end it");
        outbox.lose_doubted(Code::Overloaded);
        assert_eq!(outbox.push_event(&entries("a", 1)), Pushed::Queued);
        let all = Lost { code: Code::Overloaded, conversations: Vec::new() };
        assert_eq!(taken(&outbox), (Some(all), 1));
    }

    /// Goal: behind the word that something was lost, nothing has a hole.
    #[test]
    fn what_waited_when_others_were_lost_goes_with_them() {
        let outbox = live(1 << 20);
        outbox.push_event(&entries("a", 1));
        outbox.push_event(&entries("b", 1));
        outbox.push_reply(Bytes::from_static(b"reply"));
        let before = outbox.bytes();
        let dropped = outbox.lose(Code::Overloaded, "a");
        assert!(dropped > 0 && outbox.bytes() == before - dropped);
        outbox.push_event(&entries("a", 1));
        let named = |names: &[&str]| {
            let conversations = names.iter().map(|&name| name.to_owned()).collect();
            Some(Lost { code: Code::Overloaded, conversations })
        };
        assert_eq!(taken(&outbox), (named(&["a"]), 3), "b, the reply, and a's next one");
        outbox.push_event(&entries("a", 1));
        outbox.doubt();
        outbox.push_event(&entries("a", 1));
        assert!(outbox.lose_doubted(Code::Overloaded) > 0);
        outbox.push_event(&entries("a", 1));
        assert_eq!(taken(&outbox), (named(&[]), 1));
        outbox.push_event(&entries("a", 1));
        assert!(outbox.lose_all(Code::Overloaded) > 0);
        assert_eq!((taken(&outbox), outbox.bytes()), ((named(&[]), 0), 0));
        outbox.end();
        assert_eq!([outbox.lose_all(Code::Overloaded), outbox.lose(Code::Overloaded, "a")], [0, 0]);
    }

    #[test]
    fn nothing_goes_out_before_connected() {
        let outbox = Outbox::new(Protocol::Json, 1 << 20);
        outbox.push_event(&entries("a", 1));
        assert_eq!(taken(&outbox), (None, 0));
        outbox.go_live(Bytes::from_static(b"connected"));
        let mut items = Vec::new();
        outbox.take(usize::MAX, &mut items);
        assert!(matches!(&items[..], [Item::Reply(first), Item::Event(_)] if first == "connected"));
    }

    #[test]
    fn an_overflow_drops_the_events_keeps_the_replies_and_names_what_was_lost() {
        let outbox = live(100);
        outbox.push_reply(Bytes::from_static(b"reply"));
        assert_eq!(outbox.push_event(&entries("b", 10)), Pushed::Queued);
        assert_eq!(outbox.push_event(&entries("a", 10)), Pushed::Queued);
        assert!(matches!(outbox.push_event(&entries("c", 10)), Pushed::Overflow(n) if n > 50));
        assert_eq!(outbox.push_event(&entries("d", 10)), Pushed::Queued);
        let (lost, items) = taken(&outbox);
        let conversations = vec!["a".to_owned(), "b".into(), "c".into()];
        assert_eq!(lost, Some(Lost { code: Code::SlowConsumer, conversations }));
        assert_eq!(items, 2);
        assert_eq!(outbox.bytes(), 0);
        assert_eq!(taken(&outbox), (None, 0));
    }

    #[test]
    fn what_is_in_no_conversation_is_lost_as_everything_and_moments_as_nothing() {
        let presence =
            Arc::new(Event::new(Frame::Presence(PresenceNow { user: "u".repeat(50), ..Default::default() }), 0));
        let typing = Arc::new(Event::new(Frame::Typing(TypingNow { user: "u".repeat(50), ..Default::default() }), 0));
        let outbox = live(10);
        outbox.push_event(&typing);
        assert_eq!(taken(&outbox), (None, 0));
        outbox.push_event(&entries("a", 10));
        outbox.push_event(&presence);
        assert_eq!(taken(&outbox).0, Some(Lost { code: Code::SlowConsumer, conversations: vec![] }));
        for n in 0..=MAX_NAMED {
            outbox.push_event(&entries(&format!("c{n}"), 10));
        }
        assert_eq!(taken(&outbox).0.map(|lost| lost.conversations.len()), Some(0));
    }

    #[test]
    fn a_take_is_bounded_but_never_empty() {
        let outbox = live(1 << 20);
        for _ in 0..10 {
            outbox.push_reply(Bytes::from(vec![0; 100]));
        }
        let mut items = Vec::new();
        outbox.take(250, &mut items);
        assert_eq!(items.len(), 3);
        outbox.take(1, &mut items);
        assert_eq!(items.len(), 4);
        assert_eq!(outbox.end(), 600);
        outbox.push_reply(Bytes::from_static(b"late"));
        assert_eq!(outbox.push_event(&entries("a", 1)), Pushed::Ended);
        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn an_end_is_not_taken_back() {
        let outbox = live(100);
        assert!(outbox.may_leave());
        outbox.order(Order::End(Ending::server(Code::TokenRevoked)));
        outbox.order(Order::Leave(Code::Draining));
        assert!(!outbox.may_leave());
        assert_eq!(outbox.take_order(), Some(Order::End(Ending::server(Code::TokenRevoked))));
    }
}
