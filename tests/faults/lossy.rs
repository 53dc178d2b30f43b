//! A way to NATS on which publications of the bus are lost: neither who publishes nor who subscribes is told.
//! It reads what clients send, <https://docs.nats.io/reference/reference-protocols/nats-protocol>.

use std::{
    io::{Error, ErrorKind, Result as Io},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use posthorn_client::{ConnectionState, Event, Outgoing, proto::Entry};
use posthorn_clock::{Instant, sleep, timeout};
use posthorn_proto::internal::{Publication, publication::What};
use posthorn_tasks::Tasks;
use posthorn_testkit::{Deployment, Person};
use prost::Message;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter, copy},
    net::{TcpListener, TcpStream},
};

use crate::after::person;

/// Those who publish to gateways and on conversations' subjects.
const PUBLISHERS: [&str; 2] = ["session", "routing"];
/// Nobody waits longer for what the bus lost.
const SHOWN: Duration = Duration::from_secs(5);
/// How long each share of the publications is lost.
const LOSSY: Duration = Duration::from_secs(6);
/// Publications that are lost at least while people talk: else nothing was tried.
const ENOUGH: u64 = 50;
/// A link is silent: only its heartbeats come.
const SILENCE: Duration = Duration::from_secs(2);
/// Bytes of a line of the protocol at most; the first one of a client is the longest.
const MAX_LINE: usize = 64 * 1024;
/// Bytes of a payload at most, as the server has it by default.
const MAX_PAYLOAD: usize = 1024 * 1024;

pub struct Lossy {
    pub address: SocketAddr,
    losses: Arc<Losses>,
    tasks: Tasks,
}

#[derive(Default)]
struct Losses {
    /// Each publication with a number that this divides is lost; 0: none.
    every: AtomicU64,
    published: AtomicU64,
    lost: AtomicU64,
}

impl Drop for Lossy {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl Lossy {
    pub async fn to(upstream: String) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, tasks) = (listener.local_addr()?, Tasks::new());
        let losses = Arc::<Losses>::default();
        let (carried, inner) = (Arc::clone(&losses), tasks.clone());
        let accept = async move {
            loop {
                // An error is of that connection alone.
                let Ok((client, _)) = listener.accept().await else { continue };
                let (losses, upstream) = (Arc::clone(&carried), upstream.clone());
                // An error ends the connection, which is all that either end has to know.
                let carried = async move { drop(carry(client, &upstream, &losses).await) };
                inner.background("a lossy connection", inner.until_stopped(carried));
            }
        };
        tasks.background("a lossy way", tasks.until_stopped(accept));
        Ok(Self { address, losses, tasks })
    }

    /// Between the publishers and NATS from now on.
    pub async fn between(cluster: &Deployment) -> Result<Self> {
        let way = Self::to(cluster.member("nats").await?.address).await?;
        restart(cluster, &[("POSTHORN__NATS__SERVERS", &format!("nats://{}", way.address))]).await?;
        Ok(way)
    }

    /// Each publication with a number that `every` divides from now on; 0: none.
    pub fn lose(&self, every: u64) {
        self.losses.every.store(every, Ordering::Relaxed);
    }

    fn lost(&self) -> u64 {
        self.losses.lost.load(Ordering::Relaxed)
    }

    /// While people talk: some of it, then all of it.
    pub async fn lose_some_then_all(&self) -> Result<()> {
        for every in [3, 1] {
            self.lose(every);
            sleep(LOSSY).await;
        }
        self.lose(0);
        ensure!(self.lost() >= ENOUGH, "only {} publications were lost", self.lost());
        Ok(())
    }

    /// Nobody else says anything: what comes after the lost message on its link are heartbeats.
    pub async fn lose_the_last(&self, cluster: &Deployment) -> Result<()> {
        let (ann, mut ben) = (synced(cluster, "last-ann").await?, synced(cluster, "last-ben").await?);
        for round in 0..4 {
            say(&ann, &mut ben, &format!("heard {round}")).await?;
            sleep(SILENCE).await;
            let before = self.lost();
            self.lose(1);
            let said = say(&ann, &mut ben, &format!("lost {round}")).await;
            self.lose(0);
            said.context("the last message before a silence")?;
            ensure!(self.lost() > before, "nothing was lost");
        }
        ann.leave().await?;
        ben.leave().await
    }

    /// As it was.
    pub async fn leave(self, cluster: &Deployment) -> Result<()> {
        restart(cluster, &[]).await
    }
}

pub async fn restart(cluster: &Deployment, environment: &[(&str, &str)]) -> Result<()> {
    for part in PUBLISHERS {
        for member in cluster.members(part).await? {
            cluster.cluster("stop", &[&member.name]).await?;
            cluster.cluster_in(environment, "start", &[&member.name]).await?;
        }
    }
    cluster.ready().await
}

/// What a first sync finds is no news.
async fn synced(cluster: &Deployment, user: &str) -> Result<Person> {
    let mut person = person(cluster, user).await?;
    person.until(|event| matches!(event, Event::Synced { .. }).then_some(())).await?;
    Ok(person)
}

/// It is shown in time, on the connection that was there.
async fn say(from: &Person, to: &mut Person, text: &str) -> Result<()> {
    let outgoing = Outgoing { to: "last-ben".to_owned(), ..Outgoing::text("", text) };
    from.client.send(outgoing).await?.stored().await?;
    let stored = Instant::now();
    let is_it = |entry: &Entry| entry.body.as_ref().is_some_and(|body| body.text == text);
    let heard = to.until(|event| match event {
        Event::Entries { entries, .. } if entries.iter().any(is_it) => Some(true),
        Event::State(ConnectionState::Connecting { .. } | ConnectionState::Disconnected { .. }) => Some(false),
        _ => None,
    });
    let connected = timeout(SHOWN, heard).await.with_context(|| format!("{text:?} is not shown in {SHOWN:?}"))??;
    ensure!(connected, "who waits for {text:?} was disconnected after {:?}", stored.elapsed());
    Ok(())
}

async fn carry(mut client: TcpStream, upstream: &str, losses: &Losses) -> Io<()> {
    let mut server = TcpStream::connect(upstream).await?;
    let (from_client, mut to_client) = client.split();
    let (mut from_server, to_server) = server.split();
    tokio::select! {
        ended = publish(BufReader::new(from_client), BufWriter::new(to_server), losses) => ended,
        ended = copy(&mut from_server, &mut to_client) => ended.map(drop),
    }
}

/// What the client sends, less what is lost.
async fn publish(
    mut from: BufReader<impl AsyncRead + Unpin>,
    mut to: BufWriter<impl AsyncWrite + Unpin>,
    losses: &Losses,
) -> Io<()> {
    let mut operation = Vec::new();
    loop {
        operation.clear();
        let line = (&mut from).take(MAX_LINE as u64).read_until(b'\n', &mut operation).await?;
        if line == 0 {
            return Ok(());
        }
        if !operation.ends_with(b"\n") {
            return Err(Error::new(ErrorKind::InvalidData, "a line without its end"));
        }
        let Some(published) = Published::of(&operation)? else {
            to.write_all(&operation).await?;
            flush_when_idle(&from, &mut to).await?;
            continue;
        };
        let bytes = line + published.size;
        // The payload has a line break of its own.
        operation.resize(bytes + 2, 0);
        from.read_exact(&mut operation[line..]).await?;
        if !(published.live && losses.take(&operation[line + published.headers..bytes])) {
            to.write_all(&operation).await?;
        }
        flush_when_idle(&from, &mut to).await?;
    }
}

/// Before it waits for more.
async fn flush_when_idle(from: &BufReader<impl AsyncRead>, to: &mut BufWriter<impl AsyncWrite + Unpin>) -> Io<()> {
    if from.buffer().is_empty() { to.flush().await } else { Ok(()) }
}

/// `PUB subject [reply] bytes`, or `HPUB subject [reply] bytes-of-headers bytes`.
struct Published {
    headers: usize,
    size: usize,
    /// It is for a gateway, or on a conversation's subject.
    live: bool,
}

impl Published {
    fn of(line: &[u8]) -> Io<Option<Self>> {
        let malformed = || Error::new(ErrorKind::InvalidData, "no publication");
        let text = std::str::from_utf8(line).map_err(|_| malformed())?;
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let number = |back: usize| {
            let number = words.iter().rev().nth(back).and_then(|word| word.parse::<usize>().ok());
            number.filter(|bytes| *bytes <= MAX_PAYLOAD).ok_or_else(malformed)
        };
        let headers = match words.first() {
            Some(&"PUB") => 0,
            Some(&"HPUB") => number(1)?,
            _ => return Ok(None),
        };
        let subject = words.get(1).ok_or_else(malformed)?;
        let live = [".bus.gateway.", ".bus.conversation."].iter().any(|kind| subject.contains(kind));
        Ok(Some(Self { headers, size: number(0)?, live }))
    }
}

impl Losses {
    /// Whether this one is lost. Heartbeats come through: they tell of the loss.
    fn take(&self, payload: &[u8]) -> bool {
        let every = self.every.load(Ordering::Relaxed);
        let publication = Publication::decode(payload).ok().and_then(|publication| publication.what);
        if every == 0 || matches!(publication, None | Some(What::Heartbeat(_) | What::End(_))) {
            return false;
        }
        let lost = (self.published.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(every);
        self.lost.fetch_add(u64::from(lost), Ordering::Relaxed);
        lost
    }
}
