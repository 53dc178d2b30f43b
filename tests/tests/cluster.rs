//! Every service in processes of its own, on real engines, behind one address.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use posthorn_client::{
    ClientConfig, Event, Format, Outgoing,
    backend::Backend,
    proto::{ClientFrame, Connect, Send, client_frame::Request, server_frame::Frame},
};
use posthorn_clock::timeout;
use posthorn_engines::{Mode, detached::Detached, mode};
use posthorn_testkit::{Deployment, Person, Server};
use tokio::process::Command;

use crate::{
    raw::{Raw, text_of},
    traces::{SPAN_ID, TRACE_ID},
};

const WAIT: Duration = Duration::from_secs(120);
const SERVICES: [&str; 5] = ["gateway", "session", "routing", "storage", "push"];
const ENGINES: [&str; 3] = ["nats", "redis", "cassandra"];

async fn person(cluster: &Deployment, user: &str) -> Result<Person> {
    let backend = Backend::new(&cluster.running.http, &cluster.running.admin_key, WAIT)?;
    backend.create_user(user, user).await?;
    let token = backend.mint_token(user, "phone", 3_600, "unlimited").await?.token;
    let mut person = Person::connect(token, ClientConfig::new(&cluster.running.ws)).await?;
    // What a first sync finds is no news.
    person.until(|event| matches!(event, Event::Synced { .. }).then_some(())).await?;
    Ok(person)
}

/// `from` says it, and `to` hears it.
async fn say(from: &Person, to: &mut Person, name: &str, text: &str) -> Result<()> {
    let mut sending = from.client.send(Outgoing { to: name.to_owned(), ..Outgoing::text("", text) }).await?;
    let heard = async |to: &mut Person| loop {
        let heard = to.until(|event| match event {
            Event::Entries { entries, .. } => {
                let said = |entry: &posthorn_client::proto::Entry| entry.body.as_ref().is_some_and(|b| b.text == text);
                entries.iter().find(|entry| said(entry)).map(|entry| entry.seq)
            }
            _ => None,
        });
        // Nothing comes for longer than one wait while services are away.
        if let Ok(seq) = heard.await {
            return seq;
        }
    };
    let stored = timeout(WAIT, sending.stored()).await.with_context(|| format!("{text} was not stored"))??;
    let seq = timeout(WAIT, heard(to)).await.with_context(|| format!("{text} was not heard"))?;
    ensure!(seq == stored.seq, "{text}: heard as {seq}, stored as {}", stored.seq);
    Ok(())
}

fn kill(pid: u32) -> Result<()> {
    let killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status()?;
    ensure!(killed.success(), "kill -9 {pid} failed");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_each_may_die_and_the_end_leaves_no_process_on_a_cluster() -> Result<()> {
    if mode() == Mode::Off {
        eprintln!("not run: POSTHORN_TEST_ENGINES=off");
        return Ok(());
    }
    let mut cluster = Deployment::start(&[]).await?;
    let told = Box::pin(faults_and_the_end(&mut cluster)).await;
    told.with_context(|| format!("logs and data are in {}", cluster.keep().display()))
}

async fn faults_and_the_end(cluster: &mut Deployment) -> Result<()> {
    for name in SERVICES.iter().chain(&ENGINES) {
        ensure!(cluster.pids(name).len() == if SERVICES.contains(name) { 2 } else { 1 }, "{:?}", cluster.running);
    }
    ensure!(cluster.change("up", &[]).await.is_err_and(|error| error.to_string().contains("already")));
    let (ann, mut ben) = (person(cluster, "ann").await?, person(cluster, "ben").await?);
    say(&ann, &mut ben, "ben", "all of them").await?;

    one_trace(cluster).await?;
    an_operator_begins(cluster).await?;

    for service in SERVICES {
        kill(cluster.pids(service)[0])?;
    }
    let status = cluster.status().await?;
    ensure!(status["up"] == true && status["ready"] == false, "{status}");
    for service in SERVICES {
        ensure!(status["pids"][service] == serde_json::json!([cluster.pids(service)[1]]), "{service}: {status}");
    }
    say(&ann, &mut ben, "ben", "half of them").await?;

    let before = cluster.running.pids.clone();
    cluster.change("start", &["routing-1", "storage"]).await?;
    ensure!(cluster.pids("routing").len() == 2 && cluster.pids("gateway").len() == 1, "{:?}", cluster.running);
    cluster.change("start", &[]).await?;
    for service in SERVICES {
        let (now, then) = (cluster.pids(service), &before[service]);
        ensure!(now.len() == 2 && now[1] == then[1] && now[0] != then[0], "{service}: {then:?}, then {now:?}");
    }
    let status = cluster.status().await?;
    ensure!(status["ready"] == true, "{status}");
    say(&ann, &mut ben, "ben", "all of them again").await?;
    // New connections find their way, too.
    let cyd = person(cluster, "cyd").await?;
    say(&cyd, &mut ben, "ben", "hello").await?;

    // What was killed a moment ago is no longer there.
    let killed = cluster.pids("cassandra")[0];
    kill(killed)?;
    cluster.change("start", &["cassandra"]).await?;
    ensure!(cluster.pids("cassandra") != [killed], "{:?}", cluster.running);
    say(&cyd, &mut ben, "ben", "still there").await?;

    for person in [ann, ben, cyd] {
        person.leave().await?;
    }
    let all: Vec<u32> = cluster.running.pids.values().flatten().copied().collect();
    ensure!(all.len() == 2 * SERVICES.len() + ENGINES.len() + 1, "{all:?}");
    cluster.down().await?;
    // Those whose parent does not ask for their status are left as zombies.
    let alive: Vec<u32> = all.into_iter().filter(|pid| Detached::of(*pid).is_ok_and(Detached::running)).collect();
    ensure!(alive.is_empty(), "still there: {alive:?}");
    let status = cluster.status().await?;
    ensure!(status["up"] == false && status["ready"] == false, "{status}");
    cluster.down().await.context("once more")
}

/// From the sender's frame to the recipient's, through processes that share no memory: gateway, routing, storage,
/// over NATS, the other gateway.
async fn one_trace(cluster: &Deployment) -> Result<()> {
    let backend = Backend::new(&cluster.running.http, &cluster.running.admin_key, WAIT)?;
    let mut people = Vec::new();
    for user in ["ann", "ben"] {
        let token = backend.mint_token(user, "tablet", 3_600, "unlimited").await?.token;
        let connect = Connect { token, ..Connect::default() };
        people.push(Raw::connect(&cluster.running.ws, Format::Json, connect).await?);
    }
    let send = Some(Request::Send(Send { to: "ben".into(), ..text_of("follow me") }));
    let traceparent = format!("00-{TRACE_ID}-{SPAN_ID}-01");
    people[0].send(&ClientFrame { id: 90, traceparent, request: send }).await?;
    let Frame::Sent(sent) = people[0].reply(90).await? else { bail!("not sent") };
    people[1].entries_to(&sent.conversation, sent.seq).await?;

    let mut told = BTreeMap::new();
    for service in ["gateway", "session", "routing", "storage"] {
        for number in 1..=2 {
            let log = format!("{service}-{number}.log");
            let text = std::fs::read_to_string(cluster.dir().join("log").join(&log))?;
            let lines: Vec<String> = text.lines().filter(|line| line.contains(TRACE_ID)).map(str::to_owned).collect();
            told.insert((service, number), lines);
        }
    }
    let which = |service: &str, words: &[&str]| -> Vec<u32> {
        let says = |lines: &[String]| lines.iter().any(|line| words.iter().all(|word| line.contains(word)));
        let those = told.iter().filter(|((of, _), lines)| *of == service && says(lines));
        those.map(|((_, number), _)| *number).collect()
    };
    let sender = which("gateway", &["a request to trace", "send"]);
    ensure!(sender.len() == 1, "one gateway took the frame: {told:?}");
    for (service, method) in [("routing", "Append"), ("storage", "Append"), ("session", "Lookup")] {
        ensure!(!which(service, &["answered", method]).is_empty(), "{service} {method}: {told:?}");
    }
    let delivered = which("gateway", &["deliver", "in the connection's queue"]);
    ensure!(delivered.iter().any(|gateway| !sender.contains(gateway)), "the other gateway delivered it: {told:?}");
    Ok(())
}

/// With a key that the deployment's own network gives; that of an application does not do.
async fn an_operator_begins(cluster: &Deployment) -> Result<()> {
    let config = cluster.dir().join("config/gateway-1.toml");
    let made = Command::new(Server::binary()?).args(["operator-key", "--config"]).arg(config).output().await?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let made = String::from_utf8(made.stdout)?;
    let letters = format!("{}/v1/operator/letters/push", cluster.running.http);
    for (key, status) in [(made.trim(), 200), (cluster.running.admin_key.as_str(), 403)] {
        let answer = reqwest::Client::new().get(&letters).bearer_auth(key).send().await?;
        ensure!(answer.status() == status, "{status}, not {}", answer.status());
    }
    Ok(())
}
