//! Sends, creates and changes of members: handed to the owner task, answered when confirmed.

use bytes::Bytes;
use posthorn_core::{
    Kind, MessageId, Role, UserId, Visibility, blind,
    chain::body_hash,
    conversation::{Change, Draft, Expected, Fact, Terms, envelope},
    direct_id,
};
use posthorn_errors::{Code, Failure};
use posthorn_proto::{
    client,
    internal::{
        AppendItem, AppendRequest, ChangeMembersReply, ChangeMembersRequest, CreateReply, CreateRequest,
        GetRecordRequest, MemberChange, PutRecordRequest, Table, member_change::Op,
    },
};
use posthorn_rpc::call;
use tokio::sync::oneshot;

use crate::{
    conversation::{Command, Made},
    error::{bad_id, missing},
    service::{RoutingService, Who, system_author},
};

/// Sends in one request.
const MAX_ITEMS: usize = 64;

impl RoutingService {
    /// Each item is answered on its own, in order.
    pub async fn append(&self, request: AppendRequest) -> Result<Vec<Result<client::Sent, Failure>>, Failure> {
        let who = Who::of(request.caller.as_ref())?;
        let key = who.key(&request.conversation)?;
        if request.items.len() > MAX_ITEMS {
            return Err(Failure::plain(Code::Overloaded).limit("routing.max_items"));
        }
        let direct = self.direct(&who, &request)?;
        let mut waiting = Vec::with_capacity(request.items.len());
        let mut failed: Option<Failure> = None;
        for item in request.items {
            if let Some(failure) = &failed {
                // In order: what comes after a send that could not be handed over is not either.
                waiting.push(Err(failure.clone()));
                continue;
            }
            let (answer, answered) = oneshot::channel();
            let command = self.command(&who, &key, item, direct.clone(), answer).await;
            let handed = match command {
                Ok(command) => self.core.conversations.hand(&self.core, &key, command).await,
                Err(failure) => Err(failure),
            };
            failed = handed.as_ref().err().filter(|failure| failure.code.retryable()).cloned();
            waiting.push(handed.map(|()| answered));
        }
        let mut results = Vec::with_capacity(waiting.len());
        for answered in waiting {
            results.push(match answered {
                // An owner that ends with the node leaves it open whether the entry was stored.
                Ok(answered) => answered.await.unwrap_or_else(|_| Err(Code::NotConfirmed.into())),
                Err(failure) => Err(failure),
            });
        }
        Ok(results)
    }

    /// The pair, where the request names the other user; the conversation must be theirs.
    fn direct(&self, who: &Who, request: &AppendRequest) -> Result<Option<(UserId, UserId)>, Failure> {
        if request.direct_to.is_empty() {
            return Ok(None);
        }
        let other = UserId::new(&request.direct_to).map_err(|error| bad_id(&error))?;
        let me = match (&who.user, request.items.first()) {
            (Some(user), _) => user.clone(),
            (None, Some(item)) => UserId::new(&item.author).map_err(|error| bad_id(&error))?,
            (None, None) => return Ok(None),
        };
        if direct_id(&who.tenant, &me, &other).as_str() != request.conversation {
            return Err(missing("direct_to"));
        }
        Ok(Some((me, other)))
    }

    async fn command(
        &self,
        who: &Who,
        key: &posthorn_core::ConversationKey,
        item: AppendItem,
        direct: Option<(UserId, UserId)>,
        answer: oneshot::Sender<Result<client::Sent, Failure>>,
    ) -> Result<Command, Failure> {
        let author = match &who.user {
            Some(user) => user.clone(),
            None if item.author.is_empty() => system_author(),
            None => UserId::new(&item.author).map_err(|error| bad_id(&error))?,
        };
        let kind: Kind = item.kind().try_into().map_err(|_| missing("kind"))?;
        let allowed = kind == Kind::Message || (kind == Kind::System && who.backend);
        if !allowed || (kind == Kind::System) != (author == system_author()) {
            return Err(missing("kind"));
        }
        let mut terms = self.terms(&item)?;
        if item.blind {
            self.remember_blind(key, &author, &item, &mut terms).await?;
        }
        let id = MessageId::from_slice(&item.message_id).ok_or_else(|| missing("message_id"))?;
        let mut entry = envelope(kind, author, id);
        entry.device.clone_from(&who.device);
        entry.after_seq = terms.after_seq;
        entry.reply_to = item.reply_to;
        entry.thread = item.thread;
        entry.target = item.target;
        for user in &item.mentions {
            entry.mentions.push(UserId::new(user).map_err(|error| bad_id(&error))?);
        }
        entry.body_hash = Some(body_hash(&item.body));
        let draft = Box::new(Draft { envelope: entry, fact: Fact::None });
        Ok(Command::Send { draft, body: item.body, terms, backend: who.backend, direct, answer })
    }

    fn terms(&self, item: &AppendItem) -> Result<Terms, Failure> {
        let expected = match &item.precondition {
            None => None,
            Some(p) => {
                let kinds = p.kinds().map(TryInto::try_into).collect::<Result<_, _>>();
                Some(Expected { seq: p.expected_seq, kinds: kinds.map_err(|_| missing("precondition.kinds"))? })
            }
        };
        if item.generation != 0 && item.generation != self.core.generation {
            // Every seq that it names may mean another entry now, and the first copy of a retry may be in
            // what the restore took away: only the client can tell, after an explicit reset.
            return Err(Code::StaleGeneration.into());
        }
        Ok(Terms { retry: item.retry, after_seq: item.after_seq, expected })
    }

    /// A send without `after_seq` gets one here, durably, before it is first tried: a retry of it finds
    /// the same.
    async fn remember_blind(
        &self,
        key: &posthorn_core::ConversationKey,
        author: &UserId,
        item: &AppendItem,
        terms: &mut Terms,
    ) -> Result<(), Failure> {
        let end = match self.core.conversations.get(&self.core, key).await {
            Ok(cell) => cell.confirmed.read().conversation.end.seq,
            Err(failure) => return Err(failure),
        };
        let id = MessageId::from_slice(&item.message_id).ok_or_else(|| missing("message_id"))?;
        let today = self.core.clock.now_ms() / blind::DAY_MS;
        let name = |day| blind::key(day, &key.conversation, author, id);
        let (tenant, table) = (String::from(&key.tenant), Table::Idempotency.into());
        let mut storage = self.core.storage.clone();
        let yesterday = GetRecordRequest { table, tenant: tenant.clone(), key: name(today.saturating_sub(1)) };
        let mut existing = call(storage.get_record(yesterday)).await?.value;
        if existing.is_none() {
            let value = Bytes::copy_from_slice(&end.to_be_bytes());
            let record = PutRecordRequest { table, tenant, key: name(today), value, if_absent: true };
            existing = call(storage.put_record(record)).await?.existing;
        }
        terms.retry = existing.is_some();
        terms.after_seq = match existing {
            Some(bytes) => {
                let bytes =
                    bytes.as_ref().try_into().map_err(|_| Failure::new(Code::DataLoss, "an idempotency row"))?;
                u64::from_be_bytes(bytes)
            }
            None => end,
        };
        Ok(())
    }

    pub async fn create(&self, request: CreateRequest) -> Result<CreateReply, Failure> {
        let who = Who::of(request.caller.as_ref())?;
        let key = who.key(&request.conversation)?;
        if key.conversation.is_direct() {
            return Err(Failure::new(
                Code::InvalidArgument,
                "ids that begin with `d.` are those of direct conversations",
            ));
        }
        let visibility = match request.visibility() {
            client::Visibility::Unspecified => Visibility::default(),
            given => given.try_into().map_err(|_| missing("visibility"))?,
        };
        let mut members: Vec<(UserId, Role)> = Vec::with_capacity(request.members.len() + 1);
        members.extend(who.user.clone().map(|creator| (creator, Role::Owner)));
        for member in &request.members {
            let user = UserId::new(&member.user).map_err(|error| bad_id(&error))?;
            members.push((user, role_or_member(member.role())?));
        }
        // The first mention of a user counts: a creator stays owner.
        let mut seen = std::collections::BTreeSet::new();
        members.retain(|(user, _)| seen.insert(user.clone()));
        if members.len() > self.core.config.max_members {
            return Err(Failure::plain(Code::MembersLimit).limit("routing.max_members"));
        }
        let id = MessageId::from_slice(&request.message_id).ok_or_else(|| missing("message_id"))?;
        let mut entry = envelope(Kind::Created, who.user.clone().unwrap_or_else(system_author), id);
        entry.device.clone_from(&who.device);
        let fact = crate::conversation::created(request.title, visibility, members);
        let (answer, answered) = oneshot::channel();
        let draft = Box::new(Draft { envelope: entry, fact });
        self.core.conversations.hand(&self.core, &key, Command::Create { draft, answer }).await?;
        let made = answered.await.unwrap_or_else(|_| Err(Code::NotConfirmed.into()))?;
        Ok(CreateReply { seq: made.seq, duplicate: made.duplicate, generation: self.core.generation })
    }

    pub async fn change_members(&self, request: ChangeMembersRequest) -> Result<ChangeMembersReply, Failure> {
        let who = Who::of(request.caller.as_ref())?;
        let key = who.key(&request.conversation)?;
        let changes = request.changes.iter().map(change_of).collect::<Result<Vec<_>, _>>()?;
        let (answer, answered) = oneshot::channel();
        let command = Command::Change { backend: who.backend, by: who.user, device: who.device, changes, answer };
        self.core.conversations.hand(&self.core, &key, command).await?;
        let Made { seq, .. } = answered.await.unwrap_or_else(|_| Err(Code::NotConfirmed.into()))?;
        // It is made, whoever owns the conversation by now: no failure from here on may say otherwise.
        let cell = self.core.conversations.get(&self.core, &key).await;
        let end_seq = cell.map_or(seq, |cell| cell.confirmed.read().conversation.end.seq.max(seq));
        Ok(ChangeMembersReply { seq, end_seq })
    }
}

fn role_or_member(role: client::Role) -> Result<Role, Failure> {
    match role {
        client::Role::Unspecified => Ok(Role::Member),
        given => given.try_into().map_err(|_| missing("role")),
    }
}

fn change_of(change: &MemberChange) -> Result<Change, Failure> {
    let user = || UserId::new(&change.user).map_err(|error| bad_id(&error));
    match change.op() {
        Op::Add => Ok(Change::Add(user()?, role_or_member(change.role())?)),
        Op::Remove => Ok(Change::Remove(user()?)),
        Op::Leave => Ok(Change::Leave),
        Op::Role => Ok(Change::Role(user()?, change.role().try_into().map_err(|_| missing("role"))?)),
        Op::Unspecified => Err(missing("op")),
    }
}
