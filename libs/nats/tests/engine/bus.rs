use std::time::Duration;

use bytes::Bytes;
use posthorn_bus::{Bus, BusError, Delivery, Subscription, conformance};
use posthorn_clock::{Instant, sleep, timeout};

use crate::place::{Client, SOON, Server, engines, shared};

async fn next(subscription: &mut Box<dyn Subscription>) -> Delivery {
    timeout(SOON, subscription.next()).await.expect("something comes").expect("the bus is there")
}

fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Publishes until it is taken: the bus is away for a moment.
async fn publish(client: &Client, subject: &str, message: &str) {
    let published = async {
        while client.bus.publish(subject, text(message)).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, published).await.expect("taken");
}

#[tokio::test]
async fn the_bus_conforms() {
    if !engines() {
        return;
    }
    let (_server, client) = shared().await;
    conformance::run(client.bus.clone()).await;
}

#[tokio::test]
async fn a_subscription_outlives_a_killed_server_and_is_told_that_something_is_missing() {
    if !engines() {
        return;
    }
    let mut server = Server::start().await;
    let (publisher, listener) = (server.client().await, server.client().await);
    let mut subscription = listener.bus.subscribe("s").await.expect("subscribes");
    publish(&publisher, "s", "before").await;
    assert_eq!(next(&mut subscription).await, Delivery::Message(text("before")));
    server.kill();
    server.restart().await;
    // Without a message that would show it.
    assert_eq!(next(&mut subscription).await, Delivery::Dropped(1));
    publish(&publisher, "s", "after").await;
    assert_eq!(next(&mut subscription).await, Delivery::Message(text("after")));
    assert_eq!(listener.metric("posthorn_nats_reconnects_total"), 1);
    assert_eq!(listener.metric("posthorn_nats_connected"), 1);
}

#[tokio::test]
async fn what_was_published_after_the_drop_was_told_arrives() {
    if !engines() {
        return;
    }
    let mut server = Server::start().await;
    let (publisher, listener) = (server.client().await, server.client().await);
    let mut subscription = listener.bus.subscribe("s").await.expect("subscribes");
    for round in 0..5 {
        server.kill();
        server.restart().await;
        timeout(SOON, publisher.connection.connected()).await.expect("connects");
        assert_eq!(next(&mut subscription).await, Delivery::Dropped(1), "round {round}");
        let message = format!("round {round}");
        publish(&publisher, "s", &message).await;
        assert_eq!(next(&mut subscription).await, Delivery::Message(text(&message)));
    }
}

#[tokio::test]
async fn publishing_while_the_server_is_away_fails_at_once() {
    if !engines() {
        return;
    }
    let mut server = Server::start().await;
    let client = server.client().await;
    client.bus.publish("s", text("there")).await.expect("taken");
    server.kill();
    let noticed = async {
        while client.bus.publish("s", text("gone")).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, noticed).await.expect("noticed");
    let begun = Instant::now();
    for _ in 0..10_000 {
        let refused = client.bus.publish("s", text("gone")).await;
        assert!(matches!(refused, Err(BusError::Unavailable(_))));
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "nothing waited: {:?}", begun.elapsed());
    assert!(matches!(client.bus.subscribe("s").await.map(drop), Err(BusError::Unavailable(_))));
    assert!(client.metric("posthorn_bus_refused_messages_total{reason=\"disconnected\"}") >= 10_000);
    server.restart().await;
    publish(&client, "s", "back").await;
}

#[tokio::test]
async fn a_server_that_stands_still_is_noticed_and_nothing_of_it_is_a_success_for_long() {
    if !engines() {
        return;
    }
    let mut server = Server::start().await;
    let client = server.client_with(|config| config.request_timeout_ms = 500).await;
    server.nats.process().pause().expect("pauses");
    let noticed = async {
        while client.bus.publish("s", text("lost")).await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, noticed).await.expect("noticed");
    server.nats.process().resume().expect("resumes");
    publish(&client, "s", "back").await;
}

#[tokio::test]
async fn a_slow_subscriber_is_told_how_many_it_missed() {
    if !engines() {
        return;
    }
    let server = Server::start().await;
    let (publisher, listener) =
        (server.client().await, server.client_with(|config| config.max_subscription_messages = 10).await);
    let mut slow = listener.bus.subscribe("s").await.expect("subscribes");
    // Comes behind all others, on a subscription that reads.
    let mut ending = listener.bus.subscribe("end").await.expect("subscribes");
    for n in 0..1_000 {
        publish(&publisher, "s", &n.to_string()).await;
    }
    publish(&publisher, "end", "").await;
    next(&mut ending).await;
    let all_came = async {
        while listener.metric("posthorn_bus_dropped_messages_total{reason=\"slow_subscriber\"}") < 990 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, all_came).await.expect("dropped what does not fit");
    assert_eq!(listener.metric("posthorn_bus_queued_messages"), 10);
    for n in 0..10 {
        assert_eq!(next(&mut slow).await, Delivery::Message(text(&n.to_string())));
    }
    assert_eq!(next(&mut slow).await, Delivery::Dropped(990));
    publish(&publisher, "s", "again").await;
    assert_eq!(next(&mut slow).await, Delivery::Message(text("again")));
    drop(slow);
    assert_eq!(listener.metric("posthorn_bus_queued_bytes"), 0);
}

#[tokio::test]
async fn a_message_that_never_fits_is_refused_and_the_connection_lives() {
    if !engines() {
        return;
    }
    let server = Server::start().await;
    let client = server.client().await;
    let large = Bytes::from(vec![0; 5 * 1024 * 1024]);
    let refused = client.bus.publish("s", large).await;
    assert!(matches!(refused, Err(BusError::TooLarge { bytes: 5_242_880, max: 4_194_304 })), "{refused:?}");
    client.bus.publish("s", text("small")).await.expect("taken");
}

#[tokio::test]
async fn a_start_waits_for_a_server_and_for_the_right_password() {
    if !engines() {
        return;
    }
    let mut server = Server::start_with("authorization { user: them, password: \"a secret\" }").await;
    let url = server.nats.url();
    let with = |password: &str| {
        let (url, password) = (url.clone(), password.to_owned());
        async move {
            Client::open(url, |config| {
                config.user = "them".into();
                config.password = password;
            })
            .await
        }
    };
    let (right, wrong) = (with("a secret").await, with("a guess").await);
    timeout(SOON, right.connection.connected()).await.expect("connects");
    // Tried all the while beside the one that got in.
    right.bus.publish("s", text("in")).await.expect("taken");
    assert!(!wrong.connection.is_connected());
    assert!(matches!(wrong.bus.publish("s", text("out")).await, Err(BusError::Unavailable(_))));
    server.kill();
    let early = with("a secret").await;
    assert!(!early.connection.is_connected());
    server.restart().await;
    timeout(SOON, early.connection.connected()).await.expect("connects when it is there");
}
