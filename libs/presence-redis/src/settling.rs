//! An engine that was emptied answers like one where nobody is. So each cell says since when it is filled: for
//! a while it counts as unknown where anybody is, until every gateway had its turn to register again.

use posthorn_presence::{PresenceError, Result};
use redis::{Cmd, Value, cmd};

use crate::{keys::Place, presence::RedisPresence, presence::number};

impl RedisPresence {
    /// What is left of the life of the cell's mark: it tells how old it is.
    pub(crate) fn age(&self, cell: Place) -> (Place, Cmd) {
        (cell, cmd("PTTL").arg(self.keys.since(cell)).to_owned())
    }

    /// An error while one of the cells, whose answers to [`Self::age`] these are, is not filled yet.
    pub(crate) async fn settled(&self, ages: Vec<Value>) -> Result<()> {
        let (keep_ms, settle_ms) = (self.config.keep_ms, self.config.settle_ms);
        let left = |age: &Value| u64::try_from(number(age)).ok();
        let emptied = ages.iter().any(|age| left(age).is_none());
        let young = ages.iter().filter_map(left).any(|left| left + settle_ms > keep_ms) || emptied && settle_ms > 0;
        if emptied {
            // Where one is empty the others are likely to be, and they fill at the same time.
            let mark = |cell| cmd("SET").arg(self.keys.since(cell)).arg(1).arg("PX").arg(keep_ms).arg("NX").to_owned();
            self.link.batch("settle", Place::cells().map(|cell| (cell, mark(cell))).collect()).await?;
        }
        if young {
            let why = "it was emptied, and gateways register again (redis.settle_ms)";
            return Err(PresenceError::Unavailable(why.to_owned()));
        }
        Ok(())
    }

    /// The mark lives on, as old as one that has settled.
    pub(crate) async fn keep_mark(&self, cell: Place, left: i64) -> Result<()> {
        let (keep_ms, settle_ms) = (self.config.keep_ms, self.config.settle_ms);
        if u64::try_from(left).is_ok_and(|left| left < keep_ms / 2) {
            let live_on = cmd("PEXPIRE").arg(self.keys.since(cell)).arg(keep_ms - settle_ms).to_owned();
            self.link.batch("touch", vec![(cell, live_on)]).await?;
        }
        Ok(())
    }
}
