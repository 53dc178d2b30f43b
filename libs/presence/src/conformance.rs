//! What every presence engine must do. Panics where it does not.

use std::sync::Arc;

use posthorn_core::{TenantId, UserId, UserKey};

use crate::{ConnectionRef, Presence};

fn user(tenant: &str, name: &str) -> UserKey {
    let (tenant, user) = (TenantId::new(tenant).expect("valid"), UserId::new(name).expect("valid"));
    UserKey { tenant, user }
}

fn at(gateway: &str, connection: u64) -> ConnectionRef {
    ConnectionRef { gateway: gateway.into(), connection }
}

/// Runs the suite on an engine that holds nothing of tenants `one` and `two`.
#[allow(clippy::missing_panics_doc, reason = "the module says so")]
pub async fn run(presence: Arc<impl Presence + ?Sized>) {
    first_and_last_connection_are_told(&*presence).await;
    tenants_are_apart(&*presence).await;
    a_gateway_that_is_gone_takes_its_connections_along(&*presence).await;
    watching_is_replaced_and_ends_with_the_connection(&*presence).await;
    only_a_registered_connection_watches(&*presence).await;
}

async fn first_and_last_connection_are_told(p: &(impl Presence + ?Sized)) {
    let ann = user("one", "ann");
    assert!(p.register(&ann, "phone", &at("g", 1)).await.expect("registered"));
    assert!(!p.register(&ann, "web", &at("h", 1)).await.expect("registered"));
    assert!(!p.register(&ann, "phone", &at("g", 1)).await.expect("again"), "changes nothing");
    assert_eq!(p.lookup(std::slice::from_ref(&ann)).await.expect("found"), [at("g", 1), at("h", 1)]);
    assert!(!p.unregister(&ann, &at("g", 9)).await.expect("unknown"), "changes nothing");
    assert!(!p.unregister(&ann, &at("g", 1)).await.expect("one left"));
    assert_eq!(p.online(std::slice::from_ref(&ann)).await.expect("known"), [true]);
    assert!(p.unregister(&ann, &at("h", 1)).await.expect("none left"));
    assert!(!p.unregister(&ann, &at("h", 1)).await.expect("gone"), "only once");
    assert_eq!(p.online(&[ann]).await.expect("known"), [false]);
}

async fn tenants_are_apart(p: &(impl Presence + ?Sized)) {
    let (one, two) = (user("one", "bob"), user("two", "bob"));
    p.register(&one, "d", &at("g", 2)).await.expect("registered");
    assert_eq!(p.online(&[two.clone(), one.clone()]).await.expect("known"), [false, true]);
    assert!(p.lookup(&[two]).await.expect("found").is_empty());
    p.unregister(&one, &at("g", 2)).await.expect("unregistered");
}

async fn a_gateway_that_is_gone_takes_its_connections_along(p: &(impl Presence + ?Sized)) {
    let (ann, bob) = (user("one", "ann"), user("one", "bob"));
    for (who, gateway, number) in [(&ann, "lost", 1), (&ann, "kept", 2), (&bob, "lost", 3)] {
        p.register(who, "d", &at(gateway, number)).await.expect("registered");
    }
    assert_eq!(p.drop_gateway("lost").await.expect("dropped"), std::slice::from_ref(&bob));
    assert_eq!(p.lookup(&[ann.clone(), bob]).await.expect("found"), [at("kept", 2)]);
    assert!(p.drop_gateway("lost").await.expect("dropped").is_empty());
    p.unregister(&ann, &at("kept", 2)).await.expect("unregistered");
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
