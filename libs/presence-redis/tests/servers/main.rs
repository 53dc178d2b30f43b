//! The driver on real servers: one, a master under sentinels, a cluster; lost, paused and killed.

mod session;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::join_all;
use posthorn_clock::{Clock, Instant, sleep, timeout};
use posthorn_core::{Held, TenantId, UserId, UserKey};
use posthorn_engines::{
    Mode,
    redis::{self, MASTER, Server},
};
use posthorn_presence::{
    ConnectionRef, Gone, LeaseState, Outstanding, Presence, Untold,
    conformance::{self, Engine},
};
use posthorn_presence_redis::{RedisConfig, RedisMode, RedisPresence};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;
use tempfile::TempDir;

/// For what should take milliseconds, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

struct Place {
    presence: Arc<RedisPresence>,
    config: RedisConfig,
    metrics: Metrics,
    tasks: Tasks,
    _folder: TempDir,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

/// With time enough that only what a test does ends a lease.
fn config(mode: RedisMode, addresses: Vec<String>) -> RedisConfig {
    RedisConfig {
        mode,
        addresses,
        master: MASTER.to_owned(),
        lease_ms: 600_000,
        settle_ms: 0,
        keep_ms: 86_400_000,
        ..RedisConfig::default()
    }
}

async fn open(config: RedisConfig, folder: TempDir) -> Place {
    let (metrics, tasks) = (Metrics::default(), Tasks::new());
    let presence = RedisPresence::open(config.clone(), Clock::system(), &metrics, &tasks).expect("opens");
    timeout(PATIENCE, presence.when_connected()).await.expect("connects");
    Place { presence, config, metrics, tasks, _folder: folder }
}

/// A server of its own, and who asks it; `None` where engines are not to be run.
async fn one_server(change: impl FnOnce(&mut RedisConfig)) -> Option<(Server, Place)> {
    if !on() {
        return None;
    }
    let folder = folder();
    let server = redis::single(folder.path()).await.expect("a server");
    let mut config = config(RedisMode::Single, vec![server.address()]);
    change(&mut config);
    let place = open(config, folder).await;
    Some((server, place))
}

fn on() -> bool {
    let on = posthorn_engines::mode() == Mode::Run;
    if !on {
        eprintln!("not run: POSTHORN_TEST_ENGINES=off");
    }
    on
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn ann() -> UserKey {
    UserKey { tenant: TenantId::new("acme").expect("valid"), user: UserId::new("ann").expect("valid") }
}

fn at(gateway: &str, connection: u64) -> ConnectionRef {
    ConnectionRef { gateway: gateway.into(), connection }
}

/// The engine from below: leases are ended where they lie.
struct Below<'a> {
    masters: &'a [Server],
    place: &'a Place,
}

#[async_trait]
impl Engine for Below<'_> {
    async fn end_lease(&self, gateway: &str) {
        let key = format!("{}:@:{{gw}}:l:{gateway}", self.place.config.prefix);
        // Of a cluster's nodes one has it.
        let ended = self.masters.iter().filter(|master| master.ask(&["DEL", &key]).is_ok_and(|there| there == "1"));
        assert_eq!(ended.count(), 1, "a lease that was there");
        self.place.presence.ask_for_leases_again();
    }

    async fn forget(&self) {
        for master in self.masters {
            master.ask(&["FLUSHALL"]).expect("flushed");
        }
        self.place.presence.ask_for_leases_again();
    }
}

/// Until it answers as `expect` says, which it must in the end.
async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> T, expect: impl Fn(&T) -> bool) {
    let holds = async {
        while !expect(&ask().await) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, holds).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

async fn held_by_lease(presence: &RedisPresence, held: Held) -> Option<LeaseState> {
    presence.lease("g", held).await.ok().map(|lease| lease.state)
}

#[tokio::test]
async fn one_server_conforms() {
    let Some((server, place)) = one_server(|_| {}).await else { return };
    conformance::run(place.presence.clone(), &Below { masters: &[server], place: &place }).await;
}

#[tokio::test]
async fn a_cluster_conforms() {
    if !on() {
        return;
    }
    let folder = folder();
    let nodes = redis::cluster(folder.path(), 3).await.expect("a cluster");
    // The others are found.
    let place = open(config(RedisMode::Cluster, vec![nodes[0].address()]), folder).await;
    conformance::run(place.presence.clone(), &Below { masters: &nodes, place: &place }).await;
    let used = nodes.iter().filter(|node| node.ask(&["INFO", "commandstats"]).is_ok_and(|all| all.contains("evalsha")));
    assert_eq!(used.count(), 3, "all of them have their part");
}

#[tokio::test]
async fn a_master_under_sentinels_conforms_and_its_replica_follows_it() {
    if !on() {
        return;
    }
    let folder = folder();
    let redis::Watched { master, replica, sentinels } = redis::watched(folder.path()).await.expect("sentinels");
    let addresses = sentinels.iter().map(Server::address).collect();
    let place = open(config(RedisMode::Sentinel, addresses), folder).await;
    let presence = &place.presence;
    let mut masters = [master];
    conformance::run(presence.clone(), &Below { masters: &masters, place: &place }).await;

    let mut held = Held::default();
    presence.lease("g", held).await.expect("leased");
    presence.register(&ann(), "phone", &at("g", 1)).await.expect("registered");
    held.add(&ann(), 1);
    let copied = || replica.ask(&["EXISTS", &format!("{}:@:{{gw}}:l:g", place.config.prefix)]);
    until("the replica has the lease", async || copied(), |there| there.as_deref().is_ok_and(|there| there == "1"))
        .await;

    masters[0].process().kill().expect("killed");
    until("it fails", async || presence.online(&[ann()]).await.is_err(), |failed| *failed).await;
    until("the replica answers", async || presence.online(&[ann()]).await.ok(), Option::is_some).await;
    // Whatever the replica had got: the gateway is told where it is not all, and makes it so.
    if held_by_lease(presence, held).await != Some(LeaseState::Kept) {
        presence.register(&ann(), "phone", &at("g", 1)).await.expect("registered again");
    }
    assert_eq!(held_by_lease(presence, held).await, Some(LeaseState::Kept));
    assert_eq!(presence.lookup(&[ann()]).await.expect("found"), [at("g", 1)]);
    assert!(replica.ask(&["INFO", "replication"]).expect("answers").contains("role:master"));
}

#[tokio::test]
async fn a_flush_is_noticed_by_the_lease_and_a_dead_gateway_ends_by_it() {
    let Some((server, place)) = one_server(|config| config.lease_ms = 500).await else { return };
    let presence = &place.presence;
    let mut held = Held::default();
    held.add(&ann(), 1);
    assert_eq!(held_by_lease(presence, Held::default()).await, Some(LeaseState::Lost));
    presence.register(&ann(), "phone", &at("g", 1)).await.expect("registered");
    server.ask(&["FLUSHALL"]).expect("flushed");
    assert_eq!(held_by_lease(presence, held).await, Some(LeaseState::Lost));
    presence.register(&ann(), "phone", &at("g", 1)).await.expect("registered again");
    until("kept", async || held_by_lease(presence, held).await, |state| *state == Some(LeaseState::Kept)).await;

    // The gateway dies: nothing tells so but its lease.
    until("not found", async || presence.lookup(&[ann()]).await.ok(), |found| found.as_deref() == Some(&[])).await;
    assert_eq!(presence.lapsed().await.expect("asked"), ["g"]);
    let dropped = presence.drop_gateway("g").await.expect("dropped");
    let [Gone { user, noted }] = &dropped[..] else { panic!("{dropped:?}") };
    let untold = presence.untold(0, 10).await.expect("known");
    let [Untold { ago_ms, .. }] = &untold[..] else { panic!("{untold:?}") };
    let what = Outstanding::Noted(*noted);
    assert_eq!(untold, [Untold { user: user.clone(), what, ago_ms: *ago_ms }]);
    assert!(*user == ann() && *ago_ms < 60_000, "{untold:?}");
    assert_eq!(presence.show(&ann(), false, *noted, 0).await.expect("noted"), None);
    let left = server.ask(&["KEYS", "*"]).expect("answers");
    assert!(left.lines().all(|key| key.ends_with(":since")), "nothing is left of it: {left}");
}

#[tokio::test]
async fn an_engine_that_was_emptied_is_not_believed_until_gateways_had_their_turn() {
    let Some((server, place)) = one_server(|config| (config.lease_ms, config.settle_ms) = (1_500, 1_500)).await else {
        return;
    };
    let presence = &place.presence;
    for emptied in ["a new one", "one that lost everything"] {
        presence.lookup(&[ann()]).await.expect_err(emptied);
        presence.lease("g", Held::default()).await.expect("leased");
        presence.register(&ann(), "phone", &at("g", 1)).await.expect("registered");
        presence.lookup(&[ann()]).await.expect_err("other gateways may not have had their turn");
        until("it has settled", async || presence.lookup(&[ann()]).await.ok(), Option::is_some).await;
        presence.lease("g", Held::default()).await.expect("leased");
        assert_eq!(presence.lookup(&[ann()]).await.expect("found"), [at("g", 1)]);
        server.ask(&["FLUSHALL"]).expect("flushed");
    }
}

/// Goal: what a server noted whose clock was ahead is not left until the clock of the next one is there.
#[tokio::test]
async fn what_is_outstanding_of_a_clock_that_was_ahead_is_told_as_well() {
    let Some((server, place)) = one_server(|_| {}).await else { return };
    let presence = &place.presence;
    let first = presence.show(&ann(), true, 0, 0).await.expect("noted").expect("a change");
    let outstanding = async || presence.untold(10_000, 10).await.expect("known");
    assert!(outstanding().await.is_empty(), "it is being told");
    // The version that the replica had is an hour ahead of the clock of whoever is the master now.
    let key = server.ask(&["KEYS", "*:v"]).expect("answers");
    let ahead = first + 3_600_000_000;
    server.ask(&["SET", key.trim(), &ahead.to_string()]).expect("answers");
    let version = presence.show(&ann(), false, 0, first).await.expect("noted").expect("a change");
    assert!(version > ahead);
    assert_eq!(outstanding().await, [Untold { user: ann(), what: Outstanding::Telling(version), ago_ms: 0 }]);
    presence.told(&ann(), version).await.expect("told");
    assert!(outstanding().await.is_empty());
}

/// Goal: who went is shown to have gone, though a part of the engine fails that has others.
#[tokio::test]
async fn where_a_cell_fails_those_of_the_others_are_found_to_have_gone() {
    let Some((server, place)) = one_server(|_| {}).await else { return };
    let presence = &place.presence;
    let user = |n: u64| UserKey { user: UserId::new(&format!("u{n}")).expect("valid"), ..ann() };
    // An index of another type, which no command that is meant for it takes.
    let key = format!("{}:@:{{c7}}:g:g", place.config.prefix);
    for pruned in [true, false] {
        let (mut others, mut in_it) = (Vec::new(), Vec::new());
        server.ask(&["DEL", &key]).expect("answers");
        for n in 0..200 {
            presence.register(&user(n), "phone", &at("g", n)).await.expect("registered");
            if user(n).shard().0 % 64 == 7 { in_it.push(user(n)) } else { others.push(user(n)) }
        }
        assert!(!in_it.is_empty() && others.len() > 100);
        server.ask(&["SET", &key, "bent"]).expect("answers");
        let found = if pruned { presence.prune("g", &[], u64::MAX).await } else { presence.drop_gateway("g").await };
        let mut found: Vec<UserKey> = found.expect("some").into_iter().map(|gone| gone.user).collect();
        found.sort();
        others.sort();
        assert_eq!(found, others);
        // Nothing else is left to be found.
        let again = if pruned { presence.prune("g", &[], u64::MAX).await } else { presence.drop_gateway("g").await };
        again.expect_err("a cell fails");
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_told_in_time_and_found_again() {
    let Some((mut server, place)) = one_server(|_| {}).await else { return };
    let limit = Duration::from_millis(place.config.response_timeout_ms * 2) + Duration::from_secs(5);
    let presence = &place.presence;
    assert_eq!(presence.online(&[ann()]).await.expect("known"), [false]);

    for paused in [true, false] {
        if paused { server.process().pause() } else { server.process().kill() }.expect("gone");
        // Each of many at once is answered, none hangs; later ones need not wait.
        for _ in 0..3 {
            let asked = Instant::now();
            let users = [ann()];
            for answer in join_all((0..50).map(|_| presence.lookup(&users))).await {
                answer.expect_err("nobody answers");
            }
            assert!(asked.elapsed() < limit, "{:?}", asked.elapsed());
        }
        assert!(!presence.connected());
        if paused {
            server.process().resume().expect("goes on");
        } else {
            server.restart().await.expect("starts");
        }
        until("it is found again", async || presence.online(&[ann()]).await.is_ok(), |found| *found).await;
    }
    let text = place.metrics.encode();
    assert!(text.contains("posthorn_redis_connected 1") && text.contains(r#"cause="disconnected""#), "{text}");
}

#[tokio::test]
async fn more_than_may_be_in_flight_wait_and_are_refused_in_time() {
    let one_at_a_time = |config: &mut RedisConfig| (config.max_in_flight, config.response_timeout_ms) = (1, 300);
    let Some((mut server, place)) = one_server(one_at_a_time).await else { return };
    let presence = &place.presence;
    // One after the other all are answered.
    let users = [ann()];
    let (a, b, c) = tokio::join!(presence.online(&users), presence.online(&users), presence.online(&users));
    for answer in [a, b, c] {
        answer.expect("its turn came");
    }
    server.process().pause().expect("pauses");
    let two = async { tokio::join!(presence.online(&users), presence.online(&users)) };
    let (first, second) = timeout(PATIENCE, two).await.expect("answered");
    assert!(first.is_err() && second.is_err());
    server.process().resume().expect("goes on");
    drop(place);
}

#[tokio::test]
async fn a_user_of_the_access_list_signs_in_and_a_wrong_password_is_no_connection() {
    if !on() {
        return;
    }
    let folder = folder();
    let server = redis::single(folder.path()).await.expect("a server");
    server.ask(&["ACL", "SETUSER", "posthorn", "on", ">secret", "~p:*", "+@all"]).expect("a user");
    server.ask(&["ACL", "SETUSER", "default", "off"]).expect("nobody else");
    let mut config = config(RedisMode::Single, vec![server.address()]);
    (config.user, config.password, config.prefix) = ("posthorn".into(), "wrong".into(), "p".into());
    let (metrics, tasks) = (Metrics::default(), Tasks::new());
    let presence = RedisPresence::open(config.clone(), Clock::system(), &metrics, &tasks).expect("opens");
    presence.online(&[ann()]).await.expect_err("not signed in");
    until("it was tried", async || metrics.encode(), |text| !text.contains("posthorn_redis_reconnects_total 0")).await;
    assert!(!presence.connected());
    tasks.stop();

    config.password = "secret".into();
    let place = open(config, folder).await;
    place.presence.lease("g", Held::default()).await.expect("all keys begin with the prefix");
    place.presence.register(&ann(), "phone", &at("g", 1)).await.expect("registered");
    assert_eq!(place.presence.lookup(&[ann()]).await.expect("found"), [at("g", 1)]);
}

#[tokio::test]
async fn a_connection_costs_what_the_documentation_says() {
    const CONNECTIONS: u64 = 20_000;
    let Some((server, place)) = one_server(|_| {}).await else { return };
    let gateway = "0123456789abcdef0123456789abcdef";
    let used = || {
        let info = server.ask(&["INFO", "memory"]).expect("answers");
        let line = info.lines().find_map(|line| line.strip_prefix("used_memory:")).expect("told");
        line.trim().parse::<u64>().expect("a number")
    };
    place.presence.lease(gateway, Held::default()).await.expect("leased");
    let before = used();
    for connection in 0..CONNECTIONS {
        let user = UserId::new(&format!("user-{connection:06}")).expect("valid");
        let user = UserKey { tenant: TenantId::new("acme").expect("valid"), user };
        place.presence.register(&user, "phone", &at(gateway, connection)).await.expect("registered");
        // Told to those who watch.
        let noted = place.presence.look(&user).await.expect("known").noted;
        let version = place.presence.show(&user, true, noted, 0).await.expect("noted").expect("a change");
        assert!(place.presence.show(&user, true, 0, version).await.expect("noted").is_none());
    }
    let each = (used() - before) / CONNECTIONS;
    println!("{each} bytes a connection");
    assert!((300..500).contains(&each), "{each} bytes a connection");
    let offline = place.presence.drop_gateway(gateway).await.expect("dropped");
    assert_eq!(offline.len() as u64, CONNECTIONS);
}
