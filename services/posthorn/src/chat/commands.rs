//! What a line of input means. Pure.

/// A line that a person typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    Nothing,
    Say(String),
    Action(String),
    List,
    Open(String),
    To(String),
    Create {
        conversation: String,
        members: Vec<String>,
    },
    Members,
    Add(String),
    Remove(String),
    Leave,
    History(u64),
    Typing,
    Presence(Vec<String>),
    Wait(u64),
    Help,
    Quit,
    /// With why it is none.
    Wrong(String),
}

/// Of `posthorn chat --help`.
pub const AFTER_HELP: &str = "Type a message and press Enter, or /help for the commands.";

pub const HELP: &str = "\
  TEXT                     send to the open conversation
  /me TEXT                 send as an action
  /list                    your conversations, the latest first
  /open CONVERSATION       open one and show its last messages
  /to USER                 open the direct conversation with a user
  /create ID USER...       make a group
  /members  /add USER  /remove USER  /leave
  /history [N]             the last N messages of the open conversation
  /typing                  show the others that you are typing
  /presence USER...        watch who is online
  /wait SECONDS            only receive for a while (for scripts)
  /help  /quit
  A line that begins with // is sent with one / less. Times are UTC.
";

/// What a terminal has besides.
pub const KEYS: &str = "\
  Ctrl-C                   clear the line; on an empty one, leave
  Ctrl-D                   leave
  Up, Down                 bring earlier lines back
  Ctrl-A -E -U -K -W -L    begin, end; erase to the begin, to the end, a word; draw anew
";

/// Messages that `/history` shows when nothing else is asked, and at most.
pub const HISTORY: u64 = 20;
const MAX_HISTORY: u64 = 200;
const MAX_WAIT_S: u64 = 3_600;

pub fn parse(line: &str) -> Input {
    let line = line.trim_end_matches(['\r', '\n']);
    if line.trim().is_empty() {
        return Input::Nothing;
    }
    if let Some(text) = line.strip_prefix("//") {
        return Input::Say(format!("/{text}"));
    }
    let Some(command) = line.strip_prefix('/') else { return Input::Say(line.to_owned()) };
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let rest = rest.trim();
    let words = || rest.split_whitespace().map(str::to_owned);
    match (name, rest.is_empty()) {
        ("me", false) => Input::Action(rest.to_owned()),
        ("list", true) => Input::List,
        ("open", false) => one(rest, Input::Open),
        ("to", false) => one(rest, Input::To),
        ("create", false) => {
            let mut words = words();
            Input::Create { conversation: words.next().unwrap_or_default(), members: words.collect() }
        }
        ("members", true) => Input::Members,
        ("add", false) => one(rest, Input::Add),
        ("remove", false) => one(rest, Input::Remove),
        ("leave", true) => Input::Leave,
        ("history", true) => Input::History(HISTORY),
        ("history", false) => number(rest, MAX_HISTORY, Input::History),
        ("typing", true) => Input::Typing,
        ("presence", false) => Input::Presence(words().collect()),
        ("wait", false) => number(rest, MAX_WAIT_S, Input::Wait),
        ("help", _) => Input::Help,
        ("quit", _) => Input::Quit,
        _ => Input::Wrong(format!("/{name}: see /help")),
    }
}

fn one(rest: &str, input: impl Fn(String) -> Input) -> Input {
    if rest.contains(char::is_whitespace) { Input::Wrong("one name is needed".into()) } else { input(rest.to_owned()) }
}

fn number(rest: &str, max: u64, input: impl Fn(u64) -> Input) -> Input {
    match rest.parse() {
        Ok(number) if (1..=max).contains(&number) => input(number),
        _ => Input::Wrong(format!("a number from 1 to {max} is needed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_mean_what_help_says() {
        let s = str::to_owned;
        for (line, expect) in [
            ("hello there", Input::Say(s("hello there"))),
            ("  indented", Input::Say(s("  indented"))),
            ("//etc/hosts", Input::Say(s("/etc/hosts"))),
            ("   ", Input::Nothing),
            ("/me waves", Input::Action(s("waves"))),
            ("/list", Input::List),
            ("/open lobby\r\n", Input::Open(s("lobby"))),
            ("/to bob", Input::To(s("bob"))),
            ("/create lobby bob eve", Input::Create { conversation: s("lobby"), members: vec![s("bob"), s("eve")] }),
            ("/history", Input::History(20)),
            ("/history 5", Input::History(5)),
            ("/presence bob eve", Input::Presence(vec![s("bob"), s("eve")])),
            ("/wait 2", Input::Wait(2)),
            ("/quit", Input::Quit),
        ] {
            assert_eq!(parse(line), expect, "{line}");
        }
        for wrong in ["/nonsense", "/open", "/open a b", "/history many", "/history 0", "/wait 99999", "/me", "/"] {
            assert!(matches!(parse(wrong), Input::Wrong(_)), "{wrong}");
        }
    }
}
