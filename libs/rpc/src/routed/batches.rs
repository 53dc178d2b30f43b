//! Calls about many things: one to each owner, at the same time; what moves meanwhile is asked for again.

use std::collections::{BTreeSet, HashMap};

use futures_util::future::join_all;
use posthorn_core::Shard;
use posthorn_errors::{Code, failure_of};
use posthorn_proto::internal::{EndsReply, EndsRequest, SharedReply, SharedRequest, TellReply, TellRequest};
use tonic::{Response, Status};

use super::{
    Again, Answer, Instance, ShardMap, at_owner,
    place::{of_conversation, of_user},
};

/// In the order asked.
pub(super) async fn ends(map: &ShardMap, request: EndsRequest) -> Answer<EndsReply> {
    let EndsRequest { tenant, user, conversations } = request;
    let places: Vec<Shard> = conversations.iter().map(|name| of_conversation(&tenant, name)).collect();
    let order: Vec<String> = conversations.clone();
    let part = |conversations| EndsRequest { tenant: tenant.clone(), user: user.clone(), conversations };
    let send = |request: EndsRequest, mut to: Instance| async move { to.ends(request).await };
    let replies = each_owner(map, conversations, &places, part, send).await?;
    let mut found: HashMap<String, _> =
        replies.into_iter().flat_map(|reply| reply.ends).map(|end| (end.conversation.clone(), end)).collect();
    Ok(Response::new(EndsReply { ends: order.iter().filter_map(|name| found.remove(name)).collect() }))
}

pub(super) async fn shared(map: &ShardMap, request: SharedRequest) -> Answer<SharedReply> {
    let SharedRequest { tenant, user, conversations, users } = request;
    let places: Vec<Shard> = conversations.iter().map(|name| of_conversation(&tenant, name)).collect();
    let part = |conversations| SharedRequest {
        tenant: tenant.clone(),
        user: user.clone(),
        conversations,
        users: users.clone(),
    };
    let send = |request: SharedRequest, mut to: Instance| async move { to.shared(request).await };
    let replies = each_owner(map, conversations, &places, part, send).await?;
    let users: BTreeSet<String> = replies.into_iter().flat_map(|reply| reply.users).collect();
    Ok(Response::new(SharedReply { users: users.into_iter().collect() }))
}

/// Idempotent by (conversation, seq).
pub(super) async fn tell(map: &ShardMap, request: TellRequest) -> Answer<TellReply> {
    let TellRequest { tenant, effects } = request;
    let places: Vec<Shard> = effects.iter().map(|effect| of_user(&tenant, &effect.user)).collect();
    let part = |effects| TellRequest { tenant: tenant.clone(), effects };
    let send = |request: TellRequest, mut to: Instance| async move { to.tell(request).await };
    each_owner(map, effects, &places, part, send).await?;
    Ok(Response::new(TellReply {}))
}

/// Groups by the owner of now. A group whose owner has lost a shard of it is asked for shard by shard.
async fn each_owner<I, Q, T, F>(
    map: &ShardMap,
    items: Vec<I>,
    places: &[Shard],
    part: impl Fn(Vec<I>) -> Q,
    send: impl Fn(Q, Instance) -> F,
) -> Result<Vec<T>, Status>
where
    I: Clone,
    Q: Clone,
    F: Future<Output = Answer<T>>,
{
    let mut groups: HashMap<_, Vec<(Shard, I)>> = HashMap::new();
    for (item, &shard) in items.into_iter().zip(places) {
        groups.entry(map.owner(shard).map(|(address, _)| address)).or_default().push((shard, item));
    }
    let (part, send) = (&part, &send);
    let groups = groups.into_values().map(|group| async move {
        let first = group.first().map_or(Shard(0), |(shard, _)| *shard);
        let together = part(group.iter().map(|(_, item)| item.clone()).collect());
        if let Some((_, instance)) = map.owner(first) {
            match send(together, instance).await {
                Ok(reply) => return Ok(vec![reply.into_inner()]),
                Err(status) if !moved(&status) => return Err(status),
                Err(_) => {}
            }
        }
        let mut by_shard: HashMap<Shard, Vec<I>> = HashMap::new();
        for (shard, item) in group {
            by_shard.entry(shard).or_default().push(item);
        }
        let apart = by_shard.into_iter().map(|(shard, items)| async move {
            let request = part(items);
            let reply = at_owner(map, shard, Again::Safe, |instance| send(request.clone(), instance)).await?;
            Ok::<T, Status>(reply.into_inner())
        });
        join_all(apart).await.into_iter().collect()
    });
    let replies: Result<Vec<Vec<T>>, Status> = join_all(groups).await.into_iter().collect();
    Ok(replies?.into_iter().flatten().collect())
}

/// All three may be asked twice.
fn moved(status: &Status) -> bool {
    let code = failure_of(status).code;
    matches!(code, Code::WrongOwner | Code::Unavailable | Code::NotConfirmed | Code::DeadlineExceeded)
}
