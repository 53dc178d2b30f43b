//! A client for every user: each with its own token and its own WebSocket.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use anyhow::{Result, bail};
use futures_util::{StreamExt, stream};
use posthorn_client::{
    Client, ClientConfig, ClientDeps, Connector, Observer, Saved, Sink, TokenError, TokenReason, TokenSource,
    backend::{Backend, BackendError},
};
use posthorn_clock::{Clock, sleep};
use posthorn_history::{Kind, Op};
use posthorn_tasks::Tasks;
use tokio::sync::Semaphore;

use super::{
    ledger::{Ledger, Watcher},
    patience::Patience,
    tape::{Tape, Taped},
};

/// Requests over HTTP at the same time.
const HTTP_IN_FLIGHT: usize = 64;
/// Connections that are being opened at the same time.
const DIALS_IN_FLIGHT: usize = 128;
/// Longer than any run: the server accepts up to thirty days.
const TOKEN_TTL_S: u64 = 7 * 86_400;
/// The class without rate limits that `posthorn dev` knows; a server without it applies its default.
const LIMIT_CLASS: &str = "unlimited";

/// A user of the run.
pub struct Person {
    pub id: String,
    pub name: String,
    /// (file, where they may see)
    pub seats: Vec<(usize, Vec<(u64, u64)>)>,
}

pub struct Member {
    pub id: String,
    pub client: Client,
    pub watcher: Arc<Watcher>,
}

pub struct Fleet {
    pub members: Vec<Member>,
}

struct Tokens {
    backend: Backend,
    user: String,
    device: String,
    slots: Arc<Semaphore>,
}

#[async_trait::async_trait]
impl TokenSource for Tokens {
    async fn token(&self, _reason: TokenReason) -> Result<String, TokenError> {
        let _slot = self.slots.acquire().await;
        let minted = self.backend.mint_token(&self.user, &self.device, TOKEN_TTL_S, LIMIT_CLASS).await;
        minted
            .map(|minted| minted.token)
            .map_err(|error| TokenError { message: error.to_string(), give_up: !error.retryable() })
    }
}

pub struct Launch<'a> {
    pub backend: &'a Backend,
    pub connector: Arc<dyn Connector>,
    pub url: &'a str,
    pub device: &'a str,
    pub clock: &'a Clock,
    pub tasks: &'a Tasks,
    pub ledger: &'a Arc<Ledger>,
    pub tape: &'a Tape,
    pub patience: &'a Patience,
    /// Conversations exist already: read them from their beginning.
    pub resumed: bool,
}

impl Fleet {
    /// Makes the users and connects them all.
    pub async fn launch(launch: &Launch<'_>, people: &[Person]) -> Result<Self> {
        create_users(launch, people).await?;
        let slots = Arc::new(Semaphore::new(HTTP_IN_FLIGHT));
        let started = stream::iter(people.iter().enumerate().map(|(number, person)| {
            let slots = Arc::clone(&slots);
            async move {
                let member = start(launch, number, person, slots);
                let connected = launch.patience.until(member.client.connected()).await;
                (connected == Some(true)).then_some(member)
            }
        }))
        .buffered(DIALS_IN_FLIGHT)
        .collect::<Vec<_>>()
        .await;
        let members: Option<Vec<_>> = started.into_iter().collect();
        let Some(members) = members else { bail!("not every user could connect to {}", launch.url) };
        // From now on nothing that happens can be taken for what was there before.
        let synced = async {
            while launch.ledger.synced.load(Relaxed) < members.len() as u64 {
                sleep(Duration::from_millis(10)).await;
            }
        };
        if launch.patience.until(synced).await.is_none() {
            bail!("not every user could sync");
        }
        Ok(Self { members })
    }

    pub async fn close(&self) {
        stream::iter(&self.members).for_each_concurrent(DIALS_IN_FLIGHT, |member| member.client.close()).await;
    }
}

async fn create_users(launch: &Launch<'_>, people: &[Person]) -> Result<()> {
    let mut created = stream::iter(people.iter().map(|person| async move {
        let name: String = person.name.chars().take(200).collect();
        let made = again(launch.patience, || launch.backend.create_user(&person.id, &name)).await;
        match made {
            // Somebody named them otherwise: they are there.
            Err(error) if error.code() == Some(posthorn_errors::Code::AlreadyExists) => Ok(()),
            made => made,
        }
    }))
    .buffer_unordered(HTTP_IN_FLIGHT);
    while let Some(made) = created.next().await {
        made?;
    }
    Ok(())
}

/// Tries again what may succeed later, for as long as the run is patient.
pub async fn again<T, F: Future<Output = Result<T, BackendError>>>(
    patience: &Patience,
    mut ask: impl FnMut() -> F,
) -> Result<T, BackendError> {
    let mut delay_ms = 50;
    loop {
        match ask().await {
            Err(error) if error.retryable() && !patience.over() => {
                sleep(Duration::from_millis(error.retry_after_ms().max(delay_ms))).await;
                delay_ms = (delay_ms * 2).min(1_000);
            }
            answer => {
                if answer.is_ok() {
                    patience.progress();
                }
                return answer;
            }
        }
    }
}

fn start(launch: &Launch<'_>, number: usize, person: &Person, slots: Arc<Semaphore>) -> Member {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    let watcher = Arc::new(Watcher::new(Arc::clone(launch.ledger), number, person.seats.clone()));
    let tokens =
        Tokens { backend: launch.backend.clone(), user: person.id.clone(), device: launch.device.to_owned(), slots };
    let mut config = ClientConfig::new(launch.url);
    config.name = "posthorn-replay".to_owned();
    config.auto_delivered = false;
    // Missed entries are always filled: the check is about all of them.
    config.max_fill_entries = u64::MAX / 2;
    config.page_entries = 500;
    config.backoff_base_ms = 200;
    config.backoff_cap_ms = 2_000;
    config.command_queue = 4;
    if launch.resumed {
        let from_the_start = |(file, _): &(usize, _)| (launch.ledger.expected[*file].conversation.clone(), 0);
        let seen: BTreeMap<_, _> = person.seats.iter().map(from_the_start).collect();
        config.saved = Some(Saved { seen, ..Saved::default() });
    }
    let deps = ClientDeps {
        clock: launch.clock.clone(),
        tasks: launch.tasks.clone(),
        connector: Arc::clone(&launch.connector),
        tokens: Arc::new(tokens),
        sink: Sink::Observer(observer(launch, person, &watcher)),
    };
    Member { id: person.id.clone(), client: Client::start(config, deps), watcher }
}

/// Who counts, behind the tape where there is one.
fn observer(launch: &Launch<'_>, person: &Person, watcher: &Arc<Watcher>) -> Arc<dyn Observer> {
    if !launch.tape.on() {
        return watcher.clone();
    }
    for (file, _) in &person.seats {
        // The run made the conversations: nothing of them can be known before.
        let conversation = launch.ledger.expected[*file].conversation.clone();
        launch.tape.add(&person.id, Kind::Ok, Op::Follow { conversation, connection: 0, after: 0 });
    }
    Arc::new(Taped::new(launch.tape.clone(), person.id.clone(), Arc::clone(watcher)))
}
