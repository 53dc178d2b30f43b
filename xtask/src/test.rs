//! `make test`: installs what the tests need, builds once, and runs all of them.

use std::{path::Path, process::Command, time::Duration, time::Instant};

use anyhow::Result;

use crate::{
    generated::{built, target_dir},
    peers,
    process::Step,
    proof,
    report::{Entry, Kind, Report, counts},
    setup, smoke,
};

/// A cold build on two cores; the rest are several times what the slowest machine took.
const BUILD_LIMIT: Duration = Duration::from_secs(40 * 60);
const TEST_LIMIT: Duration = Duration::from_secs(15 * 60);
/// Tests that start a cluster have this in their names: they want the machine for themselves.
const APART: &str = "on_a_cluster";
const CLUSTER_LIMIT: Duration = Duration::from_secs(90 * 60);
/// Of every change: the same faults, in the same order. `make chaos` draws others.
const CHAOS_MINUTES: &str = "5";
const CHAOS_SEED: &str = "7";
/// Beyond those: a cluster that starts, people who say the rest, and what is looked at afterwards.
const CHAOS_LIMIT: Duration = Duration::from_secs(25 * 60);
const BROWSER_LIMIT: Duration = Duration::from_secs(5 * 60);

/// Runs every step but those skipped, in an order in which each uses what the one before built.
///
/// # Errors
/// A step cannot be started, or its report cannot be written.
pub fn run(root: &Path, skipped: &[&str]) -> Result<bool> {
    // An older report must not stand in for this one if it ends early.
    Report::forget(root);
    let mut report = Report::default();
    let built_all = build(root, &mut report)?;
    if built_all {
        let flags = ["--workspace", "--lib", "--bins", "--tests", "--no-fail-fast", "--", "--skip", APART];
        tests(root, &mut report, "unit and scenario tests", TEST_LIMIT, cargo(root, "test").args(flags))?;
        if !skipped.contains(&"cluster") {
            cluster(root, &mut report, &[])?;
        }
        if !skipped.contains(&"chaos") {
            let mut command = proof::chaos_of(root, CHAOS_MINUTES, CHAOS_SEED);
            tests(root, &mut report, "chaos", CHAOS_LIMIT, &mut command)?;
        }
        let flags = ["--workspace", "--doc", "--no-fail-fast"];
        tests(root, &mut report, "doc tests", TEST_LIMIT, cargo(root, "test").args(flags))?;
        if !skipped.contains(&"browser") {
            browser(root, &mut report)?;
        }
        if !skipped.contains(&"peers") {
            peers::run(root, &built(root, "posthorn"), &mut report)?;
        }
        if !skipped.contains(&"replay") {
            smoke::run(root, &built(root, "posthorn"), &mut report)?;
        }
    }
    if !skipped.contains(&"sim") && root.join("sim/Cargo.toml").exists() {
        simulation(root, &mut report)?;
    }
    report.save(root)?;
    report.print_end();
    Ok(report.ok())
}

/// Every target of the workspace at once: the test programs, and the binary that other steps run.
pub fn build(root: &Path, report: &mut Report) -> Result<bool> {
    let step = Step { name: "build", limit: BUILD_LIMIT, echo: is_error, sweep: true };
    let outcome = step.run(root, cargo(root, "build").args(["--workspace", "--all-targets"]))?;
    let (ok, seconds) = (outcome.ok, outcome.seconds);
    report.add(Entry { name: "build".to_owned(), kind: Kind::Build, ok, seconds, passed: 0, failed: 0 });
    Ok(ok)
}

/// One step of tests; its numbers are those its program prints.
fn tests(root: &Path, report: &mut Report, name: &str, limit: Duration, command: &mut Command) -> Result<()> {
    let outcome = Step { name, limit, echo: is_outcome, sweep: true }.run(root, command)?;
    let (passed, failed) = counts(&outcome.lines);
    let (ok, seconds) = (outcome.ok && failed == 0, outcome.seconds);
    report.add(Entry { name: name.to_owned(), kind: Kind::Test, ok, seconds, passed, failed });
    Ok(())
}

/// Scenarios and faults, told to processes on real engines.
fn cluster(root: &Path, report: &mut Report, environment: &[(&str, &str)]) -> Result<()> {
    let mut command = cargo(root, "test");
    command.args([
        "--workspace",
        "--test",
        "all",
        "--test",
        "faults",
        "--no-fail-fast",
        "--",
        "--nocapture",
        "--test-threads=1",
    ]);
    command.arg(APART).envs(environment.iter().copied());
    tests(root, report, "on a cluster", CLUSTER_LIMIT, &mut command)
}

/// `make faults`: every fault of the cluster, or those named with commas between them.
///
/// # Errors
/// A step cannot be started, or its report cannot be written.
pub fn faults(root: &Path, which: &str) -> Result<bool> {
    let mut report = Report::default();
    if build(root, &mut report)? {
        cluster(root, &mut report, &[("POSTHORN_FAULTS", which)])?;
    }
    report.print_end();
    Ok(report.ok())
}

fn browser(root: &Path, report: &mut Report) -> Result<()> {
    let started = Instant::now();
    let ready = setup::browser(root);
    let (ok, seconds) = (ready.is_ok(), started.elapsed().as_secs_f64());
    let name = "what the browser test needs".to_owned();
    report.add(Entry { name, kind: Kind::Setup, ok, seconds, passed: 0, failed: 0 });
    let chromium = match ready {
        Ok(path) => path,
        Err(error) => {
            println!("    {error:#}");
            return Ok(());
        }
    };
    let mut node = Command::new("node");
    node.arg("tests/browser/page.test.mjs").current_dir(root);
    node.arg("--chromium").arg(chromium);
    node.arg("--binary").arg(built(root, "posthorn"));
    node.arg("--screenshots").arg(root.join("target/xtask/screenshots"));
    tests(root, report, "browser", BROWSER_LIMIT, &mut node)
}

/// `sim/` is a workspace of its own. It shares the folder of builds, so that what both need in the same
/// form is built once.
fn simulation(root: &Path, report: &mut Report) -> Result<()> {
    let target = target_dir(root);
    // From its own directory: cargo reads the flags that make simulated time possible there.
    let sim = root.join("sim");
    let name = "simulation build";
    let mut build = cargo(&sim, "test");
    build.args(["--no-run", "--target-dir"]).arg(&target);
    let outcome = Step { name, limit: BUILD_LIMIT, echo: is_error, sweep: true }.run(root, &mut build)?;
    let (ok, seconds) = (outcome.ok, outcome.seconds);
    report.add(Entry { name: name.to_owned(), kind: Kind::Build, ok, seconds, passed: 0, failed: 0 });
    if !ok {
        return Ok(());
    }
    let mut run = cargo(&sim, "test");
    run.args(["--no-fail-fast", "--target-dir"]).arg(&target);
    tests(root, report, "simulation", TEST_LIMIT, &mut run)
}

pub fn cargo(root: &Path, task: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.arg(task).arg("--locked").current_dir(root);
    cargo
}

fn is_error(line: &str) -> bool {
    line.starts_with("error")
}

/// A failure, or what became of one fault of a cluster.
fn is_outcome(line: &str) -> bool {
    is_failure(line) || line.contains(" deliveries, ") || line.contains(" FAILED ")
}

fn is_failure(line: &str) -> bool {
    is_error(line) || line.ends_with("... FAILED") || line.contains(" panicked at ")
}
