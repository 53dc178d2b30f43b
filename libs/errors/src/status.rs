//! A code on a gRPC link: `google.rpc.Status` with one `google.rpc.ErrorInfo` in the status details
//! (AIP-193), so that any gRPC tool shows it, and back.

use std::collections::HashMap;

use bytes::Bytes;
use prost::Message;
use tonic::Status;

use crate::{Code, Grpc};

const DOMAIN: &str = "posthorn";
const ERROR_INFO_TYPE: &str = "type.googleapis.com/google.rpc.ErrorInfo";

/// An error as it crosses process boundaries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: Code,
    /// For people; never holds content, tokens or keys.
    pub message: String,
    pub retry_after_ms: u64,
    /// The named limit that was hit.
    pub limit: String,
    /// The confirmed end, with `precondition_failed`.
    pub end_seq: u64,
}

impl Failure {
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after_ms: 0, limit: String::new(), end_seq: 0 }
    }

    /// The code with its summary as the message.
    #[must_use]
    pub fn plain(code: Code) -> Self {
        Self::new(code, code.summary())
    }

    #[must_use]
    pub fn retry_after_ms(mut self, ms: u64) -> Self {
        self.retry_after_ms = ms;
        self
    }

    #[must_use]
    pub fn limit(mut self, name: impl Into<String>) -> Self {
        self.limit = name.into();
        self
    }

    #[must_use]
    pub fn end_seq(mut self, seq: u64) -> Self {
        self.end_seq = seq;
        self
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Failure {}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        status_of(&failure)
    }
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Self::plain(code)
    }
}

#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(map = "string, string", tag = "3")]
    metadata: HashMap<String, String>,
}

/// The gRPC status of a failure.
#[must_use]
pub fn status_of(failure: &Failure) -> Status {
    let mut metadata = HashMap::new();
    if failure.retry_after_ms > 0 {
        metadata.insert("retry_after_ms".to_owned(), failure.retry_after_ms.to_string());
    }
    if !failure.limit.is_empty() {
        metadata.insert("limit".to_owned(), failure.limit.clone());
    }
    if failure.end_seq > 0 {
        metadata.insert("end_seq".to_owned(), failure.end_seq.to_string());
    }
    let info = ErrorInfo { reason: failure.code.as_str().to_owned(), domain: DOMAIN.to_owned(), metadata };
    let grpc = tonic_code(failure.code.grpc());
    let details = RpcStatus {
        code: grpc as i32,
        message: failure.message.clone(),
        details: vec![Any { type_url: ERROR_INFO_TYPE.to_owned(), value: info.encode_to_vec() }],
    };
    Status::with_details(grpc, failure.message.clone(), Bytes::from(details.encode_to_vec()))
}

/// The failure in a status; one that did not come from our table is named by its gRPC code.
#[must_use]
pub fn failure_of(status: &Status) -> Failure {
    let info = RpcStatus::decode(status.details()).ok().and_then(|rpc| {
        let any = rpc.details.into_iter().find(|any| any.type_url == ERROR_INFO_TYPE)?;
        ErrorInfo::decode(any.value.as_slice()).ok().filter(|info| info.domain == DOMAIN)
    });
    if let Some((info, code)) = info.and_then(|info| info.reason.parse().ok().map(|code| (info, code))) {
        let number = |key: &str| info.metadata.get(key).and_then(|v| v.parse().ok()).unwrap_or(0);
        return Failure {
            code,
            message: status.message().to_owned(),
            retry_after_ms: number("retry_after_ms"),
            limit: info.metadata.get("limit").cloned().unwrap_or_default(),
            end_seq: number("end_seq"),
        };
    }
    let code = match status.code() {
        tonic::Code::Unavailable => Code::Unavailable,
        tonic::Code::DeadlineExceeded | tonic::Code::Cancelled => Code::DeadlineExceeded,
        tonic::Code::ResourceExhausted => Code::Overloaded,
        tonic::Code::InvalidArgument => Code::InvalidArgument,
        _ => Code::Internal,
    };
    Failure::new(code, status.message())
}

const fn tonic_code(grpc: Grpc) -> tonic::Code {
    match grpc {
        Grpc::InvalidArgument => tonic::Code::InvalidArgument,
        Grpc::NotFound => tonic::Code::NotFound,
        Grpc::AlreadyExists => tonic::Code::AlreadyExists,
        Grpc::PermissionDenied => tonic::Code::PermissionDenied,
        Grpc::ResourceExhausted => tonic::Code::ResourceExhausted,
        Grpc::FailedPrecondition => tonic::Code::FailedPrecondition,
        Grpc::Aborted => tonic::Code::Aborted,
        Grpc::Internal => tonic::Code::Internal,
        Grpc::Unavailable => tonic::Code::Unavailable,
        Grpc::DeadlineExceeded => tonic::Code::DeadlineExceeded,
        Grpc::Unauthenticated => tonic::Code::Unauthenticated,
        Grpc::DataLoss => tonic::Code::DataLoss,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ALL;

    #[test]
    fn every_code_survives_a_link() {
        for &code in ALL {
            let sent = Failure::plain(code).retry_after_ms(7).limit("edge.x").end_seq(9);
            assert_eq!(failure_of(&status_of(&sent)), sent);
            assert_eq!(code.as_str().parse(), Ok(code));
        }
    }
}
