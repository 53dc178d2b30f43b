//! `make sim`, `make chaos`, `make crash`: long searches for a counter-example, each of which ends with one line of
//! JSON. The line is kept in target/xtask, and the last of each is what docs/reliability.md shows.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    generated::target_dir,
    report::Report,
    test::{self, cargo},
};

const PAGE: &str = "docs/reliability.md";
const BEGIN: &str = "<!-- figures -->\n";
const END: &str = "<!-- end of the figures -->";
const SEARCHES: [&str; 3] = ["sim", "chaos", "crash"];
/// For how long faults are drawn at random, and from which seed.
const CHAOS: [&str; 2] = ["POSTHORN_CHAOS_MINUTES", "POSTHORN_SEED"];
/// As the environment names the file of a test's report.
const REPORT: &str = "POSTHORN_REPORT";

fn kept(root: &Path, name: &str) -> PathBuf {
    target_dir(root).join("xtask").join(format!("{name}.json"))
}

/// As the tests build it: a seed takes a second, a build for release many minutes.
///
/// # Errors
/// It cannot be started.
pub fn sim(root: &Path, args: &[&str]) -> Result<bool> {
    let mut sim = cargo(&root.join("sim"), "run");
    sim.args(["--target-dir", "../target", "--"]).args(args);
    told(root, "sim", &mut sim)
}

/// A program among the tests, built with the others so that no dependency is built twice.
///
/// # Errors
/// It cannot be started.
pub fn crash(root: &Path, args: &[&str]) -> Result<bool> {
    // Without a number it would be what `make test` runs of it.
    let runs: &[&str] = if args.contains(&"--runs") { &[] } else { &["--runs", "200"] };
    let mut crash = cargo(root, "test");
    crash.args(["--workspace", "--test", "crash", "--"]).args(runs).args(args);
    told(root, "crash", &mut crash)
}

/// Faults of a cluster drawn from a seed, a random one if it is empty.
///
/// # Errors
/// A step cannot be started.
pub fn chaos(root: &Path, minutes: &str, seed: &str) -> Result<bool> {
    let mut report = Report::default();
    if !test::build(root, &mut report)? {
        return Ok(false);
    }
    let mut chaos = chaos_of(root, minutes, seed);
    let path = kept(root, "chaos");
    // An older one must not stand in for this one.
    let _ = fs::remove_file(&path);
    let status = chaos.env(REPORT, &path).status()?;
    // The last line, after what the tests say of themselves.
    let line = fs::read_to_string(&path).with_context(|| format!("it left no report: {}", path.display()))?;
    println!("{}", line.trim_end());
    Ok(status.success())
}

/// The test that does it, of programs that were built.
pub fn chaos_of(root: &Path, minutes: &str, seed: &str) -> Command {
    let mut chaos = cargo(root, "test");
    chaos.args(["--workspace", "--test", "faults", "--quiet", "--", "--nocapture", "--test-threads=1", "in_chaos_on"]);
    chaos.envs(CHAOS.into_iter().zip([minutes, seed]));
    chaos
}

/// Runs a program whose last line is its report, and keeps that.
fn told(root: &Path, name: &str, command: &mut Command) -> Result<bool> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut last = String::new();
    for line in BufReader::new(child.stdout.take().context("no output")?).lines() {
        last = line?;
        println!("{last}");
    }
    let status = child.wait()?;
    let path = kept(root, name);
    if serde_json::from_str::<Value>(&last).is_ok_and(|report| report.is_object()) {
        fs::create_dir_all(path.parent().context("no folder")?)?;
        fs::write(&path, &last)?;
    }
    Ok(status.success())
}

/// # Errors
/// The page cannot be read or written, or has no place for them.
pub fn figures(root: &Path) -> Result<bool> {
    let path = root.join(PAGE);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let (Some(begin), Some(end)) = (text.find(BEGIN), text.find(END)) else { bail!("{PAGE} has no place for figures") };
    let old = &text[begin + BEGIN.len()..end];
    let mut new =
        "| command | events | acknowledged | faults, by kind | violations |\n| --- | --- | --- | --- | --- |\n"
            .to_owned();
    for name in SEARCHES {
        let prefix = format!("| `make {name} ");
        let before = old.lines().find(|line| line.starts_with(&prefix)).map(str::to_owned);
        let Some(row) = row(name, &kept(root, name))?.or(before) else { continue };
        new.push_str(&row);
        new.push('\n');
    }
    fs::write(&path, [&text[..begin + BEGIN.len()], &new, &text[end..]].concat())?;
    Ok(true)
}

/// `None`: there was no such run here.
fn row(name: &str, path: &Path) -> Result<Option<String>> {
    let Ok(line) = fs::read_to_string(path) else { return Ok(None) };
    let report: Value = serde_json::from_str(&line).with_context(|| path.display().to_string())?;
    let [seeds, runs, minutes] = ["seeds", "runs", "minutes"].map(|key| &report[key]);
    let size = match (seeds.as_u64(), runs.as_u64(), minutes.as_f64()) {
        (Some(seeds), ..) => format!("SEEDS={seeds}"),
        (_, Some(runs), _) => format!("RUNS={runs}"),
        (.., Some(minutes)) => format!("MINUTES={minutes} SEED={}", report["seed"]),
        _ => bail!("{} says of no seeds, runs or minutes", path.display()),
    };
    let faults = report["faults_by_kind"].as_object().context("no faults_by_kind")?;
    let faults: Vec<String> = faults.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    let violations =
        report["violations"].as_array().map_or_else(|| report["violations"].to_string(), |all| all.len().to_string());
    Ok(Some(format!(
        "| `make {name} {size}` | {} | {} | {} | {violations} |",
        report["operations"],
        report["acked"],
        faults.join(", ")
    )))
}
