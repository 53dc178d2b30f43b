//! A disk that is full, seen by people: a server whose data lies on a small file system.

use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use posthorn_client::{
    Format, Outgoing, SendState,
    proto::{Connect, Error, Send, client_frame::Request, server_frame::Frame},
};
use posthorn_clock::{Clock, sleep, timeout};
use posthorn_errors::Code;
use posthorn_tasks::Tasks;
use posthorn_testkit::Server;

use crate::{
    process::{GROUP, WAIT, backend, client, log, people},
    raw::{Raw, ask, text_of, texts},
};

const DISK_BYTES: u64 = 96 << 20;

struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where this process may not mount.
    fn mount() -> Result<Option<Self>> {
        let dir = tempfile::tempdir()?;
        let size = format!("size={DISK_BYTES}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path()).output();
        Ok(mounted.is_ok_and(|output| output.status.success()).then(|| Self(dir)))
    }

    fn ballast(&self) -> PathBuf {
        self.0.path().join("ballast")
    }

    /// Leaves so many bytes free.
    fn fill(&self, leave: u64) -> Result<()> {
        let stat = rustix::fs::statvfs(self.0.path())?;
        let fill = (stat.f_bavail * stat.f_frsize).checked_sub(leave).context("it is full already")?;
        Ok(std::fs::write(self.ballast(), vec![1; usize::try_from(fill)?])?)
    }

    fn relieve(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.ballast())?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn to_group(text: &str) -> Send {
    Send { conversation: GROUP.into(), ..text_of(text) }
}

/// Sends of 20 KB until one is refused: the texts that were acknowledged, and the refusal.
async fn until_refused(who: &mut Raw, acked: &mut Vec<String>) -> Result<Error> {
    for n in 0.. {
        let text = format!("{n} {}", "x".repeat(20_000));
        match who.ask(Request::Send(to_group(&text))).await? {
            Frame::Sent(sent) => {
                ensure!(sent.seq == acked.len() as u64 + 2, "{sent:?}");
                acked.push(text);
            }
            Frame::Error(error) => return Ok(error),
            other => anyhow::bail!("{other:?}"),
        }
    }
    unreachable!("the disk is small")
}

/// With space that is held back (`store.min_free_bytes`) a send is refused before it is tried; with none, the
/// write itself runs into the end of the disk.
async fn fills_up_and_recovers(disk: &SmallDisk, min_free_bytes: u64, leave: u64) -> Result<()> {
    let held_back = min_free_bytes.to_string();
    let environment = [("POSTHORN__STORE__MIN_FREE_BYTES", held_back.as_str())];
    let mut server = Server::start_in(&disk.0.path().join(format!("data-{held_back}")), &environment).await?;
    let tokens = people(&server).await?;
    let connect = |user: &str| Connect { token: tokens[user].clone(), ..Connect::default() };
    let mut ann = Raw::connect(&server.ready.ws, Format::Proto, connect("ann")).await?;
    let mut acked = Vec::new();
    for n in 0..5 {
        ensure!(ann.say(GROUP, &format!("before {n}")).await?.seq == n + 2);
        acked.push(format!("before {n}"));
    }
    disk.fill(leave)?;
    let refused = until_refused(&mut ann, &mut acked).await?;
    ensure!(refused.retryable, "{refused:?}");
    ensure!(min_free_bytes == 0 || refused.code == Code::StoreFull.as_str(), "{refused:?}");
    let fresh_id = Clock::system().uuid_v7().to_string();
    let over_http = backend(&server)?.send_system(GROUP, "over HTTP", &fresh_id).await;
    ensure!(over_http.as_ref().is_err_and(posthorn_client::backend::BackendError::retryable), "{over_http:?}");

    // Nothing else suffers: people connect, sync, read.
    let tasks = Tasks::new();
    let ben = client(&server, &tokens["ben"], &tasks);
    let mut waiting = ben.send(Outgoing::text(GROUP, "as soon as there is space")).await?;
    let mut cyd = Raw::connect(&server.ready.ws, Format::Json, connect("cyd")).await?;
    let page = ask!(cyd, Sync {} => Sync);
    ensure!(page.conversations.iter().any(|c| c.conversation == GROUP && c.end_seq > acked.len() as u64));
    let history = ask!(cyd, History { conversation: GROUP.into(), after: Some(0), limit: 6 } => History);
    ensure!(texts(&history.entries)[1..] == acked[..5], "{:?}", texts(&history.entries));
    ensure!(log(&server).await?.len() > acked.len());
    ensure!(matches!(waiting.state(), SendState::Queued | SendState::Sent | SendState::NotConfirmed));

    // Space again, and nobody does anything.
    disk.relieve()?;
    let stored = timeout(WAIT, waiting.stored()).await.context("ben's message was not stored by itself")??;
    let goes_on = async {
        // One that was not confirmed may have been refused, or may be there.
        while !matches!(ann.ask(Request::Send(to_group("after"))).await?, Frame::Sent(_)) {
            sleep(Duration::from_millis(50)).await;
        }
        anyhow::Ok(())
    };
    timeout(WAIT, goes_on).await.context("ann cannot send")??;
    ben.close().await;
    drop((ben, ann, cyd));
    tasks.stop();
    ensure!(tasks.ended(WAIT).await);
    server.kill().await?;
    server.restart().await?;
    let log = log(&server).await?;
    ensure!(log.iter().map(|entry| entry.seq).eq(1..=log.len() as u64), "holes in the log");
    let said: Vec<&str> = log.iter().filter_map(|entry| entry.text.as_deref()).collect();
    ensure!(
        said.iter().zip(&acked).all(|(said, acked)| said == acked) && said.len() > acked.len(),
        "something is lost"
    );
    let of_ben =
        |entry: &&posthorn_client::backend::LogEntry| entry.text.as_deref() == Some("as soon as there is space");
    ensure!(log.iter().filter(of_ben).map(|entry| entry.seq).eq([stored.seq]), "not once, where it was said to be");
    ensure!(server.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_sends_alone_and_they_go_on_by_themselves() -> Result<()> {
    for (min_free_bytes, leave) in [(16 << 20, 12 << 20), (0, 300_000)] {
        let Some(disk) = SmallDisk::mount()? else {
            println!("skipped: this process may not mount a file system");
            return Ok(());
        };
        let done = fills_up_and_recovers(&disk, min_free_bytes, leave).await;
        done.with_context(|| format!("with store.min_free_bytes {min_free_bytes}"))?;
    }
    Ok(())
}
