//! What follows a confirmed batch, in order: users' registers are told, gateways get the entries,
//! and whoever changed members gets the answer (their next sync shows it).

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use posthorn_clock::sleep;
use posthorn_errors::{Code, Failure};
use posthorn_proto::internal::{Effect, NewEntries, Row, TellRequest};
use tokio::sync::{Notify, mpsc};

use super::cell::{Answer, Cell, Made};
use posthorn_rpc::{TraceContext, call};

use super::trace::traced;
use crate::{fanout::Before, service::Core};

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
    gave_up: AtomicBool,
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

    /// Nobody is told any more: the next owner does that.
    pub fn gave_up(&self) -> bool {
        self.gave_up.load(Ordering::Acquire)
    }

    fn give_up(&self) {
        self.gave_up.store(true, Ordering::Release);
        self.notify.notify_one();
    }
}

/// How long users are still told once the shard is handed over. They may be of a shard that nobody owns before this
/// instance claims it, which it does not while it hands over; the journal has it, and the next owner tells everybody.
const LAST_TELLING: Duration = Duration::from_secs(1);

/// Effects in one call.
const EFFECTS_PER_CALL: usize = 500;

pub(super) async fn follow(core: Arc<Core>, cell: Arc<Cell>, told: Arc<Told>, mut batches: mpsc::Receiver<After>) {
    let (tenant, conversation) = (String::from(&cell.key.tenant), String::from(&cell.key.conversation));
    // Whether the gateways of all members follow it as a large one: how it was published before this owner, nobody
    // knows.
    let mut followed = false;
    let mut before = Before::Unknown;
    let mut too_late = pin!(async {
        cell.handed_over.cancelled().await;
        sleep(LAST_TELLING).await;
    });
    while let Some(after) = batches.recv().await {
        if after.owed && !told.gave_up() {
            let mut effects = after.effects;
            for effect in &mut effects {
                effect.conversation.clone_from(&conversation);
            }
            tokio::select! {
                () = traced(after.trace, tell(&core, &tenant, effects)) => told.add(),
                () = &mut too_late => told.give_up(),
            }
        }
        for run in after.runs {
            let entries =
                NewEntries { conversation: conversation.clone(), rows: run.rows, confirmed_ms: after.confirmed_ms };
            let newcomers = run.newcomers.filter(|_| followed);
            followed = core.fanout.is_large(run.audience.len());
            let newcomers = newcomers.as_deref().unwrap_or(&run.audience);
            let told = core.fanout.entries(&cell.key, &run.audience, newcomers, entries, before);
            before = traced(after.trace, told).await;
        }
        for (answer, made) in after.answers {
            // Whoever stopped waiting needs no answer. Who asks again is answered by the next owner.
            let _ = answer.send(if told.gave_up() { Err(Code::NotConfirmed.into()) } else { Ok(made) });
        }
    }
}

/// Until it is done: the journal names the conversation meanwhile.
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
