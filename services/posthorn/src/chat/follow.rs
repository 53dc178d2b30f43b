//! How far an own message comes.

use posthorn_client::{SendState, Sending};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Tells how far a send comes; for whoever is leaving, stored is enough.
pub async fn follow(mut sending: Sending, told: mpsc::Sender<SendState>, leaving: CancellationToken) {
    let mut state = sending.state();
    loop {
        let over = matches!(state, SendState::Failed(_) | SendState::Read(_));
        let stored = state.stored().is_some();
        if told.send(state.clone()).await.is_err() || over {
            return;
        }
        loop {
            let next = tokio::select! {
                next = sending.next() => next,
                () = leaving.cancelled(), if stored => return,
            };
            match next {
                Some(next) if next == state => {}
                Some(next) => {
                    state = next;
                    break;
                }
                None => return,
            }
        }
    }
}
