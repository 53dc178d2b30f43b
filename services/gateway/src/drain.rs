//! Going down without a storm: connections are told to come back elsewhere at a bounded rate, what is
//! in flight finishes, then they end.

use std::{sync::Arc, time::Duration};

use posthorn_clock::{Instant, sleep};
use posthorn_errors::Code;

use crate::{Gateway, live::Order, ws::ending::Ending};

/// How often the number of connections is looked at, ms.
const POLL_MS: u64 = 20;

impl Gateway {
    /// Not ready from now on; after `drain_propagation_ms` tells `drain_per_s` connections a second to
    /// reconnect. Returns when none is left, or at `drain_cap_ms` with how many are. A second call waits too.
    pub async fn drain(&self) -> u64 {
        let config = self.config();
        let cap = Instant::now() + Duration::from_millis(config.drain_cap_ms);
        if self.begin_drain() {
            tracing::info!(connections = self.connections(), "draining");
            let told = async {
                sleep(Duration::from_millis(config.drain_propagation_ms)).await;
                self.tell_all().await;
            };
            let _ = tokio::time::timeout_at(cap, told).await;
        }
        while self.connections() > 0 && Instant::now() < cap {
            self.count_remaining();
            sleep(Duration::from_millis(POLL_MS)).await;
        }
        self.count_remaining();
        self.connections()
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

    fn count_remaining(&self) {
        self.metrics.drain_remaining.set(i64::try_from(self.connections()).unwrap_or(i64::MAX));
    }
}

/// When the node stops, whoever is still here is ended at once.
pub(crate) async fn end_when_stopping(gateway: Arc<Gateway>) {
    gateway.deps.tasks.stopping().cancelled().await;
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
