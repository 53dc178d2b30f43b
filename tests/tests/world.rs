//! A node on memory drivers, asked through its gateway without a transport.

use bytes::Bytes;
use posthorn_clock::Clock;
use posthorn_core::MessageId;
use posthorn_errors::Failure;
use posthorn_gateway::conversations::change;
use posthorn_node::{Engines, Node, NodeConfig, NodeParts, Topology};
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
}

fn caller(user: Option<&str>) -> Caller {
    let user = user.map(str::to_owned);
    Caller { tenant: TENANT.into(), backend: user.is_none(), user: user.unwrap_or_default(), ..Caller::default() }
}

impl World {
    pub async fn start() -> Self {
        let clock = Clock::system();
        let mut world = Self { node: None, engines: Engines::memory(&clock), clock };
        world.begin().await;
        world
    }

    async fn begin(&mut self) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let parts = NodeParts {
            listener: Box::new(listener),
            clock: self.clock.clone(),
            metrics: Metrics::default(),
            topology: Topology::Local, roles: Roles::ALL, grpc: None,
            engines: self.engines.clone(),
            pages: axum::Router::new(),
        };
        self.node = Some(Node::start(NodeConfig::default(), parts).await.expect("a node that starts"));
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
        self.node().gateway().create_conversation(&caller(None), request).await.map(|created| created.seq)
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
        let answers = self.node().gateway().append(&caller(Some(user)), conversation, "", vec![item]).await?;
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
        self.node().gateway().change_members(&caller(by), conversation, changes).await.map(|changed| changed.seq)
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
        self.node().gateway().history(&caller(Some(user)), request).await
    }
}
