//! A conversation in memory, as seen by everybody but its owner task.

use std::{collections::BTreeMap, sync::Arc};

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
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::records::head_of;

pub struct Cell {
    pub key: ConversationKey,
    pub shard: Shard,
    pub confirmed: RwLock<Confirmed>,
    pub(super) commands: mpsc::Sender<Command>,
    /// The owner is to end: the shard is handed over.
    pub(super) leave: CancellationToken,
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
