//! The service over gRPC: decode, call, encode. What an entry says stays here.

use std::sync::Arc;

use posthorn_core::{ConversationId, ConversationKey, TenantId};
use posthorn_errors::{Code, Failure};
use posthorn_feed::letters::{DeadLetter, LetterId};
use posthorn_proto::internal::{
    self as wire,
    push_server::{Push, PushServer},
};
use posthorn_rpc::MAX_MESSAGE_BYTES;
use tonic::{Request, Response, Status, service::Routes};

use crate::PushService;

/// The service as routes: for a local link or a listener.
#[must_use]
pub fn routes(service: Arc<PushService>) -> Routes {
    let server = PushServer::new(Grpc(service))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    Routes::new(server)
}

struct Grpc(Arc<PushService>);

type Reply<T> = Result<Response<T>, Status>;

fn id_of(request: &wire::LetterRequest) -> Result<LetterId, Failure> {
    let bad = |_| Failure::new(Code::InvalidArgument, "this is no id of a tenant or a conversation");
    let tenant = TenantId::new(&request.tenant).map_err(bad)?;
    let conversation = ConversationId::new(&request.conversation).map_err(bad)?;
    let key = ConversationKey { tenant, conversation };
    Ok(LetterId { key, generation: request.generation, seq: request.seq })
}

fn letter((id, letter): (LetterId, DeadLetter)) -> wire::Letter {
    wire::Letter {
        tenant: id.key.tenant.to_string(),
        conversation: id.key.conversation.to_string(),
        generation: id.generation,
        seq: id.seq,
        why: letter.why,
        attempts: letter.attempts,
        parked_ms: letter.parked_ms,
    }
}

#[tonic::async_trait]
impl Push for Grpc {
    async fn list_letters(&self, request: Request<wire::ListLettersRequest>) -> Reply<wire::ListLettersReply> {
        let request = request.into_inner();
        let after = (!request.after.is_empty()).then_some(request.after.as_str());
        let page = self.0.letters(&request.group, after, request.limit).await?;
        let letters = page.letters.into_iter().map(letter).collect();
        Ok(Response::new(wire::ListLettersReply { letters, next: page.next.unwrap_or_default() }))
    }

    async fn retry_letter(&self, request: Request<wire::LetterRequest>) -> Reply<wire::RetryLetterReply> {
        let request = request.into_inner();
        let kept = self.0.retry_letter(&request.group, &id_of(&request)?).await?;
        Ok(Response::new(wire::RetryLetterReply { done: kept.is_none(), why: kept.unwrap_or_default() }))
    }

    async fn discard_letter(&self, request: Request<wire::LetterRequest>) -> Reply<wire::DiscardLetterReply> {
        let request = request.into_inner();
        self.0.discard_letter(&request.group, &id_of(&request)?).await?;
        Ok(Response::new(wire::DiscardLetterReply {}))
    }
}
