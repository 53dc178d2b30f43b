//! Questions about a user's own state, asked at the owner of the user.

use std::collections::BTreeMap;

use posthorn_core::{TenantId, UserId, UserKey};
use posthorn_errors::{Code, Failure};
use posthorn_proto::{
    client,
    internal::{
        Effect, MarkReply, MarkRequest, SetRegistersRequest, SharedRequest, SyncReply, SyncRequest, TellRequest,
        WatchAllowedRequest,
    },
};
use posthorn_rpc::call;

use crate::{
    error::{bad_id, missing},
    service::{RoutingService, Who},
};

/// Users asked about at once.
const MAX_WATCHED: usize = 1_000;

impl RoutingService {
    pub async fn mark(&self, request: MarkRequest) -> Result<MarkReply, Failure> {
        let who = Who::of(request.caller.as_ref())?;
        who.key(&request.conversation)?;
        let cell = self.core.users.get(&self.core, &who.user_key()?).await?;
        cell.mark(&self.core, request).await
    }

    pub async fn set_registers(&self, request: SetRegistersRequest) -> Result<client::Registers, Failure> {
        let who = Who::of(request.caller.as_ref())?;
        let set = request.set.ok_or_else(|| missing("set"))?;
        who.key(&set.conversation)?;
        let cell = self.core.users.get(&self.core, &who.user_key()?).await?;
        let caller = request.caller.unwrap_or_default();
        cell.set(&self.core, &caller, set).await
    }

    pub async fn sync(&self, request: SyncRequest) -> Result<SyncReply, Failure> {
        let who = Who::of(request.caller.as_ref())?;
        let cell = self.core.users.get(&self.core, &who.user_key()?).await?;
        cell.sync(&self.core, request).await
    }

    /// What a conversation did to users.
    pub async fn tell(&self, request: TellRequest) -> Result<(), Failure> {
        let tenant = TenantId::new(&request.tenant).map_err(|error| bad_id(&error))?;
        let mut by_user: BTreeMap<UserId, Vec<Effect>> = BTreeMap::new();
        for effect in request.effects {
            let user = UserId::new(&effect.user).map_err(|error| bad_id(&error))?;
            by_user.entry(user).or_default().push(effect);
        }
        let told = by_user.into_iter().map(|(user, effects)| {
            let key = UserKey { tenant: tenant.clone(), user };
            async move {
                let cell = self.core.users.get(&self.core, &key).await?;
                cell.told(&self.core, effects).await
            }
        });
        // All at once: their writes share commits. Each to its end, whatever becomes of the others.
        futures_util::future::join_all(told).await.into_iter().collect()
    }

    /// Those of `users` with whom the caller shares a conversation now.
    pub async fn watch_allowed(&self, request: WatchAllowedRequest) -> Result<Vec<String>, Failure> {
        let who = Who::of(request.caller.as_ref())?;
        if request.users.len() > MAX_WATCHED {
            return Err(Failure::plain(Code::TooManyWatched).limit("edge.max_watched_users"));
        }
        let key = who.user_key()?;
        let cell = self.core.users.get(&self.core, &key).await?;
        let conversations: Vec<String> = {
            let registers = cell.lock(&self.core).await?;
            registers.iter().filter(|(_, record)| !record.removed).map(|(name, _)| name.clone()).collect()
        };
        let request = SharedRequest {
            tenant: (&key.tenant).into(),
            user: (&key.user).into(),
            conversations,
            users: request.users,
        };
        Ok(call(self.core.peers.clone().shared(request)).await?.users)
    }
}
