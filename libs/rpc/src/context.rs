//! What a request carries from hop to hop without being passed along: its trace and its deadline.
//! Task-local, so a handler that hands work to another task hands this over itself ([`current`], then
//! [`within`] there).

use posthorn_clock::Instant;

use crate::trace::TraceContext;

/// Where the present request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    pub trace: TraceContext,
    /// When whoever asked stops waiting; calls made on the way take no longer.
    pub deadline: Option<Instant>,
}

tokio::task_local! {
    static CURRENT: Context;
}

/// The context of the request that this task works on, if it works on one.
#[must_use]
pub fn current() -> Option<Context> {
    CURRENT.try_with(|context| *context).ok()
}

/// Runs `work` in `context`: the calls it makes are children of its trace and keep its deadline.
pub async fn within<F: Future>(context: Context, work: F) -> F::Output {
    CURRENT.scope(context, work).await
}
