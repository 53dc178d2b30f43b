//! What a step does.

use super::{
    Append, Broken,
    action::Action,
    chain,
    state::{Instance, Phase, Settling, State},
    store::Row,
};

impl Append {
    pub(super) fn step(&self, before: &State, action: Action) -> State {
        let mut state = before.clone();
        match action {
            Action::Fence(i) => state.fenced |= 1 << i,
            Action::Claim(i) => self.claim(&mut state, i),
            Action::ReadJournals(i, named) => {
                let note = if named { Some(state.journals[usize::from(i)].note()) } else { None };
                let one = of(&mut state, i);
                // What it has carried over before, it has.
                (one.phase, one.named, one.note) = (Phase::Carrying, named || one.named, note.unwrap_or(one.note));
            }
            Action::CarriedOverUnanswered(i) => {
                state.timeouts += 1;
                state.epoch += 1;
                state.inherits = 0;
                let epoch = state.epoch;
                let one = of(&mut state, i);
                (one.phase, one.epoch, one.inherits) = (Phase::Claimed, epoch, 0);
                if self.is(Broken::ForgetCarried) {
                    (one.named, one.note) = (false, 0);
                }
            }
            Action::CarriedOver(i) => {
                if state.owner == Some(i) {
                    state.inherits = 0;
                }
                let one = of(&mut state, i);
                (one.phase, one.inherits) = (Phase::Loading, 0);
            }
            Action::ReadHead(i, head, fed) => self.read_head(of(&mut state, i), head, fed),
            Action::ReadPage(i, Some(reach), number) => {
                let one = of(&mut state, i);
                one.reach = reach;
                if self.is(Broken::NoChain) {
                    one.last = number;
                }
            }
            Action::ReadPage(i, None, _) => self.end_of_log(&mut state, i),
            Action::ConfirmTail(i) | Action::Confirm(i) => {
                let one = of(&mut state, i);
                (one.run, one.phase, one.named) = (one.reach, Phase::Serving, false);
                let run = one.run;
                state.confirm(run);
            }
            Action::Append(i, reach) => self.append(&mut state, i, reach),
            Action::TimeOut(i) => {
                state.timeouts += 1;
                let note = state.journals[usize::from(i)].note();
                let one = of(&mut state, i);
                (one.phase, one.note, one.named) = (Phase::Noting, note, true);
                one.reach = chain::EMPTY;
            }
            Action::Noted(i) => {
                let one = of(&mut state, i);
                one.phase = Phase::Loading;
                one.load += u8::from(!self.is(Broken::NoLoad));
            }
            Action::Publish(i) => self.publish(&mut state, i),
            Action::Settle(i) => self.settle(&mut state, i),
            Action::Settled(i) => settled(&mut state, i),
            Action::Release(i) => self.release(&mut state, i),
            Action::RowArrives(at, row, replica) => {
                state.late |= self.watch_late && self.is_late(&state, row);
                state.rows.arrive(at, replica);
            }
            Action::NoteArrives(i, note, outcome) => {
                let cell = &mut state.journals[usize::from(i)].noted;
                *cell = cell.arrivals(note)[outcome];
            }
            Action::RemovalArrives(i, note, outcome) => {
                let cell = &mut state.journals[usize::from(i)].removed;
                *cell = cell.arrivals(note)[outcome];
            }
            Action::HeadArrives(head, outcome) => state.head = state.head.arrivals(head)[outcome],
            Action::FedArrives(fed, outcome) => state.fed = state.fed.arrivals(fed)[outcome],
        }
        let (head, fed) = (state.head.sure, state.fed.sure);
        state.settlements.retain(|sent| sent.0 > head || sent.1 > fed);
        state
    }

    fn claim(&self, state: &mut State, i: u8) {
        let former = state.owner.map_or(0, |owner| 1 << owner);
        state.inherits = if self.is(Broken::NoInherit) { former } else { state.inherits | former };
        state.epoch += 1;
        state.owner = Some(i);
        let (epoch, inherits) = (state.epoch, state.inherits);
        *of(state, i) = Instance { phase: Phase::Claimed, epoch, inherits, ..of(state, i).idle() };
    }

    /// After a time-out the feed mark in memory is the better one.
    fn read_head(&self, one: &mut Instance, head: u16, fed: u8) {
        let first = one.load == 0 && one.run == chain::EMPTY;
        if first {
            let guess = self.is(Broken::FedGuess) && !one.named;
            (one.fed, one.settled) = (if guess { chain::len(head) } else { fed }, (head, fed));
        }
        (one.run, one.reach, one.last) = (head, head, 0);
        let on = one.named && !self.is(Broken::HeadsOnly);
        one.phase = if on { Phase::Paging } else { Phase::Serving };
        one.named = on;
    }

    fn end_of_log(&self, state: &mut State, i: u8) {
        let one = of(state, i);
        one.last = 0;
        let (number, run, reach) = (one.number(), one.run, one.reach);
        if run == reach {
            (one.phase, one.named) = (Phase::Serving, false);
            return;
        }
        one.phase = Phase::Rewriting;
        if !self.is(Broken::NoRewrite) {
            state.rows.send(number, run, reach);
        }
    }

    fn append(&self, state: &mut State, i: u8, reach: u16) {
        state.appends += 1;
        let one = *state.one(i);
        state.made = chain::entries(reach).skip(usize::from(chain::len(one.run))).fold(state.made, u8::max);
        let note =
            if one.note == 0 && !self.is(Broken::NoNote) { state.journals[usize::from(i)].note() } else { one.note };
        state.rows.send(one.number(), one.run, reach);
        let one = of(state, i);
        (one.phase, one.reach, one.note) = (Phase::Appending, reach, note);
    }

    /// The feed keeps the order in which it took entries; its consumer drops what is not beyond its last.
    fn publish(&self, state: &mut State, i: u8) {
        let one = of(state, i);
        one.fed += 1;
        let (seq, value) = (one.fed, chain::at(one.run, one.fed));
        if seq > state.handled + 1 {
            state.wrong.fed_hole = true;
        } else if seq == state.handled + 1 {
            state.handled = seq;
        } else {
            state.wrong.fed_twice |= self.is(Broken::KeepDups);
        }
        state.wrong.fed_other |= seq > chain::len(state.log) || chain::at(state.log, seq) != value;
    }

    fn settle(&self, state: &mut State, i: u8) {
        let soon = self.is(Broken::SettleSoon);
        let one = of(state, i);
        let whole = one.fed == chain::len(one.run) || soon;
        let remove = if whole { std::mem::take(&mut one.note) } else { 0 };
        let sent = (one.run, one.fed);
        one.settling = Some(Settling { head: one.run, fed: one.fed, remove });
        if !state.settlements.contains(&sent) {
            state.settlements.push(sent);
            state.settlements.sort_unstable();
        }
        if soon {
            take_back(state, i, remove);
        }
    }

    /// What is not settled stays in the journal, and the shard depends on that.
    fn release(&self, state: &mut State, i: u8) {
        let one = *state.one(i);
        if one.note > 0 || one.settling.is_some() {
            state.inherits |= 1 << i;
        }
        state.owner = None;
        if !(self.is(Broken::EarlyRelease) && one.phase == Phase::Appending) {
            *of(state, i) = one.idle();
        }
    }

    fn is_late(&self, state: &State, row: Row) -> bool {
        (0..self.instances).any(|i| !state.active(i) && state.one(i).epoch == row.number >> 3)
    }
}

fn of(state: &mut State, i: u8) -> &mut Instance {
    &mut state.instances[usize::from(i)]
}

fn settled(state: &mut State, i: u8) {
    let one = of(state, i);
    let Some(settling) = one.settling.take() else { return };
    one.settled = (settling.head, settling.fed);
    take_back(state, i, settling.remove);
}

/// Sent, and not waited for.
fn take_back(state: &mut State, i: u8, note: u8) {
    let journal = &mut state.journals[usize::from(i)];
    journal.sent_back = journal.sent_back.max(note);
}
