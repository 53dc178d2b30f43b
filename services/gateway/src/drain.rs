//! Going down without a storm: connections are told to come back elsewhere at a bounded rate, what is
//! in flight finishes, then they end. At the end of the process, or because the operator says so: that can be
//! taken back.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use posthorn_clock::{Instant, sleep};
use posthorn_errors::{Code, Failure};
use tokio_util::sync::CancellationToken;

use crate::{Gateway, live::Order, ws::ending::Ending};

/// How often the number of connections is looked at, ms.
const POLL_MS: u64 = 20;

#[derive(Default)]
pub(crate) struct Drain(Mutex<State>);

#[derive(Default)]
struct State {
    /// While it drains; cancelled when that is taken back.
    begun: Option<CancellationToken>,
    /// The process ends: nobody takes that back.
    ending: bool,
}

impl Gateway {
    pub(crate) fn is_draining(&self) -> bool {
        self.drain.0.lock().begun.is_some()
    }

    /// Not ready from now on. `None` if it was not before either.
    pub(crate) fn begin_drain(&self) -> Option<CancellationToken> {
        let mut state = self.drain.0.lock();
        if state.begun.is_some() {
            return None;
        }
        tracing::info!(connections = self.connections(), "draining");
        self.metrics.draining.set(1);
        Some(state.begun.insert(CancellationToken::new()).clone())
    }

    /// At the end of the process: begins to drain, or goes on with it. Returns when no connection is left, or at
    /// `drain_cap_ms` with how many are. A second call waits too.
    pub async fn drain(&self) -> u64 {
        let cap = Instant::now() + Duration::from_millis(self.config().drain_cap_ms);
        self.drain.0.lock().ending = true;
        let gone = async {
            match self.begin_drain() {
                Some(taken_back) => self.pace(&taken_back).await,
                None => self.until_empty().await,
            }
        };
        let _ = tokio::time::timeout_at(cap, gone).await;
        self.count_remaining();
        self.connections()
    }

    /// By the operator: the same, in the background and without a cap. Whoever was told to leave ends by its own
    /// timer.
    pub fn start_drain(self: &Arc<Self>) {
        if let Some(taken_back) = self.begin_drain() {
            let (gateway, tasks) = (Arc::clone(self), &self.deps.tasks);
            tasks.background("drain", tasks.until_stopped(async move { gateway.pace(&taken_back).await }));
        }
    }

    /// Takes new connections again. Those that were told to leave do.
    ///
    /// # Errors
    /// `draining`: the process ends.
    pub fn cancel_drain(&self) -> Result<(), Failure> {
        let mut state = self.drain.0.lock();
        if state.ending {
            return Err(Failure::new(Code::Draining, "the process ends: its drain cannot be taken back"));
        }
        if let Some(taken_back) = state.begun.take() {
            taken_back.cancel();
            self.metrics.draining.set(0);
            self.metrics.drain_remaining.set(0);
            tracing::info!(connections = self.connections(), "not draining any more");
        }
        Ok(())
    }

    /// After `drain_propagation_ms` tells `drain_per_s` connections a second to reconnect, and waits for their end.
    async fn pace(&self, taken_back: &CancellationToken) {
        let leave = async {
            sleep(Duration::from_millis(self.config().drain_propagation_ms)).await;
            self.tell_all().await;
            self.until_empty().await;
        };
        tokio::select! {
            biased;
            () = taken_back.cancelled() => {}
            () = leave => {}
        }
    }

    /// Paced in steps of a tenth of a second, so that the rate is kept without a timer for each.
    async fn tell_all(&self) {
        let per_step = usize::try_from(self.config().drain_per_s.div_ceil(10)).unwrap_or(usize::MAX).max(1);
        // Who connected while the others were told is told in the next round.
        loop {
            let untold: Vec<_> = self.registry.all().into_iter().filter(|c| c.outbox.may_leave()).collect();
            if untold.is_empty() {
                return;
            }
            for step in untold.chunks(per_step) {
                for connection in step {
                    connection.outbox.order(Order::Leave(Code::Draining));
                }
                self.count_remaining();
                sleep(Duration::from_millis(100)).await;
            }
        }
    }

    async fn until_empty(&self) {
        while self.connections() > 0 {
            self.count_remaining();
            sleep(Duration::from_millis(POLL_MS)).await;
        }
        self.count_remaining();
    }

    fn count_remaining(&self) {
        self.metrics.drain_remaining.set(i64::try_from(self.connections()).unwrap_or(i64::MAX));
    }
}

/// When the node stops, whoever is still here is ended at once.
pub(crate) async fn end_when_stopping(gateway: Arc<Gateway>) {
    gateway.deps.tasks.stopping().cancelled().await;
    gateway.drain.0.lock().ending = true;
    gateway.begin_drain();
    // Some may be between authentication and their registration.
    loop {
        for connection in gateway.registry.all() {
            connection.outbox.order(Order::End(Ending::server(Code::Draining)));
        }
        if gateway.connections() == 0 {
            return;
        }
        sleep(Duration::from_millis(POLL_MS)).await;
    }
}
