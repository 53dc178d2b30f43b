//! Tenants, API keys, profiles, and the bounds of minting.

use posthorn_proto::internal::{
    AuthenticateKeyReply, AuthenticateKeyRequest, CreateApiKeyReply, CreateApiKeyRequest, GetUsersRequest, KeyScope,
    PutUserRequest, RevokeApiKeyRequest,
};
use posthorn_store::{RecordKey, Store, Table};

use super::*;

async fn key(place: &Place, tenant: &str, scope: KeyScope) -> Result<CreateApiKeyReply, Code> {
    let request = CreateApiKeyRequest { tenant: tenant.into(), scope: scope.into() };
    let made = place.client.clone().create_api_key(request).await;
    made.map(tonic::Response::into_inner).map_err(|status| failure_of(&status).code)
}

async fn who(place: &Place, key: &str) -> Result<AuthenticateKeyReply, Code> {
    let reply = place.client.clone().authenticate_key(AuthenticateKeyRequest { key: key.into() }).await;
    reply.map(tonic::Response::into_inner).map_err(|status| failure_of(&status).code)
}

#[tokio::test(start_paused = true)]
async fn an_api_key_is_of_one_tenant_or_of_the_operator_and_ends_when_revoked() {
    let place = Place::new().await;
    let ours = key(&place, "t", KeyScope::Tenant).await.expect("made");
    let operator = key(&place, "", KeyScope::Operator).await.expect("made");
    let again = place.restarted().await;
    let known = who(&again, &ours.key).await.expect("known");
    assert_eq!((known.scope(), known.tenant.as_str(), &known.key_id), (KeyScope::Tenant, "t", &ours.key_id));
    let known = who(&again, &operator.key).await.expect("known");
    assert_eq!((known.scope(), known.tenant.as_str()), (KeyScope::Operator, ""));

    // Another tenant cannot revoke it.
    for tenant in ["other", "", "t"] {
        assert!(who(&again, &ours.key).await.is_ok());
        let request = RevokeApiKeyRequest { tenant: tenant.into(), key_id: ours.key_id.clone() };
        again.client.clone().revoke_api_key(request).await.expect("answered");
    }
    assert_eq!(who(&again, &ours.key).await, Err(Code::Unauthenticated));
    assert!(who(&again, &operator.key).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_key_with_any_letter_changed_is_no_key() {
    let place = Place::new().await;
    let made = key(&place, "t", KeyScope::Tenant).await.expect("made").key;
    for at in 0..made.len() {
        let mut bytes = made.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).expect("ASCII");
        assert_eq!(who(&place, &changed).await, Err(Code::Unauthenticated), "{at}");
    }
    for junk in ["", "ph_", "ph_..", "ph_t..", "x", &made[..made.len() - 1], &"k".repeat(10_000)] {
        assert_eq!(who(&place, junk).await, Err(Code::Unauthenticated), "{junk}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_secret_of_an_api_key_is_kept() {
    let place = Place::new().await;
    let made = key(&place, "t", KeyScope::Tenant).await.expect("made").key;
    let secret = made.rsplit('.').next().expect("a secret");
    assert_eq!(secret.len(), 43, "256 bits");
    let records = place.store.list_records(Table::ApiKeys, "", "", 10).await.expect("listed");
    assert_eq!(records.len(), 1);
    for (_, value) in records {
        assert!(!String::from_utf8_lossy(&value).contains(secret));
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_bounded_and_need_a_tenant() {
    let place = Place::new().await;
    for _ in 0..2 {
        key(&place, "t", KeyScope::Tenant).await.expect("made");
    }
    assert_eq!(key(&place, "t", KeyScope::Tenant).await.err(), Some(Code::InvalidArgument));
    assert!(key(&place, "other", KeyScope::Tenant).await.is_ok(), "of each tenant");
    assert_eq!(key(&place, "nobody", KeyScope::Tenant).await.err(), Some(Code::NotFound));
    assert_eq!(key(&place, "~", KeyScope::Tenant).await.err(), Some(Code::InvalidArgument));
    assert_eq!(key(&place, "t", KeyScope::Unspecified).await.err(), Some(Code::InvalidArgument));
}

#[tokio::test(start_paused = true)]
async fn minted_tokens_say_what_was_asked_and_are_bounded() {
    let place = Place::new().await;
    let reply = place.authenticate(&place.mint("ann", "").await).await.expect("good");
    assert_eq!((reply.device.as_str(), reply.limit_class.as_str()), ("default", "fast"));
    assert_eq!((reply.expires_ms, reply.issued_ms), (START_MS + 60_000, START_MS));
    let request = |tenant: &str, user: &str, ttl_s| MintTokenRequest {
        tenant: tenant.into(),
        user: user.into(),
        device: "d".into(),
        ttl_s,
        limit_class: String::new(),
    };
    for (tenant, user, ttl_s, code) in [
        ("t", "ann", 0, Code::InvalidArgument),
        ("t", "ann", 2_592_001, Code::InvalidArgument),
        ("t", "ann", u64::MAX, Code::InvalidArgument),
        ("t", "system", 60, Code::InvalidArgument),
        ("t", "a b", 60, Code::InvalidArgument),
        ("nobody", "ann", 60, Code::NotFound),
    ] {
        let refused = place.client.clone().mint_token(request(tenant, user, ttl_s)).await.expect_err("refused");
        assert_eq!(failure_of(&refused).code, code, "{tenant} {user} {ttl_s}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_profile_is_created_once_renamed_and_erased() {
    let place = Place::new().await;
    let put = async |name: &str, if_absent| {
        let request = PutUserRequest { tenant: "t".into(), user: "ann".into(), name: name.into(), if_absent };
        place.client.clone().put_user(request).await.map(|reply| reply.into_inner().existed)
    };
    let names = async || {
        let request = GetUsersRequest { tenant: "t".into(), users: vec!["zoe".into(), "ann".into()] };
        let users = place.client.clone().get_users(request).await.expect("read").into_inner().users;
        users.into_iter().map(|user| (user.user, user.name, user.created_ms)).collect::<Vec<_>>()
    };
    let ann = |name: &str| vec![("ann".to_owned(), name.to_owned(), START_MS)];
    assert_eq!(names().await, []);
    assert!(!put("Ann", true).await.expect("created"));
    posthorn_clock::sleep(std::time::Duration::from_secs(1)).await;
    assert!(put("Other", true).await.expect("there"));
    assert_eq!(names().await, ann("Ann"));
    assert!(put("Anna", false).await.expect("renamed"));
    assert_eq!(names().await, ann("Anna"));
    put("", false).await.expect("erased");
    assert_eq!(names().await, ann(""));
    assert!(put(&"x".repeat(1_000), false).await.is_err());
    let key = RecordKey { table: Table::Users, tenant: "t".into(), key: "ann".into() };
    let kept = place.store.get_record(&key).await.expect("read").expect("there");
    assert!(!String::from_utf8_lossy(&kept).contains("Ann"));
}
