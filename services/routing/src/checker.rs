//! Reads the own `active`; one read serves everybody who waited when it began.

use posthorn_errors::{Code, Failure};
use posthorn_proto::internal::CheckRequest;
use posthorn_rpc::{StorageClient, call};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

type Answer = oneshot::Sender<Result<bool, Failure>>;

#[derive(Clone)]
pub struct Checker(mpsc::Sender<Answer>);

/// Who wait for one check; more wait for the next.
const MAX_WAITING: usize = 16_384;

impl Checker {
    /// The handle, and the task that answers it. One `fenced` seen is final: `fenced` is cancelled.
    pub fn new(
        storage: StorageClient,
        instance: String,
        fenced: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (tx, mut rx) = mpsc::channel::<Answer>(MAX_WAITING);
        let task = async move {
            let mut waiting = Vec::new();
            while rx.recv_many(&mut waiting, MAX_WAITING).await > 0 {
                let answer = if fenced.is_cancelled() {
                    Ok(false)
                } else {
                    let request = CheckRequest { instance: instance.clone() };
                    call(storage.clone().check(request)).await.map(|reply| reply.active)
                };
                if answer == Ok(false) {
                    fenced.cancel();
                }
                for asker in waiting.drain(..) {
                    // Whoever stopped waiting needs no answer.
                    let _ = asker.send(answer.clone());
                }
            }
        };
        (Self(tx), task)
    }

    /// A check that begins now.
    pub async fn active(&self) -> Result<(), Failure> {
        let (tx, rx) = oneshot::channel();
        let gone = || Failure::plain(Code::Unavailable);
        self.0.send(tx).await.map_err(|_| gone())?;
        match rx.await.map_err(|_| gone())?? {
            true => Ok(()),
            false => Err(Failure::new(Code::WrongOwner, "this instance was fenced")),
        }
    }
}
