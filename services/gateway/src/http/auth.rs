//! Who asks: an API key in `Authorization: Bearer`, of a tenant or of the operator.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header};
use posthorn_core::TenantId;
use posthorn_errors::Code;
use posthorn_proto::internal::{AuthenticateKeyReply, AuthenticateKeyRequest, Caller, KeyScope};

use super::{Api, problem::Problem};

const MAX_KEY_BYTES: usize = 512;

/// An application's backend: acts for its tenant and reads all of it.
#[derive(Clone, Debug)]
pub(crate) struct Tenant(pub TenantId);

/// Whose idempotency keys these are.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// Tenant of the rows; an operator's are under a name that no tenant can have.
    pub tenant: String,
}

pub(crate) const OPERATOR_ROWS: &str = "operator!";

impl Tenant {
    pub fn name(&self) -> String {
        String::from(&self.0)
    }

    pub fn caller(&self) -> Caller {
        Caller { tenant: self.name(), backend: true, ..Caller::default() }
    }
}

/// Lets tenants' keys pass, with [`Tenant`] beside the request.
pub(crate) async fn tenant_only(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let reply = match authenticate(&api, request.headers()).await {
        Ok(reply) => reply,
        Err(problem) => return problem.into_response(),
    };
    let tenant = match (reply.scope(), TenantId::new(&reply.tenant)) {
        (KeyScope::Tenant, Ok(tenant)) => Tenant(tenant),
        _ => return Problem::new(Code::Forbidden, "this needs a tenant's key").into_response(),
    };
    request.extensions_mut().insert(Scope { tenant: tenant.name() });
    request.extensions_mut().insert(tenant);
    next.run(request).await
}

/// Lets operators' keys pass.
pub(crate) async fn operator_only(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    match authenticate(&api, request.headers()).await {
        Ok(reply) if reply.scope() == KeyScope::Operator => {}
        Ok(_) => return Problem::new(Code::Forbidden, "this needs an operator's key").into_response(),
        Err(problem) => return problem.into_response(),
    }
    request.extensions_mut().insert(Scope { tenant: OPERATOR_ROWS.to_owned() });
    next.run(request).await
}

async fn authenticate(api: &Api, headers: &HeaderMap) -> Result<AuthenticateKeyReply, Problem> {
    let key = bearer(headers)?.to_owned();
    let reply = api.deps().session.clone().authenticate_key(AuthenticateKeyRequest { key }).await;
    let known = reply.map(tonic::Response::into_inner).map_err(|status| {
        let problem = Problem::from(status);
        match problem.failure.code {
            // What is no key at all is as good as one that nobody has.
            Code::InvalidArgument | Code::Unauthenticated => {
                Problem { bad_credentials: true, ..Code::Unauthenticated.into() }
            }
            _ => problem,
        }
    })?;
    let taken = api.limits.take(api.config(), &known.key_id, api.deps().clock.now_ms());
    taken.inspect_err(|_| {
        let scope = if known.scope() == KeyScope::Operator { "operator" } else { "tenant" };
        api.metrics.rate_limited(scope);
    })?;
    Ok(known)
}

/// RFC 6750 section 2.1.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = given.next() else {
        return Err(Problem::new(Code::Unauthenticated, "an API key is missing: `Authorization: Bearer KEY`"));
    };
    let malformed = || Problem {
        bad_credentials: true,
        ..Problem::new(Code::Unauthenticated, "the Authorization header is not `Bearer KEY`")
    };
    let (scheme, key) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(malformed)?;
    let key = key.trim();
    let usable = !key.is_empty() && key.len() <= MAX_KEY_BYTES && given.next().is_none();
    if scheme.eq_ignore_ascii_case("bearer") && usable { Ok(key) } else { Err(malformed()) }
}
