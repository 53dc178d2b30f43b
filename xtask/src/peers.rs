//! The built server as clients see it that others wrote: schemathesis calls the HTTP API, two strict
//! libraries speak WebSocket (tests/peers).

use std::{fs, path::Path, process::Command, time::Duration, time::Instant};

use anyhow::Result;

use crate::{
    generated::built,
    process::{Step, end_leftovers},
    report::{Entry, Kind, Report, counts},
    server::Server,
    setup::{self, Peers},
    test,
};

const LIMIT: Duration = Duration::from_secs(60 * 60);
/// Requests of schemathesis to each operation, beside those that it makes of the document's limits.
const EXAMPLES: &str = "10";
pub const MANY_EXAMPLES: &str = "200";
/// Often enough for a step that waits for two of them.
const ENVIRONMENT: [(&str, &str); 1] = [("POSTHORN__EDGE__PING_INTERVAL_MS", "2000")];

/// `make peers`: many more requests, or so many.
///
/// # Errors
/// A step cannot be started.
pub fn long(root: &Path, examples: &str) -> Result<bool> {
    let mut report = Report::default();
    if test::build(root, &mut report)? {
        steps(root, &built(root, "posthorn"), examples, &mut report)?;
    }
    report.print_end();
    Ok(report.ok())
}

/// As part of `make test`.
///
/// # Errors
/// A step cannot be started.
pub fn run(root: &Path, binary: &Path, report: &mut Report) -> Result<()> {
    steps(root, binary, EXAMPLES, report)
}

fn steps(root: &Path, binary: &Path, examples: &str, report: &mut Report) -> Result<()> {
    let started = Instant::now();
    let ready = setup::peers(root);
    let (ok, seconds) = (ready.is_ok(), started.elapsed().as_secs_f64());
    report.add(Entry { name: "what the peers need".to_owned(), kind: Kind::Setup, ok, seconds, passed: 0, failed: 0 });
    let result = match ready {
        Ok(peers) => against(root, binary, &peers, examples, report),
        Err(error) => {
            println!("    {error:#}");
            return Ok(());
        }
    };
    end_leftovers();
    if let Err(error) = result {
        println!("    {error:#}");
        let name = "server of the peers".to_owned();
        report.add(Entry { name, kind: Kind::Test, ok: false, seconds: 0.0, passed: 0, failed: 1 });
    }
    Ok(())
}

fn against(root: &Path, binary: &Path, peers: &Peers, examples: &str, report: &mut Report) -> Result<()> {
    let folder = root.join("target/xtask/peers");
    let server = Server::start(binary, &folder, &ENVIRONMENT)?;
    // A file, since a command line is shown to everybody on the machine and this line has keys.
    let ready = folder.join("ready.json");
    fs::write(&ready, serde_json::to_vec(server.ready())?)?;
    let here = root.join("tests/peers");
    let script = |program: &Path, name: &str| {
        let mut command = Command::new(program);
        command.arg(here.join(name)).arg(&ready).current_dir(&folder);
        // Nothing of a checkout is written to by a test, not even Python's caches.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    };
    one(root, report, "websockets for Python", &mut script(&peers.python, "sockets.py"))?;
    one(root, report, "ws for Node", &mut script(&peers.node, "sockets.mjs"))?;
    // Last: it may revoke what the others came in with.
    one(root, report, "schemathesis", script(&peers.python, "http_api.py").arg(examples))?;
    server.stop()
}

/// It runs beside the server, so a step's sweep of leftovers would end both.
fn one(root: &Path, report: &mut Report, name: &str, command: &mut Command) -> Result<()> {
    let echo = |line: &str| line.starts_with("FAILED") || line.contains(" cases, ");
    let outcome = Step { name, limit: LIMIT, echo, sweep: false }.run(root, command)?;
    let (passed, failed) = counts(&outcome.lines);
    let (ok, seconds) = (outcome.ok && failed == 0, outcome.seconds);
    report.add(Entry { name: name.to_owned(), kind: Kind::Test, ok, seconds, passed, failed });
    Ok(())
}
