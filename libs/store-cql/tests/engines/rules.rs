//! Rules of the append protocol that only a driver of a database can break: what is sent, at which level, and
//! what it makes of an answer that never came. docs/storage.md says which test holds which rule.

use std::sync::Arc;

use posthorn_clock::Clock;
use posthorn_core::{Chain, Shard};
use posthorn_proto::internal::{MemberRecord, RegisterRecord};
use posthorn_store::{
    Beat, InstanceId, RecordKey, Settlement, Store, Table,
    conformance::{self, Driver, append, append_and_settle, instance, key, owner, rows, user},
};
use posthorn_store_cql::{CqlConfig, CqlStore, OpenError};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;

use super::{
    place,
    wire::{LOCAL_QUORUM, LOCAL_SERIAL, Sent, Wire},
};

/// A store of the shared tables that is reached over a wire, with little patience.
struct Wired {
    store: Arc<CqlStore>,
    wire: Wire,
    tasks: Tasks,
}

impl Wired {
    async fn new(config: &CqlConfig) -> Self {
        let tasks = Tasks::new();
        let wire = Wire::to(config.nodes[0].parse().expect("an address"), &tasks).await;
        let impatient =
            CqlConfig { attempt_timeout_ms: 1_000, max_attempts: 2, conditional_timeout_ms: 1_500, ..wire.of(config) };
        Self { store: place::open(&impatient).await, wire, tasks }
    }

    fn driver(&self) -> Driver {
        Arc::clone(&self.store) as Driver
    }

    async fn register(&self, name: &str) -> InstanceId {
        let instance = instance(name);
        self.store.register(&instance, "here").await.expect("registers");
        instance
    }
}

impl Drop for Wired {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_statement_goes_out_at_its_level_and_ownership_only_conditionally() {
    if !place::on() {
        return;
    }
    let config = place::shared().await;
    let wired = Wired::new(&config).await;
    let (store, lobby, ann) = (&wired.store, key("t", "lobby"), user("t", "ann"));
    let (a, epoch) = owner(&wired.driver(), "a", &[&lobby]).await;
    let mut write = append(&lobby, &a, rows(Chain::START, 1..=3, (epoch, 1)));
    write.members = vec![("ann".to_owned(), MemberRecord { as_of_seq: 3, ..MemberRecord::default() })];
    append_and_settle(&wired.driver(), write).await;
    store.append(append(&lobby, &a, rows(Chain::START, 4..=4, (epoch, 1)))).await.expect("appends");
    store.write_registers(&ann, vec![("lobby".to_owned(), RegisterRecord::default())]).await.expect("writes");
    store.beat(&Beat { instance: a.clone(), address: "here".into(), count: 1, leaving: false }).await.expect("beats");
    let record = RecordKey { table: Table::Users, tenant: "t".to_owned(), key: "ann".to_owned() };
    for value in ["one", "two"] {
        store.put_record(&record, bytes::Bytes::from(value), false).await.expect("puts");
    }
    store.fence(&a).await.expect("fences");
    let b = wired.register("b").await;
    let claimed = store.claim(&[lobby.shard()], &b, "there").await.expect("claims").remove(0);
    store.carried_over(&[lobby.shard()], &b).await.expect("carries over");
    store.release(lobby.shard(), claimed.epoch, &b, true).await.expect("releases");
    for read in [store.check(&a).await.is_ok(), store.beats().await.is_ok(), store.journal(&a).await.is_ok()] {
        assert!(read);
    }
    store.forget_beat(&a).await.expect("forgets");
    store.delete_record(&record).await.expect("deletes");

    let sent = wired.wire.sent();
    let about =
        |table: &str| sent.iter().filter(move |one| one.text.contains(&format!(".{table} "))).collect::<Vec<_>>();
    for table in ["instances", "shards", "users", "log", "heads", "members", "registers", "journal", "beats"] {
        assert!(!about(table).is_empty(), "nothing was sent about {table}");
    }
    for one in &sent {
        let read = one.text.starts_with("SELECT");
        let conditional = one.text.contains(" IF ");
        let of = |tables: &[&str]| tables.iter().any(|table| one.text.contains(&format!(".{table} ")));
        let (ownership, grows) = (of(&["instances", "shards"]), of(&["log", "heads", "members", "registers"]));
        if read {
            assert!([LOCAL_QUORUM, LOCAL_SERIAL].contains(&one.consistency), "{one:?}");
        } else {
            assert_eq!(one.consistency, LOCAL_QUORUM, "{one:?}");
            assert_eq!(conditional, ownership || of(&["users"]), "{one:?}");
        }
        assert!(!conditional || one.serial == Some(LOCAL_SERIAL), "{one:?}");
        assert!(!one.text.contains("TTL") || of(&["beats"]), "nothing but a beat goes by a clock: {one:?}");
        assert!(read || !grows || one.text.contains("USING TIMESTAMP"), "{one:?}");
        assert!(!(grows || ownership) || !one.text.starts_with("DELETE"), "{one:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conditional_write_whose_answer_was_lost_is_repeated_and_knows_itself() {
    if !place::on() {
        return;
    }
    let config = place::shared().await;
    let wired = Wired::new(&config).await;
    let (store, wire) = (&wired.store, &wired.wire);
    wire.keep_back("INSERT INTO", 1);
    let a = wired.register("a").await;
    let shard = [Shard(7)];
    for part in ["INSERT INTO", "UPDATE"] {
        wire.keep_back(part, 1);
        let claimed = store.claim(&shard, &a, "here").await.expect("claims").remove(0);
        assert!(claimed.inherits.is_empty(), "it does not inherit from itself");
        let row = store.shards().await.expect("lists").remove(0);
        assert_eq!((row.epoch, row.owner.expect("owned").0), (claimed.epoch, a.clone()), "its first try is it");
    }
    let record = RecordKey { table: Table::Idempotency, tenant: "t".to_owned(), key: "k".to_owned() };
    wire.keep_back("INSERT INTO", 1);
    let there = store.put_record(&record, bytes::Bytes::from("mine"), true).await;
    assert_eq!(there, Ok(None), "what is there is its own");
    wire.keep_back("UPDATE", 1);
    store.fence(&a).await.expect("fences");
    assert_eq!(store.check(&a).await, Ok(false));
}

/// A head whose members nobody has would be taken for the truth: nothing writes them again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_is_not_written_before_its_members_are() {
    if !place::on() {
        return;
    }
    let config = place::shared().await;
    let wired = Wired::new(&config).await;
    let lobby = key("t", "lobby");
    let (a, epoch) = owner(&wired.driver(), "a", &[&lobby]).await;
    let mut write = append(&lobby, &a, rows(Chain::START, 1..=1, (epoch, 1)));
    write.members = vec![("ann".to_owned(), MemberRecord { as_of_seq: 1, ..MemberRecord::default() })];
    wired.store.append(write.clone()).await.expect("appends");
    let (head, members) = (Some(write.head.clone()), write.members.clone());
    let settlement = Settlement { key: lobby.clone(), head, members, feed: Vec::new(), fed_seq: 0, remove: Vec::new() };
    let heads = |sent: &[Sent]| {
        let writes = |one: &&Sent| one.text.contains(".heads ") && !one.text.starts_with("SELECT");
        sent.iter().filter(writes).count()
    };
    wired.wire.keep_back(".members ", usize::MAX);
    let unknown = wired.store.settle(&a, vec![settlement.clone()]).await.expect_err("nobody answers");
    assert!(unknown.ambiguous(), "{unknown}");
    assert_eq!(heads(&wired.wire.sent()), 0, "{:?}", wired.wire.sent());
    wired.wire.let_all_through();
    wired.store.settle(&a, vec![settlement]).await.expect("settles");
    assert_eq!(heads(&wired.wire.sent()), 1, "{:?}", wired.wire.sent());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_nobody_answered_is_found_and_claimed_again() {
    if !place::on() {
        return;
    }
    let config = place::shared().await;
    let wired = Wired::new(&config).await;
    let (store, a, shard) = (&wired.store, wired.register("a").await, [Shard(7)]);
    wired.wire.keep_back("INSERT INTO", usize::MAX);
    let unknown = store.claim(&shard, &a, "here").await.expect_err("nobody answers");
    assert!(unknown.ambiguous(), "{unknown}");
    wired.wire.let_all_through();
    let row = store.shards().await.expect("lists").remove(0);
    assert_eq!(row.owner.as_ref().map(|(owner, _)| owner), Some(&a), "it was taken");
    let claimed = store.claim(&shard, &a, "here").await.expect("claims").remove(0);
    assert!(claimed.epoch > row.epoch && claimed.inherits.is_empty(), "{claimed:?}");
    let b = wired.register("b").await;
    assert_eq!(store.claim(&shard, &b, "there").await, Ok(Vec::new()), "it is taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_is_over_only_with_its_rows_and_its_note_and_may_be_repeated() {
    if !place::on() {
        return;
    }
    let config = place::shared().await;
    let wired = Wired::new(&config).await;
    let (store, lobby) = (&wired.store, key("t", "lobby"));
    let (a, epoch) = owner(&wired.driver(), "a", &[&lobby]).await;
    let write = append(&lobby, &a, rows(Chain::START, 1..=1, (epoch, 1)));
    for part in [".journal ", ".log "] {
        wired.wire.keep_back(part, usize::MAX);
        let unknown = store.append(write.clone()).await.expect_err("a part of it is not answered");
        assert!(unknown.ambiguous(), "{part}: {unknown}");
    }
    wired.wire.let_all_through();
    assert_eq!(store.append(write.clone()).await, Ok(false));
    assert_eq!(store.read_tail(&lobby, 0).await, Ok(write.rows), "repeated as it was, it is there once");
    assert_eq!(store.journal(&a).await, Ok(vec![lobby]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_stays_in_the_journal_until_its_head_is_known_to_be_there() {
    if !place::on() {
        return;
    }
    let config = place::shared().await;
    let wired = Wired::new(&config).await;
    let (store, lobby) = (&wired.store, key("t", "lobby"));
    let (a, epoch) = owner(&wired.driver(), "a", &[&lobby]).await;
    let write = append(&lobby, &a, rows(Chain::START, 1..=1, (epoch, 1)));
    let (key, head) = (lobby.clone(), Some(write.head.clone()));
    let settlement = Settlement { key, head, members: Vec::new(), feed: Vec::new(), fed_seq: 1, remove: vec![1] };
    store.append(write).await.expect("appends");
    for part in ["SET head", "SET fed"] {
        wired.wire.keep_back(part, usize::MAX);
        store.settle(&a, vec![settlement.clone()]).await.expect_err("a part of it is not answered");
        let removed = wired.wire.sent().iter().any(|one| one.text.contains("SET removed"));
        assert!(!removed, "{part}: the note was taken out before");
    }
    wired.wire.let_all_through();
    assert_eq!(store.journal(&a).await, Ok(vec![lobby]));
    store.settle(&a, vec![settlement]).await.expect("settles");
    assert_eq!(store.journal(&a).await, Ok(Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_whose_row_is_lost_counts_as_fenced_and_hands_over_to_its_next_name() {
    if !place::on() {
        return;
    }
    let config = place::shared().await;
    let store = place::open(&config).await;
    let driver = Arc::clone(&store) as Driver;
    let lobby = key("t", "lobby");
    let (a, epoch) = owner(&driver, "a", &[&lobby]).await;
    store.append(append(&lobby, &a, rows(Chain::START, 1..=1, (epoch, 1)))).await.expect("appends");
    place::statement(&config, &format!("DELETE FROM {}.instances WHERE instance = 'a' IF EXISTS", config.keyspace))
        .await;
    assert_eq!(store.check(&a).await, Ok(false), "missing means fenced");
    let next = instance("a-again");
    store.register(&next, "here").await.expect("registers");
    let claimed = store.claim(&[lobby.shard()], &next, "here").await.expect("claims").remove(0);
    assert!(claimed.epoch > epoch);
    assert_eq!(claimed.inherits, std::slice::from_ref(&a), "with what it had not settled");
    assert_eq!(store.journal(&a).await, Ok(vec![lobby.clone()]));
    assert_eq!(conformance::read_all(&driver, &lobby).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_home_data_centre_is_asked() {
    if !place::on() {
        return;
    }
    let config = CqlConfig { datacenter: "elsewhere".to_owned(), ..place::shared().await.clone() };
    let opened = CqlStore::open(&config, &Clock::system(), &Metrics::default(), &Tasks::new()).await;
    let refused = opened.err().expect("there is no such data centre");
    assert!(matches!(refused, OpenError::Config(_)) && !refused.may_pass(), "{refused}");
}
