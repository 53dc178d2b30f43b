//! Every check that is not a test. All of them run, also after a failure.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::{
    generated::{built, target_dir},
    process::Step,
    report::{Entry, Kind, Report},
    setup,
    test::cargo,
    tidy,
};

const CHECK_LIMIT: Duration = Duration::from_secs(25 * 60);

/// Prints a line for each check, then what building and testing took, the last `test` included.
///
/// # Errors
/// A check cannot be started.
pub fn run(root: &Path) -> Result<bool> {
    let mut report = Report::load(root);
    let before = report.failed().len();
    let mut fmt = Command::new("cargo");
    program(root, &mut report, "fmt", fmt.args(["fmt", "--all", "--check"]).current_dir(root))?;
    own(&mut report, "tidy", || tidy::run(root));
    program(root, &mut report, "build of the generators", &mut all_targets(root))?;
    let mut codegen = Command::new(built(root, "posthorn-codegen"));
    program(root, &mut report, "generated code and docs", codegen.arg(root).arg("--check"))?;
    let mut posthorn = Command::new(built(root, "posthorn"));
    posthorn.args(["config", "docs", "--check", "--root"]).arg(root);
    program(root, &mut report, "pages of the configuration", &mut posthorn)?;
    let clippy = ["--workspace", "--all-targets", "--", "--deny", "warnings"];
    program(root, &mut report, "clippy", cargo(root, "clippy").args(clippy))?;
    let mut doc = cargo(root, "doc");
    program(
        root,
        &mut report,
        "docs of the crates",
        doc.args(["--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    simulation(root, &mut report)?;
    dependencies(root, &mut report)?;
    report.print_end();
    Ok(report.failed().len() == before)
}

/// What `test` built; a no-op after it.
fn all_targets(root: &Path) -> Command {
    let mut build = cargo(root, "build");
    build.args(["--workspace", "--all-targets"]);
    build
}

/// `sim/` is a workspace of its own.
fn simulation(root: &Path, report: &mut Report) -> Result<()> {
    if !root.join("sim/Cargo.toml").exists() {
        return Ok(());
    }
    let sim = ["--manifest-path", "sim/Cargo.toml"];
    let mut fmt = Command::new("cargo");
    program(root, report, "fmt of the simulation", fmt.args(["fmt", "--all", "--check"]).args(sim).current_dir(root))?;
    let mut clippy = cargo(root, "clippy");
    clippy.args(sim).arg("--target-dir").arg(target_dir(root));
    program(root, report, "clippy of the simulation", clippy.args(["--all-targets", "--", "--deny", "warnings"]))
}

/// Licences, bans and sources; nothing that would ask the network.
fn dependencies(root: &Path, report: &mut Report) -> Result<()> {
    let started = Instant::now();
    let program_path = setup::deny(root);
    let (ok, seconds) = (program_path.is_ok(), started.elapsed().as_secs_f64());
    report.add(Entry { name: "cargo-deny".to_owned(), kind: Kind::Setup, ok, seconds, passed: 0, failed: 0 });
    match program_path {
        Ok(path) => {
            let mut deny = Command::new(path);
            deny.args(["--locked", "--offline", "check", "bans", "licenses", "sources"]).current_dir(root);
            program(root, report, "licences, bans, sources", &mut deny)
        }
        Err(error) => {
            println!("    {error:#}");
            Ok(())
        }
    }
}

fn program(root: &Path, report: &mut Report, name: &str, command: &mut Command) -> Result<()> {
    let outcome = Step::quiet(name, CHECK_LIMIT).run(root, command)?;
    let (ok, seconds) = (outcome.ok, outcome.seconds);
    report.add(Entry { name: name.to_owned(), kind: Kind::Check, ok, seconds, passed: 0, failed: 0 });
    Ok(())
}

/// A check that is code of this crate.
fn own(report: &mut Report, name: &str, check: impl FnOnce() -> Result<bool>) {
    let started = Instant::now();
    let ok = check().unwrap_or_else(|error| {
        println!("    {error:#}");
        false
    });
    let seconds = started.elapsed().as_secs_f64();
    report.add(Entry { name: name.to_owned(), kind: Kind::Check, ok, seconds, passed: 0, failed: 0 });
}
