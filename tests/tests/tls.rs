//! TLS as it stands before a server: a proxy ends it, and the server behind it is a real one.

use std::{process::Stdio, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use posthorn_client::{
    Client, ClientConfig, ClientDeps, ConnectionState, Connector, Event, Outgoing, Reason, Sink,
    backend::{Backend, BackendError},
};
use posthorn_clock::{Clock, timeout};
use posthorn_tasks::Tasks;
use posthorn_testkit::Server;
use tokio::{
    io::{AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;

use crate::{authority::Authority, process::WAIT};

/// Ends TLS in front of a server; stops with its tasks.
struct Proxy {
    ws: String,
    http: String,
}

impl Proxy {
    async fn start(server: &Server, acceptor: TlsAcceptor, tasks: &Tasks) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let at = listener.local_addr()?;
        let behind = server.ready.http.strip_prefix("http://").context("no address")?.to_owned();
        let (serving, stopping) = (tasks.clone(), tasks.stopping());
        let accept = async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, behind, stopping) = (acceptor.clone(), behind.clone(), serving.stopping());
                serving.background("connection", async move {
                    let pass = async {
                        let mut outer = acceptor.accept(stream).await?;
                        let mut inner = TcpStream::connect(behind).await?;
                        copy_bidirectional(&mut outer, &mut inner).await
                    };
                    // Whoever refuses the certificate breaks off: that is what some tests are about.
                    let _ = stopping.run_until_cancelled(pass).await;
                });
            }
        };
        tasks.background("proxy", async move {
            let _ = stopping.run_until_cancelled(accept).await;
        });
        Ok(Self { ws: format!("wss://{at}/v1/ws"), http: format!("https://{at}") })
    }
}

fn client(url: &str, token: &str, connector: Arc<dyn Connector>, tasks: &Tasks) -> (Client, mpsc::Receiver<Event>) {
    let (sink, events) = Sink::channel(64);
    let deps = ClientDeps {
        clock: Clock::system(),
        tasks: tasks.clone(),
        connector,
        tokens: Arc::new(token.to_owned()),
        sink,
    };
    (Client::start(ClientConfig::new(url), deps), events)
}

/// Why the first connection did not come about.
async fn refusal(events: &mut mpsc::Receiver<Event>) -> Result<String> {
    let why = async {
        while let Some(event) = events.recv().await {
            if let Event::State(ConnectionState::Connecting { reason: Some(Reason::Network(why)), .. }) = event {
                return Some(why);
            }
        }
        None
    };
    timeout(WAIT, why).await?.context("it was not refused")
}

async fn ended(tasks: Tasks) -> Result<()> {
    tasks.stop();
    ensure!(tasks.ended(WAIT).await, "something did not end");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_talks_under_tls_to_a_server_whose_authority_it_is_given() -> Result<()> {
    let (mut server, authority, tasks) = (Server::start().await?, Authority::new("an authority")?, Tasks::new());
    let proxy = Proxy::start(&server, authority.acceptor("127.0.0.1")?, &tasks).await?;
    let backend = Backend::over(authority.trusted()?, &proxy.http, &server.ready.admin_key, WAIT)?;
    backend.create_user("ann", "Ann").await?;
    backend.create_conversation("hall", "Hall", &["ann"]).await?;
    let token = backend.mint_token("ann", "phone", 600, "").await?.token;
    let (ann, mut events) = client(&proxy.ws, &token, authority.trusted()?, &tasks);
    let text = "x".repeat(50_000);
    let sent = timeout(WAIT, async {
        ann.send(Outgoing::text("hall", text.as_str())).await?.stored().await.map_err(anyhow::Error::from)
    });
    let sent = sent.await??;
    let heard = async {
        while let Some(event) = events.recv().await {
            if let Event::Entries { entries, .. } = event
                && entries
                    .iter()
                    .any(|entry| entry.seq == sent.seq && entry.body.as_ref().is_some_and(|b| b.text == text))
            {
                return true;
            }
        }
        false
    };
    ensure!(timeout(WAIT, heard).await?, "ann did not hear herself");
    ensure!(backend.entries("hall", 1, 10).await?.entries[0].text.as_ref() == Some(&text));
    ann.close().await;
    drop(ann);
    ended(tasks).await?;
    ensure!(server.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_authority_and_a_wrong_name_are_refused_and_said() -> Result<()> {
    let (mut server, authority, tasks) = (Server::start().await?, Authority::new("an authority")?, Tasks::new());
    let right = Proxy::start(&server, authority.acceptor("127.0.0.1")?, &tasks).await?;
    let wrong = Proxy::start(&server, authority.acceptor("elsewhere.example")?, &tasks).await?;
    let stranger = Authority::new("another authority")?;
    let unknown = "the certificate of 127.0.0.1 is not to be trusted: no authority that is known here signed it";
    let named = "the certificate of 127.0.0.1 is not to be trusted: it is for DnsName(\"elsewhere.example\")";
    for (proxy, authority, expect) in [(&right, &stranger, unknown), (&wrong, &authority, named)] {
        let backend = Backend::over(authority.trusted()?, &proxy.http, &server.ready.admin_key, WAIT)?;
        let refused = backend.create_user("ann", "Ann").await;
        ensure!(matches!(&refused, Err(BackendError::Untrusted(why)) if why == expect), "{refused:?}");
        ensure!(!refused.is_err_and(|error| error.retryable()));
        let (ann, mut events) = client(&proxy.ws, "unseen", authority.trusted()?, &tasks);
        ensure!(refusal(&mut events).await? == expect);
        ann.close().await;
    }
    // Without the file no program talks to it either, and it says why at once.
    for command in ["chat", "replay"] {
        let log = authority.folder().join("log.txt");
        std::fs::write(&log, "<ann> hello\n")?;
        let rest: Vec<&str> =
            if command == "chat" { vec!["--user", "ann"] } else { vec![log.to_str().context("a path")?] };
        let mut run = Command::new(Server::binary()?);
        run.args([command, "--url", &right.ws, "--admin-key", &server.ready.admin_key]).args(rest);
        let out = timeout(WAIT, run.stdin(Stdio::null()).kill_on_drop(true).output()).await??;
        let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        // A machine without any authority says so instead.
        ensure!(!out.status.success(), "{command}: {said}");
        ensure!(said.contains(unknown) || said.contains("has no certificates of authorities"), "{command}: {said}");
    }
    ended(tasks).await?;
    ensure!(server.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_replay_and_backup_go_under_tls() -> Result<()> {
    let (mut server, authority, tasks) = (Server::start().await?, Authority::new("an authority")?, Tasks::new());
    let proxy = Proxy::start(&server, authority.acceptor("127.0.0.1")?, &tasks).await?;
    let (ca, folder) = (authority.file(), authority.folder());
    let run = |arguments: &[&str], key: &str| {
        let mut command = Command::new(Server::binary().unwrap_or_default());
        command.args(arguments).arg("--ca-file").arg(&ca).env("POSTHORN_ADMIN_KEY", key).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let mut chat =
        run(&["chat", "--user", "ann", "--url", &proxy.ws, "--to", "ben"], &server.ready.admin_key).spawn()?;
    let mut input = chat.stdin.take().context("no stdin")?;
    input.write_all(b"hello under TLS\n").await?;
    drop(input);
    let out = timeout(WAIT, chat.wait_with_output()).await??;
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    ensure!(out.status.success() && said.contains("stored (synced)"), "{said}{}", String::from_utf8_lossy(&out.stderr));

    let log = folder.join("log.txt");
    std::fs::write(&log, "<ann> one\n<ben> two\n<ann> three\n")?;
    let replay = ["replay", "--json", "--url", &proxy.ws, log.to_str().context("a path")?];
    let out = timeout(WAIT, run(&replay, &server.ready.admin_key).output()).await??;
    ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let report: serde_json::Value = serde_json::from_slice(&out.stdout)?;
    ensure!(report["acked"] == 3 && report["lost"] == 0, "{report}");

    let copy = folder.join("backup");
    let backup = ["backup", "--url", &proxy.http, "--out", copy.to_str().context("a path")?];
    let out = timeout(WAIT, run(&backup, &server.ready.demo.operator_key).output()).await??;
    ensure!(out.status.success() && copy.metadata()?.len() > 0, "{}", String::from_utf8_lossy(&out.stderr));
    ended(tasks).await?;
    ensure!(timeout(Duration::from_secs(60), server.terminate()).await??.success());
    Ok(())
}
