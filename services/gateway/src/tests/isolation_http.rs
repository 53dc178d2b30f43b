//! Every route of the document, by everybody whose it is not. A route that is not in the table fails the test.

use posthorn_errors::Code;
use serde_json::{Value, json};

use super::{
    isolation::SECRET_TEXT,
    place::{OTHER, Place, TENANT},
};
use crate::http::openapi_json;

/// Of another tenant's key: the route does what it does in that tenant, and nothing in ours.
const OWN: u16 = 0;

/// What another tenant's key gets where everything asked about is ours.
const TENANT_ROUTES: [(&str, u16); 14] = [
    ("get /v1/conversations/{conversation}", 404),
    ("get /v1/conversations/{conversation}/entries", 404),
    ("post /v1/conversations/{conversation}/entries", 404),
    ("get /v1/conversations/{conversation}/members", 404),
    ("post /v1/conversations/{conversation}/members", 404),
    ("delete /v1/conversations/{conversation}/members/{user}", 404),
    ("patch /v1/conversations/{conversation}/members/{user}", 404),
    ("get /v1/users/{user}", 404),
    ("get /v1/users/{user}/devices", 404),
    ("post /v1/revocations", OWN),
    ("post /v1/tokens", OWN),
    // Last: they make things of the same names in the other tenant.
    ("post /v1/conversations", OWN),
    ("post /v1/users", OWN),
    ("put /v1/users", OWN),
];

struct Route {
    /// As in the table.
    name: String,
    /// `tenant`, `operator`, or empty where no key is wanted.
    scheme: String,
    request: Vec<u8>,
}

/// The routes of the document, about things of our tenant.
fn routes() -> Vec<Route> {
    let document: Value = serde_json::from_str(openapi_json()).unwrap();
    let mut routes = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let scheme = operation["security"][0].as_object().and_then(|wanted| wanted.keys().next());
            let schema = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str();
            let body = schema.map_or_else(String::new, |reference| body_of(reference).to_string());
            routes.push(Route {
                name: format!("{method} {path}"),
                scheme: scheme.cloned().unwrap_or_default(),
                request: request(&method.to_uppercase(), &filled(path), &body),
            });
        }
    }
    let place = |route: &Route| TENANT_ROUTES.iter().position(|(name, _)| *name == route.name).unwrap_or(0);
    routes.sort_by_key(place);
    routes
}

fn filled(path: &str) -> String {
    let filled = path
        .replace("{conversation}", "room")
        .replace("{user}", "ada")
        .replace("{tenant}", TENANT)
        .replace("{key}", "k1")
        .replace("{group}", "push")
        .replace("{generation}", "1")
        .replace("{seq}", "1");
    assert!(!filled.contains('{'), "{path} has a parameter without an example here");
    filled
}

fn body_of(reference: &str) -> Value {
    match reference.rsplit('/').next().unwrap() {
        "NewUser" => json!({ "id": "ada", "name": "Mallory" }),
        "NewToken" => json!({ "user": "ada", "device": "phone" }),
        "Revocation" => json!({ "user": "ada" }),
        "NewConversation" => json!({ "id": "room" }),
        "NewMembers" => json!({ "members": [{ "user": "mallory", "role": "owner" }] }),
        "NewRole" => json!({ "role": "owner" }),
        "NewEntry" => json!({ "kind": "system", "text": "let me in" }),
        "Tenant" => json!({ "id": TENANT }),
        "NewSigningKey" => json!({ "id": "k1", "algorithm": "HS256", "secret": "A".repeat(64) }),
        other => panic!("a request without an example here: {other}"),
    }
}

/// Without a key: that is put in place of the mark.
const KEY: &str = "X-Key: none\r\n";

fn request(method: &str, path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{KEY}Content-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

impl Route {
    async fn ask(&self, place: &Place, key: &str) -> (u16, String) {
        let header = if key.is_empty() { String::new() } else { format!("Authorization: Bearer {key}\r\n") };
        let request = String::from_utf8_lossy(&self.request).replace(KEY, &header);
        let (status, body) = place.http(request.as_bytes()).await.unwrap();
        let text = body.to_string();
        assert!(!text.contains(SECRET_TEXT), "{} tells the secret: {text}", self.name);
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    }
}

async fn furnished() -> Place {
    let place = Place::new().await;
    place.group(TENANT, "room", "ada", &[("bob", "member"), ("fred", "member")]).await;
    let mut ada = place.person(TENANT, "ada").await;
    ada.say("room", 1, SECRET_TEXT).await.unwrap();
    ada.ask("remove_member", json!({ "conversation": "room", "user": "fred" })).await.unwrap();
    place
}

#[tokio::test(start_paused = true)]
async fn every_route_is_refused_to_everybody_whose_it_is_not() {
    let place = furnished().await;
    let mut ada = place.person(TENANT, "ada").await;
    let before = ada.ask("history", json!({ "conversation": "room", "after": 0 })).await.unwrap()["history"].take();
    let unauthenticated = (401, Code::Unauthenticated.as_str().to_owned());
    // A client's token is no key: of a member, of a stranger, of a former member, of another tenant's member.
    let mut none = vec![String::new(), "ph_t.made.up".to_owned()];
    for (tenant, user) in [(TENANT, "ada"), (TENANT, "eve"), (TENANT, "fred"), (OTHER, "ada")] {
        none.push(place.token(tenant, user).await);
    }
    let mut tried = 0;
    for route in routes() {
        if route.scheme.is_empty() {
            assert_eq!(route.ask(&place, "").await.0, 200, "{}", route.name);
            continue;
        }
        for key in &none {
            assert_eq!(route.ask(&place, key).await, unauthenticated, "{}", route.name);
        }
        let forbidden = (403, Code::Forbidden.as_str().to_owned());
        if route.scheme == "operator" {
            for key in [&place.key, &place.other_key] {
                assert_eq!(route.ask(&place, key).await, forbidden, "{}", route.name);
            }
        } else {
            assert_eq!(route.ask(&place, &place.operator_key).await, forbidden, "{}", route.name);
            let expected = TENANT_ROUTES.iter().find(|(name, _)| *name == route.name);
            let (_, expected) = expected.unwrap_or_else(|| panic!("{} is not in the table", route.name));
            let (status, code) = route.ask(&place, &place.other_key).await;
            match *expected {
                OWN => assert!((200..300).contains(&status), "{}: {status} {code}", route.name),
                denied => assert_eq!((status, code.as_str()), (denied, "not_found"), "{}", route.name),
            }
        }
        tried += 1;
    }
    assert!(tried >= 20, "{tried}");
    // Whoever revoked `ada` of another tenant revoked nobody here, and the log is as it was.
    let after = ada.ask("history", json!({ "conversation": "room", "after": 0 })).await.unwrap()["history"].take();
    assert_eq!(after, before);
    println!("{tried} routes that want a key");
}
