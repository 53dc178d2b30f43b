//! The line that is being typed. Pure.

use std::collections::VecDeque;

use unicode_width::UnicodeWidthChar;

use super::keys::Key;

/// Characters of a line; a message has a bound in bytes, which the server tells.
const MAX_CHARS: usize = 32 * 1024;
/// Lines that can be brought back.
const MAX_PAST: usize = 100;

/// What a key did, beyond the line itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pressed {
    Edited,
    /// The line is done, and empty now.
    Done(String),
    Redraw,
    Interrupted,
    /// The line is full.
    Full,
    /// The end of the input.
    Over,
}

#[derive(Default)]
pub struct Line {
    chars: Vec<char>,
    /// Before this one is the cursor.
    at: usize,
    /// The latest last.
    past: VecDeque<String>,
    /// Which of the past lines is shown, counted from the latest; 0: none.
    back: usize,
    /// What was typed before a past line was brought back.
    draft: Vec<char>,
}

/// What of the line fits, and the column of the cursor in it.
#[derive(Debug, PartialEq, Eq)]
pub struct View {
    pub shown: String,
    pub cursor: usize,
}

impl Line {
    pub fn text(&self) -> String {
        self.chars.iter().collect()
    }

    pub fn is_empty(&self) -> bool {
        self.chars.is_empty()
    }

    /// It is for the program, not for the conversation.
    pub fn is_command(&self) -> bool {
        self.chars.first() == Some(&'/') && self.chars.get(1) != Some(&'/')
    }

    pub fn clear(&mut self) {
        self.set(Vec::new());
        self.back = 0;
    }

    fn set(&mut self, chars: Vec<char>) {
        self.at = chars.len();
        self.chars = chars;
    }

    pub fn press(&mut self, key: Key) -> Pressed {
        match key {
            Key::Text(text) => return self.insert(&text),
            Key::Enter => return self.done(),
            Key::Redraw => return Pressed::Redraw,
            Key::Interrupt => return Pressed::Interrupted,
            Key::Close if self.is_empty() => return Pressed::Over,
            Key::Erase => self.erase(self.before(), self.at),
            Key::Delete | Key::Close => self.erase(self.at, self.after()),
            Key::EraseWord => self.erase(self.word_before(), self.at),
            Key::EraseToStart => self.erase(0, self.at),
            Key::EraseToEnd => self.erase(self.at, self.chars.len()),
            Key::Left => self.at = self.before(),
            Key::Right => self.at = self.after(),
            Key::WordLeft => self.at = self.word_before(),
            Key::WordRight => self.at = self.word_after(),
            Key::Start => self.at = 0,
            Key::End => self.at = self.chars.len(),
            Key::Older => self.recall(self.back + 1),
            Key::Newer if self.back > 0 => self.recall(self.back - 1),
            Key::Newer => {}
        }
        Pressed::Edited
    }

    /// Tabs and line breaks may be part of a message; what else controls a terminal is left out.
    fn insert(&mut self, text: &str) -> Pressed {
        let wanted: Vec<char> = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
        if self.chars.len() + wanted.len() > MAX_CHARS {
            return Pressed::Full;
        }
        let after = self.at + wanted.len();
        self.chars.splice(self.at..self.at, wanted);
        self.at = after;
        Pressed::Edited
    }

    fn done(&mut self) -> Pressed {
        let text = self.text();
        if !text.is_empty() && self.past.back() != Some(&text) {
            self.past.push_back(text.clone());
            if self.past.len() > MAX_PAST {
                self.past.pop_front();
            }
        }
        self.clear();
        Pressed::Done(text)
    }

    fn erase(&mut self, from: usize, to: usize) {
        self.chars.drain(from..to);
        self.at = from;
    }

    fn recall(&mut self, back: usize) {
        if back > self.past.len() {
            return;
        }
        if self.back == 0 {
            self.draft = self.chars.clone();
        }
        self.back = back;
        let chars = match back {
            0 => std::mem::take(&mut self.draft),
            back => self.past[self.past.len() - back].chars().collect(),
        };
        self.set(chars);
    }

    /// Accents and the like have no width: they go with the character before them.
    fn before(&self) -> usize {
        let wide = |&at: &usize| width(self.chars[at]) > 0;
        (0..self.at).rev().find(wide).unwrap_or(0)
    }

    fn after(&self) -> usize {
        let wide = |&at: &usize| width(self.chars[at]) > 0;
        (self.at + 1..self.chars.len()).find(wide).unwrap_or(self.chars.len())
    }

    fn word_before(&self) -> usize {
        let in_word = |&at: &usize| self.chars[at - 1].is_alphanumeric();
        let end = (1..=self.at).rev().find(in_word).unwrap_or(0);
        (1..=end).rev().find(|at| !in_word(at)).unwrap_or(0)
    }

    fn word_after(&self) -> usize {
        let in_word = |&at: &usize| self.chars[at].is_alphanumeric();
        let begin = (self.at..self.chars.len()).find(in_word).unwrap_or(self.chars.len());
        (begin..self.chars.len()).find(|at| !in_word(at)).unwrap_or(self.chars.len())
    }

    /// The part around the cursor that fits into `columns`, the cursor behind the last character included.
    pub fn view(&self, columns: usize) -> View {
        let room = columns.saturating_sub(1);
        let ahead: usize = self.chars[self.at..].iter().map(|&c| width(c)).sum();
        let before: usize = self.chars[..self.at].iter().map(|&c| width(c)).sum();
        // Where not all fits, some of what follows the cursor is to be seen too.
        let behind = if before + ahead <= room { room } else { room - ahead.min(room / 4) };
        let (mut from, mut cursor) = (0, before);
        while cursor > behind && from < self.at {
            cursor -= width(self.chars[from]);
            from += 1;
        }
        let mut used = 0;
        let fits = |c: &&char| {
            used += width(**c);
            used <= room
        };
        let shown = self.chars[from..].iter().take_while(fits).map(|&c| visible(c)).collect();
        View { shown, cursor }
    }
}

const fn visible(c: char) -> char {
    match c {
        '\n' => '\u{21b5}',
        '\t' => ' ',
        c => c,
    }
}

/// Columns of a character as it is shown.
fn width(c: char) -> usize {
    visible(c).width().unwrap_or(0)
}

/// As much of the text as fits into so many columns, and how many it takes.
pub fn cut(text: &str, columns: usize) -> (String, usize) {
    let mut used = 0;
    let shown = text.chars().take_while(|&c| {
        let fits = used + width(c) <= columns;
        used += if fits { width(c) } else { 0 };
        fits
    });
    (shown.collect(), used)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[Key]) -> Line {
        let mut line = Line::default();
        for key in keys {
            line.press(key.clone());
        }
        line
    }

    fn text(text: &str) -> Key {
        Key::Text(text.to_owned())
    }

    #[test]
    fn keys_edit_the_line_where_the_cursor_is() {
        use Key::{Close, Delete, End, Erase, EraseToEnd, EraseToStart, EraseWord, Left, Right, Start, WordLeft};
        for (keys, expect) in [
            (vec![text("hello"), Left, Left, text("L"), Erase, Erase], "helo"),
            (vec![text("one two  "), EraseWord, text("2")], "one 2"),
            (vec![text("one two"), WordLeft, EraseToStart], "two"),
            (vec![text("one two"), Start, Right, EraseToEnd, End, text("!")], "o!"),
            (vec![text("abc"), Start, Delete, Close], "c"),
            // An accent of its own goes with its letter.
            (vec![text("xe\u{301}"), Erase], "x"),
            (vec![text("e\u{301}x"), Left, Left, text("a")], "ae\u{301}x"),
            (vec![text("a\u{1b}[2Jb\u{7}")], "a[2Jb"),
            (vec![Erase, Left, Right, Delete, EraseWord, text("x")], "x"),
        ] {
            assert_eq!(typed(&keys).text(), expect, "{keys:?}");
        }
        assert_eq!(typed(&[text("x")]).press(Key::Enter), Pressed::Done("x".into()));
        assert_eq!(Line::default().press(Close), Pressed::Over);
        assert_eq!(typed(&[text("x")]).press(text(&"y".repeat(MAX_CHARS))), Pressed::Full);
    }

    #[test]
    fn past_lines_come_back_and_so_does_the_draft() {
        let mut line = typed(&[text("one"), Key::Enter, text("two"), Key::Enter, text("two"), Key::Enter, text("dra")]);
        let mut after = |key| {
            line.press(key);
            line.text()
        };
        assert_eq!([Key::Older, Key::Older, Key::Older].map(&mut after), ["two", "one", "one"]);
        assert_eq!([Key::Newer, Key::Newer, Key::Newer].map(&mut after), ["two", "dra", "dra"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_shown_around_its_cursor() {
        let view = |line: &Line, columns| {
            let View { shown, cursor } = line.view(columns);
            (shown, cursor)
        };
        let mut line = typed(&[text("0123456789")]);
        assert_eq!(view(&line, 20), ("0123456789".into(), 10));
        assert_eq!(view(&line, 6), ("56789".into(), 5));
        line.press(Key::Start);
        assert_eq!(view(&line, 6), ("01234".into(), 0));
        let wide = typed(&[text("漢字漢字")]);
        assert_eq!(view(&wide, 9), ("漢字漢字".into(), 8));
        assert_eq!(view(&wide, 6), ("漢字".into(), 4));
        assert_eq!(view(&typed(&[text("a\nb")]), 9), ("a\u{21b5}b".into(), 3));
        assert_eq!((view(&wide, 1), view(&wide, 0)), ((String::new(), 0), (String::new(), 0)));
        assert_eq!(cut("漢字", 3), ("漢".into(), 2));
    }
}
