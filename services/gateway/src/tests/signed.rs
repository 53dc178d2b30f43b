//! Tokens as an application, or whoever takes its place, would sign them (RFC 7515).

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

/// A key pair for ES256, its public half as PEM (RFC 7468).
pub struct Pem {
    pub pair: EcdsaKeyPair,
    pub public: String,
}

pub fn pem_pair() -> Pem {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let text = STANDARD.encode(der.as_ref());
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let public = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
    Pem { pair, public }
}

/// Good claims of `ada` for the next hour.
pub fn claims(now_ms: u64) -> Value {
    let now = now_ms / 1_000;
    json!({ "tenant": "t", "sub": "ada", "device": "phone", "iat": now, "exp": now + 3_600 })
}

/// The claims but for one; null takes it out.
pub fn with(now_ms: u64, claim: &str, value: Value) -> Value {
    let mut all = claims(now_ms);
    if value.is_null() {
        all.as_object_mut().unwrap().remove(claim);
    } else {
        all[claim] = value;
    }
    all
}

pub fn header(alg: &str, kid: Option<&str>) -> Value {
    let mut header = json!({ "alg": alg, "typ": "JWT" });
    if let Some(kid) = kid {
        header["kid"] = kid.into();
    }
    header
}

/// The two parts that are signed.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

/// With an HMAC of this secret, whatever the header says.
pub fn hs256(secret: &[u8], header: &Value, claims: &Value) -> String {
    let text = unsigned(header, claims);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
}

pub fn es256(pem: &Pem, header: &Value, claims: &Value) -> String {
    let text = unsigned(header, claims);
    let signature = pem.pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}
