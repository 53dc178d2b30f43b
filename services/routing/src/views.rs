//! Questions about a conversation. Each rests on a check begun after it came, and on confirmed
//! entries only.

use std::{collections::BTreeMap, sync::Arc};

use posthorn_core::{UserId, UserKey, conversation::Conversation, recent::Position};
use posthorn_errors::{Code, Failure};
use posthorn_proto::{
    client,
    convert::{decode_envelope, ranges_to_wire},
    internal::{
        End, EndsReply, EndsRequest, ListMembersReply, ListMembersRequest, MarkAt, PositionReply, PositionRequest,
        ReadRequest, ReceiptRequest, RegistersOfRequest, SharedRequest, TypingRequest, ViewReply, ViewRequest,
        publication::What,
    },
};
use posthorn_rpc::call;

use crate::{
    conversation::{
        Cell,
        records::{damaged, mark_of, position_of},
    },
    error::bad_id,
    service::{RoutingService, Who},
};

/// Rows in one read while counting a user's own entries.
const COUNT_PAGE: u32 = 1_024;
const MAX_MEMBERS_PAGE: usize = 1_000;
/// Own entries near the end that an answer carries.
const OWN_RECENT: usize = 16;

impl RoutingService {
    async fn checked(&self, key: &posthorn_core::ConversationKey) -> Result<Arc<Cell>, Failure> {
        let cell = self.core.conversations.get(&self.core, key).await?;
        self.core.checker.active().await?;
        Ok(cell)
    }

    /// What the caller may see. Strangers find nothing; former members find what they could see.
    pub async fn view(&self, request: ViewRequest) -> Result<ViewReply, Failure> {
        let who = Who::of(request.caller.as_ref())?;
        let cell = self.checked(&who.key(&request.conversation)?).await?;
        let confirmed = cell.confirmed.read();
        let conversation = &confirmed.conversation;
        if !conversation.exists() {
            return Err(Code::NotFound.into());
        }
        let reply = ViewReply {
            end_seq: conversation.end.seq,
            end_ordinal: conversation.end.ordinal,
            generation: self.core.generation,
            head: Some(confirmed.head()),
            ..ViewReply::default()
        };
        let Some(user) = who.user else {
            let all = client::Range { from: 1, to: 0 };
            return Ok(ViewReply { visible: vec![all], ..reply });
        };
        let member = conversation.members.get(&user).ok_or_else(|| Failure::plain(Code::NotFound))?;
        let end_seq = if member.present { conversation.end.seq } else { member.left.seq };
        Ok(ViewReply {
            visible: ranges_to_wire(&member.visible),
            member: member.present,
            role: client::Role::from(member.role).into(),
            end_seq,
            ..reply
        })
    }

    pub async fn list_members(&self, request: ListMembersRequest) -> Result<ListMembersReply, Failure> {
        let who = Who::of(request.caller.as_ref())?;
        let cell = self.checked(&who.key(&request.conversation)?).await?;
        let confirmed = cell.confirmed.read();
        let conversation = &confirmed.conversation;
        let may = who.user.as_ref().map_or(who.backend, |user| conversation.actor(user).is_some());
        if !may || !conversation.exists() {
            return Err(Code::NotFound.into());
        }
        let limit = (request.limit as usize).clamp(1, MAX_MEMBERS_PAGE);
        let beyond =
            conversation.members.iter().filter(|(user, m)| m.present && user.as_str() > request.after.as_str());
        let mut members: Vec<client::Member> = beyond
            .take(limit + 1)
            .map(|(user, m)| client::Member {
                user: user.into(),
                role: client::Role::from(m.role).into(),
                joined_seq: m.joined_seq,
            })
            .collect();
        let more = members.len() > limit;
        members.truncate(limit);
        let next = if more { members.last().map(|m| m.user.clone()).unwrap_or_default() } else { String::new() };
        Ok(ListMembersReply { members, next, total: conversation.present() as u64 })
    }

    /// To the other members' connections; not kept.
    pub async fn typing(&self, request: TypingRequest) -> Result<(), Failure> {
        let who = Who::of(request.caller.as_ref())?;
        let user = who.user_key()?.user;
        let cell = self.core.conversations.get(&self.core, &who.key(&request.conversation)?).await?;
        let audience = {
            let confirmed = cell.confirmed.read();
            if confirmed.conversation.actor(&user).is_none() {
                return Err(Code::NotFound.into());
            }
            Arc::clone(&confirmed.audience)
        };
        if audience.len() > self.core.config.typing_max_members {
            return Ok(());
        }
        let now =
            client::TypingNow { conversation: request.conversation, user: (&user).into(), active: request.active };
        self.core.fanout.moment(&cell.key, &audience, who.origin.as_ref(), What::Typing(now)).await;
        Ok(())
    }

    pub async fn ends(&self, request: EndsRequest) -> Result<EndsReply, Failure> {
        let who = Who::of(Some(&posthorn_proto::internal::Caller {
            tenant: request.tenant,
            user: request.user,
            ..Default::default()
        }))?;
        let user = who.user_key()?.user;
        // Before any state is read: what becomes visible later has a greater version.
        let mut stable = BTreeMap::new();
        for conversation in &request.conversations {
            let shard = who.key(conversation)?.shard();
            stable.entry(shard).or_insert_with(|| self.core.ownership.stable(shard));
        }
        let mut cells = Vec::with_capacity(request.conversations.len());
        for name in request.conversations {
            let cell = self.core.conversations.get(&self.core, &who.key(&name)?).await?;
            self.fill_marks(&cell).await?;
            cells.push((name, cell));
        }
        self.core.checker.active().await?;
        let end = |(name, cell): (String, Arc<Cell>)| {
            let mut end = end_of(&cell, name, &user, stable[&cell.shard]);
            let members = end.head.as_ref().map_or(0, |head| head.member_count);
            end.large = end.present && self.core.fanout.is_large(usize::try_from(members).unwrap_or(usize::MAX));
            end
        };
        Ok(EndsReply { ends: cells.into_iter().map(end).collect() })
    }

    /// The members' marks, where the conversation is small enough for receipts: read once, then kept.
    async fn fill_marks(&self, cell: &Cell) -> Result<(), Failure> {
        let users: Vec<String> = {
            let confirmed = cell.confirmed.read();
            if confirmed.marks_filled || confirmed.conversation.present() > self.core.config.receipts_max_members {
                return Ok(());
            }
            confirmed.audience.to_vec()
        };
        let request = RegistersOfRequest {
            tenant: (&cell.key.tenant).into(),
            conversation: (&cell.key.conversation).into(),
            users,
        };
        let stored = call(self.core.storage.clone().registers_of(request)).await?.registers;
        let mut confirmed = cell.confirmed.write();
        confirmed.marks_filled = true;
        for row in stored {
            let record = row.record.unwrap_or_default();
            let (delivered, read) = (position_of(record.delivered.as_ref()).seq, position_of(record.read.as_ref()).seq);
            let kept = confirmed.marks.entry(row.user.clone()).or_insert_with(|| client::MemberMarks {
                user: row.user,
                delivered,
                read,
            });
            kept.delivered = kept.delivered.max(delivered);
            kept.read = kept.read.max(read);
        }
        Ok(())
    }

    /// Another member's marks moved.
    pub async fn receipt(&self, request: ReceiptRequest) -> Result<(), Failure> {
        let marks = request.marks.unwrap_or_default();
        let who = Who::of(Some(&posthorn_proto::internal::Caller {
            tenant: request.tenant,
            user: marks.user.clone(),
            ..Default::default()
        }))?;
        let cell = self.core.conversations.get(&self.core, &who.key(&request.conversation)?).await?;
        // Lists show it: the conversation changed for those who were away.
        let taken = self.core.ownership.take_version(cell.shard);
        let (audience, marks) = {
            let mut confirmed = cell.confirmed.write();
            let member = UserId::new(&marks.user).is_ok_and(|user| confirmed.conversation.actor(&user).is_some());
            if !member || confirmed.conversation.present() > self.core.config.receipts_max_members {
                return Ok(());
            }
            confirmed.version = confirmed.version.max(taken.version);
            let kept = confirmed.marks.entry(marks.user.clone()).or_insert_with(|| marks.clone());
            kept.delivered = kept.delivered.max(marks.delivered);
            kept.read = kept.read.max(marks.read);
            let marks = kept.clone();
            let others = confirmed.audience.iter().filter(|user| **user != marks.user).cloned();
            (others.collect::<Vec<_>>(), marks)
        };
        drop(taken);
        cell.marks.shown().await;
        let shown = client::Marks { conversation: request.conversation, marks: vec![marks] };
        self.core.fanout.publish(who.tenant.as_str(), &audience, None, What::Marks(shown)).await;
        Ok(())
    }

    /// Those of `users` who are members of one of these conversations, as the asker is.
    pub async fn shared(&self, request: SharedRequest) -> Result<Vec<String>, Failure> {
        let who = Who::of(Some(&posthorn_proto::internal::Caller {
            tenant: request.tenant,
            user: request.user,
            ..Default::default()
        }))?;
        let me = who.user_key()?.user;
        let mut found = std::collections::BTreeSet::new();
        for name in &request.conversations {
            let cell = self.core.conversations.get(&self.core, &who.key(name)?).await?;
            let confirmed = cell.confirmed.read();
            if confirmed.conversation.actor(&me).is_none() {
                continue;
            }
            for user in &request.users {
                let id = UserId::new(user).map_err(|error| bad_id(&error))?;
                if confirmed.conversation.actor(&id).is_some() {
                    found.insert(user.clone());
                }
            }
        }
        Ok(found.into_iter().collect())
    }

    /// Where marks would stand: clamped to what is confirmed and visible, with the counts there.
    pub async fn position(&self, request: PositionRequest) -> Result<PositionReply, Failure> {
        let who = Who::of(request.caller.as_ref())?;
        let key = who.key(&request.conversation)?;
        let UserKey { user, .. } = who.user_key()?;
        let cell = self.checked(&key).await?;
        let (end, delivered, read, shown, own_recent) = {
            let confirmed = cell.confirmed.read();
            let end = confirmed.conversation.visible_end(&user).ok_or_else(|| Failure::plain(Code::NotFound))?;
            let shown = confirmed.conversation.actor(&user).is_some()
                && confirmed.conversation.present() <= self.core.config.receipts_max_members;
            let own_recent = own_recent(&confirmed.conversation, &user);
            (end, request.delivered.min(end.seq), request.read.min(end.seq), shown, own_recent)
        };
        if shown && delivered.max(read) > 0 {
            self.core.conversations.announce_marks(&self.core, &key).await?;
        }
        let delivered = self.counts_at(&cell, &user, delivered).await?;
        let read = self.counts_at(&cell, &user, read).await?;
        Ok(PositionReply {
            delivered: Some(mark_of(delivered)),
            read: Some(mark_of(read)),
            end_ordinal: end.ordinal,
            own: end.own,
            own_recent,
        })
    }

    /// From memory near the end, else with a read of the log from there to what memory holds.
    async fn counts_at(&self, cell: &Cell, user: &UserId, seq: u64) -> Result<Position, Failure> {
        let (near, floor, own_at_floor) = {
            let confirmed = cell.confirmed.read();
            let conversation = &confirmed.conversation;
            let sent = conversation.members.get(user).map_or(0, |m| m.sent);
            let floor = conversation.recent.floor();
            let at_floor = conversation.recent.position(user, floor, sent).map_or(0, |p| p.own);
            (conversation.recent.position(user, seq, sent), floor, at_floor)
        };
        if seq == 0 {
            return Ok(Position::default());
        }
        if let Some(near) = near {
            return Ok(near);
        }
        let (mut from, mut later, mut ordinal) = (seq, 0, 0);
        while from <= floor {
            let request = ReadRequest {
                tenant: (&cell.key.tenant).into(),
                conversation: (&cell.key.conversation).into(),
                from,
                to: floor,
                limit: COUNT_PAGE,
                reverse: false,
                max_bytes: self.core.config.max_batch_bytes as u64,
            };
            let rows = call(self.core.storage.clone().read(request)).await?.rows;
            let Some(last) = rows.last().map(|row| row.seq) else { break };
            for row in &rows {
                let entry = decode_envelope(&row.envelope).map_err(|error| damaged("an entry", &error))?;
                if row.seq == seq {
                    ordinal = entry.ordinal;
                } else if entry.countable() && entry.author == *user {
                    later += 1;
                }
            }
            from = last + 1;
        }
        Ok(Position { seq, ordinal, own: own_at_floor.saturating_sub(later) })
    }
}

fn own_recent(conversation: &Conversation, user: &UserId) -> Vec<MarkAt> {
    let mut own: Vec<Position> = Vec::new();
    for sent in conversation.recent.own(user) {
        // Of those that nobody else came between, the last one says it all.
        own.pop_if(|before| before.others() == sent.others());
        own.push(sent);
    }
    own.drain(..own.len().saturating_sub(OWN_RECENT));
    own.into_iter().map(mark_of).collect()
}

/// The end as `user` may know it: of a former member, as they left it.
fn end_of(cell: &Cell, name: String, user: &UserId, stable: posthorn_core::cursor::Version) -> End {
    let confirmed = cell.confirmed.read();
    let conversation = &confirmed.conversation;
    let mut end = End { conversation: name, ..End::default() };
    (end.stable_epoch, end.stable_counter) = (stable.epoch, stable.counter);
    let Some(member) = conversation.members.get(user) else { return end };
    let visible = conversation.visible_end(user).unwrap_or_default();
    let mut head = confirmed.head();
    end.own = member.sent;
    end.role = client::Role::from(member.role).into();
    (end.visible_ordinal, end.visible_own) = (visible.ordinal, visible.own);
    end.present = member.present;
    end.own_recent = own_recent(conversation, user);
    if member.visible.contains(head.preview_seq) {
        end.preview.clone_from(&confirmed.preview);
    } else {
        head.preview_seq = 0;
    }
    if member.present {
        let others = confirmed.marks.iter().filter(|(other, _)| other.as_str() != user.as_str());
        end.marks = others.map(|(_, marks)| marks.clone()).collect();
    } else {
        (head.seq, head.time_ms, head.member_count) = (member.left.seq, 0, 0);
    }
    end.head = Some(head);
    end
}
