//! Which tokens are believed: real keys of every algorithm, and everything that is wrong with one.

use aws_lc_rs::{
    encoding::AsDer,
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use posthorn_clock::sleep;
use posthorn_proto::internal::{AddSigningKeyRequest, Cut, RemoveSigningKeyRequest, RevokeRequest, publication::What};
use serde_json::{Value, json};

use super::*;

/// A key pair as an application's backend has it.
struct Pair {
    algorithm: Algorithm,
    name: &'static str,
    signs: EncodingKey,
    /// The HS256 secret, or the PEM public key.
    verifies: Vec<u8>,
}

fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n")).into_bytes()
}

fn rs256() -> Pair {
    let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).expect("a key pair");
    let private: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().expect("PKCS#8");
    let public: aws_lc_rs::encoding::PublicKeyX509Der<'_> = pair.public_key().as_der().expect("SPKI");
    let signs = EncodingKey::from_rsa_pem(&pem("PRIVATE KEY", private.as_ref())).expect("a key");
    Pair { algorithm: Algorithm::RS256, name: "RS256", signs, verifies: pem("PUBLIC KEY", public.as_ref()) }
}

fn es256() -> Pair {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key pair");
    let private = pair.to_pkcs8v1().expect("PKCS#8");
    let public: aws_lc_rs::encoding::PublicKeyX509Der<'_> = pair.public_key().as_der().expect("SPKI");
    let signs = EncodingKey::from_ec_pem(&pem("PRIVATE KEY", private.as_ref())).expect("a key");
    Pair { algorithm: Algorithm::ES256, name: "ES256", signs, verifies: pem("PUBLIC KEY", public.as_ref()) }
}

fn eddsa() -> Pair {
    let pair = Ed25519KeyPair::generate().expect("a key pair");
    let private = pair.to_pkcs8v1().expect("PKCS#8");
    let public: aws_lc_rs::encoding::PublicKeyX509Der<'_> = pair.public_key().as_der().expect("SPKI");
    let signs = EncodingKey::from_ed_pem(&pem("PRIVATE KEY", private.as_ref())).expect("a key");
    Pair { algorithm: Algorithm::EdDSA, name: "EdDSA", signs, verifies: pem("PUBLIC KEY", public.as_ref()) }
}

fn hs256(fill: u8) -> Pair {
    let secret = vec![fill; 32];
    Pair { algorithm: Algorithm::HS256, name: "HS256", signs: EncodingKey::from_secret(&secret), verifies: secret }
}

async fn add(place: &Place, tenant: &str, id: &str, name: &str, key: &[u8]) -> Result<(), Code> {
    let (tenant, key_id, algorithm) = (tenant.into(), id.into(), name.into());
    let request = AddSigningKeyRequest { tenant, key_id, algorithm, key: key.to_vec().into() };
    let added = place.client.clone().add_signing_key(request).await;
    added.map(drop).map_err(|status| failure_of(&status).code)
}

fn claims() -> Value {
    let now = START_MS / 1_000;
    json!({"sub": "ann", "tenant": "t", "device": "web", "exp": now + 60, "iat": now, "jti": "j1"})
}

fn with(claim: &str, value: Value) -> Value {
    let mut all = claims();
    all[claim] = value;
    all
}

fn signed(pair: &Pair, kid: Option<&str>, claims: &Value) -> String {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(pair.algorithm) };
    encode(&header, claims, &pair.signs).expect("signed")
}

#[tokio::test(start_paused = true)]
async fn every_algorithm_verifies_with_its_own_key_with_and_without_kid() {
    let place = Place::new().await;
    for pair in [rs256(), es256(), eddsa(), hs256(1)] {
        add(&place, "t", "k", pair.name, &pair.verifies).await.expect("added");
        for kid in [Some("k"), None] {
            let who = place.authenticate(&signed(&pair, kid, &claims())).await.expect(pair.name);
            assert_eq!((who.tenant.as_str(), who.user.as_str(), who.device.as_str()), ("t", "ann", "web"));
            assert_eq!((who.expires_ms, who.issued_ms), (START_MS + 60_000, START_MS));
            assert_eq!(who.token_id, "j1");
        }
        let wrong_kid = signed(&pair, Some("minted"), &claims());
        assert_eq!(place.authenticate(&wrong_kid).await, Err(Code::Unauthenticated), "{}", pair.name);
    }
}

#[tokio::test(start_paused = true)]
async fn two_keys_are_live_at_once_and_survive_a_restart() {
    let place = Place::new().await;
    let (old, new) = (eddsa(), es256());
    add(&place, "t", "old", old.name, &old.verifies).await.expect("added");
    add(&place, "t", "new", new.name, &new.verifies).await.expect("added");
    assert_eq!(add(&place, "t", "third", "HS256", &[1; 32]).await, Err(Code::InvalidArgument), "one too many");
    let again = place.restarted().await;
    for pair in [&old, &new] {
        assert!(again.authenticate(&signed(pair, None, &claims())).await.is_ok());
    }
    // The same id again replaces the key: the former one verifies no longer, at once.
    add(&again, "t", "old", new.name, &new.verifies).await.expect("replaced");
    assert_eq!(again.authenticate(&signed(&old, None, &claims())).await, Err(Code::Unauthenticated));
}

#[tokio::test(start_paused = true)]
async fn an_algorithm_is_never_chosen_by_the_token() {
    let place = Place::new().await;
    let pair = rs256();
    add(&place, "t", "k", pair.name, &pair.verifies).await.expect("added");
    // The public key as the secret of an HMAC: the classic swap.
    let swapped = Pair { signs: EncodingKey::from_secret(&pair.verifies), ..hs256(0) };
    for kid in [Some("k"), None] {
        assert_eq!(place.authenticate(&signed(&swapped, kid, &claims())).await, Err(Code::Unauthenticated));
    }
    let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    for alg in ["none", "None", "HS384", ""] {
        for signature in ["", "AAAA"] {
            let token = format!("{}.{}.{signature}", part(json!({"alg": alg, "typ": "JWT"})), part(claims()));
            assert_eq!(place.authenticate(&token).await, Err(Code::Unauthenticated), "{alg}");
        }
    }
    let header = Header { crit: Some(vec!["exp".into()]), ..Header::new(pair.algorithm) };
    let critical = encode(&header, &claims(), &pair.signs).expect("signed");
    assert_eq!(place.authenticate(&critical).await, Err(Code::Unauthenticated));
}

#[tokio::test(start_paused = true)]
async fn a_key_of_one_tenant_verifies_nothing_of_another() {
    let place = Place::new().await;
    let (ours, theirs) = (hs256(1), hs256(2));
    add(&place, "t", "k", ours.name, &ours.verifies).await.expect("added");
    add(&place, "other", "k", theirs.name, &theirs.verifies).await.expect("added");
    assert!(place.authenticate(&signed(&ours, Some("k"), &claims())).await.is_ok());
    for forged in [
        signed(&theirs, Some("k"), &claims()),
        signed(&ours, Some("k"), &with("tenant", json!("other"))),
        signed(&ours, Some("k"), &with("tenant", json!("nobody"))),
        signed(&ours, Some("k"), &with("tenant", json!("~"))),
    ] {
        assert_eq!(place.authenticate(&forged).await, Err(Code::Unauthenticated));
    }
}

#[tokio::test(start_paused = true)]
async fn claims_that_are_wrong_are_refused_with_the_right_code() {
    let place = Place::new().await;
    let (pair, now) = (hs256(1), START_MS / 1_000);
    add(&place, "t", "k", pair.name, &pair.verifies).await.expect("added");
    let mut endless = claims();
    endless.as_object_mut().expect("claims").remove("exp");
    for (wrong, code) in [
        (with("exp", json!(now - 6)), Code::TokenExpired),
        (endless, Code::Unauthenticated),
        (with("exp", json!("soon")), Code::Unauthenticated),
        (with("exp", json!(-1)), Code::Unauthenticated),
        (with("exp", json!(1e300)), Code::Unauthenticated),
        (with("iat", json!(now + 6)), Code::Unauthenticated),
        (with("nbf", json!(now + 6)), Code::Unauthenticated),
        (with("sub", json!("system")), Code::Unauthenticated),
        (with("sub", json!("a b")), Code::Unauthenticated),
        (with("device", json!("a/b")), Code::Unauthenticated),
        (with("jti", json!("j".repeat(129))), Code::Unauthenticated),
        (with("pad", json!("x".repeat(9_000))), Code::Unauthenticated),
    ] {
        assert_eq!(place.authenticate(&signed(&pair, None, &wrong)).await, Err(code), "{wrong}");
    }
    for (within, what) in [("exp", now - 4), ("iat", now + 4), ("nbf", now + 4)] {
        assert!(place.authenticate(&signed(&pair, None, &with(within, json!(what)))).await.is_ok(), "{within}");
    }
    let token = signed(&pair, None, &with("exp", json!(START_MS as f64 / 1_000.0 + 0.5)));
    assert_eq!(place.authenticate(&token).await.expect("fractions are times").expires_ms, START_MS + 500);
    sleep(std::time::Duration::from_millis(5_500)).await;
    assert_eq!(place.authenticate(&token).await, Err(Code::TokenExpired));
    for junk in ["", ".", "..", "a.b.c", "e30.e30.", &"x".repeat(9_000)] {
        assert_eq!(place.authenticate(junk).await, Err(Code::Unauthenticated), "{junk}");
    }
}

#[tokio::test(start_paused = true)]
async fn keys_that_cannot_verify_are_refused_when_they_are_added() {
    let place = Place::new().await;
    let (rsa, ec) = (rs256(), es256());
    for (id, name, key) in [
        ("k", "HS256", &[1; 31][..]),
        ("k", "HS256", &[1; 513]),
        ("k", "RS256", &ec.verifies),
        ("k", "ES256", &rsa.verifies),
        ("k", "EdDSA", &rsa.verifies),
        ("k", "RS256", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
        ("k", "RS256", b"no PEM"),
        ("k", "HS512", &[1; 64]),
        ("k", "none", &[1; 64]),
        ("minted", "HS256", &[1; 32]),
        ("", "HS256", &[1; 32]),
        ("a/b", "HS256", &[1; 32]),
    ] {
        assert_eq!(add(&place, "t", id, name, key).await, Err(Code::InvalidArgument), "{id} {name}");
    }
    assert_eq!(add(&place, "nobody", "k", "HS256", &[1; 32]).await, Err(Code::NotFound));
}

async fn revoke(place: &Place, device: &str, token_id: &str) {
    let (device, token_id) = (device.into(), token_id.into());
    let request = RevokeRequest { tenant: "t".into(), user: "ann".into(), device, token_id };
    place.client.clone().revoke(request).await.expect("revoked");
}

#[tokio::test(start_paused = true)]
async fn what_was_issued_before_a_revocation_is_void_and_what_comes_after_is_not() {
    let place = Place::new().await;
    let (phone, web) = (place.mint("ann", "phone").await, place.mint("ann", "web").await);
    let bob = place.mint("bob", "phone").await;
    let id = place.authenticate(&web).await.expect("good").token_id;
    let mut cuts = place.listen("gateways").await;

    revoke(&place, "phone", "").await;
    assert_eq!(place.authenticate(&phone).await, Err(Code::TokenRevoked));
    assert!(place.authenticate(&web).await.is_ok());
    revoke(&place, "", &id).await;
    assert_eq!(place.authenticate(&web).await, Err(Code::TokenRevoked));
    // A millisecond later, within the same second.
    sleep(std::time::Duration::from_millis(1)).await;
    let later = place.mint("ann", "phone").await;
    assert!(place.authenticate(&later).await.is_ok());
    revoke(&place, "", "").await;
    let again = place.restarted().await;
    for void in [&phone, &web, &later] {
        assert_eq!(again.authenticate(void).await, Err(Code::TokenRevoked));
    }
    assert!(again.authenticate(&bob).await.is_ok());

    for (device, token_id) in [("phone", ""), ("", id.as_str()), ("", "")] {
        let published = publication(&mut cuts).await;
        assert_eq!(published.tenant, "t");
        let Some(posthorn_proto::internal::publication::What::Cut(cut)) = published.what else { panic!("no cut") };
        assert_eq!((cut.user.as_str(), cut.device.as_str(), cut.token_id.as_str()), ("ann", device, token_id));
        assert_eq!(cut.code, "token_revoked");
        assert!(cut.issued_until_ms >= START_MS);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_is_published_once_more_for_who_was_connecting() {
    let place = Place::new().await;
    let mut cuts = place.listen("gateways").await;
    revoke(&place, "", "").await;
    let (first, begun) = (publication(&mut cuts).await, posthorn_clock::Instant::now());
    let second = publication(&mut cuts).await;
    assert_eq!((first.what, first.number + 1), (second.what, second.number));
    assert_eq!(begun.elapsed().as_millis(), u128::from(SessionConfig::default().cut_again_ms));
}

#[tokio::test(start_paused = true)]
async fn a_cut_that_nobody_heard_shows_in_the_next_heartbeat() {
    let place = Place::new().await;
    revoke(&place, "", "").await;
    let mut cuts = place.listen("gateways").await;
    let begun = posthorn_clock::Instant::now();
    let beat = any_publication(&mut cuts).await;
    assert!(matches!(beat.what, Some(What::Heartbeat(_))), "{beat:?}");
    assert_eq!(beat.number, 1);
    assert!(begun.elapsed().as_millis() <= u128::from(SessionConfig::default().link_beat_ms));
    place.tasks.stop();
    let last = any_publication(&mut cuts).await;
    assert!(matches!(last.what, Some(What::Heartbeat(beat)) if beat.interval_ms == 0));
}

#[tokio::test(start_paused = true)]
async fn a_resume_token_is_good_for_its_own_user_and_device_until_it_ends() {
    let place = Place::new().await;
    let connected = place.connect("ann", "g", 1).await;
    let phone = place.mint("ann", "phone").await;
    let resumed = place.resume(&phone, &connected.resume_token).await.expect("good");
    assert_eq!(resumed.session, connected.session);
    assert!(!connected.session.is_empty());

    let again = place.restarted().await;
    assert_eq!(again.resume(&phone, &connected.resume_token).await.expect("good").session, connected.session);
    for (user, device) in [("ann", "web"), ("bob", "phone")] {
        let token = again.mint(user, device).await;
        assert_eq!(again.resume(&token, &connected.resume_token).await.expect("good").session, "");
    }
    let mut bytes = URL_SAFE_NO_PAD.decode(&connected.resume_token).expect("base64url");
    for at in 0..bytes.len() {
        bytes[at] ^= 1;
        let forged = URL_SAFE_NO_PAD.encode(&bytes);
        assert_eq!(again.resume(&phone, &forged).await.expect("good").session, "", "byte {at}");
        bytes[at] ^= 1;
    }
    sleep(std::time::Duration::from_millis(SessionConfig::default().resume_ttl_ms)).await;
    let fresh = again.mint("ann", "phone").await;
    assert_eq!(again.resume(&fresh, &connected.resume_token).await.expect("good").session, "");
}

async fn remove(place: &Place, tenant: &str, id: &str) -> Result<(), Code> {
    let request = RemoveSigningKeyRequest { tenant: tenant.into(), key_id: id.into() };
    let removed = place.client.clone().remove_signing_key(request).await;
    removed.map(drop).map_err(|status| failure_of(&status).code)
}

async fn cut(from: &mut Box<dyn Subscription>) -> (u64, Cut) {
    let publication = publication(from).await;
    assert_eq!(publication.tenant, "t");
    match publication.what {
        Some(What::Cut(cut)) => (publication.number, cut),
        other => panic!("no cut: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_removed_key_verifies_nothing_and_what_it_verified_is_cut_like_a_revoked_token() {
    let place = Place::new().await;
    let mut gateways = place.listen("gateways").await;
    let (old, new) = (eddsa(), es256());
    for tenant in ["t", "other"] {
        add(&place, tenant, "old", old.name, &old.verifies).await.expect("added");
    }
    add(&place, "t", "new", new.name, &new.verifies).await.expect("added");
    let (by_old, by_new) = (signed(&old, None, &claims()), signed(&new, None, &claims()));
    let of_other = signed(&old, None, &with("tenant", json!("other")));
    let mut signers = Vec::new();
    for token in [&by_old, &by_new, &of_other, &place.mint("ann", "web").await] {
        signers.push(place.authenticate(token).await.expect("good").signed_by);
    }
    let ended = signers[0].clone();
    signers.sort();
    signers.dedup();
    assert!(signers.len() == 4 && signers.iter().all(|signer| !signer.is_empty()), "each key has a name of its own");

    remove(&place, "t", "old").await.expect("removed");
    let (code, signed_by) = ("token_revoked".to_owned(), ended);
    let expected = Cut { code, signed_by, ..Cut::default() };
    assert_eq!(cut(&mut gateways).await, (1, expected.clone()));
    assert_eq!(place.authenticate(&by_old).await, Err(Code::Unauthenticated), "at once");
    assert!(place.authenticate(&by_new).await.is_ok() && place.authenticate(&of_other).await.is_ok());
    // Once more, for who was just connecting.
    assert_eq!(cut(&mut gateways).await, (2, expected));

    for (tenant, id, code) in [
        ("t", "old", Code::NotFound),
        ("t", "never", Code::NotFound),
        ("nobody", "old", Code::NotFound),
        ("t", "minted", Code::InvalidArgument),
        ("t", "", Code::InvalidArgument),
        ("~", "resume", Code::InvalidArgument),
    ] {
        assert_eq!(remove(&place, tenant, id).await, Err(code), "{tenant} {id}");
    }
    // There is room for the next one.
    assert!(add(&place, "t", "third", "HS256", &[1; 32]).await.is_ok());
    assert!(place.restarted().await.authenticate(&by_old).await.is_err(), "for good");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_replaced_counts_as_removed_and_one_that_is_added_again_does_not() {
    let place = Place::new().await;
    let mut gateways = place.listen("gateways").await;
    let (old, new) = (hs256(1), hs256(2));
    add(&place, "t", "k", old.name, &old.verifies).await.expect("added");
    let before = place.authenticate(&signed(&old, None, &claims())).await.expect("good").signed_by;
    add(&place, "t", "k", old.name, &old.verifies).await.expect("as it is");
    add(&place, "t", "k", new.name, &new.verifies).await.expect("replaced");
    let (number, cut) = cut(&mut gateways).await;
    assert_eq!((number, cut.signed_by), (1, before.clone()));
    let after = place.authenticate(&signed(&new, None, &claims())).await.expect("good").signed_by;
    assert_ne!(after, before, "the one that is there now is not cut");
}

#[tokio::test(start_paused = true)]
async fn another_instance_stops_believing_a_removed_key_before_the_second_cut() {
    let place = Place::new().await;
    let pair = hs256(1);
    add(&place, "t", "k", pair.name, &pair.verifies).await.expect("added");
    let other = Place::over(place.store.clone(), place.clock.clone()).await;
    let token = signed(&pair, None, &claims());
    assert!(other.authenticate(&token).await.is_ok());
    remove(&place, "t", "k").await.expect("removed");
    let config = SessionConfig::default();
    assert!(config.signing_keys_fresh_ms < config.cut_again_ms);
    sleep(std::time::Duration::from_millis(config.signing_keys_fresh_ms)).await;
    assert_eq!(other.authenticate(&token).await, Err(Code::Unauthenticated));
}
