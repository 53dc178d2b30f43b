//! An owner works for whoever asked: what it does for a command goes on with the command's trace.

use posthorn_rpc::{Context, TraceContext, within};

/// Does `work` in this trace, if there is one. Not by the asker's deadline: an append is not given up
/// half way because somebody stopped waiting.
pub(super) async fn traced<F: Future>(trace: Option<TraceContext>, work: F) -> F::Output {
    match trace {
        Some(trace) => within(Context { trace, deadline: None }, work).await,
        None => work.await,
    }
}
