//! Calls without their transport: replies as messages, failures of the one table.

use posthorn_errors::{Failure, failure_of};

type Transported<T> = Result<tonic::Response<T>, tonic::Status>;

/// Awaits a call of a generated client.
pub async fn call<T>(reply: impl Future<Output = Transported<T>>) -> Result<T, Failure> {
    reply.await.map(tonic::Response::into_inner).map_err(|status| failure_of(&status))
}
