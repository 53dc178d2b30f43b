//! What every bus must do, whatever carries it. Panics where it does not.

use std::sync::Arc;

use bytes::Bytes;

use crate::{Bus, BusError, Delivery};

/// Runs the suite. `bus` may be shared with others: subjects are of the suite's own.
#[allow(clippy::missing_panics_doc, reason = "the module says so")]
pub async fn run(bus: Arc<impl Bus + ?Sized>) {
    messages_come_in_order_to_every_subscription(&*bus).await;
    subjects_are_apart_and_the_past_is_gone(&*bus).await;
    next_is_cancel_safe(&*bus).await;
    what_is_no_subject_is_refused(&*bus).await;
}

fn message(n: u32) -> Bytes {
    Bytes::copy_from_slice(&n.to_be_bytes())
}

async fn messages_come_in_order_to_every_subscription(bus: &(impl Bus + ?Sized)) {
    let mut a = bus.subscribe("conformance.order").await.expect("a subscription");
    let mut b = bus.subscribe("conformance.order").await.expect("another");
    for n in 0..1_000 {
        bus.publish("conformance.order", message(n)).await.expect("published");
    }
    for n in 0..1_000 {
        assert_eq!(a.next().await, Some(Delivery::Message(message(n))));
        assert_eq!(b.next().await, Some(Delivery::Message(message(n))));
    }
}

async fn subjects_are_apart_and_the_past_is_gone(bus: &(impl Bus + ?Sized)) {
    bus.publish("conformance.past", message(1)).await.expect("published to nobody");
    let mut late = bus.subscribe("conformance.past").await.expect("a subscription");
    bus.publish("conformance.other", message(2)).await.expect("published");
    bus.publish("conformance.past", message(3)).await.expect("published");
    assert_eq!(late.next().await, Some(Delivery::Message(message(3))));
}

async fn next_is_cancel_safe(bus: &(impl Bus + ?Sized)) {
    let mut subscription = bus.subscribe("conformance.cancel").await.expect("a subscription");
    tokio::select! {
        biased;
        _ = subscription.next() => panic!("nothing was published"),
        () = std::future::ready(()) => {}
    }
    bus.publish("conformance.cancel", message(4)).await.expect("published");
    assert_eq!(subscription.next().await, Some(Delivery::Message(message(4))));
}

async fn what_is_no_subject_is_refused(bus: &(impl Bus + ?Sized)) {
    for subject in ["", ".", "a.", "a..b", "a.*", ">", "a b", "a\r\nPUB b 0"] {
        let published = bus.publish(subject, message(5)).await;
        assert!(matches!(published, Err(BusError::Subject(_))), "{subject:?}");
        let subscribed = bus.subscribe(subject).await.map(drop);
        assert!(matches!(subscribed, Err(BusError::Subject(_))), "{subject:?}");
    }
}
