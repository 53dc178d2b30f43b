//! A server of a test, and connections to it.

use std::{path::Path, sync::Arc, time::Duration};

use posthorn_clock::{Clock, timeout};
use posthorn_engines::{
    Mode, mode,
    nats::{self, Nats},
};
use posthorn_nats::{Connection, JetStreamFeed, NatsBus, NatsConfig};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;
use tempfile::TempDir;

/// For things that happen soon, on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);

/// False, and said, where engines are left out.
pub fn engines() -> bool {
    if mode() == Mode::Off {
        eprintln!("POSTHORN_TEST_ENGINES=off: not run");
    }
    mode() == Mode::Run
}

/// A server of its own, to be killed.
pub struct Server {
    pub nats: Nats,
    folder: TempDir,
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    pub async fn start_with(extra: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let nats = Nats::start_with(folder.path(), extra).await.expect("a server");
        Self { nats, folder }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub async fn client(&self) -> Client {
        self.client_with(|_| {}).await
    }

    pub async fn client_with(&self, change: impl FnOnce(&mut NatsConfig)) -> Client {
        let client = Client::open(self.nats.url(), change).await;
        timeout(SOON, client.connection.connected()).await.expect("connects");
        client
    }

    pub fn kill(&mut self) {
        self.nats.process().kill().expect("kills");
    }

    pub async fn restart(&mut self) {
        self.nats.restart().await.expect("restarts");
    }
}

/// What a process of the cluster has.
pub struct Client {
    pub connection: Connection,
    pub bus: Arc<NatsBus>,
    pub metrics: Metrics,
    pub tasks: Tasks,
}

impl Client {
    pub async fn open(url: String, change: impl FnOnce(&mut NatsConfig)) -> Self {
        let mut config = NatsConfig { servers: vec![url], probe_ms: 100, reconnect_ms: 20, ..NatsConfig::default() };
        change(&mut config);
        let (metrics, tasks) = (Metrics::default(), Tasks::new());
        let opened = Connection::open(config, Clock::system(), &metrics, &tasks).await;
        let connection = opened.expect("a usable configuration");
        Self { bus: NatsBus::new(&connection), connection, metrics, tasks }
    }

    pub fn feed(&self) -> Arc<JetStreamFeed> {
        JetStreamFeed::new(&self.connection)
    }

    /// A metric's value; 0 where it was never set.
    pub fn metric(&self, name: &str) -> u64 {
        let text = self.metrics.encode();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

/// To a server that others may use, under a name of its own: the given one, or else a new one.
pub async fn shared() -> (Option<Server>, Client) {
    if let Some(url) = nats::given() {
        let prefix = format!("test_{}", Clock::system().uuid_v4().simple());
        let client = Client::open(url, |config| config.prefix = prefix).await;
        timeout(SOON, client.connection.connected()).await.expect("connects");
        return (None, client);
    }
    let server = Server::start().await;
    let client = server.client().await;
    (Some(server), client)
}
