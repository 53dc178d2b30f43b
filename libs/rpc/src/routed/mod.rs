//! The client of the routing tier: each call goes to the owner of what it is about. In one process
//! there is one owner, and nothing is asked twice.

mod batches;
mod place;
mod shard_map;

use std::{sync::Arc, time::Duration};

use posthorn_clock::{Instant, sleep};
use posthorn_core::Shard;
use posthorn_errors::{Code, Failure, failure_of, status_of};
use posthorn_proto::internal::{
    AppendReply, AppendRequest, AppendResult, ChangeMembersReply, ChangeMembersRequest, CreateReply, CreateRequest,
    EndsReply, EndsRequest, ListMembersReply, ListMembersRequest, MarkReply, MarkRequest, MissedReply, MissedRequest,
    PositionReply, PositionRequest, ReceiptReply, ReceiptRequest, SetRegistersReply, SetRegistersRequest, SharedReply,
    SharedRequest, SyncReply, SyncRequest, TellReply, TellRequest, TypingReply, TypingRequest, ViewReply, ViewRequest,
    WatchAllowedReply, WatchAllowedRequest, append_result, routing_client,
};
use tonic::{Response, Status};

use crate::{Link, context};

use place::Placed;
pub use shard_map::{NUDGE_SUBJECT, ShardMap};

/// One routing instance.
pub(crate) type Instance = routing_client::RoutingClient<Link>;

/// Between tries while a shard moves, ms.
const RETRY_MIN_MS: u64 = 10;
const RETRY_MAX_MS: u64 = 250;

/// The client of the routing service. Cheap to clone.
#[derive(Clone)]
pub struct RoutingClient(Way);

#[derive(Clone)]
enum Way {
    /// To one instance, which owns everything.
    One(Instance),
    Owners(Arc<ShardMap>),
}

type Answer<T> = Result<Response<T>, Status>;

macro_rules! by_place {
    ($($(#[$doc:meta])* $method:ident: $request:ty => $reply:ty, $again:ident;)*) => {
        $(
            $(#[$doc])*
            pub async fn $method(&mut self, request: $request) -> Answer<$reply> {
                match &mut self.0 {
                    Way::One(instance) => instance.$method(request).await,
                    Way::Owners(map) => {
                        let shard = request.shard();
                        let send = |mut instance: Instance| {
                            let request = request.clone();
                            async move { instance.$method(request).await }
                        };
                        at_owner(map, shard, Again::$again, send).await
                    }
                }
            }
        )*
    };
}

/// What may be done after a call whose outcome is unknown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    /// Asked again: it changes nothing, or the same change twice is one.
    Safe,
    /// The caller decides.
    Unsure,
}

impl RoutingClient {
    /// To one instance that owns every shard.
    #[must_use]
    pub const fn one(instance: Instance) -> Self {
        Self(Way::One(instance))
    }

    /// To the owners, by the map.
    #[must_use]
    pub const fn owners(map: Arc<ShardMap>) -> Self {
        Self(Way::Owners(map))
    }

    by_place! {
        /// The same `message_id` is the same conversation.
        create: CreateRequest => CreateReply, Safe;
        change_members: ChangeMembersRequest => ChangeMembersReply, Unsure;
        view: ViewRequest => ViewReply, Safe;
        list_members: ListMembersRequest => ListMembersReply, Safe;
        typing: TypingRequest => TypingReply, Unsure;
        position: PositionRequest => PositionReply, Safe;
        /// Marks only grow.
        receipt: ReceiptRequest => ReceiptReply, Safe;
        /// Marks only grow.
        mark: MarkRequest => MarkReply, Safe;
        /// Each sets registers to what it says.
        set_registers: SetRegistersRequest => SetRegistersReply, Safe;
        sync: SyncRequest => SyncReply, Safe;
        watch_allowed: WatchAllowedRequest => WatchAllowedReply, Safe;
    }

    /// Each instance that owns a shard, as far as it is known here: for what only the instance itself can
    /// answer.
    #[must_use]
    pub fn instances(&self) -> Vec<OneInstance> {
        match &self.0 {
            Way::One(instance) => vec![OneInstance(instance.clone())],
            Way::Owners(map) => map.instances().into_iter().map(OneInstance).collect(),
        }
    }

    /// Entries that were perhaps stored are sent again as retries: those are exact.
    pub async fn append(&mut self, request: AppendRequest) -> Answer<AppendReply> {
        match &mut self.0 {
            Way::One(instance) => instance.append(request).await,
            Way::Owners(map) => append_at_owner(map, request).await,
        }
    }

    pub async fn ends(&mut self, request: EndsRequest) -> Answer<EndsReply> {
        match &mut self.0 {
            Way::One(instance) => instance.ends(request).await,
            Way::Owners(map) => batches::ends(map, request).await,
        }
    }

    pub async fn shared(&mut self, request: SharedRequest) -> Answer<SharedReply> {
        match &mut self.0 {
            Way::One(instance) => instance.shared(request).await,
            Way::Owners(map) => batches::shared(map, request).await,
        }
    }

    pub async fn tell(&mut self, request: TellRequest) -> Answer<TellReply> {
        match &mut self.0 {
            Way::One(instance) => instance.tell(request).await,
            Way::Owners(map) => batches::tell(map, request).await,
        }
    }
}

/// Of several, this very one.
pub struct OneInstance(Instance);

impl OneInstance {
    /// What it published to a gateway beyond what that has.
    pub async fn missed(&mut self, request: MissedRequest) -> Answer<MissedReply> {
        self.0.missed(request).await
    }
}

/// While a shard moves: how long to go on asking, and how often.
struct Patience {
    until: Instant,
    delay_ms: u64,
}

impl Patience {
    fn new(map: &ShardMap) -> Self {
        let own = Instant::now() + map.patience();
        let until = context::current().and_then(|context| context.deadline).map_or(own, |deadline| deadline.min(own));
        Self { until, delay_ms: RETRY_MIN_MS }
    }

    /// False once there is no time left. Otherwise the map is read again, and a moment has passed.
    async fn again(&mut self, map: &ShardMap) -> bool {
        let delay = Duration::from_millis(self.delay_ms / 2 + map.below(self.delay_ms));
        self.delay_ms = (self.delay_ms * 2).min(RETRY_MAX_MS);
        if Instant::now() + delay >= self.until {
            return false;
        }
        sleep(delay).await;
        map.refresh().await;
        true
    }
}

/// At the owner of the shard, wherever that moves meanwhile.
async fn at_owner<T, F>(map: &ShardMap, shard: Shard, again: Again, send: impl Fn(Instance) -> F) -> Answer<T>
where
    F: Future<Output = Answer<T>>,
{
    let mut patience = Patience::new(map);
    loop {
        let status = match once(map, shard, &send).await {
            Ok(reply) => return Ok(reply),
            Err(status) => status,
        };
        let code = failure_of(&status).code;
        // Where nothing was done, and what stands elsewhere.
        let elsewhere = matches!(code, Code::WrongOwner | Code::Unavailable);
        let unsure = again == Again::Safe && matches!(code, Code::NotConfirmed | Code::DeadlineExceeded);
        if !(elsewhere || unsure) || !patience.again(map).await {
            return Err(outward(status));
        }
    }
}

/// Sends the call to the present owner. It ends early when the shard has moved on: whoever held it may be
/// stopped, and answers nobody.
async fn once<T, F>(map: &ShardMap, shard: Shard, send: &impl Fn(Instance) -> F) -> Answer<T>
where
    F: Future<Output = Answer<T>>,
{
    let Some((address, instance)) = map.owner(shard) else {
        return Err(status_of(&Failure::new(Code::Unavailable, "no instance owns this shard yet")));
    };
    tokio::select! {
        biased;
        answer = send(instance) => answer,
        () = map.moved(shard, &address) => Err(status_of(&Failure::plain(Code::NotConfirmed))),
    }
}

/// Clients and callers know nothing of owners.
fn outward(status: Status) -> Status {
    let failure = failure_of(&status);
    if failure.code == Code::WrongOwner {
        return status_of(&Failure::plain(Code::Unavailable).retry_after_ms(500));
    }
    status
}

async fn append_at_owner(map: &ShardMap, mut request: AppendRequest) -> Answer<AppendReply> {
    let shard = request.shard();
    let mut patience = Patience::new(map);
    let mut results = Vec::with_capacity(request.items.len());
    loop {
        let send = |mut instance: Instance| {
            let request = request.clone();
            async move { instance.append(request).await }
        };
        let unsure = match once(map, shard, &send).await {
            Ok(reply) => {
                let reply = reply.into_inner();
                // What stands behind an entry that has to be sent again is sent again behind it.
                let first = reply.results.iter().position(|result| ask_again(result).is_some());
                let Some(first) = first else {
                    results.extend(reply.results);
                    return Ok(Response::new(AppendReply { results }));
                };
                if !patience.again(map).await {
                    results.extend(reply.results.into_iter().map(hide_owner));
                    return Ok(Response::new(AppendReply { results }));
                }
                keep_open(&mut request, first, &reply.results);
                results.extend(reply.results.into_iter().take(first));
                false
            }
            Err(status) => {
                let code = failure_of(&status).code;
                let again = matches!(code, Code::WrongOwner | Code::Unavailable | Code::NotConfirmed);
                if !again || !patience.again(map).await {
                    return if results.is_empty() {
                        Err(outward(status))
                    } else {
                        Ok(rest_failed(results, &request, status))
                    };
                }
                code == Code::NotConfirmed
            }
        };
        if unsure {
            // Exact by `after_seq`, or by the row that stands behind a send without one.
            for item in &mut request.items {
                item.retry = true;
            }
        }
    }
}

/// The code of a result that the owner, or the next one, can still turn into an answer.
fn ask_again(result: &AppendResult) -> Option<Code> {
    let Some(append_result::Result::Error(error)) = &result.result else { return None };
    [Code::WrongOwner, Code::NotConfirmed].into_iter().find(|code| code.as_str() == error.code)
}

/// From `first` on everything is asked again, in order: what was answered already is asked for as a retry,
/// which finds it.
fn keep_open(request: &mut AppendRequest, first: usize, results: &[AppendResult]) {
    request.items.drain(..first);
    for (item, result) in request.items.iter_mut().zip(&results[first..]) {
        item.retry |= ask_again(result) != Some(Code::WrongOwner);
    }
}

fn hide_owner(mut result: AppendResult) -> AppendResult {
    if ask_again(&result) == Some(Code::WrongOwner) {
        let failure = Failure::plain(Code::Unavailable).retry_after_ms(500);
        result.result = Some(append_result::Result::Error((&failure).into()));
    }
    result
}

/// Part of the entries was answered before the owner could not be asked any more.
fn rest_failed(mut results: Vec<AppendResult>, request: &AppendRequest, status: Status) -> Response<AppendReply> {
    let failure = failure_of(&outward(status));
    let failed = || AppendResult { result: Some(append_result::Result::Error((&failure).into())) };
    results.extend(request.items.iter().map(|_| failed()));
    Response::new(AppendReply { results })
}
