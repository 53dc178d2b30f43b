//! `/v1/users/{user}/devices`: what a user has connected with.

use axum::{Extension, extract::State};
use posthorn_errors::Code;
use posthorn_proto::internal::{DeviceRecord, ListDevicesRequest};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::users::{UserPath, find};
use crate::http::{
    Api,
    auth::Tenant,
    extract::{Path, Query},
    problem::Problem,
    types::DeviceRef,
};

const DEFAULT_LIMIT: u32 = 100;

/// A page of a user's devices, in order of their ids.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DevicePage {
    pub devices: Vec<Device>,
    /// Give it as `after` to go on; null at the end.
    #[schema(required)]
    pub next: Option<DeviceRef>,
}

/// A device that has connected.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Device {
    pub id: DeviceRef,
    /// What its client called itself.
    pub client: String,
    /// When it connected first, in ms since 1970.
    pub first_seen_ms: u64,
    /// When it was seen to connect last, in ms since 1970: not every connect is written down, see
    /// `session.device_seen_ms`.
    pub last_seen_ms: u64,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeviceQuery {
    /// The device to go on after.
    after: Option<DeviceRef>,
    /// Devices at most.
    #[param(minimum = 1, maximum = 200, default = 100)]
    limit: Option<u32>,
}

/// List a user's devices
///
/// Those that have connected with a token of their name, also such whose tokens were revoked since. With
/// `/v1/revocations` one of them is signed out.
#[utoipa::path(get, path = "/v1/users/{user}/devices", tag = "users", params(UserPath, DeviceQuery), responses(
    (status = 200, description = "A page of devices", body = DevicePage),
))]
pub async fn list_devices(
    State(api): State<Api>,
    Extension(tenant): Extension<Tenant>,
    Path(path): Path<UserPath>,
    Query(query): Query<DeviceQuery>,
) -> Result<axum::Json<DevicePage>, Problem> {
    let first = query.after.is_none();
    let request = ListDevicesRequest {
        tenant: tenant.name(),
        user: String::from(&path.user.checked()?),
        after: query.after.map_or_else(String::new, |device| device.0),
        limit: query.limit.unwrap_or(DEFAULT_LIMIT),
    };
    let page = api.deps().session.clone().list_devices(request).await?.into_inner();
    // A token needs no profile: who has connected is somebody.
    if page.devices.is_empty() && first && find(&api, &tenant, &path.user).await?.is_none() {
        return Err(Problem::new(Code::NotFound, "no such user"));
    }
    let next = page.devices.last().filter(|_| page.more).map(|last| DeviceRef(last.device.clone()));
    let device = |DeviceRecord { device, client, first_seen_ms, last_seen_ms }| Device {
        id: DeviceRef(device),
        client,
        first_seen_ms,
        last_seen_ms,
    };
    Ok(axum::Json(DevicePage { devices: page.devices.into_iter().map(device).collect(), next }))
}
