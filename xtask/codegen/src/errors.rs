//! `docs/errors.md` and `clients/web/js/codes.js` from the one table of error codes.

use std::fmt::Write as _;

use posthorn_errors::{ALL, CLOSE_CODES, Close, Code, Grpc};

use crate::Fresh;

const DOCS: &str = "docs/errors.md";
const WEB: &str = "clients/web/js/codes.js";

const HEAD: &str = "\
# Error codes

<!-- Generated from libs/errors/src/table.rs by `cargo xtask codegen`. -->

A code is a word that never changes its meaning. The same word stands in a reply of the edge protocol,
in the `code` of an HTTP problem (RFC 9457), in the `google.rpc.ErrorInfo` of a gRPC status and in the
reason of a WebSocket close frame. `posthorn errors CODE` prints an entry of this page.

Two answers matter to a program before it knows any code:

- **retryable**: the same request may succeed later, after `retry_after_ms` where the error has one.
- **changed nothing**: it is certain that the request had no effect. Where it is not, repeat a send
  with the same `message_id`: it is stored once.

A client that meets a code it does not know acts on these two fields alone.
";

const RANGES: &str = "\
## Close codes

The range says whether to come back, so that a client needs no list:

| range | what the client does |
| --- | --- |
| 4000 to 4499 | comes back, after the delay of the `reconnect` frame or with full jitter, with its resume token |
| 4500 to 4999 | stays away: what it did would fail again |
| 1002, 1003, 1007 to 1010 | stays away: it broke WebSocket itself (RFC 6455 section 7.4.1) |
| 1000, 1001, 1006 and others | comes back, unless it closed the connection itself |

| close code | code | |
| --- | --- | --- |
";

pub fn generate() -> Fresh {
    Fresh::from([(DOCS.to_owned(), page()), (WEB.to_owned(), constants())])
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n## All codes\n\n| code | retryable | changed nothing | HTTP | gRPC | close code |\n");
    page.push_str("| --- | --- | --- | --- | --- | --- |\n");
    for &code in ALL {
        let close = code.close().map_or_else(String::new, |close| close.to_string());
        let _ = writeln!(
            page,
            "| [`{code}`](#{code}) | {} | {} | {} | {} | {close} |",
            yes(code.retryable()),
            yes(code.side_effect_free()),
            code.http(),
            grpc(code.grpc()),
        );
    }
    page.push('\n');
    page.push_str(RANGES);
    for close in CLOSE_CODES() {
        let _ = writeln!(page, "| {} | [`{}`](#{}) | {} |", close.close, close.code, close.code, back(close.close));
    }
    page.push_str("\n## Each code\n");
    for &code in ALL {
        let _ = write!(page, "\n### {code}\n\n{}.\n\nWhat to do: {}.\n", sentence(code.summary()), code.advice());
    }
    page
}

fn constants() -> String {
    let mut text = String::from(
        "// Generated from libs/errors/src/table.rs by `cargo xtask codegen`: do not edit.\n\n\
         /** Every error code: what a client may do about it. */\nexport const CODES = Object.freeze({\n",
    );
    for &code in ALL {
        let _ = writeln!(text, "  {code}: {},", entry(code));
    }
    text.push_str("});\n\n/** Close codes by number, with the error code behind each. */\nexport const CLOSE_CODES = Object.freeze({\n");
    for close in CLOSE_CODES() {
        let _ = writeln!(text, "  {}: \"{}\",", close.close, close.code);
    }
    text.push_str(
        "});\n\n/** Whether a connection closed with this code is to be opened again. The range decides, so a code\n \
         * that this build does not know is handled too. */\nexport function comesBack(close) {\n",
    );
    let _ = writeln!(text, "  return !({});\n}}", stay_away());
    text
}

/// The ranges of `Close::of` as a condition in JavaScript, found by asking it.
fn stay_away() -> String {
    let away = |close: &u16| Close::of(*close) == Close::StayAway;
    let mut terms = Vec::new();
    let mut next = 1000;
    while let Some(first) = (next..5000).find(away) {
        let last = (first..5000).take_while(away).last().unwrap_or(first);
        terms.push(if first == last {
            format!("close === {first}")
        } else {
            format!("(close >= {first} && close <= {last})")
        });
        next = last + 1;
    }
    terms.join(" || ")
}

fn entry(code: Code) -> String {
    format!(
        "Object.freeze({{ retryable: {}, sideEffectFree: {}, summary: {}, advice: {} }})",
        code.retryable(),
        code.side_effect_free(),
        quoted(code.summary()),
        quoted(code.advice())
    )
}

/// A string literal of JavaScript; the table holds no control characters.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

const fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

fn back(close: u16) -> &'static str {
    match Close::of(close) {
        Close::ComeBack => "come back",
        Close::StayAway => "stay away",
    }
}

/// The name as in the gRPC documentation.
const fn grpc(code: Grpc) -> &'static str {
    match code {
        Grpc::InvalidArgument => "INVALID_ARGUMENT",
        Grpc::NotFound => "NOT_FOUND",
        Grpc::AlreadyExists => "ALREADY_EXISTS",
        Grpc::PermissionDenied => "PERMISSION_DENIED",
        Grpc::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Grpc::FailedPrecondition => "FAILED_PRECONDITION",
        Grpc::Aborted => "ABORTED",
        Grpc::Internal => "INTERNAL",
        Grpc::Unavailable => "UNAVAILABLE",
        Grpc::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Grpc::Unauthenticated => "UNAUTHENTICATED",
        Grpc::DataLoss => "DATA_LOSS",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_section_and_a_row_for_every_code() {
        let page = page();
        for code in ALL {
            assert!(page.contains(&format!("\n### {code}\n")), "{code}");
            assert!(page.contains(&format!("| [`{code}`](#{code}) |")), "{code}");
        }
    }

    #[test]
    fn the_condition_for_the_web_names_the_ranges_of_the_table() {
        let condition = stay_away();
        assert!(condition.ends_with("(close >= 4500 && close <= 4999)"), "{condition}");
        assert!(condition.starts_with("(close >= 1002 && close <= 1003)"), "{condition}");
    }
}
