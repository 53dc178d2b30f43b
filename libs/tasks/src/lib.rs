//! Every task has a kind that says what its death means. There is no bare `tokio::spawn`.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The tasks of one node. Cheap to clone.
#[derive(Clone)]
pub struct Tasks(Arc<Inner>);

impl Default for Tasks {
    fn default() -> Self {
        let root = CancellationToken::new();
        let stop = root.clone();
        Self(Arc::new(Inner { tracker: TaskTracker::new(), stop, root, failed: Arc::default() }))
    }
}

struct Inner {
    tracker: TaskTracker,
    stop: CancellationToken,
    /// Of the node: what a critical task's death cancels.
    root: CancellationToken,
    failed: Arc<Mutex<Option<String>>>,
}

impl Tasks {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tasks of a part that may end while the rest goes on: stopping them stops nothing else, and they stop
    /// with the rest. The death of a critical one is the death of the node all the same.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(Arc::new(Inner {
            tracker: self.0.tracker.clone(),
            stop: self.0.stop.child_token(),
            root: self.0.root.clone(),
            failed: Arc::clone(&self.0.failed),
        }))
    }

    /// Cancelled when the node stops: every task watches it.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.0.stop.clone()
    }

    /// `work`, given up where it stands when the node stops.
    pub fn until_stopped(
        &self,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let stopping = self.stopping();
        async move {
            tokio::select! {
                () = work => {}
                () = stopping.cancelled() => {}
            }
        }
    }

    /// The node cannot live without it: if it ends before the node stops, the node stops.
    pub fn critical(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let tasks = self.clone();
        self.spawn(async move {
            let ended = AssertUnwindSafe(task).catch_unwind().await;
            if tasks.0.stop.is_cancelled() && ended.is_ok() {
                return;
            }
            tracing::error!(task = name, panicked = ended.is_err(), "critical task ended, the node stops");
            tasks.0.failed.lock().get_or_insert_with(|| name.to_owned());
            tasks.0.root.cancel();
        });
    }

    /// Something less when it dies: logged.
    pub fn background(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                tracing::error!(task = name, "background task panicked");
            }
        });
    }

    /// Begins to stop: cancels [`Tasks::stopping`].
    pub fn stop(&self) {
        self.0.stop.cancel();
    }

    /// Waits until every task has ended, `budget` at most. False if some had not.
    pub async fn ended(&self, budget: Duration) -> bool {
        self.0.tracker.close();
        tokio::time::timeout(budget, self.0.tracker.wait()).await.is_ok()
    }

    /// The critical task whose death stopped the node.
    #[must_use]
    pub fn failed(&self) -> Option<String> {
        self.0.failed.lock().clone()
    }

    #[allow(clippy::disallowed_methods, reason = "this is the one place")]
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.tracker.spawn(task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_part_stops_alone_and_with_the_rest_and_its_critical_tasks_are_the_nodes() {
        let node = Tasks::new();
        let (one, other) = (node.child(), node.child());
        let stopped = one.stopping();
        one.critical("vital to one", async move { stopped.cancelled().await });
        one.stop();
        assert!(!node.stopping().is_cancelled() && !other.stopping().is_cancelled());
        tokio::task::yield_now().await;
        assert_eq!(node.failed(), None);
        other.critical("dies", async {});
        node.stopping().cancelled().await;
        assert_eq!(node.failed().as_deref(), Some("dies"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_death_of_a_critical_task_stops_the_node() {
        let tasks = Tasks::new();
        let stopping = tasks.stopping();
        tasks.background("lives", async move { stopping.cancelled().await });
        tasks.background("dies", async { panic!("on purpose") });
        assert!(!tasks.ended(Duration::from_secs(1)).await);
        tasks.critical("vital", async {});
        assert!(tasks.ended(Duration::from_secs(1)).await);
        assert_eq!(tasks.failed().as_deref(), Some("vital"));
    }
}
