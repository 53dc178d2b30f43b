//! Every error is a problem document.

use std::time::Duration;

use axum::{Router, body::Body, middleware::from_fn_with_state, routing::get};
use http::{Method, Request, StatusCode, header};
use posthorn_clock::sleep;
use serde_json::{Value, json};

use super::place::{Answer, Place};
use crate::http::{HttpConfig, layers};

fn check_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header(header::CONTENT_TYPE), "application/problem+json");
    assert_eq!(answer.body["code"], code, "{answer:?}");
    assert_eq!(answer.body["status"], status);
    assert_eq!(answer.body["type"], format!("urn:posthorn:error:{code}"));
    for field in ["title", "detail", "trace_id"] {
        assert!(answer.body[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {answer:?}");
    }
    let schema = &crate::http::openapi::value()["components"]["schemas"]["Problem"];
    assert_eq!(schema["additionalProperties"], false);
    for field in answer.body.as_object().unwrap().keys() {
        assert!(schema["properties"].get(field).is_some(), "{field} is not in the document");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_path_is_a_problem_and_needs_no_key() {
    let place = Place::new().await;
    for path in ["/", "/v1", "/v1/users/", "/v1/nothing", "/v1/users/ada/more", "/%ff"] {
        check_problem(&place.send(Method::GET, path, "", &[], "").await, 404, "not_found");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_method_names_the_right_ones() {
    let place = Place::new().await;
    let answer = place.send(Method::DELETE, "/v1/users", "", &[], "").await;
    check_problem(&answer, 405, "method_not_allowed");
    let mut allowed: Vec<String> = answer.header(header::ALLOW).split(',').map(|m| m.trim().to_owned()).collect();
    allowed.sort();
    assert_eq!(allowed, ["POST", "PUT"]);
    check_problem(&place.send(Method::OPTIONS, "/v1/tokens", "", &[], "").await, 405, "method_not_allowed");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_json_is_told_apart() {
    let place = Place::new().await;
    let deep = "[".repeat(10_000);
    let table: [(&[u8], &str); 9] = [
        (b"", "the body is not JSON"),
        (b"{\"id\": ", "the body is not JSON"),
        (b"{\"id\": \"ada\", \"name\": \"\xff\"}", "the body is not UTF-8: byte 23"),
        (b"{\"id\": \"ada\", \"name\": \"\\ud800\"}", "the body is not JSON"),
        (b"{\"id\": \"ada\", \"name\": \"A\", \"name\": \"B\"}", "the body is not valid: duplicate field `name`"),
        (b"{\"id\": \"ada\", \"name\": \"A\", \"x\": 1}", "`x` is no field of this request"),
        (b"{\"id\": \"ada\"}", "`name` is missing"),
        (b"null", "`the body` must be of type object"),
        (deep.as_bytes(), "the body is not JSON: recursion limit"),
    ];
    for (body, detail) in table {
        let answer = place.tenant(Method::POST, "/v1/users", body).await;
        check_problem(&answer, 400, "invalid_argument");
        let got = answer.body["detail"].as_str().unwrap();
        assert!(got.starts_with(detail), "{got}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_needs_its_content_type() {
    let place = Place::new().await;
    let key = place.tenant_key.clone();
    let body = json!({"id": "ada", "name": "Ada"}).to_string();
    for (given, status) in [
        ("text/plain", 415),
        ("application/json; charset=latin-1", 415),
        ("application/jsonx", 415),
        ("", 415),
        ("Application/JSON; charset=\"UTF-8\"", 201),
    ] {
        let answer = place.send(Method::PUT, "/v1/users", &key, &[("content-type", given)], &body).await;
        if status == 415 {
            check_problem(&answer, 415, "unsupported_media_type");
        } else {
            assert_eq!(answer.status, status, "{answer:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_beyond_the_limit_is_refused_announced_or_not() {
    let place = Place::with(HttpConfig { max_body_bytes: 1_000, ..HttpConfig::default() }).await;
    let large = json!({"id": "ada", "name": "A".repeat(1_000)}).to_string();
    for headers in [&[("content-length", "1030")][..], &[], &[("idempotency-key", "k")]] {
        let key = place.tenant_key.clone();
        let headers = [headers, &[("content-type", "application/json")]].concat();
        let answer = place.send(Method::POST, "/v1/users", &key, &headers, &large).await;
        check_problem(&answer, 413, "body_too_large");
        assert_eq!(answer.body["limit"], "edge.http.max_body_bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn parameters_are_checked_like_bodies() {
    let place = Place::new().await;
    for (path, detail) in [
        ("/v1/users/a%20b", "`user` must match"),
        ("/v1/users/%ff", "the path is not percent-encoded UTF-8"),
        ("/v1/conversations/c/entries?limit=0", "`limit` must be at least 1"),
        ("/v1/conversations/c/entries?limit=1001", "`limit` must be at most 1000"),
        ("/v1/conversations/c/entries?limit=ten", "`limit` must be of type integer"),
        ("/v1/conversations/c/entries?limit=+5", "`limit` must be of type integer"),
        ("/v1/conversations/c/entries?after=-1", "`after` must be of type integer"),
        ("/v1/conversations/c/entries?after=9007199254740992", "`after` must be at most 9007199254740991"),
        ("/v1/conversations/c/entries?afer=1", "`afer` is no query parameter here"),
        ("/v1/conversations/c/entries?after=1&after=2", "`after` comes twice"),
        ("/v1/conversations/c/entries?after=1&before=2", "`after` and `before` do not go together"),
        ("/v1/conversations/c/members?after=a%2Fb", "`after` must match"),
    ] {
        let answer = place.tenant(Method::GET, path, b"").await;
        check_problem(&answer, 400, "invalid_argument");
        let got = answer.body["detail"].as_str().unwrap();
        assert!(got.starts_with(detail), "{path}: {got}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_trace_goes_through() {
    let place = Place::new().await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let answer = place.send(Method::GET, "/v1/nothing", "", &[("traceparent", parent)], "").await;
    assert_eq!(answer.body["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    let out = answer.header("traceparent".parse().unwrap());
    assert!(out.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && out != parent, "{out}");
    let fresh = place.send(Method::GET, "/v1/nothing", "", &[("traceparent", "nonsense")], "").await;
    assert_eq!(fresh.body["trace_id"].as_str().unwrap().len(), 32);
    assert_ne!(fresh.body["trace_id"], answer.body["trace_id"]);
}

/// The outermost layer around handlers that go wrong.
async fn around(place: &Place, path: &str) -> Answer {
    let api = place.api.clone();
    let router = Router::new()
        .route(
            "/panics",
            get(async || {
                if true {
                    panic!("on purpose")
                }
            }),
        )
        .route("/sleeps", get(async || sleep(Duration::from_secs(3_600)).await))
        .layer(from_fn_with_state(api, layers::around));
    let request = Request::get(path).body(Body::empty()).unwrap();
    Answer::of(tower::ServiceExt::oneshot(router, request).await.unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn a_panic_and_an_endless_handler_are_problems_too() {
    let place = Place::new().await;
    check_problem(&around(&place, "/panics").await, 500, "internal");
    let answer = around(&place, "/sleeps").await;
    check_problem(&answer, 504, "deadline_exceeded");
    assert_eq!(answer.body["limit"], "edge.http.request_timeout_ms");
}

#[tokio::test(start_paused = true)]
async fn too_many_at_once_are_told_to_come_back_and_health_still_answers() {
    let place = Place::with(HttpConfig { max_in_flight: 1, ..HttpConfig::default() }).await;
    let held = place.api.in_flight.clone().try_acquire_owned().unwrap();
    let answer = place.tenant(Method::GET, "/v1/users/ada", b"").await;
    check_problem(&answer, 503, "overloaded");
    assert_eq!(answer.header(header::RETRY_AFTER), "1");
    assert_eq!(answer.body["limit"], "edge.http.max_in_flight");
    assert_eq!(place.send(Method::GET, "/livez", "", &[], "").await.status, 200);
    drop(held);
    assert_eq!(place.tenant(Method::GET, "/v1/users/ada", b"").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_asks_too_often_is_told_when_to_come_back_and_others_are_not_held_up() {
    let place = Place::with(HttpConfig { requests_per_s: 2, request_burst: 3, ..HttpConfig::default() }).await;
    let ask = async |key: &str| place.send(Method::GET, "/v1/users/ada", key, &[], "").await;
    for _ in 0..3 {
        assert_eq!(ask(&place.tenant_key).await.status, 404);
    }
    let refused = ask(&place.tenant_key).await;
    check_problem(&refused, 429, "rate_limited");
    assert_eq!(
        (&refused.body["limit"], &refused.body["retryable"]),
        (&json!("edge.http.requests_per_s"), &json!(true))
    );
    let wait_ms = refused.body["retry_after_ms"].as_u64().unwrap();
    assert!((1..=500).contains(&wait_ms) && refused.header(header::RETRY_AFTER) == "1", "{refused:?}");
    // A key that is none costs nobody anything.
    for _ in 0..10 {
        assert_eq!(ask("ph_demo.x.y").await.status, 401);
    }
    assert_eq!(ask(&place.other_key).await.status, 404);
    sleep(Duration::from_millis(wait_ms)).await;
    assert_eq!(ask(&place.tenant_key).await.status, 404);
    assert_eq!(ask(&place.tenant_key).await.status, 429);

    // Operators the same.
    let answers = async |count: usize| {
        let mut statuses = Vec::new();
        for _ in 0..count {
            statuses.push(place.operator(Method::DELETE, "/v1/tenants/demo/keys/none", b"").await.status);
        }
        statuses
    };
    assert_eq!(answers(4).await, [204, 204, 204, 429]);
    let text = place.send_text(Method::GET, "/metrics").await;
    assert!(text.contains(r#"posthorn_http_rate_limited_total{scope="tenant"} 2"#), "{text}");
    assert!(text.contains(r#"posthorn_http_rate_limited_total{scope="operator"} 1"#), "{text}");
}

#[tokio::test(start_paused = true)]
async fn requests_are_counted_by_route_and_never_by_path() {
    let place = Place::new().await;
    place.tenant(Method::GET, "/v1/users/ada-who-is-nobody", b"").await;
    place.send(Method::GET, "/made/up/path", "", &[], "").await;
    let text = place.send_text(Method::GET, "/metrics").await;
    let line = r#"posthorn_http_requests_total{route="/v1/users/{user}",status="404"} 1"#;
    assert!(text.contains(line), "{text}");
    assert!(text.contains(r#"posthorn_http_requests_total{route="unmatched",status="404"} 1"#), "{text}");
    assert!(text.contains(r#"posthorn_http_request_duration_seconds_count{route="/v1/users/{user}"} 1"#), "{text}");
    assert!(!text.contains("ada-who") && !text.contains("made"), "{text}");
    assert!(text.ends_with("# EOF\n"));
}

#[tokio::test(start_paused = true)]
async fn no_other_origin_is_let_in_and_nothing_is_cached() {
    let place = Place::new().await;
    let headers = [("origin", "https://elsewhere.example")];
    let answer = place.send(Method::GET, "/livez", "", &headers, "").await;
    assert!(!answer.headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
    assert_eq!(answer.body, json!({"status": "live"}) as Value);
}
