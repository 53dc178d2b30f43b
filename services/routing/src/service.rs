//! What the routing service can be asked, without its transport.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use posthorn_bus::Bus;
use posthorn_clock::Clock;
use posthorn_core::{ConversationId, ConversationKey, DeviceId, TenantId, UserId, UserKey};
use posthorn_errors::{Code, Failure};
use posthorn_proto::{
    client,
    internal::{Caller, DescribeRequest},
};
use posthorn_rpc::{RoutingClient, SessionClient, StorageClient, call};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;

use crate::{
    RoutingConfig,
    conversation::Registry,
    error::bad_id,
    fanout::Fanout,
    metrics::RoutingMetrics,
    ownership::{Checker, Ownership},
    users::Users,
};

/// What an instance is made of.
pub struct RoutingDeps {
    pub config: RoutingConfig,
    pub storage: StorageClient,
    pub session: SessionClient,
    /// The routing service itself, wherever the owner is: here, this instance.
    pub peers: RoutingClient,
    pub bus: Arc<dyn Bus>,
    pub clock: Clock,
    pub metrics: Metrics,
    pub tasks: Tasks,
    /// Where other instances reach this one.
    pub address: String,
}

/// What owners share.
pub struct Core {
    pub config: RoutingConfig,
    pub storage: StorageClient,
    pub peers: RoutingClient,
    pub clock: Clock,
    pub metrics: Arc<RoutingMetrics>,
    pub tasks: Tasks,
    pub ownership: Ownership,
    pub checker: Checker,
    pub fanout: Fanout,
    pub conversations: Registry,
    pub users: Users,
    pub generation: u64,
    pub durability: client::Durability,
    loads: AtomicU32,
}

impl Core {
    /// Every load of a conversation takes a fresh number.
    pub fn next_load(&self) -> u32 {
        self.loads.fetch_add(1, Ordering::Relaxed)
    }
}

/// Author of what the application itself says and does.
pub fn system_author() -> UserId {
    UserId::system()
}

/// One routing instance.
pub struct RoutingService {
    pub(crate) core: Arc<Core>,
}

impl RoutingService {
    /// Claims the shards and begins to settle what their last owners had not.
    pub async fn start(deps: RoutingDeps) -> Result<Arc<Self>, Failure> {
        let described = call(deps.storage.clone().describe(DescribeRequest {})).await?;
        let instance = deps.clock.uuid_v4().simple().to_string();
        let ownership = Ownership::take_all(&deps.storage, instance.clone(), &deps.address).await?;
        let (checker, answer_checks) = Checker::new(deps.storage.clone(), instance.clone());
        let metrics = Arc::new(RoutingMetrics::new(&deps.metrics));
        metrics.shards.set(i64::from(posthorn_core::SHARDS));
        let fanout = Fanout::new(
            deps.session.clone(),
            Arc::clone(&deps.bus),
            instance.clone(),
            deps.config.max_queued_publications,
            Arc::clone(&metrics),
            deps.tasks.clone(),
        );
        let core = Arc::new(Core {
            durability: described.durability(),
            generation: described.generation,
            config: deps.config,
            storage: deps.storage,
            peers: deps.peers,
            clock: deps.clock,
            metrics,
            tasks: deps.tasks,
            ownership,
            checker,
            fanout,
            conversations: Registry::default(),
            users: Users::default(),
            loads: AtomicU32::new(0),
        });
        let stopping = core.tasks.stopping();
        core.tasks.critical("checks", async move {
            tokio::select! {
                () = answer_checks => {}
                () = stopping.cancelled() => {}
            }
        });
        let (sweeper, stopping) = (Arc::clone(&core), core.tasks.stopping());
        core.tasks.background("user sweep", async move {
            tokio::select! {
                () = Users::sweep(sweeper) => {}
                () = stopping.cancelled() => {}
            }
        });
        tracing::info!(instance, generation = core.generation, "routing owns all shards");
        Ok(Arc::new(Self { core }))
    }

    /// Loads and settles what the journals of dead owners named. Call it once the peers answer.
    pub async fn settle_inherited(&self) {
        for key in self.core.ownership.named() {
            if let Err(failure) = self.core.conversations.get(&self.core, &key).await {
                tracing::error!(%failure, conversation = %key.conversation, "an unsettled conversation cannot be loaded");
            }
        }
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
    pub connection: u64,
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
            connection: caller.connection,
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
