//! `posthorn history`: what a run recorded of its clients, held to the rules.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use posthorn_history::{Sight, check_file};

#[derive(Subcommand)]
pub enum HistoryCommand {
    /// Check a history against every rule (docs/history.md); fails if one is broken, or if the history shows too little
    Check(CheckArgs),
}

#[derive(Args)]
pub struct CheckArgs {
    /// The history, as `posthorn replay --history` and `make faults` write it
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Without any of these the history is invalid: words of docs/history.md, such as `settled,resumed`
    #[arg(long, value_name = "SIGHTS", value_delimiter = ',', default_value = "settled,whole_read")]
    expect: Vec<Sight>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub fn run(command: &HistoryCommand) -> Result<ExitCode> {
    let HistoryCommand::Check(args) = command;
    let report = check_file(&args.file, &args.expect).with_context(|| args.file.display().to_string())?;
    let text = if args.json { serde_json::to_string(&report)? + "\n" } else { report.text() };
    super::print(&text)?;
    Ok(if report.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use posthorn_history::{Item, Kind, Op, Recorder, Scope};

    use super::*;

    fn code(expect: &[Sight], read: &[(u64, &str)]) -> ExitCode {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("history.jsonl");
        let recorder = Recorder::file(&file).unwrap();
        let entries = read.iter().map(|&(seq, id)| Item::new(seq, id, 0)).collect();
        recorder.add(1, "backend", Kind::Ok, Op::Settled);
        recorder.add(2, "backend", Kind::Ok, Op::Read { conversation: "c".into(), scope: Scope::Log, entries });
        recorder.flush().unwrap();
        run(&HistoryCommand::Check(CheckArgs { file, expect: expect.to_vec(), json: true })).unwrap()
    }

    #[test]
    fn the_exit_code_is_success_for_a_good_history_alone() {
        let success = |code| format!("{code:?}") == format!("{:?}", ExitCode::SUCCESS);
        assert!(success(code(&[Sight::Settled], &[(1, ""), (2, "")])));
        assert!(!success(code(&[Sight::Settled], &[(1, ""), (3, "")])));
        assert!(!success(code(&[Sight::Crashed], &[(1, ""), (2, "")])));
    }
}
