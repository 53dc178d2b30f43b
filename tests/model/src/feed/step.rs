//! What may happen, and what it does.

use super::{Action, Broken, FeedConsumer, Phase, State, Wrong};

impl FeedConsumer {
    fn is(&self, broken: Broken) -> bool {
        self.broken == Some(broken)
    }

    pub(super) fn choices(&self, state: &State, actions: &mut Vec<Action>) {
        if state.published < self.entries {
            actions.push(Action::Publish);
        }
        if state.copies < self.copies {
            actions.extend((1..=state.published).map(Action::Copy));
        }
        let unread = match state.phase {
            Phase::Handling { to, .. } => to,
            Phase::Reading => state.cursor,
        };
        if state.losses < self.losses && (state.last > 0 || state.crashes > 0) {
            let kept = (unread..).zip(&state.feed[usize::from(unread)..]).filter(|(_, entry)| entry.is_some());
            actions.extend(kept.map(|(offset, _)| Action::Lose(offset)));
        }
        if state.crashes < self.crashes {
            actions.push(Action::Crash);
        }
        match state.phase {
            Phase::Reading if usize::from(state.cursor) < state.feed.len() => actions.push(Action::Read),
            Phase::Reading => {}
            Phase::Handling { at, to } if at == to => actions.push(Action::Commit),
            Phase::Handling { at, .. } => self.entry(state, at, actions),
        }
        if state.owed > 0 && state.phase == Phase::Reading {
            actions.push(Action::ParkLate);
        }
    }

    /// The entry that is next, which where a hole is filled is not the one that was read.
    fn entry(&self, state: &State, at: u8, actions: &mut Vec<Action>) {
        let read = state.feed[usize::from(at)];
        let Some(read) = read.filter(|read| *read > state.last || self.is(Broken::KeepCopies)) else {
            actions.push(Action::Drop);
            return;
        };
        let hole = state.last > 0 && read > state.last + 1 && !self.is(Broken::PassHoles);
        let seq = if hole { state.last + 1 } else { read };
        actions.push(Action::Handle(seq));
        if state.tried + 1 < self.attempts {
            actions.push(Action::Fail(seq));
        } else {
            actions.push(Action::Park(seq));
        }
        if self.is(Broken::PassFailed) {
            actions.push(Action::PutAside(seq));
        }
        if state.crashes < self.crashes {
            actions.push(Action::CrashAfter(seq));
        }
    }

    pub(super) fn step(&self, before: &State, action: Action) -> State {
        let mut state = before.clone();
        match action {
            Action::Publish => {
                state.published += 1;
                state.feed.push(Some(state.published));
            }
            Action::Copy(seq) => {
                state.copies += 1;
                state.feed.push(Some(seq));
            }
            Action::Lose(offset) => {
                state.losses += 1;
                state.feed[usize::from(offset)] = None;
            }
            Action::Read => {
                let to = usize::from(state.cursor + self.batch).min(state.feed.len());
                let to = u8::try_from(to).unwrap_or(u8::MAX);
                state.phase = Phase::Handling { at: state.cursor, to };
                if self.is(Broken::CommitFirst) {
                    state.cursor = to;
                }
            }
            Action::Drop => self.dropped(&mut state),
            Action::Handle(seq) => {
                handled(&mut state, seq);
                self.on(&mut state, seq);
            }
            Action::Fail(_) => state.tried += 1,
            Action::Park(seq) => {
                match self.broken {
                    Some(Broken::DropDead) => {}
                    Some(Broken::ParkLate) => state.owed |= 1 << seq,
                    _ => state.parked |= 1 << seq,
                }
                self.on(&mut state, seq);
            }
            Action::ParkLate => state.parked |= std::mem::take(&mut state.owed),
            Action::PutAside(seq) => {
                state.aside |= 1 << seq;
                self.on(&mut state, seq);
            }
            Action::Commit => {
                if let Phase::Handling { to, .. } = state.phase {
                    state.cursor = to;
                }
                state.phase = Phase::Reading;
                for seq in (1..=self.entries).filter(|seq| before.aside >> seq & 1 == 1) {
                    handled(&mut state, seq);
                }
                state.aside = 0;
            }
            Action::Crash => self.crash(&mut state),
            Action::CrashAfter(seq) => {
                handled(&mut state, seq);
                self.crash(&mut state);
            }
        }
        state
    }

    fn dropped(&self, state: &mut State) {
        if let Phase::Handling { at, .. } = &mut state.phase {
            if self.is(Broken::RememberLast) {
                state.last = state.feed[usize::from(*at)].unwrap_or(state.last);
            }
            *at += 1;
        }
    }

    /// Behind this entry.
    fn on(&self, state: &mut State, seq: u8) {
        state.tried = 0;
        state.last = seq;
        if let Phase::Handling { at, .. } = &mut state.phase
            && state.feed[usize::from(*at)] == Some(seq)
        {
            *at += 1;
        }
    }

    fn crash(&self, state: &mut State) {
        let read = match state.phase {
            Phase::Handling { to, .. } => state.feed[..usize::from(to)].iter().flatten().max().copied(),
            Phase::Reading => None,
        };
        state.crashes += 1;
        state.last = if self.is(Broken::RememberRead) { read.unwrap_or(state.last) } else { 0 };
        (state.phase, state.tried, state.aside, state.owed, state.lately) = (Phase::Reading, 0, 0, 0, 0);
    }
}

fn handled(state: &mut State, seq: u8) {
    let before = (1 << seq) - 2;
    let Wrong { order, twice } = state.wrong;
    state.wrong = Wrong {
        // Given up is done with, also where it is parked late.
        order: order || before & !(state.handled | state.parked | state.owed) != 0,
        twice: twice || state.lately >> seq & 1 == 1,
    };
    state.handled |= 1 << seq;
    state.lately |= 1 << seq;
}
