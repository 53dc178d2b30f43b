//! Takes a file's steps, one after the other: the next one when the last one is in the log. So the log has
//! the order of the file, whoever speaks; all files go on at the same time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use posthorn_client::{
    Outgoing,
    backend::Backend,
    proto::{Body, Style},
};
use posthorn_clock::{Instant, sleep_until};
use posthorn_errors::Code;
use posthorn_history::Kind;

use super::{
    fleet::{Fleet, again},
    ledger::{Ledger, print_of_log},
    patience::Patience,
    plan::{Plan, Step},
    run_state::RunState,
    tape::{BACKEND, SYSTEM, Said, Tape, digest},
};

/// Entries in one page over HTTP.
pub const LOG_PAGE: u32 = 1_000;

/// Hands out the moments at which messages may be sent, over all files.
pub struct Pace {
    started: Instant,
    per_s: Option<f64>,
    given: AtomicU64,
}

impl Pace {
    /// `None`: as fast as it goes.
    pub fn new(per_s: Option<f64>) -> Self {
        Self { started: Instant::now(), per_s, given: AtomicU64::new(0) }
    }

    async fn turn(&self) {
        if let Some(per_s) = self.per_s {
            let number = self.given.fetch_add(1, Relaxed);
            sleep_until(self.started + Duration::from_secs_f64(number as f64 / per_s)).await;
        }
    }
}

/// What all files share.
pub struct Drive {
    pub backend: Backend,
    pub fleet: Arc<Fleet>,
    pub ledger: Arc<Ledger>,
    pub tape: Tape,
    pub patience: Patience,
    pub pace: Pace,
    pub state: RunState,
    pub resumed: bool,
}

pub struct File {
    pub plan: Plan,
    /// From a user of the plan to one of the run.
    pub number: Vec<u32>,
}

impl Drive {
    pub async fn file(&self, at: usize, file: &File) -> Result<()> {
        let conversation = self.state.files[at].conversation.as_str();
        self.create(conversation, &self.state.files[at].path, &file.plan).await?;
        let done = if self.resumed { self.in_the_log(at, conversation, &file.plan).await? } else { 0 };
        if self.tape.on() {
            self.taped_before(at, conversation, file, done);
        }
        for (number, step) in file.plan.steps.iter().enumerate().skip(done) {
            // Whether an earlier process tried this one is not known.
            let again = self.resumed && number == done;
            let taken = self.step(at, conversation, file, number, step, again).await;
            taken.with_context(|| format!("{} step {}", self.state.files[at].path, number + 1))?;
        }
        Ok(())
    }

    async fn create(&self, conversation: &str, path: &str, plan: &Plan) -> Result<()> {
        let starters: Vec<&str> = plan.starters.iter().map(|&user| plan.users[user as usize].0.as_str()).collect();
        let title: String = path.rsplit('/').next().unwrap_or(path).chars().take(200).collect();
        let made = again(&self.patience, || self.backend.create_conversation(conversation, &title, &starters)).await;
        match made {
            // By an earlier try, or an earlier process: the id is the run's own.
            Err(error) if error.code() == Some(Code::AlreadyExists) => Ok(()),
            made => made.map(drop).with_context(|| format!("cannot create {conversation}")),
        }
    }

    /// How many steps the log has, which must be those of the plan.
    async fn in_the_log(&self, at: usize, conversation: &str, plan: &Plan) -> Result<usize> {
        let expected = &self.ledger.expected[at];
        let mut after = 0;
        loop {
            let page = again(&self.patience, || self.backend.entries(conversation, after, LOG_PAGE)).await?;
            for entry in &page.entries {
                if !expected.is(entry.seq, print_of_log(entry)) {
                    bail!("{conversation} has another entry at seq {} than the file", entry.seq);
                }
                after = after.max(entry.seq);
            }
            if page.next.is_none() {
                break;
            }
        }
        self.ledger.acked.fetch_add(expected.countable_up_to(after), Relaxed);
        Ok(usize::try_from(after.saturating_sub(1)).unwrap_or(0).min(plan.steps.len()))
    }

    async fn step(
        &self,
        at: usize,
        conversation: &str,
        file: &File,
        number: usize,
        step: &Step,
        tried: bool,
    ) -> Result<()> {
        let seq = Plan::seq_of(number);
        let id = |user: &u32| file.plan.users[*user as usize].0.as_str();
        let said = self.tape.on().then(|| self.said(at, conversation, &file.plan, step)).flatten();
        self.taped(said.as_ref(), Kind::Invoke, 0, false);
        match step {
            Step::Say { user, text, action, line } => {
                self.pace.turn().await;
                let style = if *action { Style::Action } else { Style::Unspecified };
                let outgoing = Outgoing {
                    conversation: conversation.to_owned(),
                    body: Body { text: text.clone(), style: style.into(), ..Body::default() },
                    message_id: Some(self.state.message_id(at, *line)),
                    // A copy can only lie beyond what was there before this step.
                    tried: tried.then_some((0, seq - 1)),
                    ..Outgoing::default()
                };
                let sent_us = self.ledger.sending(at, seq);
                let client = &self.fleet.members[file.number[*user as usize] as usize].client;
                let stored = self
                    .patience
                    .until(async { client.send(outgoing).await?.stored().await.map_err(anyhow::Error::from) });
                let stored = stored.await.context("no acknowledgement for too long")??;
                self.taped(said.as_ref(), Kind::Ok, stored.seq, stored.duplicate);
                self.acked(at, seq, stored.seq, sent_us);
            }
            Step::System { text, line } => {
                self.pace.turn().await;
                let message_id = self.state.message_id(at, *line).to_string();
                let sent_us = self.ledger.sending(at, seq);
                let sent = again(&self.patience, || self.backend.send_system(conversation, text, &message_id)).await?;
                self.taped(said.as_ref(), Kind::Ok, sent.seq, sent.duplicate);
                self.acked(at, seq, sent.seq, sent_us);
            }
            Step::Join { user } => {
                let who = [id(user)];
                again(&self.patience, || self.backend.add_members(conversation, &who)).await?;
                self.tape.joined(conversation, id(user), seq);
            }
            Step::Leave { user } => {
                again(&self.patience, || self.backend.remove_member(conversation, id(user))).await?;
                self.tape.left(conversation, id(user), seq);
            }
        }
        Ok(())
    }

    fn taped(&self, said: Option<&Said>, kind: Kind, seq: u64, again: bool) {
        if let Some(said) = said {
            self.tape.send(said, kind, seq, again);
        }
    }

    /// The message of a step, if it is one.
    fn said(&self, at: usize, conversation: &str, plan: &Plan, step: &Step) -> Option<Said> {
        let (process, author, line, body) = match step {
            Step::Say { user, text, action, line } => {
                let user = plan.users[*user as usize].0.as_str();
                (user, user, line, digest(*action, text))
            }
            Step::System { text, line } => (BACKEND, SYSTEM, line, digest(false, text)),
            Step::Join { .. } | Step::Leave { .. } => return None,
        };
        Some(Said {
            process: process.to_owned(),
            author: author.to_owned(),
            conversation: conversation.to_owned(),
            message_id: self.state.message_id(at, *line).to_string(),
            body,
        })
    }

    /// Who is there from the start, and the steps of an earlier process, whose answers nobody here knows.
    fn taped_before(&self, at: usize, conversation: &str, file: &File, done: usize) {
        let id = |user: &u32| file.plan.users[*user as usize].0.as_str();
        for user in &file.plan.starters {
            self.tape.joined(conversation, id(user), 1);
        }
        for (number, step) in file.plan.steps.iter().enumerate().take(done) {
            let said = self.said(at, conversation, &file.plan, step);
            self.taped(said.as_ref(), Kind::Invoke, 0, false);
            self.taped(said.as_ref(), Kind::Info, 0, false);
            match step {
                Step::Join { user } => self.tape.joined(conversation, id(user), Plan::seq_of(number)),
                Step::Leave { user } => self.tape.left(conversation, id(user), Plan::seq_of(number)),
                Step::Say { .. } | Step::System { .. } => {}
            }
        }
    }

    fn acked(&self, at: usize, seq: u64, stored: u64, sent_us: u64) {
        self.patience.progress();
        self.ledger.acked(sent_us);
        if stored != seq {
            let conversation = &self.ledger.expected[at].conversation;
            tracing::warn!(conversation, expected = seq, stored, "an entry was stored at another seq");
            self.ledger.faults.mismatched.fetch_add(1, Relaxed);
        }
    }
}
