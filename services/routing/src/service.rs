//! What the routing service can be asked, without its transport.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use posthorn_bus::Bus;
use posthorn_clock::Clock;
use posthorn_core::{ConversationId, ConversationKey, DeviceId, SHARDS, Shard, TenantId, UserId, UserKey};
use posthorn_errors::{Code, Failure};
use posthorn_proto::{
    client,
    internal::{Caller, DescribeRequest, FenceRequest, MissedReply, MissedRequest, RegisterRequest, ShardsRequest},
};
use posthorn_rpc::{RoutingClient, SessionClient, StorageClient, call};
use posthorn_tasks::Tasks;
use tokio_util::sync::CancellationToken;

use crate::{
    RoutingConfig,
    checker::Checker,
    claims::claim,
    conversation::Registry,
    error::bad_id,
    fanout::{Fanout, Origin},
    large::Large,
    links::Links,
    metrics::RoutingMetrics,
    ownership::Ownership,
    settler::Settler,
    users::Users,
};

/// What an incarnation is made of.
pub(crate) struct RoutingDeps {
    pub config: RoutingConfig,
    pub storage: StorageClient,
    pub session: SessionClient,
    /// The routing service itself, wherever the owner is: here, this instance.
    pub peers: RoutingClient,
    pub bus: Arc<dyn Bus>,
    pub clock: Clock,
    pub metrics: Arc<RoutingMetrics>,
    /// Where other instances reach this one.
    pub address: String,
}

/// What owners share.
pub struct Core {
    pub config: RoutingConfig,
    pub storage: StorageClient,
    pub peers: RoutingClient,
    pub bus: Arc<dyn Bus>,
    pub clock: Clock,
    pub metrics: Arc<RoutingMetrics>,
    /// Of this incarnation.
    pub tasks: Tasks,
    /// Where others reach it.
    pub address: String,
    pub ownership: Ownership,
    /// Cancelled once a check has said that this incarnation is fenced: for good.
    pub fenced: CancellationToken,
    pub checker: Checker,
    pub settler: Settler,
    /// The store leaves feed, heads and members to settlements.
    pub settles_apart: bool,
    pub fanout: Fanout,
    pub conversations: Registry,
    pub users: Users,
    pub generation: u64,
    pub durability: client::Durability,
    loads: AtomicU32,
}

impl Core {
    /// A task that this incarnation cannot live without.
    fn vital(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.critical(name, self.tasks.until_stopped(work));
    }

    /// Every load of a conversation takes a fresh number.
    pub fn next_load(&self) -> u32 {
        self.loads.fetch_add(1, Ordering::Relaxed)
    }
}

/// Author of what the application itself says and does.
pub fn system_author() -> UserId {
    UserId::system()
}

/// One incarnation of a routing instance.
pub struct RoutingService {
    pub(crate) core: Arc<Core>,
}

impl RoutingService {
    /// Registers a new incarnation. It owns nothing yet.
    pub(crate) async fn register(deps: &RoutingDeps, tasks: Tasks) -> Result<Self, Failure> {
        let described = call(deps.storage.clone().describe(DescribeRequest {})).await?;
        let instance = deps.clock.uuid_v4().simple().to_string();
        let request = RegisterRequest { instance: instance.clone(), address: deps.address.clone() };
        call(deps.storage.clone().register(request)).await?;
        let fenced = CancellationToken::new();
        let (checker, answer_checks) = Checker::new(deps.storage.clone(), instance.clone(), fenced.clone());
        let (settler, settlements) = Settler::new(deps.storage.clone(), instance.clone());
        let metrics = Arc::clone(&deps.metrics);
        let (bus, publisher) = (Arc::clone(&deps.bus), instance.clone());
        let links = Links::new(&deps.config, bus, publisher, Arc::clone(&metrics), tasks.clone(), fenced.clone());
        let large = Large::new(&deps.config, Arc::clone(&deps.bus), Arc::clone(&metrics), &tasks, fenced.clone());
        let direct_members = deps.config.direct_members;
        let fanout = Fanout::new(deps.session.clone(), links, large, direct_members, Arc::clone(&metrics));
        let core = Arc::new(Core {
            durability: described.durability(),
            generation: described.generation,
            config: deps.config.clone(),
            storage: deps.storage.clone(),
            peers: deps.peers.clone(),
            bus: Arc::clone(&deps.bus),
            clock: deps.clock.clone(),
            metrics,
            tasks,
            address: deps.address.clone(),
            ownership: Ownership::new(instance),
            fenced,
            checker,
            settler,
            settles_apart: described.settles_apart,
            fanout,
            conversations: Registry::default(),
            users: Users::default(),
            loads: AtomicU32::new(0),
        });
        core.vital("checks", answer_checks);
        core.vital("settlements", settlements);
        core.tasks.background("user sweep", core.tasks.until_stopped(Users::sweep(Arc::clone(&core))));
        Ok(Self { core })
    }

    /// For the only process that uses the store: fences whoever owned shards before, and takes them all.
    pub(crate) async fn take_all(&self) -> Result<(), Failure> {
        let core = &self.core;
        let mut storage = core.storage.clone();
        let rows = call(storage.shards(ShardsRequest {})).await?.shards;
        let others: BTreeSet<String> =
            rows.into_iter().map(|row| row.instance).filter(|owner| !owner.is_empty()).collect();
        for instance in others {
            call(storage.fence(FenceRequest { instance })).await?;
        }
        let all: Vec<Shard> = (0..SHARDS).map(Shard).collect();
        if claim(core, &all).await?.len() != all.len() {
            return Err(Failure::new(Code::Unavailable, "another active instance owns shards of this store"));
        }
        core.metrics.shards.set(i64::from(SHARDS));
        tracing::info!(instance = core.ownership.instance, generation = core.generation, "routing owns all shards");
        Ok(())
    }

    /// What this incarnation published to a gateway beyond what that has.
    #[must_use]
    pub fn missed(&self, request: &MissedRequest) -> MissedReply {
        let fanout = &self.core.fanout;
        let mut reply = fanout.links.missed(request);
        let heard = request.heard.iter().find(|heard| heard.publisher == reply.publisher);
        reply.moved = Some(fanout.large.moved(heard.map_or(0, |heard| heard.moved)));
        reply
    }

    /// Conversations in memory.
    #[must_use]
    pub fn loaded_conversations(&self) -> usize {
        self.core.conversations.len()
    }
}

/// A caller with its ids checked.
pub(crate) struct Who {
    pub tenant: TenantId,
    pub user: Option<UserId>,
    pub device: Option<DeviceId>,
    pub backend: bool,
    pub origin: Option<Origin>,
}

impl Who {
    pub fn of(caller: Option<&Caller>) -> Result<Self, Failure> {
        let caller = caller.ok_or_else(|| Failure::plain(Code::Unauthenticated))?;
        let user = optional(&caller.user, UserId::new)?;
        if user.is_none() && !caller.backend {
            return Err(Code::Unauthenticated.into());
        }
        Ok(Self {
            tenant: TenantId::new(&caller.tenant).map_err(|error| bad_id(&error))?,
            user,
            device: optional(&caller.device, DeviceId::new)?,
            backend: caller.backend,
            origin: Origin::of(caller),
        })
    }

    pub fn key(&self, conversation: &str) -> Result<ConversationKey, Failure> {
        let conversation = ConversationId::new(conversation).map_err(|error| bad_id(&error))?;
        Ok(ConversationKey { tenant: self.tenant.clone(), conversation })
    }

    /// The user's own state is only for users.
    pub fn user_key(&self) -> Result<UserKey, Failure> {
        let user = self.user.clone().ok_or_else(|| Failure::plain(Code::Forbidden))?;
        Ok(UserKey { tenant: self.tenant.clone(), user })
    }
}

fn optional<T>(text: &str, new: fn(&str) -> Result<T, posthorn_core::InvalidId>) -> Result<Option<T>, Failure> {
    if text.is_empty() { Ok(None) } else { new(text).map(Some).map_err(|error| bad_id(&error)) }
}
