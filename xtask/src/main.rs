//! Repository tasks: `cargo xtask help`.
#![expect(clippy::disallowed_methods, reason = "a tool on a real machine: no simulation runs it")]

mod generated;
mod lint;
mod peers;
mod process;
mod proof;
mod report;
mod sbom;
mod server;
mod setup;
mod smoke;
mod soak;
mod test;
mod tidy;
mod tree;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Result, bail};

const HELP: &str = "\
Tasks of this repository: `cargo xtask TASK`

  test [--skip STEP]...  install what the tests need, run all of them (`make test`)
  faults [NAMES]         faults of a cluster on real engines, all or those named (`make faults`)
  chaos MINUTES [SEED]   faults of a cluster drawn from a seed, for so long (`make chaos`)
  lint                   every check that is not a test, then what building and testing took
  tidy                   the rules of the house that no other tool knows
  codegen [--check]      code from proto/; docs/errors.md and clients/web/js/codes.js from the table of codes
  docs [--check]         the pages made from code, and the API documentation in target/doc
  sim [ARG]...           the deterministic simulation
  peers [EXAMPLES]       the server as others' clients see it, at length (`make peers`)
  crash [ARG]...         the embedded store killed, cut off and damaged (`make crash`)
  fuzz SECONDS           each decoder under damaged input for so long (`make fuzz`)
  soak HOURS [FROM]      sim, crash, fuzz and chaos in turns, until one finds something (`make soak`)
  bench [ARG]...         durable sends a second, at the store and through WebSockets
  sbom                   target/sbom.cdx.json: what the binary is made of, as CycloneDX 1.6
  figures                docs/reliability.md gets the figures of the last sim, chaos, crash and fuzz of this folder
  help                   this text

Steps that may be skipped: browser, chaos, cluster, peers, sim, replay.
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True where the task found nothing wrong.
fn run(words: &[&str]) -> Result<bool> {
    let root = root();
    match words {
        ["test", skipped @ ..] => test::run(&root, &skips(skipped)?),
        ["faults"] => test::faults(&root, "all"),
        ["faults", which] => test::faults(&root, which),
        ["chaos", minutes] => proof::chaos(&root, minutes, ""),
        ["chaos", minutes, seed] => proof::chaos(&root, minutes, seed),
        ["lint"] => lint::run(&root),
        ["sim", rest @ ..] => proof::sim(&root, rest),
        ["crash", rest @ ..] => proof::crash(&root, rest),
        ["fuzz", seconds] => proof::fuzz(&root, seconds),
        ["soak", hours] => soak::run(&root, hours, ""),
        ["soak", hours, from] => soak::run(&root, hours, from),
        ["figures"] => proof::figures(&root),
        ["peers"] => peers::long(&root, peers::MANY_EXAMPLES),
        ["peers", examples] => peers::long(&root, examples),
        ["bench", rest @ ..] => pass(&root, &["--package", "posthorn"], &[&["bench"], rest].concat()),
        ["sbom"] => sbom::run(&root),
        ["tidy"] => tidy::run(&root),
        ["codegen"] => generated::code(&root, false),
        ["codegen", "--check"] => generated::code(&root, true),
        ["docs"] => generated::pages(&root, false),
        ["docs", "--check"] => generated::pages(&root, true),
        ["help" | "--help" | "-h"] | [] => {
            print!("{HELP}");
            Ok(true)
        }
        other => bail!("no task `{}`; see `cargo xtask help`", other.join(" ")),
    }
}

/// The steps named by `--skip`.
fn skips<'a>(words: &[&'a str]) -> Result<Vec<&'a str>> {
    words
        .chunks(2)
        .map(|pair| match *pair {
            ["--skip", step @ ("browser" | "chaos" | "cluster" | "peers" | "sim" | "replay")] => Ok(step),
            _ => bail!("expected --skip browser|chaos|cluster|peers|sim|replay, not `{}`", pair.join(" ")),
        })
        .collect()
}

/// Builds a program for release and hands the arguments on to it.
fn pass(dir: &Path, which: &[&str], args: &[&str]) -> Result<bool> {
    let mut cargo = test::cargo(dir, "run");
    cargo.arg("--release").args(which).arg("--").args(args);
    Ok(cargo.status()?.success())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}
