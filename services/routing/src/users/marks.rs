//! Marks and the other registers a user sets. Marks only grow; "mark unread" is another register.

use posthorn_core::{
    recent::Position,
    unread::{moved_by_own, unread},
};
use posthorn_errors::{Code, Failure};
use posthorn_proto::{
    client,
    internal::{
        Caller, MarkAt, MarkReply, MarkRequest, PositionReply, PositionRequest, ReceiptRequest, RegisterRecord,
    },
};

use super::UserCell;
use posthorn_rpc::call;

use crate::{
    conversation::records::{mark_of, position_of},
    fanout::Origin,
    service::Core,
};

/// Longest draft, in bytes.
const MAX_DRAFT_BYTES: usize = 16 * 1024;

impl UserCell {
    pub async fn mark(&self, core: &Core, request: MarkRequest) -> Result<MarkReply, Failure> {
        let MarkRequest { caller, conversation, delivered, read } = request;
        let caller = caller.unwrap_or_default();
        let origin = Origin::of(&caller);
        // Marks only grow: what does not is not worth a look at the log.
        let (delivered, read) = {
            let registers = self.lock(core).await?;
            let known = registers.get(&conversation).cloned().unwrap_or_default();
            let grows = |mark: Option<&MarkAt>, to| if to > position_of(mark).seq { to } else { 0 };
            (grows(known.delivered.as_ref(), delivered), grows(known.read.as_ref(), read))
        };
        let asked = PositionRequest { caller: Some(caller), conversation: conversation.clone(), delivered, read };
        let at: PositionReply = call(core.peers.clone().position(asked)).await?;
        let mut registers = self.lock(core).await?;
        let mut record = registers.get(&conversation).cloned().unwrap_or_default();
        let read_moved = grow(&mut record.read, position_of(at.read.as_ref()));
        // Who has read it has received it.
        let delivered_moved = grow(&mut record.delivered, position_of(at.delivered.as_ref()))
            | grow(&mut record.delivered, position_of(record.read.as_ref()));
        self.raise(&conversation, &mut record, &at.own_recent);
        let read_now = position_of(record.read.as_ref());
        if read_moved {
            record.marked_unread = false;
        }
        let end = Position { seq: 0, ordinal: at.end_ordinal, own: at.own };
        let unread = unread(end, read_now);
        let reply = MarkReply { delivered: position_of(record.delivered.as_ref()).seq, read: read_now.seq, unread };
        if !(read_moved || delivered_moved) {
            return Ok(reply);
        }
        self.write(core, &mut registers, vec![(conversation.clone(), record.clone())]).await?;
        self.raised.lock().remove(&conversation);
        drop(registers);
        self.publish(core, shown(&conversation, &record, unread), origin.as_ref()).await;
        self.receipt(core, &conversation, &reply).await;
        Ok(reply)
    }

    /// As devices see it: a read mark stays where `own` messages moved it, or once did, and who has read something has
    /// received it.
    pub(super) fn raise(&self, conversation: &str, record: &mut RegisterRecord, own: &[MarkAt]) {
        let mut raised = self.raised.lock();
        grow(&mut record.read, raised.get(conversation).copied().unwrap_or_default());
        let moved = moved_by_own(position_of(record.read.as_ref()), own.iter().map(|at| position_of(Some(at))));
        if grow(&mut record.read, moved) {
            raised.insert(conversation.to_owned(), moved);
        }
        grow(&mut record.delivered, position_of(record.read.as_ref()));
    }

    /// Shows the marks to the other members.
    async fn receipt(&self, core: &Core, conversation: &str, marks: &MarkReply) {
        let request = ReceiptRequest {
            tenant: (&self.key.tenant).into(),
            conversation: conversation.to_owned(),
            marks: Some(client::MemberMarks {
                user: (&self.key.user).into(),
                delivered: marks.delivered,
                read: marks.read,
            }),
        };
        if let Err(failure) = call(core.peers.clone().receipt(request)).await {
            // Others see it with their next sync.
            tracing::debug!(%failure, "a receipt was not shown");
        }
    }

    pub async fn set(
        &self,
        core: &Core,
        caller: &Caller,
        set: client::SetRegisters,
    ) -> Result<client::Registers, Failure> {
        let mut registers = self.lock(core).await?;
        let known = registers.get(&set.conversation).ok_or_else(|| Failure::plain(Code::NotFound))?;
        let mut record = known.clone();
        for (field, value) in [
            (&mut record.muted, set.muted),
            (&mut record.archived, set.archived),
            (&mut record.pinned, set.pinned),
            (&mut record.marked_unread, set.marked_unread),
        ] {
            *field = value.unwrap_or(*field);
        }
        if let Some(draft) = set.draft {
            if draft.len() > MAX_DRAFT_BYTES {
                return Err(Failure::plain(Code::BodyTooLarge).limit("max_draft_bytes"));
            }
            record.draft = draft;
        }
        if record != *known {
            self.write(core, &mut registers, vec![(set.conversation.clone(), record.clone())]).await?;
        }
        drop(registers);
        let at = PositionRequest {
            caller: Some(caller.clone()),
            conversation: set.conversation.clone(),
            delivered: 0,
            read: 0,
        };
        let end = call(core.peers.clone().position(at)).await?;
        self.raise(&set.conversation, &mut record, &end.own_recent);
        let end = Position { seq: 0, ordinal: end.end_ordinal, own: end.own };
        let now = shown(&set.conversation, &record, unread(end, position_of(record.read.as_ref())));
        self.publish(core, now.clone(), Origin::of(caller).as_ref()).await;
        Ok(now)
    }
}

/// Marks only grow.
fn grow(mark: &mut Option<MarkAt>, to: Position) -> bool {
    let grows = to.seq > position_of(mark.as_ref()).seq;
    if grows {
        *mark = Some(mark_of(to));
    }
    grows
}

/// The registers as the user's devices see them.
pub(super) fn shown(conversation: &str, record: &RegisterRecord, unread: u64) -> client::Registers {
    client::Registers {
        conversation: conversation.to_owned(),
        delivered: position_of(record.delivered.as_ref()).seq,
        read: position_of(record.read.as_ref()).seq,
        muted: record.muted,
        archived: record.archived,
        pinned: record.pinned,
        marked_unread: record.marked_unread,
        draft: record.draft.clone(),
        removed: record.removed,
        unread,
    }
}
