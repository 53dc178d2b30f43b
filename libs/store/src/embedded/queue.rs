//! Writes on their way to the writer thread, bounded in bytes.

use std::{collections::VecDeque, time::Duration};

use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::group::Group;
use crate::{Result, StoreError};

/// What a write asks of its commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Adds data: refused while space is short. Acknowledged after the sync.
    Grows,
    /// Small, and needed to go on while space is short. Acknowledged after the sync.
    Durable,
    /// Rides along with the next sync that others ask for, and does not wait for it.
    Lazy,
}

/// A queued write.
pub(crate) trait Job: Send {
    fn kind(&self) -> Kind;
    fn bytes(&self) -> usize;
    /// Puts into the group; true if it is to be kept.
    fn stage(&mut self, group: &mut Group<'_>) -> bool;
    /// Answers the caller: the commit's outcome, unless the write itself was refused.
    fn finish(self: Box<Self>, outcome: Result<()>);
}

pub(crate) struct Typed<T, F> {
    pub kind: Kind,
    pub bytes: usize,
    pub run: Option<F>,
    pub result: Option<Result<T>>,
    pub reply: oneshot::Sender<Result<T>>,
    /// Room in the queue, given back when the write is answered.
    pub room: OwnedSemaphorePermit,
}

impl<T: Send, F: FnOnce(&mut Group<'_>) -> Result<T> + Send> Job for Typed<T, F> {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn stage(&mut self, group: &mut Group<'_>) -> bool {
        let Some(run) = self.run.take() else { return false };
        let result = run(group);
        let keep = result.is_ok();
        self.result = Some(result);
        keep
    }

    fn finish(self: Box<Self>, outcome: Result<()>) {
        let answer = match (self.result, outcome) {
            (Some(Err(refused)), _) => Err(refused),
            (_, Err(failed)) => Err(failed),
            (Some(Ok(result)), Ok(())) => Ok(result),
            (None, Ok(())) => Err(StoreError::Unavailable("the write was not run".to_owned())),
        };
        // Who gave up waiting does not hear it.
        let _ = self.reply.send(answer);
        drop(self.room);
    }
}

/// First in, first out.
#[derive(Default)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    arrived: Condvar,
}

#[derive(Default)]
struct Inner {
    jobs: VecDeque<Box<dyn Job>>,
    closed: bool,
    /// The writer sleeps until this many are there.
    wanted: usize,
}

impl Queue {
    /// False once closed: the job was not taken.
    pub(crate) fn push(&self, job: Box<dyn Job>) -> bool {
        let mut inner = self.inner.lock();
        if inner.closed {
            return false;
        }
        inner.jobs.push_back(job);
        if inner.wanted > 0 && inner.jobs.len() >= inner.wanted {
            inner.wanted = 0;
            self.arrived.notify_one();
        }
        true
    }

    pub(crate) fn close(&self) {
        self.inner.lock().closed = true;
        self.arrived.notify_one();
    }

    /// Takes nothing more, and lets go of what waits: its callers hear that nobody knows.
    pub(crate) fn abandon(&self) {
        self.close();
        let jobs = std::mem::take(&mut self.inner.lock().jobs);
        drop(jobs);
    }

    /// Waits until `many` jobs are there, `patience` at most; whether any is.
    pub(crate) fn wait(&self, many: usize, patience: Duration) -> bool {
        let mut inner = self.inner.lock();
        if inner.jobs.len() < many && !inner.closed {
            inner.wanted = many;
            self.arrived.wait_for(&mut inner, patience);
            inner.wanted = 0;
        }
        !inner.jobs.is_empty()
    }

    /// Jobs in their order, up to both bounds, at least one if there is one.
    pub(crate) fn take(&self, max_ops: usize, max_bytes: usize) -> Vec<Box<dyn Job>> {
        let mut inner = self.inner.lock();
        let mut bytes = 0;
        let mut count = 0;
        for job in inner.jobs.iter().take(max_ops.max(1)) {
            bytes += job.bytes();
            if count > 0 && bytes > max_bytes {
                break;
            }
            count += 1;
        }
        inner.jobs.drain(..count).collect()
    }

    pub(crate) fn closed(&self) -> bool {
        let inner = self.inner.lock();
        inner.closed && inner.jobs.is_empty()
    }
}
