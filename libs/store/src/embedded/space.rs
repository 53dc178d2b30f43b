//! Free space of the data directory's file system.

use std::path::Path;

/// Bytes that this process may still write there. What cannot be asked is not in the way: the commit
/// itself will say so.
pub(crate) fn free_bytes(path: &Path) -> u64 {
    rustix::fs::statvfs(path).map_or(u64::MAX, |fs| fs.f_bavail.saturating_mul(fs.f_frsize))
}
