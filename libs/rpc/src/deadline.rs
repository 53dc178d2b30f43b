//! `grpc-timeout` (gRPC over HTTP/2, section "Requests": at most eight digits and a unit).

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) const HEADER: HeaderName = HeaderName::from_static("grpc-timeout");
const MOST: u128 = 99_999_999;

/// The header for a time-out, in the finest unit that holds it.
pub(crate) fn encode(timeout: Duration) -> HeaderValue {
    let text = [(timeout.as_micros(), 'u'), (timeout.as_millis(), 'm'), (u128::from(timeout.as_secs()), 'S')]
        .into_iter()
        .find(|(amount, _)| *amount <= MOST)
        .map_or_else(|| format!("{MOST}S"), |(amount, unit)| format!("{amount}{unit}"));
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("0u"))
}

/// The time-out that came along; nothing where there is none or it does not parse.
pub(crate) fn decode(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(&HEADER)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3_600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &'static str) -> Option<Duration> {
        decode(&HeaderMap::from_iter([(HEADER, HeaderValue::from_static(text))]))
    }

    #[test]
    fn a_timeout_reads_back_within_its_unit() {
        for timeout in
            [Duration::ZERO, Duration::from_micros(1), Duration::from_secs(99), Duration::from_millis(99_999_999)]
        {
            let headers = HeaderMap::from_iter([(HEADER, encode(timeout))]);
            assert_eq!(decode(&headers), Some(timeout));
        }
        assert_eq!(encode(Duration::from_secs(200_000)).to_str().ok(), Some("200000S"));
        assert_eq!(encode(Duration::MAX).to_str().ok(), Some("99999999S"));
    }

    #[test]
    fn what_is_no_timeout_is_ignored() {
        assert_eq!(decoded("5H"), Some(Duration::from_secs(18_000)));
        assert_eq!(decoded("3n"), Some(Duration::from_nanos(3)));
        for bad in ["", "S", "5", "5x", "-5S", "+5S", "123456789S", "5.0S"] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }
}
