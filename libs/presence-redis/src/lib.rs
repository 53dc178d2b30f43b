//! Presence on Redis 6.2 or newer, or Valkey: one server, a master kept by sentinels, or a cluster.
//!
//! # Keys
//! Everything of a user lies in one of `keys::CELLS` cells, by a hash of tenant and user. The cell
//! is the hash tag, so that a cluster keeps what changes together in one slot, and a lookup of any
//! number of users is at most that many pipelines, sent at the same time. Elsewhere it is one pipeline.
//!
//! | key | what it is |
//! | --- | --- |
//! | `P:TENANT:{cN}:u:USER` | hash: `GATEWAY:CONNECTION` -> device |
//! | `P:TENANT:{cN}:s:USER` | there while watchers were told that the user is online |
//! | `P:@:{cN}:v` | the version of the last change of what watchers of somebody in the cell were told: µs, or one more than the one before |
//! | `P:@:{cN}:noted` | sorted set: tenant/user who came or went, and were not shown as they are since -> µs of the server's clock |
//! | `P:@:{cN}:telling` | sorted set: tenant/user of whom watchers are being told -> the version of what they are told |
//! | `P:TENANT:{cN}:w:USER` | set: `GATEWAY:CONNECTION` that watch the user |
//! | `P:@:{cN}:g:GATEWAY` | hash: the gateway's connections whose users are in this cell -> weight/tenant/user; `#`: sum of the weights |
//! | `P:@:{cN}:c:GATEWAY:CONNECTION` | set: tenant/user that the connection watches |
//! | `P:@:{cN}:since` | there since the cell was first looked at: what it has left of `keep_ms` tells how long ago |
//! | `P:@:{gw}:l:GATEWAY` | the lease: `COUNT HASH` as the gateway said, lives `lease_ms` |
//! | `P:@:{gw}:all` | set: gateways that leased and were not dropped |
//!
//! `@` is in no tenant's name. Registering, unregistering, dropping and showing are scripts: what they change they
//! change together, or not at all.
//!
//! # Leases
//! A connection counts while the lease of its gateway lives. What a lease has left is asked once and then
//! known until it would end, so a lookup costs one round trip, and one more per gateway and `lease_ms`.
//! A renewal compares count and sum of all cells with what the gateway says.
//!
//! An engine that was emptied (a restart without its data, a flush) would answer that nobody is anywhere. A cell
//! without its mark, or with one younger than `settle_ms`, is therefore not believed: lookups fail as they do while
//! the engine is away, until every gateway had its turn to compare and to register again.
//!
//! # Costs
//! In commands: registering, unregistering 1 each (a script); a lookup 1 a user and 1 a cell of them; a renewal
//! 2 a cell and 5, so 133, every third of `lease_ms`; watching n users 66 + 2 n, and one a cell for their versions and one
//! a user; a look for those whose watchers were not told 64 (scripts), every 5 s and session process.
//! In memory: about 400 bytes a connection of a
//! user with one, of whom watchers were told (Redis 7.0; `a_connection_costs_what_the_documentation_says` measures
//! it). Nothing stays for ever: every key lives `keep_ms` at most beyond the last lease of a gateway that needs it.

pub mod config;
mod connect;
mod error;
mod keys;
mod leases;
mod link;
mod metrics;
mod presence;
mod scripts;
mod settling;
mod sweep;
mod watching;

pub use config::{RedisConfig, RedisMode};
pub use error::OpenError;
pub use presence::RedisPresence;
