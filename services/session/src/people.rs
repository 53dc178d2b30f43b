//! Users: an id that the application chose, and a name that can be erased.

use posthorn_core::{TenantId, UserId};
use posthorn_errors::Failure;
use posthorn_proto::internal::{Table, UserRecord};
use serde::{Deserialize, Serialize};

use crate::{
    error::{bad_id, invalid},
    service::SessionService,
};

#[derive(Serialize, Deserialize)]
struct User {
    name: String,
    created_ms: u64,
}

/// Longest name, in bytes of UTF-8.
const MAX_NAME_BYTES: usize = 256;
/// Users in one request.
const MAX_USERS: usize = 1_000;

impl SessionService {
    /// True if the user was there.
    pub async fn put_user(&self, tenant: &str, user: &str, name: &str, if_absent: bool) -> Result<bool, Failure> {
        let tenant = TenantId::new(tenant).map_err(|error| bad_id(&error))?;
        let id = UserId::new(user).map_err(|error| bad_id(&error))?;
        if id == UserId::system() {
            return Err(invalid("`user`: `system` is the application itself"));
        }
        if name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
            return Err(invalid(format!("`name` must be at most {MAX_NAME_BYTES} bytes without control characters")));
        }
        let mut record = User { name: name.to_owned(), created_ms: self.clock.now_ms() };
        let existing: Option<User> = self.records.put_if_absent(Table::Users, tenant.as_str(), user, &record).await?;
        let existed = existing.is_some();
        if let Some(existing) = existing
            && !if_absent
            && existing.name != name
        {
            record.created_ms = existing.created_ms;
            self.records.put(Table::Users, tenant.as_str(), user, &record).await?;
        }
        Ok(existed)
    }

    /// Those that exist, in the order asked.
    pub async fn get_users(&self, tenant: &str, users: &[String]) -> Result<Vec<UserRecord>, Failure> {
        if users.len() > MAX_USERS {
            return Err(invalid(format!("`users` names more than {MAX_USERS}")));
        }
        let mut found = Vec::new();
        for user in users {
            UserId::new(user).map_err(|error| bad_id(&error))?;
            let record: Option<User> = self.records.get(Table::Users, tenant, user).await?;
            found.extend(record.map(|User { name, created_ms }| UserRecord { user: user.clone(), name, created_ms }));
        }
        Ok(found)
    }
}
