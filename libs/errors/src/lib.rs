//! The one table of error codes, and how a code crosses a gRPC link.
//!
//! From this table come the gRPC status, the HTTP status, the close code, what a client may do
//! about it, `posthorn errors CODE`, docs/errors.md and the constants of the client libraries.

mod close;
mod status;
mod table;

pub use close::{CLOSE_CODES, Close, CloseCode};
pub use status::{Failure, failure_of, status_of};
pub use table::{ALL, Code, Grpc};
