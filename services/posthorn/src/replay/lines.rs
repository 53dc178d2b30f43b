//! The grammar of a log line. Pure.
//!
//! A line may begin with `CHANNEL YYYY-MM-DD `, then with `[HH:MM] `, `[HH:MM:SS] ` or `HH:MM:SS `. Then:
//!
//! | form | what |
//! | --- | --- |
//! | `<nick> text` | message |
//! | `* nick text` | action |
//! | `=== nick [host] has joined ...` | join |
//! | `=== nick [host] has left ...`, `... has quit ...` | leave |
//! | `=== a is now known as b` | rename |
//! | nothing at all, or white space | blank |
//! | anything else, an empty text too | system |
//!
//! The host may be absent and spaces may repeat (loggers put two before the `*` of an action and before
//! `has joined`). A nick may hold spaces where its end is certain: before `>` and before ` [host]`
//! (loggers tear `[a]b` into `[a] b`). The text of a message is everything after the one space behind `>`.

use std::borrow::Cow;

/// What a line is. Texts are as they go on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    Message { nick: String, text: String },
    Action { nick: String, text: String },
    Join { nick: String },
    Leave { nick: String },
    Rename { from: String, to: String },
    Blank,
    System { text: String },
}

/// The lines of a file: ended by LF or CRLF, the last one possibly by nothing.
pub fn lines(file: &[u8]) -> impl Iterator<Item = Cow<'_, str>> {
    let body = file.strip_suffix(b"\n").unwrap_or(file);
    let count = if file.is_empty() { 0 } else { usize::MAX };
    body.split(|&byte| byte == b'\n').take(count).map(|line| text(line.strip_suffix(b"\r").unwrap_or(line)))
}

/// UTF-8, or else Latin-1, where every byte is the character of its number.
fn text(line: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(line) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(line.iter().map(|&byte| char::from(byte)).collect()),
    }
}

pub fn parse(line: &str) -> Line {
    if line.trim().is_empty() {
        return Line::Blank;
    }
    let rest = after_time(after_channel(line)).trim_start_matches([' ', '\t']);
    let found = message(rest).or_else(|| action(rest)).or_else(|| members(rest));
    // A line that is nothing but a time of day still says something: itself.
    found.unwrap_or_else(|| Line::System { text: if rest.is_empty() { line } else { rest }.to_owned() })
}

/// Behind `CHANNEL YYYY-MM-DD `, if that is there.
fn after_channel(line: &str) -> &str {
    let Some((channel, rest)) = line.split_once(' ') else { return line };
    match rest.split_once(' ') {
        Some((date, rest)) if !channel.is_empty() && like(date, "dddd-dd-dd") => rest,
        _ => line,
    }
}

fn after_time(line: &str) -> &str {
    let Some((first, rest)) = line.split_once(' ') else { return line };
    let time = ["[dd:dd]", "[dd:dd:dd]", "dd:dd:dd"].iter().any(|form| like(first, form));
    if time { rest } else { line }
}

/// `d` stands for a digit, everything else for itself.
fn like(text: &str, form: &str) -> bool {
    let fits = |(byte, form): (u8, u8)| if form == b'd' { byte.is_ascii_digit() } else { byte == form };
    text.len() == form.len() && text.bytes().zip(form.bytes()).all(fits)
}

fn message(rest: &str) -> Option<Line> {
    let (nick, text) = rest.strip_prefix('<')?.split_once('>')?;
    let text = text.strip_prefix(' ')?;
    let nick = nick.trim();
    let said = !nick.is_empty() && !text.trim().is_empty();
    said.then(|| Line::Message { nick: nick.to_owned(), text: text.to_owned() })
}

fn action(rest: &str) -> Option<Line> {
    let (nick, text) = rest.strip_prefix("* ")?.trim_start().split_once(' ')?;
    let said = !nick.is_empty() && !text.trim().is_empty();
    said.then(|| Line::Action { nick: nick.to_owned(), text: text.to_owned() })
}

fn members(rest: &str) -> Option<Line> {
    let rest = rest.strip_prefix("===")?;
    let rest = rest.strip_prefix([' ', '\t'])?.trim();
    if let Some((from, to)) = renamed(rest) {
        return Some(Line::Rename { from: from.to_owned(), to: to.to_owned() });
    }
    // The first verb: what follows it may say anything.
    let verbs = [" has joined", " has left", " has quit"];
    let (at, verb) = verbs.iter().filter_map(|verb| Some((word_at(rest, verb)?, *verb))).min()?;
    let nick = nick_of(rest[..at].trim_end())?.to_owned();
    Some(if verb == " has joined" { Line::Join { nick } } else { Line::Leave { nick } })
}

/// Where `words` begin, if white space or the end follows them.
fn word_at(text: &str, words: &str) -> Option<usize> {
    let ends = |at: &usize| text[at + words.len()..].chars().next().is_none_or(char::is_whitespace);
    text.match_indices(words).map(|(at, _)| at).find(ends)
}

fn renamed(rest: &str) -> Option<(&str, &str)> {
    let (from, to) = rest.split_once(" is now known as ")?;
    let (from, to) = (from.trim(), to.trim());
    (is_word(from) && is_word(to)).then_some((from, to))
}

/// `nick`, or `nick [host]`.
fn nick_of(who: &str) -> Option<&str> {
    let with_host = who.strip_suffix(']').and_then(|who| who.rfind(" [")).map(|at| who[..at].trim());
    match with_host {
        Some(nick) => (!nick.is_empty()).then_some(nick),
        None => is_word(who).then_some(who),
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cases: &[(&str, Line)]) {
        for (line, expect) in cases {
            assert_eq!(parse(line), *expect, "{line:?}");
        }
    }

    fn message(nick: &str, text: &str) -> Line {
        Line::Message { nick: nick.into(), text: text.into() }
    }
    fn action(nick: &str, text: &str) -> Line {
        Line::Action { nick: nick.into(), text: text.into() }
    }
    fn join(nick: &str) -> Line {
        Line::Join { nick: nick.into() }
    }
    fn leave(nick: &str) -> Line {
        Line::Leave { nick: nick.into() }
    }
    fn rename(from: &str, to: &str) -> Line {
        Line::Rename { from: from.into(), to: to.into() }
    }
    fn system(text: &str) -> Line {
        Line::System { text: text.into() }
    }

    #[test]
    fn channel_date_and_time_are_optional_in_all_their_forms() {
        check(&[
            ("<ada> hi", message("ada", "hi")),
            ("[09:14] <ada> hi", message("ada", "hi")),
            ("[09:14:59] <ada> hi", message("ada", "hi")),
            ("09:14:59 <ada> hi", message("ada", "hi")),
            ("#ubuntu 2004-12-25 <ada> hi", message("ada", "hi")),
            ("#ubuntu 2004-12-25 [09:14] <ada> hi", message("ada", "hi")),
            ("#ubuntu 2004-12-25 09:14:59 * ada waves", action("ada", "waves")),
            ("#ubuntu 2004-12-25 === ada has joined #ubuntu", join("ada")),
            // A time without seconds has brackets.
            ("09:14 <ada> hi", system("09:14 <ada> hi")),
            ("[9:14] <ada> hi", system("[9:14] <ada> hi")),
            ("2004-12-25 <ada> hi", system("2004-12-25 <ada> hi")),
        ]);
    }

    #[test]
    fn messages_keep_their_text_to_the_byte() {
        check(&[
            ("[09:14] <ada>  two spaces", message("ada", " two spaces")),
            ("[09:14] <ada> a > b <c> d ", message("ada", "a > b <c> d ")),
            ("[09:14] <|QuaD-> x", message("|QuaD-", "x")),
            ("[09:14] <[FiDo] > x", message("[FiDo]", "x")),
            ("[09:14] <oO[NOVA] Oo> x", message("oO[NOVA] Oo", "x")),
            ("[09:14] <ada> \u{2}bold\u{2}\u{1f}", message("ada", "\u{2}bold\u{2}\u{1f}")),
            ("[09:14] <ada> === bob has joined #x", message("ada", "=== bob has joined #x")),
        ]);
        let long = "x".repeat(100_000);
        check(&[(&format!("<ada> {long}"), message("ada", &long))]);
    }

    #[test]
    fn actions_may_stand_behind_two_spaces() {
        check(&[
            ("* ada waves", action("ada", "waves")),
            ("[14:39]  * jaggz- nudges v3ctor", action("jaggz-", "nudges v3ctor")),
            ("[14:39] * ada  waves", action("ada", " waves")),
            ("*ada waves", system("*ada waves")),
            ("[01:41]  * woods123", system("* woods123")),
            ("[11:27]  * TheHawk ", system("* TheHawk ")),
        ]);
    }

    #[test]
    fn members_come_go_and_change_their_names() {
        check(&[
            ("=== ada [n=ada@host.example]  has joined #ubuntu", join("ada")),
            ("===  ada   has joined   #ubuntu", join("ada")),
            ("=== ada has joined", join("ada")),
            ("=== [A] ndy80 [n=www@host]  has joined #ubuntu", join("[A] ndy80")),
            ("=== N}{N[] O [n=Conectin@85-57]  has joined #ubuntu", join("N}{N[] O")),
            ("=== [a] [n=a@host] has joined #u", join("[a]")),
            ("=== ada [~a@1.2.3.4]  has left #ubuntu []", leave("ada")),
            ("=== ada [n=a@h]  has left #ubuntu [\"bob has joined us\"]", leave("ada")),
            ("=== ada has quit [Remote closed the connection]", leave("ada")),
            ("=== ada [n=a@h] has quit", leave("ada")),
            ("=== ada is now known as bob", rename("ada", "bob")),
            ("===  ada  is now known as  bob ", rename("ada", "bob")),
            ("[10:00] === ada is now known as bob", rename("ada", "bob")),
        ]);
    }

    #[test]
    fn everything_else_is_a_system_entry() {
        check(&[
            ("=== sid77 hi", system("=== sid77 hi")),
            ("=== JanC has done this once", system("=== JanC has done this once")),
            ("=== JanC really has joined us", system("=== JanC really has joined us")),
            ("=== ada has joinedness", system("=== ada has joinedness")),
            ("=== ada is now known as", system("=== ada is now known as")),
            ("=== has joined #ubuntu", system("=== has joined #ubuntu")),
            ("===ada has joined", system("===ada has joined")),
            ("===", system("===")),
            ("[01:26] -noise:#ubuntu- spam", system("-noise:#ubuntu- spam")),
            ("[09:05] <SurfnKid>", system("<SurfnKid>")),
            ("[09:05] <SurfnKid> ", system("<SurfnKid> ")),
            ("[09:05] <SurfnKid>\t  ", system("<SurfnKid>\t  ")),
            ("[09:05] <> hi", system("<> hi")),
            ("[09:05] <ada>hi", system("<ada>hi")),
            ("[09:05] <ada hi", system("<ada hi")),
            ("[09:05]", system("[09:05]")),
            ("[09:05] ", system("[09:05] ")),
            ("--- Log opened", system("--- Log opened")),
        ]);
    }

    #[test]
    fn blank_lines_are_blank() {
        check(&[("", Line::Blank), ("   ", Line::Blank), ("\t", Line::Blank), ("\u{a0}", Line::Blank)]);
    }

    #[test]
    fn files_are_cut_into_lines_and_decoded_line_by_line() {
        let of = |bytes: &[u8]| lines(bytes).map(Cow::into_owned).collect::<Vec<_>>();
        assert_eq!(of(b""), Vec::<String>::new());
        assert_eq!(of(b"a\nb"), ["a", "b"]);
        assert_eq!(of(b"a\r\n\r\nb\r\n"), ["a", "", "b"]);
        assert_eq!(of(b"\n"), [""]);
        assert_eq!(of(b"a\rb\n"), ["a\rb"]);
        assert_eq!(of(b"caf\xc3\xa9\ncaf\xe9 \x93\n"), ["café", "café \u{93}"]);
    }
}
