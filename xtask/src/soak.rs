//! `make soak HOURS=n`: the long searches in turns, each turn from other seeds, until the time is over or one of them
//! finds something. Every turn adds its lines to target/xtask/soak.jsonl.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::proof;

/// Of each turn.
const SEEDS: u64 = 500;
const CRASHES: u64 = 100;
const FUZZ_SECONDS: &str = "30";
const CHAOS_MINUTES: u64 = 30;

/// `from`: the first seed; empty: one of this hour, so that no two nights look at the same.
///
/// # Errors
/// The hours are no number, or a search cannot be started.
pub fn run(root: &Path, hours: &str, from: &str) -> Result<bool> {
    let hours: f64 = hours.parse().with_context(|| format!("a number of hours was expected, not `{hours}`"))?;
    ensure!(hours > 0.0 && hours <= 24.0 * 365.0, "between 0 and 8,760 hours, not {hours}");
    let mut first = match from {
        "" => 10_000 + SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / 3_600 % 100_000 * SEEDS,
        from => from.parse().with_context(|| format!("a seed was expected, not `{from}`"))?,
    };
    let until = Instant::now() + Duration::from_secs_f64(hours * 3_600.0);
    let path = proof::kept(root, "soak").with_extension("jsonl");
    println!("soak: {hours} hours from seed {first}, into {}", path.display());
    loop {
        for (name, size) in [("sim", SEEDS), ("crash", CRASHES), ("fuzz", 0), ("chaos", CHAOS_MINUTES)] {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(true);
            }
            println!("soak: {name} from {first}, {} minutes are left", left.as_secs() / 60);
            let (seed, many) = (first.to_string(), size.to_string());
            let good = match name {
                "sim" => proof::sim(root, &["--seeds", &many, "--from", &seed])?,
                "crash" => proof::crash(root, &["--runs", &many, "--from", &seed])?,
                "fuzz" => proof::fuzz(root, FUZZ_SECONDS)?,
                _ => proof::chaos(root, &(left.as_secs() / 60).clamp(1, size).to_string(), &seed)?,
            };
            tell(root, name, first, &path)?;
            if !good {
                println!("soak: {name} from {first} found something; {}", path.display());
                return Ok(false);
            }
        }
        first += SEEDS;
    }
}

/// What a search reported, behind what is there.
fn tell(root: &Path, name: &str, first: u64, path: &Path) -> Result<()> {
    let report = fs::read_to_string(proof::kept(root, name)).unwrap_or_default();
    let report: Value = serde_json::from_str(&report).unwrap_or(Value::Null);
    let line = json!({"command": name, "from": first, "report": report});
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    Ok(file.write_all(format!("{line}\n").as_bytes())?)
}
