//! Which processes a cluster has, and on which ports.

use std::env;

use anyhow::Result;
use posthorn_engines::ports::Port;

use super::state::{Given, Member, Part, State};

/// So many of a service at most: ports are looked for one by one, and one machine is small.
pub const MAX_INSTANCES: usize = 16;

/// How many of each service.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    pub storage: usize,
    pub session: usize,
    pub routing: usize,
    pub push: usize,
    pub gateway: usize,
}

impl Counts {
    const fn of(self, part: Part) -> usize {
        match part {
            Part::Storage => self.storage,
            Part::Session => self.session,
            Part::Routing => self.routing,
            Part::Push => self.push,
            Part::Gateway => self.gateway,
            Part::Nats | Part::Redis | Part::Cassandra | Part::Balancer => 1,
        }
    }
}

/// Engines that the environment names, several addresses with commas between them.
pub fn given() -> Given {
    let of = |name: &str| {
        let text = env::var(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|address| !address.is_empty()).map(str::to_owned).collect()
    };
    Given {
        nats: of("POSTHORN_CLUSTER_NATS"),
        redis: of("POSTHORN_CLUSTER_REDIS"),
        cassandra: of("POSTHORN_CLUSTER_CQL"),
    }
}

/// Ports that nobody else on this machine is given while this is there.
#[derive(Default)]
pub struct Reserved(Vec<Port>);

impl Reserved {
    /// The port it had, if that is free; else another.
    fn port(&mut self, before: Option<u16>) -> Result<u16> {
        let same = before.map(Port::again).transpose()?.flatten();
        let port = same.map_or_else(Port::free, Ok)?;
        let number = port.number();
        self.0.push(port);
        Ok(number)
    }

    /// A place for a process, where the one of its name was before, if that was there.
    pub fn member(&mut self, part: Part, name: String, before: &[Member]) -> Result<Member> {
        let before = before.iter().find(|member| member.name == name);
        let inner = !matches!(part, Part::Nats | Part::Redis | Part::Gateway);
        let port = self.port(before.map(|member| member.port))?;
        let inner_port = inner.then(|| self.port(before.and_then(|member| member.inner_port))).transpose()?;
        Ok(Member { name, part, port, inner_port, process: None })
    }
}

/// A cluster, none of whose processes runs yet.
pub fn plan(
    counts: Counts,
    given: Given,
    settings: Vec<(String, String)>,
    before: &[Member],
) -> Result<(State, Reserved)> {
    let mut reserved = Reserved::default();
    let mut members = Vec::new();
    for part in Part::ALL {
        let elsewhere = match part {
            Part::Nats => !given.nats.is_empty(),
            Part::Redis => !given.redis.is_empty(),
            Part::Cassandra => !given.cassandra.is_empty(),
            _ => false,
        };
        for number in 1..=counts.of(part) {
            if !elsewhere {
                members.push(reserved.member(part, name(part, number), before)?);
            }
        }
    }
    Ok((State::new(given, settings, members), reserved))
}

/// `routing-2`; of an engine and the balancer, of which there is one, the part's alone.
pub fn name(part: Part, number: usize) -> String {
    if part.is_service() { format!("{}-{number}", part.name()) } else { part.name().to_owned() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const COUNTS: Counts = Counts { storage: 1, session: 1, routing: 3, push: 1, gateway: 2 };

    // One test: beside it, another that asks for ports could be given those that this one lets go.
    #[test]
    fn every_process_has_ports_of_its_own_and_gets_them_again_and_a_given_engine_needs_none() {
        let (first, reserved) = plan(COUNTS, Given::default(), Vec::new(), &[]).expect("a plan");
        let names: Vec<&str> = first.members.iter().map(|member| member.name.as_str()).collect();
        assert_eq!(
            names.join(" "),
            "nats redis cassandra storage-1 session-1 routing-1 routing-2 routing-3 push-1 gateway-1 gateway-2 balancer"
        );
        let ports: BTreeSet<u16> = first.members.iter().flat_map(Member::ports).collect();
        assert_eq!(ports.len(), first.members.iter().flat_map(Member::ports).count());
        let (other, others) = plan(COUNTS, Given::default(), Vec::new(), &first.members).expect("a plan");
        assert!(other.members.iter().flat_map(Member::ports).all(|port| !ports.contains(&port)), "they are held");
        drop((reserved, others));
        let (again, reserved) = plan(COUNTS, Given::default(), Vec::new(), &first.members).expect("a plan");
        assert_eq!(again, first);
        drop(reserved);
        let given = Given { redis: vec!["r:6379".to_owned()], ..Given::default() };
        let (state, _reserved) = plan(COUNTS, given, Vec::new(), &[]).expect("a plan");
        assert_eq!(state.of(Part::Redis).count(), 0);
        assert_eq!(state.of(Part::Nats).count(), 1);
    }
}
