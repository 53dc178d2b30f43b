//! Write, check, confirm (architecture section 4, steps 4 and 5).

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use posthorn_clock::Instant;
use posthorn_core::{
    Envelope, UserId,
    chain::body_hash,
    conversation::{Conversation, Draft, Fact},
    cursor::Version,
    recent::Position,
};
use posthorn_errors::{Code, Failure};
use posthorn_proto::{
    client,
    convert::{encode_envelope, ranges_to_wire},
    internal::{AppendRowsRequest, Effect, Joined, ReadRequest, Removed, Row, effect::What},
};

use super::{
    after::{After, Run},
    cell::{Answer, Made},
    load::{member_rows, touched_by},
    owner::Owner,
    records::{fact_body, head_of, mark_of},
    trace::traced,
};
use posthorn_rpc::{TraceContext, call};

use crate::RoutingConfig;

/// What a send comes to.
pub(super) enum Pending {
    New(Box<Draft>),
    Duplicate(u64),
}

struct NewEntry {
    row: Row,
    envelope: Envelope,
    fact: Fact,
}

/// Entries that go into one append, and who waits for it.
#[derive(Default)]
pub(super) struct Batch {
    entries: Vec<NewEntry>,
    bytes: usize,
    /// Of the first command in it.
    trace: Option<TraceContext>,
    /// (seq, duplicate, who asked)
    pub sends: Vec<(u64, bool, Answer<client::Sent>)>,
    pub made: Vec<(Answer<Made>, Made)>,
    /// Decided on what the batch would make of the conversation: told with it.
    pub refused_sends: Vec<(Failure, Answer<client::Sent>)>,
    pub refused_changes: Vec<(Failure, Answer<Made>)>,
}

impl Batch {
    pub fn full(&self, config: &RoutingConfig) -> bool {
        self.entries.len() >= config.max_batch_entries || self.bytes >= config.max_batch_bytes
    }

    /// Another command is decided. A batch is one append of many senders: it goes on in the trace of the
    /// first that asked to be recorded, else of the first.
    pub fn asked(&mut self, trace: Option<TraceContext>) {
        let better = trace.is_some_and(TraceContext::sampled) && !self.trace.is_some_and(TraceContext::sampled);
        if self.trace.is_none() || better {
            self.trace = trace;
        }
    }

    /// The row of one of its entries.
    pub fn row(&self, seq: u64) -> Option<&Row> {
        self.entries.iter().map(|entry| &entry.row).find(|row| row.seq == seq)
    }

    /// Whose member records it changes.
    fn touched(&self) -> BTreeSet<UserId> {
        self.entries.iter().flat_map(|new| touched_by(&new.envelope.author, &new.fact)).collect()
    }

    fn nobody_waits(&self) -> bool {
        let refusals = self.refused_sends.len() + self.refused_changes.len();
        self.entries.len() + self.sends.len() + self.made.len() + refusals == 0
    }

    fn answer_all(self, failure: &Failure) {
        // Whoever stopped waiting needs no answer.
        for (_, _, answer) in self.sends {
            drop(answer.send(Err(failure.clone())));
        }
        for (answer, _) in self.made {
            drop(answer.send(Err(failure.clone())));
        }
        for (_, answer) in self.refused_sends {
            drop(answer.send(Err(failure.clone())));
        }
        for (_, answer) in self.refused_changes {
            drop(answer.send(Err(failure.clone())));
        }
    }
}

impl Owner {
    /// Decided: takes the next seq of the working state.
    pub(super) fn append(&mut self, mut draft: Draft, body: Option<Bytes>, batch: &mut Batch) -> u64 {
        let body = match fact_body(&draft.fact) {
            Some((body, hash)) => {
                draft.envelope.body_hash = Some(hash);
                Some(body)
            }
            None => {
                draft.envelope.body_hash = body.as_deref().map(body_hash);
                body
            }
        };
        let fact = draft.fact.clone();
        let (seq, envelope) = self.working.append(draft, self.core.clock.now_ms());
        let bytes = encode_envelope(&envelope);
        self.chain = self.chain.link(&bytes);
        batch.bytes += bytes.len() + body.as_ref().map_or(0, Bytes::len);
        let chain = Bytes::copy_from_slice(&self.chain.0);
        let row = Row { seq, epoch: self.number.epoch, load: self.number.load, chain, envelope: bytes, body };
        batch.entries.push(NewEntry { row, envelope, fact });
        seq
    }

    /// Writes what was decided and answers everybody. Without entries it is only a check: a refusal
    /// or a retry's answer rests on one, too.
    pub(super) async fn commit(&mut self, batch: Batch) {
        if batch.nobody_waits() {
            return;
        }
        if let Err(failure) = self.make_room(batch.entries.len(), batch.bytes).await {
            self.give_up_unwritten(batch, &failure);
            return;
        }
        let started = Instant::now();
        let core = Arc::clone(&self.core);
        let taken = core.ownership.take_version(self.cell.shard);
        let version = taken.version;
        let effects = effects_of(&self.working, &batch.entries);
        let note = self.owed.needs_note(!effects.is_empty()).then(|| core.ownership.next_note());
        let write = Box::pin(self.write_and_check(&batch, version, !effects.is_empty(), note));
        let written = traced(batch.trace, write).await;
        if let Err(failure) = written {
            drop(taken);
            self.give_up(batch, &failure);
            return;
        }
        self.core.metrics.append_seconds.observe(started.elapsed().as_secs_f64());
        let runs = self.confirm(&batch, version);
        drop(taken);
        self.answer(batch, runs, effects).await;
    }

    async fn write_and_check(
        &mut self,
        batch: &Batch,
        version: Version,
        effects: bool,
        note: Option<u64>,
    ) -> Result<(), Failure> {
        if !batch.entries.is_empty() {
            let touched = batch.touched();
            let request = AppendRowsRequest {
                tenant: (&self.cell.key.tenant).into(),
                conversation: (&self.cell.key.conversation).into(),
                instance: self.core.ownership.instance.clone(),
                rows: batch.entries.iter().map(|new| new.row.clone()).collect(),
                head: Some(head_of(&self.working, self.chain, version)),
                members: member_rows(&self.working, &touched),
                effects,
                note,
            };
            call(self.core.storage.clone().append(request)).await?;
            if let Some(note) = note {
                self.owed.noted(note);
            }
        }
        self.core.checker.active().await
    }

    /// The outcome is unknown unless the failure says otherwise; either way the working state is void.
    fn give_up(&mut self, batch: Batch, failure: &Failure) {
        if batch.entries.is_empty() {
            batch.answer_all(failure);
            return;
        }
        if failure.code == Code::StoreFull {
            self.give_up_unwritten(batch, failure);
        } else {
            self.broken = true;
            tracing::warn!(%failure, "an append is not confirmed, the conversation is loaded again");
            self.core.metrics.not_confirmed.inc();
            batch.answer_all(&Failure::plain(Code::NotConfirmed).retry_after_ms(200));
        }
    }

    /// Certain: nothing was written. Back to what is confirmed.
    fn give_up_unwritten(&mut self, batch: Batch, failure: &Failure) {
        let confirmed = self.cell.confirmed.read();
        self.working = confirmed.conversation.clone();
        self.chain = confirmed.chain;
        drop(confirmed);
        batch.answer_all(failure);
    }

    /// Shown from here on.
    fn confirm(&mut self, batch: &Batch, version: Version) -> Vec<Run> {
        if batch.entries.is_empty() {
            return Vec::new();
        }
        let mut confirmed = self.cell.confirmed.write();
        let mut runs: Vec<Run> = Vec::new();
        for new in &batch.entries {
            confirmed.conversation.apply(&new.envelope, &new.fact);
            if new.envelope.countable() {
                confirmed.preview = Some(new.row.clone());
            }
            if matches!(new.fact, Fact::None | Fact::Title(_)) {
                match runs.last_mut() {
                    Some(run) if Arc::ptr_eq(&run.audience, &confirmed.audience) => run.rows.push(new.row.clone()),
                    _ => runs.push(Run {
                        rows: vec![new.row.clone()],
                        audience: Arc::clone(&confirmed.audience),
                        newcomers: Some(Vec::new()),
                    }),
                }
                continue;
            }
            let mut users: Vec<String> = confirmed.conversation.present_users().map(Into::into).collect();
            confirmed.audience = Arc::new(users.clone());
            if let Fact::Left(user) = &new.fact {
                // Who leaves sees that they left.
                users.push(user.into());
                confirmed.marks.remove(user.as_str());
            }
            let newcomers = match &new.fact {
                Fact::Created { .. } => None,
                Fact::Joined(user, _) => Some(vec![user.into()]),
                _ => Some(Vec::new()),
            };
            runs.push(Run { rows: vec![new.row.clone()], audience: Arc::new(users), newcomers });
        }
        confirmed.chain = self.chain;
        confirmed.version = confirmed.version.max(version);
        drop(confirmed);
        self.owed.confirmed(batch.entries.iter().map(|new| new.row.clone()), batch.touched());
        runs
    }

    async fn answer(&mut self, mut batch: Batch, runs: Vec<Run>, effects: Vec<Effect>) {
        self.core.metrics.stored.inc_by(batch.entries.len() as u64);
        if !batch.entries.is_empty() {
            #[allow(clippy::cast_precision_loss, reason = "at most a few dozen")]
            self.core.metrics.batch.observe(batch.entries.len() as f64);
        }
        for (seq, duplicate, answer) in std::mem::take(&mut batch.sends) {
            self.core.metrics.duplicates.inc_by(u64::from(duplicate));
            // Whoever stopped waiting needs no answer.
            drop(answer.send(self.sent(seq, duplicate, &batch).await));
        }
        for (failure, answer) in batch.refused_sends {
            drop(answer.send(Err(failure)));
        }
        for (failure, answer) in batch.refused_changes {
            drop(answer.send(Err(failure)));
        }
        let answers = batch.made;
        if runs.is_empty() && effects.is_empty() && answers.is_empty() {
            return;
        }
        let owed = !effects.is_empty();
        if owed {
            self.owed.owe_telling();
        }
        let (confirmed_ms, trace) = (self.core.clock.now_ms(), batch.trace);
        let after = After { runs, effects, owed, confirmed_ms, answers, trace };
        // The follower lives as long as this owner; a full queue makes the next append wait.
        let _ = self.after.send(after).await;
    }

    /// The rows between what was confirmed before a reload and after it.
    pub(super) async fn newly_confirmed(&mut self, before: u64, now: u64) -> Result<Vec<Row>, Failure> {
        if now <= before {
            return Ok(Vec::new());
        }
        let request = ReadRequest {
            tenant: (&self.cell.key.tenant).into(),
            conversation: (&self.cell.key.conversation).into(),
            from: before + 1,
            to: now,
            limit: u32::MAX,
            reverse: false,
            max_bytes: u64::MAX,
        };
        Ok(call(self.core.storage.clone().read(request)).await?.rows)
    }
}

/// What a batch does to users' registers.
fn effects_of(conversation: &Conversation, entries: &[NewEntry]) -> Vec<Effect> {
    let mut users = BTreeSet::new();
    for new in entries {
        match &new.fact {
            Fact::Created { members, .. } => users.extend(members.iter().map(|(user, _)| user.clone())),
            Fact::Joined(user, _) | Fact::Left(user) => {
                users.insert(user.clone());
            }
            Fact::None | Fact::Role(..) | Fact::Title(_) => {}
        }
    }
    users.iter().filter_map(|user| effect_of(conversation, user)).collect()
}

/// Every member's, as they stand: telling is idempotent.
pub(super) fn effects_of_all(conversation: &Conversation) -> Vec<Effect> {
    conversation.members.keys().filter_map(|user| effect_of(conversation, user)).collect()
}

fn effect_of(conversation: &Conversation, user: &UserId) -> Option<Effect> {
    let member = conversation.members.get(user)?;
    let visible = ranges_to_wire(&member.visible);
    let (seq, what) = if member.present {
        // Own entries before a rejoin are those of the time before.
        let own = member.left.own;
        let at = Position { seq: member.joined_seq, ordinal: member.joined_ordinal, own };
        (member.joined_seq, What::Joined(Joined { at: Some(mark_of(at)), visible }))
    } else {
        (member.left.seq, What::Removed(Removed { visible }))
    };
    // The conversation's name is added where the effect is sent.
    Some(Effect { user: user.into(), conversation: String::new(), seq, what: Some(what) })
}

/// A tail that a load confirmed: each entry to those who may see it.
pub(super) fn runs_of_tail(conversation: &Conversation, tail: Vec<Row>) -> Vec<Run> {
    let sees = |seq: u64| -> Vec<String> {
        let members = conversation.members.iter().filter(|(_, member)| member.visible.contains(seq));
        members.map(|(user, _)| user.into()).collect()
    };
    let run = |row: Row| Run { audience: Arc::new(sees(row.seq)), rows: vec![row], newcomers: None };
    tail.into_iter().map(run).collect()
}
