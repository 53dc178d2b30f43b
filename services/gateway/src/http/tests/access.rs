//! Deny by default: every operation of the document, with every wrong key.

use http::{Method, header};
use serde_json::{Value, json};

use super::place::Place;
use crate::http::openapi;

struct Operation {
    method: Method,
    path: String,
    /// `tenant`, `operator`, or empty where no key is wanted.
    scheme: String,
    body: Value,
}

/// All operations of the document, their parameters filled in with things of the other tenant.
fn operations() -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, methods) in openapi::value()["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let scheme = operation["security"][0].as_object().and_then(|wanted| wanted.keys().next());
            let filled = path
                .replace("{conversation}", "theirs")
                .replace("{user}", "their-user")
                .replace("{tenant}", "nobody")
                .replace("{key}", "no-key")
                .replace("{group}", "push")
                .replace("{generation}", "1")
                .replace("{seq}", "1");
            let reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str();
            all.push(Operation {
                method: method.to_uppercase().parse().unwrap(),
                path: filled,
                scheme: scheme.cloned().unwrap_or_default(),
                body: reference.map_or(Value::Null, body_of),
            });
        }
    }
    all
}

/// A valid body for each request.
fn body_of(reference: &str) -> Value {
    match reference.rsplit('/').next().unwrap() {
        "NewUser" => json!({"id": "ada", "name": "Ada"}),
        "NewToken" => json!({"user": "ada", "device": "phone"}),
        "Revocation" => json!({"user": "ada"}),
        "NewConversation" => json!({"title": "mine"}),
        "NewMembers" => json!({"members": [{"user": "ada"}]}),
        "NewRole" => json!({"role": "admin"}),
        "NewEntry" => json!({"kind": "system", "text": "hello"}),
        "Tenant" => json!({"id": "another"}),
        "NewSigningKey" => json!({"id": "k", "algorithm": "HS256", "secret": "A".repeat(64)}),
        other => panic!("a request without an example here: {other}"),
    }
}

impl Operation {
    async fn send(&self, place: &Place, key: &str) -> super::place::Answer {
        let body = if self.body.is_null() { String::new() } else { self.body.to_string() };
        place.send(self.method.clone(), &self.path, key, &[("content-type", "application/json")], &body).await
    }
}

#[tokio::test(start_paused = true)]
async fn every_operation_refuses_every_wrong_key() {
    let place = Place::new().await;
    let operations = operations();
    assert!(operations.len() >= 20, "{}", operations.len());
    for operation in &operations {
        let (none, bad) = (operation.send(&place, "").await, operation.send(&place, "phk_made-up").await);
        if operation.scheme.is_empty() {
            assert_eq!((none.status, bad.status), (200, 200), "{} {}", operation.method, operation.path);
            continue;
        }
        for (answer, challenge) in [(&none, r#"Bearer realm="posthorn""#), (&bad, r#"error="invalid_token""#)] {
            assert_eq!(answer.status, 401, "{} {} {answer:?}", operation.method, operation.path);
            assert_eq!(answer.body["code"], "unauthenticated");
            assert!(answer.header(header::WWW_AUTHENTICATE).contains(challenge));
        }
        let wrong = if operation.scheme == "tenant" { &place.operator_key } else { &place.tenant_key };
        let answer = operation.send(&place, wrong).await;
        assert_eq!(answer.status, 403, "{} {} {answer:?}", operation.method, operation.path);
        assert_eq!(answer.body["code"], "forbidden");
    }
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_another_tenant_does_not_exist() {
    let place = Place::new().await;
    let theirs = json!({"id": "theirs", "members": [{"user": "their-user"}]}).to_string();
    let user = json!({"id": "their-user", "name": "Their user"}).to_string();
    assert_eq!(place.other_tenant(Method::PUT, "/v1/users", user.as_bytes()).await.status, 201);
    assert_eq!(place.other_tenant(Method::POST, "/v1/conversations", theirs.as_bytes()).await.status, 201);
    let about_theirs: Vec<_> =
        operations().into_iter().filter(|o| o.scheme == "tenant" && o.path.contains("their")).collect();
    assert_eq!(about_theirs.len(), 9);
    for operation in about_theirs {
        let answer = operation.send(&place, &place.tenant_key).await;
        assert_eq!(answer.status, 404, "{} {} {answer:?}", operation.method, operation.path);
        assert_eq!(answer.body["code"], "not_found");
    }
    let log = place.other_tenant(Method::GET, "/v1/conversations/theirs/entries", b"").await;
    assert_eq!(log.body["entries"].as_array().unwrap().len(), 1, "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn only_one_bearer_header_is_a_key() {
    let place = Place::new().await;
    let good = format!("Bearer {}", place.tenant_key);
    for header in ["", "Bearer", "Bearer ", "Basic abc", "bearer", &place.tenant_key, &format!("{good} {good}")] {
        let answer = place.send(Method::GET, "/v1/users/ada", "", &[("authorization", header)], "").await;
        assert_eq!(answer.status, 401, "{header}");
    }
    let twice = [("authorization", good.as_str()), ("authorization", good.as_str())];
    assert_eq!(place.send(Method::GET, "/v1/users/ada", "", &twice, "").await.status, 401);
    let lower = good.replace("Bearer", "bearer");
    assert_eq!(place.send(Method::GET, "/v1/users/ada", "", &[("authorization", &lower)], "").await.status, 404);
}
