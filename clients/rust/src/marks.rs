//! How far marks are known to be. They only grow, and what says so may be overtaken: a sync that began earlier, one
//! receipt by the next.

use std::collections::{HashMap, HashSet};

use posthorn_proto::client::{Conversation, Marked, MemberMarks, Registers};

#[derive(Default)]
pub struct Marks {
    own: HashMap<String, Registers>,
    /// Conversations of which something was told since the last page of a sync was asked for.
    since: HashSet<String>,
    /// By conversation and user; also where one is no member any more: they may be added again, and what was said of the
    /// others before comes late.
    others: HashMap<String, HashMap<String, (u64, u64)>>,
}

impl Marks {
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// A page of a sync is asked for: what it says of own marks is as new as what was told before.
    pub fn asked(&mut self) {
        self.since.clear();
    }

    /// What is known with these. Where their marks are older, so is the count that goes with them.
    pub fn own(&mut self, now: Registers) -> Registers {
        self.since.insert(now.conversation.clone());
        let unread = self.own.get(&now.conversation).filter(|known| is_less(&now, known)).map(|known| known.unread);
        self.keep(Registers { unread: unread.unwrap_or(now.unread), ..now })
    }

    /// With the highest marks.
    fn keep(&mut self, now: Registers) -> Registers {
        let (delivered, read) = self.own.get(&now.conversation).map_or((0, 0), |known| (known.delivered, known.read));
        let known = Registers { delivered: delivered.max(now.delivered), read: read.max(now.read), ..now };
        self.own.insert(known.conversation.clone(), known.clone());
        known
    }

    /// The answer to an own mark; `None` where the rest of the registers is not known.
    pub fn answered(&mut self, now: &Marked) -> Option<Registers> {
        let known = self.own.get(&now.conversation)?.clone();
        let marked_unread = known.marked_unread && now.read <= known.read;
        let (delivered, read, unread) = (now.delivered, now.read, now.unread);
        Some(self.own(Registers { delivered, read, unread, marked_unread, ..known }))
    }

    pub fn others(&mut self, conversation: &str, marks: &mut [MemberMarks]) {
        let known = self.others.entry(conversation.to_owned()).or_default();
        for mark in marks {
            let (delivered, read) = known.entry(mark.user.clone()).or_default();
            (*delivered, *read) = (mark.delivered.max(*delivered), mark.read.max(*read));
            (mark.delivered, mark.read) = (*delivered, *read);
        }
    }

    /// As a sync listed it: before what was told since it was asked for, if it says less.
    pub fn listed(&mut self, conversation: &mut Conversation) {
        if let Some(now) = conversation.registers.take() {
            let newer = self.own.get(&now.conversation).filter(|known| is_less(&now, known));
            let newer = newer.filter(|known| self.since.contains(&known.conversation)).cloned();
            let known = newer.unwrap_or_else(|| self.keep(now));
            conversation.unread = known.unread;
            conversation.registers = Some(known);
        }
        self.others(&conversation.conversation, &mut conversation.marks);
    }
}

/// One of the marks, and neither of them more.
const fn is_less(now: &Registers, known: &Registers) -> bool {
    let less = now.delivered < known.delivered || now.read < known.read;
    less && now.delivered <= known.delivered && now.read <= known.read
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registers(delivered: u64, read: u64, unread: u64) -> Registers {
        Registers { conversation: "c".into(), delivered, read, unread, ..Registers::default() }
    }

    #[test]
    fn who_is_told_less_is_told_what_is_known() {
        let mut marks = Marks::default();
        assert_eq!(marks.own(registers(2, 1, 5)), registers(2, 1, 5));
        let answer = Marked { conversation: "c".into(), delivered: 8, read: 4, unread: 4 };
        assert_eq!(marks.answered(&answer), Some(registers(8, 4, 4)));
        // A sync that began before the mark.
        let listed = |registers: Registers| Conversation {
            unread: registers.unread,
            registers: Some(registers),
            ..Conversation::default()
        };
        let mut early = listed(registers(1, 1, 7));
        marks.listed(&mut early);
        assert_eq!((early.registers, early.unread), (Some(registers(8, 4, 4)), 4));
        // As far, and newer: more has come.
        let muted = Registers { muted: true, ..registers(8, 4, 6) };
        assert_eq!(marks.own(muted.clone()), muted);
        // Less, and all else of it holds.
        assert_eq!(marks.own(registers(8, 3, 9)), registers(8, 4, 6));
        // A sync that was asked for after all this counts, also where the server shows less.
        marks.asked();
        let mut late = listed(registers(8, 3, 2));
        marks.listed(&mut late);
        assert_eq!((late.registers, late.unread), (Some(registers(8, 4, 2)), 2));
        assert_eq!(marks.answered(&Marked { conversation: "elsewhere".into(), ..answer }), None);
    }

    #[test]
    fn receipts_that_overtake_each_other_end_with_the_greater_one() {
        let mut marks = Marks::default();
        let bob = |delivered, read| MemberMarks { user: "bob".into(), delivered, read };
        for (told, known) in [(bob(13, 2), bob(13, 2)), (bob(12, 3), bob(13, 3)), (bob(13, 3), bob(13, 3))] {
            let mut told = [told];
            marks.others("c", &mut told);
            assert_eq!(told, [known]);
        }
        marks.forget();
        let mut told = [bob(1, 1)];
        marks.others("c", &mut told);
        assert_eq!(told, [bob(1, 1)]);
    }
}
