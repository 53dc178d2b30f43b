//! What may not happen, what must have happened, and what a check found.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

/// Violations of one rule that are told in words; the rest is counted.
const MAX_TOLD: u64 = 20;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal, $says:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $(#[doc = $says] $variant,)*
        }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name, as files and options have it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// In one line.
            #[must_use]
            pub const fn says(self) -> &'static str {
                match self { $(Self::$variant => $says),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, String> {
                let found = Self::ALL.iter().copied().find(|known| known.as_str() == word);
                found.ok_or_else(|| {
                    let all: Vec<&str> = Self::ALL.iter().map(|known| known.as_str()).collect();
                    format!("`{word}` is none of {}", all.join(", "))
                })
            }
        }
    };
}

words! {
    /// What every history must keep.
    Rule {
        Lost = "lost", "an acknowledged or received entry stands at its seq in every full read of whoever may see it";
        Changed = "changed", "an entry has the body that was sent";
        Invented = "invented", "every message of the log was sent by somebody";
        Refused = "refused", "what certainly failed is not in the log";
        Twice = "twice", "an id has one seq, whoever asks and however often it is sent";
        Disagreement = "disagreement", "everyone sees the same entry at a seq";
        RealTime = "real_time", "what was acknowledged before another was sent comes before it";
        Hole = "hole", "the log has every seq up to its end";
        Reordered = "reordered", "seq ascends on a connection, behind the client library and within a read";
        Duplicated = "duplicated", "nothing comes twice on a connection, behind the client library or within a read";
        Rewound = "rewound", "a read shows what its user has seen or was acknowledged before";
        Gap = "gap", "no visible entry is skipped, also across a resume, unless a reset said so";
        Undelivered = "undelivered", "by the end everybody who is there has everything they may see";
        MarkFell = "mark_fell", "marks only grow";
        MarkBeyond = "mark_beyond", "read is not beyond delivered, delivered not beyond the log";
        Outsider = "outsider", "nobody gets, reads or marks what lies outside of their membership";
        Unread = "unread", "unread counts others' visible messages after the read mark";
        FeedOrder = "feed_order", "first copies of a conversation come in order in the feed, without a hole";
        FeedEnd = "feed_end", "by the end the feed has had every entry";
        Presence = "presence", "by the end every watcher sees who is there";
        Unanswered = "unanswered", "once all is settled, no send is without an answer";
        Malformed = "malformed", "the history itself makes sense";
    }
}

words! {
    /// What a run can have shown. One that lacks what was expected is invalid, not good.
    Sight {
        Settled = "settled", "everything came to rest";
        Acked = "acked", "a send was acknowledged";
        SentAgain = "sent_again", "a send was answered with the seq of an earlier try";
        Unconfirmed = "unconfirmed", "a send ended unknown";
        RefusedSend = "refused_send", "a send certainly failed";
        Received = "received", "an entry came live";
        WholeRead = "whole_read", "somebody read all they may see, or all there is";
        Joined = "joined", "somebody became a member";
        Left = "left", "somebody ceased to be one";
        Resumed = "resumed", "a connection went on with its session";
        Reconnected = "reconnected", "a process connected again";
        ResetSeen = "reset_seen", "a hole was declared";
        Marked = "marked", "marks were told";
        UnreadSeen = "unread_seen", "an unread count was told";
        Fed = "fed", "a consumer handled an entry of the feed";
        PresenceSeen = "presence_seen", "presence was told";
        Crashed = "crashed", "a process crashed";
        Faulted = "faulted", "something else was broken on purpose";
    }
}

impl Rule {
    /// The invariants of docs/history.md that it stands for.
    #[must_use]
    pub const fn invariant(self) -> &'static str {
        match self {
            Self::Lost => "I1",
            Self::Changed | Self::Invented => "I2",
            Self::Refused => "I3",
            Self::Twice => "I4",
            Self::Disagreement | Self::RealTime => "I5",
            Self::Hole => "I6",
            Self::Reordered => "I7",
            Self::Rewound => "I7, I8",
            Self::Gap => "I9",
            Self::Duplicated => "I10",
            Self::MarkFell | Self::MarkBeyond => "I11",
            Self::Outsider => "I13, I14",
            Self::Unread => "I17",
            Self::Undelivered | Self::FeedOrder | Self::FeedEnd | Self::Presence | Self::Unanswered => "I20",
            Self::Malformed => "-",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    pub rule: Rule,
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.text)
    }
}

/// What a check found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub events: u64,
    /// How often.
    pub seen: BTreeMap<Sight, u64>,
    /// How often each rule was broken.
    pub broken: BTreeMap<Rule, u64>,
    /// The first of each rule, in words.
    pub violations: Vec<Violation>,
    /// Expected, and never seen.
    pub missing: Vec<Sight>,
}

impl Report {
    /// Nothing is broken, and everything expected was seen.
    #[must_use]
    pub fn good(&self) -> bool {
        self.broken.is_empty() && self.missing.is_empty()
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let seen: Vec<String> = self.seen.iter().map(|(sight, times)| format!("{sight} {times}")).collect();
        let mut text = format!("{} events: {}\n", self.events, seen.join(", "));
        for (rule, times) in &self.broken {
            text.push_str(&format!("BROKEN {rule} ({}), {times} times: {}\n", rule.invariant(), rule.says()));
            for violation in self.violations.iter().filter(|violation| violation.rule == *rule) {
                text.push_str(&format!("  {}\n", violation.text));
            }
        }
        for sight in &self.missing {
            text.push_str(&format!("NOT SEEN {sight}: {}\n", sight.says()));
        }
        let verdict = match (self.broken.is_empty(), self.missing.is_empty()) {
            (true, true) => "good: no rule is broken\n",
            (true, false) => "invalid: no rule is broken, but the run shows too little\n",
            (false, _) => "BROKEN\n",
        };
        text + verdict
    }

    pub(crate) fn see(&mut self, sight: Sight) {
        *self.seen.entry(sight).or_default() += 1;
    }

    pub(crate) fn broke(&mut self, rule: Rule, text: impl FnOnce() -> String) {
        let times = self.broken.entry(rule).or_default();
        *times += 1;
        if *times <= MAX_TOLD {
            self.violations.push(Violation { rule, text: text() });
        }
    }

    pub(crate) fn expect(&mut self, expect: &[Sight]) {
        self.missing = expect.iter().copied().filter(|sight| !self.seen.contains_key(sight)).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_that_come_back() {
        for rule in Rule::ALL {
            assert_eq!(rule.as_str().parse(), Ok(*rule));
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.as_str());
        }
        for sight in Sight::ALL {
            assert_eq!(sight.as_str().parse(), Ok(*sight));
            assert_eq!(serde_json::to_value(sight).unwrap(), sight.as_str());
        }
        assert!("nothing".parse::<Sight>().is_err());
    }

    #[test]
    fn many_violations_of_a_rule_are_counted_and_few_told() {
        let mut report = Report::default();
        for n in 0..100 {
            report.broke(Rule::Lost, || n.to_string());
        }
        assert_eq!((report.broken[&Rule::Lost], report.violations.len() as u64), (100, MAX_TOLD));
        assert!(!report.good() && report.text().contains("BROKEN lost (I1), 100 times"));
    }
}
