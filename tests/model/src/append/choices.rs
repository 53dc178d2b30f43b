//! What may happen next.

use super::{
    Append, Broken,
    action::Action,
    chain,
    state::{Instance, Journal, Phase, Settling, State},
    store::Row,
};

impl Append {
    pub(super) fn choices(&self, state: &State, actions: &mut Vec<Action>) {
        if let Some(owner) = state.owner.filter(|owner| state.active(*owner))
            && state.epoch < self.claims
            && (0..self.instances).any(|heir| heir != owner && self.may_claim(state, heir))
        {
            actions.push(Action::Fence(owner));
        }
        for i in 0..self.instances {
            self.own_choices(state, i, actions);
        }
        Self::arrivals(state, actions);
    }

    /// Instances have no names either: they claim for the first time in order.
    fn may_claim(&self, state: &State, i: u8) -> bool {
        let in_turn = i == 0 || state.one(i - 1).epoch > 0;
        state.one(i).phase == Phase::Idle && state.active(i) && state.epoch < self.claims && in_turn
    }

    fn own_choices(&self, state: &State, i: u8, actions: &mut Vec<Action>) {
        let one = state.one(i);
        match one.phase {
            Phase::Idle => {
                let free = state.owner.is_none_or(|owner| !state.active(owner) || self.is(Broken::NoFence));
                if free && self.may_claim(state, i) {
                    actions.push(Action::Claim(i));
                }
            }
            Phase::Claimed => {
                let heirs = || (0..self.instances).filter(|j| one.inherits >> j & 1 == 1).map(|j| state.journal(j));
                if heirs().any(Journal::may_name) {
                    actions.push(Action::ReadJournals(i, true));
                }
                if heirs().all(Journal::may_not_name) {
                    actions.push(Action::ReadJournals(i, false));
                }
            }
            Phase::Carrying if Self::note_stands(state, i) => {
                actions.push(Action::CarriedOver(i));
                let own = state.owner == Some(i) && state.epoch == one.epoch && state.active(i);
                if one.inherits != 0 && own && state.timeouts < self.timeouts {
                    actions.push(Action::CarriedOverUnanswered(i));
                }
            }
            Phase::Loading => {
                for head in state.head.reads() {
                    actions.extend(state.fed.reads().into_iter().map(|fed| Action::ReadHead(i, head, fed)));
                }
            }
            Phase::Paging => self.pages(state, i, actions),
            Phase::Rewriting => {
                let written = self.stands(state, one) || self.is(Broken::NoRewrite);
                if written && self.check(state, i) {
                    actions.push(Action::ConfirmTail(i));
                }
                self.time_out(state, i, actions);
            }
            Phase::Serving => self.work(state, i, actions),
            Phase::Appending => {
                let noted = Self::note_stands(state, i) || self.is(Broken::LateNote);
                let checked = self.is(Broken::CheckFirst) || self.check(state, i);
                if noted && checked && self.stands(state, one) {
                    actions.push(Action::Confirm(i));
                }
                self.time_out(state, i, actions);
                if self.is(Broken::EarlyRelease) && state.owner == Some(i) && state.epoch == one.epoch {
                    actions.push(Action::Release(i));
                }
            }
            Phase::Noting if Self::note_stands(state, i) => actions.push(Action::Noted(i)),
            Phase::Carrying | Phase::Noting => {}
        }
        let settled = |settling: Settling| state.head.sure >= settling.head && state.fed.sure >= settling.fed;
        if one.settling.is_some_and(settled) {
            actions.push(Action::Settled(i));
        }
    }

    /// The own row of `routing_instances`. Whoever reads `fenced` does nothing any more, as if it had crashed.
    fn check(&self, state: &State, i: u8) -> bool {
        state.active(i) || self.is(Broken::NoCheck)
    }

    fn note_stands(state: &State, i: u8) -> bool {
        state.journal(i).noted.sure >= state.one(i).note
    }

    fn time_out(&self, state: &State, i: u8, actions: &mut Vec<Action>) {
        if state.timeouts < self.timeouts {
            actions.push(Action::TimeOut(i));
        }
    }

    /// Per seq the row of the highest number that continues what was taken, out of two replicas.
    fn pages(&self, state: &State, i: u8, actions: &mut Vec<Action>) {
        let one = state.one(i);
        let fits = |row: &&Row| {
            if self.is(Broken::NoChain) {
                row.number >= one.last
            } else {
                chain::len(row.chain) > chain::len(one.reach) && chain::continues(row.chain, one.reach)
            }
        };
        let from = actions.len();
        for page in state.rows.pages(chain::len(one.reach) + 1) {
            let row = page.filter(fits).max_by_key(|row| row.number);
            let reach = row.map(|row| chain::link(one.reach, chain::last(row.chain)));
            let action = Action::ReadPage(i, reach, row.map_or(0, |row| row.number));
            if !actions[from..].contains(&action) {
                actions.push(action);
            }
        }
    }

    fn work(&self, state: &State, i: u8, actions: &mut Vec<Action>) {
        let one = state.one(i);
        if one.fed < chain::len(one.run) {
            actions.push(Action::Publish(i));
        }
        let news = (one.run, one.fed) != one.settled;
        let removable = one.note > 0 && (one.fed == chain::len(one.run) || self.is(Broken::SettleSoon));
        if one.settling.is_none() && (news || removable) {
            actions.push(Action::Settle(i));
        }
        if state.owner == Some(i) && state.epoch == one.epoch {
            actions.push(Action::Release(i));
        }
        let may_append = !self.is(Broken::CheckFirst) || state.active(i);
        if state.appends < self.appends && may_append {
            self.batches(state, i, actions);
        }
    }

    /// Messages that nobody confirmed are sent again; an owner knows those that it has.
    fn batches(&self, state: &State, i: u8, actions: &mut Vec<Action>) {
        let run = state.one(i).run;
        let again: Vec<u8> =
            (1..=state.made).filter(|v| !chain::holds(run, *v) && !chain::holds(state.log, *v)).collect();
        let fresh = (state.made + 1..=self.messages).take(usize::from(self.batch));
        let all: Vec<u8> = again.into_iter().chain(fresh).collect();
        let fits = |reach: &u16| chain::len(*reach) <= chain::MAX_ENTRIES;
        // The next new message is the only one.
        let first = all.iter().filter(|v| **v <= state.made + 1);
        for &a in first {
            actions.extend(Some(chain::link(run, a)).filter(fits).map(|reach| Action::Append(i, reach)));
            if self.batch < 2 {
                continue;
            }
            let second = all.iter().filter(|b| **b != a && **b <= state.made.max(a) + 1);
            let both = second.map(|b| chain::link(chain::link(run, a), *b)).filter(fits);
            actions.extend(both.map(|reach| Action::Append(i, reach)));
        }
    }

    /// What an owner has written is where it may be confirmed.
    fn stands(&self, state: &State, one: &Instance) -> bool {
        let replicas = if self.is(Broken::OneReplica) { 1 } else { 2 };
        state.rows.stand(replicas, one.number(), one.run, one.reach)
    }

    /// Of what was sent and is not at a quorum yet.
    fn arrivals(state: &State, actions: &mut Vec<Action>) {
        for (at, row) in state.rows.iter().enumerate() {
            let columns = [0, 1, 2].map(|replica| state.rows.column(row.seq, replica));
            for replica in (0..3).filter(|replica| row.held >> replica & 1 == 0) {
                // Two replicas that hold the same of this seq are one choice.
                let at_replica = usize::from(replica);
                if !columns[..at_replica].contains(&columns[at_replica]) {
                    actions.push(Action::RowArrives(at, *row, replica));
                }
            }
        }
        for (i, journal) in (0..).zip(&state.journals) {
            for note in journal.noted.sure + 1..=journal.sent {
                let outcomes = journal.noted.arrivals(note).len();
                actions.extend((0..outcomes).map(|outcome| Action::NoteArrives(i, note, outcome)));
            }
            let outcomes = journal.removed.arrivals(journal.sent_back).len();
            actions.extend((0..outcomes).map(|outcome| Action::RemovalArrives(i, journal.sent_back, outcome)));
        }
        let (mut heads, mut feds): (Vec<u16>, Vec<u8>) = state.settlements.iter().copied().unzip();
        heads.dedup();
        feds.sort_unstable();
        feds.dedup();
        for head in heads {
            let outcomes = state.head.arrivals(head).len();
            actions.extend((0..outcomes).map(|outcome| Action::HeadArrives(head, outcome)));
        }
        for fed in feds {
            let outcomes = state.fed.arrivals(fed).len();
            actions.extend((0..outcomes).map(|outcome| Action::FedArrives(fed, outcome)));
        }
    }
}
