//! WebSocket close codes. Their range tells a client what to do without knowing the code:
//! 4000 to 4499 come back (after the delay, with the resume token), 4500 to 4999 do not.
//! Of the codes of RFC 6455 section 7.4.1 the server uses 1000, 1001, 1002, 1007 and 1009.

use crate::{ALL, Code};

/// A close code with the error behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseCode {
    pub close: u16,
    pub code: Code,
}

/// What a close code asks of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    ComeBack,
    StayAway,
}

/// The table's close codes, ascending.
pub const CLOSE_CODES: fn() -> Vec<CloseCode> = || {
    let mut codes: Vec<CloseCode> =
        ALL.iter().filter_map(|&code| code.close().map(|close| CloseCode { close, code })).collect();
    codes.sort_by_key(|c| c.close);
    codes
};

impl Close {
    /// Of any close code, also one this build does not know or one of RFC 6455.
    #[must_use]
    pub const fn of(close: u16) -> Self {
        match close {
            1002 | 1003 | 1007 | 1008 | 1009 | 1010 | 4500..=4999 => Self::StayAway,
            _ => Self::ComeBack,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_close_code_is_used_once_and_its_range_agrees_with_retryable() {
        let codes = CLOSE_CODES();
        for pair in codes.windows(2) {
            assert_ne!(pair[0].close, pair[1].close);
        }
        for CloseCode { close, code } in codes {
            let back = Close::of(close) == Close::ComeBack;
            assert_eq!(back, code.retryable() || code == Code::Internal, "{code}");
        }
    }
}
