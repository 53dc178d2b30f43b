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
