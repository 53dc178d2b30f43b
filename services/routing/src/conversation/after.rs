//! What follows a confirmed batch, in order: users' registers are told, gateways get the entries,
//! and whoever changed members gets the answer (their next sync shows it).

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use posthorn_clock::sleep;
use posthorn_errors::Failure;
use posthorn_proto::internal::{Effect, NewEntries, Row, TellRequest};
use tokio::sync::{Notify, mpsc};

use super::cell::{Answer, Cell, Made};
use posthorn_rpc::{TraceContext, call};

use super::trace::traced;
use crate::service::Core;

/// Entries with the same recipients.
pub(super) struct Run {
    pub rows: Vec<Row>,
    pub audience: Arc<Vec<String>>,
    /// Those of them who are members only since; `None`: nobody knows who was one before.
    pub newcomers: Option<Vec<String>>,
}

pub(super) struct After {
    pub runs: Vec<Run>,
    pub effects: Vec<Effect>,
    /// The owner waits to hear that all of it was told.
    pub owed: bool,
    pub confirmed_ms: u64,
    pub answers: Vec<(Answer<Made>, Made)>,
    /// Of the first command in the batch: registers and gateways are told in it.
    pub trace: Option<TraceContext>,
}

/// How many batches' registers were told, for the owner that settles.
#[derive(Default)]
pub(super) struct Told {
    batches: Mutex<usize>,
    pub notify: Notify,
}

impl Told {
    /// Those since the last call.
    pub fn take(&self) -> usize {
        std::mem::take(&mut *self.batches.lock())
    }

    fn add(&self) {
        *self.batches.lock() += 1;
        self.notify.notify_one();
    }
}

/// Effects in one call.
const EFFECTS_PER_CALL: usize = 500;

pub(super) async fn follow(core: Arc<Core>, cell: Arc<Cell>, told: Arc<Told>, mut batches: mpsc::Receiver<After>) {
    let (tenant, conversation) = (String::from(&cell.key.tenant), String::from(&cell.key.conversation));
    // Whether the gateways of all members follow it as a large one: how it was published before this owner, nobody
    // knows.
    let mut followed = false;
    while let Some(after) = batches.recv().await {
        if after.owed {
            let mut effects = after.effects;
            for effect in &mut effects {
                effect.conversation.clone_from(&conversation);
            }
            traced(after.trace, tell(&core, &tenant, effects)).await;
            told.add();
        }
        for run in after.runs {
            let entries =
                NewEntries { conversation: conversation.clone(), rows: run.rows, confirmed_ms: after.confirmed_ms };
            let newcomers = run.newcomers.filter(|_| followed);
            followed = core.fanout.is_large(run.audience.len());
            let newcomers = newcomers.as_deref().unwrap_or(&run.audience);
            traced(after.trace, core.fanout.entries(&cell.key, &run.audience, newcomers, entries)).await;
        }
        for (answer, made) in after.answers {
            // Whoever stopped waiting needs no answer.
            let _ = answer.send(Ok(made));
        }
    }
}

/// Until it is done: the conversation stays in the journal meanwhile.
async fn tell(core: &Core, tenant: &str, effects: Vec<Effect>) {
    for chunk in effects.chunks(EFFECTS_PER_CALL) {
        let mut delay = Duration::from_millis(20);
        loop {
            let request = TellRequest { tenant: tenant.to_owned(), effects: chunk.to_vec() };
            let told: Result<_, Failure> = call(core.peers.clone().tell(request)).await;
            let Err(failure) = told else { break };
            tracing::warn!(%failure, "users could not be told of a membership change, trying again");
            sleep(delay).await;
            delay = (delay * 2).min(Duration::from_secs(2));
        }
    }
}
