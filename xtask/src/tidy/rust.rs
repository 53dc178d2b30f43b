//! Rules for Rust source. They look at the code alone: comments and literals are blanked out first.

use super::text::has_word;
use crate::tree::{Finding, SourceFile};

const FUNCTION_LINES: usize = 70;

/// Macros that a finished function does not have.
const MACROS: [&str; 3] = ["todo", "unimplemented", "dbg"];

pub fn check(file: &SourceFile, findings: &mut Vec<Finding>) {
    let code = code_of(&file.text);
    let tests = test_lines(&code);
    for (at, line) in code.lines().enumerate() {
        for what in line_rules(&file.path, line) {
            findings.push(Finding::new(&file.path, at + 1, what));
        }
    }
    if file.is_test() {
        return;
    }
    for function in functions(&code) {
        if function.lines > FUNCTION_LINES && !tests.contains(&function.at) {
            let what = format!("fn {}: {} lines of code, more than {FUNCTION_LINES}", function.name, function.lines);
            findings.push(Finding::new(&file.path, function.at + 1, what));
        }
    }
}

fn line_rules(path: &str, line: &str) -> Vec<String> {
    let mut broken = Vec::new();
    for name in MACROS {
        if line.contains(&format!("{name}!(")) {
            broken.push(format!("{name}!: not finished"));
        }
    }
    let spawns = ["tokio::spawn", "task::spawn("];
    if !path.starts_with("libs/tasks/")
        && let Some(call) = spawns.iter().find(|call| line.contains(**call))
    {
        broken.push(format!("{}: every task has a kind (posthorn_tasks)", call.trim_end_matches('(')));
    }
    if line.contains("#[ignore") {
        broken.push("an ignored test proves nothing: make it run or delete it".to_owned());
    }
    if path.starts_with("libs/core/") {
        for word in ["tokio", "std::fs", "std::net", "std::time::Instant", "tonic", "axum"] {
            if has_word(line, word) {
                broken.push(format!("{word}: libs/core does no IO and knows no runtime"));
            }
        }
    }
    if path.ends_with("/service.rs") || path.contains("/service/") {
        for word in ["tonic", "axum", "hyper", "fjall", "tokio_websockets"] {
            if line.contains(&format!("{word}::")) {
                broken.push(format!("{word}: service.rs holds the domain, transports and engines stay in their rooms"));
            }
        }
    }
    broken
}

/// Lines outside `#[cfg(test)]` items.
pub fn lines_without_tests(text: &str) -> usize {
    text.lines().count() - test_lines(&code_of(text)).len()
}

/// The lines, from 0, of items under `#[cfg(test)]`.
fn test_lines(code: &str) -> std::collections::BTreeSet<usize> {
    let mut lines = std::collections::BTreeSet::new();
    for (at, _) in code.match_indices("#[cfg(test)]") {
        let rest = &code[at..];
        let end = match rest.find(['{', ';']) {
            Some(open) if rest.as_bytes()[open] == b'{' => open + block_len(&rest[open..]),
            Some(semicolon) => semicolon,
            None => continue,
        };
        let first = code[..at].matches('\n').count();
        lines.extend(first..=first + rest[..end].matches('\n').count());
    }
    lines
}

struct Function<'a> {
    name: &'a str,
    /// Its line, from 0.
    at: usize,
    /// Lines of its body that hold code.
    lines: usize,
}

fn functions(code: &str) -> Vec<Function<'_>> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let alone = code[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_');
        let rest = &code[at + 3..];
        let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        let Some(open) = rest.find(['{', ';']).filter(|_| alone && !name.is_empty()) else { continue };
        if rest.as_bytes()[open] != b'{' {
            continue;
        }
        let body = &rest[open..open + block_len(&rest[open..])];
        let lines = body.lines().filter(|line| !line.trim().is_empty()).count().saturating_sub(2);
        found.push(Function { name, at: code[..at].matches('\n').count(), lines });
    }
    found
}

/// Bytes of the block that begins with the first brace, up to and with its last.
fn block_len(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// The text with comments and the insides of literals as spaces; every line keeps its place.
fn code_of(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = comment_len(rest).or_else(|| literal_len(rest, out.chars().next_back()));
        match skipped {
            Some(len) => {
                out.extend(rest[..len].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
                rest = &rest[len..];
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

fn comment_len(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if !rest.starts_with("/*") {
        return None;
    }
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += 1;
        }
    }
    Some(rest.len())
}

/// Strings, raw strings and characters; not lifetimes.
fn literal_len(rest: &str, before: Option<char>) -> Option<usize> {
    if rest.starts_with('"') {
        return Some(quoted_len(rest, '"'));
    }
    if rest.starts_with('r') && !before.is_some_and(|c| c.is_alphanumeric() && c != 'b' || c == '_') {
        let hashes = rest[1..].bytes().take_while(|byte| *byte == b'#').count();
        if rest[1 + hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = 2 + hashes;
            return Some(rest[body..].find(&end).map_or(rest.len(), |at| body + at + end.len()));
        }
    }
    if let Some(inside) = rest.strip_prefix('\'') {
        let one = inside.chars().next()?.len_utf8();
        if inside.starts_with('\\') || inside[one..].starts_with('\'') {
            return Some(quoted_len(rest, '\''));
        }
    }
    None
}

fn quoted_len(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<(usize, String)> {
        let mut findings = Vec::new();
        check(&SourceFile { path: path.to_owned(), text: text.to_owned() }, &mut findings);
        findings.into_iter().map(|finding| (finding.line, finding.what)).collect()
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        let cases = [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("x // y")"#, "f(        )"),
            (r##"f(r#"{ " "#)"##, "f(         )"),
            ("f('{', '\\'', b'x')", "f(   ,     , b   )"),
            ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
            ("for r in x {}", "for r in x {}"),
        ];
        for (text, expect) in cases {
            assert_eq!(code_of(text), expect, "{text}");
        }
    }

    #[test]
    fn long_functions_are_named_but_not_in_tests() {
        let long = |name: &str| format!("fn {name}() {{\n{}}}\n", "    f(); // x\n".repeat(FUNCTION_LINES + 1));
        let commented = format!("fn short() {{\n{}}}\n", "    // why\n\n".repeat(100));
        let text = format!("{}{commented}#[cfg(test)]\nmod tests {{\n{}}}\n", long("one"), long("two"));
        let expect = vec![(1, "fn one: 71 lines of code, more than 70".to_owned())];
        assert_eq!(found("libs/a/src/lib.rs", &text), expect);
        assert_eq!(lines_without_tests(&text), 73 + 202);
    }

    #[test]
    fn a_test_module_in_a_file_of_its_own_takes_two_lines() {
        assert_eq!(lines_without_tests("use a;\n#[cfg(test)]\nmod tests;\nfn f() {}\n"), 2);
    }

    #[test]
    fn rules_of_place_hold_where_they_are_meant() {
        let spawn = "fn f() { tokio::spawn(x); }\n";
        assert_eq!(found("libs/bus/src/lib.rs", spawn).len(), 1);
        assert_eq!(found("libs/tasks/src/lib.rs", spawn).len(), 0);
        assert_eq!(found("libs/core/src/a.rs", "use std::fs;\n").len(), 1);
        assert_eq!(found("libs/store/src/a.rs", "use std::fs;\n").len(), 0);
        assert_eq!(found("services/push/src/service.rs", "use tonic::Status;\n").len(), 1);
        assert_eq!(found("services/push/src/grpc.rs", "use tonic::Status;\n").len(), 0);
        assert_eq!(found("libs/a/src/lib.rs", "#[ignore]\nfn f() {}\n").len(), 1);
        assert_eq!(found("libs/a/src/lib.rs", &["fn f() { to", "do!() }\n"].concat()).len(), 1);
    }
}
