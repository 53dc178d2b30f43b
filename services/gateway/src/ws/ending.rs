//! How a connection ends: the close code, the error behind it, and who ended it.

use posthorn_errors::{Code, Failure};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// We end it: the failure is told, then its close code.
    Server(Failure),
    /// A violation of RFC 6455: its close code alone. The word is for metrics.
    Protocol { close: u16, word: &'static str },
    /// The client closed it, or just went.
    Client(&'static str),
    /// Reading or writing failed.
    Network,
}

impl Ending {
    pub fn server(code: Code) -> Self {
        Self::Server(Failure::plain(code))
    }

    /// Labels of `edge_disconnects_total`.
    pub fn labels(&self) -> (&'static str, &'static str) {
        match self {
            Self::Server(failure) => match failure.code {
                Code::Draining | Code::TokenRevoked => (failure.code.as_str(), "operator"),
                Code::PingTimeout => (failure.code.as_str(), "network"),
                Code::MalformedFrame
                | Code::TextFrameExpected
                | Code::NotConnected
                | Code::AlreadyConnected
                | Code::ConnectTimeout
                | Code::Flood
                | Code::SlowConsumer => (failure.code.as_str(), "client"),
                code => (code.as_str(), "server"),
            },
            Self::Protocol { word, .. } | Self::Client(word) => (word, "client"),
            Self::Network => ("io", "network"),
        }
    }

    /// The close code to send, if one is.
    pub fn close(&self) -> Option<(u16, &'static str)> {
        match self {
            // A code without a close code of its own ended a `connect`: whether to come back is what counts.
            Self::Server(failure) => {
                let fallback = if failure.code.retryable() { Code::Unavailable } else { Code::Unauthenticated };
                let close = failure.code.close().or_else(|| fallback.close())?;
                Some((close, failure.code.as_str()))
            }
            Self::Protocol { close, word } => Some((*close, word)),
            Self::Client(_) | Self::Network => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use posthorn_errors::{ALL, Close};

    use super::*;

    #[test]
    fn every_refused_connect_has_a_close_code_that_says_whether_to_come_back() {
        for &code in ALL {
            let (close, word) = Ending::server(code).close().unwrap();
            assert_eq!(word, code.as_str());
            assert_eq!(Close::of(close) == Close::ComeBack, code.retryable() || code == Code::Internal, "{code}");
        }
    }
}
