//! A backup that is taken while others write, and the store that it becomes.

use std::{fs::File, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use posthorn_store::{StoreError, embedded::restore};

use crate::{
    child::{self, Until},
    history::History,
    order::Order,
    run::Run,
};

pub fn backup(run: &mut Run<'_>, data: &Path, history: &mut History) -> Result<()> {
    let file = run.dir.join("backup");
    let order = Order { backup: Some(file.clone()), ..run.order(data) };
    let until = Until {
        acks: run.draw.below(400),
        time: Duration::from_millis(run.draw.below(400)),
        once_open: true,
        saved: true,
    };
    child::write_and_kill(&order, until, &run.log(), history)?;
    run.tally.fault("backup_under_load");
    let before = history.at_backup.take().context("the writer said when it began")?;
    // What it was a backup of first: it goes on as if nothing had been.
    let source = run.look(&order)?;
    let wrong = history.judge(&source);
    ensure!(wrong.is_empty(), "after a backup and a kill: {}", wrong.join("\n"));
    history.learn(&source);
    let target = run.memory.join("restored");
    bent(run, &file, &target)?;
    let restored = restore(File::open(&file)?, &target)?;
    ensure!(restored.generation > source.generation, "generation {} again", restored.generation);
    let seen = run.look(&Order { dir: target.clone(), ..order })?;
    let mut wrong = before.judge(&seen);
    ensure!(seen.generation == restored.generation, "generation {} and not {:?}", seen.generation, restored);
    for (name, log) in seen.logs.iter().filter(|(name, _)| *name != crate::payload::PROBE) {
        let whole = source.logs.get(name).map_or(&[][..], Vec::as_slice);
        if !whole.starts_with(log) {
            wrong.push(format!("{name}: what was restored is not a beginning of what was there"));
        }
    }
    ensure!(wrong.is_empty(), "after a restore: {}", wrong.join("\n"));
    Ok(std::fs::remove_dir_all(&target)?)
}

/// A backup with damage becomes no store, and leaves the directory for the next one.
fn bent(run: &mut Run<'_>, file: &Path, target: &Path) -> Result<()> {
    let mut bytes = std::fs::read(file)?;
    let at = run.draw.below(bytes.len() as u64) as usize;
    if run.draw.below(2) == 0 {
        bytes.truncate(at);
    } else {
        bytes[at] ^= 1 << run.draw.below(8);
    }
    run.tally.fault("backup_damaged");
    match restore(&bytes[..], target) {
        Err(StoreError::Damaged(_) | StoreError::Unavailable(_)) => {
            run.tally.refused("backup_damaged");
            Ok(())
        }
        other => anyhow::bail!("a backup damaged at {at} gave {other:?}"),
    }
}
