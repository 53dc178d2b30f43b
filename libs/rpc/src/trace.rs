//! W3C Trace Context (<https://www.w3.org/TR/trace-context/>, version 00) through every link, frame
//! and publication.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use posthorn_clock::Clock;

pub(crate) const HEADER: HeaderName = HeaderName::from_static("traceparent");
const SAMPLED: u8 = 1;

/// One hop of a trace: what `traceparent` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

impl TraceContext {
    /// A new trace that nobody asked to record.
    #[must_use]
    pub fn root(clock: &Clock) -> Self {
        let mut trace = [0; 16];
        clock.fill(&mut trace);
        // Zero is not a trace id (section 3.2.2.3).
        Self { trace_id: u128::from_be_bytes(trace).max(1), span_id: clock.random().max(1), flags: 0 }
    }

    /// The next hop: the same trace, a span of its own.
    #[must_use]
    pub fn child(self, clock: &Clock) -> Self {
        Self { span_id: clock.random().max(1), ..self }
    }

    /// Of a `traceparent` text. `None` where it is malformed: the standard then starts a new trace.
    /// Versions above 00 are read by the fields of 00 (section 3.2.4).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let dashes = [2, 35, 52].iter().all(|&at| bytes.get(at) == Some(&b'-'));
        let version = hex(text.get(..2)?)?;
        let ends = bytes.len() == 55 || (version > 0 && bytes.get(55) == Some(&b'-'));
        if !dashes || !ends || version == 0xff {
            return None;
        }
        let trace_id = hex(text.get(3..35)?)?;
        let span_id = u64::try_from(hex(text.get(36..52)?)?).ok()?;
        let flags = u8::try_from(hex(text.get(53..55)?)?).ok()?;
        (trace_id != 0 && span_id != 0).then_some(Self { trace_id, span_id, flags: flags & SAMPLED })
    }

    /// Of a request's headers.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        Self::parse(headers.get(&HEADER)?.to_str().ok()?)
    }

    pub(crate) fn header(self) -> HeaderValue {
        HeaderValue::from_str(&self.to_string()).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    /// Whoever began the trace asked that it be recorded.
    #[must_use]
    pub const fn sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// 32 hex digits: what an error report quotes.
    #[must_use]
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// 16 hex digits.
    #[must_use]
    pub fn span_id(self) -> String {
        format!("{:016x}", self.span_id)
    }
}

/// As `traceparent` wants it.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

/// Lower case hex alone: the standard allows nothing else.
fn hex(text: &str) -> Option<u128> {
    let clean = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if clean { u128::from_str_radix(text, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_reads_back_as_it_was() {
        let context = TraceContext::parse(GOOD).unwrap();
        assert_eq!(context.to_string(), GOOD);
        assert!(context.sampled());
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more";
        assert_eq!(TraceContext::parse(later), Some(context));
    }

    #[test]
    fn what_the_standard_forbids_is_no_context() {
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473ä-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_child_stays_in_its_trace() {
        let clock = Clock::system();
        let root = TraceContext::root(&clock);
        let child = root.child(&clock);
        assert_eq!(root.trace_id(), child.trace_id());
        assert_ne!(root.span_id(), child.span_id());
        assert!(!child.sampled());
    }
}
