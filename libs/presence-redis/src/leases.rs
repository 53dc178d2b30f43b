//! Which gateways are alive. What a lease has left is known until it would end, so that lookups need not ask.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use parking_lot::Mutex;
use posthorn_clock::Instant;
use posthorn_core::Held;
use posthorn_presence::{ConnectionRef, Lease, LeaseState, Result};
use redis::{Value, cmd};

use crate::{
    keys::{CELLS, Place, user_of},
    presence::{RedisPresence, number, read, text},
    scripts::{AT_ONCE, TOUCH},
};

/// Leases that are known to live, and how long.
#[derive(Default)]
pub(crate) struct Known(Mutex<State>);

#[derive(Default)]
struct State {
    /// Of which connection it was learnt: behind another one, the server may have forgotten.
    link: u64,
    until: HashMap<String, Instant>,
    renewals: u16,
}

impl Known {
    fn alive(&self, link: u64, gateways: &BTreeSet<&str>) -> HashSet<String> {
        let mut state = self.0.lock();
        if state.link != link {
            state.until.clear();
            state.link = link;
        }
        let now = Instant::now();
        state.until.retain(|_, until| *until > now);
        gateways.iter().filter(|gateway| state.until.contains_key(**gateway)).map(|&g| g.to_owned()).collect()
    }

    fn learn(&self, gateway: &str, until: Instant) {
        self.0.lock().until.insert(gateway.to_owned(), until);
    }

    pub fn forget(&self, gateway: &str) {
        self.0.lock().until.remove(gateway);
    }

    pub fn clear(&self) {
        self.0.lock().until.clear();
    }

    /// Each renewal looks at another cell.
    fn turn(&self) -> Place {
        let mut state = self.0.lock();
        state.renewals = (state.renewals + 1) % CELLS;
        Place::Cell(state.renewals)
    }
}

impl RedisPresence {
    /// Those whose gateway has a lease, in their order.
    pub(crate) async fn alive(&self, connections: Vec<ConnectionRef>) -> Result<Vec<ConnectionRef>> {
        let gateways: BTreeSet<&str> = connections.iter().map(|at| at.gateway.as_str()).collect();
        if gateways.is_empty() {
            return Ok(connections);
        }
        let mut alive = self.leases.alive(self.link.number(), &gateways);
        let unknown: Vec<_> = gateways.into_iter().filter(|gateway| !alive.contains(*gateway)).collect();
        if !unknown.is_empty() {
            // The lease ends so long after the server looked, which is not before now.
            let asked = Instant::now();
            let ask = |gateway: &&str| (Place::Gateways, cmd("PTTL").arg(self.keys.lease(gateway)).to_owned());
            let left = self.link.batch("leases", unknown.iter().map(ask).collect()).await?;
            let mut dead = Vec::new();
            for (gateway, left) in unknown.into_iter().zip(left) {
                match number(&left) {
                    left @ 1.. => {
                        self.leases.learn(gateway, asked + Duration::from_millis(left.unsigned_abs()));
                        alive.insert(gateway.to_owned());
                    }
                    _ => dead.push(gateway.to_owned()),
                }
            }
            self.name_for_the_sweep(&dead).await?;
        }
        Ok(connections.into_iter().filter(|at| alive.contains(&at.gateway)).collect())
    }

    /// Should the set of gateways have been lost, whoever finds one of a dead one's connections names it.
    async fn name_for_the_sweep(&self, dead: &[String]) -> Result<()> {
        if dead.is_empty() {
            return Ok(());
        }
        let command = cmd("SADD").arg(self.keys.gateways()).arg(dead).to_owned();
        self.link.batch("leases", vec![(Place::Gateways, command)]).await?;
        Ok(())
    }

    pub(crate) async fn begin_or_renew(&self, gateway: &str, held: Held, begin: bool) -> Result<Lease> {
        let here = self.held(gateway).await?;
        let (lease, ttl_ms) = (self.keys.lease(gateway), self.config.lease_ms);
        let mut set = cmd("SET");
        set.arg(lease).arg(format!("{} {}", held.count, held.hash)).arg("PX").arg(ttl_ms);
        if !begin {
            set.arg("XX");
        }
        set.arg("GET");
        let known = cmd("SADD").arg(self.keys.gateways()).arg(gateway).to_owned();
        let renewed = Instant::now();
        let answers = self.link.batch("lease", vec![(Place::Gateways, set), (Place::Gateways, known)]).await?;
        let state = match answers.first() {
            None | Some(Value::Nil) => LeaseState::Lost,
            Some(_) if here == held => LeaseState::Kept,
            Some(_) => LeaseState::Differs,
        };
        if begin || state != LeaseState::Lost {
            self.leases.learn(gateway, renewed + Duration::from_millis(ttl_ms));
        }
        if let Err(error) = self.touch(gateway).await {
            // The next renewal does. What this one found, no other will.
            tracing::debug!(%error, "what a gateway holds was not made to live on");
        }
        Ok(Lease { state, ttl_ms })
    }

    async fn held(&self, gateway: &str) -> Result<Held> {
        let mut commands = Vec::with_capacity(2 * usize::from(CELLS));
        for place in Place::cells() {
            let index = self.keys.index(place, gateway);
            commands.push((place, cmd("HLEN").arg(&index).to_owned()));
            commands.push((place, cmd("HGET").arg(&index).arg("#").to_owned()));
        }
        let mut held = Held::default();
        for pair in self.link.batch("compare", commands).await?.chunks(2) {
            // One of the fields is the sum itself.
            held.count += (number(&pair[0]) - 1).max(0).unsigned_abs();
            held.hash += text(&pair[1]).and_then(|sum| sum.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(held)
    }

    /// What lives long is made to live on: the connections of one cell, if half of their time is over.
    async fn touch(&self, gateway: &str) -> Result<()> {
        let (place, keep_ms) = (self.leases.turn(), self.config.keep_ms);
        let index = self.keys.index(place, gateway);
        let asked = vec![(place, cmd("PTTL").arg(&index).to_owned()), self.age(place)];
        let left: Vec<i64> = self.link.batch("touch", asked).await?.iter().map(number).collect();
        self.keep_mark(place, left[1]).await?;
        let left = left[0];
        if left < 0 || left.unsigned_abs() > keep_ms / 2 {
            return Ok(());
        }
        let keys = [index];
        let mut cursor = "0".to_owned();
        loop {
            let of_gateway = [self.keys.prefix.clone(), place.tag(), gateway.to_owned(), keep_ms.to_string()];
            let arguments = [&of_gateway[..], &[cursor, AT_ONCE.to_string()]].concat();
            let Value::Array(answer) = self.link.script("touch", &TOUCH, &keys, &arguments).await? else {
                return Ok(());
            };
            let mut answer = answer.into_iter();
            cursor = answer.next().as_ref().and_then(text).unwrap_or_default();
            let watched = answer.next().map_or_else(|| Ok(Vec::new()), read)?;
            let users = watched.iter().filter_map(|name| user_of(name));
            let live_on = users.map(|user| {
                let key = self.keys.watchers(&user);
                (Place::of(&user), cmd("PEXPIRE").arg(key).arg(keep_ms).to_owned())
            });
            self.link.batch("touch", live_on.collect()).await?;
            if cursor.is_empty() || cursor == "0" {
                return Ok(());
            }
        }
    }

    pub(crate) async fn without_lease(&self) -> Result<Vec<String>> {
        let all = cmd("SMEMBERS").arg(self.keys.gateways()).to_owned();
        let all = self.link.batch("lapsed", vec![(Place::Gateways, all)]).await?;
        let mut all = all.into_iter().next().map_or_else(|| Ok(Vec::new()), read)?;
        all.sort();
        let ask = |gateway: &String| (Place::Gateways, cmd("EXISTS").arg(self.keys.lease(gateway)).to_owned());
        let there = self.link.batch("lapsed", all.iter().map(ask).collect()).await?;
        Ok(all.into_iter().zip(there).filter(|(_, there)| number(there) == 0).map(|(gateway, _)| gateway).collect())
    }
}
