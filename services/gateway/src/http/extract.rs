//! Parts of a request, checked against the document before they become types.

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, RawPathParams, Request},
};
use bytes::Bytes;
use http::{HeaderMap, header, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use posthorn_errors::{Code, Failure};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::{Api, openapi, problem::Problem};

/// A JSON body.
pub(crate) struct Json<T>(pub T);

/// What a path names.
pub(crate) struct Path<T>(pub T);

/// The query.
pub(crate) struct Query<T>(pub T);

impl<T: DeserializeOwned + ToSchema> FromRequest<Api> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        check_media_type(&parts.headers)?;
        let bytes = read_body(&parts.headers, body, api.config().max_body_bytes).await?;
        parse(&bytes).map(Self)
    }
}

pub(crate) fn parse<T: DeserializeOwned + ToSchema>(bytes: &[u8]) -> Result<T, Problem> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Problem::invalid(format!("the body is not UTF-8: byte {}", error.valid_up_to())))?;
    let value: Value =
        serde_json::from_str(text).map_err(|error| Problem::invalid(format!("the body is not JSON: {error}")))?;
    openapi::schemas().check_named(&T::name(), &value).map_err(|violation| Problem::invalid(violation.to_string()))?;
    // Again from the text: a `Value` keeps the last of two fields of one name, the type refuses them.
    serde_json::from_str(text).map_err(|error| Problem::invalid(format!("the body is not valid: {error}")))
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (essence, parameters) = given.split_once(';').unwrap_or((given, ""));
    let json = essence.trim().eq_ignore_ascii_case("application/json");
    let charset = parameters.split(';').filter_map(|p| p.trim().split_once('='));
    let utf8 = charset
        .filter(|(name, _)| name.eq_ignore_ascii_case("charset"))
        .all(|(_, value)| value.trim_matches('"').eq_ignore_ascii_case("utf-8"));
    if json && utf8 { Ok(()) } else { Err(Code::UnsupportedMediaType.into()) }
}

/// All of a body, or `body_too_large`.
pub(crate) async fn read_body(headers: &HeaderMap, body: Body, max_bytes: usize) -> Result<Bytes, Problem> {
    let too_large = || {
        let detail = format!("the body is larger than {max_bytes} bytes");
        Problem::from(Failure::new(Code::BodyTooLarge, detail).limit("edge.http.max_body_bytes"))
    };
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > max_bytes) {
        return Err(too_large());
    }
    match Limited::new(body, max_bytes).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(Problem::invalid("the body ended early")),
    }
}

impl<T: DeserializeOwned + IntoParams, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let raw = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::invalid("the path is not percent-encoded UTF-8"))?;
        let given = raw.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        parameters::<T>(given.collect(), "path").map(Self)
    }
}

impl<T: DeserializeOwned + IntoParams, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let axum::extract::Query(given) = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|error| Problem::invalid(format!("the query is malformed: {error}")))?;
        parameters::<T>(given, "query").map(Self)
    }
}

/// Texts become the types that the document names, are checked, and become `T`.
fn parameters<T: DeserializeOwned + IntoParams>(given: Vec<(String, String)>, place: &str) -> Result<T, Problem> {
    let known: Vec<Value> =
        T::into_params(|| None).iter().map(|p| serde_json::to_value(p).unwrap_or_default()).collect();
    let mut values = Map::new();
    for (name, text) in given {
        let Some(parameter) = known.iter().find(|p| p["name"] == *name) else {
            return Err(Problem::invalid(format!("`{}` is no {place} parameter here", name.escape_debug())));
        };
        let schema = &parameter["schema"];
        let value = typed(schema, text);
        openapi::schemas().check(schema, &value, &name).map_err(|violation| Problem::invalid(violation.to_string()))?;
        if values.insert(name.clone(), value).is_some() {
            return Err(Problem::invalid(format!("`{name}` comes twice")));
        }
    }
    serde_json::from_value(Value::Object(values)).map_err(|error| Problem::invalid(format!("the {place}: {error}")))
}

fn typed(schema: &Value, text: String) -> Value {
    let integer = schema["type"] == "integer"
        || schema["type"].as_array().is_some_and(|types| types.iter().any(|name| name == "integer"));
    // Only the plain form: no sign, no leading zero.
    match text.parse::<u64>() {
        Ok(number) if integer && number.to_string() == text => number.into(),
        _ => Value::String(text),
    }
}
