use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use crate::http::{openapi, schema};

fn violation(name: &str, value: &Value) -> String {
    openapi::schemas().check_named(name, value).err().map_or_else(String::new, |v| v.to_string())
}

/// Goal: docs/openapi.json is what the server serves. `POSTHORN_UPDATE=1` writes it.
#[test]
fn the_committed_document_is_the_served_one() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    if std::env::var_os("POSTHORN_UPDATE").is_some() {
        fs::write(&path, openapi::openapi_json()).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap();
    assert!(committed == openapi::openapi_json(), "docs/openapi.json is old: run the tests with POSTHORN_UPDATE=1");
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    fn walk(value: &Value, document: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    let pointer = reference.trim_start_matches('#');
                    assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
                }
                fields.values().for_each(|field| walk(field, document));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, document)),
            _ => {}
        }
    }
    walk(openapi::value(), openapi::value());
}

/// Goal: what a request's schema says is enforced, all of it.
#[test]
fn requests_use_only_the_keywords_that_are_checked() {
    let document = openapi::value();
    let mut found = Vec::new();
    for path in document["paths"].as_object().unwrap().values() {
        for operation in path.as_object().unwrap().values() {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                schema::unsupported(&parameter["schema"], &mut found);
            }
            schema::unsupported(&operation["requestBody"]["content"]["application/json"]["schema"], &mut found);
        }
    }
    for name in [
        "NewUser",
        "NewToken",
        "Revocation",
        "NewConversation",
        "NewMembers",
        "Membership",
        "NewRole",
        "NewMessage",
        "NewSystemEntry",
        "NewEntry",
        "Tenant",
        "NewSigningKey",
        "SharedSigningKey",
        "PublicSigningKey",
        "UserRef",
        "DeviceRef",
        "ConversationRef",
        "GroupRef",
        "TenantRef",
        "KeyRef",
        "ConsumerRef",
        "MessageRef",
        "Role",
        "Visibility",
        "Style",
    ] {
        let named = &document["components"]["schemas"][name];
        assert!(named.is_object(), "{name} is not in the document");
        schema::unsupported(named, &mut found);
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn every_request_body_refuses_unknown_fields() {
    let schemas = openapi::value()["components"]["schemas"].as_object().unwrap();
    for (name, of) in schemas {
        if of["type"] == "object" {
            assert_eq!(of["additionalProperties"], false, "{name}");
        }
    }
}

#[test]
fn a_violation_names_the_field() {
    let table = [
        ("NewUser", json!({"id": "ada"}), "`name` is missing"),
        ("NewUser", json!({"id": "ada", "name": ""}), "`name` has 0 characters, fewer than 1"),
        ("NewUser", json!({"id": "a b", "name": "A"}), "`id` must match ^(?!system$)[A-Za-z0-9._-]{1,64}$"),
        ("NewUser", json!({"id": "system", "name": "A"}), "`id` must match ^(?!system$)[A-Za-z0-9._-]{1,64}$"),
        ("NewUser", json!({"id": 7, "name": "A"}), "`id` must be of type string"),
        ("NewUser", json!({"id": "ada", "name": "A", "nmae": "A"}), "`nmae` is no field of this request"),
        ("NewUser", json!({"id": "ada", "name": "A\u{85}"}), r"`name` must match ^[^\x00-\x1f\x7f-\x9f]*$"),
        ("NewUser", json!([]), "`the body` must be of type object"),
        ("NewToken", json!({"user": "a", "device": "d", "ttl_s": 0}), "`ttl_s` must be at least 1"),
        ("NewToken", json!({"user": "a", "device": "d", "ttl_s": 2_592_001}), "`ttl_s` must be at most 2592000"),
        ("NewToken", json!({"user": "a", "device": "d", "ttl_s": 1.5}), "`ttl_s` must be of type integer or null"),
        ("NewConversation", json!({"id": "d.x"}), "`id` must match ^(?!d\\.)[A-Za-z0-9._-]{1,64}$"),
        (
            "NewConversation",
            json!({"members": [{"user": "a"}, {"user": "b", "role": "king"}]}),
            "`members[1].role` must be one of \"member\", \"admin\", \"owner\"",
        ),
        ("NewMembers", json!({"members": []}), "`members` has 0 items, fewer than 1"),
    ];
    for (name, value, expected) in table {
        assert_eq!(violation(name, &value), expected, "{name} {value}");
    }
}

#[test]
fn an_entry_is_a_message_with_an_author_or_the_applications_own() {
    let table = [
        (json!({"author": "ada", "text": "hi"}), ""),
        (json!({"kind": "message", "author": "ada", "text": "hi", "style": "action", "reply_to": 3}), ""),
        (json!({"kind": "system", "text": "hi"}), ""),
        (json!({"text": "hi"}), "`author` is missing"),
        (json!({"kind": "system", "author": "ada", "text": "hi"}), "`author` is no field of this request"),
        (json!({"kind": "system"}), "`text` is missing"),
        (json!({"kind": "system", "text": ""}), "`text` has 0 characters, fewer than 1"),
        (json!({"author": "ada", "text": "hi", "reply_to": 0}), "`reply_to` must be at least 1"),
        (json!({"author": "ada", "text": "hi", "message_id": "x"}), "`message_id` must match"),
    ];
    for (value, expected) in table {
        let got = violation("NewEntry", &value);
        assert!(got.starts_with(expected) && got.is_empty() == expected.is_empty(), "{value}: {got}");
    }
}
