//! The document: what the handlers say of themselves, and what is the same for all of them.

use std::{collections::BTreeMap, sync::LazyLock};

use serde_json::{Value, json};
use utoipa::openapi::{Info, License, OpenApi};
use utoipa_axum::router::OpenApiRouter;

use super::{
    operator_routes,
    problem::{self, ProblemDocument},
    public_routes,
    schema::{self, Schemas},
    tenant_routes,
    types::{ConsumerRef, ConversationRef, DeviceRef, GroupRef, KeyRef, MessageRef, TenantRef, UserRef},
};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
const DESCRIPTION: &str = "For an application's backend. Every error is a problem document (RFC 9457). \
    With `Idempotency-Key` a POST can be repeated within 24 hours: it is done once, and answered the same.";

static DOCUMENT: LazyLock<Value> = LazyLock::new(document);
static TEXT: LazyLock<String> = LazyLock::new(|| {
    let mut text = serde_json::to_string_pretty(&*DOCUMENT).unwrap_or_default();
    text.push('\n');
    text
});
static SCHEMAS: LazyLock<Schemas> = LazyLock::new(|| {
    let named = DOCUMENT["components"]["schemas"].as_object().into_iter().flatten();
    Schemas(named.map(|(name, schema)| (name.clone(), schema.clone())).collect::<BTreeMap<_, _>>())
});

/// The text of `/v1/openapi.json` and of docs/openapi.json.
#[must_use]
pub fn openapi_json() -> &'static str {
    &TEXT
}

/// What requests are checked against.
pub(crate) fn schemas() -> &'static Schemas {
    &SCHEMAS
}

#[cfg(test)]
pub(crate) fn value() -> &'static Value {
    &DOCUMENT
}

fn document() -> Value {
    let mut parts = [("tenant", tenant_routes()), ("operator", operator_routes()), ("", public_routes())]
        .map(|(scheme, routes)| part(scheme, routes));
    let [document, rest @ ..] = &mut parts;
    for other in rest {
        for place in ["/paths", "/components/schemas"] {
            let added = other.pointer_mut(place).map(Value::take);
            let into = document.pointer_mut(place).and_then(Value::as_object_mut);
            if let (Some(Value::Object(added)), Some(into)) = (added, into) {
                into.extend(added);
            }
        }
    }
    let mut document = document.take();
    if let Some(components) = document["components"].as_object_mut() {
        components.insert(
            "securitySchemes".to_owned(),
            json!({
                "tenant": {"type": "http", "scheme": "bearer", "description": "An API key of a tenant's backend."},
                "operator": {"type": "http", "scheme": "bearer", "description": "An API key of the operator."},
            }),
        );
        components.insert("responses".to_owned(), json!({ "Problem": problem_response() }));
    }
    document
}

/// One group of routes, with what holds for each of its operations.
fn part<S: Send + Sync + Clone + 'static>(scheme: &str, routes: OpenApiRouter<S>) -> Value {
    let mut info = Info::new("Posthorn HTTP API", "1");
    info.description = Some(DESCRIPTION.to_owned());
    info.license = Some(License::new("Apache-2.0"));
    let mut openapi = routes.into_openapi();
    openapi.info = info;
    register(&mut openapi);
    let mut document = serde_json::to_value(openapi).unwrap_or_default();
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (_, path) in paths {
        for method in METHODS {
            if let Some(operation) = path.get_mut(method) {
                complete(operation, method, scheme);
            }
        }
    }
    document
}

/// Types that only parameters and answers of the layers name.
fn register(openapi: &mut OpenApi) {
    use utoipa::{PartialSchema, ToSchema};
    let schemas = &mut openapi.components.get_or_insert_default().schemas;
    macro_rules! add { ($($name:ty),*) => { $(schemas.insert(<$name>::name().into_owned(), <$name>::schema());)* } }
    add!(UserRef, DeviceRef, ConversationRef, GroupRef, TenantRef, KeyRef, ConsumerRef, MessageRef, ProblemDocument);
}

fn complete(operation: &mut Value, method: &str, scheme: &str) {
    let with_body = operation.get("requestBody").is_some();
    let with_path = operation["parameters"].as_array().is_some_and(|all| all.iter().any(|p| p["in"] == "path"));
    let mut statuses = vec!["500", "503", "504"];
    if !scheme.is_empty() {
        operation["security"] = json!([{ scheme: [] }]);
        statuses.extend(["400", "401", "403", "429"]);
    }
    if with_path {
        statuses.push("404");
    }
    if method != "get" && !scheme.is_empty() {
        statuses.extend(["409", "507"]);
    }
    if with_body {
        statuses.extend(["413", "415"]);
    }
    if method == "post" {
        statuses.extend(["413", "422"]);
        let parameters = operation.as_object_mut().map(|o| o.entry("parameters").or_insert_with(|| json!([])));
        if let Some(parameters) = parameters.and_then(Value::as_array_mut) {
            parameters.push(idempotency_parameter());
        }
    }
    if let Some(responses) = operation["responses"].as_object_mut() {
        for status in statuses {
            let problem = json!({ "$ref": "#/components/responses/Problem" });
            responses.entry(status).or_insert(problem);
        }
    }
}

fn idempotency_parameter() -> Value {
    json!({
        "name": "Idempotency-Key", "in": "header", "required": false,
        "description": "Chosen by the caller, a new one for each new request.",
        "schema": { "type": "string", "pattern": schema::VISIBLE_ASCII, "minLength": 1, "maxLength": 255 },
    })
}

fn problem_response() -> Value {
    json!({
        "description": "Why it was not done.",
        "headers": {
            "Retry-After": { "description": "Seconds to wait, where there is a delay.", "schema": { "type": "integer" } },
            "WWW-Authenticate": { "description": "With 401.", "schema": { "type": "string" } },
        },
        "content": { problem::MEDIA_TYPE: { "schema": { "$ref": "#/components/schemas/Problem" } } },
    })
}
