//! NATS and Redis that speak TLS only, ask for a certificate and for a password (for CQL the driver's own tests do
//! this), and services that speak TLS to each other.

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};
use bytes::Bytes;
use posthorn_bus::{Bus, Delivery};
use posthorn_clock::{Clock, sleep, timeout};
use posthorn_core::{Held, TenantId, UserId, UserKey};
use posthorn_engines::{Mode, mode, nats::Nats, ports::Port, redis};
use posthorn_nats::{Connection, NatsBus, NatsConfig};
use posthorn_node::{ClusterConfig, Role};
use posthorn_presence::{ConnectionRef, Presence};
use posthorn_presence_redis::{RedisConfig, RedisPresence};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;

use crate::{
    authority::{Authority, Identity},
    fleet::Fleet,
    process::WAIT,
};

const HOST: &str = "127.0.0.1";
/// A connection that is let in takes a small part of this.
const REFUSED: Duration = Duration::from_secs(2);

struct Place {
    authority: Authority,
    stranger: Authority,
    server: Identity,
    client: Identity,
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Result<Option<Self>> {
        if mode() == Mode::Off {
            eprintln!("not run: POSTHORN_TEST_ENGINES=off");
            return Ok(None);
        }
        let (authority, stranger) = (Authority::new("engines")?, Authority::new("somebody else")?);
        let (server, client) = (authority.identity(HOST)?, authority.identity("client")?);
        Ok(Some(Self { authority, stranger, server, client, folder: tempfile::tempdir()? }))
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_is_reached_under_tls_with_a_certificate_and_a_password() -> Result<()> {
    let Some(place) = Place::new()? else { return Ok(()) };
    let (server, ca) = (&place.server, place.authority.file());
    let extra = format!(
        "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {ca:?}, verify: true }}\n\
         authorization {{ user: \"posthorn\", password: \"a secret\" }}",
        server.certificate, server.key
    );
    let nats = Nats::start_with(place.folder.path(), &extra).await?;
    let config = NatsConfig {
        servers: vec![nats.url()],
        tls: true,
        tls_ca_file: text(&ca),
        tls_cert_file: text(&place.client.certificate),
        tls_key_file: text(&place.client.key),
        user: "posthorn".to_owned(),
        password: "a secret".to_owned(),
        ..NatsConfig::default()
    };
    let tasks = Tasks::new();
    let open = async |config: NatsConfig| Connection::open(config, Clock::system(), &Metrics::default(), &tasks).await;
    let connection = open(config.clone()).await?;
    timeout(WAIT, connection.connected()).await?;
    let bus = NatsBus::new(&connection);
    let mut heard = bus.subscribe("gateways").await?;
    bus.publish("gateways", Bytes::from_static(b"hello")).await?;
    ensure!(timeout(WAIT, heard.next()).await? == Some(Delivery::Message(Bytes::from_static(b"hello"))));

    let wrong: [(&str, NatsConfig); 3] = [
        ("no certificate", NatsConfig { tls_cert_file: String::new(), tls_key_file: String::new(), ..config.clone() }),
        ("a stranger's authority", NatsConfig { tls_ca_file: text(&place.stranger.file()), ..config.clone() }),
        ("a wrong password", NatsConfig { password: "another".to_owned(), ..config }),
    ];
    for (what, config) in wrong {
        let refused = open(config).await?;
        ensure!(timeout(REFUSED, refused.connected()).await.is_err(), "let in with {what}");
    }
    tasks.stop();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_reached_under_tls_with_a_certificate_and_a_password() -> Result<()> {
    let Some(place) = Place::new()? else { return Ok(()) };
    let port = Port::free()?;
    let (number, certificate, key) =
        (port.number().to_string(), text(&place.server.certificate), text(&place.server.key));
    let ca = text(&place.authority.file());
    let arguments = [
        ("--tls-port", number.as_str()),
        ("--tls-cert-file", &certificate),
        ("--tls-key-file", &key),
        ("--tls-ca-cert-file", &ca),
        ("--tls-auth-clients", "yes"),
        ("--save", ""),
    ];
    let arguments: Vec<String> =
        arguments.into_iter().flat_map(|(key, value)| [key.to_owned(), value.to_owned()]).collect();
    let server = redis::Server::start(place.folder.path(), "redis", &arguments).await?;
    server.ask(&["ACL", "SETUSER", "posthorn", "on", ">a-secret", "~*", "&*", "+@all"])?;
    let config = RedisConfig {
        addresses: vec![format!("{HOST}:{number}")],
        tls: true,
        tls_ca_file: ca,
        tls_cert_file: text(&place.client.certificate),
        tls_key_file: text(&place.client.key),
        user: "posthorn".to_owned(),
        password: "a-secret".to_owned(),
        settle_ms: 0,
        ..RedisConfig::default()
    };
    let tasks = Tasks::new();
    let open = |config: RedisConfig| RedisPresence::open(config, Clock::system(), &Metrics::default(), &tasks);
    let presence = open(config.clone())?;
    timeout(WAIT, presence.when_connected()).await?;
    let user = UserKey { tenant: TenantId::new("acme")?, user: UserId::new("ann")? };
    let at = ConnectionRef { gateway: "g".to_owned(), connection: 1 };
    presence.lease("g", Held::default()).await?;
    presence.register(&user, "phone", &at).await?;
    ensure!(presence.lookup(&[user]).await? == [at]);

    let wrong: [(&str, RedisConfig); 3] = [
        ("no certificate", RedisConfig { tls_cert_file: String::new(), tls_key_file: String::new(), ..config.clone() }),
        ("a stranger's authority", RedisConfig { tls_ca_file: text(&place.stranger.file()), ..config.clone() }),
        ("a wrong password", RedisConfig { password: "another".to_owned(), ..config }),
    ];
    for (what, config) in wrong {
        let refused = open(config)?;
        ensure!(timeout(REFUSED, refused.when_connected()).await.is_err(), "let in with {what}");
    }
    tasks.stop();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn services_speak_tls_to_each_other_and_take_new_certificates_while_people_talk() -> Result<()> {
    let authority = Authority::new("services")?;
    let own = authority.identity(HOST)?;
    let files = ClusterConfig {
        tls_ca_file: text(&authority.file()),
        tls_cert_file: text(&own.certificate),
        tls_key_file: text(&own.key),
        tls_reload_ms: 50,
        ..ClusterConfig::default()
    };
    let metrics = Metrics::default();
    let mut fleet = Fleet::start_over(files.network(&metrics)?, |_| {}).await;
    let (mut ann, mut ben) = (fleet.join(0, "ann").await, fleet.join(1, "ben").await);
    fleet.create("c", &["ann", "ben"]).await;
    ann.say("c", "encrypted").await.expect("stored");
    ben.entries_to("c", 2).await.expect("shown");

    // In the files of the one before.
    authority.identity(HOST)?;
    let taken = async {
        while !metrics.encode().contains(r#"rpc_tls_reloads_total{result="ok"}"#) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(WAIT, taken).await?;
    // It makes its connections with the new ones, and the others have theirs.
    let late = fleet.add(&[Role::Gateway], true).await;
    let mut cyd = fleet.join(late, "ben").await;
    ann.say("c", "still").await.expect("stored");
    for person in [&mut ben, &mut cyd] {
        person.entries_to("c", 3).await.expect("shown");
    }
    fleet.stop().await;
    Ok(())
}
