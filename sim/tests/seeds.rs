//! The simulation as its users run it.

use std::process::{Command, Output};

fn sim(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_posthorn-sim")).args(args).output().expect("the simulation runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_same_seed_gives_the_same_history_byte_for_byte() {
    for seed in ["1", "7", "42"] {
        let (a, b) = (text(&sim(&["--seed", seed])), text(&sim(&["--seed", seed])));
        assert!(a.contains(r#""crash""#) && a.contains(r#""read""#), "seed {seed} shows nothing");
        let differs = a.lines().zip(b.lines()).find(|(a, b)| a != b);
        assert!(differs.is_none() && a == b, "seed {seed}: {differs:?}");
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_unsynced_writes_vanish() {
    let seeds = std::env::var("POSTHORN_SEEDS").unwrap_or_else(|_| "24".to_owned());
    let output = sim(&["--seeds", &seeds, "--from", "100"]);
    assert!(output.status.success(), "{}{}", text(&output), String::from_utf8_lossy(&output.stderr));
}

#[test]
fn seeds_that_failed_once_hold() {
    let lines = include_str!("../seeds.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    for line in lines {
        let seed = line.split_whitespace().next().expect("a seed");
        let output = sim(&["--seed", seed]);
        let report = text(&output).lines().last().unwrap_or_default().to_owned();
        assert!(output.status.success(), "{line}: {report}{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The first of these seeds that breaks one of the rules, in words.
fn broken(what: &str, seeds: impl Iterator<Item = u64>, rules: &[&str]) -> Option<String> {
    let mut seeds = seeds.map(|seed| text(&sim(&["--seed", &seed.to_string(), "--broken", what])));
    let told = |report: &str| rules.iter().any(|rule| report.contains(&format!("\"{rule}: ")));
    seeds.find_map(|output| output.lines().last().filter(|report| told(report)).map(str::to_owned))
}

#[test]
fn a_store_that_acknowledges_what_one_replica_has_is_found_out() {
    // What is lost shows in whatever rests on it. Without the flaw none of these seeds breaks a rule.
    let rules = ["lost", "refused", "real_time", "outsider", "unread"];
    let found = broken("one-replica", (20..150).filter(|seed| seed % 8 != 1), &rules);
    assert!(found.is_some(), "nothing was lost");
}

#[test]
fn a_process_that_acknowledges_what_a_power_cut_takes_is_found_out() {
    let found = broken("unsynced", (1..80).step_by(8), &["lost", "disagreement"]);
    assert!(found.is_some(), "nothing was lost");
}

#[test]
fn a_panic_that_a_node_lives_through_is_a_violation() {
    let output = sim(&["--seed", "10", "--broken", "panics"]);
    let report = text(&output).lines().last().unwrap_or_default().to_owned();
    assert!(!output.status.success() && report.contains("on purpose"), "{report}");
}

#[test]
fn a_run_that_dies_is_a_violation_and_ends_no_other() {
    let output = sim(&["--seeds", "2", "--from", "2", "--broken", "dies"]);
    let report: serde_json::Value =
        serde_json::from_str(text(&output).lines().last().unwrap_or_default()).expect("a report");
    assert_eq!(
        (&report["seeds"], &report["violations"], &report["first_failing_seed"]),
        (&2.into(), &2.into(), &2.into())
    );
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("target/sim/seed-2.jsonl"), "{said}");
    assert!(said.contains("fails with: posthorn-sim --seed 2\n"), "{said}");
}
