use http::Method;
use serde_json::json;

use super::place::Place;

const DRAIN: &str = "/v1/operator/drain";

#[tokio::test(start_paused = true)]
async fn an_operator_drains_a_gateway_that_goes_on_and_takes_it_back() {
    let place = Place::new().await;
    let state = |draining| json!({"draining": draining, "connections": 0});
    let asked = async |method: Method| {
        let answer = place.operator(method, DRAIN, b"").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    };
    let ready = async || {
        // Past the finding that is reused.
        posthorn_clock::sleep(std::time::Duration::from_secs(1)).await;
        place.send(Method::GET, "/readyz", "", &[], "").await
    };
    assert_eq!(asked(Method::GET).await, state(false));
    assert_eq!(asked(Method::POST).await, state(true));
    assert_eq!(asked(Method::POST).await, state(true), "it does already");
    let answer = ready().await;
    let degraded = json!([{"part": "gateway", "detail": "draining: clients are sent elsewhere", "fatal": true}]);
    assert_eq!((answer.status, &answer.body["degraded"]), (503, &degraded));
    assert_eq!(place.send(Method::GET, "/livez", "", &[], "").await.status, 200);
    assert_eq!(asked(Method::DELETE).await, state(false));
    assert_eq!(asked(Method::DELETE).await, state(false), "it does already");
    assert_eq!(ready().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn nobody_else_drains_a_gateway() {
    let place = Place::new().await;
    for method in [Method::GET, Method::POST, Method::DELETE] {
        let tenant = place.send(method.clone(), DRAIN, &place.tenant_key, &[], "").await;
        assert_eq!((tenant.status, &tenant.body["code"]), (403, &json!("forbidden")));
        assert_eq!(place.send(method.clone(), DRAIN, "phk_made-up", &[], "").await.status, 401);
        assert_eq!(place.send(method, DRAIN, "", &[], "").await.status, 401);
    }
    assert!(!place.api.gateway.is_draining());
}
