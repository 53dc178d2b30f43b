//! `Idempotency-Key`.

use std::{future::Future, task::Poll, time::Duration};

use http::{Method, Uri, header};
use posthorn_clock::sleep;
use serde_json::{Value, json};

use super::place::{Answer, Place, TENANT};
use crate::http::{
    HttpConfig,
    auth::Scope,
    idempotency::row::{Keyed, sweep},
};

const ENTRIES: &str = "/v1/conversations/lobby/entries";

async fn with_key(place: &Place, path: &str, key: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    place.send(Method::POST, path, &place.tenant_key, &headers, &body.to_string()).await
}

async fn lobby() -> Place {
    let place = Place::new().await;
    let body = json!({"id": "lobby", "members": [{"user": "ada"}]});
    let made = place.tenant(Method::POST, "/v1/conversations", body.to_string().as_bytes()).await;
    assert_eq!(made.status, 201, "{made:?}");
    place
}

async fn end_seq(place: &Place) -> u64 {
    place.tenant(Method::GET, "/v1/conversations/lobby", b"").await.body["end_seq"].as_u64().unwrap()
}

fn hello() -> Value {
    json!({"author": "ada", "text": "hello"})
}

#[tokio::test(start_paused = true)]
async fn a_repetition_is_answered_as_the_first_was() {
    let place = lobby().await;
    let first = with_key(&place, ENTRIES, "k1", &hello()).await;
    assert_eq!(first.status, 201, "{first:?}");
    assert!(!first.headers.contains_key("idempotent-replayed"));
    let again = with_key(&place, ENTRIES, "k1", &hello()).await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert_eq!(again.header("idempotent-replayed".parse().unwrap()), "true");
    assert_eq!(again.header(header::CONTENT_TYPE), "application/json");
    assert_eq!(end_seq(&place).await, 2);
    let other = with_key(&place, ENTRIES, "k2", &hello()).await;
    assert_eq!((other.status, &other.body["seq"]), (201, &json!(3)));
}

#[tokio::test(start_paused = true)]
async fn a_key_belongs_to_one_body_one_path_and_one_tenant() {
    let place = lobby().await;
    assert_eq!(with_key(&place, ENTRIES, "k1", &hello()).await.status, 201);
    let other = with_key(&place, ENTRIES, "k1", &json!({"author": "ada", "text": "bye"})).await;
    assert_eq!((other.status, &other.body["code"]), (422, &json!("idempotency_key_reused")), "{other:?}");
    let group = with_key(&place, "/v1/conversations", "k1", &json!({"title": "another path"})).await;
    assert_eq!(group.status, 201, "{group:?}");
    let again = with_key(&place, "/v1/conversations", "k1", &json!({"title": "another path"})).await;
    assert_eq!((again.status, &again.body), (201, &group.body));
    assert_eq!(again.header(header::LOCATION), group.header(header::LOCATION));
    let headers = [("content-type", "application/json"), ("idempotency-key", "k1")];
    let body = json!({"title": "another path"}).to_string();
    let theirs = place.send(Method::POST, "/v1/conversations", &place.other_key, &headers, &body).await;
    assert_eq!(theirs.status, 201);
    assert_ne!(theirs.body, group.body);
    for bad in ["", "ü", "a b", &"k".repeat(256)] {
        let answer = with_key(&place, ENTRIES, bad, &hello()).await;
        assert_eq!(answer.status, 400, "{bad}: {answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_failed_without_effect_frees_its_key() {
    let place = lobby().await;
    let eve = json!({"author": "eve", "text": "hello"});
    assert_eq!(with_key(&place, ENTRIES, "k1", &eve).await.status, 404);
    let body = json!({"members": [{"user": "eve"}]}).to_string();
    let added = place.tenant(Method::POST, "/v1/conversations/lobby/members", body.as_bytes()).await;
    assert_eq!(added.status, 200, "{added:?}");
    assert_eq!(with_key(&place, ENTRIES, "k1", &eve).await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn duplicates_at_the_same_time_send_once() {
    let place = lobby().await;
    let body = hello();
    let all = (0..8).map(|_| with_key(&place, ENTRIES, "k1", &body));
    let answers = futures_util::future::join_all(all).await;
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (201, &answers[0].body));
    }
    assert_eq!(end_seq(&place).await, 2);
}

#[tokio::test(start_paused = true)]
async fn work_goes_on_when_its_client_leaves() {
    let place = lobby().await;
    let body = hello();
    {
        let request = with_key(&place, ENTRIES, "k1", &body);
        let mut request = std::pin::pin!(request);
        let keyed = Keyed::new(&scope(), &Method::POST, &Uri::from_static(ENTRIES), "k1");
        // One step at a time, until its row is claimed.
        while place.find(&keyed).await.is_none() {
            let waits = std::future::poll_fn(|cx| Poll::Ready(request.as_mut().poll(cx).is_pending())).await;
            assert!(waits, "answered before anybody could leave");
        }
    }
    sleep(Duration::from_secs(1)).await;
    let again = with_key(&place, ENTRIES, "k1", &body).await;
    assert_eq!((again.status, &again.body["seq"]), (201, &json!(2)), "{again:?}");
    assert_eq!(again.header("idempotent-replayed".parse().unwrap()), "true");
    assert_eq!(end_seq(&place).await, 2);
}

fn scope() -> Scope {
    Scope { tenant: TENANT.to_owned() }
}

/// Goal: the server dies after the append and before it noted its answer. Method: the row is put back to
/// where it stood at the append.
#[tokio::test(start_paused = true)]
async fn a_crash_between_append_and_answer_doubles_nothing() {
    let place = lobby().await;
    let first = with_key(&place, ENTRIES, "k1", &hello()).await;
    let keyed = Keyed::new(&scope(), &Method::POST, &Uri::from_static(ENTRIES), "k1");
    place.forget_answer(&keyed).await;

    // Whoever worked on it may still be at it.
    let soon = with_key(&place, ENTRIES, "k1", &hello()).await;
    assert_eq!((soon.status, &soon.body["code"]), (409, &json!("idempotency_in_flight")), "{soon:?}");
    assert_eq!((&soon.body["retryable"], soon.header(header::RETRY_AFTER)), (&json!(true), "11"));

    sleep(Duration::from_millis(HttpConfig::default().request_timeout_ms)).await;
    let again = with_key(&place, ENTRIES, "k1", &hello()).await;
    assert_eq!(
        (again.status, &again.body["seq"], &again.body["duplicate"]),
        (200, &json!(2), &json!(true)),
        "{again:?}"
    );
    assert_eq!(again.body["message_id"], first.body["message_id"]);
    assert_eq!(end_seq(&place).await, 2);
    let other = with_key(&place, ENTRIES, "k1", &json!({"author": "ada", "text": "bye"})).await;
    assert_eq!(other.status, 422);
}

#[tokio::test(start_paused = true)]
async fn a_group_without_an_id_is_made_once_whatever_dies() {
    let place = lobby().await;
    let body = json!({"title": "Crew", "members": [{"user": "ada"}]});
    let first = with_key(&place, "/v1/conversations", "k1", &body).await;
    let keyed = Keyed::new(&scope(), &Method::POST, &Uri::from_static("/v1/conversations"), "k1");
    place.forget_answer(&keyed).await;
    sleep(Duration::from_millis(HttpConfig::default().request_timeout_ms)).await;
    let again = with_key(&place, "/v1/conversations", "k1", &body).await;
    assert_eq!((again.status, &again.body), (200, &first.body), "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_day_a_key_is_new_and_its_row_goes() {
    let place = lobby().await;
    assert_eq!(with_key(&place, ENTRIES, "k1", &hello()).await.body["seq"], 2);
    sleep(Duration::from_secs(23 * 3_600)).await;
    assert_eq!(with_key(&place, ENTRIES, "k1", &hello()).await.body["seq"], 2);
    sleep(Duration::from_secs(2 * 3_600)).await;
    assert_eq!(with_key(&place, ENTRIES, "k1", &hello()).await.body["seq"], 3);
    let before = place.idempotency_rows().await;
    sleep(Duration::from_secs(2 * 24 * 3_600)).await;
    sweep(&place.api).await.unwrap();
    let after = place.idempotency_rows().await;
    assert_eq!((before.len(), after), (2, Vec::<String>::new()), "{before:?}");
}

#[tokio::test(start_paused = true)]
async fn secrets_are_not_kept() {
    let place = lobby().await;
    let body = json!({"user": "ada", "device": "phone"});
    let (first, again) =
        (with_key(&place, "/v1/tokens", "k1", &body).await, with_key(&place, "/v1/tokens", "k1", &body).await);
    assert_eq!((first.status, again.status), (200, 200), "{again:?}");
    let headers = [("idempotency-key", "k1")];
    let key = &place.operator_key;
    let made = place.send(Method::POST, "/v1/tenants/demo/keys", key, &headers, "").await;
    let again = place.send(Method::POST, "/v1/tenants/demo/keys", key, &headers, "").await;
    assert_eq!((made.status, again.status, &again.body["code"]), (201, 409, &json!("already_exists")), "{again:?}");
    let secrets = [first.body["token"].as_str().unwrap(), made.body["key"].as_str().unwrap()];
    for row in place.idempotency_rows().await {
        assert!(secrets.iter().all(|secret| !row.contains(secret)), "{row}");
    }
}
