//! Who is typing, and how often one's own typing is told. Pure.

use std::time::Duration;

use posthorn_clock::Instant;

/// Who says nothing more is taken for gone.
const EXPIRES: Duration = Duration::from_millis(6_000);
/// "Still typing" is repeated this often.
const REPEAT: Duration = Duration::from_millis(3_000);
/// People that are remembered at a time.
const MAX_TYPISTS: usize = 64;

#[derive(Default)]
pub struct Typists {
    /// Conversation, user, until when.
    others: Vec<(String, String, Instant)>,
    /// The conversation that was last told of one's own typing, and when.
    own: Option<(String, Instant)>,
}

impl Typists {
    pub fn is(&mut self, conversation: &str, user: &str, active: bool, now: Instant) {
        self.others.retain(|(of, who, until)| (of != conversation || who != user) && *until > now);
        if active && self.others.len() < MAX_TYPISTS {
            self.others.push((conversation.to_owned(), user.to_owned(), now + EXPIRES));
        }
    }

    /// When the next of them is taken for gone.
    pub fn due(&self) -> Option<Instant> {
        self.others.iter().map(|(_, _, until)| *until).min()
    }

    pub fn expire(&mut self, now: Instant) {
        self.others.retain(|(_, _, until)| *until > now);
    }

    pub fn words(&self, conversation: &str) -> Option<String> {
        let here = self.others.iter().filter(|(of, _, _)| of == conversation).map(|(_, who, _)| who.as_str());
        match here.collect::<Vec<_>>()[..] {
            [] => None,
            [one] => Some(format!("{one} is typing")),
            ref several => Some(format!("{} are typing", several.join(" and "))),
        }
    }

    /// What to tell the conversation, if anything, now that the line holds a message, or none any more.
    pub fn own(&mut self, conversation: &str, typing: bool, now: Instant) -> Option<bool> {
        let told = self.own.as_ref().filter(|(of, _)| of == conversation).map(|(_, at)| *at);
        match (typing, told) {
            (true, Some(at)) if now < at + REPEAT => None,
            (true, _) => {
                self.own = Some((conversation.to_owned(), now));
                Some(true)
            }
            (false, Some(_)) => {
                self.own = None;
                Some(false)
            }
            (false, None) => None,
        }
    }

    /// A message says that its author types no more.
    pub fn sent(&mut self) {
        self.own = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn typing_is_told_now_and_then_and_forgotten_after_a_while() {
        let (mut typists, now) = (Typists::default(), Instant::now());
        let at = |ms| now + Duration::from_millis(ms);
        typists.is("lobby", "ben", true, now);
        typists.is("lobby", "cyd", true, at(1_000));
        assert_eq!(typists.words("lobby").as_deref(), Some("ben and cyd are typing"));
        typists.is("lobby", "cyd", false, at(2_000));
        assert_eq!((typists.words("lobby").as_deref(), typists.words("x")), (Some("ben is typing"), None));
        assert_eq!(typists.due(), Some(at(6_000)));
        typists.expire(at(6_000));
        assert_eq!((typists.words("lobby"), typists.due()), (None, None));

        let mut own = |typing, ms| typists.own("lobby", typing, at(ms));
        assert_eq!([own(true, 0), own(true, 2_999), own(true, 3_000)], [Some(true), None, Some(true)]);
        assert_eq!([own(false, 3_001), own(false, 3_002), own(true, 3_003)], [Some(false), None, Some(true)]);
        typists.sent();
        assert_eq!(typists.own("lobby", false, at(3_004)), None);
    }
}
