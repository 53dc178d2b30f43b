//! What may happen, and what it does.

use super::{Action, Broken, Change, ITEMS, Item, Seen, State, Sync, SyncCursor, Version};

impl SyncCursor {
    fn is(&self, broken: Broken) -> bool {
        self.broken == Some(broken)
    }

    pub(super) fn first(&self) -> State {
        let loaded = Item { shown: Some(Seen::default()), ..Item::default() };
        State {
            epoch: 1,
            counter: 0,
            highest: 0,
            items: [loaded; ITEMS],
            changes: 0,
            doubts: 0,
            zombie: false,
            cursor: 0,
            has: [0; ITEMS],
            sync: None,
        }
    }

    pub(super) fn choices(&self, state: &State, actions: &mut Vec<Action>) {
        for k in 0..self.items {
            let item = &state.items[usize::from(k)];
            self.change_choices(state, item, k, actions);
            let at_rest = item.change == Change::None && item.doubt.is_none();
            let settled = item.shown == Some(item.head);
            if item.late.is_some() {
                actions.push(Action::Lands(k));
            }
            if at_rest && (settled || self.is(Broken::LandsLate) && item.shown.is_some()) {
                actions.push(Action::Forget(k));
            }
            // Checked: its owner is the owner.
            if item.shown.is_some() && !settled && at_rest && item.sent.is_none() {
                actions.push(Action::SendHead(k));
            }
            if item.sent.is_some() {
                actions.push(Action::HeadArrives(k));
            }
            if self.is(Broken::ZombieHead) && state.epoch > 1 && !state.zombie && item.sent.is_none() {
                actions.push(Action::ZombieHead(k));
            }
        }
        if state.epoch < self.epochs {
            actions.push(Action::TakeOver);
        }
        match state.sync {
            None => actions.push(Action::BeginSync),
            Some(sync) if sync.next == self.items => actions.push(Action::EndSync),
            Some(sync) => {
                if state.items[usize::from(sync.next)].shown.is_some() {
                    actions.push(Action::Read(sync.next));
                }
                if sync.moved >> sync.next & 1 == 1 {
                    actions.push(Action::Pass(sync.next));
                }
            }
        }
    }

    fn change_choices(&self, state: &State, item: &Item, k: u8, actions: &mut Vec<Action>) {
        match item.change {
            Change::None if item.shown.is_none() || item.doubt.is_some() => actions.push(Action::Load(k)),
            Change::None if state.changes < self.changes => actions.push(Action::Take(k)),
            Change::None => {}
            Change::Taken(_) => {
                actions.push(Action::Write(k));
                if state.doubts < self.doubts {
                    actions.push(Action::Doubt(k));
                }
            }
            Change::Written(_) => {
                actions.push(if self.is(Broken::DoneBeforeShown) { Action::Done(k) } else { Action::Show(k) });
                if state.doubts < self.doubts {
                    actions.push(Action::Doubt(k));
                }
            }
            Change::Half(_) => {
                actions.push(if self.is(Broken::DoneBeforeShown) { Action::Show(k) } else { Action::Done(k) });
            }
            Change::Loading(_) => actions.push(Action::Loaded(k)),
        }
    }

    pub(super) fn step(&self, before: &State, action: Action) -> State {
        let mut state = before.clone();
        match action {
            Action::Take(k) => {
                state.changes += 1;
                let version = take(&mut state);
                of(&mut state, k).change = Change::Taken(version);
            }
            Action::Write(k) => {
                let item = of(&mut state, k);
                if let Change::Taken(version) = item.change {
                    item.log += 1;
                    item.change = Change::Written(version);
                }
            }
            Action::Show(k) => self.show(&mut state, k),
            Action::Done(k) => {
                let early = self.is(Broken::DoneBeforeShown);
                let item = of(&mut state, k);
                item.change = match item.change {
                    Change::Written(version) if early => Change::Half(version),
                    _ => Change::None,
                };
                if item.change == Change::None {
                    (item.doubt, item.named) = (None, false);
                }
            }
            Action::Doubt(k) => {
                state.doubts += 1;
                let item = of(&mut state, k);
                if let Change::Taken(version) = item.change
                    && self.is(Broken::LandsLate)
                {
                    item.late = Some(Seen { content: item.log + 1, version });
                }
                item.doubt = item.change.in_flight(false);
                item.change = Change::None;
            }
            Action::Load(k) => self.load(&mut state, k),
            Action::Loaded(k) => self.loaded(&mut state, k),
            Action::Forget(k) => (of(&mut state, k).shown, of(&mut state, k).named) = (None, false),
            Action::SendHead(k) => of(&mut state, k).sent = of(&mut state, k).shown,
            Action::HeadArrives(k) => {
                let item = of(&mut state, k);
                item.head = item.sent.take().map_or(item.head, |sent| sent.max(item.head));
            }
            Action::ZombieHead(k) => {
                state.zombie = true;
                let item = of(&mut state, k);
                item.sent = Some(Seen { content: item.head.content + 1, version: version(1, 15) });
            }
            Action::Lands(k) => {
                let item = of(&mut state, k);
                item.head = item.late.take().map_or(item.head, |late| late.max(item.head));
            }
            Action::TakeOver => take_over(&mut state),
            Action::BeginSync => state.sync = Some(Sync { until: self.cursor(&state), next: 0, moved: 0 }),
            Action::Read(k) => {
                let shown = state.items[usize::from(k)].shown.filter(|shown| shown.version > state.cursor);
                if let Some(shown) = shown {
                    state.has[usize::from(k)] = shown.content;
                }
                next(&mut state);
            }
            Action::Pass(_) => next(&mut state),
            Action::EndSync => {
                let until = if self.is(Broken::LookedUpLate) { Some(self.cursor(&state)) } else { None };
                if let Some(sync) = state.sync.take() {
                    state.cursor = until.unwrap_or(sync.until);
                }
            }
        }
        state
    }

    /// The highest version below which nothing is in flight.
    fn cursor(&self, state: &State) -> Version {
        let early = self.is(Broken::DoneBeforeShown);
        let first = state.items.iter().filter_map(|item| item.change.in_flight(early)).min();
        match self.broken {
            Some(Broken::HighestTaken) => version(state.epoch, state.counter),
            Some(Broken::HighestShown) => state.highest,
            _ => first.map_or(version(state.epoch, state.counter), |first| first.saturating_sub(1)),
        }
    }

    fn show(&self, state: &mut State, k: u8) {
        let early = self.is(Broken::DoneBeforeShown);
        let item = of(state, k);
        let (Change::Written(version) | Change::Half(version)) = item.change else { return };
        let content = item.log;
        item.change = if early { Change::None } else { Change::Half(version) };
        if early {
            (item.doubt, item.named) = (None, false);
        }
        seen(state, k, Seen { content, version });
    }

    fn load(&self, state: &mut State, k: u8) {
        let item = state.items[usize::from(k)];
        if item.doubt.is_some() || item.named {
            let version = take(state);
            of(state, k).change = Change::Loading(version);
        } else {
            of(state, k).shown = Some(item.head);
        }
    }

    fn loaded(&self, state: &mut State, k: u8) {
        let item = state.items[usize::from(k)];
        let Change::Loading(version) = item.change else { return };
        let version = match item.doubt {
            Some(doubted) if self.is(Broken::DoubtKeepsVersion) => doubted,
            None if self.is(Broken::HeirKeepsVersion) => item.head.version,
            _ => version,
        };
        of(state, k).change = Change::Half(version);
        seen(state, k, Seen { content: item.log.max(item.head.content), version });
    }
}

const fn version(epoch: u8, counter: u8) -> Version {
    epoch << 4 | counter
}

fn of(state: &mut State, k: u8) -> &mut Item {
    &mut state.items[usize::from(k)]
}

fn take(state: &mut State) -> Version {
    state.counter += 1;
    version(state.epoch, state.counter)
}

fn seen(state: &mut State, k: u8, seen: Seen) {
    of(state, k).shown = Some(seen);
    state.highest = state.highest.max(seen.version);
    if let Some(sync) = &mut state.sync {
        sync.moved |= 1 << k;
    }
}

fn next(state: &mut State) {
    if let Some(sync) = &mut state.sync {
        sync.next += 1;
    }
}

/// What was in memory is gone, what was on its way to the log was written or not, heads still travel. A
/// sync that was begun is not answered any more.
fn take_over(state: &mut State) {
    state.epoch += 1;
    state.counter = 0;
    for item in &mut state.items {
        let settled = item.shown.is_none_or(|shown| shown == item.head);
        let busy = item.change != Change::None || item.doubt.is_some();
        item.named = item.named || busy || !settled;
        (item.shown, item.change, item.doubt) = (None, Change::None, None);
    }
    state.sync = None;
}
