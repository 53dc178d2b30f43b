//! A node on memory drivers, asked through its gateway without a transport.

use std::time::Duration;

use bytes::Bytes;
use posthorn_clock::{Clock, sleep, timeout};
use posthorn_core::MessageId;
use posthorn_errors::{Code, Failure};
use posthorn_gateway::conversations::change;
use posthorn_node::{Engines, Node, NodeConfig, NodeParts, Roles, Topology};
use posthorn_proto::{
    client::{self, History, HistoryPage, SyncPage, Unit},
    internal::{AppendItem, Caller, MarkReply, MarkRequest, SyncRequest, member_change::Op},
};
use posthorn_telemetry::Metrics;
use prost::Message;

const TENANT: &str = "acme";

pub struct World {
    node: Option<Node>,
    engines: Engines,
    clock: Clock,
    config: NodeConfig,
    metrics: Metrics,
}

fn caller(user: Option<&str>) -> Caller {
    let user = user.map(str::to_owned);
    Caller { tenant: TENANT.into(), backend: user.is_none(), user: user.unwrap_or_default(), ..Caller::default() }
}

impl World {
    pub async fn start_with(config: NodeConfig) -> Self {
        let clock = Clock::system();
        let (engines, metrics) = (Engines::memory(&clock), Metrics::default());
        let mut world = Self { node: None, engines, clock, config, metrics };
        world.begin().await;
        world
    }

    async fn begin(&mut self) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        self.metrics = Metrics::default();
        let parts = NodeParts {
            listener: Box::new(listener),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            topology: Topology::Local,
            roles: Roles::ALL,
            grpc: None,
            network: posthorn_node::Tcp::shared(),
            engines: self.engines.clone(),
            pages: axum::Router::new(),
        };
        self.node = Some(Node::start(self.config.clone(), parts).await.expect("a node that starts"));
    }

    fn node(&self) -> &Node {
        self.node.as_ref().expect("started")
    }

    /// All services anew, on the same store.
    pub async fn restart(&mut self) {
        if let Some(node) = self.node.take() {
            node.shutdown().await;
        }
        self.begin().await;
    }

    pub async fn stop(mut self) {
        if let Some(node) = self.node.take() {
            assert!(node.shutdown().await.clean());
        }
    }

    /// One of `/metrics`, since the last start.
    pub fn metric(&self, name: &str) -> u64 {
        let text = self.metrics.encode();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// Until a metric is what it should be.
    pub async fn until_metric(&self, name: &str, wanted: impl Fn(u64) -> bool) {
        let there = async {
            while !wanted(self.metric(name)) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let all = || panic!("{name} is {}:\n{}", self.metric(name), self.metrics.encode());
        timeout(Duration::from_secs(30), there).await.unwrap_or_else(|_| all());
    }

    /// Asks for a conversation that does not exist: its owner is loaded all the same.
    pub async fn view_of_nothing(&self) -> Result<(), Failure> {
        let nothing = self.history("nobody", "nowhere", 0, 1, false, false).await;
        match nothing.expect_err("found nothing") {
            failure if failure.code == Code::NotFound => Ok(()),
            failure => Err(failure),
        }
    }

    pub fn fresh_id(&self) -> String {
        self.clock.uuid_v7().to_string()
    }

    pub async fn create(
        &self,
        conversation: &str,
        visibility: client::Visibility,
        members: &[(String, client::Role)],
    ) -> Result<u64, Failure> {
        let membership =
            |(user, role): &(String, client::Role)| client::Membership { user: user.clone(), role: (*role).into() };
        let request = client::CreateConversation {
            conversation: conversation.into(),
            visibility: visibility.into(),
            members: members.iter().map(membership).collect(),
            ..Default::default()
        };
        self.node()
            .gateway()
            .expect("it runs all services")
            .create_conversation(&caller(None), request)
            .await
            .map(|created| created.seq)
    }

    pub async fn send(
        &self,
        user: &str,
        conversation: &str,
        id: &str,
        text: &str,
        after_seq: u64,
        retry: bool,
    ) -> Result<client::Sent, Failure> {
        let id: MessageId = id.parse().expect("a UUID");
        let body = client::Body { text: text.into(), ..Default::default() };
        let item = AppendItem {
            kind: client::Kind::Message.into(),
            message_id: Bytes::copy_from_slice(id.0.as_bytes()),
            after_seq,
            retry,
            body: body.encode_to_vec().into(),
            ..Default::default()
        };
        let answers = self
            .node()
            .gateway()
            .expect("it runs all services")
            .append(&caller(Some(user)), conversation, "", vec![item])
            .await?;
        answers.into_iter().next().expect("one answer")
    }

    async fn change(
        &self,
        by: Option<&str>,
        conversation: &str,
        op: Op,
        user: &str,
        role: client::Role,
    ) -> Result<u64, Failure> {
        let changes = vec![change(op, user, role)];
        self.node()
            .gateway()
            .expect("it runs all services")
            .change_members(&caller(by), conversation, changes)
            .await
            .map(|changed| changed.seq)
    }

    pub async fn add(
        &self,
        by: Option<&str>,
        conversation: &str,
        user: &str,
        role: client::Role,
    ) -> Result<u64, Failure> {
        self.change(by, conversation, Op::Add, user, role).await
    }

    pub async fn remove(&self, by: Option<&str>, conversation: &str, user: &str) -> Result<u64, Failure> {
        self.change(by, conversation, Op::Remove, user, client::Role::Unspecified).await
    }

    pub async fn leave(&self, user: &str, conversation: &str) -> Result<u64, Failure> {
        self.change(Some(user), conversation, Op::Leave, user, client::Role::Unspecified).await
    }

    pub async fn mark(&self, user: &str, conversation: &str, read: u64) -> Result<MarkReply, Failure> {
        let request =
            MarkRequest { caller: Some(caller(Some(user))), conversation: conversation.into(), delivered: 0, read };
        let reply = self.node().clients().routing.clone().mark(request).await;
        reply.map(tonic::Response::into_inner).map_err(|status| posthorn_errors::failure_of(&status))
    }

    pub async fn sync(&self, user: &str, cursor: &str) -> SyncPage {
        let request =
            SyncRequest { caller: Some(caller(Some(user))), cursor: cursor.into(), limit: 100, page: String::new() };
        let reply = self.node().clients().routing.clone().sync(request).await.expect("a sync");
        reply.into_inner().page.expect("a page")
    }

    pub async fn history(
        &self,
        user: &str,
        conversation: &str,
        from: u64,
        limit: u64,
        backwards: bool,
        messages: bool,
    ) -> Result<HistoryPage, Failure> {
        let request = History {
            conversation: conversation.into(),
            after: (!backwards).then_some(from),
            before: backwards.then_some(from),
            limit,
            unit: if messages { Unit::Messages } else { Unit::Entries }.into(),
            ..Default::default()
        };
        self.node().gateway().expect("it runs all services").history(&caller(Some(user)), request).await
    }
}
