//! `/v1/users`: people, as the application names them.

use axum::{Extension, extract::State};
use http::StatusCode;
use posthorn_errors::Code;
use posthorn_proto::internal::{GetUsersRequest, PutUserRequest, UserRecord};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::{
    Api,
    auth::Tenant,
    extract::{Json, Path},
    problem::Problem,
    types::UserRef,
};

type Answer = Result<(StatusCode, axum::Json<User>), Problem>;

/// A user as the application gives it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    pub id: UserRef,
    /// What other people see. No control characters.
    #[schema(pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$", min_length = 1, max_length = 64, examples("Ada"))]
    pub name: String,
}

/// A user.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    pub id: UserRef,
    /// What other people see.
    pub name: String,
    /// When it was created, in ms since 1970.
    pub created_ms: u64,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct UserPath {
    /// The user's id.
    pub(super) user: UserRef,
}

/// Create or rename a user
///
/// The same request may be repeated: the id decides.
#[utoipa::path(put, path = "/v1/users", tag = "users", request_body = NewUser, responses(
    (status = 200, description = "The user was there, and has this name now", body = User),
    (status = 201, description = "Created", body = User),
))]
pub async fn put_user(
    State(api): State<Api>,
    Extension(tenant): Extension<Tenant>,
    Json(new): Json<NewUser>,
) -> Answer {
    let existed = put(&api, &tenant, &new, false).await?;
    let user = find(&api, &tenant, &new.id).await?.ok_or_else(|| Problem::from(Code::NotConfirmed))?;
    Ok((if existed { StatusCode::OK } else { StatusCode::CREATED }, axum::Json(user)))
}

/// Create a user
///
/// A user who is there already under the same name is answered with 200, under another name with 409.
#[utoipa::path(post, path = "/v1/users", tag = "users", request_body = NewUser, responses(
    (status = 200, description = "The user was there, with this name", body = User),
    (status = 201, description = "Created", body = User),
))]
pub async fn create_user(
    State(api): State<Api>,
    Extension(tenant): Extension<Tenant>,
    Json(new): Json<NewUser>,
) -> Answer {
    let existed = put(&api, &tenant, &new, true).await?;
    let user = find(&api, &tenant, &new.id).await?.ok_or_else(|| Problem::from(Code::NotConfirmed))?;
    if user.name != new.name {
        return Err(Problem::new(Code::AlreadyExists, "the user is there, under another name"));
    }
    Ok((if existed { StatusCode::OK } else { StatusCode::CREATED }, axum::Json(user)))
}

/// A user
#[utoipa::path(get, path = "/v1/users/{user}", tag = "users", params(UserPath), responses(
    (status = 200, description = "The user", body = User),
))]
pub async fn get_user(
    State(api): State<Api>,
    Extension(tenant): Extension<Tenant>,
    Path(path): Path<UserPath>,
) -> Result<axum::Json<User>, Problem> {
    let user = find(&api, &tenant, &path.user).await?;
    user.map(axum::Json).ok_or_else(|| Problem::new(Code::NotFound, "no such user"))
}

async fn put(api: &Api, tenant: &Tenant, new: &NewUser, if_absent: bool) -> Result<bool, Problem> {
    let user = new.id.checked()?;
    let request =
        PutUserRequest { tenant: tenant.name(), user: String::from(&user), name: new.name.clone(), if_absent };
    Ok(api.deps().session.clone().put_user(request).await?.into_inner().existed)
}

pub(super) async fn find(api: &Api, tenant: &Tenant, user: &UserRef) -> Result<Option<User>, Problem> {
    let request = GetUsersRequest { tenant: tenant.name(), users: vec![user.0.clone()] };
    let users = api.deps().session.clone().get_users(request).await?.into_inner().users;
    let found = users.into_iter().find(|record| record.user == user.0);
    Ok(found.map(|UserRecord { user, name, created_ms }| User { id: UserRef(user), name, created_ms }))
}
