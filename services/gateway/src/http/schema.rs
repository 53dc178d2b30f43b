//! Requests are checked against the very schemas that `/v1/openapi.json` shows, so that the document
//! cannot promise what the server refuses, or the other way round. Covers the part of JSON Schema
//! 2020-12 that the document uses; [`unsupported`] finds what it does not.

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};

/// `A-Z a-z 0-9 . _ -`: every id.
pub(crate) const ID: &str = "^[A-Za-z0-9._-]{1,64}$";
/// A user's: `system` is the author of what the application itself does.
pub(crate) const USER_ID: &str = "^(?!system$)[A-Za-z0-9._-]{1,64}$";
/// The id of a group: `d.` begins those of direct conversations.
pub(crate) const GROUP_ID: &str = "^(?!d\\.)[A-Za-z0-9._-]{1,64}$";
pub(crate) const UUID: &str = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";
pub(crate) const BASE64: &str = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$";
/// No control characters (Unicode category Cc).
pub(crate) const PLAIN: &str = "^[^\\x00-\\x1f\\x7f-\\x9f]*$";
pub(crate) const VISIBLE_ASCII: &str = "^[!-~]{1,255}$";

/// A value that breaks its schema.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// `members[3].user`; empty for the whole.
    pub path: String,
    pub what: String,
    /// It chose another variant of the schema.
    other_variant: bool,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "the body" } else { &self.path };
        write!(f, "`{path}` {}", self.what)
    }
}

/// The named schemas of the document.
pub(crate) struct Schemas(pub BTreeMap<String, Value>);

type Checked = Result<(), Violation>;

fn no(path: &str, what: impl Into<String>) -> Checked {
    Err(Violation { path: path.to_owned(), what: what.into(), other_variant: false })
}

impl Schemas {
    /// Checks against a schema by its name.
    pub fn check_named(&self, name: &str, value: &Value) -> Checked {
        match self.0.get(name) {
            Some(schema) => self.check(schema, value, ""),
            None => no("", format!("has no schema `{name}`")),
        }
    }

    /// Checks `value` at `path`.
    pub fn check(&self, schema: &Value, value: &Value, path: &str) -> Checked {
        let Some(schema) = schema.as_object() else { return Ok(()) };
        if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            let name = name.rsplit('/').next().unwrap_or_default();
            let Some(target) = self.0.get(name) else { return no(path, format!("has no schema `{name}`")) };
            return self.check(target, value, path);
        }
        if let Some(variants) = schema.get("oneOf").and_then(Value::as_array) {
            self.one_of(variants, value, path)?;
        }
        check_type(schema, value, path)?;
        check_choice(schema, value, path)?;
        match value {
            Value::String(text) => check_text(schema, text, path),
            Value::Number(_) => check_number(schema, value, path),
            Value::Array(items) => self.check_items(schema, items, path),
            Value::Object(fields) => self.check_fields(schema, fields, path),
            Value::Null | Value::Bool(_) => Ok(()),
        }
    }

    fn one_of(&self, variants: &[Value], value: &Value, path: &str) -> Checked {
        let mut closest = None;
        for variant in variants {
            match self.check(variant, value, path) {
                Ok(()) => return Ok(()),
                // `null` is not what somebody meant who sent something.
                Err(_) if variant.get("type").and_then(Value::as_str) == Some("null") => {}
                Err(violation) => {
                    let better =
                        closest.as_ref().is_none_or(|c: &Violation| c.other_variant && !violation.other_variant);
                    if better {
                        closest = Some(violation);
                    }
                }
            }
        }
        closest.map_or_else(|| no(path, "must be null"), Err)
    }

    fn check_items(&self, schema: &Map<String, Value>, items: &[Value], path: &str) -> Checked {
        let count = items.len() as u64;
        if let Some(min) = bound(schema, "minItems").filter(|&min| count < min) {
            return no(path, format!("has {count} items, fewer than {min}"));
        }
        if let Some(max) = bound(schema, "maxItems").filter(|&max| count > max) {
            return no(path, format!("has {count} items, more than {max}"));
        }
        let Some(of) = schema.get("items") else { return Ok(()) };
        items.iter().enumerate().try_for_each(|(at, item)| self.check(of, item, &format!("{path}[{at}]")))
    }

    fn check_fields(&self, schema: &Map<String, Value>, fields: &Map<String, Value>, path: &str) -> Checked {
        let empty = Map::new();
        let known = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        // First what tells one variant from another, so that the others' fields are not blamed.
        let mut ordered: Vec<_> = known.iter().collect();
        ordered.sort_by_key(|(name, _)| *name != "kind" && *name != "algorithm");
        for (name, of) in ordered {
            match fields.get(name) {
                Some(field) => self.check(of, field, &join(path, name)).map_err(|violation| Violation {
                    other_variant: violation.other_variant || name == "kind" || name == "algorithm",
                    ..violation
                })?,
                None if is_required(schema, name) => {
                    let other_variant = name == "kind";
                    return Err(Violation { path: join(path, name), what: "is missing".to_owned(), other_variant });
                }
                None => {}
            }
        }
        let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
        match fields.keys().find(|name| closed && !known.contains_key(*name)) {
            Some(name) => no(&join(path, &shorten(name)), "is no field of this request"),
            None => Ok(()),
        }
    }
}

fn is_required(schema: &Map<String, Value>, name: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|required| required.iter().any(|r| r == name))
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// What clients made up goes back to them in part only.
fn shorten(name: &str) -> String {
    const SHOWN_CHARS: usize = 64;
    name.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS).collect()
}

fn bound(schema: &Map<String, Value>, name: &str) -> Option<u64> {
    schema.get(name).and_then(Value::as_u64)
}

fn check_type(schema: &Map<String, Value>, value: &Value, path: &str) -> Checked {
    let fits = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        // JSON Schema counts 1.0 as an integer; the types that it goes into do not, so neither do we.
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    match schema.get("type") {
        Some(Value::String(name)) if !fits(name) => no(path, format!("must be of type {name}")),
        Some(Value::Array(names)) if !names.iter().filter_map(Value::as_str).any(fits) => {
            let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
            no(path, format!("must be of type {}", names.join(" or ")))
        }
        _ => Ok(()),
    }
}

fn check_choice(schema: &Map<String, Value>, value: &Value, path: &str) -> Checked {
    let Some(choices) = schema.get("enum").and_then(Value::as_array) else { return Ok(()) };
    if choices.contains(value) {
        return Ok(());
    }
    let choices: Vec<String> = choices.iter().map(Value::to_string).collect();
    no(path, format!("must be one of {}", choices.join(", ")))
}

fn check_number(schema: &Map<String, Value>, value: &Value, path: &str) -> Checked {
    let Some(number) = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from)) else { return Ok(()) };
    let limit = |name: &str| schema.get(name).and_then(Value::as_f64).map(|limit| limit as i128);
    if let Some(min) = limit("minimum").filter(|&min| number < min) {
        return no(path, format!("must be at least {min}"));
    }
    match limit("maximum").filter(|&max| number > max) {
        Some(max) => no(path, format!("must be at most {max}")),
        None => Ok(()),
    }
}

fn check_text(schema: &Map<String, Value>, text: &str, path: &str) -> Checked {
    let chars = text.chars().count() as u64;
    if let Some(min) = bound(schema, "minLength").filter(|&min| chars < min) {
        return no(path, format!("has {chars} characters, fewer than {min}"));
    }
    if let Some(max) = bound(schema, "maxLength").filter(|&max| chars > max) {
        return no(path, format!("has {chars} characters, more than {max}"));
    }
    match schema.get("pattern").and_then(Value::as_str) {
        Some(pattern) if !matches(pattern, text) => no(path, format!("must match {pattern}")),
        _ => Ok(()),
    }
}

/// The patterns that requests use, by hand: there is no engine for regular expressions here.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let id = |text: &str| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    match pattern {
        ID => id(text),
        USER_ID => id(text) && text != "system",
        GROUP_ID => id(text) && !text.starts_with("d."),
        UUID => {
            let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            text.len() == 36
                && text
                    .bytes()
                    .enumerate()
                    .all(|(at, b)| if matches!(at, 8 | 13 | 18 | 23) { b == b'-' } else { hex(b) })
        }
        BASE64 => {
            use base64::Engine as _;
            // The engine also wants the unused bits to be zero: that is beyond the pattern, and reported by the caller.
            let lenient = base64::engine::GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
            base64::engine::GeneralPurpose::new(&base64::alphabet::STANDARD, lenient).decode(text).is_ok()
        }
        PLAIN => !text.chars().any(char::is_control),
        VISIBLE_ASCII => (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()),
        _ => false,
    }
}

/// Keywords and patterns of a request's schema that are not checked here: none, or the document lies.
#[cfg(test)]
pub(crate) fn unsupported(schema: &Value, found: &mut Vec<String>) {
    const PATTERNS: [&str; 7] = [PLAIN, ID, USER_ID, GROUP_ID, UUID, BASE64, VISIBLE_ASCII];
    const KEYWORDS: [&str; 22] = [
        "$ref",
        "oneOf",
        "type",
        "enum",
        "pattern",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "items",
        "minItems",
        "maxItems",
        "properties",
        "required",
        "additionalProperties",
        "format",
        "description",
        "title",
        "examples",
        "default",
        "contentEncoding",
        "example",
    ];
    let Some(object) = schema.as_object() else { return };
    for (keyword, value) in object {
        match keyword.as_str() {
            "pattern" if !PATTERNS.iter().any(|p| value == p) => found.push(format!("pattern {value}")),
            "properties" => value.as_object().into_iter().flatten().for_each(|(_, of)| unsupported(of, found)),
            "items" => unsupported(value, found),
            "oneOf" => value.as_array().into_iter().flatten().for_each(|of| unsupported(of, found)),
            other if !KEYWORDS.contains(&other) => found.push(other.to_owned()),
            _ => {}
        }
    }
}
