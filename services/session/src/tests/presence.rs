//! Where connections are, who is present, and what watchers are told.

use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use posthorn_clock::{Instant, sleep};
use posthorn_core::{Held, UserKey};
use posthorn_presence::{ConnectionRef, Gone, Lease, Look, PresenceError, Untold};
use posthorn_proto::{
    client::{PresenceNow, Status},
    internal::{LookupRequest, PresenceRequest, WatchRequest, publication::What},
};

use super::*;

const GRACE_MS: u64 = 10_000;

fn now(user: &str, status: Status, last_seen_ms: u64) -> PresenceNow {
    PresenceNow { user: user.into(), status: status.into(), last_seen_ms }
}

async fn watch(place: &Place, connection: u64, users: &[&str]) -> Vec<PresenceNow> {
    let users = users.iter().map(|&user| user.into()).collect();
    let request = WatchRequest { tenant: "t".into(), gateway: "g".into(), connection, users, silent: false };
    place.client.clone().watch(request).await.expect("watched").into_inner().now
}

/// With what comes to eve's gateway, of which hers is connection 1.
async fn eve_watches_ann() -> (Place, Box<dyn Subscription>) {
    let place = Place::new().await;
    let gateway = place.listen("gateway.g").await;
    place.connect("eve", "g", 1).await;
    watch(&place, 1, &["ann"]).await;
    (place, gateway)
}

async fn present(place: &Place, user: &str) -> PresenceNow {
    let request = PresenceRequest { tenant: "t".into(), users: vec![user.into()] };
    place.client.clone().presence(request).await.expect("answered").into_inner().now.remove(0)
}

async fn told(from: &mut Box<dyn Subscription>) -> (u64, Vec<u64>, PresenceNow) {
    let publication = publication(from).await;
    assert_eq!(publication.tenant, "t");
    match publication.what {
        Some(What::Presence(now)) => (publication.number, publication.connections, now),
        other => panic!("not presence: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_lookup_groups_connections_by_gateway_in_order() {
    let place = Place::new().await;
    for (user, gateway, connection) in [("bob", "h", 9), ("ann", "h", 2), ("ann", "g", 7), ("eve", "g", 1)] {
        place.connect(user, gateway, connection).await;
    }
    let lookup = async |tenant: &str, users: &[&str]| {
        let users = users.iter().map(|&user| user.into()).collect();
        let request = LookupRequest { tenant: tenant.into(), users };
        let found = place.client.clone().lookup(request).await.expect("found").into_inner().gateways;
        found.into_iter().map(|at| (at.gateway, at.connections)).collect::<Vec<_>>()
    };
    let found = lookup("t", &["bob", "ann", "nobody"]).await;
    assert_eq!(found, [("g".to_owned(), vec![7]), ("h".to_owned(), vec![9, 2])]);
    assert_eq!(lookup("other", &["bob"]).await, []);
    place.disconnect("ann", "h", 2).await;
    assert_eq!(lookup("t", &["ann"]).await, [("g".to_owned(), vec![7])]);
    place.disconnect("ann", "h", 2).await;
    assert_eq!(lookup("t", &["ann"]).await, [("g".to_owned(), vec![7])], "unknown connections change nothing");
}

#[tokio::test(start_paused = true)]
async fn a_user_goes_offline_a_grace_after_the_last_connection_and_watchers_are_told_in_order() {
    let place = Place::new().await;
    let mut gateway = place.listen("gateway.g").await;
    place.connect("eve", "g", 1).await;
    assert_eq!(
        watch(&place, 1, &["ann", "bob"]).await,
        [now("ann", Status::Offline, 0), now("bob", Status::Offline, 0)]
    );

    place.connect("ann", "g", 2).await;
    assert_eq!(told(&mut gateway).await, (1, vec![1], now("ann", Status::Online, 0)));
    place.connect("ann", "h", 3).await;
    place.disconnect("ann", "g", 2).await;
    sleep(Duration::from_millis(2 * GRACE_MS)).await;
    let left = Instant::now();
    place.disconnect("ann", "h", 3).await;
    let seen_ms = place.clock.now_ms();
    assert_eq!(present(&place, "ann").await, now("ann", Status::Online, 0), "within the grace nobody has gone");
    assert_eq!(told(&mut gateway).await, (2, vec![1], now("ann", Status::Offline, seen_ms)));
    assert_eq!(left.elapsed().as_millis(), u128::from(GRACE_MS));
    assert_eq!(present(&place, "ann").await, now("ann", Status::Offline, seen_ms));

    let again = place.restarted().await;
    assert_eq!(present(&again, "ann").await, now("ann", Status::Offline, seen_ms), "last-seen is durable");
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_within_the_grace_never_was_away() {
    let (place, mut gateway) = eve_watches_ann().await;
    place.connect("ann", "g", 2).await;
    for connection in 3..8 {
        place.disconnect("ann", "g", connection - 1).await;
        sleep(Duration::from_millis(GRACE_MS - 1)).await;
        place.connect("ann", "g", connection).await;
        sleep(Duration::from_millis(2)).await;
    }
    sleep(Duration::from_millis(3 * GRACE_MS)).await;
    place.disconnect("ann", "g", 7).await;
    let seen_ms = place.clock.now_ms();
    assert_eq!(told(&mut gateway).await.2, now("ann", Status::Online, 0));
    assert_eq!(told(&mut gateway).await, (2, vec![1], now("ann", Status::Offline, seen_ms)));
}

#[tokio::test(start_paused = true)]
async fn the_last_word_on_a_user_who_comes_as_the_grace_ends_is_right() {
    for after_ms in GRACE_MS - 2..GRACE_MS + 3 {
        let (place, mut gateway) = eve_watches_ann().await;
        place.connect("ann", "g", 2).await;
        place.disconnect("ann", "g", 2).await;
        sleep(Duration::from_millis(after_ms)).await;
        place.connect("ann", "g", 3).await;
        sleep(Duration::from_millis(3 * GRACE_MS)).await;
        assert_eq!(present(&place, "ann").await, now("ann", Status::Online, 0));
        // One more change, so that there is an end to read to.
        place.disconnect("ann", "g", 3).await;
        let mut seen = Vec::new();
        while seen.iter().filter(|&&status| status == Status::Offline).count() < 1 + usize::from(seen.len() > 2) {
            seen.push(told(&mut gateway).await.2.status());
        }
        let alternate = seen.windows(2).all(|pair| pair[0] != pair[1]);
        assert!(alternate && seen[0] == Status::Online, "after {after_ms} ms: {seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_watchers_are_told_and_only_while_they_are_connected() {
    let place = Place::new().await;
    let mut gateway = place.listen("gateway.g").await;
    place.connect("eve", "g", 1).await;
    place.connect("sam", "g", 2).await;
    watch(&place, 1, &["ann", "bob"]).await;
    watch(&place, 2, &["ann"]).await;
    watch(&place, 1, &["bob"]).await;
    place.connect("ann", "h", 3).await;
    assert_eq!(told(&mut gateway).await.1, [2]);
    place.disconnect("sam", "g", 2).await;
    place.disconnect("ann", "h", 3).await;
    sleep(Duration::from_millis(2 * GRACE_MS)).await;
    place.connect("bob", "h", 4).await;
    let (number, connections, about) = told(&mut gateway).await;
    assert_eq!((number, connections, about.user.as_str()), (2, vec![1], "bob"));
}

#[tokio::test(start_paused = true)]
async fn a_lookup_and_a_watch_are_bounded() {
    let place = Place::new().await;
    let users = |count: usize| (0..count).map(|n| format!("u{n}")).collect::<Vec<_>>();
    let request = LookupRequest { tenant: "t".into(), users: users(20_001) };
    let refused = place.client.clone().lookup(request).await.expect_err("too many");
    assert_eq!(failure_of(&refused).limit, "session.max_lookup_users");
    let users = users(1_001);
    let request = WatchRequest { tenant: "t".into(), gateway: "g".into(), connection: 1, users, silent: false };
    let refused = place.client.clone().watch(request).await.expect_err("too many");
    assert_eq!(failure_of(&refused).code, Code::TooManyWatched);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_comes_after_its_connection_has_ended_is_refused() {
    let place = Place::new().await;
    let mut gateway = place.listen("gateway.g").await;
    let watch = async |silent| {
        let users = vec!["ann".into()];
        let request = WatchRequest { tenant: "t".into(), gateway: "g".into(), connection: 1, users, silent };
        let reply = place.client.clone().watch(request).await;
        reply.map(|reply| reply.into_inner().now).map_err(|status| failure_of(&status).code)
    };
    assert_eq!(watch(false).await, Err(Code::Unavailable), "never there");
    place.connect("eve", "g", 1).await;
    assert_eq!(watch(true).await, Ok(Vec::new()), "only replaced");
    assert_eq!(watch(false).await, Ok(vec![now("ann", Status::Offline, 0)]));
    place.connect("ann", "h", 2).await;
    assert_eq!(told(&mut gateway).await, (1, vec![1], now("ann", Status::Online, 0)));
    place.disconnect("eve", "g", 1).await;
    assert_eq!(watch(false).await, Err(Code::Unavailable), "gone");
    // Nobody is left to be told.
    place.disconnect("ann", "h", 2).await;
    sleep(Duration::from_millis(2 * GRACE_MS)).await;
    place.connect("sam", "g", 3).await;
    self::watch(&place, 3, &["bob"]).await;
    place.connect("bob", "h", 4).await;
    assert_eq!(told(&mut gateway).await, (2, vec![3], now("bob", Status::Online, 0)));
}

/// The engine, in which a connection ends just after somebody has looked at who is online, and which does not say who
/// watches some.
struct Faulty {
    engine: Arc<MemoryPresence>,
    ends: Mutex<Option<(UserKey, ConnectionRef)>>,
    unanswered: Vec<UserKey>,
}

type Answer<T> = posthorn_presence::Result<T>;

#[async_trait]
impl Presence for Faulty {
    fn driver(&self) -> &'static str {
        "faulty"
    }

    async fn register(&self, user: &UserKey, device: &str, at: &ConnectionRef) -> Answer<bool> {
        self.engine.register(user, device, at).await
    }

    async fn unregister(&self, user: &UserKey, at: &ConnectionRef) -> Answer<Option<u64>> {
        self.engine.unregister(user, at).await
    }

    async fn lookup(&self, users: &[UserKey]) -> Answer<Vec<ConnectionRef>> {
        self.engine.lookup(users).await
    }

    async fn online(&self, users: &[UserKey]) -> Answer<Vec<bool>> {
        self.engine.online(users).await
    }

    async fn look(&self, user: &UserKey) -> Answer<Look> {
        let look = self.engine.look(user).await;
        let ends = self.ends.lock().take();
        if let Some((user, at)) = ends {
            self.engine.unregister(&user, &at).await?;
        }
        look
    }

    async fn lease(&self, gateway: &str, held: Held) -> Answer<Lease> {
        self.engine.lease(gateway, held).await
    }

    async fn renew(&self, gateway: &str, held: Held) -> Answer<Lease> {
        self.engine.renew(gateway, held).await
    }

    async fn lapsed(&self) -> Answer<Vec<String>> {
        self.engine.lapsed().await
    }

    async fn drop_gateway(&self, gateway: &str) -> Answer<Vec<Gone>> {
        self.engine.drop_gateway(gateway).await
    }

    async fn prune(&self, gateway: &str, kept: &[u64], upto: u64) -> Answer<Vec<Gone>> {
        self.engine.prune(gateway, kept, upto).await
    }

    async fn watch(&self, at: &ConnectionRef, users: &[UserKey]) -> Answer<bool> {
        self.engine.watch(at, users).await
    }

    async fn watchers(&self, user: &UserKey) -> Answer<Vec<ConnectionRef>> {
        if self.unanswered.contains(user) {
            return Err(PresenceError::Unavailable("not answered".to_owned()));
        }
        self.engine.watchers(user).await
    }

    async fn show(&self, user: &UserKey, online: bool, noted: u64, told: u64) -> Answer<Option<u64>> {
        self.engine.show(user, online, noted, told).await
    }

    async fn shown(&self, users: &[UserKey]) -> Answer<Vec<bool>> {
        self.engine.shown(users).await
    }

    async fn told(&self, user: &UserKey, version: u64) -> Answer<()> {
        self.engine.told(user, version).await
    }

    async fn show_again(&self, user: &UserKey, telling: u64) -> Answer<Option<(u64, bool)>> {
        self.engine.show_again(user, telling).await
    }

    async fn untold(&self, for_ms: u64, limit: usize) -> Answer<Vec<Untold>> {
        self.engine.untold(for_ms, limit).await
    }

    async fn versions(&self, users: &[UserKey]) -> Answer<Vec<u64>> {
        self.engine.versions(users).await
    }
}

/// Goal: of two instances the later change has the greater version, and the last one is what is the case.
#[tokio::test(start_paused = true)]
async fn changes_by_two_instances_have_growing_versions_and_end_with_the_truth() {
    let place = Place::new().await;
    let faulty = Faulty { engine: place.presence.clone(), ends: Mutex::new(None), unanswered: Vec::new() };
    let faulty = Arc::new(faulty);
    let other = place.beside(faulty.clone()).await;
    let mut gateway = place.listen("gateway.g").await;
    place.connect("eve", "g", 1).await;
    watch(&place, 1, &["ann"]).await;
    let mut changes = async |wanted: usize| {
        let mut changes = Vec::new();
        while changes.len() < wanted {
            let publication = publication(&mut gateway).await;
            let Some(What::Presence(now)) = publication.what else { panic!("{publication:?}") };
            changes.push((now.status(), publication.presence_version));
        }
        changes
    };

    place.connect("ann", "g", 2).await;
    let [(Status::Online, first)] = changes(1).await[..] else { panic!("not online") };
    disconnect(&other, "ann", "g", 2).await;
    let [(Status::Offline, second)] = changes(1).await[..] else { panic!("not offline") };
    assert!(0 < first && first < second);

    // She comes, and goes at another instance while this one is about to show her.
    let ann = crate::service::key_of("t", "ann").expect("a user");
    *faulty.ends.lock() = Some((ann, ConnectionRef { gateway: "g".into(), connection: 3 }));
    connect(&other, "ann", "g", 3).await;
    let [(Status::Online, third), (Status::Offline, fourth)] = changes(2).await[..] else { panic!("not the truth") };
    assert!(second < third && third < fourth);
}

/// Goal: an instance that ends between a change and its telling leaves no watcher with what is not so.
#[tokio::test(start_paused = true)]
async fn what_nobody_tells_a_sweep_does() {
    let (place, mut gateway) = eve_watches_ann().await;
    let ann = crate::service::key_of("t", "ann").expect("a user");
    let at = ConnectionRef { gateway: "g".into(), connection: 2 };
    let soon = Duration::from_millis(GRACE_MS)..Duration::from_millis(2 * GRACE_MS + 2_000);
    // As by one that was killed then.
    let begun = Instant::now();
    place.presence.register(&ann, "d", &at).await.expect("registered");
    assert_eq!(told(&mut gateway).await, (1, vec![1], now("ann", Status::Online, 0)));
    assert!(soon.contains(&begun.elapsed()), "{:?}", begun.elapsed());
    let begun = Instant::now();
    place.presence.unregister(&ann, &at).await.expect("unregistered");
    let went_ms = place.clock.now_ms();
    assert_eq!(told(&mut gateway).await, (2, vec![1], now("ann", Status::Offline, went_ms)), "since then, not now");
    assert!(soon.contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(present(&place, "ann").await, now("ann", Status::Offline, went_ms));
    // Once.
    sleep(Duration::from_millis(6 * GRACE_MS)).await;
    place.connect("ann", "g", 3).await;
    assert_eq!(told(&mut gateway).await, (3, vec![1], now("ann", Status::Online, 0)));
}

/// Goal: whoever cannot be told of keeps nobody else from being told of by the same sweep.
#[tokio::test(start_paused = true)]
async fn a_sweep_goes_on_behind_those_whose_watchers_are_not_known() {
    let place = Place::new().await;
    let user = |name: String| crate::service::key_of("t", &name).expect("a user");
    // As many in a row as may fail before it is taken for the engine, less one.
    let unanswered: Vec<UserKey> = (0..7).map(|n| user(format!("bad{n}"))).collect();
    let faulty = Faulty { engine: place.presence.clone(), ends: Mutex::new(None), unanswered: unanswered.clone() };
    // The only one that sweeps.
    place.tasks.stop();
    let tasks = Tasks::new();
    let client = instance(&place.store, &place.clock, &place.bus, Arc::new(faulty), &tasks).await;
    let place = Place { client, tasks, ..place };
    let mut gateway = place.listen("gateway.g").await;
    place.connect("eve", "g", 1).await;
    let names: Vec<String> = (0..7).map(|n| format!("good{n}")).collect();
    watch(&place, 1, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let begun = Instant::now();
    for (connection, user) in (2..).zip(unanswered.into_iter().chain(names.iter().cloned().map(user))) {
        // As by one that was killed then.
        place.presence.register(&user, "d", &ConnectionRef { gateway: "g".into(), connection }).await.expect("there");
    }
    let mut seen = Vec::new();
    for _ in &names {
        seen.push(told(&mut gateway).await.2.user);
    }
    seen.sort();
    assert_eq!(seen, names);
    // The first sweep after the grace and 5 s.
    assert!(begun.elapsed() < Duration::from_millis(GRACE_MS + 5_000 + 6_500), "{:?}", begun.elapsed());
}

/// Goal: nobody takes for told what was only shown, whatever the user does meanwhile.
#[tokio::test(start_paused = true)]
async fn a_change_that_nobody_told_is_told_though_the_user_went_and_came_back() {
    let (place, mut gateway) = eve_watches_ann().await;
    let ann = crate::service::key_of("t", "ann").expect("a user");
    let at = ConnectionRef { gateway: "g".into(), connection: 2 };
    // As by one that was killed then, or was not answered when it asked for the watchers.
    place.presence.register(&ann, "d", &at).await.expect("registered");
    let noted = place.presence.look(&ann).await.expect("known").noted;
    place.presence.show(&ann, true, noted, 0).await.expect("noted").expect("a change");
    let begun = Instant::now();
    place.disconnect("ann", "g", 2).await;
    sleep(Duration::from_millis(GRACE_MS / 2)).await;
    place.connect("ann", "g", 3).await;
    assert_eq!(told(&mut gateway).await, (1, vec![1], now("ann", Status::Online, 0)));
    assert!(begun.elapsed() < Duration::from_millis(2 * GRACE_MS + 2_000), "{:?}", begun.elapsed());
    // Once, and the same of her going.
    sleep(Duration::from_millis(6 * GRACE_MS)).await;
    place.disconnect("ann", "g", 3).await;
    let went_ms = place.clock.now_ms();
    assert_eq!(told(&mut gateway).await, (2, vec![1], now("ann", Status::Offline, went_ms)));
}

/// Goal: the grace of one process is not cut short by what another one has to make up for.
#[tokio::test(start_paused = true)]
async fn who_is_away_for_less_than_the_grace_of_one_instance_is_not_shown_to_have_gone_by_another() {
    let (place, mut gateway) = eve_watches_ann().await;
    let instances = [place.client.clone(), place.beside(place.presence.clone()).await];
    let ann = crate::service::key_of("t", "ann").expect("a user");
    let second = Duration::from_secs(1);
    // Shown, and nobody says that they told it: a sweep does, after a grace and 5 s, and at most 8 s later.
    place.connect("ann", "g", 2).await;
    assert_eq!(told(&mut gateway).await.2.status(), Status::Online);
    place.presence.show(&ann, false, 0, 0).await.expect("noted").expect("a change");
    place.presence.show(&ann, true, 0, 0).await.expect("noted").expect("a change");
    let mut connection = 2;
    for _ in 0..30 {
        sleep(second).await;
        // Away, by one or the other, for less than the grace; the sweeps are there meanwhile.
        disconnect(&instances[usize::from(connection % 2 == 0)], "ann", "g", connection).await;
        sleep(Duration::from_millis(GRACE_MS - 1_000)).await;
        connection += 1;
        place.connect("ann", "g", connection).await;
    }
    sleep(Duration::from_millis(3 * GRACE_MS)).await;
    place.disconnect("ann", "g", connection).await;
    let went_ms = place.clock.now_ms();
    assert_eq!(told(&mut gateway).await.2, now("ann", Status::Online, 0), "once more, as nobody had said so");
    assert_eq!(told(&mut gateway).await.2, now("ann", Status::Offline, went_ms));
}

/// Goal: somebody who leaves at one instance, comes back by another and leaves again has the whole grace of that.
#[tokio::test(start_paused = true)]
async fn an_older_grace_of_another_instance_ends_nothing() {
    let (place, mut gateway) = eve_watches_ann().await;
    let other = place.beside(place.presence.clone()).await;
    let half = Duration::from_millis(GRACE_MS / 2);
    place.connect("ann", "g", 2).await;
    assert_eq!(told(&mut gateway).await.2, now("ann", Status::Online, 0));
    place.disconnect("ann", "g", 2).await;
    sleep(half).await;
    connect(&other, "ann", "g", 3).await;
    sleep(Duration::from_millis(100)).await;
    disconnect(&other, "ann", "g", 3).await;
    let (went, went_ms) = (Instant::now(), place.clock.now_ms());
    assert_eq!(told(&mut gateway).await.2, now("ann", Status::Offline, went_ms));
    assert_eq!(went.elapsed().as_millis(), u128::from(GRACE_MS));
}

/// Goal: whoever begins to watch while a change is on its way is told that change.
#[tokio::test(start_paused = true)]
async fn who_begins_to_watch_begins_with_what_the_others_were_told() {
    let (place, mut gateway) = eve_watches_ann().await;
    place.connect("ann", "h", 2).await;
    assert_eq!(told(&mut gateway).await, (1, vec![1], now("ann", Status::Online, 0)));
    // Her gateway dies, and the grace is not over yet.
    place.presence.drop_gateway("h").await.expect("dropped");
    place.connect("sam", "g", 3).await;
    assert_eq!(watch(&place, 3, &["ann"]).await, [now("ann", Status::Online, 0)]);
    // She is back in time, which is no news, and goes.
    place.connect("ann", "g", 4).await;
    place.disconnect("ann", "g", 4).await;
    let (number, connections, about) = told(&mut gateway).await;
    assert_eq!((number, connections, about.status()), (2, vec![1, 3], Status::Offline));
}

/// Goal: a lease that ended, and was renewed, leaves nobody shown to be away who is there.
#[tokio::test(start_paused = true)]
async fn who_was_shown_to_have_gone_by_a_lease_is_shown_to_be_back() {
    let (place, mut gateway) = eve_watches_ann().await;
    place.connect("ann", "h", 3).await;
    assert_eq!(told(&mut gateway).await, (1, vec![1], now("ann", Status::Online, 0)));
    // Her gateway is not heard of in time, and another instance shows that; the engine keeps what it has.
    let ann = crate::service::key_of("t", "ann").expect("a user");
    place.presence.end_lease("h");
    assert!(!place.presence.look(&ann).await.expect("known").online);
    let version = place.presence.show(&ann, false, 0, 0).await.expect("noted").expect("a change");
    assert_eq!(place.presence.show(&ann, false, 0, version).await.expect("noted"), None);
    // It comes back, and registers again what is there.
    place.presence.lease("h", Held::default()).await.expect("leased");
    place.connect("ann", "h", 3).await;
    assert_eq!(told(&mut gateway).await, (2, vec![1], now("ann", Status::Online, 0)));
    assert_eq!(watch(&place, 1, &["ann"]).await, [now("ann", Status::Online, 0)]);
}
