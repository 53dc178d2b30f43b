//! `make sim`, `make chaos`, `make crash`, `make fuzz`: long searches for a counter-example, each of which ends with one
//! line of JSON. The line is kept in target/xtask, and the last of each is what docs/reliability.md shows.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use crate::{
    generated::target_dir,
    report::Report,
    test::{self, cargo},
};

const PAGE: &str = "docs/reliability.md";
const BEGIN: &str = "<!-- figures -->\n";
const END: &str = "<!-- end of the figures -->";
const SEARCHES: [&str; 4] = ["sim", "chaos", "crash", "fuzz"];
/// For how long faults are drawn at random, and from which seed.
const CHAOS: [&str; 2] = ["POSTHORN_CHAOS_MINUTES", "POSTHORN_SEED"];
/// As the environment names the file of a test's report.
const REPORT: &str = "POSTHORN_REPORT";

/// Where the last report of a search is.
pub fn kept(root: &Path, name: &str) -> PathBuf {
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

/// The decoders under damaged input, each for so long.
///
/// # Errors
/// `seconds` is no number, the tests cannot be started, or no target left a report.
pub fn fuzz(root: &Path, seconds: &str) -> Result<bool> {
    let seconds: u64 = seconds.parse().with_context(|| format!("a number of seconds was expected, not `{seconds}`"))?;
    let targets = kept(root, "fuzz-targets");
    fs::create_dir_all(targets.parent().context("no folder")?)?;
    // Every target adds a line.
    let _ = fs::remove_file(&targets);
    let mut fuzz = cargo(root, "test");
    fuzz.args(["--workspace", "--lib", "--", "--nocapture", "fuzz_"]);
    let status = fuzz.env("POSTHORN_FUZZ_SECONDS", seconds.to_string()).env(REPORT, &targets).status()?;
    let lines = fs::read_to_string(&targets).context("no target left a report")?;
    let mut report = fuzz_report(seconds, &lines)?;
    // A target that takes its process with it leaves no line.
    if !status.success() && report["violations"] == 0 {
        report["violations"] = json!(1);
    }
    let line = report.to_string();
    fs::write(kept(root, "fuzz"), &line)?;
    println!("{line}");
    Ok(status.success())
}

/// One report of those of the targets, a line each.
fn fuzz_report(seconds: u64, lines: &str) -> Result<Value> {
    let mut targets: Vec<Value> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    targets.sort_by_key(|target| target["target"].to_string());
    let by_target = |key: &str| -> Map<String, Value> {
        let of = |target: &Value| Some((target["target"].as_str()?.to_owned(), target[key].clone()));
        targets.iter().filter_map(of).collect()
    };
    let executions: u64 = targets.iter().filter_map(|target| target["executions"].as_u64()).sum();
    let violations = targets.iter().filter(|target| target["failed"] != false).count();
    Ok(json!({
        "seconds": seconds,
        "operations": executions,
        "executions_by_target": by_target("executions"),
        "outcomes_by_target": by_target("outcomes"),
        "violations": violations,
    }))
}

/// Runs a program whose last line is its report, and keeps that.
fn told(root: &Path, name: &str, command: &mut Command) -> Result<bool> {
    let path = kept(root, name);
    // An older one must not stand in for this one.
    let _ = fs::remove_file(&path);
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut last = String::new();
    for line in BufReader::new(child.stdout.take().context("no output")?).lines() {
        last = line?;
        println!("{last}");
    }
    let status = child.wait()?;
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
    let mut new = "| command | events | acknowledged | faults by kind, executions by target | violations |\n\
                   | --- | --- | --- | --- | --- |\n"
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
    let sizes = ["seeds", "runs", "minutes", "seconds"].map(|key| (key, &report[key]));
    let size = match sizes.into_iter().find(|(_, size)| size.is_number()) {
        Some(("minutes", minutes)) => {
            format!("MINUTES={} SEED={}", minutes.as_f64().unwrap_or_default(), report["seed"])
        }
        Some((key, size)) => format!("{}={size}", key.to_uppercase()),
        None => bail!("{} says of no seeds, runs, minutes or seconds", path.display()),
    };
    let kinds = report["faults_by_kind"].as_object().or_else(|| report["executions_by_target"].as_object());
    let kinds: Vec<String> = kinds
        .with_context(|| format!("{}: no faults_by_kind, no executions_by_target", path.display()))?
        .iter()
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    let violations =
        report["violations"].as_array().map_or_else(|| report["violations"].to_string(), |all| all.len().to_string());
    Ok(Some(format!(
        "| `make {name} {size}` | {} | {} | {} | {violations} |",
        report["operations"],
        report["acked"].as_u64().map_or_else(String::new, |acked| acked.to_string()),
        kinds.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_of_the_fuzzer_sums_its_targets_and_becomes_a_row() {
        let lines = r#"{"target":"tokens","executions":7,"outcomes":2,"failed":true}
{"target":"cursors","executions":5,"outcomes":1,"failed":false}
"#;
        let report = fuzz_report(30, lines).expect("a report");
        assert_eq!([&report["operations"], &report["violations"]], [12, 1]);

        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("fuzz.json");
        fs::write(&path, report.to_string()).expect("written");
        let row = row("fuzz", &path).expect("a row").expect("a run");
        assert_eq!(row, "| `make fuzz SECONDS=30` | 12 |  | cursors 5, tokens 7 | 1 |");
    }
}
