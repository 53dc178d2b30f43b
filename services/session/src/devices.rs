//! Devices: what a user has connected with, so that one of them can be found and revoked.

use std::collections::HashMap;

use parking_lot::Mutex;
use posthorn_core::{DeviceId, UserKey};
use posthorn_errors::Failure;
use posthorn_proto::internal::{DeviceRecord, ListDevicesReply, ListDevicesRequest, Table};
use serde::{Deserialize, Serialize};

use crate::{
    error::{bad_id, invalid},
    service::{SessionService, key_of},
};

/// Longest name of a client that is kept, in bytes of UTF-8.
const MAX_CLIENT_BYTES: usize = 64;

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Device {
    client: String,
    first_seen_ms: u64,
    last_seen_ms: u64,
}

/// Devices that were written down a short while ago: a storm of reconnects writes nothing.
#[derive(Default)]
pub(crate) struct Remembered(Mutex<HashMap<(UserKey, String), u64>>);

impl Remembered {
    fn is_fresh(&self, key: &(UserKey, String), now_ms: u64, fresh_ms: u64) -> bool {
        self.0.lock().get(key).is_some_and(|seen_ms| now_ms < seen_ms.saturating_add(fresh_ms))
    }

    fn insert(&self, key: (UserKey, String), seen_ms: u64, fresh_ms: u64, max: usize) {
        let mut seen = self.0.lock();
        if seen.len() >= max {
            seen.retain(|_, other_ms| seen_ms < other_ms.saturating_add(fresh_ms));
        }
        // Still full: the row in the store says the same, at the price of a read.
        if seen.len() >= max {
            seen.clear();
        }
        seen.insert(key, seen_ms);
    }
}

/// `user/device`: no id has a slash, so one user's devices lie together.
fn row_of(user: &str, device: &str) -> String {
    format!("{user}/{device}")
}

/// What a client calls itself is text of a stranger: short, and in one line.
fn tidy(client: &str) -> String {
    let mut name: String = client.chars().filter(|c| !c.is_control()).take(MAX_CLIENT_BYTES).collect();
    while name.len() > MAX_CLIENT_BYTES {
        name.pop();
    }
    name.trim().to_owned()
}

impl SessionService {
    /// Writes down that a device connects, once in `session.device_seen_ms` at most. A store that does not
    /// take it keeps nobody out: it is counted, and tried again with the next connect.
    pub(crate) async fn note_device(&self, user: &UserKey, device: &str, client: &str) {
        let key = (user.clone(), device.to_owned());
        let (now_ms, fresh_ms) = (self.clock.now_ms(), self.config.device_seen_ms);
        if self.devices.is_fresh(&key, now_ms, fresh_ms) {
            return self.metrics.device("remembered");
        }
        match self.write_device(user, device, tidy(client), now_ms).await {
            Ok(seen_ms) => {
                self.metrics.device(if seen_ms == now_ms { "written" } else { "fresh" });
                self.devices.insert(key, seen_ms, fresh_ms, self.config.max_remembered_devices);
            }
            Err(failure) => {
                self.metrics.device("failed");
                tracing::warn!(%failure, "a device was not written down");
            }
        }
    }

    /// When the row says that it was seen last.
    async fn write_device(&self, user: &UserKey, device: &str, client: String, now_ms: u64) -> Result<u64, Failure> {
        DeviceId::new(device).map_err(|error| bad_id(&error))?;
        let (tenant, row) = (user.tenant.as_str(), row_of(user.user.as_str(), device));
        let fresh = Device { client, first_seen_ms: now_ms, last_seen_ms: now_ms };
        let there: Option<Device> = self.records.get(Table::Devices, tenant, &row).await?;
        let device = match there {
            // Another instance wrote it a moment ago.
            Some(device) if now_ms < device.last_seen_ms.saturating_add(self.config.device_seen_ms) => {
                return Ok(device.last_seen_ms);
            }
            Some(device) => Device { first_seen_ms: device.first_seen_ms, ..fresh },
            None => fresh,
        };
        self.records.put(Table::Devices, tenant, &row, &device).await?;
        Ok(now_ms)
    }

    /// A page of a user's devices, by their names.
    pub async fn list_devices(&self, request: ListDevicesRequest) -> Result<ListDevicesReply, Failure> {
        let user = key_of(&request.tenant, &request.user)?;
        if !request.after.is_empty() {
            DeviceId::new(&request.after).map_err(|error| bad_id(&error))?;
        }
        if request.limit == 0 {
            return Err(invalid("`limit` must be at least 1"));
        }
        let limit = request.limit.min(self.config.max_device_page);
        let begins = row_of(user.user.as_str(), "");
        let after = row_of(user.user.as_str(), &request.after);
        let rows = self.records.page::<Device>(Table::Devices, user.tenant.as_str(), &after, limit + 1).await?;
        let ours = rows.into_iter().map_while(|(key, device)| Some((key.strip_prefix(&begins)?.to_owned(), device)));
        let mut devices: Vec<DeviceRecord> = ours
            .map(|(name, Device { client, first_seen_ms, last_seen_ms })| DeviceRecord {
                device: name,
                client,
                first_seen_ms,
                last_seen_ms,
            })
            .collect();
        let more = devices.len() > limit as usize;
        devices.truncate(limit as usize);
        Ok(ListDevicesReply { devices, more })
    }
}

#[cfg(test)]
mod tests {
    use posthorn_core::{TenantId, UserId};

    use super::*;

    #[test]
    fn what_a_client_calls_itself_is_kept_short_and_in_one_line() {
        assert_eq!(tidy(" page/1.0\n\u{7f} "), "page/1.0");
        assert_eq!(tidy(&"é".repeat(1_000)), "é".repeat(32));
    }

    #[test]
    fn what_is_remembered_of_devices_is_bounded() {
        let seen = Remembered::default();
        let key = |name: &str| {
            let user = UserKey { tenant: TenantId::new("t").unwrap(), user: UserId::new("ann").unwrap() };
            (user, name.to_owned())
        };
        for (at_ms, name) in [(10, "a"), (20, "b"), (115, "c")] {
            seen.insert(key(name), at_ms, 100, 2);
            assert!(seen.0.lock().len() <= 2);
        }
        // The oldest was not fresh any more, so it went.
        assert_eq!(["a", "b", "c"].map(|name| seen.is_fresh(&key(name), 116, 100)), [false, true, true]);
        seen.insert(key("d"), 116, 100, 2);
        assert_eq!(["b", "c", "d"].map(|name| seen.is_fresh(&key(name), 117, 100)), [false, false, true]);
    }
}
