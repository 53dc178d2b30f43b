//! A person with one device: sends, receives, comes back after every crash.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use posthorn_client::{
    Client, ClientConfig, ClientDeps, ConnectionState, Event, Outgoing, SendState, Sink,
    proto::{Entry, History as HistoryRequest, Kind as EntryKind, Mark},
};
use posthorn_clock::{Clock, sleep};
use posthorn_history::{Item, Kind, Op, Scope, body_digest};
use posthorn_tasks::Tasks;

use crate::{
    history::History,
    net::SimConnector,
    world::{PORT, World},
};

/// Shared by the people of one simulation.
#[derive(Clone, Default)]
pub struct Crowd(Rc<RefCell<Gathered>>);

#[derive(Default)]
struct Gathered {
    still_sending: usize,
    /// Nothing is broken any more.
    calm: bool,
    settled: bool,
    /// Highest seq that each person received, by conversation.
    received: BTreeMap<(String, String), u64>,
    /// Conversations that each person was told the beginning of.
    followed: BTreeSet<(String, String)>,
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

    pub fn calm_down(&self) {
        self.0.borrow_mut().calm = true;
    }

    fn at_rest(&self) -> bool {
        self.all_sent() && self.0.borrow().calm
    }

    /// True for one of them.
    fn settles(&self) -> bool {
        !std::mem::replace(&mut self.0.borrow_mut().settled, true)
    }

    /// True once, and only before anything came: the first sync tells where a client begins.
    fn follows(&self, name: &str, conversation: &str, after: u64) -> bool {
        let key = (name.to_owned(), conversation.to_owned());
        let mut gathered = self.0.borrow_mut();
        let first = !gathered.received.contains_key(&key) && gathered.followed.insert(key.clone());
        if first {
            // Nothing before it comes.
            gathered.received.insert(key, after);
        }
        first
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

/// What a person calls an entry: the text, which is unique; nothing where the server made it.
fn item_of(entry: &Entry) -> Item {
    match &entry.body {
        Some(body) if entry.kind() == EntryKind::Message => {
            Item::new(entry.seq, body.text.as_str(), body_digest(body.text.as_bytes()))
        }
        _ => Item::new(entry.seq, "", 0),
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
        let clock = world.clock(self.number, 0);
        let deps = ClientDeps {
            clock: clock.clone(),
            tasks: Tasks::new(),
            connector: Arc::new(SimConnector::to(world.gates(), usize::try_from(self.number)?)),
            tokens: Arc::new(token),
            sink,
        };
        let client = Client::start(ClientConfig::new(format!("ws://gate:{PORT}/v1/ws")), deps);
        let (name, heard, seen) = (self.name.clone(), history.clone(), crowd.clone());
        let listener = async move {
            while let Some(event) = events.recv().await {
                if let Event::State(ConnectionState::Disconnected { reason }) = &event {
                    return format!("{name} stays away: {reason:?}");
                }
                hear(&name, &heard, &seen, event);
            }
            format!("the client of {name} ended")
        };
        tokio::select! {
            biased;
            result = self.act(&client, &clock, &crowd, &history) => result?,
            why = listener => return Err(why.into()),
        }
        client.close().await;
        Ok(())
    }

    async fn act(&self, client: &Client, clock: &Clock, crowd: &Crowd, history: &History) -> anyhow::Result<()> {
        for n in 0..self.sends {
            sleep(Duration::from_millis(clock.below(120))).await;
            let conversation = &self.conversations[usize::try_from(clock.below(self.conversations.len() as u64))?];
            let id = format!("{}-{n}", self.name);
            let op = |seq, again| Op::Send {
                conversation: conversation.clone(),
                id: id.clone(),
                author: self.name.clone(),
                body: body_digest(id.as_bytes()),
                seq,
                again,
            };
            history.add(&self.name, Kind::Invoke, op(0, false));
            let mut sending = client.send(Outgoing::text(conversation, &id)).await?;
            match sending.stored().await {
                Ok(stored) => history.add(&self.name, Kind::Ok, op(stored.seq, stored.duplicate)),
                Err(_) => match sending.state() {
                    SendState::Failed(failure) if failure.code.side_effect_free() => {
                        history.add(&self.name, Kind::Fail, op(0, false));
                    }
                    _ => history.add(&self.name, Kind::Info, op(0, false)),
                },
            }
        }
        crowd.0.borrow_mut().still_sending -= 1;
        while !crowd.at_rest() {
            sleep(Duration::from_millis(20)).await;
        }
        if crowd.settles() {
            history.add(&self.name, Kind::Ok, Op::Settled);
        }
        for conversation in &self.conversations {
            let op = |entries| Op::Read { conversation: conversation.clone(), scope: Scope::Whole, entries };
            history.add(&self.name, Kind::Invoke, op(Vec::new()));
            let entries = self.read(client, conversation).await?;
            let end = entries.last().map_or(0, |item| item.seq);
            history.add(&self.name, Kind::Ok, op(entries));
            self.mark(client, history, conversation, end).await?;
            // Whatever was missed comes by itself; the simulation's time limit is the bound.
            let key = (self.name.clone(), conversation.clone());
            while crowd.0.borrow().received.get(&key).copied().unwrap_or(0) < end {
                sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }

    /// Has it all, and has read half of it: so that something stays unread.
    async fn mark(&self, client: &Client, history: &History, conversation: &str, end: u64) -> anyhow::Result<()> {
        let (place, user) = (conversation.to_owned(), self.name.clone());
        let op = |delivered, read| Op::Mark { conversation: place.clone(), user: user.clone(), delivered, read };
        history.add(&self.name, Kind::Invoke, op(end, end / 2));
        loop {
            let mark = Mark { conversation: place.clone(), delivered: end, read: end / 2 };
            match client.mark(mark).await {
                Ok(now) => {
                    history.add(&self.name, Kind::Ok, op(now.delivered, now.read));
                    let unread = Op::Unread { conversation: place.clone(), read: now.read, unread: now.unread };
                    history.add(&self.name, Kind::Ok, unread);
                    return Ok(());
                }
                Err(error) if error.retryable() => sleep(Duration::from_millis(50)).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn read(&self, client: &Client, conversation: &str) -> anyhow::Result<Vec<Item>> {
        let mut items = Vec::new();
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
                    items.extend(page.entries.iter().map(item_of));
                    if page.next == 0 {
                        return Ok(items);
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
            let conversation = conversation.to_string();
            if let Some(last) = entries.last() {
                crowd.0.borrow_mut().received.insert((name.to_owned(), conversation.clone()), last.seq);
            }
            let entries = entries.iter().map(item_of).collect();
            history.add(name, Kind::Ok, Op::Receive { conversation, connection: 0, entries });
        }
        Event::Conversation(listed) if crowd.follows(name, &listed.conversation, listed.end_seq) => {
            history.add(name, Kind::Ok, Op::Follow { conversation: listed.conversation, after: listed.end_seq });
        }
        Event::State(ConnectionState::Connected { resumed, .. }) => {
            history.add(name, Kind::Ok, Op::Connect { resumed });
        }
        Event::State(ConnectionState::Connecting { reason: Some(_), .. }) => {
            history.add(name, Kind::Info, Op::Disconnect);
        }
        _ => {}
    }
}
