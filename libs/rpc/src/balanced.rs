//! A service of several processes, any of which may be asked: which one is asked, and which are left
//! alone for a while.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use posthorn_clock::{Clock, Instant, sleep};
use prometheus_client::metrics::gauge::Gauge;

/// An endpoint that fails is left alone, longer each time.
const EJECT_MIN: Duration = Duration::from_millis(100);
const EJECT_MAX: Duration = Duration::from_secs(5);
/// Calls in a row that found no end before an endpoint is left alone.
const TIMEOUTS: usize = 3;

/// Where the processes of a service are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `http://HOST:PORT`, or `https://`: one process.
    One(String),
    /// `dns://HOST:PORT`: as many as the name has addresses, looked up again and again.
    Name(String),
}

impl Address {
    /// Errors: what is wrong with the text.
    pub fn parse(text: &str, scheme: &str) -> Result<Self, String> {
        if let Some(name) = text.strip_prefix("dns://") {
            let port = name.rsplit_once(':').and_then(|(host, port)| (!host.is_empty()).then_some(port));
            return match port.map(str::parse::<u16>) {
                Some(Ok(_)) => Ok(Self::Name(name.to_owned())),
                _ => Err("it must be dns://HOST:PORT".to_owned()),
            };
        }
        let uri: http::Uri = text.parse().map_err(|error: http::uri::InvalidUri| error.to_string())?;
        if uri.scheme_str() == Some(scheme) && uri.port().is_some() {
            return Ok(Self::One(text.trim_end_matches('/').to_owned()));
        }
        Err(format!("it must be {scheme}://HOST:PORT or dns://HOST:PORT"))
    }
}

/// One process, over whatever leads there.
pub(crate) struct Endpoint<T> {
    pub address: String,
    pub to: T,
    in_flight: AtomicUsize,
    health: Mutex<Health>,
}

#[derive(Default)]
struct Health {
    until: Option<Instant>,
    ejections: u32,
    timeouts: usize,
}

/// How an address becomes a way to it; `None` where it is none.
type Connect<T> = Box<dyn Fn(&str) -> Option<T> + Send + Sync>;

/// The endpoints of a service.
pub(crate) struct Endpoints<T> {
    addresses: Vec<Address>,
    scheme: &'static str,
    connect: Connect<T>,
    known: RwLock<Vec<Arc<Endpoint<T>>>>,
    clock: Clock,
    size: Gauge,
    ejected: Gauge,
}

/// A call on its way to an endpoint.
pub(crate) struct Ticket<T>(pub Arc<Endpoint<T>>);

impl<T> Ticket<T> {
    fn new(endpoint: &Arc<Endpoint<T>>) -> Self {
        endpoint.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(endpoint))
    }
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<T> Endpoints<T> {
    pub(crate) fn new(
        addresses: Vec<Address>,
        scheme: &'static str,
        clock: Clock,
        (size, ejected): (Gauge, Gauge),
        connect: impl Fn(&str) -> Option<T> + Send + Sync + 'static,
    ) -> Self {
        let (connect, known) = (Box::new(connect), RwLock::default());
        let endpoints = Self { addresses, scheme, connect, known, clock, size, ejected };
        endpoints.replace(endpoints.fixed());
        endpoints
    }

    fn fixed(&self) -> Vec<String> {
        let one = |address: &Address| match address {
            Address::One(address) => Some(address.clone()),
            Address::Name(_) => None,
        };
        self.addresses.iter().filter_map(one).collect()
    }

    /// Looks names up for as long as it runs; returns at once where there is none. An answer without
    /// addresses, or none, changes nothing: the old ones may well be right.
    pub(crate) async fn follow(&self, interval: Duration) {
        let names: Vec<&String> = self
            .addresses
            .iter()
            .filter_map(|address| match address {
                Address::Name(name) => Some(name),
                Address::One(_) => None,
            })
            .collect();
        while !names.is_empty() {
            let mut found = self.fixed();
            let mut whole = true;
            for name in &names {
                match tokio::net::lookup_host(name.as_str()).await {
                    Ok(addresses) => found.extend(addresses.map(|at: SocketAddr| format!("{}://{at}", self.scheme))),
                    Err(error) => {
                        tracing::warn!(%error, name, "a name of a service cannot be looked up");
                        whole = false;
                    }
                }
            }
            found.sort();
            found.dedup();
            if whole && !found.is_empty() {
                self.replace(found);
            }
            let half = interval / 2;
            sleep(half + Duration::from_millis(self.clock.below(millis(interval).max(1)))).await;
        }
    }

    fn replace(&self, addresses: Vec<String>) {
        let mut known = self.known.write();
        let kept = |address: &str| known.iter().find(|endpoint| endpoint.address == address).cloned();
        let next: Vec<_> = addresses
            .into_iter()
            .filter_map(|address| {
                kept(&address).or_else(|| {
                    let to = (self.connect)(&address)?;
                    let (in_flight, health) = (AtomicUsize::new(0), Mutex::default());
                    Some(Arc::new(Endpoint { address, to, in_flight, health }))
                })
            })
            .collect();
        self.size.set(i64::try_from(next.len()).unwrap_or(i64::MAX));
        *known = next;
    }

    /// The less busy of two drawn from those that are not left alone (Mitzenmacher, 2001); where all are,
    /// one of them all the same. `tried` are not drawn again.
    pub(crate) fn pick(&self, tried: &[String]) -> Option<Ticket<T>> {
        let known = self.known.read();
        let now = Instant::now();
        let fresh = || known.iter().filter(|endpoint| !tried.contains(&endpoint.address));
        let well: Vec<_> =
            fresh().filter(|endpoint| endpoint.health.lock().until.is_none_or(|until| until <= now)).collect();
        self.ejected.set(i64::try_from(fresh().count() - well.len()).unwrap_or(i64::MAX));
        let from = if well.is_empty() { fresh().collect() } else { well };
        let draw = || from.get(usize::try_from(self.clock.below(from.len().max(1) as u64)).unwrap_or(0)).copied();
        let (one, other) = (draw()?, draw()?);
        let busy = |endpoint: &Endpoint<T>| endpoint.in_flight.load(Ordering::Relaxed);
        Some(Ticket::new(if busy(other) < busy(one) { other } else { one }))
    }

    pub(crate) fn len(&self) -> usize {
        self.known.read().len()
    }
}

impl<T> Endpoint<T> {
    /// It answered, whatever it said.
    pub(crate) fn answered(&self) {
        let mut health = self.health.lock();
        if health.ejections > 0 || health.timeouts > 0 {
            *health = Health::default();
        }
    }

    /// There is no connection to it.
    pub(crate) fn broken(&self) {
        let mut health = self.health.lock();
        health.eject();
    }

    /// It did not answer in time: perhaps it is stopped.
    pub(crate) fn silent(&self) {
        let mut health = self.health.lock();
        health.timeouts += 1;
        if health.timeouts >= TIMEOUTS {
            health.eject();
        }
    }
}

impl Health {
    fn eject(&mut self) {
        let pause = EJECT_MIN.saturating_mul(1 << self.ejections.min(6)).min(EJECT_MAX);
        self.until = Some(Instant::now() + pause);
        self.ejections += 1;
        self.timeouts = 0;
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(addresses: &[&str]) -> Endpoints<()> {
        let addresses = addresses.iter().map(|text| Address::parse(text, "http").expect("an address")).collect();
        Endpoints::new(addresses, "http", Clock::simulated(1, 0), Default::default(), |_| Some(()))
    }

    #[test]
    fn addresses_are_a_process_or_a_name() {
        assert_eq!(Address::parse("http://10.0.0.1:7201", "http"), Ok(Address::One("http://10.0.0.1:7201".into())));
        assert_eq!(Address::parse("dns://storage:7201", "http"), Ok(Address::Name("storage:7201".into())));
        for bad in ["", "storage", "https://a:1", "http://a", "dns://a", "dns://:1", "dns://a:b"] {
            assert!(Address::parse(bad, "http").is_err(), "{bad}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_fails_is_left_alone_for_longer_each_time_until_it_answers() {
        let all = endpoints(&["http://a:1", "http://b:1"]);
        let a = all.pick(&["http://b:1".into()]).expect("a").0.clone();
        for pause_ms in [100, 200, 400] {
            a.broken();
            sleep(Duration::from_millis(pause_ms - 1)).await;
            assert!((0..20).all(|_| all.pick(&[]).expect("b").0.address == "http://b:1"), "{pause_ms}");
            sleep(Duration::from_millis(2)).await;
        }
        assert!((0..50).any(|_| all.pick(&[]).expect("any").0.address == "http://a:1"));
        a.answered();
        a.broken();
        sleep(Duration::from_millis(101)).await;
        assert!((0..50).any(|_| all.pick(&[]).expect("any").0.address == "http://a:1"), "from the beginning");
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_fail_one_is_asked_all_the_same() {
        let all = endpoints(&["http://a:1"]);
        for _ in 0..TIMEOUTS {
            all.pick(&[]).expect("a").0.silent();
        }
        assert!(all.pick(&[]).is_some());
        assert!(all.pick(&["http://a:1".into()]).is_none(), "not twice for one call");
    }

    #[test]
    fn the_less_busy_is_asked() {
        let all = endpoints(&["http://a:1", "http://b:1"]);
        let mut busy = Vec::new();
        while busy.len() < 40 {
            busy.push(all.pick(&["http://b:1".into()]).expect("a"));
        }
        let to_b = (0..40).filter(|_| all.pick(&[]).expect("any").0.address == "http://b:1").count();
        assert!(to_b >= 20, "{to_b}");
    }
}
