//! A disk that is full, for real: a small file system in memory.

use std::{fs, path::PathBuf, process::Command};

use super::{crash::check_log, *};

const DISK_BYTES: u64 = 64 << 20;

struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// None where this process may not mount.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().expect("a directory");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={DISK_BYTES}"), "tmpfs"]).arg(dir.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then(|| Self(dir))
    }

    fn ballast(&self) -> PathBuf {
        self.0.path().join("ballast")
    }

    /// Leaves so many bytes free.
    fn fill(&self, leave: u64) {
        let free = space::free_bytes(self.0.path());
        fs::write(self.ballast(), vec![1; usize::try_from(free - leave).expect("small")]).expect("fills");
    }

    fn relieve(&self) {
        fs::remove_file(self.ballast()).expect("removes");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Appends one row of `body_bytes` after the other until one is refused: the rows, and the refusal.
async fn append_until_refused(store: &EmbeddedStore, from: u64, epoch: u64, body_bytes: usize) -> (u64, StoreError) {
    let lobby = key("t", "lobby");
    for seq in from.. {
        let mut row = rows(Chain::START, seq..=seq, (epoch, 1));
        row[0].body = Some(vec![b'x'; body_bytes].into());
        if let Err(error) = store.append(append(&lobby, &instance("a"), row)).await {
            return (seq - 1, error);
        }
    }
    unreachable!("the disk is small")
}

#[tokio::test]
async fn a_full_disk_refuses_appends_and_recovers_with_nothing_acknowledged_lost() {
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: this process may not mount a file system");
        return;
    };
    let min_free_bytes = 8 << 20;
    let small = StoreConfig { min_free_bytes, ..config(&disk.0.path().join("data")) };
    let store = EmbeddedStore::open(small, &Metrics::default()).expect("opens");
    let driver = Arc::clone(&store) as Driver;
    let lobby = key("t", "lobby");
    let (a, epoch) = owner(&driver, "a", &[&lobby]).await;
    let all = rows(Chain::START, 1..=30, (epoch, 1));
    store.append(append(&lobby, &a, all[..10].to_vec())).await.expect("appends");
    disk.fill(min_free_bytes / 2);
    let refused = store.append(append(&lobby, &a, all[10..20].to_vec())).await;
    assert!(matches!(refused, Err(StoreError::Full { .. })), "{refused:?}");
    assert!(!store.writable());
    assert_eq!(read_all(&driver, &lobby).await, all[..10], "reads go on");
    disk.relieve();
    store.append(append(&lobby, &a, all[10..].to_vec())).await.expect("recovers by itself");
    assert!(store.writable());
    let log = read_all(&driver, &lobby).await;
    check_log(&log);
    assert_eq!(log, all);
}

#[tokio::test]
async fn a_store_whose_library_gave_up_is_opened_again_once_there_is_space() {
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: this process may not mount a file system");
        return;
    };
    let metrics = Metrics::default();
    // Nothing is held back: the commit itself runs into the end of the disk.
    let store = EmbeddedStore::open(config(&disk.0.path().join("data")), &metrics).expect("opens");
    let driver = Arc::clone(&store) as Driver;
    let lobby = key("t", "lobby");
    let (_, epoch) = owner(&driver, "a", &[&lobby]).await;
    disk.fill(300_000);
    let (acked, error) = append_until_refused(&store, 1, epoch, 20_000).await;
    assert!(error.ambiguous(), "{error}");
    assert!(acked > 0);
    let during = read_all(&driver, &lobby).await;
    assert_eq!(seqs(&during[..acked as usize]), (1..=acked).collect::<Vec<_>>(), "reads go on");
    let refused = store.fence(&instance("nobody")).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    disk.relieve();
    let recovered = async {
        while store.fence(&instance("nobody")).await.is_err() {
            posthorn_clock::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(60), recovered).await.expect("opens again");
    let log = read_all(&driver, &lobby).await;
    assert!(log.len() as u64 == acked || log.len() as u64 == acked + 1, "{} of {acked}", log.len());
    assert!(log.iter().all(|row| row.body.as_ref().is_some_and(|body| body.len() == 20_000)));
    let end = log.len() as u64 + 1;
    store.append(append(&lobby, &instance("a"), rows(Chain::START, end..=end, (epoch, 1)))).await.expect("goes on");
    assert!(metrics.encode().contains("posthorn_store_reopened_total 1"));
}
