//! The rules that a history must keep. Each has a broken history in the tests that it catches.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Event, Kind, Op};

type Log = BTreeMap<u64, String>;

/// Every violation, in words; empty for a good history.
pub fn check(events: &[Event]) -> Vec<String> {
    let mut broken = Vec::new();
    let logs = logs(events, &mut broken);
    for (conversation, log) in &logs {
        dense(conversation, log, &mut broken);
        each_once(conversation, log, &mut broken);
    }
    acknowledged(events, &logs, &mut broken);
    real_time_order(events, &mut broken);
    received(events, &logs, &mut broken);
    broken
}

/// The final reads, which must all agree.
fn logs(events: &[Event], broken: &mut Vec<String>) -> BTreeMap<String, Log> {
    let mut logs: BTreeMap<String, Log> = BTreeMap::new();
    for event in events {
        let Op::Read { conversation, ids } = &event.op else { continue };
        let log: Log = ids.iter().cloned().collect();
        if let Some(other) = logs.get(conversation)
            && *other != log
        {
            broken.push(format!("{} reads another log of {conversation} than others", event.process));
        }
        logs.insert(conversation.clone(), log);
    }
    logs
}

fn dense(conversation: &str, log: &Log, broken: &mut Vec<String>) {
    for (expected, seq) in (1..).zip(log.keys()) {
        if *seq != expected {
            broken.push(format!("{conversation} has a hole at {expected}"));
            return;
        }
    }
}

fn each_once(conversation: &str, log: &Log, broken: &mut Vec<String>) {
    let mut seen = BTreeMap::new();
    for (seq, id) in log {
        if let Some(first) = seen.insert(id, seq) {
            broken.push(format!("{conversation} has {id} at {first} and at {seq}"));
        }
    }
}

/// What was acknowledged stands where it was acknowledged; what certainly failed does not stand; what
/// stands was sent.
fn acknowledged(events: &[Event], logs: &BTreeMap<String, Log>, broken: &mut Vec<String>) {
    let mut invoked = BTreeSet::new();
    for event in events {
        let Op::Send { conversation, id, seq } = &event.op else { continue };
        let found = logs.get(conversation).and_then(|log| log.get(seq));
        match event.kind {
            Kind::Invoke => drop(invoked.insert((conversation, id))),
            Kind::Ok if found != Some(id) => {
                broken.push(format!("{conversation} lost {id}, acknowledged at {seq}"));
            }
            Kind::Fail if logs.get(conversation).is_some_and(|log| log.values().any(|other| other == id)) => {
                broken.push(format!("{conversation} has {id}, which failed"));
            }
            _ => {}
        }
    }
    for (conversation, log) in logs {
        // The first entry creates the conversation.
        for (seq, id) in log.iter().filter(|(seq, _)| **seq > 1) {
            if !invoked.contains(&(conversation, id)) {
                broken.push(format!("{conversation} has {id} at {seq}, which nobody sent"));
            }
        }
    }
}

/// Acknowledged before another was begun: comes before it.
fn real_time_order(events: &[Event], broken: &mut Vec<String>) {
    let mut highest: BTreeMap<&String, u64> = BTreeMap::new();
    let mut at_invoke: BTreeMap<&String, u64> = BTreeMap::new();
    for event in events {
        let Op::Send { conversation, id, seq } = &event.op else { continue };
        match event.kind {
            Kind::Invoke => {
                at_invoke.entry(id).or_insert_with(|| highest.get(conversation).copied().unwrap_or(0));
            }
            Kind::Ok => {
                let before = at_invoke.get(id).copied().unwrap_or(0);
                if *seq <= before {
                    broken.push(format!("{id} stands at {seq}, but {before} was acknowledged before it was sent"));
                }
                let top = highest.entry(conversation).or_insert(0);
                *top = (*top).max(*seq);
            }
            Kind::Fail | Kind::Info => {}
        }
    }
}

/// Each process receives ascending, each once, what the log has; by the end, all of it from its first.
fn received(events: &[Event], logs: &BTreeMap<String, Log>, broken: &mut Vec<String>) {
    let mut last: BTreeMap<(&String, &String), u64> = BTreeMap::new();
    for event in events {
        let Op::Receive { conversation, seq, id } = &event.op else { continue };
        let key = (&event.process, conversation);
        if let Some(before) = last.insert(key, *seq)
            && *seq != before + 1
        {
            broken.push(format!("{} received {seq} of {conversation} after {before}", event.process));
        }
        if logs.get(conversation).and_then(|log| log.get(seq)) != Some(id) {
            broken.push(format!("{} received {id} at {seq} of {conversation}, the log differs", event.process));
        }
    }
    for ((process, conversation), seq) in last {
        let end = logs.get(conversation).and_then(|log| log.keys().last().copied()).unwrap_or(0);
        if seq != end {
            broken.push(format!("{process} received {conversation} up to {seq} of {end}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(process: &str, kind: Kind, op: Op) -> Event {
        Event { at_ms: 0, process: process.into(), kind, op }
    }

    fn send(kind: Kind, id: &str, seq: u64) -> Event {
        event("a", kind, Op::Send { conversation: "c".into(), id: id.into(), seq })
    }

    fn receive(seq: u64, id: &str) -> Event {
        event("b", Kind::Ok, Op::Receive { conversation: "c".into(), seq, id: id.into() })
    }

    fn read(process: &str, ids: &[(u64, &str)]) -> Event {
        let ids = ids.iter().map(|(seq, id)| (*seq, (*id).to_owned())).collect();
        event(process, Kind::Ok, Op::Read { conversation: "c".into(), ids })
    }

    fn good() -> Vec<Event> {
        vec![
            send(Kind::Invoke, "x", 0),
            send(Kind::Ok, "x", 2),
            send(Kind::Invoke, "y", 0),
            send(Kind::Ok, "y", 3),
            receive(2, "x"),
            receive(3, "y"),
            read("a", &[(1, "created"), (2, "x"), (3, "y")]),
            read("b", &[(1, "created"), (2, "x"), (3, "y")]),
        ]
    }

    #[test]
    fn a_good_history_passes() {
        assert_eq!(check(&good()), Vec::<String>::new());
    }

    #[test]
    fn every_rule_catches_its_broken_history() {
        type Break = fn(&mut Vec<Event>);
        let broken: [(&str, Break); 9] = [
            ("lost", |h| h.truncate(6)),
            ("hole", |h| {
                for at in [6, 7] {
                    h[at] = read("a", &[(1, "created"), (3, "y")]);
                }
            }),
            ("has x at 2 and at 4", |h| {
                for at in [6, 7] {
                    h[at] = read("a", &[(1, "created"), (2, "x"), (3, "y"), (4, "x")]);
                }
            }),
            ("another log", |h| h[7] = read("b", &[(1, "created"), (2, "y"), (3, "x")])),
            ("nobody sent", |h| drop(h.remove(2))),
            ("which failed", |h| h[1] = send(Kind::Fail, "x", 0)),
            ("acknowledged before", |h| {
                h.swap(1, 3);
                h[1] = send(Kind::Ok, "x", 3);
                h[3] = send(Kind::Ok, "y", 2);
            }),
            ("after", |h| h.insert(5, receive(2, "x"))),
            ("up to", |h| drop(h.remove(5))),
        ];
        for (word, breaks) in broken {
            let mut history = good();
            breaks(&mut history);
            let found = check(&history);
            assert!(found.iter().any(|violation| violation.contains(word)), "{word}: {found:?}");
        }
    }
}
