//! Between generated messages and `posthorn-core`. A message from outside converts with an error
//! that names the field; a stored one that does not convert is damage and says so too.

use bytes::Bytes;
use posthorn_core::{self as core, DeviceId, InvalidId, MessageId, UserId, entry::FORMAT};
use prost::Message;

use crate::{client, internal};

/// A message whose field cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    #[error("`{0}` is missing or out of range")]
    Field(&'static str),
    #[error(transparent)]
    Id(#[from] InvalidId),
    #[error("not decodable: {0}")]
    Decode(#[from] prost::DecodeError),
}

macro_rules! same_names {
    ($wire:ty, $core:ty, $field:literal, $($variant:ident),*) => {
        impl From<$core> for $wire {
            fn from(value: $core) -> Self {
                match value { $(<$core>::$variant => Self::$variant,)* }
            }
        }
        impl TryFrom<$wire> for $core {
            type Error = ConvertError;
            fn try_from(value: $wire) -> Result<Self, ConvertError> {
                match value {
                    $(<$wire>::$variant => Ok(Self::$variant),)*
                    <$wire>::Unspecified => Err(ConvertError::Field($field)),
                }
            }
        }
    };
}

same_names!(
    client::Kind,
    core::Kind,
    "kind",
    Message,
    Created,
    Joined,
    Left,
    Removed,
    Role,
    Title,
    System,
    Edit,
    Redaction,
    Reaction,
    Pin
);
same_names!(client::Role, core::Role, "role", Member, Admin, Owner);
same_names!(client::ConversationKind, core::ConversationKind, "kind", Direct, Group);
same_names!(client::Visibility, core::Visibility, "visibility", SinceJoin, All);

impl From<core::Range> for client::Range {
    fn from(range: core::Range) -> Self {
        Self { from: range.from, to: range.to.unwrap_or(0) }
    }
}

impl From<&client::Range> for core::Range {
    fn from(range: &client::Range) -> Self {
        Self { from: range.from, to: (range.to != 0).then_some(range.to) }
    }
}

/// Visible ranges as they stand in messages.
#[must_use]
pub fn ranges_to_wire(ranges: &core::Ranges) -> Vec<client::Range> {
    ranges.as_slice().iter().copied().map(Into::into).collect()
}

#[must_use]
pub fn ranges_from_wire(ranges: &[client::Range]) -> core::Ranges {
    core::Ranges::from_vec(ranges.iter().map(Into::into).collect())
}

/// The bytes that enter the chain and the log.
#[must_use]
pub fn encode_envelope(envelope: &core::Envelope) -> Bytes {
    let wire = internal::Envelope {
        format: FORMAT,
        kind: client::Kind::from(envelope.kind).into(),
        author: (&envelope.author).into(),
        device: envelope.device.as_ref().map_or_else(String::new, Into::into),
        message_id: Bytes::copy_from_slice(envelope.message_id.0.as_bytes()),
        time_ms: envelope.time_ms,
        after_seq: envelope.after_seq,
        ordinal: envelope.ordinal,
        reply_to: envelope.reply_to,
        thread: envelope.thread,
        target: envelope.target,
        mentions: envelope.mentions.iter().map(Into::into).collect(),
        media: envelope.media.clone(),
        expires_ms: envelope.expires_ms,
        content_type: envelope.content_type.clone(),
        encrypted: envelope.encrypted,
        body_hash: envelope.body_hash.map_or_else(Bytes::new, |hash| Bytes::copy_from_slice(&hash)),
        body_key: String::new(),
        author_ordinal: envelope.author_ordinal,
    };
    wire.encode_to_vec().into()
}

/// Back from the log.
pub fn decode_envelope(bytes: &[u8]) -> Result<core::Envelope, ConvertError> {
    let wire = internal::Envelope::decode(bytes)?;
    if wire.format != FORMAT {
        return Err(ConvertError::Field("format"));
    }
    Ok(core::Envelope {
        kind: wire.kind().try_into()?,
        author: UserId::new(&wire.author)?,
        device: if wire.device.is_empty() { None } else { Some(DeviceId::new(&wire.device)?) },
        message_id: MessageId::from_slice(&wire.message_id).ok_or(ConvertError::Field("message_id"))?,
        time_ms: wire.time_ms,
        after_seq: wire.after_seq,
        ordinal: wire.ordinal,
        author_ordinal: wire.author_ordinal,
        reply_to: wire.reply_to,
        thread: wire.thread,
        target: wire.target,
        mentions: wire.mentions.iter().map(|user| UserId::new(user)).collect::<Result<_, _>>()?,
        media: wire.media,
        expires_ms: wire.expires_ms,
        content_type: wire.content_type,
        encrypted: wire.encrypted,
        body_hash: wire.body_hash.as_ref().try_into().ok(),
    })
}

/// A stored row as clients see it. A kind that this build does not know keeps its number.
pub fn entry_of(row: &internal::Row) -> Result<client::Entry, ConvertError> {
    let envelope = internal::Envelope::decode(row.envelope.as_ref())?;
    let id = MessageId::from_slice(&envelope.message_id).ok_or(ConvertError::Field("message_id"))?;
    let (body, ciphertext) = match &row.body {
        Some(bytes) if envelope.encrypted => (None, bytes.clone()),
        Some(bytes) => (Some(client::Body::decode(bytes.clone())?), Bytes::new()),
        None => (None, Bytes::new()),
    };
    Ok(client::Entry {
        seq: row.seq,
        kind: envelope.kind,
        author: envelope.author,
        device: envelope.device,
        message_id: id.to_string(),
        time_ms: envelope.time_ms,
        after_seq: envelope.after_seq,
        ordinal: envelope.ordinal,
        reply_to: envelope.reply_to,
        thread: envelope.thread,
        target: envelope.target,
        mentions: envelope.mentions,
        body,
        ciphertext,
        encrypted: envelope.encrypted,
        content_type: envelope.content_type,
    })
}
