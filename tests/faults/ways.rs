//! The ways on which the processes of a cluster reach each other, all through the test: one for each two, so that
//! who is cut off from somebody sees others reach them.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use posthorn_node::{Role, Roles};
use posthorn_testkit::{Deployment, Member};

use crate::{
    draw::Draw,
    lossy::Lossy,
    wire::{Weather, Wire},
};

const GATE: &str = "balancer";
/// The caller on a way that all callers share: owners of shards are found by the one address that they tell, and the
/// gateways have one for everybody.
const EVERYBODY: &str = "everybody";

pub struct Ways {
    wires: Vec<Wire>,
    pub lossy: Lossy,
}

impl Ways {
    pub async fn between(cluster: &Deployment) -> Result<Self> {
        let (mut wires, all) = (Vec::new(), cluster.all().await?);
        let lossy = Lossy::to(cluster.member("nats").await?.address).await?;
        for target in &all {
            let upstream = match target.part.as_str() {
                "nats" => Some(lossy.address.to_string()),
                "redis" | "cassandra" | GATE => Some(target.address.clone()),
                _ => target.inner_address.clone(),
            };
            let Some(upstream) = upstream else { continue };
            if [GATE, "routing"].contains(&target.part.as_str()) {
                wires.push(Wire::to(EVERYBODY, &target.name, upstream).await?);
                continue;
            }
            for caller in all.iter().filter(|caller| calls(caller, &target.part)) {
                wires.push(Wire::to(&caller.name, &target.name, upstream.clone()).await?);
            }
        }
        Ok(Self { wires, lossy })
    }

    fn address(&self, caller: &str, target: &str) -> Result<String> {
        let found = self.wires.iter().find(|wire| wire.caller == caller && wire.target == target);
        Ok(found.with_context(|| format!("no way leads from {caller} to {target}"))?.address.to_string())
    }

    /// Of all gateways.
    pub fn gate(&self) -> Result<String> {
        self.address(EVERYBODY, GATE)
    }

    /// Where a service finds the others, and says that it is found.
    pub fn environment(&self, name: &str) -> Vec<(&'static str, String)> {
        let mut environment = Vec::new();
        for (key, part, scheme) in [
            ("POSTHORN__NATS__SERVERS", "nats", "nats://"),
            ("POSTHORN__REDIS__ADDRESSES", "redis", ""),
            ("POSTHORN__CQL__NODES", "cassandra", ""),
            ("POSTHORN__CLUSTER__STORAGE", "storage-", "http://"),
            ("POSTHORN__CLUSTER__SESSION", "session-", "http://"),
        ] {
            let found = self.wires.iter().filter(|wire| wire.caller == name && wire.target.starts_with(part));
            let found: Vec<String> = found.map(|wire| format!("{scheme}{}", wire.address)).collect();
            if !found.is_empty() {
                environment.push((key, found.join(",")));
            }
        }
        if let Ok(own) = self.address(EVERYBODY, name) {
            environment.push(("POSTHORN__CLUSTER__ADVERTISE", format!("http://{own}")));
        }
        environment
    }

    /// The way of one caller to somebody, or those of all callers.
    pub fn drawn(&self, draw: &mut Draw) -> Vec<&Wire> {
        let targets: BTreeSet<&str> = self.wires.iter().map(|wire| wire.target.as_str()).collect();
        let target = *draw.one_of(&targets.into_iter().collect::<Vec<_>>());
        let mut wires: Vec<&Wire> = self.wires.iter().filter(|wire| wire.target == target).collect();
        if draw.below(2) == 0 {
            wires = vec![*draw.one_of(&wires)];
        }
        wires
    }

    /// A fault of a way that nobody went tried nothing.
    pub fn all_taken(&self) -> Result<()> {
        let unused = self.wires.iter().filter(|wire| !wire.taken());
        let unused: Vec<String> = unused.map(|wire| format!("{} to {}", wire.caller, wire.target)).collect();
        ensure!(unused.is_empty(), "nobody went these ways: {}", unused.join(", "));
        Ok(())
    }

    /// All of it is as it should be.
    pub fn calm(&self) {
        self.wires.iter().for_each(Wire::calm);
        self.lossy.lose(0);
    }
}

/// Changes each of these.
pub fn change(wires: &[&Wire], change: impl Fn(&mut Weather)) {
    wires.iter().for_each(|wire| wire.change(&change));
}

/// Whether a process has anything to ask of that service or engine.
fn calls(caller: &Member, part: &str) -> bool {
    let Ok(own) = caller.part.parse::<Role>() else { return false };
    match part {
        "nats" => true,
        "redis" => own == Role::Session,
        "cassandra" => own == Role::Storage,
        // Only about devices, and nobody here has one.
        "push" => false,
        _ => part.parse().is_ok_and(|role| Roles::of(&[own]).calls(role)),
    }
}
