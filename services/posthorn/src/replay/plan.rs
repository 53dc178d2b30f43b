//! What a file comes to: who is there from the start, and then one step after the other, each of which
//! makes exactly one entry of the conversation's log. So the whole log is known before it exists: the
//! first entry creates the conversation, step `i` is seq `i + 2`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    lines::{Line, lines, parse},
    people::{Nicks, user_of},
};

/// Starters that the creation itself can name; the rest joins right after it.
const MAX_STARTERS: usize = 1_000;

/// What a step does. Users are numbers of [`Plan::users`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Say {
        user: u32,
        text: String,
        action: bool,
        line: u32,
    },
    /// Said by the admin.
    System {
        text: String,
        line: u32,
    },
    Join {
        user: u32,
    },
    Leave {
        user: u32,
    },
}

/// How many lines of each form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub lines: u64,
    pub messages: u64,
    pub actions: u64,
    pub joins: u64,
    pub leaves: u64,
    pub renames: u64,
    pub system: u64,
    pub blank: u64,
}

#[derive(Debug, Default)]
pub struct Plan {
    pub counts: Counts,
    /// (user id, the nick that the file knew them by first)
    pub users: Vec<(String, String)>,
    pub starters: Vec<u32>,
    pub steps: Vec<Step>,
    /// Per user: the spans of seq that they are a member in, both ends included: from the entry that
    /// makes them one to the entry that ends it.
    pub seats: Vec<Vec<(u64, u64)>>,
}

impl Plan {
    pub fn of(file: &[u8]) -> Self {
        let parsed: Vec<Line> = lines(file).map(|line| parse(&line)).collect();
        let mut plan = Self { starters: Vec::new(), ..Self::default() };
        let mut people = People::default();
        let mut starters = Vec::new();
        plan.beginning(&parsed, &mut people, &mut starters);
        for &user in starters.iter().skip(MAX_STARTERS) {
            plan.steps.push(Step::Join { user });
        }
        starters.truncate(MAX_STARTERS);
        plan.starters = starters;
        plan.go_through(parsed, &mut people);
        plan.users = people.users;
        plan.seats = seats(&plan.starters, &plan.steps, plan.users.len());
        plan
    }

    /// Who speaks before joining is a member from the start.
    fn beginning(&self, parsed: &[Line], people: &mut People, starters: &mut Vec<u32>) {
        let (mut nicks, mut known) = (Nicks::default(), BTreeSet::new());
        for line in parsed {
            match line {
                Line::Message { nick, .. } | Line::Action { nick, .. } => {
                    let user = people.number(&nicks, nick);
                    if known.insert(user) {
                        starters.push(user);
                    }
                }
                Line::Join { nick } => {
                    known.insert(people.number(&nicks, nick));
                }
                Line::Rename { from, to } => nicks.rename(from, to),
                Line::Leave { .. } | Line::Blank | Line::System { .. } => {}
            }
        }
    }

    fn go_through(&mut self, parsed: Vec<Line>, people: &mut People) {
        let mut nicks = Nicks::default();
        let mut present: BTreeSet<u32> = self.starters.iter().copied().collect();
        present.extend(self.steps.iter().filter_map(|step| match step {
            Step::Join { user } => Some(*user),
            _ => None,
        }));
        for (at, line) in parsed.into_iter().enumerate() {
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            let counts = &mut self.counts;
            counts.lines += 1;
            match line {
                Line::Message { nick, text } => {
                    counts.messages += 1;
                    self.say(people.number(&nicks, &nick), text, false, at, &mut present);
                }
                Line::Action { nick, text } => {
                    counts.actions += 1;
                    self.say(people.number(&nicks, &nick), text, true, at, &mut present);
                }
                Line::System { text } => {
                    counts.system += 1;
                    self.steps.push(Step::System { text, line: at });
                }
                Line::Join { nick } => {
                    counts.joins += 1;
                    let user = people.number(&nicks, &nick);
                    // A second join without a leave between them changes nothing.
                    if present.insert(user) {
                        self.steps.push(Step::Join { user });
                    }
                }
                Line::Leave { nick } => {
                    counts.leaves += 1;
                    if let Some(user) = people.find(&nicks, &nick).filter(|user| present.remove(user)) {
                        self.steps.push(Step::Leave { user });
                    }
                }
                Line::Rename { from, to } => {
                    counts.renames += 1;
                    nicks.rename(&from, &to);
                }
                Line::Blank => counts.blank += 1,
            }
        }
    }

    /// Who speaks after a leave has come back without the file saying so.
    fn say(&mut self, user: u32, text: String, action: bool, line: u32, present: &mut BTreeSet<u32>) {
        if present.insert(user) {
            self.steps.push(Step::Join { user });
        }
        self.steps.push(Step::Say { user, text, action, line });
    }

    /// Seq of the last entry that the log will have.
    #[cfg(test)]
    pub fn head_seq(&self) -> u64 {
        self.steps.len() as u64 + 1
    }

    /// The seq that a step makes.
    pub const fn seq_of(step: usize) -> u64 {
        step as u64 + 2
    }

    /// Lines that become a message, an action or a system entry.
    pub const fn messages(&self) -> u64 {
        self.counts.messages + self.counts.actions + self.counts.system
    }
}

/// The users of one file, numbered as they come up.
#[derive(Debug, Default)]
struct People {
    users: Vec<(String, String)>,
    numbers: BTreeMap<String, u32>,
}

impl People {
    fn number(&mut self, nicks: &Nicks, nick: &str) -> u32 {
        let id = nicks.user(nick);
        if let Some(&number) = self.numbers.get(&id) {
            return number;
        }
        let number = u32::try_from(self.users.len()).unwrap_or(u32::MAX);
        // The name that goes with the id, whatever they call themselves at the moment.
        let name = if user_of(nick) == id { nick.to_owned() } else { id.clone() };
        self.users.push((id.clone(), name));
        self.numbers.insert(id, number);
        number
    }

    fn find(&self, nicks: &Nicks, nick: &str) -> Option<u32> {
        self.numbers.get(&nicks.user(nick)).copied()
    }
}

fn seats(starters: &[u32], steps: &[Step], users: usize) -> Vec<Vec<(u64, u64)>> {
    let mut seats = vec![Vec::new(); users];
    for &user in starters {
        seats[user as usize].push((1, u64::MAX));
    }
    for (at, step) in steps.iter().enumerate() {
        match step {
            Step::Join { user } => seats[*user as usize].push((Plan::seq_of(at), u64::MAX)),
            Step::Leave { user } => {
                if let Some(last) = seats[*user as usize].last_mut() {
                    last.1 = Plan::seq_of(at);
                }
            }
            Step::Say { .. } | Step::System { .. } => {}
        }
    }
    seats
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(file: &str) -> Plan {
        let plan = Plan::of(file.as_bytes());
        let c = plan.counts;
        assert_eq!(c.messages + c.actions + c.joins + c.leaves + c.renames + c.system + c.blank, c.lines);
        plan
    }

    /// `ada:hi` said, `+ada` joined, `-ada` left, `!text` by the admin.
    fn steps(plan: &Plan) -> Vec<String> {
        let name = |user: &u32| plan.users[*user as usize].0.clone();
        let word = |step: &Step| match step {
            Step::Say { user, text, action, .. } => format!("{}{}{text}", name(user), if *action { "*" } else { ":" }),
            Step::System { text, .. } => format!("!{text}"),
            Step::Join { user } => format!("+{}", name(user)),
            Step::Leave { user } => format!("-{}", name(user)),
        };
        plan.steps.iter().map(word).collect()
    }

    fn starters(plan: &Plan) -> Vec<&str> {
        plan.starters.iter().map(|&user| plan.users[user as usize].0.as_str()).collect()
    }

    #[test]
    fn who_speaks_before_joining_is_there_from_the_start() {
        let p = plan("=== bob has joined #u\n<ada> hi\n=== ada has joined #u\n<bob> yo\n=== eve has left #u\n");
        assert_eq!(starters(&p), ["ada"]);
        assert_eq!(steps(&p), ["+bob", "ada:hi", "bob:yo"]);
        assert_eq!((p.counts.joins, p.counts.leaves, p.head_seq()), (2, 1, 4));
    }

    #[test]
    fn a_rename_moves_the_user_along() {
        let p =
            plan("=== ada is now known as lady\n<lady> hi\n=== lady has quit [x]\n=== eve has joined\n* eve waves\n");
        assert_eq!(starters(&p), ["ada"]);
        assert_eq!(steps(&p), ["ada:hi", "-ada", "+eve", "eve*waves"]);
    }

    #[test]
    fn who_speaks_after_leaving_comes_back_first() {
        let p = plan("<ada> hi\n=== ada has left #u\n<ada> again\n\nwhat\n");
        assert_eq!(steps(&p), ["ada:hi", "-ada", "+ada", "ada:again", "!what"]);
        assert_eq!(p.seats[0], [(1, 3), (4, u64::MAX)]);
        assert_eq!((p.counts.blank, p.messages()), (1, 3));
    }

    #[test]
    fn a_crowd_beyond_one_creation_joins_right_after_it() {
        let lines: String = (0..1_003).map(|n| format!("<u{n}> hi\n")).collect();
        let p = plan(&lines);
        assert_eq!(
            (p.starters.len(), &steps(&p)[..4]),
            (1_000, &["+u1000", "+u1001", "+u1002", "u0:hi"].map(String::from)[..])
        );
    }

    #[test]
    fn the_excerpt_of_a_real_channel_adds_up() {
        let file = include_bytes!("../../../../tests/fixtures/irc/ubuntu-excerpt.txt");
        let p = Plan::of(file);
        let c = p.counts;
        assert_eq!(c.lines, file.iter().filter(|&&b| b == b'\n').count() as u64);
        assert_eq!(c.messages + c.actions + c.joins + c.leaves + c.renames + c.system + c.blank, c.lines);
        assert!(c.messages > 0 && c.actions > 0 && c.joins > 0 && c.leaves > 0 && c.renames > 0 && c.system > 0);
    }
}
