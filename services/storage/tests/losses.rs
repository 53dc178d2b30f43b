//! The feed on a real server that loses what it had: storage publishes it again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use posthorn_clock::{Clock, sleep, timeout};
use posthorn_engines::{Mode, mode, nats::Nats};
use posthorn_feed::{
    Feed,
    conformance::{Talk, by_conversation, drain},
};
use posthorn_nats::{Connection, JetStreamFeed, NatsConfig};
use posthorn_proto::internal::{self as wire, Head, Settlement};
use posthorn_rpc::{Link, Rpc, RpcConfig, StorageClient};
use posthorn_storage::{StorageDeps, StorageService};
use posthorn_store::memory::{MemoryOptions, MemoryStore};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;

const SOON: Duration = Duration::from_secs(30);

/// Says more in every conversation, and settles it.
async fn say(storage: &mut StorageClient, talks: &mut [Talk], note: u64) {
    for talk in talks {
        let (tenant, conversation) = (talk.key.tenant.to_string(), talk.key.conversation.to_string());
        let shards = vec![u32::from(talk.key.shard().0)];
        let claim = wire::ClaimRequest { shards, instance: "owner".into(), address: "here".into() };
        let claimed = storage.claim(claim).await.expect("claims").into_inner().claimed;
        let mut rows = talk.rows(3);
        rows.iter_mut().for_each(|row| row.epoch = claimed[0].epoch);
        let head = Some(Head { seq: talk.seq, ..Head::default() });
        let append = wire::AppendRowsRequest {
            tenant: tenant.clone(),
            conversation: conversation.clone(),
            instance: "owner".into(),
            rows: rows.clone(),
            head: head.clone(),
            note: Some(note),
            ..wire::AppendRowsRequest::default()
        };
        storage.append(append).await.expect("appends");
        let settlement = Settlement {
            tenant,
            conversation,
            head,
            feed: rows,
            fed_seq: talk.seq,
            remove: vec![note],
            ..Settlement::default()
        };
        let settle = wire::SettleRequest { instance: "owner".into(), settlements: vec![settlement] };
        let settled = async {
            while !storage.settle(settle.clone()).await.expect("settles").into_inner().fed {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(SOON, settled).await.expect("fed");
    }
}

/// A consumer: drops what is not beyond its last of the conversation; nothing else is missing.
async fn consume(feed: &JetStreamFeed, has: &mut BTreeMap<String, Vec<u64>>) {
    for (conversation, seqs) in by_conversation(&drain(feed, "push").await) {
        let has = has.entry(conversation).or_default();
        for seq in seqs {
            if has.last().is_none_or(|last| seq > *last) {
                has.push(seq);
            }
        }
    }
}

#[tokio::test]
async fn what_the_feed_lost_is_published_again_also_where_nothing_new_comes() {
    if mode() == Mode::Off {
        eprintln!("POSTHORN_TEST_ENGINES=off: not run");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut nats = Nats::start(folder.path()).await.expect("a server");
    let config = NatsConfig { servers: vec![nats.url()], probe_ms: 100, reconnect_ms: 20, ..NatsConfig::default() };
    let (clock, metrics, tasks) = (Clock::system(), Metrics::default(), Tasks::new());
    let connection = Connection::open(config, clock.clone(), &metrics, &tasks).await.expect("usable");
    timeout(SOON, connection.connected()).await.expect("connects");
    // Of the storage process, and of the one that consumes.
    let (sink, feed) = (JetStreamFeed::new(&connection), JetStreamFeed::new(&connection));
    let options = MemoryOptions { settle_apart: true, ..MemoryOptions::default() };
    let store = MemoryStore::with_options(clock.clone(), options);
    let service = StorageService::new(StorageDeps { store, feed: Some(sink) });
    tasks.background("feed losses", tasks.until_stopped(Arc::clone(&service).follow_losses()));
    let rpc = Rpc::new(RpcConfig::default(), &metrics, clock);
    let mut storage = Link::local(&rpc, "storage", posthorn_storage::grpc::routes(service)).storage();
    let request = wire::RegisterRequest { instance: "owner".into(), address: "here".into() };
    storage.register(request).await.expect("registers");

    let mut talks: Vec<Talk> = (0..12).map(|n| Talk::new(&format!("c{n}"))).collect();
    let mut has = BTreeMap::new();
    say(&mut storage, &mut talks, 1).await;
    consume(&feed, &mut has).await;
    // Taken by the feed, seen by nobody.
    say(&mut storage, &mut talks, 2).await;
    nats.process().kill().expect("kills");
    nats.forget().expect("removes");
    nats.restart().await.expect("restarts");
    // In some of them people go on talking.
    timeout(SOON, connection.connected()).await.expect("connects");
    say(&mut storage, &mut talks[..3], 3).await;
    let complete = async {
        while !has.len().eq(&12) || !has.values().all(|seqs: &Vec<u64>| seqs.len() >= 6) {
            sleep(Duration::from_millis(100)).await;
            if feed.cursor("push", 0).await.is_ok() {
                consume(&feed, &mut has).await;
            }
            // Of those that went on, the hole is the consumer's to fill: the log has it.
            for seqs in has.values_mut() {
                let last = seqs.last().copied().unwrap_or(0);
                *seqs = (1..=last).collect();
            }
        }
    };
    timeout(SOON, complete).await.expect("all of it comes");
    for (n, talk) in talks.iter().enumerate() {
        let expected = if n < 3 { 9 } else { 6 };
        assert_eq!(has[talk.key.conversation.as_str()].len(), expected, "{}", talk.key.conversation);
    }
    tasks.stop();
    assert!(tasks.ended(SOON).await);
}
