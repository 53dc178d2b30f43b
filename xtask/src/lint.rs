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
    program(root, &mut report, "fmt", &mut fmt(root, "Cargo.toml"))?;
    own(&mut report, "tidy", || tidy::run(root));
    generated(root, &mut report)?;
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

/// Drift of what is generated, by programs of this very tree: without them it is not known.
fn generated(root: &Path, report: &mut Report) -> Result<()> {
    // What `test` built; a no-op after it.
    let mut build = cargo(root, "build");
    build.args(["--workspace", "--all-targets"]);
    if !program(root, report, "build of the generators", &mut build)? {
        return Ok(());
    }
    let mut codegen = Command::new(built(root, "posthorn-codegen"));
    program(root, report, "generated code and docs", codegen.arg(root).arg("--check"))?;
    let mut posthorn = Command::new(built(root, "posthorn"));
    posthorn.args(["config", "docs", "--check", "--root"]).arg(root);
    program(root, report, "pages of the configuration", &mut posthorn)?;
    Ok(())
}

fn fmt(root: &Path, manifest: &str) -> Command {
    let mut fmt = Command::new("cargo");
    fmt.args(["fmt", "--all", "--manifest-path", manifest, "--", "--check", "--color", "never"]).current_dir(root);
    fmt
}

/// `sim/` is a workspace of its own.
fn simulation(root: &Path, report: &mut Report) -> Result<()> {
    if !root.join("sim/Cargo.toml").exists() {
        return Ok(());
    }
    let sim = ["--manifest-path", "sim/Cargo.toml"];
    program(root, report, "fmt of the simulation", &mut fmt(root, sim[1]))?;
    let mut clippy = cargo(root, "clippy");
    clippy.args(sim).arg("--target-dir").arg(target_dir(root));
    program(root, report, "clippy of the simulation", clippy.args(["--all-targets", "--", "--deny", "warnings"]))?;
    Ok(())
}

/// Licences, bans and sources. No advisories: they would be fetched on every run.
fn dependencies(root: &Path, report: &mut Report) -> Result<()> {
    let started = Instant::now();
    let program_path = setup::deny(root);
    let (ok, seconds) = (program_path.is_ok(), started.elapsed().as_secs_f64());
    report.add(Entry { name: "cargo-deny".to_owned(), kind: Kind::Setup, ok, seconds, passed: 0, failed: 0 });
    match program_path {
        Ok(path) => {
            let trees = [("Cargo.toml", ""), ("sim/Cargo.toml", " of the simulation")];
            for (manifest, whose) in trees.into_iter().filter(|(manifest, _)| root.join(manifest).exists()) {
                let mut deny = Command::new(&path);
                deny.args(["--config", "deny.toml", "--manifest-path", manifest, "--locked", "check"])
                    .current_dir(root);
                deny.args(["--hide-inclusion-graph", "bans", "licenses", "sources"]);
                program(root, report, &format!("licences, bans, sources{whose}"), &mut deny)?;
            }
        }
        Err(error) => println!("    {error:#}"),
    }
    Ok(())
}

/// Whether the program succeeded, which the report says too.
fn program(root: &Path, report: &mut Report, name: &str, command: &mut Command) -> Result<bool> {
    let outcome = Step::quiet(name, CHECK_LIMIT).run(root, command)?;
    let (ok, seconds) = (outcome.ok, outcome.seconds);
    report.add(Entry { name: name.to_owned(), kind: Kind::Check, ok, seconds, passed: 0, failed: 0 });
    Ok(ok)
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
