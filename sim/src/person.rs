//! A person with one device: sends, or adds and removes guests, or is one; receives, comes back after every crash.

use std::{sync::Arc, time::Duration};

use anyhow::bail;
use posthorn_client::{
    Client, ClientConfig, ClientDeps, ClientError, ConnectionState, Event, Outgoing, SendState, Sink,
    proto::{Entry, History as HistoryRequest, Mark},
};
use posthorn_clock::{Clock, sleep};
use posthorn_errors::Code;
use posthorn_history::{Kind, Op, Scope, body_digest, user_of};
use posthorn_tasks::Tasks;

use crate::{
    crowd::{Crowd, POLL},
    guests::{Host, Seat},
    heard::{Ear, hear, item_of, present, seated},
    history::History,
    net::SimConnector,
    world::{PORT, World},
};

pub struct Person {
    /// Of its user, or of a second device of the user's: `user/device`.
    pub name: String,
    pub number: u64,
    pub part: Part,
    pub conversations: Vec<String>,
}

/// What somebody does until everything has been said.
pub enum Part {
    /// `marks`: now and then what it has; `until`: when it goes.
    Talks { sends: u64, marks: bool, until: Until },
    /// Watches those who talk, too.
    Hosts(Host),
    /// Is there where the host has added it.
    Visits,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// It has read everything; the host has to see that it went.
    Read,
    /// The host has seen who is there.
    Seen,
    /// It has read everything, and nobody watches.
    Unwatched,
}

impl Part {
    const fn until(&self) -> Until {
        if let Self::Talks { until, .. } = self { *until } else { Until::Unwatched }
    }

    /// Others wait for it.
    pub const fn acts(&self) -> bool {
        !matches!(self, Self::Visits)
    }
}

/// Entries in one page of the final read.
const PAGE: u64 = 200;
const AGAIN: Duration = Duration::from_millis(50);
/// Between two sends at most, ms; of whoever marks now and then, after one send of so many.
const QUICKLY_MS: u64 = 120;
const SLOWLY_MS: u64 = 250;
const MARKS_ONE_IN: u64 = 4;

impl Person {
    pub async fn live(self, world: World, crowd: Crowd, history: History) -> turmoil::Result {
        let token = loop {
            match world.token(&self.name) {
                Some(token) => break token,
                None => sleep(Duration::from_millis(5)).await,
            }
        };
        let (ear, mut events) = Ear::new(&self.name, &history);
        let clock = world.clock(self.number, 0);
        let deps = ClientDeps {
            clock: clock.clone(),
            tasks: Tasks::new(),
            connector: Arc::new(SimConnector::to(world.gates(), usize::try_from(self.number)?)),
            tokens: Arc::new(token),
            sink: Sink::Observer(Arc::new(ear)),
        };
        let client = Client::start(ClientConfig::new(format!("ws://gate:{PORT}/v1/ws")), deps);
        let (name, conversations) = (self.name.clone(), self.conversations.clone());
        let (heard, seen) = (history.clone(), crowd.clone());
        let listener = async move {
            while let Some(event) = events.recv().await {
                if let Event::State(ConnectionState::Disconnected { reason }) = &event {
                    return format!("{name} stays away: {reason:?}");
                }
                hear(&name, &conversations, &heard, &seen, event);
            }
            format!("the client of {name} ended")
        };
        tokio::select! {
            biased;
            result = self.act(&client, &clock, &crowd, &history) => result?,
            why = listener => return Err(why.into()),
        }
        client.close().await;
        if self.part.until() == Until::Read {
            history.add(&self.name, Kind::Ok, Op::Truth { user: self.name.clone(), online: false });
            crowd.is_there(&self.name, false);
        }
        Ok(())
    }

    async fn act(&self, client: &Client, clock: &Clock, crowd: &Crowd, history: &History) -> anyhow::Result<()> {
        let mut changes = Vec::new();
        match &self.part {
            Part::Talks { sends, marks, .. } => self.talk((*sends, *marks), client, clock, (crowd, history)).await?,
            Part::Hosts(host) => {
                for now in host.watch(client).await? {
                    present(&self.name, history, crowd, &now);
                }
                changes = host.act(client, clock, &self.conversations).await?;
            }
            Part::Visits => {}
        }
        if self.part.acts() {
            crowd.one_has_ended();
        }
        while !crowd.at_rest() {
            sleep(POLL).await;
        }
        if crowd.settles() {
            history.add(&self.name, Kind::Ok, Op::Settled);
        }
        for conversation in &self.conversations {
            if matches!(self.part, Part::Visits) {
                let seats = crowd.seats(self.conversations.len(), conversation, &self.name).await;
                self.visited(client, crowd, history, conversation, &seats).await?;
                continue;
            }
            let log = self.whole(client, crowd, history, conversation, true).await?;
            if let Part::Hosts(host) = &self.part {
                let seats = host.seats(conversation, &log, &changes)?;
                for ((conversation, guest), seats) in &seats {
                    seated(history, &self.name, conversation, guest, seats);
                }
                crowd.seat(seats);
            }
        }
        if self.part.until() == Until::Seen {
            history.add(&self.name, Kind::Ok, Op::Truth { user: self.name.clone(), online: true });
            crowd.is_there(&self.name, true);
            crowd.looked().await;
        }
        if let Part::Hosts(host) = &self.part {
            crowd.look(&host.watched).await;
        }
        Ok(())
    }

    async fn talk(
        &self,
        (sends, marks): (u64, bool),
        client: &Client,
        clock: &Clock,
        (crowd, history): (&Crowd, &History),
    ) -> anyhow::Result<()> {
        let between_ms = if marks { SLOWLY_MS } else { QUICKLY_MS };
        for n in 0..sends {
            sleep(Duration::from_millis(clock.below(between_ms))).await;
            let conversation = &self.conversations[usize::try_from(clock.below(self.conversations.len() as u64))?];
            let id = format!("{}-{n}", self.name);
            let op = |seq, again| Op::Send {
                conversation: conversation.clone(),
                id: id.clone(),
                author: user_of(&self.name).to_owned(),
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
            let had = crowd.has(&self.name, conversation);
            if marks && had > 0 && clock.below(MARKS_ONE_IN) == 0 {
                self.mark(client, (crowd, history), conversation, (had, clock.below(had + 1))).await?;
            }
        }
        Ok(())
    }

    /// Reads all that it may see, marks it where it may, and waits until as much has come by itself.
    async fn whole(
        &self,
        client: &Client,
        crowd: &Crowd,
        history: &History,
        conversation: &str,
        marks: bool,
    ) -> anyhow::Result<Vec<Entry>> {
        let op = |entries| Op::Read { conversation: conversation.to_owned(), scope: Scope::Whole, entries };
        history.add(&self.name, Kind::Invoke, op(Vec::new()));
        let entries = self.read(client, conversation).await?;
        let end = entries.last().map_or(0, |entry| entry.seq);
        history.add(&self.name, Kind::Ok, op(entries.iter().map(item_of).collect()));
        if marks {
            // So that something stays unread.
            self.mark(client, (crowd, history), conversation, (end, end / 2)).await?;
        }
        // Whatever was missed comes by itself; the simulation's time limit is the bound.
        crowd.received(&self.name, conversation, end).await;
        Ok(entries)
    }

    /// A guest finds what it could see, a stranger that there is nothing.
    async fn visited(
        &self,
        client: &Client,
        crowd: &Crowd,
        history: &History,
        conversation: &str,
        seats: &[Seat],
    ) -> anyhow::Result<()> {
        if let Some(last) = seats.last() {
            return self.whole(client, crowd, history, conversation, last.to.is_none()).await.map(drop);
        }
        match self.read(client, conversation).await {
            Err(ClientError::Refused(failure)) if failure.code == Code::NotFound => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => bail!("{conversation}: {} was never added and may read", self.name),
        }
    }

    /// Has, and has read, up to there.
    async fn mark(
        &self,
        client: &Client,
        (crowd, history): (&Crowd, &History),
        conversation: &str,
        (delivered, read): (u64, u64),
    ) -> anyhow::Result<()> {
        let (place, user) = (conversation.to_owned(), user_of(&self.name).to_owned());
        let op = |delivered, read| Op::Mark { conversation: place.clone(), user: user.clone(), delivered, read };
        history.add(&self.name, Kind::Invoke, op(delivered, read));
        loop {
            match client.mark(Mark { conversation: place.clone(), delivered, read }).await {
                Ok(now) => {
                    // Until then an event has told it, and the answer may wait here behind the next one.
                    if crowd.has_settled() {
                        history.add(&self.name, Kind::Ok, op(now.delivered, now.read));
                    }
                    let unread = Op::Unread { conversation: place.clone(), read: now.read, unread: now.unread };
                    history.add(&self.name, Kind::Ok, unread);
                    return Ok(());
                }
                Err(error) if error.retryable() => sleep(AGAIN).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn read(&self, client: &Client, conversation: &str) -> Result<Vec<Entry>, ClientError> {
        let mut entries = Vec::new();
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
                    entries.extend(page.entries);
                    if page.next == 0 {
                        return Ok(entries);
                    }
                    after = page.next;
                }
                Err(error) if error.retryable() => sleep(AGAIN).await,
                Err(error) => return Err(error),
            }
        }
    }
}
