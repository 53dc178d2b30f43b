//! What only a process of its own shows: `kill -9` under load, a backup taken meanwhile, SIGTERM.

use std::{collections::BTreeMap, process::Stdio, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use posthorn_client::{
    Client, ClientConfig, ClientDeps, Format, Outgoing, SendState, Sending, Sink, TcpConnector,
    backend::{Backend, LogEntry},
    proto::{Connect, server_frame::Frame},
};
use posthorn_clock::{Clock, Uuid, sleep, timeout};
use posthorn_tasks::Tasks;
use posthorn_testkit::Server;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use crate::raw::{Raw, ask, seqs, texts};

pub const GROUP: &str = "crowd";
const USERS: [&str; 3] = ["ann", "ben", "cyd"];
pub const WAIT: Duration = Duration::from_secs(60);

pub fn backend(server: &Server) -> Result<Backend> {
    Ok(Backend::new(&server.ready.http, &server.ready.admin_key, WAIT)?)
}

/// A group of the users, and their tokens.
pub async fn people(server: &Server) -> Result<BTreeMap<&'static str, String>> {
    let backend = backend(server)?;
    let mut tokens = BTreeMap::new();
    for user in USERS {
        backend.create_user(user, user).await?;
        tokens.insert(user, backend.mint_token(user, "phone", 3_600, "unlimited").await?.token);
    }
    backend.create_conversation(GROUP, "Crowd", &USERS).await?;
    Ok(tokens)
}

pub fn client(server: &Server, token: &str, tasks: &Tasks) -> Client {
    let (sink, mut events) = Sink::channel(64);
    tasks.background("reader", async move { while events.recv().await.is_some() {} });
    let deps = ClientDeps {
        clock: Clock::system(),
        tasks: tasks.clone(),
        connector: Arc::new(TcpConnector),
        tokens: Arc::new(token.to_owned()),
        sink,
    };
    Client::start(
        ClientConfig { backoff_base_ms: 50, backoff_cap_ms: 500, ..ClientConfig::new(&server.ready.ws) },
        deps,
    )
}

/// The whole log, as the application's backend reads it.
pub async fn log(server: &Server) -> Result<Vec<LogEntry>> {
    let (backend, mut all) = (backend(server)?, Vec::new());
    loop {
        let page = backend.entries(GROUP, all.last().map_or(0, |entry: &LogEntry| entry.seq), 500).await?;
        all.extend(page.entries);
        if page.next.is_none() {
            return Ok(all);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kill_9_everything_acknowledged_is_there_once_and_in_order() -> Result<()> {
    const EACH: usize = 150;
    let mut server = Server::start().await?;
    let tokens = people(&server).await?;
    let tasks = Tasks::new();
    let clients: Vec<_> = USERS.iter().map(|user| (*user, client(&server, &tokens[user], &tasks))).collect();
    let mut sendings: Vec<(&str, String, Sending)> = Vec::new();
    for n in 0..EACH {
        for (user, client) in &clients {
            let text = format!("{user} {n}");
            sendings.push((user, text.clone(), client.send(Outgoing::text(GROUP, text)).await?));
        }
    }
    let acknowledged = |sendings: &[(&str, String, Sending)]| -> BTreeMap<Uuid, u64> {
        let stored = |(_, _, s): &(_, _, Sending)| Some((s.message_id, s.state().stored()?.seq));
        sendings.iter().filter_map(stored).collect()
    };
    // In the middle: some have their answer, most are on their way or wait.
    let some = timeout(WAIT, async {
        while acknowledged(&sendings).len() < EACH / 2 {
            sleep(Duration::from_millis(2)).await;
        }
    });
    some.await.context("nothing was acknowledged")?;
    server.kill().await?;
    let before = acknowledged(&sendings);
    let open = sendings.iter().filter(|(_, _, sending)| sending.state() != SendState::Queued).count() - before.len();
    server.restart().await?;
    for (_, _, sending) in &mut sendings {
        timeout(WAIT, sending.stored()).await.context("a send was not stored")??;
    }

    let log = log(&server).await?;
    ensure!(log.iter().map(|entry| entry.seq).eq(1..=log.len() as u64), "holes in the log");
    let said: Vec<&LogEntry> = log.iter().filter(|entry| entry.kind == "message").collect();
    ensure!(said.len() == sendings.len(), "{} of {} are there", said.len(), sendings.len());
    let at: BTreeMap<&str, &LogEntry> = said.iter().map(|entry| (entry.message_id.as_str(), *entry)).collect();
    ensure!(at.len() == said.len(), "something is there twice");
    for (user, text, sending) in &sendings {
        let entry = at[sending.message_id.to_string().as_str()];
        let stored = sending.state().stored().map(|stored| stored.seq);
        ensure!(stored == Some(entry.seq) && entry.author == *user && entry.text.as_ref() == Some(text), "{entry:?}");
        ensure!(before.get(&sending.message_id).is_none_or(|seq| *seq == entry.seq), "an acknowledged seq moved");
    }
    for user in USERS {
        let own: Vec<&str> = said.iter().filter(|e| e.author == user).filter_map(|e| e.text.as_deref()).collect();
        ensure!(own == (0..EACH).map(|n| format!("{user} {n}")).collect::<Vec<_>>(), "{user}: {own:?}");
    }
    ensure!(!before.is_empty() && before.len() < sendings.len() && open > 0, "the kill was not in the middle");
    end(clients, &tasks).await?;
    ensure!(server.terminate().await?.success());
    Ok(())
}

async fn end(clients: Vec<(&str, Client)>, tasks: &Tasks) -> Result<()> {
    for (_, client) in &clients {
        client.close().await;
    }
    drop(clients);
    tasks.stop();
    ensure!(tasks.ended(WAIT).await, "a client did not end");
    Ok(())
}

async fn posthorn(arguments: &[&str]) -> Result<()> {
    let out = Command::new(Server::binary()?).args(arguments).output().await?;
    ensure!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_looks_at_dead_letters_with_a_command_and_an_api_key_does_not() -> Result<()> {
    let mut server = Server::start().await?;
    let ready = server.ready.clone();
    let (url, key) = (ready.http.as_str(), ready.demo.operator_key.as_str());
    let run = async |arguments: &[&str], key: &str| -> Result<(bool, String)> {
        let mut command = Command::new(Server::binary()?);
        let out = command.arg("letters").args(arguments).args(["--url", url, "--admin-key", key]).output().await?;
        Ok((out.status.success(), format!("{}{}", String::from_utf8(out.stdout)?, String::from_utf8(out.stderr)?)))
    };
    ensure!(run(&["list", "--json"], key).await? == (true, String::new()));
    ensure!(run(&["retry", "--all"], key).await? == (true, String::new()));
    let (listed, said) = run(&["list"], key).await?;
    ensure!(listed && said.contains("no dead letters"), "{said}");
    for (arguments, key, words) in [
        (&["list"][..], ready.admin_key.as_str(), "operator's key"),
        (&["discard", "--all"], ready.admin_key.as_str(), "operator's key"),
        (&["list"], "phk_made-up", "unauthenticated"),
        (&["retry", "demo/crowd/1/1"], key, "no such letter"),
        (&["discard", "demo/crowd/1/1"], key, "no such letter"),
        (&["discard", "crowd"], key, "is no letter"),
        (&["list", "--group", "hooks"], key, "no such consumer group"),
    ] {
        let (done, said) = run(arguments, key).await?;
        ensure!(!done && said.contains(words), "{arguments:?}: {said}");
    }
    server.kill().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_is_drained_by_command_and_takes_connections_again() -> Result<()> {
    let mut server = Server::start().await?;
    let tokens = people(&server).await?;
    let connect = |user| Connect { token: tokens[user].clone(), ..Connect::default() };
    let mut ann = Raw::connect(&server.ready.ws, Format::Json, connect("ann")).await?;
    let ready = server.ready.clone();
    let drain = async |arguments: &[&str], key: &str| -> Result<(bool, String)> {
        let mut command = Command::new(Server::binary()?);
        command.args(["drain", "--json", "--url", &ready.http, "--admin-key", key]).args(arguments);
        let out = command.output().await?;
        Ok((out.status.success(), format!("{}{}", String::from_utf8(out.stdout)?, String::from_utf8(out.stderr)?)))
    };
    let operator = ready.demo.operator_key.as_str();
    let (done, said) = drain(&[], &ready.admin_key).await?;
    ensure!(!done && said.contains("operator's key"), "{said}");
    let waits = timeout(WAIT, drain(&["--wait"], operator));
    let told = ann.until(|frame| if let Frame::Reconnect(told) = frame { Some(told.code.clone()) } else { None });
    let (drained, told) = tokio::join!(waits, told);
    ensure!(told? == "draining");
    let (done, said) = drained??;
    ensure!(done && said.contains(r#""draining":true"#) && said.contains(r#""connections":0"#), "{said}");
    ensure!(Raw::connect(&server.ready.ws, Format::Json, connect("ben")).await.is_err(), "it takes nobody");
    let (done, said) = drain(&["--cancel"], operator).await?;
    ensure!(done && said.contains(r#""draining":false"#), "{said}");
    Raw::connect(&server.ready.ws, Format::Json, connect("ben")).await?;
    server.kill().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_taken_while_people_talk_is_restored_as_another_generation() -> Result<()> {
    let mut server = Server::start().await?;
    let tokens = people(&server).await?;
    let connect =
        |token: &str, cursor: &str| Connect { token: token.into(), cursor: cursor.into(), ..Connect::default() };
    let mut ann = Raw::connect(&server.ready.ws, Format::Json, connect(&tokens["ann"], "")).await?;
    for n in 0..20 {
        ann.say(GROUP, &format!("before {n}")).await?;
    }
    let before = log(&server).await?;
    let cursor = ask!(ann, Sync {} => Sync).cursor;
    let generation = ann.connected.generation;
    // People go on talking while it is taken.
    let tasks = Tasks::new();
    let clients: Vec<_> = ["ben", "cyd"].iter().map(|user| (*user, client(&server, &tokens[user], &tasks))).collect();
    for n in 0..100 {
        for (user, client) in &clients {
            client.send(Outgoing::text(GROUP, format!("{user} meanwhile {n}"))).await?;
        }
    }
    let folder = tempfile::tempdir()?;
    let (file, data) = (folder.path().join("backup"), server.data_dir());
    let file = file.to_str().context("a path")?;
    posthorn(&["backup", "--url", &server.ready.http, "--admin-key", &server.ready.demo.operator_key, "--out", file])
        .await?;
    end(clients, &tasks).await?;
    let after = log(&server).await?;
    server.kill().await?;

    tokio::fs::rename(&data, folder.path().join("lost")).await?;
    posthorn(&["restore", file, "--data-dir", data.to_str().context("a path")?]).await?;
    server.restart().await?;
    let restored = log(&server).await?;
    let of =
        |log: &[LogEntry]| -> Vec<_> { log.iter().map(|e| (e.seq, e.message_id.clone(), e.text.clone())).collect() };
    ensure!(restored.len() >= before.len(), "{} of {}", restored.len(), before.len());
    ensure!(of(&after).starts_with(&of(&restored)) && of(&restored).starts_with(&of(&before)));

    let token = backend(&server)?.mint_token("ann", "phone", 600, "unlimited").await?.token;
    let mut ann = Raw::connect(&server.ready.ws, Format::Json, connect(&token, &cursor)).await?;
    ensure!(ann.connected.reset && ann.connected.generation > generation, "{:?}", ann.connected);
    let page = ask!(ann, Sync { cursor: cursor } => Sync);
    ensure!(page.reset && page.generation == ann.connected.generation);
    ensure!(page.conversations.iter().any(|c| c.conversation == GROUP && c.end_seq == restored.len() as u64));
    // Whether a send of the other generation was stored cannot be told any more, and what a first one
    // had seen may be something else now.
    for retry in [true, false] {
        let stale = posthorn_client::proto::Send {
            conversation: GROUP.into(),
            after_seq: 3,
            generation,
            retry,
            ..crate::raw::text_of("from before")
        };
        let Frame::Error(error) = ann.ask(posthorn_client::proto::client_frame::Request::Send(stale)).await? else {
            anyhow::bail!("a send of a lost generation was taken, retry: {retry}");
        };
        ensure!(error.code == "stale_generation", "{error:?}");
    }
    ensure!(ann.say(GROUP, "on we go").await?.seq == restored.len() as u64 + 1);
    drop(ann);
    ensure!(server.terminate().await?.success());
    Ok(())
}

/// As on a full disk, where each line of a log is an error.
#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_write_its_log_goes_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full")?;
    let mut command = Command::new(Server::binary()?);
    command.args(["dev", "--json", "--listen", "127.0.0.1:0", "--data-dir"]).arg(folder.path().join("data"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(full).kill_on_drop(true);
    let mut child = command.spawn()?;
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().context("no stdout")?);
    timeout(WAIT, out.read_line(&mut line)).await.context("it is not ready")??;
    let ready: serde_json::Value = serde_json::from_str(&line).with_context(|| format!("it ended: {line:?}"))?;
    let http = ready["http"].as_str().context("an address")?;
    ensure!(reqwest::get(format!("{http}/readyz")).await?.status().is_success());
    child.start_kill()?;
    child.wait().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_load_did_and_heard_is_held_to_the_rules() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("history.jsonl");
    let mut bench = Command::new(Server::binary()?);
    bench.args(["bench", "--json", "--seconds", "1", "--in-flight", "64", "--history"]).arg(&file);
    let output = bench.arg("--dir").arg(folder.path()).kill_on_drop(true).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let history = &report["history"];
    let sends = history["seen"]["acked"].as_u64().context("how much was acknowledged")?;
    ensure!(sends >= 64 && history["seen"]["received"].as_u64() >= Some(sends), "{history}");
    ensure!(history["broken"].as_object().is_some_and(serde_json::Map::is_empty), "{history}");
    // As it lies there, for whoever wants to look again.
    posthorn(&["history", "check", file.to_str().context("a path")?, "--expect", "settled,whole_read,received"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_asks_everybody_to_come_back_and_ends_with_zero() -> Result<()> {
    let mut server = Server::start().await?;
    let tokens = people(&server).await?;
    let connect = |token: &String| Connect { token: token.clone(), ..Connect::default() };
    let mut ann = Raw::connect(&server.ready.ws, Format::Json, connect(&tokens["ann"])).await?;
    let mut ben = Raw::connect(&server.ready.ws, Format::Proto, connect(&tokens["ben"])).await?;
    let sent = ann.say(GROUP, "last words").await?;
    let (ws, resume_token) = (server.ready.ws.clone(), ann.connected.resume_token.clone());
    let told = async move {
        for who in [&mut ann, &mut ben] {
            let reconnect = who.until(|event| match event {
                Frame::Reconnect(reconnect) => Some(reconnect.clone()),
                _ => None,
            });
            let reconnect = reconnect.await?;
            ensure!(reconnect.code == "draining" && reconnect.delay_max_ms > 0 && !reconnect.resume_token.is_empty());
        }
        // They do as asked.
        drop((ann, ben));
        Ok(())
    };
    let (told, status) = tokio::join!(told, server.terminate());
    told?;
    ensure!(status?.code() == Some(0));

    server.restart().await?;
    let connect = Connect { token: tokens["ann"].clone(), resume_token, ..Connect::default() };
    let mut ann = Raw::connect(&ws, Format::Json, connect).await?;
    let page = ask!(ann, History { conversation: GROUP.into() } => History);
    ensure!(seqs(&page.entries) == [1, 2] && texts(&page.entries)[1] == "last words" && sent.seq == 2);
    drop(ann);
    ensure!(server.terminate().await?.success());
    Ok(())
}
