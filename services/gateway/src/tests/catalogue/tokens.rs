//! Tokens that must not open a connection (RFC 7515, 7519, 8725).

use serde_json::Map;

use super::*;
use crate::tests::{
    place::{OTHER_SECRET, SECRET},
    signed::{claims, es256, header, hs256, unsigned, with},
    wire::text,
};

const DAY_S: u64 = 86_400;

fn connect(token: &str) -> How {
    How::Fresh(Json, text(&json!({ "id": ID, "connect": { "token": token } }).to_string()))
}

fn wrong(name: &str, input: &str, token: &str) -> Bad {
    bad(name, input, connect(token), closed(4510, "unauthenticated"))
}

pub async fn rows(place: &Place) -> Vec<Bad> {
    let mut rows = good(place);
    rows.extend(algorithms(place));
    rows.extend(keys(place));
    rows.extend(claimed(place));
    rows.extend(forms(place));
    rows.extend(others(place).await);
    rows
}

/// So that the others are refused for what is wrong with them alone.
fn good(place: &Place) -> Vec<Bad> {
    let (now, k1, k2) = (place.now_ms(), header("HS256", Some("k1")), header("ES256", Some("k2")));
    let taken = || Answer::Taken("connected".into());
    vec![
        bad("token-good-hs256", "a good token, to compare", connect(&hs256(&SECRET, &k1, &claims(now))), taken()),
        bad(
            "token-good-es256",
            "a good token of the other key",
            connect(&es256(&place.pem, &k2, &claims(now))),
            taken(),
        ),
    ]
}

fn algorithms(place: &Place) -> Vec<Bad> {
    let now = place.now_ms();
    let good = claims(now);
    let mut rows: Vec<Bad> = ["none", "None", "NONE", "nOnE", ""]
        .into_iter()
        .enumerate()
        .map(|(n, alg)| {
            let token = format!("{}.", unsigned(&header(alg, Some("k1")), &good));
            wrong(&format!("alg-none-{n}"), &format!("`alg` is {alg:?}, without a signature"), &token)
        })
        .collect();
    let signed_none = hs256(&SECRET, &header("none", Some("k1")), &good);
    let pem = place.pem.public.as_bytes();
    let (k1, k2) = (Some("k1"), Some("k2"));
    rows.extend([
        wrong("alg-none-signed", "`alg` is `none`, with a signature", &signed_none),
        wrong("alg-swapped", "HS256 with the public key as the secret", &hs256(pem, &header("HS256", k2), &good)),
        wrong("alg-swapped-no-kid", "the same without `kid`", &hs256(pem, &header("HS256", None), &good)),
        wrong(
            "alg-es-of-hs",
            "ES256 signed, the key is one for HS256",
            &es256(&place.pem, &header("ES256", k1), &good),
        ),
        wrong("alg-rs256", "RS256 over a signature of HS256", &hs256(&SECRET, &header("RS256", k1), &good)),
        wrong("alg-hs384", "HS384, which no key is for", &hs256(&SECRET, &header("HS384", k1), &good)),
        wrong("alg-hs512", "HS512, which no key is for", &hs256(&SECRET, &header("HS512", k1), &good)),
        wrong("alg-made-up", "an algorithm that nobody knows", &hs256(&SECRET, &header("XS256", k1), &good)),
        wrong("alg-number", "`alg` is a number", &hs256(&SECRET, &json!({ "alg": 5, "kid": "k1" }), &good)),
        wrong("alg-missing", "a header without `alg`", &hs256(&SECRET, &json!({ "kid": "k1" }), &good)),
    ]);
    rows
}

fn keys(place: &Place) -> Vec<Bad> {
    let now = place.now_ms();
    let good = claims(now);
    let k1 = header("HS256", Some("k1"));
    let more = |name: &str, value: Value| {
        let mut header = header("HS256", Some("k1"));
        header[name] = value;
        hs256(&OTHER_SECRET, &header, &good)
    };
    let zero = format!("{}.{}", unsigned(&header("ES256", Some("k2")), &good), "A".repeat(86));
    vec![
        wrong("key-wrong", "signed with another secret", &hs256(&[9; 32], &k1, &good)),
        wrong("key-empty", "signed with an empty secret", &hs256(&[], &k1, &good)),
        wrong(
            "key-of-other-tenant",
            "signed by another tenant's key of the same id",
            &hs256(&OTHER_SECRET, &k1, &good),
        ),
        wrong(
            "tenant-swapped",
            "our key, the other tenant's name",
            &hs256(&SECRET, &k1, &with(now, "tenant", json!(OTHER))),
        ),
        wrong("tenant-unknown", "a tenant that is none", &hs256(&SECRET, &k1, &with(now, "tenant", json!("nobody")))),
        wrong(
            "tenant-operator",
            "the tenant `~`, under which the operator's keys lie",
            &hs256(&SECRET, &k1, &with(now, "tenant", json!("~"))),
        ),
        wrong("tenant-path", "a tenant with a path in it", &hs256(&SECRET, &k1, &with(now, "tenant", json!("../t")))),
        wrong("kid-unknown", "a key id that is none", &hs256(&SECRET, &header("HS256", Some("k9")), &good)),
        wrong("kid-of-another-key", "the id of another key", &hs256(&SECRET, &header("HS256", Some("k2")), &good)),
        wrong("kid-path", "a key id that is a path", &hs256(&[0; 32], &header("HS256", Some("../../dev/zero")), &good)),
        wrong("kid-query", "a key id that is a query", &hs256(&SECRET, &header("HS256", Some("' OR 1=1 --")), &good)),
        wrong("kid-number", "a key id that is a number", &hs256(&SECRET, &json!({ "alg": "HS256", "kid": 1 }), &good)),
        wrong(
            "jwk-inside",
            "the key that it is signed with, in the header",
            &more("jwk", json!({ "kty": "oct", "k": "AgIC" })),
        ),
        wrong("jku-inside", "an address to fetch the key from", &more("jku", json!("http://127.0.0.1:1/keys"))),
        wrong("crit-unknown", "an extension that must be understood", &{
            let header = json!({ "alg": "HS256", "kid": "k1", "crit": ["b64"], "b64": false });
            hs256(&SECRET, &header, &good)
        }),
        wrong("signature-zero", "an ECDSA signature with r = s = 0", &zero),
    ]
}

fn claimed(place: &Place) -> Vec<Bad> {
    let (now_ms, k1) = (place.now_ms(), header("HS256", Some("k1")));
    let now = now_ms / 1_000;
    let of = |claim: &str, value: Value| hs256(&SECRET, &k1, &with(now_ms, claim, value));
    let expired = |name: &str, input: &str, value: Value| {
        bad(name, input, connect(&of("exp", value)), closed(4410, "token_expired"))
    };
    vec![
        expired("exp-past", "expired an hour ago", json!(now - 3_600)),
        expired("exp-0", "expired in 1970", json!(0)),
        wrong("exp-missing", "without an end", &of("exp", Value::Null)),
        wrong("exp-text", "an end that is a text", &of("exp", json!("never"))),
        wrong("exp-negative", "a negative end", &of("exp", json!(-1))),
        wrong("exp-1e300", "an end beyond all time", &of("exp", json!(1e300))),
        wrong("nbf-future", "not valid before in a year", &of("nbf", json!(now + 365 * DAY_S))),
        wrong("iat-future", "issued in a year", &of("iat", json!(now + 365 * DAY_S))),
        wrong("iat-text", "issued at a text", &of("iat", json!("now"))),
        wrong("tenant-missing", "without a tenant", &of("tenant", Value::Null)),
        wrong("tenant-number", "a tenant that is a number", &of("tenant", json!(7))),
        wrong("sub-missing", "without a user", &of("sub", Value::Null)),
        wrong("sub-empty", "an empty user", &of("sub", json!(""))),
        wrong("sub-system", "the user `system`, who is the application itself", &of("sub", json!("system"))),
        wrong("sub-long", "a user of 65 characters", &of("sub", json!("u".repeat(65)))),
        wrong("sub-nul", "a user with NUL in the name", &of("sub", json!("ada\0"))),
        wrong("sub-wildcard", "the user `*`", &of("sub", json!("*"))),
        wrong("sub-array", "two users", &of("sub", json!(["ada", "bob"]))),
        wrong("device-slash", "a device with a slash", &of("device", json!("a/b"))),
        wrong("jti-long", "a token id of 129 bytes", &of("jti", json!("j".repeat(129)))),
        wrong("limit-long", "a limit class of 129 bytes", &of("limit", json!("l".repeat(129)))),
        wrong("claims-array", "claims that are an array", &hs256(&SECRET, &k1, &json!([1]))),
        wrong("claims-empty", "no claims", &hs256(&SECRET, &k1, &Value::Object(Map::new()))),
        wrong("claims-padded", "claims of 100 KiB", &of("pad", json!("x".repeat(100 * 1024)))),
    ]
}

fn forms(place: &Place) -> Vec<Bad> {
    let good = hs256(&SECRET, &header("HS256", Some("k1")), &claims(place.now_ms()));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (head, body) = signed.split_once('.').unwrap();
    let form = |name: &str, input: &str, token: String| wrong(name, input, &token);
    vec![
        form("form-empty", "an empty token", String::new()),
        form("form-words", "words", "hello".into()),
        form("form-one-dot", "one dot", ".".into()),
        form("form-two-dots", "two dots", "..".into()),
        form("form-two-parts", "without a signature", signed.into()),
        form("form-four-parts", "a fourth part", format!("{good}.e30")),
        form("form-dot-behind", "a dot behind", format!("{good}.")),
        form("form-space", "a space before", format!(" {good}")),
        form("form-bearer", "`Bearer` before", format!("Bearer {good}")),
        form("form-cut", "half of a token", good[..good.len() / 2].into()),
        form("form-last-cut", "without its last character", good[..good.len() - 1].into()),
        form("form-padded", "the signature with padding", format!("{good}=")),
        form("form-signature-empty", "an empty signature", format!("{signed}.")),
        form(
            "form-signature-flipped",
            "one character of the signature is another",
            format!("{signed}.{}", flipped(signature)),
        ),
        form(
            "form-body-flipped",
            "one character of the claims is another",
            format!("{head}.{}.{signature}", flipped(body)),
        ),
        form("form-standard-base64", "standard base64 instead of that for addresses", format!("{signed}.+/+/+/+/")),
        form("form-no-base64", "no base64", "!!!.###.???".into()),
        form("form-header-no-json", "a header that is no JSON", format!("aGVsbG8.{body}.{signature}")),
        form("form-jwe", "five parts, as if encrypted", "a.b.c.d.e".into()),
        form("form-unicode", "letters that are not ASCII", "ä.ö.ü".into()),
        form("form-200k", "a token of 200,000 characters", "x".repeat(200_000)),
        form("form-200k-dots", "200,000 dots", ".".repeat(200_000)),
    ]
}

/// Another first character.
fn flipped(text: &str) -> String {
    let first = if text.starts_with('A') { 'B' } else { 'A' };
    format!("{first}{}", &text[1..])
}

async fn others(place: &Place) -> Vec<Bad> {
    let revoked = place.token(TENANT, "zoe").await;
    place.revoke(TENANT, "zoe").await;
    let good = hs256(&SECRET, &header("HS256", Some("k1")), &claims(place.now_ms()));
    let refresh =
        |token: &str| How::Connected(Json, text(&json!({ "id": ID, "refresh": { "token": token } }).to_string()));
    let resume = |resume: &str| json!({ "id": ID, "connect": { "token": good, "resume_token": resume } }).to_string();
    let taken = || Answer::Taken("connected".into());
    vec![
        bad("revoked", "a token that was revoked", connect(&revoked), closed(4511, "token_revoked")),
        bad("api-key-as-token", "an API key of the tenant", connect(&place.key), closed(4510, "unauthenticated")),
        bad(
            "refresh-other-user",
            "`refresh` with another user's token",
            refresh(&place.token(TENANT, "bob").await),
            refused("forbidden"),
        ),
        bad(
            "refresh-other-tenant",
            "`refresh` with a token of another tenant",
            refresh(&place.token(OTHER, "ada").await),
            refused("forbidden"),
        ),
        bad("refresh-garbage", "`refresh` with garbage", refresh("a.b.c"), refused("unauthenticated")),
        bad("refresh-revoked", "`refresh` with a revoked token", refresh(&revoked), refused("token_revoked")),
        bad("refresh-empty", "`refresh` without a token", refresh(""), refused("unauthenticated")),
        bad(
            "resume-garbage",
            "a made-up resume token: a new session",
            How::Fresh(Json, text(&resume("made up"))),
            taken(),
        ),
        bad(
            "resume-200k",
            "a resume token of 200,000 characters: a new session",
            How::Fresh(Json, text(&resume(&"A".repeat(200_000)))),
            taken(),
        ),
    ]
}
