//! How far marks are known to be. They only grow, and what says so may be overtaken: a sync that began earlier, one
//! receipt by the next.

use std::collections::HashMap;

use posthorn_proto::client::{Conversation, Marked, MemberMarks, Registers};

#[derive(Default)]
pub struct Marks {
    own: HashMap<String, Registers>,
    /// By conversation and user.
    others: HashMap<String, HashMap<String, (u64, u64)>>,
}

impl Marks {
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// What is known with these. Where they say less, all of them is older.
    pub fn own(&mut self, now: Registers) -> Registers {
        let known = self.own.entry(now.conversation.clone()).or_insert_with(|| now.clone());
        let less = now.delivered < known.delivered || now.read < known.read;
        let more = now.delivered > known.delivered || now.read > known.read;
        let (delivered, read) = (known.delivered.max(now.delivered), known.read.max(now.read));
        if more || !less {
            *known = Registers { delivered, read, ..now };
        }
        known.clone()
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

    /// As a sync listed it.
    pub fn listed(&mut self, conversation: &mut Conversation) {
        if let Some(now) = conversation.registers.take() {
            let known = self.own(now);
            conversation.unread = known.unread;
            conversation.registers = Some(known);
        }
        self.others(&conversation.conversation, &mut conversation.marks);
    }
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
        let mut listed = Conversation { registers: Some(registers(1, 1, 7)), unread: 7, ..Conversation::default() };
        marks.listed(&mut listed);
        assert_eq!((listed.registers, listed.unread), (Some(registers(8, 4, 4)), 4));
        // As far, and newer: more has come.
        let muted = Registers { muted: true, ..registers(8, 4, 6) };
        assert_eq!(marks.own(muted.clone()), muted);
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
