//! What a gateway left behind.

use std::collections::{BTreeSet, HashMap, HashSet};

use futures_util::{StreamExt, stream};
use posthorn_presence::{ConnectionRef, Gone, Outstanding, Presence, Result, Untold};
use redis::{Value, cmd};

use crate::{
    keys::{CELLS, Place, owner_of, user_of},
    presence::{RedisPresence, number, read, score},
    scripts::{AT_ONCE, DROP, UNTOLD},
};

/// Of several cells: an error counts where there is nothing else.
fn what_was_found<T>(found: Vec<T>, outcome: Result<()>) -> Result<Vec<T>> {
    match outcome {
        Err(error) if found.is_empty() => Err(error),
        _ => Ok(found),
    }
}

/// Calls of a sweep under way at the same time, so that others get their turn.
const SWEEP_IN_FLIGHT: usize = 8;

impl RedisPresence {
    /// Where a cell does not answer, those of the others, and the gateway is still to be dropped.
    pub(crate) async fn drop_all(&self, gateway: &str) -> Result<Vec<Gone>> {
        let cells = stream::iter(Place::cells()).map(|place| async move {
            let mut offline = Vec::new();
            let dropped = self.drop_cell(gateway, place, &mut offline).await;
            (offline, dropped)
        });
        let cells: Vec<_> = cells.buffered(SWEEP_IN_FLIGHT).collect().await;
        let (mut offline, mut dropped) = (BTreeSet::new(), Ok(()));
        for (of_cell, done) in cells {
            offline.extend(of_cell);
            dropped = dropped.and(done);
        }
        let forgotten = match dropped {
            Ok(()) => self.forget_gateway(gateway).await,
            failed => failed,
        };
        what_was_found(offline.into_iter().collect(), forgotten)
    }

    async fn forget_gateway(&self, gateway: &str) -> Result<()> {
        let forget = vec![
            (Place::Gateways, cmd("SREM").arg(self.keys.gateways()).arg(gateway).to_owned()),
            // One that was only slow has to notice that it was dropped.
            (Place::Gateways, cmd("DEL").arg(self.keys.lease(gateway)).to_owned()),
        ];
        self.link.batch("drop", forget).await?;
        self.leases.forget(gateway);
        Ok(())
    }

    async fn drop_cell(&self, gateway: &str, place: Place, offline: &mut Vec<Gone>) -> Result<()> {
        let keys = [self.keys.index(place, gateway), self.keys.noted(place)];
        let keep_ms = self.config.keep_ms.to_string();
        let arguments = [self.keys.prefix.clone(), place.tag(), gateway.to_owned(), AT_ONCE.to_string(), keep_ms];
        loop {
            let Value::Array(answer) = self.link.script("drop", &DROP, &keys, &arguments).await? else {
                return Ok(());
            };
            let mut answer = answer.into_iter();
            let more = answer.next().as_ref().map(number) == Some(1);
            let noted = answer.next().as_ref().map_or(0, number).unsigned_abs();
            let gone = answer.next().map_or_else(|| Ok(Vec::new()), read)?;
            offline.extend(gone.iter().filter_map(|name| Some(Gone { user: user_of(name)?, noted })));
            let watched = answer.next().map_or_else(|| Ok(Vec::new()), read)?;
            self.forget_watched(gateway, &watched).await?;
            if !more {
                return Ok(());
            }
        }
    }

    /// Pairs of a connection and one whom it watched.
    async fn forget_watched(&self, gateway: &str, pairs: &[String]) -> Result<()> {
        let mut by_connection: HashMap<u64, Vec<String>> = HashMap::new();
        for pair in pairs.chunks_exact(2) {
            if let Ok(connection) = pair[0].parse() {
                by_connection.entry(connection).or_default().push(pair[1].clone());
            }
        }
        for (connection, watched) in by_connection {
            self.unwatch(&ConnectionRef { gateway: gateway.to_owned(), connection }, watched.iter()).await?;
        }
        Ok(())
    }

    /// So long ago by the clock of whoever has the cell. A cell that does not answer keeps nobody from the others.
    pub(crate) async fn untold_for(&self, for_ms: u64, limit: usize) -> Result<Vec<Untold>> {
        let each = limit.div_ceil(usize::from(CELLS));
        let cells = stream::iter(Place::cells()).map(|place| self.untold_in(place, for_ms, each));
        let found: Vec<_> = cells.buffered(SWEEP_IN_FLIGHT).collect().await;
        let (mut users, mut outcome) = (Vec::new(), Ok(()));
        for cell in found {
            match cell {
                Ok(cell) => users.extend(cell),
                Err(error) => outcome = Err(error),
            }
        }
        what_was_found(users, outcome)
    }

    async fn untold_in(&self, place: Place, for_ms: u64, limit: usize) -> Result<Vec<Untold>> {
        let keys = [self.keys.noted(place), self.keys.telling(place)];
        let arguments = [for_ms.to_string(), limit.to_string()];
        let Value::Array(answer) = self.link.script("untold", &UNTOLD, &keys, &arguments).await? else {
            return Ok(Vec::new());
        };
        let mut answer = answer.into_iter();
        let now = answer.next().as_ref().map_or(0, number).unsigned_abs();
        let mut all = Vec::new();
        for (found, what) in answer.zip([Outstanding::Noted, Outstanding::Telling]) {
            all.extend(read(found)?.chunks_exact(2).filter_map(|pair| {
                let at = score(&pair[1]);
                Some(Untold { user: user_of(&pair[0])?, what: what(at), ago_ms: now.saturating_sub(at) / 1_000 })
            }));
        }
        Ok(all)
    }

    /// Cell by cell: what is there is read, and what should not be is unregistered as its gateway would have. Where a
    /// cell does not answer, those of the others: what is left the next renewal finds.
    pub(crate) async fn prune_all(&self, gateway: &str, kept: &[u64], upto: u64) -> Result<Vec<Gone>> {
        let kept: HashSet<u64> = kept.iter().copied().collect();
        let stays = |connection: u64| connection > upto || kept.contains(&connection);
        let (mut offline, mut pruned) = (BTreeSet::new(), Ok(()));
        for place in Place::cells() {
            pruned = pruned.and(self.prune_cell(gateway, place, &stays, &mut offline).await);
        }
        what_was_found(offline.into_iter().collect(), pruned)
    }

    async fn prune_cell(
        &self,
        gateway: &str,
        place: Place,
        stays: &(impl Fn(u64) -> bool + Sync),
        offline: &mut BTreeSet<Gone>,
    ) -> Result<()> {
        let index = cmd("HGETALL").arg(self.keys.index(place, gateway)).to_owned();
        let found = self.link.batch("prune", vec![(place, index)]).await?;
        let found = found.into_iter().next().map_or_else(|| Ok(Vec::new()), read)?;
        let entries =
            found.chunks_exact(2).filter_map(|pair| Some((pair[0].parse::<u64>().ok()?, owner_of(&pair[1])?)));
        for (connection, user) in entries.filter(|(connection, _)| !stays(*connection)) {
            let at = ConnectionRef { gateway: gateway.to_owned(), connection };
            if let Some(noted) = self.unregister(&user, &at).await? {
                offline.insert(Gone { user, noted });
            }
        }
        Ok(())
    }
}
