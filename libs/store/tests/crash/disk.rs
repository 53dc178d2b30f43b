//! A disk whose power is cut: ext4 on a file, which is copied while the file system is mounted. What was not
//! synced has not reached the file, and so is not in the copy.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

const IMAGE_BYTES: u64 = 192 << 20;
const COPY_TRIES: u32 = 20;
const UNMOUNT_TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

fn tool(name: &str, args: &[&str], paths: &[&Path]) -> Result<()> {
    let output = Command::new(name).args(args).args(paths).output().with_context(|| name.to_owned())?;
    ensure!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

pub fn pause(time: Duration) {
    let (_never, waits) = std::sync::mpsc::channel::<()>();
    let _ = waits.recv_timeout(time);
}

/// A mounted image; unmounted, and its directory removed, when it is dropped.
pub struct Mounted(PathBuf);

impl Mounted {
    fn new(image: &Path, at: PathBuf) -> Result<Self> {
        fs::create_dir_all(&at)?;
        tool("mount", &["-t", "ext4", "-o", "loop,noatime,discard"], &[image, &at])?;
        Ok(Self(at))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        unmount(&self.0);
    }
}

fn unmount(at: &Path) {
    for _ in 0..UNMOUNT_TRIES {
        if tool("umount", &[], &[at]).is_ok() {
            let _ = fs::remove_dir(at);
            return;
        }
        pause(PAUSE);
    }
    // Whoever still holds a file keeps it until the end of the process.
    let _ = tool("umount", &["-l"], &[at]);
    let _ = fs::remove_dir(at);
}

/// Unmounts what a run that was killed left beneath `base`.
pub fn clean_up(base: &Path) {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(Path::new);
    places.filter(|place| place.starts_with(base)).for_each(unmount);
}

pub struct Disk {
    image: PathBuf,
    mounted: Mounted,
}

impl Disk {
    pub fn new(base: &Path) -> Result<Self> {
        let image = base.join("disk.img");
        fs::File::create(&image)?.set_len(IMAGE_BYTES)?;
        let lazy = "lazy_itable_init=0,lazy_journal_init=0";
        tool("mkfs.ext4", &["-q", "-F", "-J", "size=4", "-E", lazy], &[&image])?;
        let mounted = Mounted::new(&image, base.join("disk"))?;
        Ok(Self { image, mounted })
    }

    pub fn path(&self) -> &Path {
        self.mounted.path()
    }

    /// A cut of it takes what was not synced, and nothing else: or no cut would prove anything.
    pub fn loses_what_was_not_synced(&self, base: &Path) -> Result<()> {
        let [synced, only_written] = ["synced", "only-written"].map(|name| self.path().join(name));
        fs::write(&synced, "there")?;
        fs::File::open(&synced)?.sync_all()?;
        fs::File::open(self.path())?.sync_all()?;
        fs::write(&only_written, "there")?;
        let (mounted, image) = self.cut(base)?;
        let found = |name| fs::read_to_string(mounted.path().join(name)).unwrap_or_default();
        ensure!(found("synced") == "there", "a power cut took what was synced");
        ensure!(found("only-written").is_empty(), "a power cut took nothing: it proves nothing on this machine");
        drop(mounted);
        for file in [image, synced, only_written] {
            fs::remove_file(file)?;
        }
        Ok(())
    }

    /// The disk as it is found when power comes back.
    pub fn cut(&self, base: &Path) -> Result<(Mounted, PathBuf)> {
        let copy = base.join("cut.img");
        for _ in 0..COPY_TRIES {
            let before = self.writes()?;
            tool("cp", &["--sparse=always"], &[&self.image, &copy])?;
            // A copy during which something was written is of no one moment.
            if self.writes()? == before {
                return Ok((Mounted::new(&copy, base.join("cut"))?, copy));
            }
        }
        bail!("the disk never rests")
    }

    /// Writes that reached the image, and requests that are under way.
    fn writes(&self) -> Result<Vec<String>> {
        let mounts = fs::read_to_string("/proc/mounts")?;
        let here = self.path().to_str().context("a path of this test")?;
        let line = mounts.lines().find(|line| line.split(' ').nth(1) == Some(here)).context("it is mounted")?;
        let device = line.split(' ').next().and_then(|device| device.strip_prefix("/dev/")).context("a loop device")?;
        let stat = fs::read_to_string(format!("/sys/block/{device}/stat"))?;
        let fields: Vec<&str> = stat.split_whitespace().collect();
        // Documentation/block/stat.rst: sectors written, in flight, discarded, flushes.
        Ok([6, 8, 13, 15].iter().filter_map(|n| fields.get(*n)).map(|field| (*field).to_owned()).collect())
    }
}
