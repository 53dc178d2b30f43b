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

    /// An error while one of the cells, with the answers to [`Self::age`], is not filled yet.
    pub(crate) async fn settled(&self, cells: impl Iterator<Item = (Place, Value)>) -> Result<()> {
        let (keep_ms, settle_ms) = (self.config.keep_ms, self.config.settle_ms);
        let (mut emptied, mut young) = (Vec::new(), false);
        for (cell, left) in cells {
            match u64::try_from(number(&left)) {
                Ok(left) => young |= left + settle_ms > keep_ms,
                Err(_) => emptied.push(cell),
            }
        }
        young |= settle_ms > 0 && !emptied.is_empty();
        let mark =
            |cell| (cell, cmd("SET").arg(self.keys.since(cell)).arg(1).arg("PX").arg(keep_ms).arg("NX").to_owned());
        self.link.batch("settle", emptied.into_iter().map(mark).collect()).await?;
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
