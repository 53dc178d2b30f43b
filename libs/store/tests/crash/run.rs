//! One run: everything that one seed does to one store.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use posthorn_clock::Clock;

use crate::{
    child::{self, Until},
    damage,
    disk::Disk,
    drill,
    history::History,
    looker::Seen,
    order::Order,
    tally::Tally,
};

pub struct Run<'a> {
    pub seed: u64,
    /// A directory of its own, on a disk.
    pub dir: &'a Path,
    /// Another one, in memory: for copies that nothing has to outlive.
    pub memory: &'a Path,
    pub disk: Option<&'a Disk>,
    pub draw: Clock,
    pub tally: &'a mut Tally,
    /// Writers and lookers so far: no incarnation is used twice.
    pub children: u64,
    memtable_bytes: u64,
    conversations: u64,
    /// See [`Order::too_early`].
    pub too_early: bool,
}

impl<'a> Run<'a> {
    pub fn new(seed: u64, [dir, memory]: [&'a Path; 2], disk: Option<&'a Disk>, tally: &'a mut Tally) -> Self {
        let draw = Clock::simulated(seed, 0);
        let memtable_bytes = [64 << 10, 64 << 10, 256 << 10, 2 << 20][draw.below(4) as usize];
        let conversations = 1 + draw.below(12);
        Self { seed, dir, memory, disk, draw, tally, children: 0, memtable_bytes, conversations, too_early: false }
    }

    /// An error is a violation.
    pub fn go(&mut self) -> Result<()> {
        let (data, mut history) = (self.dir.join("data"), History::default());
        for _ in 0..3 + self.draw.below(3) {
            self.round(&data, &mut history)?;
        }
        if self.draw.below(2) == 0 {
            drill::backup(self, &data, &mut history)?;
        }
        self.count(&history);
        if let Some(disk) = self.disk {
            let (data, mut history) = (disk.path().join(format!("seed-{}", self.seed)), History::default());
            for _ in 0..2 {
                self.power_cut(disk, &data, &mut history)?;
            }
            self.count(&history);
            fs::remove_dir_all(&data)?;
        }
        Ok(())
    }

    fn count(&mut self, history: &History) {
        self.tally.operations += history.begun;
        self.tally.acked += history.acked;
    }

    pub fn order(&mut self, dir: &Path) -> Order {
        self.children += 1;
        Order {
            dir: dir.to_owned(),
            seed: self.draw.random(),
            memtable_bytes: self.memtable_bytes,
            conversations: self.conversations,
            instance: format!("writer-{}", self.children),
            too_early: self.too_early,
            backup: None,
        }
    }

    pub fn log(&self) -> PathBuf {
        self.dir.join("child.log")
    }

    /// Sometimes while it still opens, else after some acknowledgements.
    fn until(&self) -> Until {
        let (acks, time, once_open) = match self.draw.below(8) {
            0 => (u64::MAX, self.draw.below(80), false),
            1 => (u64::MAX, 20 + self.draw.below(300), true),
            _ => (1 + self.draw.below(200), 1_000, true),
        };
        Until { acks, time: Duration::from_millis(time), once_open, saved: false }
    }

    fn round(&mut self, data: &Path, history: &mut History) -> Result<()> {
        let order = self.order(data);
        let opened = child::write_and_kill(&order, self.until(), &self.log(), history)?;
        self.tally.fault(if opened { "kill" } else { "kill_while_opening" });
        for _ in 0..self.draw.below(4) {
            self.damage_synced(&order, history)?;
        }
        match self.draw.below(6) {
            // The next one opens what this one left.
            0 => return Ok(()),
            1..4 if data.join("db").exists() => {
                let kind = damage::behind(&self.draw, data, history)?;
                self.tally.fault(kind);
                self.shows_all(&order, history).with_context(|| format!("after {kind}"))?;
            }
            _ => self.shows_all(&order, history).context("after a kill")?,
        }
        Ok(())
    }

    /// The store opens, and nothing is missing.
    fn shows_all(&mut self, order: &Order, history: &mut History) -> Result<()> {
        let seen = self.look(order)?;
        let wrong = history.judge(&seen);
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        history.learn(&seen);
        Ok(())
    }

    pub fn look(&mut self, order: &Order) -> Result<Seen> {
        self.tally.histories_checked += 1;
        child::look(order, &self.log())
    }

    /// In a copy: the store goes on with all that was acknowledged, or does not open and says why.
    fn damage_synced(&mut self, order: &Order, history: &History) -> Result<()> {
        let copy = self.memory.join("damaged");
        if !order.dir.join("db").exists() {
            return Ok(());
        }
        copy_dir(&order.dir, &copy)?;
        let kind = damage::synced(&self.draw, &copy, history)?;
        self.tally.fault(kind);
        let look = |run: &mut Self| -> Result<()> {
            let seen = run.look(&Order { dir: copy.clone(), ..order.clone() })?;
            match &seen.refused {
                Some(why) if why.starts_with("damaged: ") => {
                    run.tally.refused(kind);
                    run.last_resort(&Order { dir: copy.clone(), ..order.clone() }, history)?;
                }
                Some(why) => bail!("it is refused without being called damaged: {why}"),
                None => {
                    let wrong = history.judge(&seen);
                    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
                }
            }
            Ok(())
        };
        look(self).with_context(|| format!("after {kind}"))?;
        Ok(fs::remove_dir_all(&copy)?)
    }

    /// What the documentation leaves to somebody without a backup: it opens, unless an older journal was hit.
    fn last_resort(&mut self, order: &Order, history: &History) -> Result<()> {
        let path = order.dir.join("GENERATION");
        // A writer that was killed while it made the store may not have got to it.
        let generation: u64 = fs::read_to_string(&path).unwrap_or_default().trim().parse().unwrap_or(1);
        fs::write(path, format!("{}\n", generation + 1))?;
        let seen = self.look(order)?;
        match seen.refused {
            None => {
                ensure!(seen.generation > history.generation().max(generation), "generation {} again", seen.generation);
                self.tally.opened_by_hand += 1;
            }
            Some(why) => ensure!(why.starts_with("damaged: "), "it is refused without being called damaged: {why}"),
        }
        Ok(())
    }

    fn power_cut(&mut self, disk: &Disk, data: &Path, history: &mut History) -> Result<()> {
        let order = self.order(data);
        child::write_and_kill(&order, self.until(), &self.log(), history)?;
        let (mounted, image) = disk.cut(self.dir)?;
        self.tally.fault("power_cut");
        let found = mounted.path().join(data.file_name().context("named")?);
        let seen = self.look(&Order { dir: found, ..order })?;
        let wrong = history.judge(&seen);
        ensure!(wrong.is_empty(), "after a power cut: {}", wrong.join("\n"));
        drop(mounted);
        Ok(fs::remove_file(image)?)
    }
}

/// Journals are files with large holes.
pub fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    let copied = Command::new("cp").args(["-r", "--sparse=always"]).arg(from).arg(to).status()?;
    ensure!(copied.success(), "cp: {copied}");
    Ok(())
}
