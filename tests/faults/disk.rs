//! A disk of the cluster's own, which can be full, or hang: a file system in a file. Only root can have one; the
//! faults of disks are not made elsewhere.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use posthorn_clock::{Instant, sleep};
use tempfile::TempDir;

/// Room for what JetStream reserves, and for Cassandra. The file takes what is written.
const BYTES: u64 = 12 * 1024 * 1024 * 1024;
/// How long it hangs at once, and how long it works between.
const HANGS: Duration = Duration::from_millis(300);

/// Waits for the end of its input, which the test holds open, then takes the disk away: also where the test is
/// killed. What still writes there has lost its cluster, too.
const GUARD: &str = r#"trap "" INT TERM HUP
read -r _
umount --lazy "$1"
rm -rf -- "$2""#;

pub struct Disk {
    folder: TempDir,
    /// Where it is a disk of its own.
    guard: Option<Child>,
}

impl Disk {
    pub fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("posthorn-disk-").tempdir()?;
        let (image, place) = (folder.path().join("image"), folder.path().join("disk"));
        fs::create_dir(&place)?;
        File::create(&image)?.set_len(BYTES)?;
        let made = did("mkfs.ext4", &["-q", "-m", "0"], &[&image]);
        let guard = made.and_then(|()| did("mount", &["-o", "loop"], &[&image, &place])).and_then(|()| {
            let mut guard = Command::new("sh");
            guard.args(["-c", GUARD, "sh"]).args([place.as_path(), folder.path()]).stdin(Stdio::piped());
            guard.process_group(0).spawn().context("cannot guard the disk")
        });
        if let Err(error) = &guard {
            println!("no disk can be full or hang here: {error:#}");
        }
        Ok(Self { folder, guard: guard.ok() })
    }

    /// Where the cluster is.
    pub fn place(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    pub fn is_own(&self) -> bool {
        self.guard.is_some()
    }

    fn filler(&self) -> PathBuf {
        self.place().join("filler")
    }

    /// Not a byte is left.
    pub fn fill(&self) -> Result<()> {
        ensure!(self.is_own(), "it is not a disk of its own");
        let file = File::create(self.filler())?;
        // In steps that get smaller: what others free meanwhile is taken, too.
        let mut end = 0;
        for step in [1 << 30, 1 << 24, 1 << 20, 1 << 12] {
            while rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), end, step).is_ok() {
                end += step;
            }
        }
        Ok(())
    }

    pub fn free(&self) -> Result<()> {
        fs::remove_file(self.filler()).context("the disk cannot be freed")
    }

    /// Every write hangs, again and again.
    pub async fn hang_for(&self, time: Duration) -> Result<()> {
        ensure!(self.is_own(), "it is not a disk of its own");
        let end = Instant::now() + time;
        while Instant::now() < end {
            // One process that ends by itself: the disk works again also if this one is killed.
            let script = format!("fsfreeze -f \"$1\" && sleep {} ; fsfreeze -u \"$1\"", HANGS.as_secs_f64());
            let mut hang = tokio::process::Command::new("sh");
            let hung = hang.args(["-c", &script, "sh"]).arg(self.place()).status().await?;
            ensure!(hung.success(), "the disk cannot be made to hang: {hung}");
            sleep(HANGS).await;
        }
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            drop(guard.stdin.take());
            let _ = guard.wait();
        }
    }
}

fn did(program: &str, arguments: &[&str], paths: &[&PathBuf]) -> Result<()> {
    let output = Command::new(program).args(arguments).args(paths).output();
    let output = output.with_context(|| format!("{program} cannot be started"))?;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    Ok(())
}
