//! A user with a device that is connected through the SDK.

use std::sync::Arc;

use anyhow::{Result, ensure};
use posthorn_client::{Client, ClientConfig, ClientDeps, Event, Observer, Sink, TcpConnector};
use posthorn_clock::{Clock, timeout};
use posthorn_tasks::Tasks;
use tokio::sync::mpsc;

use crate::{LIMIT, Tenant};

/// Drop it to leave without a word; [`Person::leave`] closes properly.
pub struct Person {
    pub client: Client,
    events: mpsc::UnboundedReceiver<Event>,
    tasks: Tasks,
}

/// Keeps every event: a test that reads none of them ends soon.
struct Events(mpsc::UnboundedSender<Event>);

impl Observer for Events {
    fn event(&self, event: Event) {
        let _ = self.0.send(event);
    }
}

impl Tenant {
    /// The user, made if not there, on `device`; connected when this returns.
    pub async fn connect(&self, user: &str, device: &str) -> Result<Person> {
        self.connect_with(user, device, ClientConfig::new(&self.ws)).await
    }

    /// With another configuration of the client.
    pub async fn connect_with(&self, user: &str, device: &str, config: ClientConfig) -> Result<Person> {
        self.user(user).await?;
        let token = self.token_of(user, device, "unlimited", crate::tenant::TOKEN_TTL_S).await?;
        Person::connect(token, config).await
    }
}

impl Person {
    /// Whoever the token is for; connected when this returns.
    pub async fn connect(token: String, config: ClientConfig) -> Result<Self> {
        let person = Self::start(token, config);
        let connected = timeout(LIMIT, person.client.connected()).await;
        ensure!(connected == Ok(true), "not connected in {} s", LIMIT.as_secs());
        Ok(person)
    }

    /// Begins to connect.
    #[must_use]
    pub fn start(token: String, config: ClientConfig) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let tasks = Tasks::new();
        let deps = ClientDeps {
            clock: Clock::system(),
            tasks: tasks.clone(),
            connector: Arc::new(TcpConnector),
            tokens: Arc::new(token),
            sink: Sink::Observer(Arc::new(Events(sender))),
        };
        let client = Client::start(config, deps);
        Self { client, events, tasks }
    }

    /// Waits for the first event that `wanted` finds something in; those before it are dropped.
    pub async fn until<T>(&mut self, wanted: impl Fn(&Event) -> Option<T>) -> Result<T> {
        let found = timeout(LIMIT, async {
            while let Some(event) = self.events.recv().await {
                if let Some(found) = wanted(&event) {
                    return Some(found);
                }
            }
            None
        });
        match found.await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => anyhow::bail!("the client has ended"),
            Err(_) => anyhow::bail!("the event did not come within {} s", LIMIT.as_secs()),
        }
    }

    /// Ends the client and waits for it.
    pub async fn leave(self) -> Result<()> {
        let Self { client, tasks, .. } = self;
        drop(client);
        tasks.stop();
        ensure!(tasks.ended(LIMIT).await, "the client did not end");
        Ok(())
    }
}
