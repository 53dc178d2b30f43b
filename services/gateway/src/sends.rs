//! From a client's `send` to the item that the conversation's owner appends.

use bytes::Bytes;
use posthorn_core::{ConversationId, MessageId, TenantId, UserId, direct_id};
use posthorn_errors::{Code, Failure};
use posthorn_proto::{
    client::{Body, Kind, Send, Style},
    internal::{AppendItem, Caller},
};
use prost::Message;

use crate::{GatewayConfig, error::invalid};

/// Users that one message may mention.
pub const MAX_MENTIONS: usize = 100;

/// A send that may go to the owner.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    pub conversation: ConversationId,
    /// Empty, or the other user of a direct conversation that may have to be created.
    pub direct_to: String,
    pub item: AppendItem,
}

/// Checks everything that needs no state.
pub fn check(config: &GatewayConfig, caller: &Caller, send: Send) -> Result<Checked, Failure> {
    let (conversation, direct_to) = target(caller, &send)?;
    let message_id: MessageId =
        send.message_id.parse().map_err(|_| invalid("`message_id` must be a UUID, made by the sender"))?;
    if send.mentions.len() > MAX_MENTIONS {
        return Err(invalid(format!("`mentions` names more than {MAX_MENTIONS} users")));
    }
    for user in &send.mentions {
        UserId::new(user).map_err(|error| invalid(format!("`mentions`: {error}")))?;
    }
    let body = body_bytes(config, send.body)?;
    let item = AppendItem {
        kind: Kind::Message.into(),
        author: caller.user.clone(),
        device: caller.device.clone(),
        message_id: Bytes::copy_from_slice(message_id.0.as_bytes()),
        after_seq: send.after_seq,
        generation: send.generation,
        retry: send.retry,
        reply_to: send.reply_to,
        thread: send.thread,
        target: 0,
        mentions: send.mentions,
        body,
        precondition: send.precondition,
        blind: false,
    };
    Ok(Checked { conversation, direct_to, item })
}

/// Encoded once, here: nobody re-encodes a body.
fn body_bytes(config: &GatewayConfig, body: Option<Body>) -> Result<Bytes, Failure> {
    let body = body.ok_or_else(|| invalid("`body` is missing"))?;
    if body.text.is_empty() {
        return Err(invalid("`body.text` is empty"));
    }
    if Style::try_from(body.style).is_err() {
        return Err(invalid("`body.style` is none that this server knows"));
    }
    if body.created.is_some() || body.member.is_some() || !body.title.is_empty() {
        return Err(invalid("`body` of a message holds `text` and `style` alone"));
    }
    if body.encoded_len() > config.max_body_bytes {
        return Err(Failure::plain(Code::BodyTooLarge).limit("limits.max_body_bytes"));
    }
    Ok(body.encode_to_vec().into())
}

fn target(caller: &Caller, send: &Send) -> Result<(ConversationId, String), Failure> {
    match (send.conversation.as_str(), send.to.as_str()) {
        ("", "") => Err(invalid("one of `conversation` and `to` is needed")),
        ("", to) => Ok((direct_of(caller, to)?, to.to_owned())),
        (conversation, "") => Ok((conversation_id(conversation)?, String::new())),
        _ => Err(invalid("`conversation` and `to` exclude each other")),
    }
}

/// The direct conversation of the caller and another user.
pub fn direct_of(caller: &Caller, to: &str) -> Result<ConversationId, Failure> {
    let bad = |error: posthorn_core::InvalidId| invalid(error.to_string());
    let (tenant, user) = (TenantId::new(&caller.tenant).map_err(bad)?, UserId::new(&caller.user).map_err(bad)?);
    let to = UserId::new(to).map_err(|error| invalid(format!("`to`: {error}")))?;
    if to == user {
        return Err(invalid("`to` is the sender"));
    }
    Ok(direct_id(&tenant, &user, &to))
}

/// Checks the form of a conversation's id.
pub fn conversation_id(text: &str) -> Result<ConversationId, Failure> {
    ConversationId::new(text).map_err(|error| invalid(error.to_string()))
}

#[cfg(test)]
mod tests {
    use posthorn_proto::client::{Created, Membership};

    use super::*;

    fn caller() -> Caller {
        Caller { tenant: "t".into(), user: "ada".into(), device: "phone".into(), ..Caller::default() }
    }

    fn send() -> Send {
        Send {
            conversation: "lobby".into(),
            message_id: "0193a5c0-0000-7000-8000-000000000001".into(),
            body: Some(Body { text: "hello".into(), ..Body::default() }),
            ..Send::default()
        }
    }

    #[test]
    fn a_send_keeps_what_its_author_fixed() {
        let sent = Send { after_seq: 9, generation: 2, retry: true, reply_to: 4, ..send() };
        let checked = check(&GatewayConfig::default(), &caller(), sent).unwrap();
        let item = checked.item;
        assert_eq!((item.after_seq, item.generation, item.retry, item.reply_to), (9, 2, true, 4));
        assert_eq!((item.author.as_str(), item.device.as_str()), ("ada", "phone"));
        assert_eq!(Body::decode(item.body).unwrap().text, "hello");
        assert_eq!(item.message_id.len(), 16);
    }

    #[test]
    fn to_is_the_one_conversation_of_the_pair() {
        let to = |from: &str, to: &str| {
            let caller = Caller { user: from.into(), ..caller() };
            let sent = Send { conversation: String::new(), to: to.into(), ..send() };
            check(&GatewayConfig::default(), &caller, sent)
        };
        let (ab, ba) = (to("ada", "bob").unwrap(), to("bob", "ada").unwrap());
        assert_eq!(ab.conversation, ba.conversation);
        assert_eq!(ab.direct_to, "bob");
        assert!(to("ada", "ada").is_err() && to("ada", "b b").is_err());
    }

    #[test]
    fn what_a_client_may_not_say_is_refused() {
        let refused = |change: &dyn Fn(&mut Send)| {
            let mut sent = send();
            change(&mut sent);
            check(&GatewayConfig::default(), &caller(), sent).unwrap_err().code
        };
        let body = |change: &dyn Fn(&mut Body)| refused(&|s: &mut Send| change(s.body.as_mut().unwrap()));
        assert_eq!(refused(&|s| s.body = None), Code::InvalidArgument);
        assert_eq!(refused(&|s| s.message_id = "7".into()), Code::InvalidArgument);
        assert_eq!(refused(&|s| s.conversation = "a/b".into()), Code::InvalidArgument);
        assert_eq!(refused(&|s| s.to = "bob".into()), Code::InvalidArgument);
        assert_eq!(refused(&|s| s.mentions = vec!["bob".into(); MAX_MENTIONS + 1]), Code::InvalidArgument);
        assert_eq!(refused(&|s| s.mentions = vec!["b*b".into()]), Code::InvalidArgument);
        assert_eq!(body(&|b| b.text.clear()), Code::InvalidArgument);
        assert_eq!(body(&|b| b.style = 77), Code::InvalidArgument);
        assert_eq!(body(&|b| b.title = "x".into()), Code::InvalidArgument);
        assert_eq!(body(&|b| b.member = Some(Membership::default())), Code::InvalidArgument);
        assert_eq!(body(&|b| b.created = Some(Created::default())), Code::InvalidArgument);
        assert_eq!(body(&|b| b.text = "x".repeat(65 * 1024)), Code::BodyTooLarge);
    }
}
