//! Writes what is generated and committed: `libs/proto/src/generated` from `proto/`, and
//! `docs/errors.md` and the web client's constants from the table of error codes.
//!
//! `posthorn-codegen ROOT [proto|errors] [--check]`: without a part, all of them; with `--check`
//! nothing is written and what is out of date is named. A crate of its own, since it needs some
//! seventy crates that `xtask` can then do without.

mod errors;
mod proto;

use std::{collections::BTreeMap, fs, path::Path, process::ExitCode};

use anyhow::{Context, Result, bail};

/// Paths below the root and the text that belongs there.
type Fresh = BTreeMap<String, String>;

fn main() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let check = args.iter().any(|arg| arg == "--check");
    let words: Vec<&str> = args.iter().map(String::as_str).filter(|arg| *arg != "--check").collect();
    let (root, part) = match words[..] {
        [root] => (root, "all"),
        [root, part] => (root, part),
        _ => bail!("usage: posthorn-codegen ROOT [proto|errors] [--check]"),
    };
    let root = Path::new(root);
    let mut fresh = Fresh::new();
    if matches!(part, "all" | "proto") {
        fresh.extend(proto::generate(root)?);
    }
    if matches!(part, "all" | "errors") {
        fresh.extend(errors::generate());
    }
    if fresh.is_empty() {
        bail!("{part}: neither proto nor errors");
    }
    Ok(if check { compare(root, &fresh) } else { write(root, &fresh)? })
}

fn write(root: &Path, fresh: &Fresh) -> Result<ExitCode> {
    for (name, text) in fresh {
        let path = root.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, text).with_context(|| name.clone())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn compare(root: &Path, fresh: &Fresh) -> ExitCode {
    let mut stale = 0;
    for (name, text) in fresh {
        if fs::read_to_string(root.join(name)).unwrap_or_default() != *text {
            eprintln!("{name} is out of date: run `cargo xtask codegen`");
            stale += 1;
        }
    }
    ExitCode::from(u8::from(stale > 0))
}
