//! The gateways as the balancer sees them, and which one a connection goes to.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use parking_lot::Mutex;
use posthorn_clock::timeout;
use tokio::net::TcpStream;

use super::super::fetch;

/// For one gateway to say how it is.
const ASK: Duration = Duration::from_secs(1);

/// How a gateway is, the best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Health {
    Ready,
    /// It accepts connections, but what it needs is away, or it is about to stop.
    Unready,
    /// It does not answer.
    Dead,
}

struct Gateway {
    address: SocketAddr,
    health: Health,
    open: Arc<AtomicUsize>,
}

/// All that the cluster has. Cheap to clone.
#[derive(Clone, Default)]
pub struct Gateways(Arc<Mutex<Vec<Gateway>>>);

/// A connection that counts as one of its gateway's until this is dropped.
pub struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gateways {
    /// Those at these addresses from now on; what is known about one that stays is kept.
    pub fn replace(&self, addresses: &[SocketAddr]) {
        let mut known = self.0.lock();
        known.retain(|gateway| addresses.contains(&gateway.address));
        for &address in addresses {
            if !known.iter().any(|gateway| gateway.address == address) {
                known.push(Gateway { address, health: Health::Dead, open: Arc::default() });
            }
        }
    }

    /// Asks each how it is.
    pub async fn check(&self) {
        let addresses: Vec<SocketAddr> = self.0.lock().iter().map(|gateway| gateway.address).collect();
        let answers = join_all(addresses.iter().map(|&address| health(address))).await;
        for (&address, health) in addresses.iter().zip(answers) {
            self.note(address, health);
        }
    }

    /// Connects to one: of those that are ready the one with the fewest connections, else one that at least
    /// accepts. Where one does not, the next is tried. `None` where all are dead.
    pub async fn connect(&self, limit: Duration) -> Option<(TcpStream, Seat)> {
        for (address, open) in self.order() {
            open.fetch_add(1, Ordering::Relaxed);
            let seat = Seat(open);
            match timeout(limit, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Some((stream, seat)),
                _ => self.note(address, Health::Dead),
            }
        }
        None
    }

    /// How many are as well as this, or better.
    pub fn count(&self, health: Health) -> usize {
        self.0.lock().iter().filter(|gateway| gateway.health <= health).count()
    }

    fn order(&self) -> Vec<(SocketAddr, Arc<AtomicUsize>)> {
        let known = self.0.lock();
        let mut order: Vec<_> = known
            .iter()
            .map(|gateway| (gateway.health, gateway.open.load(Ordering::Relaxed), gateway.address, &gateway.open))
            .collect();
        order.sort_by_key(|&(health, open, address, _)| (health, open, address));
        order.into_iter().map(|(_, _, address, open)| (address, Arc::clone(open))).collect()
    }

    fn note(&self, address: SocketAddr, health: Health) {
        let mut known = self.0.lock();
        let Some(gateway) = known.iter_mut().find(|gateway| gateway.address == address) else { return };
        if gateway.health != health {
            tracing::info!(gateway = %address, before = ?gateway.health, now = ?health, "a gateway changed");
            gateway.health = health;
        }
    }
}

async fn health(address: SocketAddr) -> Health {
    match fetch::get(address, "/readyz", ASK).await {
        Ok((200, _)) => Health::Ready,
        Ok(_) => Health::Unready,
        Err(_) => Health::Dead,
    }
}
