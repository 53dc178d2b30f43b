//! What the processes of a simulation share, and what outlives them.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use anyhow::{Context, Result, bail};
use posthorn_clock::{Clock, sleep};
use posthorn_node::{Node, NodeConfig};
use posthorn_proto::{
    client::{Membership, Role},
    internal::{Caller, CreateRequest, CreateTenantRequest, MintTokenRequest},
};
use tonic::{Code, Status};

use crate::broken::Broken;

/// Of WebSockets and HTTP.
pub const PORT: u16 = 7200;
pub const TENANT: &str = "sim";
/// 2027-01-15T08:00:00Z
pub const START_MS: u64 = 1_800_000_000_000;
/// Between two tries to set it all up.
const PAUSE: Duration = Duration::from_millis(50);

/// Of every node: the demo of slow people is not the point here.
pub fn unhurried() -> NodeConfig {
    let mut config = NodeConfig::default();
    (config.edge.requests_per_s, config.edge.request_burst) = (10_000, 10_000);
    config
}

/// Handed to every process.
#[derive(Clone)]
pub struct World(Rc<Inner>);

/// Who there is.
#[derive(Clone, Debug, Default)]
pub struct Cast {
    /// Members of every conversation from its beginning.
    pub talkers: Vec<String>,
    /// Its owner, who adds the guests and removes them. `None`: members stay as they are.
    pub host: Option<String>,
    pub guests: Vec<String>,
    /// Second devices of those who talk, as `user/device`: they talk, too.
    pub seconds: Vec<String>,
}

impl Cast {
    fn members(&self) -> Vec<Membership> {
        let with = |role: Role| move |user: &String| Membership { user: user.clone(), role: role.into() };
        self.talkers.iter().map(with(Role::Member)).chain(self.host.iter().map(with(Role::Owner))).collect()
    }

    fn all(&self) -> impl Iterator<Item = &String> {
        self.talkers.iter().chain(&self.host).chain(&self.guests).chain(&self.seconds)
    }
}

struct Inner {
    seed: u64,
    broken: Option<Broken>,
    cast: Cast,
    conversations: Vec<String>,
    /// Where people connect.
    gates: Vec<String>,
    tokens: RefCell<BTreeMap<String, String>>,
}

impl World {
    pub fn new(seed: u64, broken: Option<Broken>, cast: Cast, conversations: Vec<String>, gates: Vec<String>) -> Self {
        Self(Rc::new(Inner { seed, broken, cast, conversations, gates, tokens: RefCell::default() }))
    }

    pub fn broken(&self) -> Option<Broken> {
        self.0.broken
    }

    pub fn token(&self, user: &str) -> Option<String> {
        self.0.tokens.borrow().get(user).cloned()
    }

    /// People can talk.
    pub fn ready(&self) -> bool {
        !self.0.tokens.borrow().is_empty()
    }

    pub fn gates(&self) -> Vec<String> {
        self.0.gates.clone()
    }

    /// The clock of a process: the simulation's time, so far off, and entropy of its own.
    pub fn clock(&self, process: u64, skew_ms: i64) -> Clock {
        let elapsed = turmoil::sim_elapsed().unwrap_or_default();
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let start_ms = (START_MS + elapsed_ms).saturating_add_signed(skew_ms);
        Clock::simulated(self.0.seed.wrapping_mul(1_000_003) ^ process, start_ms)
    }

    /// Tenant, conversations and tokens, where they are not there yet: the process may have crashed in the middle.
    pub async fn provision(&self, node: &Node) -> Result<()> {
        if !self.0.tokens.borrow().is_empty() {
            return Ok(());
        }
        let session = node.clients().session.clone();
        again(|| {
            let mut session = session.clone();
            async move { session.create_tenant(CreateTenantRequest { tenant: TENANT.into() }).await }
        })
        .await
        .context("tenant")?;
        for conversation in &self.0.conversations {
            let request = CreateRequest {
                caller: Some(Caller { tenant: TENANT.into(), backend: true, ..Caller::default() }),
                conversation: conversation.clone(),
                members: self.0.cast.members(),
                message_id: vec![1; 16].into(),
                ..CreateRequest::default()
            };
            let routing = node.clients().routing.clone();
            again(|| {
                let (mut routing, request) = (routing.clone(), request.clone());
                async move { routing.create(request).await }
            })
            .await
            .context("conversation")?;
        }
        let mut tokens = BTreeMap::new();
        for person in self.0.cast.all() {
            let (user, device) = person.split_once('/').unwrap_or((person, "sim"));
            let request = MintTokenRequest {
                tenant: TENANT.into(),
                user: user.into(),
                device: device.into(),
                ttl_s: 86_400,
                limit_class: "unlimited".into(),
            };
            let minted = again(|| {
                let (mut session, request) = (session.clone(), request.clone());
                async move { session.mint_token(request).await }
            });
            tokens.insert(person.clone(), minted.await?.context("no token")?.token);
        }
        *self.0.tokens.borrow_mut() = tokens;
        Ok(())
    }
}

/// Until it is done, or was before.
async fn again<T, F: Future<Output = Result<tonic::Response<T>, Status>>>(call: impl Fn() -> F) -> Result<Option<T>> {
    loop {
        match call().await {
            Ok(done) => return Ok(Some(done.into_inner())),
            Err(status) if status.code() == Code::AlreadyExists => return Ok(None),
            Err(status) if [Code::InvalidArgument, Code::PermissionDenied].contains(&status.code()) => {
                bail!("{status}")
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}
