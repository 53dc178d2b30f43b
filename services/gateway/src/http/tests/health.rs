use http::Method;
use serde_json::json;

use super::place::Place;

#[tokio::test(start_paused = true)]
async fn a_gateway_whose_parts_answer_is_ready() {
    let place = Place::new().await;
    let answer = place.send(Method::GET, "/readyz", "", &[], "").await;
    assert_eq!((answer.status, answer.body), (200, json!({"status": "ready", "degraded": []})));
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_gone_is_named_and_the_finding_is_reused() {
    let place = Place::without_session().await;
    let answer = place.send(Method::GET, "/readyz", "", &[], "").await;
    assert_eq!((answer.status, &answer.body["status"]), (503, &json!("unready")), "{answer:?}");
    assert_eq!(answer.body["degraded"][0]["part"], "session");
    assert_eq!(answer.body["degraded"][0]["fatal"], true);
    assert_eq!(place.send(Method::GET, "/livez", "", &[], "").await.status, 200);
    place.bind_session();
    assert_eq!(place.send(Method::GET, "/readyz", "", &[], "").await.status, 503);
    posthorn_clock::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(place.send(Method::GET, "/readyz", "", &[], "").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stops_sends_clients_elsewhere() {
    let place = Place::new().await;
    place.api.deps().tasks.stop();
    let answer = place.send(Method::GET, "/readyz", "", &[], "").await;
    assert_eq!((answer.status, &answer.body["degraded"][0]["part"]), (503, &json!("gateway")), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn the_document_is_served() {
    let place = Place::new().await;
    let answer = place.send(Method::GET, "/v1/openapi.json", "", &[], "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(&answer.body, crate::http::openapi::value());
}
