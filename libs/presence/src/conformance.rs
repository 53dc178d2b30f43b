//! What every presence engine must do. Panics where it does not.

use std::sync::Arc;

use async_trait::async_trait;
use posthorn_core::{Held, TenantId, UserId, UserKey};

use crate::{ConnectionRef, Gone, LeaseState, Look, Outstanding, Presence, Result};

/// What the suite does to the engine below the driver.
#[async_trait]
pub trait Engine: Send + Sync {
    /// As if the gateway had not renewed its lease in time.
    async fn end_lease(&self, gateway: &str);

    /// Everything is lost.
    async fn forget(&self);
}

fn user(tenant: &str, name: &str) -> UserKey {
    let (tenant, user) = (TenantId::new(tenant).expect("valid"), UserId::new(name).expect("valid"));
    UserKey { tenant, user }
}

fn at(gateway: &str, connection: u64) -> ConnectionRef {
    ConnectionRef { gateway: gateway.into(), connection }
}

fn held(connections: &[(&UserKey, u64)]) -> Held {
    let mut held = Held::default();
    for (user, connection) in connections {
        held.add(user, *connection);
    }
    held
}

/// Runs the suite on an engine that holds nothing.
#[allow(clippy::missing_panics_doc, reason = "the module says so")]
pub async fn run(presence: Arc<impl Presence + ?Sized>, engine: &impl Engine) {
    for gateway in ["g", "h", "kept", "lost"] {
        let lease = presence.lease(gateway, Held::default()).await.expect("leased");
        assert_eq!(lease.state, LeaseState::Lost, "the first");
    }
    first_and_last_connection_are_told(&*presence).await;
    tenants_are_apart(&*presence).await;
    many_users_are_looked_up_together(&*presence).await;
    a_gateway_that_is_gone_takes_its_connections_along(&*presence).await;
    connections_whose_gateway_has_no_lease_are_not_found(&*presence, engine).await;
    a_lease_notices_what_the_engine_lost(&*presence, engine).await;
    a_gateway_that_is_asked_for_what_it_keeps_loses_the_rest(&*presence).await;
    watching_is_replaced_and_ends_with_the_connection(&*presence).await;
    only_a_registered_connection_watches(&*presence).await;
    watchers_of_a_dead_gateway_are_not_told(&*presence, engine).await;
    what_was_shown_changes_once(&*presence).await;
    versions_of_what_was_shown_grow(&*presence, engine).await;
    who_came_or_went_is_noted_until_they_are_shown(&*presence).await;
    a_change_is_being_told_until_somebody_said_that_they_did(&*presence).await;
}

async fn first_and_last_connection_are_told(p: &(impl Presence + ?Sized)) {
    let ann = user("one", "ann");
    assert!(p.register(&ann, "phone", &at("g", 1)).await.expect("registered"));
    assert!(p.register(&ann, "web", &at("h", 1)).await.expect("registered"), "nobody was told yet");
    assert!(p.show(&ann, true, 0, 0).await.expect("noted").is_some());
    assert!(!p.register(&ann, "phone", &at("g", 1)).await.expect("again"), "changes nothing");
    let mut found = p.lookup(std::slice::from_ref(&ann)).await.expect("found");
    found.sort();
    assert_eq!(found, [at("g", 1), at("h", 1)]);
    assert_eq!(p.unregister(&ann, &at("g", 9)).await.expect("unknown"), None, "changes nothing");
    assert_eq!(p.unregister(&ann, &at("g", 1)).await.expect("one left"), None);
    assert_eq!(p.online(std::slice::from_ref(&ann)).await.expect("known"), [true]);
    let noted = p.unregister(&ann, &at("h", 1)).await.expect("unregistered").expect("none left");
    assert_eq!(p.look(&ann).await.expect("known").noted, noted);
    assert_eq!(p.unregister(&ann, &at("h", 1)).await.expect("gone"), None, "only once");
    assert!(p.show(&ann, false, 0, 0).await.expect("noted").is_some());
    assert_eq!(p.online(&[ann]).await.expect("known"), [false]);
}

async fn tenants_are_apart(p: &(impl Presence + ?Sized)) {
    let (one, two) = (user("one", "bob"), user("two", "bob"));
    p.register(&one, "d", &at("g", 2)).await.expect("registered");
    assert_eq!(p.online(&[two.clone(), one.clone()]).await.expect("known"), [false, true]);
    assert!(p.lookup(&[two]).await.expect("found").is_empty());
    p.unregister(&one, &at("g", 2)).await.expect("unregistered");
}

async fn many_users_are_looked_up_together(p: &(impl Presence + ?Sized)) {
    let users: Vec<_> = (0..300).map(|n| user("one", &format!("u{n}"))).collect();
    for (n, user) in users.iter().enumerate().step_by(2) {
        p.register(user, "d", &at("g", 1_000 + n as u64)).await.expect("registered");
    }
    let found = p.lookup(&users).await.expect("found");
    let expected: Vec<_> = (0..300).step_by(2).map(|n| at("g", 1_000 + n)).collect();
    assert_eq!(found, expected, "in the order asked");
    let online = p.online(&users).await.expect("known");
    assert!(online.iter().enumerate().all(|(n, online)| *online == (n % 2 == 0)));
    let lease = p.lease("g", held_of(&users)).await.expect("leased");
    assert_eq!(lease.state, LeaseState::Kept);
    for (n, user) in users.iter().enumerate() {
        let last = p.unregister(user, &at("g", 1_000 + n as u64)).await.expect("unregistered").is_some();
        assert_eq!(last, n % 2 == 0);
    }
    assert_eq!(p.lease("g", Held::default()).await.expect("leased").state, LeaseState::Kept);
}

/// Whom a call found to have gone, in order, each as they are noted.
async fn users_of(p: &(impl Presence + ?Sized), gone: Result<Vec<Gone>>) -> Vec<UserKey> {
    let mut gone = gone.expect("answered");
    gone.sort();
    for Gone { user, noted } in &gone {
        let look = p.look(user).await.expect("known");
        assert!(!look.online && look.noted == *noted && *noted > 0, "{look:?}, not {noted}");
    }
    gone.into_iter().map(|gone| gone.user).collect()
}

fn held_of(users: &[UserKey]) -> Held {
    let all: Vec<_> = users.iter().enumerate().step_by(2).map(|(n, user)| (user, 1_000 + n as u64)).collect();
    held(&all)
}

async fn a_gateway_that_is_gone_takes_its_connections_along(p: &(impl Presence + ?Sized)) {
    let (ann, bob) = (user("one", "ann"), user("one", "bob"));
    for (who, gateway, number) in [(&ann, "lost", 1), (&ann, "kept", 2), (&bob, "lost", 3)] {
        p.register(who, "d", &at(gateway, number)).await.expect("registered");
    }
    assert_eq!(users_of(p, p.drop_gateway("lost").await).await, std::slice::from_ref(&bob));
    assert_eq!(p.lookup(&[ann.clone(), bob]).await.expect("found"), [at("kept", 2)]);
    assert!(p.drop_gateway("lost").await.expect("dropped").is_empty());
    p.unregister(&ann, &at("kept", 2)).await.expect("unregistered");
}

async fn connections_whose_gateway_has_no_lease_are_not_found(p: &(impl Presence + ?Sized), engine: &impl Engine) {
    let (ann, bob) = (user("one", "ann"), user("one", "bob"));
    p.lease("lost", Held::default()).await.expect("leased");
    for (who, gateway, number) in [(&ann, "lost", 4), (&ann, "kept", 5), (&bob, "lost", 6)] {
        p.register(who, "d", &at(gateway, number)).await.expect("registered");
    }
    assert!(p.lapsed().await.expect("asked").is_empty());
    engine.end_lease("lost").await;
    assert_eq!(p.lookup(&[ann.clone(), bob.clone()]).await.expect("found"), [at("kept", 5)]);
    assert_eq!(p.online(&[ann.clone(), bob.clone()]).await.expect("known"), [true, false]);
    assert_eq!(p.lapsed().await.expect("asked"), ["lost"]);

    // It was only slow: nothing is lost, and it is told that it may have missed something.
    let theirs = held(&[(&ann, 4), (&bob, 6)]);
    assert_eq!(p.renew("lost", theirs).await.expect("renewed").state, LeaseState::Lost);
    assert_eq!(p.online(&[ann.clone(), bob.clone()]).await.expect("known"), [true, false], "it did not begin again");
    assert_eq!(p.lease("lost", theirs).await.expect("leased").state, LeaseState::Lost);
    assert_eq!(p.online(&[ann.clone(), bob.clone()]).await.expect("known"), [true, true]);
    assert_eq!(p.renew("lost", theirs).await.expect("renewed").state, LeaseState::Kept);
    assert!(p.lapsed().await.expect("asked").is_empty());

    engine.end_lease("lost").await;
    assert_eq!(users_of(p, p.drop_gateway("lost").await).await, [bob]);
    assert!(p.lapsed().await.expect("asked").is_empty(), "swept");
    assert!(p.unregister(&ann, &at("kept", 5)).await.expect("unregistered").is_some(), "the last");
}

async fn a_lease_notices_what_the_engine_lost(p: &(impl Presence + ?Sized), engine: &impl Engine) {
    let ann = user("one", "ann");
    let mine = held(&[(&ann, 11)]);
    assert_eq!(p.lease("kept", Held::default()).await.expect("leased").state, LeaseState::Kept);
    p.register(&ann, "d", &at("kept", 11)).await.expect("registered");
    assert_eq!(p.lease("kept", mine).await.expect("leased").state, LeaseState::Kept);
    // The last write was lost, as in a failover: here, it was never made.
    let with_another = held(&[(&ann, 11), (&ann, 12)]);
    assert_eq!(p.lease("kept", with_another).await.expect("leased").state, LeaseState::Differs);
    assert_eq!(p.lease("kept", held(&[(&ann, 12)])).await.expect("leased").state, LeaseState::Differs);

    engine.forget().await;
    assert_eq!(p.online(std::slice::from_ref(&ann)).await.expect("known"), [false]);
    assert_eq!(p.lease("kept", mine).await.expect("leased").state, LeaseState::Lost);
    assert_eq!(p.lease("kept", mine).await.expect("leased").state, LeaseState::Differs);
    assert!(p.register(&ann, "d", &at("kept", 11)).await.expect("again"), "the first");
    assert_eq!(p.lease("kept", mine).await.expect("leased").state, LeaseState::Kept);
    p.unregister(&ann, &at("kept", 11)).await.expect("unregistered");
    for gateway in ["g", "h", "lost"] {
        assert_eq!(p.lease(gateway, Held::default()).await.expect("leased").state, LeaseState::Lost);
    }
}

async fn a_gateway_that_is_asked_for_what_it_keeps_loses_the_rest(p: &(impl Presence + ?Sized)) {
    let (ann, bob, eve) = (user("one", "ann"), user("one", "bob"), user("one", "eve"));
    for (who, gateway, number) in [(&ann, "g", 1), (&ann, "g", 2), (&bob, "g", 3), (&bob, "h", 3), (&eve, "g", 9)] {
        p.register(who, "d", &at(gateway, number)).await.expect("registered");
    }
    assert_eq!(users_of(p, p.prune("g", &[3], 5).await).await, std::slice::from_ref(&ann));
    assert_eq!(p.lease("g", held(&[(&bob, 3), (&eve, 9)])).await.expect("leased").state, LeaseState::Kept);
    assert_eq!(users_of(p, p.prune("g", &[], 9).await).await, std::slice::from_ref(&eve));
    assert_eq!(p.lookup(&[ann, bob.clone(), eve]).await.expect("found"), [at("h", 3)]);
    p.unregister(&bob, &at("h", 3)).await.expect("unregistered");
}

async fn watching_is_replaced_and_ends_with_the_connection(p: &(impl Presence + ?Sized)) {
    let (ann, bob, eve) = (user("one", "ann"), user("one", "bob"), user("one", "eve"));
    p.register(&eve, "d", &at("g", 7)).await.expect("registered");
    assert!(p.watch(&at("g", 7), &[ann.clone(), bob.clone()]).await.expect("watched"));
    assert!(p.watch(&at("g", 7), std::slice::from_ref(&bob)).await.expect("watched"));
    assert!(p.watchers(&ann).await.expect("known").is_empty());
    assert_eq!(p.watchers(&bob).await.expect("known"), [at("g", 7)]);
    p.unregister(&eve, &at("g", 7)).await.expect("unregistered");
    assert!(p.watchers(&bob).await.expect("known").is_empty());
}

async fn only_a_registered_connection_watches(p: &(impl Presence + ?Sized)) {
    let (ann, eve) = (user("one", "ann"), user("one", "eve"));
    p.lease("late", Held::default()).await.expect("leased");
    let watch = async |number, what: &str| {
        let taken = p.watch(&at("late", number), std::slice::from_ref(&ann)).await.expect(what);
        (taken, p.watchers(&ann).await.expect("known").len())
    };
    assert_eq!(watch(1, "never there").await, (false, 0));
    p.register(&eve, "d", &at("late", 1)).await.expect("registered");
    assert_eq!(watch(1, "there").await, (true, 1));
    assert_eq!(watch(2, "another number").await, (false, 1));
    assert!(p.watch(&at("late", 1), &[]).await.expect("nobody"), "whoever is there may watch nobody");
    assert_eq!(watch(1, "again").await, (true, 1));
    // What unregisters another user's connection of this number unregisters nothing.
    p.unregister(&ann, &at("late", 1)).await.expect("unknown");
    assert_eq!(watch(1, "still there").await, (true, 1));
    p.unregister(&eve, &at("late", 1)).await.expect("unregistered");
    assert_eq!(watch(1, "gone").await, (false, 0));
    assert!(!p.watch(&at("late", 1), &[]).await.expect("nobody"), "also for nobody");
    p.register(&eve, "d", &at("late", 3)).await.expect("registered");
    assert_eq!(watch(3, "there").await, (true, 1));
    p.drop_gateway("late").await.expect("dropped");
    assert_eq!(watch(3, "gone with its gateway").await, (false, 0));
}

async fn watchers_of_a_dead_gateway_are_not_told(p: &(impl Presence + ?Sized), engine: &impl Engine) {
    let (ann, eve) = (user("one", "ann"), user("one", "eve"));
    for gateway in ["lost", "kept"] {
        p.lease(gateway, Held::default()).await.expect("leased");
        p.register(&eve, "d", &at(gateway, 21)).await.expect("registered");
        assert!(p.watch(&at(gateway, 21), std::slice::from_ref(&ann)).await.expect("watched"));
    }
    let mut both = p.watchers(&ann).await.expect("known");
    both.sort();
    assert_eq!(both, [at("kept", 21), at("lost", 21)]);
    engine.end_lease("lost").await;
    assert_eq!(p.watchers(&ann).await.expect("known"), [at("kept", 21)]);
    assert!(p.drop_gateway("lost").await.expect("dropped").is_empty());
    p.lease("lost", Held::default()).await.expect("leased");
    assert_eq!(p.watchers(&ann).await.expect("known"), [at("kept", 21)], "they went with it");
    p.unregister(&eve, &at("kept", 21)).await.expect("unregistered");
    assert!(p.watchers(&ann).await.expect("known").is_empty());
}

async fn what_was_shown_changes_once(p: &(impl Presence + ?Sized)) {
    let ann = user("one", "ann");
    let mut changes = Vec::new();
    for online in [false, true, true, false, false, true, false] {
        changes.push(p.show(&ann, online, 0, 0).await.expect("noted").is_some());
        let shown = p.shown(&[user("two", "ann"), ann.clone()]).await.expect("known");
        assert_eq!(shown, [false, online], "what was shown last");
        assert_eq!(p.look(&ann).await.expect("known").shown, online);
    }
    assert_eq!(changes, [false, true, false, true, false, true, true]);
}

async fn versions_of_what_was_shown_grow(p: &(impl Presence + ?Sized), engine: &impl Engine) {
    let (ann, bob) = (user("one", "ann"), user("two", "bob"));
    let of = async |who: &UserKey| p.versions(&[bob.clone(), who.clone()]).await.expect("known")[1];
    let mut last = of(&ann).await;
    for online in [true, false, true, false, true] {
        let version = p.show(&ann, online, 0, 0).await.expect("noted").expect("a change");
        assert!(version > last, "{version} after {last}");
        assert!(version < 1 << 53, "a JSON number holds it");
        assert_eq!(of(&ann).await, version, "what is read now has all changes up to it");
        last = version;
        p.show(&bob, online, 0, 0).await.expect("noted");
    }
    let (version, online) = p.show_again(&ann, last).await.expect("noted").expect("nobody said that they told it");
    assert!(online && version > last, "{version} after {last}");
    last = version;
    engine.forget().await;
    let version = p.show(&ann, true, 0, 0).await.expect("noted").expect("a change: nothing is known of the one before");
    assert!(version > last, "{version} after {last}, which was lost");
    assert!(p.versions(&[]).await.expect("of nobody").is_empty());
}

/// What is outstanding of a user of this test: (noted, being told).
async fn outstanding(p: &(impl Presence + ?Sized), user: &UserKey) -> (bool, bool) {
    let all = p.untold(0, 1_000).await.expect("known");
    let mut found = (false, false);
    for untold in all.iter().filter(|untold| untold.user == *user) {
        match untold.what {
            Outstanding::Noted(_) => found.0 = true,
            Outstanding::Telling(_) => found.1 = true,
        }
    }
    found
}

async fn who_came_or_went_is_noted_until_they_are_shown(p: &(impl Presence + ?Sized)) {
    let (ann, bob, cyd) = (user("one", "noted-ann"), user("two", "noted-bob"), user("one", "noted-cyd"));
    let look = async |user: &UserKey| p.look(user).await.expect("known");
    let show = async |user: &UserKey, online| {
        let noted = look(user).await.noted;
        let version = p.show(user, online, noted, 0).await.expect("noted")?;
        assert_eq!(p.show(user, online, 0, version).await.expect("noted"), None);
        Some(version)
    };
    p.lease("u", Held::default()).await.expect("leased");
    for (user, connection) in [(&ann, 1), (&ann, 2), (&bob, 3)] {
        p.register(user, "d", &at("u", connection)).await.expect("registered");
        assert_eq!(outstanding(p, user).await, (true, false), "they came");
    }
    let old = p.untold(600_000, 1_000).await.expect("known");
    assert!(old.iter().all(|untold| untold.user != ann && untold.user != bob), "not so long ago");
    let first = look(&ann).await;
    assert!(first.online && !first.shown && first.noted > 0);
    assert!(show(&ann, true).await.is_some() && show(&bob, true).await.is_some());
    assert_eq!(look(&ann).await, Look { online: true, shown: true, noted: 0 });
    assert_eq!((outstanding(p, &ann).await, outstanding(p, &bob).await), ((false, false), (false, false)));
    // Neither a second connection nor its end is news.
    assert!(!p.register(&ann, "d", &at("u", 4)).await.expect("registered"));
    p.unregister(&ann, &at("u", 1)).await.expect("unregistered");
    assert_eq!(outstanding(p, &ann).await, (false, false));
    p.unregister(&ann, &at("u", 2)).await.expect("unregistered");
    p.unregister(&ann, &at("u", 4)).await.expect("unregistered");
    assert_eq!(outstanding(p, &ann).await, (true, false), "the last one went");
    // Back, and looked at before: that look's note is another one.
    let gone = look(&ann).await;
    p.register(&ann, "d", &at("u", 5)).await.expect("registered");
    assert_eq!(p.show(&ann, true, gone.noted, 0).await.expect("noted"), None);
    assert_eq!(outstanding(p, &ann).await, (true, false), "something was noted since that look");
    assert_eq!(show(&ann, true).await, None);
    assert_eq!(outstanding(p, &ann).await, (false, false));
    // Shown to be gone while their connection is there: by a lease that had ended.
    p.register(&cyd, "d", &at("u", 6)).await.expect("registered");
    assert!(show(&cyd, true).await.is_some() && show(&cyd, false).await.is_some());
    assert!(p.register(&cyd, "d", &at("u", 6)).await.expect("again"), "watchers think they went");
    assert!(show(&cyd, true).await.is_some());
    assert_eq!(users_of(p, p.drop_gateway("u").await).await, [ann.clone(), cyd.clone(), bob.clone()]);
    for user in [&ann, &bob, &cyd] {
        assert_eq!(outstanding(p, user).await, (true, false), "and those of a gateway that is gone");
        assert!(show(user, false).await.is_some());
        assert_eq!(outstanding(p, user).await, (false, false));
    }
}

async fn a_change_is_being_told_until_somebody_said_that_they_did(p: &(impl Presence + ?Sized)) {
    let ann = user("one", "telling-ann");
    p.lease("u", Held::default()).await.expect("leased");
    p.register(&ann, "d", &at("u", 1)).await.expect("registered");
    let noted = p.look(&ann).await.expect("known").noted;
    let first = p.show(&ann, true, noted, 0).await.expect("noted").expect("a change");
    assert_eq!(outstanding(p, &ann).await, (false, true));
    let old = p.untold(600_000, 1_000).await.expect("known");
    assert!(old.iter().all(|untold| untold.user != ann), "not so long ago");
    // They go and come back before: nobody has told anything by that.
    p.unregister(&ann, &at("u", 1)).await.expect("unregistered");
    p.register(&ann, "d", &at("u", 2)).await.expect("registered");
    let noted = p.look(&ann).await.expect("known").noted;
    assert_eq!(p.show(&ann, true, noted, 0).await.expect("noted"), None);
    assert_eq!(outstanding(p, &ann).await, (false, true), "that was no telling");
    // Of several who find that, one gets to tell it.
    assert_eq!(p.show_again(&ann, 0).await.expect("noted"), None);
    assert_eq!(p.show_again(&ann, first - 1).await.expect("noted"), None);
    let (second, online) = p.show_again(&ann, first).await.expect("noted").expect("outstanding");
    assert!(online && second > first);
    assert_eq!(p.show_again(&ann, first).await.expect("noted"), None, "somebody else does");
    assert_eq!(p.show(&ann, true, 0, first).await.expect("noted"), None);
    assert_eq!(outstanding(p, &ann).await, (false, true), "there is a newer one");
    // They go while they are told of.
    p.unregister(&ann, &at("u", 2)).await.expect("unregistered");
    assert_eq!(outstanding(p, &ann).await, (true, true));
    assert_eq!(p.show(&ann, true, 0, second).await.expect("noted"), None);
    assert_eq!(outstanding(p, &ann).await, (true, false), "told, and not shown to have gone yet");
    let noted = p.look(&ann).await.expect("known").noted;
    let third = p.show(&ann, false, noted, second).await.expect("noted").expect("a change");
    assert_eq!(outstanding(p, &ann).await, (false, true));
    let (fourth, online) = p.show_again(&ann, third).await.expect("noted").expect("outstanding");
    assert!(!online && fourth > third);
    assert_eq!(p.show(&ann, false, 0, fourth).await.expect("noted"), None);
    assert_eq!(outstanding(p, &ann).await, (false, false));
    assert_eq!(p.show_again(&ann, fourth).await.expect("noted"), None, "told");
    // Said without showing anything.
    let fifth = p.show(&ann, true, 0, 0).await.expect("noted").expect("a change");
    p.told(&ann, fourth).await.expect("told");
    assert_eq!(outstanding(p, &ann).await, (false, true), "there is a newer one");
    p.told(&ann, fifth).await.expect("told");
    assert_eq!(outstanding(p, &ann).await, (false, false));
    assert_eq!(p.show(&ann, true, 0, 0).await.expect("noted"), None, "and nothing was changed by it");
}
