//! A person with one device: sends, receives, comes back after every crash.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, sync::Arc, time::Duration};

use posthorn_client::{
    Client, ClientConfig, ClientDeps, ConnectionState, Event, Outgoing, SendState, Sink,
    proto::{Entry, History as HistoryRequest},
};
use posthorn_clock::{Clock, sleep};
use posthorn_tasks::Tasks;

use crate::{
    history::{History, Kind, Op},
    net::SimConnector,
    server::{HOST, PORT, World},
};

/// Shared by the people of one simulation.
#[derive(Clone, Default)]
pub struct Crowd(Rc<RefCell<Gathered>>);

#[derive(Default)]
struct Gathered {
    still_sending: usize,
    /// Highest seq that each person received, by conversation.
    received: BTreeMap<(String, String), u64>,
}

impl Crowd {
    pub fn of(count: usize) -> Self {
        let crowd = Self::default();
        crowd.0.borrow_mut().still_sending = count;
        crowd
    }

    pub fn all_sent(&self) -> bool {
        self.0.borrow().still_sending == 0
    }
}

pub struct Person {
    pub name: String,
    pub number: u64,
    pub sends: u64,
    pub conversations: Vec<String>,
}

/// Entries in one page of the final read.
const PAGE: u64 = 200;

/// What a person calls an entry: the text, which is unique, or what the server made.
fn id_of(entry: &Entry) -> String {
    match &entry.body {
        Some(body) if !body.text.is_empty() => body.text.clone(),
        _ => format!("{}@{}", entry.kind().as_str_name(), entry.seq),
    }
}

impl Person {
    pub async fn live(self, world: World, crowd: Crowd, history: History) -> turmoil::Result {
        let token = loop {
            match world.token(&self.name) {
                Some(token) => break token,
                None => sleep(Duration::from_millis(5)).await,
            }
        };
        let (sink, mut events) = Sink::channel(1_024);
        let clock = world.clock(self.number);
        let deps = ClientDeps {
            clock: clock.clone(),
            tasks: Tasks::new(),
            connector: Arc::new(SimConnector),
            tokens: Arc::new(token),
            sink,
        };
        let client = Client::start(ClientConfig::new(format!("ws://{HOST}:{PORT}/v1/ws")), deps);
        let (name, heard, seen) = (self.name.clone(), history.clone(), crowd.clone());
        let listener = async move {
            while let Some(event) = events.recv().await {
                hear(&name, &heard, &seen, event);
            }
        };
        tokio::select! {
            biased;
            result = self.act(&client, &clock, &crowd, &history) => result?,
            () = listener => {}
        }
        client.close().await;
        Ok(())
    }

    async fn act(&self, client: &Client, clock: &Clock, crowd: &Crowd, history: &History) -> anyhow::Result<()> {
        for n in 0..self.sends {
            sleep(Duration::from_millis(clock.below(120))).await;
            let conversation = &self.conversations[usize::try_from(clock.below(self.conversations.len() as u64))?];
            let id = format!("{}-{n}", self.name);
            let op = |seq| Op::Send { conversation: conversation.clone(), id: id.clone(), seq };
            history.add(&self.name, Kind::Invoke, op(0));
            let mut sending = client.send(Outgoing::text(conversation, &id)).await?;
            match sending.stored().await {
                Ok(stored) => history.add(&self.name, Kind::Ok, op(stored.seq)),
                Err(_) => match sending.state() {
                    SendState::Failed(failure) if failure.code.side_effect_free() => {
                        history.add(&self.name, Kind::Fail, op(0));
                    }
                    _ => history.add(&self.name, Kind::Info, op(0)),
                },
            }
        }
        crowd.0.borrow_mut().still_sending -= 1;
        while !crowd.all_sent() {
            sleep(Duration::from_millis(20)).await;
        }
        for conversation in &self.conversations {
            let ids = self.read(client, conversation).await?;
            let end = ids.last().map_or(0, |(seq, _)| *seq);
            history.add(&self.name, Kind::Ok, Op::Read { conversation: conversation.clone(), ids });
            // Whatever was missed comes by itself; the simulation's time limit is the bound.
            let key = (self.name.clone(), conversation.clone());
            while crowd.0.borrow().received.get(&key).copied().unwrap_or(0) < end {
                sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }

    async fn read(&self, client: &Client, conversation: &str) -> anyhow::Result<Vec<(u64, String)>> {
        let mut ids = Vec::new();
        let mut after = 0;
        loop {
            let request = HistoryRequest {
                conversation: conversation.to_owned(),
                after: Some(after),
                limit: PAGE,
                ..HistoryRequest::default()
            };
            match client.history(request).await {
                Ok(page) => {
                    ids.extend(page.entries.iter().map(|entry| (entry.seq, id_of(entry))));
                    if page.next == 0 {
                        return Ok(ids);
                    }
                    after = page.next;
                }
                Err(error) if error.retryable() => sleep(Duration::from_millis(50)).await,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn hear(name: &str, history: &History, crowd: &Crowd, event: Event) {
    match event {
        Event::Entries { conversation, entries } => {
            for entry in entries {
                let (conversation, seq, id) = (conversation.to_string(), entry.seq, id_of(&entry));
                crowd.0.borrow_mut().received.insert((name.to_owned(), conversation.clone()), seq);
                history.add(name, Kind::Ok, Op::Receive { conversation, seq, id });
            }
        }
        Event::State(ConnectionState::Connected { .. }) => history.add(name, Kind::Ok, Op::Connected),
        Event::State(ConnectionState::Connecting { reason: Some(_), .. }) => {
            history.add(name, Kind::Info, Op::Disconnected);
        }
        _ => {}
    }
}
