//! Who is notified, over the store's model and the real storage service, in virtual time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use posthorn_bus::{Bus, memory::MemoryBus};
use posthorn_clock::{Clock, sleep};
use posthorn_core::{
    Chain, ConversationId, ConversationKey, Envelope, Kind, MessageId, TenantId, UserId, UserKey, conversation,
};
use posthorn_errors::Code;
use posthorn_feed::{
    consumer::{Handler, Run},
    letters::{LetterId, RecordLetters},
    memory::MemoryFeed,
};
use posthorn_proto::{
    client::Range,
    convert::encode_envelope,
    internal::{FeedEntry, Head, MarkAt, MemberRecord, RegisterRecord, Row},
};
use posthorn_rpc::{Link, Rpc, RpcConfig};
use posthorn_storage::{StorageDeps, StorageService};
use posthorn_store::{Append, InstanceId, Store, memory::MemoryStore};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;

use crate::{
    Notification, Provider, ProviderError, PushConfig, PushDeps, PushService, metrics::PushMetrics, telling::Telling,
};

const START_MS: u64 = 1_790_000_000_000;
const DELAY: Duration = Duration::from_millis(3_000);
const LONG: Duration = Duration::from_secs(60);

/// Keeps what it was told. Does not answer about these users as often as is said here.
#[derive(Default)]
struct Recorder {
    told: Mutex<Vec<(u64, String, String, u64)>>,
    failures: Mutex<BTreeMap<&'static str, u32>>,
    refused: Mutex<Option<&'static str>>,
    clock: Mutex<Option<Clock>>,
}

impl Recorder {
    fn fail(&self, user: &'static str, times: u32) {
        self.failures.lock().insert(user, times);
    }
}

#[async_trait]
impl Provider for Recorder {
    fn name(&self) -> &'static str {
        "recorder"
    }

    async fn notify(&self, n: &Notification) -> Result<(), ProviderError> {
        if self.refused.lock().is_some_and(|user| user == n.user) {
            return Err(ProviderError::Refused("on purpose".to_owned()));
        }
        if let Some(times) = self.failures.lock().get_mut(n.user.as_str())
            && *times > 0
        {
            *times -= 1;
            return Err(ProviderError::Unavailable("on purpose".to_owned()));
        }
        let at_ms = self.clock.lock().as_ref().map_or(0, Clock::now_ms) - START_MS;
        self.told.lock().push((at_ms, n.user.clone(), n.conversation.clone(), n.seq));
        Ok(())
    }
}

struct Place {
    store: Arc<MemoryStore>,
    clock: Clock,
    recorder: Arc<Recorder>,
    push: Arc<PushService>,
    tasks: Tasks,
    metrics: Metrics,
    epoch: Mutex<u64>,
}

fn key(conversation: &str) -> ConversationKey {
    let conversation = ConversationId::new(conversation).expect("an id");
    ConversationKey { tenant: TenantId::new("t").expect("an id"), conversation }
}

fn instance() -> InstanceId {
    InstanceId("owner".to_owned())
}

fn envelope(kind: Kind, author: &str, seq: u64, time_ms: u64) -> Bytes {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&seq.to_be_bytes());
    let (author, id) = (UserId::new(author).expect("an id"), MessageId::from_slice(&id).expect("an id"));
    encode_envelope(&Envelope { time_ms, ordinal: seq, ..conversation::envelope(kind, author, id) })
}

impl Place {
    async fn new() -> Self {
        let clock = Clock::simulated(3, START_MS);
        let store = MemoryStore::new(clock.clone());
        store.register(&instance(), "here").await.expect("registered");
        let place = Self::over(store, clock, PushConfig::default());
        let shards: Vec<_> = (0..posthorn_core::SHARDS).map(posthorn_core::Shard).collect();
        let claimed = place.store.claim(&shards, &instance(), "here").await.expect("claimed");
        *place.epoch.lock() = claimed[0].epoch;
        place
    }

    fn over(store: Arc<MemoryStore>, clock: Clock, config: PushConfig) -> Self {
        Self::of_group(store, clock, config, None)
    }

    fn of_group(store: Arc<MemoryStore>, clock: Clock, config: PushConfig, bus: Option<Arc<dyn Bus>>) -> Self {
        let (metrics, tasks) = (Metrics::default(), Tasks::new());
        let rpc = Rpc::new(RpcConfig::default(), &metrics, clock.clone());
        let storage = StorageService::new(StorageDeps { store: store.clone(), feed: None });
        let link = Link::local(&rpc, "storage", rpc.guard("storage", posthorn_storage::grpc::routes(storage)));
        let recorder = Arc::new(Recorder { clock: Mutex::new(Some(clock.clone())), ..Recorder::default() });
        let push = PushService::start(PushDeps {
            config,
            feed: Arc::new(MemoryFeed::new(store.clone())),
            letters: Arc::new(RecordLetters::new(store.clone())),
            storage: link.storage(),
            session: Link::not_yet().session(),
            provider: recorder.clone(),
            bus,
            clock: clock.clone(),
            metrics: metrics.clone(),
            tasks: tasks.clone(),
        });
        let push = push.expect("starts");
        Self { store, clock, recorder, push, tasks, metrics, epoch: Mutex::default() }
    }

    /// Stops, and starts another over the same store.
    async fn restarted(&self) -> Self {
        self.tasks.stop();
        assert!(self.tasks.ended(LONG).await);
        let again = Self::over(self.store.clone(), self.clock.clone(), PushConfig::default());
        *again.epoch.lock() = *self.epoch.lock();
        again
    }

    /// Appends entries of these (kind, author), with ann, bob and eve as the members.
    async fn append(&self, conversation: &str, from: u64, entries: &[(Kind, &str)]) {
        let key = key(conversation);
        let mut chain = match self.store.heads(std::slice::from_ref(&key)).await.expect("read").remove(0) {
            Some(head) => Chain::from_slice(&head.chain).expect("a chain"),
            None => Chain::START,
        };
        let mut rows = Vec::new();
        for (seq, (kind, author)) in (from..).zip(entries) {
            let envelope = envelope(*kind, author, seq, self.clock.now_ms());
            chain = chain.link(&envelope);
            let (epoch, chain) = (*self.epoch.lock(), chain.0.to_vec().into());
            rows.push(Row { seq, epoch, load: 1, chain, envelope, body: None });
        }
        let last = rows.last().expect("rows");
        let head = Head { seq: last.seq, ordinal: last.seq, chain: last.chain.clone(), ..Head::default() };
        let visible = vec![Range { from: 1, to: 0 }];
        let member = MemberRecord { present: true, as_of_seq: last.seq, visible, ..MemberRecord::default() };
        let members = ["ann", "bob", "eve"].map(|user| (user.to_owned(), member.clone())).into();
        let append = Append { key, instance: instance(), rows, head, members, effects: false, note: None };
        self.store.append(append).await.expect("appended");
    }

    async fn register(&self, user: &str, conversation: &str, version: u64, record: RegisterRecord) {
        let user = UserKey { tenant: TenantId::new("t").expect("an id"), user: UserId::new(user).expect("an id") };
        let visible = vec![Range { from: 1, to: 0 }];
        let record = RegisterRecord { visible, version_epoch: 1, version_counter: version, ..record };
        self.store.write_registers(&user, vec![(conversation.to_owned(), record)]).await.expect("written");
    }

    async fn members(&self, conversation: &str) {
        for user in ["ann", "bob", "eve"] {
            self.register(user, conversation, 1, RegisterRecord::default()).await;
        }
    }

    /// What was given up: (letter, why, attempts).
    async fn letters(&self) -> Vec<(LetterId, String, u32)> {
        let page = self.push.letters("push", None, 0).await.expect("lists");
        page.letters.into_iter().map(|(id, letter)| (id, letter.why, letter.attempts)).collect()
    }

    /// Who was told of which seq, in the order in which they were.
    fn seqs(&self) -> Vec<(String, u64)> {
        self.told().into_iter().map(|(_, user, _, seq)| (user, seq)).collect()
    }

    fn told(&self) -> Vec<(u64, String, String, u64)> {
        std::mem::take(&mut self.recorder.told.lock())
    }
}

fn told(at_ms: u64, user: &str, conversation: &str, seq: u64) -> (u64, String, String, u64) {
    (at_ms, user.to_owned(), conversation.to_owned(), seq)
}

#[tokio::test(start_paused = true)]
async fn who_has_not_received_it_after_the_delay_is_notified_and_the_author_is_not() {
    let place = Place::new().await;
    place.members("c").await;
    place.append("c", 1, &[(Kind::Message, "ann")]).await;
    sleep(DELAY / 2).await;
    let delivered = Some(MarkAt { seq: 1, ..MarkAt::default() });
    place.register("bob", "c", 2, RegisterRecord { delivered, ..RegisterRecord::default() }).await;
    assert_eq!(place.told(), []);
    sleep(LONG).await;
    assert_eq!(place.told(), [told(3_000, "eve", "c", 1)]);
}

#[tokio::test(start_paused = true)]
async fn who_was_not_told_of_joining_yet_is_waited_for_and_holds_up_nobody_else() {
    let place = Place::new().await;
    place.register("bob", "c", 1, RegisterRecord::default()).await;
    place.append("c", 1, &[(Kind::Message, "ann")]).await;
    place.append("other", 1, &[(Kind::Joined, "ann")]).await;
    sleep(DELAY + Duration::from_millis(1_200)).await;
    assert_eq!(place.told(), [told(3_000, "bob", "c", 1)], "eve's register is not there");
    place.register("eve", "c", 1, RegisterRecord::default()).await;
    sleep(LONG).await;
    assert_eq!(place.told(), [told(4_500, "eve", "c", 1)]);
    // What comes late counts as what comes in time: bob's second conversation is muted.
    place.append("d", 1, &[(Kind::Message, "ann")]).await;
    sleep(DELAY + Duration::from_millis(100)).await;
    place.register("bob", "d", 1, RegisterRecord { muted: true, ..RegisterRecord::default() }).await;
    place.register("eve", "d", 1, RegisterRecord::default()).await;
    sleep(LONG).await;
    let users: Vec<_> = place.told().into_iter().map(|(_, user, ..)| user).collect();
    assert_eq!(users, ["eve"]);
    assert!(place.metrics.encode().contains("posthorn_push_registers_missing_total 0"), "ann's is needed for nothing");
}

#[tokio::test(start_paused = true)]
async fn a_register_that_never_comes_is_waited_for_within_bounds_and_misses_nobody() {
    let place = Place::new().await;
    place.append("c", 1, &[(Kind::Message, "ann")]).await;
    sleep(LONG).await;
    let config = PushConfig::default();
    let at_ms = 3_000 + u64::from(config.max_register_looks) * config.register_retry_ms;
    assert_eq!(place.told(), [told(at_ms, "bob", "c", 1), told(at_ms, "eve", "c", 1)]);
    let text = place.metrics.encode();
    for line in [
        "posthorn_push_register_looks_total 10",
        "posthorn_push_registers_missing_total 2",
        r#"posthorn_broker_lag_messages{group="push"} 0"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_one_notification_each_of_the_newest_that_counts() {
    let place = Place::new().await;
    place.members("c").await;
    let burst = [(Kind::Message, "ann"), (Kind::Message, "bob"), (Kind::Message, "ann"), (Kind::Joined, "eve")];
    place.append("c", 1, &burst).await;
    sleep(LONG).await;
    assert_eq!(place.told(), [told(3_000, "ann", "c", 2), told(3_000, "bob", "c", 3), told(3_000, "eve", "c", 3)]);
    place.append("c", 5, &[(Kind::Reaction, "ann"), (Kind::Left, "ann")]).await;
    sleep(LONG).await;
    assert_eq!(place.told(), []);
}

#[tokio::test(start_paused = true)]
async fn a_restart_repeats_nothing_that_was_decided_and_skips_nothing_that_was_not() {
    let place = Place::new().await;
    place.members("c").await;
    place.append("c", 1, &[(Kind::Message, "ann")]).await;
    sleep(LONG).await;
    assert_eq!(place.told().len(), 2);
    let again = place.restarted().await;
    sleep(LONG).await;
    assert_eq!(again.told(), []);
    again.append("c", 2, &[(Kind::Message, "ann")]).await;
    sleep(DELAY / 2).await;
    let third = again.restarted().await;
    assert_eq!(again.told(), [], "it stopped before the delay had passed");
    sleep(LONG).await;
    let seqs: Vec<_> = third.told().into_iter().map(|(_, user, _, seq)| (user, seq)).collect();
    assert_eq!(seqs, [("bob".to_owned(), 2), ("eve".to_owned(), 2)]);
}

fn as_seen(told: &[(&str, u64)]) -> Vec<(String, u64)> {
    told.iter().map(|(user, seq)| ((*user).to_owned(), *seq)).collect()
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_does_not_take_is_a_dead_letter_and_who_was_told_is_not_told_again() {
    let place = Place::new().await;
    place.members("c").await;
    place.recorder.fail("bob", u32::MAX);
    place.recorder.fail("eve", 1);
    place.append("c", 1, &[(Kind::Message, "ann")]).await;
    sleep(LONG).await;
    assert_eq!(place.seqs(), as_seen(&[("eve", 1)]), "at her second try");
    let letters = place.letters().await;
    let [(id, why, attempts)] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!(id.to_string(), format!("t/c/{}/1", id.generation));
    assert_eq!((why.as_str(), *attempts), ("the provider does not answer: on purpose", 4));
    let text = place.metrics.encode();
    for line in [
        r#"posthorn_push_attempts_total{result="ok"} 1"#,
        r#"posthorn_push_attempts_total{result="unavailable"} 5"#,
        r#"posthorn_feed_consumer_entries_total{group="push",result="dead"} 1"#,
        r#"posthorn_broker_lag_messages{group="push"} 0"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }

    let kept = place.push.retry_letter("push", id).await.expect("tries");
    assert_eq!(kept.as_deref(), Some("the provider does not answer: on purpose"));
    assert_eq!(place.letters().await[0].2, 5);
    place.recorder.fail("bob", 0);
    assert_eq!(place.push.retry_letter("push", id).await.expect("tries"), None);
    assert_eq!(place.seqs(), as_seen(&[("bob", 1)]));
    assert_eq!(place.letters().await, []);
    assert_eq!(place.push.retry_letter("push", id).await.map_err(|failure| failure.code), Err(Code::NotFound));
    assert_eq!(place.push.discard_letter("push", id).await.map_err(|failure| failure.code), Err(Code::NotFound));
    let unknown = place.push.letters("hooks", None, 0).await;
    assert_eq!(unknown.map(drop).map_err(|failure| failure.code), Err(Code::NotFound));
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_refuses_is_a_dead_letter_at_once() {
    let place = Place::new().await;
    place.members("c").await;
    *place.recorder.refused.lock() = Some("bob");
    place.append("c", 1, &[(Kind::Message, "ann")]).await;
    sleep(DELAY + Duration::from_millis(1)).await;
    assert_eq!(place.seqs(), as_seen(&[("eve", 1)]));
    let letters = place.letters().await;
    assert_eq!((letters[0].1.as_str(), letters[0].2), ("the provider refused: on purpose", 1));
    place.push.discard_letter("push", &letters[0].0).await.expect("discards");
    assert_eq!(place.letters().await, []);
    let text = place.metrics.encode();
    assert!(text.contains(r#"entries_total{group="push",result="discarded"} 1"#), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_letter_is_for_all_who_were_not_told_of_its_entry_for_whatever_reason() {
    let place = Place::new().await;
    place.members("c").await;
    *place.recorder.refused.lock() = Some("bob");
    place.recorder.fail("eve", u32::MAX);
    place.append("c", 1, &[(Kind::Message, "ann")]).await;
    sleep(LONG).await;
    let letters = place.letters().await;
    assert_eq!((letters.len(), letters[0].2), (1, 4));
    *place.recorder.refused.lock() = None;
    place.recorder.fail("eve", 0);
    assert_eq!(place.push.retry_letter("push", &letters[0].0).await.expect("tries"), None);
    assert_eq!(place.seqs(), as_seen(&[("bob", 1), ("eve", 1)]));
}

#[tokio::test(start_paused = true)]
async fn who_has_received_it_meanwhile_is_not_told_by_a_retry() {
    let place = Place::new().await;
    place.members("c").await;
    place.recorder.fail("bob", u32::MAX);
    place.append("c", 1, &[(Kind::Message, "ann")]).await;
    sleep(LONG).await;
    let letters = place.letters().await;
    let delivered = Some(MarkAt { seq: 1, ..MarkAt::default() });
    place.register("bob", "c", 2, RegisterRecord { delivered, ..RegisterRecord::default() }).await;
    assert_eq!(place.push.retry_letter("push", &letters[0].0).await.expect("tries"), None);
    assert_eq!(place.seqs(), as_seen(&[("eve", 1)]));
}

#[tokio::test(start_paused = true)]
async fn later_entries_of_a_conversation_wait_for_those_that_fail_and_other_conversations_do_not() {
    let place = Place::new().await;
    place.tasks.stop();
    // An entry each time, so that what comes later is not decided together with it.
    let config = PushConfig { max_batch_entries: 1, ..PushConfig::default() };
    let single = Place::over(place.store.clone(), place.clock.clone(), config);
    *single.epoch.lock() = *place.epoch.lock();
    single.members("c").await;
    single.recorder.fail("bob", 2);
    single.recorder.fail("eve", u32::MAX);
    single.append("c", 1, &[(Kind::Message, "ann"), (Kind::Message, "ann"), (Kind::Message, "ann")]).await;
    sleep(LONG).await;
    assert_eq!(single.seqs(), as_seen(&[("bob", 1), ("bob", 2), ("bob", 3)]));
    let seqs: Vec<u64> = single.letters().await.iter().map(|(id, ..)| id.seq).collect();
    assert_eq!(seqs, [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_restart_between_tries_repeats_what_it_interrupted_and_loses_nothing() {
    let place = Place::new().await;
    place.members("c").await;
    place.append("c", 1, &[(Kind::Message, "ann")]).await;
    sleep(LONG).await;
    assert_eq!(place.seqs(), as_seen(&[("bob", 1), ("eve", 1)]));
    place.recorder.fail("bob", u32::MAX);
    place.append("c", 2, &[(Kind::Message, "ann")]).await;
    sleep(DELAY + Duration::from_millis(50)).await;
    assert_eq!(place.seqs(), as_seen(&[("eve", 2)]), "bob's first try failed");
    let again = place.restarted().await;
    assert_eq!(place.letters().await, [], "it was not given up");
    sleep(LONG).await;
    assert_eq!(again.seqs(), as_seen(&[("bob", 2), ("eve", 2)]), "the batch, and nothing before it");
    assert_eq!(again.letters().await, []);
}

#[tokio::test(start_paused = true)]
async fn what_storage_does_not_answer_is_no_fault_of_the_entry() {
    let telling = Telling {
        config: PushConfig::default(),
        storage: Link::not_yet().storage(),
        provider: Arc::new(Recorder::default()),
        clock: Clock::simulated(3, START_MS),
        metrics: PushMetrics::new(&Metrics::default()),
    };
    let row = Row { seq: 1, envelope: envelope(Kind::Message, "ann", 1, START_MS), ..Row::default() };
    let entry = FeedEntry { tenant: "t".to_owned(), conversation: "c".to_owned(), generation: 1, row: Some(row) };
    let run = Run { entries: vec![entry], users: None };
    assert!(telling.handle(&run).await.is_err(), "it is to be handed over again");
}

#[tokio::test(start_paused = true)]
async fn conversations_beyond_the_bound_notify_nobody_and_hold_nobody_up() {
    let place = Place::new().await;
    place.tasks.stop();
    let config = PushConfig { max_members: 2, ..PushConfig::default() };
    let small = Place::over(place.store.clone(), place.clock.clone(), config);
    *small.epoch.lock() = *place.epoch.lock();
    small.members("c").await;
    small.append("c", 1, &[(Kind::Message, "ann")]).await;
    sleep(LONG).await;
    assert_eq!(small.told(), []);
    assert!(small.metrics.encode().contains(r#"{result="too_many_members"} 1"#));
    assert!(small.metrics.encode().contains(r#"entries_total{group="push",result="handled"} 1"#));
}

/// Conversations enough that each of two processes has some.
async fn say_everywhere(place: &Place, seq: u64) {
    for conversation in 0..24 {
        place.append(&format!("c{conversation}"), seq, &[(Kind::Message, "ann")]).await;
    }
    sleep(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn processes_of_a_group_share_the_partitions_and_the_one_that_is_left_takes_all() {
    let bus = MemoryBus::new();
    let first = Place::new().await;
    first.tasks.stop();
    let join = || {
        let bus = Some(Arc::clone(&bus) as Arc<dyn Bus>);
        let place = Place::of_group(first.store.clone(), first.clock.clone(), PushConfig::default(), bus);
        *place.epoch.lock() = *first.epoch.lock();
        place
    };
    let (one, two) = (join(), join());
    for conversation in 0..24 {
        one.members(&format!("c{conversation}")).await;
    }
    sleep(LONG).await;
    say_everywhere(&one, 1).await;
    let (by_one, by_two) = (one.told(), two.told());
    // Bob and eve, once each.
    assert_eq!(by_one.len() + by_two.len(), 48, "{} and {}", by_one.len(), by_two.len());
    assert!(!by_one.is_empty() && !by_two.is_empty());

    two.tasks.stop();
    assert!(two.tasks.ended(LONG).await);
    say_everywhere(&one, 2).await;
    assert_eq!((one.told().len(), two.told().len()), (48, 0));

    // A third comes, and takes its part from the one.
    let three = join();
    sleep(LONG).await;
    say_everywhere(&one, 3).await;
    let (by_one, by_three) = (one.told(), three.told());
    assert_eq!(by_one.len() + by_three.len(), 48);
    assert!(!by_three.is_empty());
}
