//! What is written where: lines one after the other, and on a terminal the line that is being typed below
//! them. A line that comes while somebody types is written above it, never into it.

use std::{fmt::Write as _, io::Write};

use super::edit::{Line, cut};

/// Taken where a terminal does not tell.
const COLUMNS: usize = 80;

pub struct Screen<W: Write> {
    out: W,
    /// `None`: a pipe or a file, which gets lines alone.
    terminal: Option<Terminal>,
}

struct Terminal {
    columns: usize,
    /// As it is on the screen.
    drawn: String,
    /// Columns before the cursor.
    cursor: usize,
}

impl<W: Write> Screen<W> {
    pub const fn lines(out: W) -> Self {
        Self { out, terminal: None }
    }

    pub fn terminal(out: W, columns: usize) -> Self {
        let columns = if columns == 0 { COLUMNS } else { columns };
        Self { out, terminal: Some(Terminal { columns, drawn: String::new(), cursor: 0 }) }
    }

    pub const fn is_terminal(&self) -> bool {
        self.terminal.is_some()
    }

    /// The terminal may have broken what is drawn into rows of the new width.
    pub fn resize(&mut self, columns: usize) {
        let Some(terminal) = &mut self.terminal else { return };
        let erased = terminal.erase(if columns == 0 { COLUMNS } else { columns });
        self.write(&erased);
    }

    /// Somebody else had the terminal: nothing of what was drawn is where it was.
    pub fn begin_anew(&mut self, columns: usize) {
        if let Some(terminal) = &mut self.terminal {
            (terminal.drawn, terminal.cursor) = (String::new(), 0);
        }
        self.resize(columns);
    }

    /// A line, or several.
    pub fn say(&mut self, text: &str) {
        let Some(terminal) = &mut self.terminal else { return self.write(&format!("{text}\n")) };
        let erased = terminal.erase(terminal.columns);
        self.write(&format!("{erased}{}\r\n", text.replace('\n', "\r\n")));
    }

    /// The line that is being typed, behind its prompt. To be called after everything else.
    pub fn draw(&mut self, prompt: &str, line: &Line) {
        let Some(terminal) = &mut self.terminal else { return };
        let (prompt, before) = fitted(prompt, terminal.columns / 2);
        let view = line.view(terminal.columns.saturating_sub(before));
        let cursor = before + view.cursor;
        let drawn = format!("{prompt}{}", view.shown);
        if (&drawn, cursor) == (&terminal.drawn, terminal.cursor) {
            return;
        }
        let mut text = terminal.erase(terminal.columns);
        let _ = write!(text, "{drawn}\r");
        if cursor > 0 {
            let _ = write!(text, "\x1b[{cursor}C");
        }
        (terminal.drawn, terminal.cursor) = (drawn, cursor);
        self.write(&text);
    }

    /// Takes the typed line away.
    pub fn erase(&mut self) {
        let Some(terminal) = &mut self.terminal else { return };
        let erased = terminal.erase(terminal.columns);
        self.write(&erased);
    }

    /// Everything.
    pub fn clear(&mut self) {
        if let Some(terminal) = &mut self.terminal {
            (terminal.drawn, terminal.cursor) = (String::new(), 0);
            self.write("\x1b[H\x1b[2J");
        }
    }

    pub fn write(&mut self, text: &str) {
        // A reader that went away ends the program at its next read of the input.
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }
}

/// A prompt that is too long still ends as one.
fn fitted(prompt: &str, columns: usize) -> (String, usize) {
    match cut(prompt, columns) {
        (whole, width) if whole == prompt => (whole, width),
        _ => {
            let (begin, width) = cut(prompt, columns.saturating_sub(2));
            (format!("{begin}> "), width + 2)
        }
    }
}

impl Terminal {
    /// From the row where what is drawn begins to the end of the screen.
    fn erase(&mut self, columns: usize) -> String {
        let rows_above = self.cursor / columns;
        (self.columns, self.cursor) = (columns, 0);
        self.drawn.clear();
        if rows_above > 0 { format!("\r\x1b[{rows_above}A\x1b[J") } else { "\r\x1b[J".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::keys::Key, *};

    /// A terminal of 5 rows, and what a person sees on it.
    struct Seen(Screen<vt100::Parser>, Line);

    impl Seen {
        fn new(columns: u16) -> Self {
            let mut screen = Screen::terminal(vt100::Parser::new(5, columns, 0), usize::from(columns));
            screen.draw("lobby> ", &Line::default());
            Self(screen, Line::default())
        }

        fn press(&mut self, key: Key) {
            self.1.press(key);
            self.0.draw("lobby> ", &self.1);
        }

        fn hear(&mut self, text: &str) {
            self.0.say(text);
            self.0.draw("lobby> ", &self.1);
        }

        fn rows(&self) -> Vec<String> {
            let screen = self.0.out.screen();
            let rows = screen.rows(0, screen.size().1).map(|row| row.trim_end().to_owned());
            rows.collect::<Vec<_>>().join("\n").trim_end().lines().map(str::to_owned).collect()
        }

        fn cursor(&self) -> (u16, u16) {
            self.0.out.screen().cursor_position()
        }
    }

    #[test]
    fn what_comes_while_somebody_types_stands_above_their_line() {
        let mut seen = Seen::new(40);
        seen.press(Key::Text("half a".into()));
        seen.hear("[09:14] <ben> hello");
        seen.press(Key::Text(" line".into()));
        assert_eq!(seen.rows(), ["[09:14] <ben> hello", "lobby> half a line"]);
        assert_eq!(seen.cursor(), (1, 18));
        seen.press(Key::Start);
        assert_eq!(seen.cursor(), (1, 7));
        seen.hear("two\nlines");
        assert_eq!(seen.rows(), ["[09:14] <ben> hello", "two", "lines", "lobby> half a line"]);
        assert_eq!(seen.cursor(), (3, 7));
        seen.press(Key::Enter);
        assert_eq!(seen.rows().last().unwrap(), "lobby>");
    }

    #[test]
    fn long_and_wide_lines_keep_to_one_row() {
        let mut seen = Seen::new(20);
        seen.press(Key::Text("0123456789abcdef".into()));
        assert_eq!((seen.rows(), seen.cursor()), (vec!["lobby> 456789abcdef".into()], (0, 19)));
        seen.0.draw("lobby (3 delivered)> ", &seen.1);
        assert_eq!(seen.rows(), ["lobby (3> 789abcdef"]);
        seen.press(Key::End);
        seen.hear("exactly twenty chars");
        assert_eq!(seen.rows(), ["exactly twenty chars", "lobby> 456789abcdef"]);
        seen.press(Key::EraseToStart);
        seen.press(Key::Text("漢字漢字漢字漢字".into()));
        assert_eq!(seen.rows()[1], "lobby> 漢字漢字漢字");
        assert_eq!(seen.cursor(), (1, 19));
        seen.hear("漢字漢字漢字漢字漢字漢");
        assert_eq!(seen.rows(), ["exactly twenty chars", "漢字漢字漢字漢字漢字", "漢", "lobby> 漢字漢字漢字"]);
    }

    #[test]
    fn a_narrower_terminal_gets_a_narrower_line() {
        let mut seen = Seen::new(40);
        seen.hear("hello");
        seen.press(Key::Text("0123456789abcdef".into()));
        // As terminals do it that break rows anew: what was one row is two, and the cursor is in the second.
        let broken = b"\x1b[H\x1b[2Jhello\r\nlobby> 0123456789abc\r\ndef";
        seen.0.out.screen_mut().set_size(5, 20);
        seen.0.out.process(broken);
        seen.0.resize(20);
        seen.0.draw("lobby> ", &seen.1);
        assert_eq!(seen.rows(), ["hello", "lobby> 456789abcdef"]);
        assert_eq!(seen.cursor(), (1, 19));
    }

    #[test]
    fn a_pipe_gets_lines_and_nothing_else() {
        let mut screen = Screen::lines(Vec::new());
        screen.say("hello");
        screen.draw("lobby> ", &Line::default());
        screen.erase();
        assert_eq!(screen.out, b"hello\n");
    }
}
