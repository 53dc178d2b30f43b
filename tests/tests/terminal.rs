//! `posthorn chat` on a terminal of its own: what a person sees, key by key.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::{AsFd, OwnedFd},
    process::ExitStatus,
};

use anyhow::{Context, Result, anyhow, ensure};
use posthorn_client::{
    Format,
    proto::{Connect, Mark, Typing, client_frame::Request, server_frame::Frame},
};
use posthorn_clock::timeout;
use posthorn_testkit::Server;
use rustix::{
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};
use tokio::{
    process::{Child, Command},
    sync::mpsc,
};

use crate::{
    process::{WAIT, backend},
    raw::Raw,
};

const ROWS: u16 = 24;

/// A terminal with a program in it.
struct Terminal {
    ours: File,
    theirs: OwnedFd,
    shown: mpsc::Receiver<Vec<u8>>,
    screen: vt100::Parser,
    child: Child,
}

impl Terminal {
    fn run(columns: u16, arguments: &[&str], key: &str) -> Result<Self> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let theirs = ioctl_tiocgptpeer(&ours, OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        let ours = File::from(ours);
        let (tx, shown) = mpsc::channel(64);
        let mut from = ours.try_clone()?;
        std::thread::spawn(move || {
            // So little at a time that nothing which is shown is passed over.
            let mut bytes = [0; 32];
            // Nobody writes any more when the terminal is dropped and the program has ended.
            while let Ok(read) = from.read(&mut bytes) {
                if tx.blocking_send(bytes[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let screen = vt100::Parser::new(ROWS, columns, 0);
        // A session of its own, with this terminal to control it: Ctrl-C and a change of size go there.
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(Server::binary()?).args(arguments);
        command.env("POSTHORN_ADMIN_KEY", key).env("TERM", "xterm").kill_on_drop(true);
        command.stdin(theirs.try_clone()?).stdout(theirs.try_clone()?).stderr(theirs.try_clone()?);
        resize(&ours, columns)?;
        let child = command.spawn().context("cannot run setsid")?;
        Ok(Self { ours, theirs, shown, screen, child })
    }

    fn press(&mut self, keys: &str) -> Result<()> {
        Ok(self.ours.write_all(keys.as_bytes())?)
    }

    async fn read(&mut self) -> Result<()> {
        self.screen.process(&self.shown.recv().await.context("the terminal is gone")?);
        Ok(())
    }

    fn rows(&self) -> Vec<String> {
        let rows = self.screen.screen().rows(0, self.screen.screen().size().1);
        let rows: Vec<String> = rows.map(|row| row.trim_end().to_owned()).collect();
        let end = rows.iter().rposition(|row| !row.is_empty()).map_or(0, |at| at + 1);
        rows[..end].to_vec()
    }

    /// Reads until the rows are as wanted.
    async fn until(&mut self, what: &str, wanted: impl Fn(&[String]) -> bool) -> Result<()> {
        let shown = timeout(WAIT, async {
            while !wanted(&self.rows()) {
                self.read().await?;
            }
            anyhow::Ok(())
        });
        let shown = shown.await.unwrap_or_else(|_| Err(anyhow!("it does not come")));
        shown.with_context(|| format!("{what}:\n{}", self.rows().join("\n")))
    }

    /// The row at the bottom, where one types.
    async fn line(&mut self, line: &str) -> Result<()> {
        self.until(&format!("`{line}` at the bottom"), |rows| rows.last().is_some_and(|row| row == line)).await
    }

    fn resize(&mut self, columns: u16) -> Result<()> {
        self.screen.screen_mut().set_size(ROWS, columns);
        resize(&self.ours, columns)
    }

    /// Waits for the exit, and for the terminal as it was.
    async fn left(&mut self) -> Result<ExitStatus> {
        let left = timeout(WAIT, async {
            loop {
                // Who is not read cannot end.
                tokio::select! {
                    left = self.child.wait() => return anyhow::Ok(left?),
                    Some(bytes) = self.shown.recv() => self.screen.process(&bytes),
                }
            }
        });
        let left = left.await.context("it does not end")??;
        let modes = tcgetattr(&self.theirs)?.local_modes;
        ensure!(modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG), "left as {modes:?}");
        Ok(left)
    }
}

fn resize(terminal: impl AsFd, columns: u16) -> Result<()> {
    Ok(tcsetwinsize(terminal, Winsize { ws_row: ROWS, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?)
}

/// What people said, without the time.
fn said(rows: &[String]) -> Vec<&str> {
    rows.iter()
        .filter_map(|row| row.split_once("] ").map(|(_, said)| said))
        .filter(|said| said.starts_with('<'))
        .collect()
}

async fn ben(server: &Server) -> Result<Raw> {
    let backend = backend(server)?;
    backend.create_user("ben", "Ben").await?;
    let token = backend.mint_token("ben", "phone", 600, "").await?.token;
    Raw::connect(&server.ready.ws, Format::Json, Connect { token, ..Connect::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_talks_at_a_terminal_and_nothing_breaks_into_their_line() -> Result<()> {
    let mut server = Server::start().await?;
    let mut ben = ben(&server).await?;
    let arguments = ["chat", "--user", "ann", "--url", &server.ready.ws];
    let mut ann = Terminal::run(60, &arguments, &server.ready.admin_key)?;
    ann.line(">").await?;
    ann.press("/list\r")?;
    ann.until("an empty list", |rows| rows.contains(&"> /list".to_owned())).await?;
    ann.press("/to ben\r")?;
    ann.line("@ben>").await?;
    ann.press("hel\x7f\x7fllo 漢\r")?;
    ann.line("@ben (2 stored)>").await?;
    ann.until("her own message", |rows| said(rows).contains(&"<ann> hllo 漢")).await?;

    let conversation = ben.until(|event| match event {
        Frame::Entries(new) => Some(new.conversation.clone()),
        _ => None,
    });
    let conversation = conversation.await?;
    ben.ask(Request::Mark(Mark { conversation: conversation.clone(), delivered: 2, read: 2 })).await?;
    ann.line("@ben (2 read)>").await?;

    ann.press("half a li")?;
    let typing = ben.until(|event| match event {
        Frame::Typing(typing) => Some(typing.user.clone()),
        _ => None,
    });
    ensure!(typing.await? == "ann");
    ann.line("@ben (2 read)> half a li").await?;
    ben.say(&conversation, "interrupting").await?;
    ann.until("what ben says", |rows| said(rows).contains(&"<ben> interrupting")).await?;
    ann.line("@ben (2 read)> half a li").await?;
    ben.ask(Request::Typing(Typing { conversation: conversation.clone(), active: true })).await?;
    ann.line("@ben (2 read, ben is typing)> half a li").await?;
    ann.resize(40)?;
    ann.press("ne")?;
    // Half of the row is the prompt's at the most.
    ann.until("a shorter line", |rows| rows.last().is_some_and(|row| row.len() < 40 && row.ends_with("> half a line")))
        .await?;
    ben.say(&conversation, "twice").await?;
    ann.line("@ben (2 read)> half a line").await?;
    ann.press("\x03")?;
    ann.line("@ben (2 read)>").await?;
    ann.resize(80)?;

    server.kill().await?;
    ann.line("@ben (offline, 2 read)>").await?;
    ann.press("while away\r")?;
    ann.line("@ben (offline, 1 not stored yet)>").await?;
    server.restart().await?;
    ann.until("what she said meanwhile", |rows| said(rows).contains(&"<ann> while away")).await?;
    ann.line("@ben (5 stored)>").await?;
    ensure!(
        said(&ann.rows()) == ["<ann> hllo 漢", "<ben> interrupting", "<ben> twice", "<ann> while away"],
        "{:?}",
        ann.rows()
    );
    ann.press("\x03")?;
    ensure!(ann.left().await?.success());
    ann.until("no line to type any more", |rows| rows.last().is_some_and(|row| row.ends_with("<ann> while away")))
        .await?;
    drop(ben);
    ensure!(server.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_to_come_back_is_put_out_with_the_terminal_as_it_was() -> Result<()> {
    let mut server = Server::start().await?;
    let arguments = ["chat", "--user", "ann", "--token", "no.to.ken", "--url", &server.ready.ws];
    let mut ann = Terminal::run(80, &arguments, "")?;
    ensure!(!ann.left().await?.success());
    ann.until("why", |rows| rows.iter().any(|row| row.starts_with("-- ended: "))).await?;
    ensure!(server.terminate().await?.success());
    Ok(())
}
