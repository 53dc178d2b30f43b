//! `[session]`: bounds of identity and presence, by name and unit.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionConfig {
    /// Longest token that is looked at.
    pub max_token_bytes: usize,
    /// By how much a token's times may be off.
    pub leeway_ms: u64,
    /// Live signing keys of a tenant, besides the one with which its tokens are minted here.
    pub max_signing_keys: usize,
    /// How long signing keys that were read are used without asking the store. Not more than `cut_again_ms`.
    pub signing_keys_fresh_ms: u64,
    /// API keys of a tenant, and of the operator.
    pub max_api_keys: usize,
    /// Longest life of a token that this service mints.
    pub max_token_ttl_s: u64,
    /// Life of a resume token.
    pub resume_ttl_ms: u64,
    /// How long a user stays online after their last connection.
    pub presence_grace_ms: u64,
    /// A device that connects again within this is not written down again.
    pub device_seen_ms: u64,
    /// Devices of which this instance remembers that; of others it asks the store.
    pub max_remembered_devices: usize,
    /// Devices in one page of a user's list.
    pub max_device_page: u32,
    /// How often gateways whose lease ended are looked for, on average. One that is found twice in a row is gone.
    pub sweep_ms: u64,
    /// Users in one lookup.
    pub max_lookup_users: usize,
    /// Users that one connection may watch.
    pub max_watched_users: usize,
    /// How often gateways are told the number of the last publication to them, and for how long after it;
    /// that to all gateways always.
    pub link_beat_ms: u64,
    pub link_idle_ms: u64,
    /// A revocation is published once more after this, for connections that were just being made.
    pub cut_again_ms: u64,
    /// Revocations that may wait for that.
    pub max_waiting_cuts: usize,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            max_token_bytes: 8 * 1024,
            leeway_ms: 5_000,
            max_signing_keys: 2,
            signing_keys_fresh_ms: 5_000,
            max_api_keys: 64,
            max_token_ttl_s: 30 * 86_400,
            resume_ttl_ms: 86_400_000,
            presence_grace_ms: 10_000,
            device_seen_ms: 3_600_000,
            max_remembered_devices: 100_000,
            max_device_page: 200,
            sweep_ms: 1_000,
            max_lookup_users: 20_000,
            max_watched_users: 1_000,
            link_beat_ms: 1_000,
            link_idle_ms: 60_000,
            cut_again_ms: 15_000,
            max_waiting_cuts: 1_024,
        }
    }
}
