//! A store that is exported and imported, seen by people: they go on as if nothing had been.

use std::{path::Path, process::Output};

use anyhow::{Context, Result, ensure};
use posthorn_client::{
    Format,
    proto::{Connect, Send},
};
use posthorn_testkit::Server;
use tokio::process::Command;

use crate::{
    process::{GROUP, backend, log, people},
    raw::{Raw, ask, text_of, texts},
};

async fn posthorn(command: &str, config: &Path, flag: &str, file: &Path) -> Result<Output> {
    let mut posthorn = Command::new(Server::binary()?);
    let posthorn = posthorn.args([command, "--json", "--config"]).arg(config).arg(flag).arg(file);
    Ok(posthorn.output().await?)
}

/// The one line that a command ends with.
fn told(out: &Output) -> Result<serde_json::Value> {
    ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    Ok(serde_json::from_slice(&out.stdout)?)
}

fn refused(out: &Output, why: &str) -> Result<()> {
    let said = String::from_utf8_lossy(&out.stderr);
    ensure!(!out.status.success() && said.contains(why), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_connected_goes_on_by_cursor_resend_and_token_in_the_store_that_was_imported() -> Result<()> {
    let mut server = Server::start().await?;
    let tokens = people(&server).await?;
    let connect = |user: &str, cursor: &str| Connect {
        token: tokens[user].clone(),
        cursor: cursor.to_owned(),
        ..Connect::default()
    };
    let mut ann = Raw::connect(&server.ready.ws, Format::Json, connect("ann", "")).await?;
    let mut ben = Raw::connect(&server.ready.ws, Format::Json, connect("ben", "")).await?;
    let seen = ann.say(GROUP, "seen").await?.seq;
    ben.entries_to(GROUP, seen).await?;
    let cursor = ask!(ben, Sync {} => Sync).cursor;
    let generation = ben.connected.generation;
    drop(ben);
    let missed = Send { conversation: GROUP.into(), after_seq: seen, generation, ..text_of("missed") };
    let sent = ask!(ann, Send { ..missed.clone() } => Sent);
    drop(ann);
    let before = log(&server).await?;

    let folder = tempfile::tempdir()?;
    let (data, file, config) = (server.data_dir(), folder.path().join("moved"), folder.path().join("one.toml"));
    let other = folder.path().join("other.toml");
    tokio::fs::write(&config, format!("[store]\ndata_dir = {:?}\n", data)).await?;
    tokio::fs::write(&other, format!("[store]\ndata_dir = {:?}\n", folder.path().join("none"))).await?;
    refused(&posthorn("export", &config, "--out", &file).await?, "in use by process")?;
    refused(&posthorn("export", &other, "--out", &file).await?, "there is no store in")?;
    ensure!(!file.exists() && !folder.path().join("moved.partial").exists(), "nothing is left of a refusal");
    ensure!(server.terminate().await?.success());
    let exported = told(&posthorn("export", &config, "--out", &file).await?)?;
    let size = tokio::fs::metadata(&file).await?.len();
    ensure!(exported["bytes"] == size && exported["generation"] == generation, "{exported}");
    ensure!(exported["entries"].as_u64().is_some_and(|entries| entries >= before.len() as u64), "{exported}");
    refused(&posthorn("export", &config, "--out", &file).await?, "is there already")?;

    let old = folder.path().join("old");
    tokio::fs::rename(&data, &old).await?;
    let whole = tokio::fs::read(&file).await?;
    let cut = folder.path().join("cut");
    tokio::fs::write(&cut, &whole[..whole.len() / 2]).await?;
    refused(&posthorn("import", &config, "--in", &cut).await?, "is cut off")?;
    ensure!(!data.exists(), "a damaged file is refused before anything is written");
    let imported = told(&posthorn("import", &config, "--in", &file).await?)?;
    for count in ["conversations", "entries", "users", "records", "generation", "bytes"] {
        ensure!(imported[count] == exported[count], "{imported} of {exported}");
    }
    refused(&posthorn("import", &config, "--in", &file).await?, "is not empty")?;
    // The operator's keys are files beside the store.
    tokio::fs::rename(old.join("keys"), data.join("keys")).await?;
    server.restart().await?;

    let whole = |log: &[posthorn_client::backend::LogEntry]| {
        log.iter().map(|entry| (entry.seq, entry.message_id.clone(), entry.text.clone())).collect::<Vec<_>>()
    };
    ensure!(whole(&log(&server).await?) == whole(&before));
    let mut ben = Raw::connect(&server.ready.ws, Format::Json, connect("ben", &cursor)).await?;
    ensure!(!ben.connected.reset && ben.connected.generation == generation, "{:?}", ben.connected);
    let page = ask!(ben, Sync { cursor: cursor } => Sync);
    let changed: Vec<_> = page.conversations.iter().map(|one| (one.conversation.as_str(), one.end_seq)).collect();
    ensure!(!page.reset && changed == [(GROUP, sent.seq)], "what changed, and nothing else: {changed:?}");
    let gap = ask!(ben, History { conversation: GROUP.to_owned(), after: Some(seen) } => History);
    ensure!(texts(&gap.entries) == ["missed"]);

    let mut ann = Raw::connect(&server.ready.ws, Format::Json, connect("ann", "")).await?;
    let again = ask!(ann, Send { retry: true, ..missed } => Sent);
    ensure!(again.seq == sent.seq, "a resend gets the seq that it has");
    let live = ann.say(GROUP, "live").await?.seq;
    ensure!(live == sent.seq + 1);
    ben.entries_to(GROUP, live).await?;
    let page = ask!(ben, Sync { cursor: page.cursor } => Sync);
    ensure!(page.conversations.iter().all(|one| one.conversation == GROUP), "{page:?}");
    backend(&server)?.create_user("dee", "Dee").await.context("the application's keys are there")?;
    ensure!(server.terminate().await?.success());
    Ok(())
}
