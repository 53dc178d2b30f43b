//! `sync`: first the versions, then the registers, then what changed (architecture section 3, Lists).

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use posthorn_core::{
    ConversationId, ConversationKey,
    cursor::{Cursor, Version},
    recent::Position,
    unread::unread,
};
use posthorn_errors::{Code, Failure};
use posthorn_proto::{
    client,
    convert::entry_of,
    internal::{End, EndsRequest, Follow, RegisterRecord, SyncReply, SyncRequest},
};

use super::{UserCell, marks::shown};
use posthorn_rpc::call;

use crate::{
    conversation::records::{damaged, position_of},
    service::Core,
};

/// Conversations asked for in one call.
const ENDS_PER_CALL: usize = 200;

struct Listed {
    end: End,
    record: RegisterRecord,
    changed: bool,
    unread: u64,
}

impl Listed {
    /// What others did to the user counts as it was listed.
    fn is_now(&mut self, now: Option<&RegisterRecord>) {
        let Some(now) = now else { return };
        let then = std::mem::replace(&mut self.record, now.clone());
        if now.membership_seq == then.membership_seq {
            (self.record.removed, self.record.visible) = (then.removed, then.visible);
        }
        self.unread = unread_of(&self.end, &self.record);
    }
}

/// Where the next page begins: the cursor that the first page began with, the one that the last page
/// will give, and the place in the list.
struct PageToken {
    since: Option<Cursor>,
    until: Cursor,
    below: (u64, String),
}

impl UserCell {
    pub async fn sync(&self, core: &Core, request: SyncRequest) -> Result<SyncReply, Failure> {
        let continued = if request.page.is_empty() { None } else { Some(PageToken::decode(&request.page)?) };
        let given = match &continued {
            Some(token) => token.since.clone(),
            None if request.cursor.is_empty() => None,
            None => Some(decode_cursor(&request.cursor)?),
        };
        let reset = given.as_ref().is_some_and(|cursor| cursor.generation != core.generation);
        let since = given.filter(|_| !reset);
        // Before the registers and the ends: what changes meanwhile comes again with the next sync.
        let own_shard = self.key.shard();
        let own_version = core.ownership.stable(own_shard);
        let registers: BTreeMap<String, RegisterRecord> = self.lock(core).await?.clone();
        let (mut listed, mut until) = self.list(core, registers, since.as_ref()).await?;
        // What was set and marked meanwhile has been answered.
        let now = self.registers.lock().await;
        listed.iter_mut().for_each(|listed| listed.is_now(now.get(&listed.end.conversation)));
        drop(now);
        let entry = until.shards.entry(own_shard).or_insert(own_version);
        *entry = (*entry).min(own_version);
        if let Some(token) = &continued {
            until = token.until.clone();
        }
        let total_unread = listed.iter().filter(|l| !l.record.muted && !l.record.removed).map(|l| l.unread).sum();
        let follow = if continued.is_none() { follow_of(&listed) } else { Vec::new() };
        let below = continued.map(|token| token.below);
        let limit = (request.limit as usize).clamp(1, core.config.max_sync_page);
        let (page, next) = page_of(listed, below.as_ref(), limit);
        let mut conversations = Vec::with_capacity(page.len());
        for listed in page {
            conversations.push(self.conversation(core, listed).await?);
        }
        let more = next.is_some();
        let page = next.map(|below| PageToken { since, until: until.clone(), below }.encode()).unwrap_or_default();
        let page = client::SyncPage {
            conversations,
            cursor: if more { String::new() } else { encode_cursor(&until) },
            more,
            page,
            reset,
            generation: core.generation,
            total_unread,
        };
        Ok(SyncReply { page: Some(page), follow })
    }

    /// Every conversation of the user with its end, and the vector of versions that this rests on.
    async fn list(
        &self,
        core: &Core,
        registers: BTreeMap<String, RegisterRecord>,
        since: Option<&Cursor>,
    ) -> Result<(Vec<Listed>, Cursor), Failure> {
        let mut until = Cursor { generation: core.generation, ..Cursor::default() };
        let mut listed = Vec::with_capacity(registers.len());
        let names: Vec<String> = registers.keys().cloned().collect();
        let mut registers = registers;
        for chunk in names.chunks(ENDS_PER_CALL) {
            let request = EndsRequest {
                tenant: (&self.key.tenant).into(),
                user: (&self.key.user).into(),
                conversations: chunk.to_vec(),
            };
            for end in call(core.peers.clone().ends(request)).await?.ends {
                let (Some(mut record), Some(head)) = (registers.remove(&end.conversation), end.head.as_ref()) else {
                    continue;
                };
                if !end.present {
                    // Their register may not have been told yet.
                    record.removed = true;
                    for range in record.visible.iter_mut().filter(|range| range.to == 0) {
                        range.to = head.seq;
                    }
                }
                let shard = self.shard_of(&end.conversation)?;
                let stable = Version { epoch: end.stable_epoch, counter: end.stable_counter };
                let kept = until.shards.entry(shard).or_insert(stable);
                *kept = (*kept).min(stable);
                let seen = |shard| since.and_then(|cursor| cursor.shards.get(&shard).copied());
                let version = Version { epoch: head.version_epoch, counter: head.version_counter };
                let register = Version { epoch: record.version_epoch, counter: record.version_counter };
                let news = seen(shard).is_none_or(|seen| version > seen && !record.removed);
                let changed = news || seen(self.key.shard()).is_none_or(|seen| register > seen);
                let unread = unread_of(&end, &record);
                listed.push(Listed { end, record, changed, unread });
            }
        }
        Ok((listed, until))
    }

    fn shard_of(&self, conversation: &str) -> Result<posthorn_core::Shard, Failure> {
        let conversation = ConversationId::new(conversation)
            .map_err(|_| Failure::new(Code::DataLoss, "a register with an invalid key"))?;
        Ok(ConversationKey { tenant: self.key.tenant.clone(), conversation }.shard())
    }

    async fn conversation(&self, core: &Core, listed: Listed) -> Result<client::Conversation, Failure> {
        let Listed { end, mut record, unread, .. } = listed;
        self.raise(&end.conversation, &mut record, &end.own_recent);
        let head = end.head.unwrap_or_default();
        let me = self.key.user.as_str();
        let peer = head.direct.iter().find(|user| *user != me).or(head.direct.first());
        let visible_end = record.visible.last().map_or(0, |range| if range.to == 0 { head.seq } else { range.to });
        let sees_preview =
            record.visible.iter().any(|r| r.from <= head.preview_seq && (r.to == 0 || head.preview_seq <= r.to));
        let preview = if sees_preview && head.preview_seq > 0 {
            self.preview(core, &end.conversation, head.preview_seq, end.preview).await?
        } else {
            None
        };
        Ok(client::Conversation {
            registers: Some(shown(&end.conversation, &record, unread)),
            conversation: end.conversation,
            kind: head.kind,
            peer: peer.cloned().unwrap_or_default(),
            title: head.title,
            role: end.role,
            member_count: head.member_count,
            visible: record.visible,
            end_seq: visible_end,
            end_ordinal: end.visible_ordinal,
            last_activity_ms: head.time_ms,
            preview,
            unread,
            marks: if record.removed { Vec::new() } else { end.marks },
        })
    }

    async fn preview(
        &self,
        core: &Core,
        conversation: &str,
        seq: u64,
        known: Option<posthorn_proto::internal::Row>,
    ) -> Result<Option<client::Entry>, Failure> {
        let row = match known {
            Some(row) if row.seq == seq => Some(row),
            _ => {
                let request = posthorn_proto::internal::ReadRequest {
                    tenant: (&self.key.tenant).into(),
                    conversation: conversation.to_owned(),
                    from: seq,
                    to: seq,
                    limit: 1,
                    reverse: false,
                    max_bytes: u64::MAX,
                };
                call(core.storage.clone().read(request)).await?.rows.into_iter().next()
            }
        };
        row.map(|row| entry_of(&row)).transpose().map_err(|error| damaged("an entry", &error))
    }
}

/// The large ones, changed or not.
fn follow_of(listed: &[Listed]) -> Vec<Follow> {
    let large = listed.iter().filter(|listed| listed.end.large);
    let follow = |listed: &Listed| Follow {
        conversation: listed.end.conversation.clone(),
        end_seq: listed.end.head.as_ref().map_or(0, |head| head.seq),
    };
    large.map(follow).collect()
}

fn unread_of(end: &End, record: &RegisterRecord) -> u64 {
    let counts = Position { seq: 0, ordinal: end.visible_ordinal, own: end.visible_own };
    unread(counts, position_of(record.read.as_ref()))
}

/// By latest activity, then by name; from below `after`.
fn page_of(listed: Vec<Listed>, after: Option<&(u64, String)>, limit: usize) -> (Vec<Listed>, Option<(u64, String)>) {
    let place = |l: &Listed| (l.end.head.as_ref().map_or(0, |head| head.time_ms), l.end.conversation.clone());
    let mut page: Vec<Listed> =
        listed.into_iter().filter(|l| l.changed && after.is_none_or(|after| place(l) < *after)).collect();
    page.sort_by_key(|l| std::cmp::Reverse(place(l)));
    if page.len() <= limit {
        return (page, None);
    }
    page.truncate(limit);
    let next = page.last().map(place);
    (page, next)
}

fn encode_cursor(cursor: &Cursor) -> String {
    URL_SAFE_NO_PAD.encode(cursor.encode())
}

fn decode_cursor(text: &str) -> Result<Cursor, Failure> {
    let bad = || Failure::new(Code::InvalidArgument, "`cursor` is not one of this server's");
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| bad())?;
    Cursor::decode(&bytes).map_err(|_| bad())
}

impl PageToken {
    fn encode(&self) -> String {
        let since = self.since.as_ref().map(encode_cursor).unwrap_or_default();
        format!("{since}~{}~{}~{}", encode_cursor(&self.until), self.below.0, self.below.1)
    }

    fn decode(text: &str) -> Result<Self, Failure> {
        let bad = || Failure::new(Code::InvalidArgument, "`page` is not one of this server's");
        let mut parts = text.splitn(4, '~');
        let mut part = || parts.next().ok_or_else(bad);
        let (since, until, time, name) = (part()?, part()?, part()?, part()?);
        Ok(Self {
            since: if since.is_empty() { None } else { Some(decode_cursor(since)?) },
            until: decode_cursor(until)?,
            below: (time.parse().map_err(|_| bad())?, name.to_owned()),
        })
    }
}
