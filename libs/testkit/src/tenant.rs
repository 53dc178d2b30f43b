//! A tenant of a cluster: its key, its users, their tokens.

use anyhow::{Result, anyhow};
use posthorn_node::{Clients, Node};
use posthorn_proto::internal::{CreateApiKeyRequest, CreateTenantRequest, KeyScope, MintTokenRequest, PutUserRequest};

/// Long enough for any test.
pub(crate) const TOKEN_TTL_S: u64 = 3_600;

/// Cheap to clone.
#[derive(Clone)]
pub struct Tenant {
    pub name: String,
    /// The application's backend presents it on `/v1`.
    pub admin_key: String,
    pub ws: String,
    pub http: String,
    clients: Clients,
}

impl Tenant {
    pub(crate) async fn make(node: &Node, name: &str, ws: String, http: String) -> Result<Self> {
        let clients = node.clients().clone();
        let mut session = clients.session.clone();
        session.create_tenant(CreateTenantRequest { tenant: name.to_owned() }).await.map_err(failed)?;
        let request = CreateApiKeyRequest { tenant: name.to_owned(), scope: KeyScope::Tenant.into() };
        let admin_key = session.create_api_key(request).await.map_err(failed)?.into_inner().key;
        Ok(Self { name: name.to_owned(), admin_key, ws, http, clients })
    }

    /// Makes a user, unless there.
    pub async fn user(&self, user: &str) -> Result<()> {
        let (tenant, user, name) = (self.name.clone(), user.to_owned(), user.to_owned());
        let request = PutUserRequest { tenant, user, name, if_absent: true };
        self.clients.session.clone().put_user(request).await.map_err(failed)?;
        Ok(())
    }

    /// A token of the user, for any device, of limit class `unlimited`.
    pub async fn token(&self, user: &str) -> Result<String> {
        self.token_of(user, "", "unlimited", TOKEN_TTL_S).await
    }

    pub async fn token_of(&self, user: &str, device: &str, limit_class: &str, ttl_s: u64) -> Result<String> {
        let request = MintTokenRequest {
            tenant: self.name.clone(),
            user: user.to_owned(),
            device: device.to_owned(),
            ttl_s,
            limit_class: limit_class.to_owned(),
        };
        Ok(self.clients.session.clone().mint_token(request).await.map_err(failed)?.into_inner().token)
    }

    /// The services below the edge, of the node that made this tenant: gone with its next restart.
    #[must_use]
    pub const fn clients(&self) -> &Clients {
        &self.clients
    }
}

pub(crate) async fn operator_key(node: &Node) -> Result<String> {
    let request = CreateApiKeyRequest { tenant: String::new(), scope: KeyScope::Operator.into() };
    Ok(node.clients().session.clone().create_api_key(request).await.map_err(failed)?.into_inner().key)
}

fn failed(status: tonic::Status) -> anyhow::Error {
    anyhow!("{}: {}", status.code(), status.message())
}
