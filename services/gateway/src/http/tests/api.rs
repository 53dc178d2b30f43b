//! What an application's backend does in a day.

use http::{Method, header};
use serde_json::{Value, json};

use super::place::{Answer, Place};

async fn post(place: &Place, path: &str, body: Value) -> Answer {
    place.tenant(Method::POST, path, body.to_string().as_bytes()).await
}

async fn lobby(place: &Place) {
    let members = json!([{"user": "ada", "role": "owner"}, {"user": "bob"}, {"user": "bob", "role": "admin"}]);
    let made = post(place, "/v1/conversations", json!({"id": "lobby", "title": "Lobby", "members": members})).await;
    assert_eq!((made.status, made.body.clone()), (201, json!({"id": "lobby", "seq": 1})), "{made:?}");
    assert_eq!(made.header(header::LOCATION), "/v1/conversations/lobby");
}

#[tokio::test(start_paused = true)]
async fn a_user_is_created_renamed_and_found() {
    let place = Place::new().await;
    let ada = json!({"id": "ada", "name": "Ada"});
    let made = post(&place, "/v1/users", ada.clone()).await;
    assert_eq!((made.status, &made.body["name"]), (201, &json!("Ada")), "{made:?}");
    assert!(made.body["created_ms"].as_u64().unwrap() > 0);
    assert_eq!(post(&place, "/v1/users", ada).await.status, 200);
    let other = post(&place, "/v1/users", json!({"id": "ada", "name": "Ada L."})).await;
    assert_eq!((other.status, &other.body["code"]), (409, &json!("already_exists")));
    let renamed = json!({"id": "ada", "name": "Ada L."}).to_string();
    assert_eq!(place.tenant(Method::PUT, "/v1/users", renamed.as_bytes()).await.status, 200);
    let found = place.tenant(Method::GET, "/v1/users/ada", b"").await;
    assert_eq!((found.status, &found.body["name"]), (200, &json!("Ada L.")));
    assert_eq!(found.body["created_ms"], made.body["created_ms"]);
    assert_eq!(place.tenant(Method::GET, "/v1/users/bob", b"").await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn a_minted_token_authenticates_until_it_is_revoked() {
    let place = Place::new().await;
    let minted = post(&place, "/v1/tokens", json!({"user": "ada", "device": "phone", "ttl_s": 60})).await;
    assert_eq!(minted.status, 200, "{minted:?}");
    let now_ms = place.api.deps().clock.now_ms();
    let left_ms = minted.body["expires_ms"].as_u64().unwrap() - now_ms;
    assert!((58_000..=60_000).contains(&left_ms), "{left_ms}");
    let token = minted.body["token"].as_str().unwrap();
    let who = place.authenticate(token).await.unwrap();
    assert_eq!((who.user.as_str(), who.device.as_str()), ("ada", "phone"));
    let revoked = post(&place, "/v1/revocations", json!({"user": "ada"})).await;
    assert_eq!((revoked.status, revoked.body), (204, Value::Null));
    assert!(place.authenticate(token).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_log_reads_back_as_it_was_written() {
    let place = Place::new().await;
    lobby(&place).await;
    let path = "/v1/conversations/lobby/entries";
    let said = post(&place, path, json!({"author": "ada", "text": "hello", "style": "action"})).await;
    assert_eq!((said.status, &said.body["seq"], &said.body["ordinal"]), (201, &json!(2), &json!(1)), "{said:?}");
    let noted = post(&place, path, json!({"kind": "system", "text": "a note", "reply_to": 2})).await;
    assert_eq!((noted.status, &noted.body["seq"]), (201, &json!(3)), "{noted:?}");
    let page = place.tenant(Method::GET, path, b"").await;
    let entries = page.body["entries"].as_array().unwrap();
    assert_eq!(page.body["next"], Value::Null);
    let words: Vec<_> =
        entries.iter().map(|e| (&e["seq"], &e["kind"], &e["author"], &e["text"])).map(|e| json!(e)).collect();
    assert_eq!(
        json!(words),
        json!([[1, "created", "system", null], [2, "message", "ada", "hello"], [3, "system", "system", "a note"],])
    );
    assert_eq!((&entries[1]["style"], &entries[2]["reply_to"]), (&json!("action"), &json!(2)));
    assert_eq!(entries[1]["message_id"], said.body["message_id"]);
    assert_eq!(
        entries[0]["created"]["members"],
        json!([{"user": "ada", "role": "owner"}, {"user": "bob", "role": "admin"}])
    );
    let head = place.tenant(Method::GET, "/v1/conversations/lobby", b"").await;
    assert_eq!(
        (&head.body["kind"], &head.body["title"], &head.body["end_seq"]),
        (&json!("group"), &json!("Lobby"), &json!(3))
    );
    assert_eq!((&head.body["member_count"], &head.body["end_ordinal"]), (&json!(2), &json!(2)), "{head:?}");
}

#[tokio::test(start_paused = true)]
async fn pages_cover_the_log_in_both_directions() {
    let place = Place::new().await;
    lobby(&place).await;
    for n in 0..9 {
        let sent =
            post(&place, "/v1/conversations/lobby/entries", json!({"author": "ada", "text": n.to_string()})).await;
        assert_eq!(sent.status, 201);
    }
    for (word, start) in [("after", 0_u64), ("before", 11)] {
        let (mut seqs, mut at) = (Vec::new(), start);
        loop {
            let path = format!("/v1/conversations/lobby/entries?{word}={at}&limit=4");
            let page = place.tenant(Method::GET, &path, b"").await.body;
            let read: Vec<u64> =
                page["entries"].as_array().unwrap().iter().map(|e| e["seq"].as_u64().unwrap()).collect();
            assert!(read.is_sorted() && read.len() <= 4, "{page}");
            if word == "after" {
                seqs.extend(read)
            } else {
                seqs.splice(0..0, read).for_each(drop)
            }
            match page["next"].as_u64() {
                Some(next) => at = next,
                None => break,
            }
        }
        assert_eq!(seqs, (1..=10).collect::<Vec<_>>(), "{word}");
    }
    let beyond = place.tenant(Method::GET, "/v1/conversations/lobby/entries?after=10", b"").await;
    assert_eq!(beyond.body, json!({"entries": [], "next": null}));
}

#[tokio::test(start_paused = true)]
async fn members_come_change_and_go() {
    let place = Place::new().await;
    lobby(&place).await;
    let path = "/v1/conversations/lobby/members";
    let many: Vec<_> = (0..150).map(|n| json!({"user": format!("u{n:03}")})).collect();
    let added = post(&place, path, json!({"members": many})).await;
    assert_eq!((added.status, &added.body["seq"]), (200, &json!(151)), "{added:?}");
    assert_eq!(post(&place, path, json!({"members": many})).await.body["seq"], 0);

    let mut users = Vec::new();
    let mut after = String::new();
    loop {
        let page = place.tenant(Method::GET, &format!("{path}?limit=100{after}"), b"").await.body;
        assert_eq!(page["total"], 152);
        users.extend(page["members"].as_array().unwrap().iter().map(|m| m["user"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert!(users.is_sorted() && users.len() == 152);

    let one = format!("{path}/u007");
    let crowned = place.tenant(Method::PATCH, &one, br#"{"role": "owner"}"#).await;
    assert_eq!((crowned.status, &crowned.body["seq"]), (200, &json!(152)), "{crowned:?}");
    let gone = place.tenant(Method::DELETE, &one, b"").await;
    assert_eq!((gone.status, &gone.body["seq"]), (200, &json!(153)), "{gone:?}");
    let log = place.tenant(Method::GET, "/v1/conversations/lobby/entries?after=151", b"").await.body;
    assert_eq!(log["entries"][0]["member"], json!({"user": "u007", "role": "owner"}));
    assert_eq!((&log["entries"][1]["kind"], &log["entries"][1]["member"]["user"]), (&json!("removed"), &json!("u007")));
}

#[tokio::test(start_paused = true)]
async fn who_is_no_member_says_nothing() {
    let place = Place::new().await;
    lobby(&place).await;
    let path = "/v1/conversations/lobby/entries";
    let stranger = post(&place, path, json!({"author": "eve", "text": "hello"})).await;
    assert_eq!(stranger.status, 404, "{stranger:?}");
    assert_eq!(place.tenant(Method::DELETE, "/v1/conversations/lobby/members/bob", b"").await.status, 200);
    let former = post(&place, path, json!({"author": "bob", "text": "hello"})).await;
    assert_eq!((former.status, &former.body["code"]), (403, &json!("forbidden")), "{former:?}");
    let nowhere = post(&place, "/v1/conversations/none/entries", json!({"author": "ada", "text": "hello"})).await;
    assert_eq!(nowhere.status, 404, "{nowhere:?}");
    let large = "ä".repeat(40_000);
    let large = post(&place, path, json!({"author": "ada", "text": large})).await;
    assert_eq!((large.status, &large.body["limit"]), (413, &json!("limits.max_body_bytes")));
}

#[tokio::test(start_paused = true)]
async fn an_operator_makes_a_tenant_that_works_until_its_key_is_revoked() {
    let place = Place::new().await;
    let acme = json!({"id": "acme"}).to_string();
    for status in [201, 200] {
        assert_eq!(place.operator(Method::POST, "/v1/tenants", acme.as_bytes()).await.status, status);
    }
    let made = place.operator(Method::POST, "/v1/tenants/acme/keys", b"").await;
    assert_eq!(made.status, 201, "{made:?}");
    let (id, key) = (made.body["id"].as_str().unwrap(), made.body["key"].as_str().unwrap());
    assert_eq!(place.send(Method::GET, "/v1/users/ada", key, &[], "").await.status, 404);
    let secret = json!({"id": "k1", "algorithm": "HS256", "secret": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="});
    let added = place.operator(Method::POST, "/v1/tenants/acme/signing-keys", secret.to_string().as_bytes()).await;
    assert_eq!((added.status, added.body.clone()), (201, json!({"id": "k1", "algorithm": "HS256"})), "{added:?}");
    let revoked = place.operator(Method::DELETE, &format!("/v1/tenants/acme/keys/{id}"), b"").await;
    assert_eq!(revoked.status, 204, "{revoked:?}");
    assert_eq!(place.send(Method::GET, "/v1/users/ada", key, &[], "").await.status, 401);
    assert_eq!(place.operator(Method::POST, "/v1/tenants/nobody/keys", b"").await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn the_devices_of_a_user_are_listed_and_one_is_signed_out() {
    let place = Place::new().await;
    let path = "/v1/users/ada/devices";
    assert_eq!(place.tenant(Method::GET, path, b"").await.status, 404, "nobody knows her");
    post(&place, "/v1/users", json!({"id": "ada", "name": "Ada"})).await;
    assert_eq!(place.tenant(Method::GET, path, b"").await.body, json!({"devices": [], "next": null}));
    let now_ms = place.api.deps().clock.now_ms();
    for (user, device) in [("ada", "phone"), ("ada", "laptop"), ("bob", "phone")] {
        place.connect(user, device, "page/1").await;
    }
    let device = |id| json!({"id": id, "client": "page/1", "first_seen_ms": now_ms, "last_seen_ms": now_ms});
    let page = place.tenant(Method::GET, &format!("{path}?limit=1"), b"").await;
    assert_eq!((page.status, page.body), (200, json!({"devices": [device("laptop")], "next": "laptop"})));
    let page = place.tenant(Method::GET, &format!("{path}?limit=1&after=laptop"), b"").await;
    assert_eq!(page.body, json!({"devices": [device("phone")], "next": null}));
    // Without a profile too, and to nobody else.
    let bobs = place.tenant(Method::GET, "/v1/users/bob/devices", b"").await;
    assert_eq!(bobs.body, json!({"devices": [device("phone")], "next": null}));
    assert_eq!(place.other_tenant(Method::GET, path, b"").await.status, 404);
    assert_eq!(place.operator(Method::GET, path, b"").await.status, 403);

    let mut tokens = Vec::new();
    for device in ["phone", "laptop"] {
        let minted = post(&place, "/v1/tokens", json!({"user": "ada", "device": device})).await.body;
        tokens.push(minted["token"].as_str().unwrap().to_owned());
    }
    assert_eq!(post(&place, "/v1/revocations", json!({"user": "ada", "device": "phone"})).await.status, 204);
    let still = [place.authenticate(&tokens[0]).await.is_ok(), place.authenticate(&tokens[1]).await.is_ok()];
    assert_eq!(still, [false, true]);
}

#[tokio::test(start_paused = true)]
async fn two_signing_keys_are_live_at_once_and_the_operator_removes_one() {
    let place = Place::new().await;
    let keys = "/v1/tenants/demo/signing-keys";
    let add = async |id: &str| {
        let secret = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
        let new = json!({"id": id, "algorithm": "HS256", "secret": secret}).to_string();
        place.operator(Method::POST, keys, new.as_bytes()).await
    };
    assert_eq!((add("k1").await.status, add("k2").await.status), (201, 201));
    let third = add("k3").await;
    assert_eq!((third.status, &third.body["limit"]), (400, &json!("session.max_signing_keys")), "{third:?}");
    assert_eq!(add("k2").await.status, 201, "in its own place");
    assert_eq!(place.tenant(Method::DELETE, &format!("{keys}/k1"), b"").await.status, 403, "the operator alone");
    let removed = place.operator(Method::DELETE, &format!("{keys}/k1"), b"").await;
    assert_eq!((removed.status, removed.body), (204, Value::Null));
    assert_eq!(add("k3").await.status, 201);
    for (path, status) in [
        (format!("{keys}/k1"), 404),
        (format!("{keys}/minted"), 400),
        ("/v1/tenants/nobody/signing-keys/k2".to_owned(), 404),
    ] {
        assert_eq!(place.operator(Method::DELETE, &path, b"").await.status, status, "{path}");
    }
    assert_eq!(post(&place, "/v1/tokens", json!({"user": "ada", "device": "phone"})).await.status, 200);
}
