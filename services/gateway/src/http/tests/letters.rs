//! What push gave up, over the real push service with a provider that fails as it is told.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use http::Method;
use posthorn_clock::sleep;
use posthorn_feed::{letters::RecordLetters, memory::MemoryFeed};
use posthorn_push::{Notification, Provider, ProviderError, PushConfig, PushDeps, PushService};
use posthorn_rpc::Link;
use serde_json::{Value, json};

use super::place::{Answer, Place};

const LETTERS: &str = "/v1/operator/letters/push";

#[derive(Default)]
struct Away(AtomicBool);

#[async_trait]
impl Provider for Away {
    fn name(&self) -> &'static str {
        "away"
    }

    async fn notify(&self, _: &Notification) -> Result<(), ProviderError> {
        if self.0.load(Ordering::Relaxed) { Err(ProviderError::Unavailable("on purpose".to_owned())) } else { Ok(()) }
    }
}

/// Push runs, and its provider does not answer.
async fn with_push(place: &Place) -> Arc<Away> {
    let (deps, provider) = (place.api.deps(), Arc::new(Away(AtomicBool::new(true))));
    let push = PushService::start(PushDeps {
        config: PushConfig::default(),
        feed: Arc::new(MemoryFeed::new(place.wired.store.clone())),
        letters: Arc::new(RecordLetters::new(place.wired.store.clone())),
        storage: place.wired.storage.storage(),
        session: place.wired.session.session(),
        provider: provider.clone(),
        bus: None,
        clock: deps.clock.clone(),
        metrics: deps.metrics.clone(),
        tasks: deps.tasks.clone(),
    });
    let rpc = &place.wired.rpc;
    let routes = rpc.guard("push", posthorn_push::grpc::routes(push.unwrap()));
    assert!(place.wired.push.bind(Link::local(rpc, "push", routes)));
    provider
}

/// Somebody is not told of these.
async fn say(place: &Place, texts: &[&str]) {
    let lobby = json!({"id": "lobby", "title": "Lobby", "members": [{"user": "ada"}, {"user": "bob"}]});
    place.tenant(Method::POST, "/v1/conversations", lobby.to_string().as_bytes()).await;
    for text in texts {
        let entry = json!({"author": "ada", "text": text}).to_string();
        let said = place.tenant(Method::POST, "/v1/conversations/lobby/entries", entry.as_bytes()).await;
        assert_eq!(said.status, 201, "{said:?}");
        sleep(std::time::Duration::from_secs(30)).await;
    }
}

async fn operator(place: &Place, method: Method, path: &str) -> Answer {
    place.operator(method, &format!("{LETTERS}{path}"), b"").await
}

#[tokio::test(start_paused = true)]
async fn an_operator_lists_what_was_given_up_without_its_content_and_tries_again_or_discards_it() {
    let place = Place::new().await;
    let provider = with_push(&place).await;
    say(&place, &["a secret", "another secret"]).await;

    let page = operator(&place, Method::GET, "").await;
    assert_eq!((page.status, &page.body["next"]), (200, &Value::Null), "{page:?}");
    let letters = page.body["letters"].as_array().unwrap();
    assert_eq!(letters.len(), 2, "{page:?}");
    for (letter, seq) in letters.iter().zip([2, 3]) {
        let fields: Vec<_> = letter.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["attempts", "conversation", "generation", "parked_ms", "seq", "tenant", "why"]);
        assert_eq!((&letter["tenant"], &letter["conversation"]), (&json!("demo"), &json!("lobby")));
        assert_eq!((&letter["seq"], &letter["attempts"]), (&json!(seq), &json!(4)));
        assert_eq!(letter["why"], "the provider does not answer: on purpose");
    }
    assert!(!page.body.to_string().contains("secret"));
    let first = operator(&place, Method::GET, "?limit=1").await;
    let next = first.body["next"].as_str().unwrap();
    let rest = operator(&place, Method::GET, &format!("?after={next}")).await;
    assert_eq!((&first.body["letters"][0], &rest.body["letters"]), (&letters[0], &json!([letters[1]])));

    let path = |letter: &Value| format!("/demo/lobby/{}/{}", letter["generation"], letter["seq"]);
    let (one, two) = (path(&letters[0]), path(&letters[1]));
    let kept = operator(&place, Method::POST, &format!("{one}/retry")).await;
    let why = "the provider does not answer: on purpose";
    assert_eq!((kept.status, kept.body), (200, json!({"done": false, "why": why})));
    provider.0.store(false, Ordering::Relaxed);
    let done = operator(&place, Method::POST, &format!("{one}/retry")).await;
    assert_eq!((done.status, done.body), (200, json!({"done": true, "why": null})));
    assert_eq!(operator(&place, Method::POST, &format!("{one}/retry")).await.status, 404);
    assert_eq!(operator(&place, Method::DELETE, &two).await.status, 204);
    assert_eq!(operator(&place, Method::DELETE, &two).await.status, 404);
    assert_eq!(operator(&place, Method::GET, "").await.body["letters"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn only_an_operator_sees_what_was_given_up() {
    let place = Place::new().await;
    with_push(&place).await;
    for (method, path) in [
        (Method::GET, LETTERS.to_owned()),
        (Method::POST, format!("{LETTERS}/demo/lobby/1/2/retry")),
        (Method::DELETE, format!("{LETTERS}/demo/lobby/1/2")),
    ] {
        let tenant = place.send(method.clone(), &path, &place.tenant_key, &[], "").await;
        assert_eq!((tenant.status, &tenant.body["code"]), (403, &json!("forbidden")), "{method} {path}");
        assert_eq!(place.send(method.clone(), &path, "phk_made-up", &[], "").await.status, 401);
        assert_eq!(place.send(method, &path, "", &[], "").await.status, 401);
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_unknown_and_a_push_service_that_is_away_are_said() {
    let place = Place::new().await;
    let away = operator(&place, Method::GET, "").await;
    assert_eq!((away.status, &away.body["code"]), (503, &json!("unavailable")), "{away:?}");
    with_push(&place).await;
    let unknown = place.operator(Method::GET, "/v1/operator/letters/hooks", b"").await;
    assert_eq!((unknown.status, &unknown.body["code"]), (404, &json!("not_found")), "{unknown:?}");
    assert_eq!(operator(&place, Method::DELETE, "/demo/lobby/x/2").await.status, 400);
}
