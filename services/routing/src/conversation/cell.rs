//! A conversation in memory, as seen by everybody but its owner task.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::RwLock;
use posthorn_core::{
    Chain, ConversationKey, Role, Shard, UserId, Visibility,
    conversation::{Change, Conversation, Draft, Terms},
    cursor::Version,
};
use posthorn_errors::Failure;
use posthorn_proto::{
    client,
    internal::{Head, Row},
};
use posthorn_rpc::TraceContext;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{marks::MovingMarks, records::head_of};

pub struct Cell {
    pub key: ConversationKey,
    pub shard: Shard,
    pub confirmed: RwLock<Confirmed>,
    pub(super) commands: mpsc::Sender<Asked>,
    /// The order of the last use, for who leaves the memory first.
    pub(super) used: AtomicU64,
    /// The owner is at work, or has something to settle. For a first look: it knows, and decides.
    pub(super) at_work: AtomicBool,
    pub marks: MovingMarks,
    leaving: AtomicBool,
    pub(super) leave: Notify,
    /// The owner is to end whatever it has to do: the shard is handed over.
    pub(super) handed_over: CancellationToken,
}

/// A command, and the trace of whoever asked.
pub(super) struct Asked {
    pub command: Command,
    pub trace: Option<TraceContext>,
}

impl Cell {
    pub(super) fn new(key: ConversationKey, confirmed: Confirmed, commands: mpsc::Sender<Asked>) -> Self {
        Self {
            shard: key.shard(),
            key,
            confirmed: RwLock::new(confirmed),
            commands,
            used: AtomicU64::new(0),
            at_work: AtomicBool::new(false),
            marks: MovingMarks::default(),
            leaving: AtomicBool::new(false),
            leave: Notify::new(),
            handed_over: CancellationToken::new(),
        }
    }

    /// Nothing waits for the owner, and it has nothing to do.
    pub(super) fn is_idle(&self) -> bool {
        !self.at_work.load(Ordering::Acquire) && self.commands.capacity() == self.commands.max_capacity()
    }

    /// True the first time.
    pub(super) fn ask_to_leave(&self) -> bool {
        let first = !self.leaving.swap(true, Ordering::AcqRel);
        if first {
            self.leave.notify_one();
        }
        first
    }

    /// It has left, or stays; true if it was asked to leave.
    pub(super) fn leaves_no_more(&self) -> bool {
        self.leaving.swap(false, Ordering::AcqRel)
    }
}

/// What may be shown: only entries whose check has passed.
pub struct Confirmed {
    pub conversation: Conversation,
    pub chain: Chain,
    pub version: Version,
    /// The last countable entry.
    pub preview: Option<Row>,
    /// The present members' ids; rebuilt when members change.
    pub audience: Arc<Vec<String>>,
    /// The members' marks as far as they are known here, and whether the stored ones are among them.
    pub marks: BTreeMap<String, client::MemberMarks>,
    pub marks_filled: bool,
}

impl Confirmed {
    pub fn new(conversation: Conversation, chain: Chain, version: Version, preview: Option<Row>) -> Self {
        let audience = Arc::new(conversation.present_users().map(Into::into).collect());
        Self { conversation, chain, version, preview, audience, marks: BTreeMap::new(), marks_filled: false }
    }

    pub fn head(&self) -> Head {
        head_of(&self.conversation, self.chain, self.version)
    }
}

/// What a change came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Of its last entry; 0 where all was so already.
    pub seq: u64,
    pub duplicate: bool,
}

pub(super) type Answer<T> = oneshot::Sender<Result<T, Failure>>;

/// What an owner is asked to append.
pub enum Command {
    Send {
        draft: Box<Draft>,
        body: Bytes,
        terms: Terms,
        /// As whom: the author if a user, else the backend.
        backend: bool,
        /// The pair, where the conversation is direct and may have to be created.
        direct: Option<(UserId, UserId)>,
        answer: Answer<client::Sent>,
    },
    Create {
        draft: Box<Draft>,
        answer: Answer<Made>,
    },
    Change {
        backend: bool,
        by: Option<UserId>,
        device: Option<posthorn_core::DeviceId>,
        changes: Vec<Change>,
        answer: Answer<Made>,
    },
}

/// How a group begins.
pub fn created(
    title: String,
    visibility: Visibility,
    members: Vec<(UserId, Role)>,
) -> posthorn_core::conversation::Fact {
    posthorn_core::conversation::Fact::Created {
        kind: posthorn_core::ConversationKind::Group,
        title,
        visibility,
        members,
    }
}
