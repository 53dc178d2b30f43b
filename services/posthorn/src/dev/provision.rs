//! What `dev` makes on its first start and finds on every later one.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use posthorn_clock::Clock;
use posthorn_core::{TenantId, UserId, direct_id};
use posthorn_errors::{Code, failure_of};
use posthorn_node::Node;
use posthorn_proto::{
    client::{Body, Kind, Membership, Role, Visibility},
    internal::{
        AddSigningKeyRequest, AppendItem, AppendRequest, AuthenticateKeyRequest, Caller, CreateApiKeyRequest,
        CreateRequest, CreateTenantRequest, EndsRequest, KeyScope, PutUserRequest, append_result,
    },
};
use posthorn_rpc::SessionClient;
use prost::Message;

use super::keys::{Keys, SigningKey};

pub const TENANT: &str = "demo";
pub const GROUP: &str = "lobby";
const SIGNING_KEY_ID: &str = "dev";

/// A demo user: (id, name).
pub const USERS: [(&str, &str); 2] = [("alice", "Alice"), ("bob", "Bob")];

/// What `dev` tells about.
pub struct Provisioned {
    pub admin_key: String,
    pub operator_key: String,
    /// The direct conversation of the two.
    pub conversation: String,
}

/// The tenant with its keys, two users and their conversations. Doing it again changes nothing.
pub async fn dev(node: &Node, keys: &Keys) -> Result<Provisioned> {
    let mut session = node.clients().session.clone();
    let TenantKeys { admin_key, operator_key } = tenant(&session, keys).await?;
    for (user, name) in USERS {
        let (tenant, user, name) = (TENANT.to_owned(), user.to_owned(), name.to_owned());
        asked(session.put_user(PutUserRequest { tenant, user, name, if_absent: true }).await)?;
    }
    group(node).await?;
    let conversation = direct(node).await?;
    Ok(Provisioned { admin_key, operator_key, conversation })
}

/// What is needed to begin with a server.
pub struct TenantKeys {
    pub admin_key: String,
    pub operator_key: String,
}

/// The tenant with its keys, and the operator's. Doing it again changes nothing.
pub async fn tenant(session: &SessionClient, keys: &Keys) -> Result<TenantKeys> {
    asked(session.clone().create_tenant(CreateTenantRequest { tenant: TENANT.to_owned() }).await)?;
    let operator_key = api_key(session, keys, &keys.operator_file(), "", KeyScope::Operator).await?;
    let admin_key = api_key(session, keys, &keys.admin_file(TENANT), TENANT, KeyScope::Tenant).await?;
    signing_key(session, keys).await?;
    Ok(TenantKeys { admin_key, operator_key })
}

/// The operator's key: in its file, and known to the server.
pub async fn operator_key(node: &Node, keys: &Keys) -> Result<String> {
    api_key(&node.clients().session, keys, &keys.operator_file(), "", KeyScope::Operator).await
}

/// The key of the file if the server takes it; else a new one, kept there: file and store can be
/// restored or deleted one without the other.
async fn api_key(session: &SessionClient, keys: &Keys, file: &Path, tenant: &str, scope: KeyScope) -> Result<String> {
    let mut session = session.clone();
    if let Some(key) = Keys::read(file)? {
        match session.authenticate_key(AuthenticateKeyRequest { key: key.clone() }).await {
            Ok(known) if known.get_ref().scope() == scope && known.get_ref().tenant == tenant => return Ok(key),
            Ok(_) => {}
            Err(status) if failure_of(&status).code == Code::Unauthenticated => {}
            Err(status) => return Err(anyhow!("{}", failure_of(&status))),
        }
    }
    let request = CreateApiKeyRequest { tenant: tenant.to_owned(), scope: scope.into() };
    let key = asked(session.create_api_key(request).await)?.key;
    keys.write(file, &key)?;
    Ok(key)
}

/// The tenant's signing key, made here: it signs tokens also while the server is down.
async fn signing_key(session: &SessionClient, keys: &Keys) -> Result<()> {
    let file = keys.signing_file(TENANT);
    let key = match Keys::read(&file)? {
        Some(text) => serde_json::from_str(&text).with_context(|| format!("{} is no signing key", file.display()))?,
        None => {
            let mut secret = [0; 32];
            Clock::system().fill(&mut secret);
            let key = SigningKey {
                tenant: TENANT.to_owned(),
                key_id: SIGNING_KEY_ID.to_owned(),
                algorithm: "HS256".to_owned(),
                secret: URL_SAFE_NO_PAD.encode(secret),
            };
            keys.write(&file, &serde_json::to_string_pretty(&key)?)?;
            key
        }
    };
    let request = AddSigningKeyRequest {
        tenant: TENANT.to_owned(),
        key_id: key.key_id.clone(),
        algorithm: key.algorithm.clone(),
        key: URL_SAFE_NO_PAD.decode(&key.secret).context("the signing key's secret is no base64url")?.into(),
    };
    asked(session.clone().add_signing_key(request).await)?;
    Ok(())
}

async fn group(node: &Node) -> Result<()> {
    let members = USERS.map(|(user, _)| Membership { user: user.to_owned(), role: Role::Admin.into() });
    let request = CreateRequest {
        caller: Some(backend()),
        conversation: GROUP.to_owned(),
        title: "Lobby".to_owned(),
        visibility: Visibility::All.into(),
        members: members.into(),
        message_id: fresh_id(),
    };
    match node.clients().routing.clone().create(request).await {
        Err(status) if failure_of(&status).code != Code::AlreadyExists => Err(anyhow!("{}", failure_of(&status))),
        _ => Ok(()),
    }
}

/// A direct conversation is there from its first message on.
async fn direct(node: &Node) -> Result<String> {
    let tenant = TenantId::new(TENANT)?;
    let [(alice, _), (bob, _)] = USERS;
    let conversation = direct_id(&tenant, &UserId::new(alice)?, &UserId::new(bob)?).to_string();
    let mut routing = node.clients().routing.clone();
    let ends =
        EndsRequest { tenant: TENANT.to_owned(), user: alice.to_owned(), conversations: vec![conversation.clone()] };
    if asked(routing.ends(ends).await)?.ends.iter().any(|end| end.head.is_some()) {
        return Ok(conversation);
    }
    let body =
        Body { text: "Hi Alice! Write something: I am in the other half of this page.".to_owned(), ..Body::default() };
    let item = AppendItem {
        kind: Kind::Message.into(),
        author: bob.to_owned(),
        message_id: fresh_id(),
        body: body.encode_to_vec().into(),
        ..AppendItem::default()
    };
    let request = AppendRequest {
        caller: Some(Caller { user: bob.to_owned(), ..Caller { backend: false, ..backend() } }),
        conversation: conversation.clone(),
        direct_to: alice.to_owned(),
        items: vec![item],
    };
    match asked(routing.append(request).await)?.results.into_iter().next().and_then(|result| result.result) {
        Some(append_result::Result::Sent(_)) => Ok(conversation),
        Some(append_result::Result::Error(error)) => Err(anyhow!("{}: {}", error.code, error.message)),
        None => Err(anyhow!("the first message was not answered")),
    }
}

fn backend() -> Caller {
    Caller { tenant: TENANT.to_owned(), backend: true, ..Caller::default() }
}

fn fresh_id() -> Bytes {
    Bytes::copy_from_slice(Clock::system().uuid_v7().as_bytes())
}

fn asked<T>(reply: Result<tonic::Response<T>, tonic::Status>) -> Result<T> {
    reply.map(tonic::Response::into_inner).map_err(|status| anyhow!("{}", failure_of(&status)))
}
