use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use posthorn_clock::{Clock, sleep};
use posthorn_core::ConversationKey;
use posthorn_proto::internal::{FeedEntry, Row};
use posthorn_store::{feed_partition, memory::MemoryStore};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;

use super::*;
use crate::{
    Fed, FeedError,
    conformance::{Talk, entry},
    letters::{DeadLetter, RecordLetters},
};

/// A feed of a list: what a transport that loses and repeats may hand over.
#[derive(Default)]
struct Listed {
    entries: Mutex<Vec<(u16, FeedEntry)>>,
    cursors: Mutex<BTreeMap<u16, u64>>,
}

impl Listed {
    fn put(&self, key: &ConversationKey, row: &Row) {
        self.entries.lock().push((feed_partition(key), entry(key, row.clone())));
    }
}

#[async_trait]
impl Feed for Listed {
    fn driver(&self) -> &'static str {
        "listed"
    }

    async fn read(&self, partition: u16, after: u64, limit: usize) -> Result<Vec<Fed>> {
        let entries = self.entries.lock();
        let numbered = entries.iter().zip(1..).filter(|((of, _), offset)| *of == partition && *offset > after);
        Ok(numbered.take(limit).map(|((_, entry), offset)| Fed { offset, entry: entry.clone() }).collect())
    }

    async fn wait(&self, _: u16, _: u64) {
        sleep(Duration::from_millis(100)).await;
    }

    async fn cursor(&self, _: &str, partition: u16) -> Result<u64> {
        Ok(self.cursors.lock().get(&partition).copied().unwrap_or(0))
    }

    async fn commit(&self, _: &str, partition: u16, offset: u64) -> Result<()> {
        self.cursors.lock().insert(partition, offset);
        Ok(())
    }
}

/// All rows of the conversations it knows; does not answer at first.
#[derive(Default)]
struct Logged {
    rows: Mutex<Vec<(ConversationKey, Row)>>,
    refusals: Mutex<u32>,
}

#[async_trait]
impl Log for Logged {
    async fn rows(&self, key: &ConversationKey, from: u64, to: u64, limit: u32) -> Result<Vec<Row>> {
        let mut refusals = self.refusals.lock();
        if *refusals > 0 {
            *refusals -= 1;
            return Err(FeedError::Unavailable("on purpose".to_owned()));
        }
        let rows = self.rows.lock();
        let ours = rows.iter().filter(|(of, row)| of == key && (from..=to).contains(&row.seq));
        Ok(ours.map(|(_, row)| row.clone()).take(limit as usize).collect())
    }
}

/// Notes what it handles; fails as it is told.
#[derive(Default)]
struct Noted {
    seen: Mutex<Vec<(String, u64)>>,
    /// How many were handed over together.
    runs: Mutex<Vec<usize>>,
    fails: Mutex<BTreeMap<(String, u64), (u32, bool)>>,
    /// By user, how often; in runs whose users matter.
    fails_for: Mutex<BTreeMap<&'static str, u32>>,
    told: Mutex<Vec<&'static str>>,
    away: Mutex<u32>,
}

impl Noted {
    fn fail(&self, name: &str, seq: u64, times: u32, for_good: bool) {
        self.fails.lock().insert((name.to_owned(), seq), (times, for_good));
    }

    fn of(&self, name: &str) -> Vec<u64> {
        self.seen.lock().iter().filter(|(of, _)| of == name).map(|(_, seq)| *seq).collect()
    }

    /// Tells each user of the last entry.
    fn tell(&self, run: &Run) -> Vec<Undone> {
        let seq = run.entries.last().and_then(|entry| entry.row.as_ref()).map_or(0, |row| row.seq);
        let mut undone = Vec::new();
        for (user, times) in self.fails_for.lock().iter_mut() {
            if run.users.as_ref().is_some_and(|users| !users.contains(*user)) {
                continue;
            }
            if *times == 0 {
                self.told.lock().push(user);
            } else {
                *times -= 1;
                undone.push(Undone { seq, user: (*user).to_owned(), why: "busy".to_owned(), again: true });
            }
        }
        undone
    }
}

#[async_trait]
impl Handler for Noted {
    fn rest(&self, batch: &[FeedEntry]) -> Duration {
        Duration::from_millis(batch.len() as u64)
    }

    async fn handle(&self, run: &Run) -> Result<Vec<Undone>, Away> {
        let mut away = self.away.lock();
        if *away > 0 {
            *away -= 1;
            return Err(Away("on purpose".to_owned()));
        }
        self.runs.lock().push(run.entries.len());
        for entry in &run.entries {
            let at = (entry.conversation.clone(), entry.row.as_ref().map_or(0, |row| row.seq));
            if let Some((times, for_good)) = self.fails.lock().get_mut(&at)
                && *times > 0
            {
                *times -= 1;
                let why = if *for_good { "refused" } else { "busy" };
                return Ok(vec![Undone { seq: at.1, user: String::new(), why: why.to_owned(), again: !*for_good }]);
            }
            self.seen.lock().push(at);
        }
        Ok(self.tell(run))
    }
}

struct Place {
    feed: Arc<Listed>,
    log: Arc<Logged>,
    handler: Arc<Noted>,
    metrics: Metrics,
    consumer_metrics: ConsumerMetrics,
    letters: Arc<RecordLetters>,
    clock: Clock,
    config: ConsumerConfig,
}

impl Place {
    fn new() -> Self {
        let (metrics, clock) = (Metrics::default(), Clock::simulated(1, 0));
        Self {
            feed: Arc::default(),
            log: Arc::default(),
            handler: Arc::default(),
            consumer_metrics: ConsumerMetrics::new(&metrics),
            metrics,
            letters: Arc::new(RecordLetters::new(MemoryStore::new(clock.clone()))),
            clock,
            config: ConsumerConfig { max_attempts: 3, max_batch_entries: 4, ..ConsumerConfig::default() },
        }
    }

    /// Runs until everything had time to happen, and stops.
    async fn run(&self) -> Arc<Consumer> {
        let tasks = Tasks::new();
        let deps = ConsumerDeps {
            group: "test",
            config: self.config.clone(),
            feed: self.feed.clone(),
            log: self.log.clone(),
            letters: self.letters.clone(),
            handler: self.handler.clone(),
            bus: None,
            clock: self.clock.clone(),
            metrics: self.consumer_metrics.clone(),
            tasks: tasks.clone(),
        };
        let consumer = Consumer::start(deps).expect("starts");
        sleep(Duration::from_secs(60)).await;
        tasks.stop();
        assert!(tasks.ended(Duration::from_secs(1)).await);
        consumer
    }

    fn counted(&self, result: &str) -> u64 {
        let name = format!("posthorn_feed_consumer_entries_total{{group=\"test\",result=\"{result}\"}} ");
        let text = self.metrics.encode();
        text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or(0)
    }
}

#[tokio::test(start_paused = true)]
async fn copies_are_dropped_and_holes_are_filled_from_the_log() {
    let place = Place::new();
    let mut talk = Talk::new("holed");
    let rows = talk.rows(9);
    place.log.rows.lock().extend(rows.iter().map(|row| (talk.key.clone(), row.clone())));
    *place.log.refusals.lock() = 2;
    // 3 to 5 and 7 were lost; 1, 2 and 6 come again, late.
    for n in [1, 2, 2, 6, 1, 2, 8, 6, 9] {
        place.feed.put(&talk.key, &rows[n - 1]);
    }
    place.run().await;
    assert_eq!(place.handler.of("holed"), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!([place.counted("filled"), place.counted("handled")], [4, 5]);
    assert!(place.metrics.encode().contains("posthorn_broker_redeliveries_total{group=\"test\"} 4"));
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_tried_again_in_its_place() {
    let place = Place::new();
    let mut talk = Talk::new("tried");
    for row in talk.rows(3) {
        place.feed.put(&talk.key, &row);
    }
    place.handler.fail("tried", 2, 2, false);
    place.run().await;
    assert_eq!(place.handler.of("tried"), [1, 2, 3]);
    assert_eq!(place.counted("dead"), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_given_up_is_parked_and_the_conversation_goes_on() {
    let place = Place::new();
    let mut talk = Talk::new("bad");
    for row in talk.rows(4) {
        place.feed.put(&talk.key, &row);
    }
    place.handler.fail("bad", 2, u32::MAX, false);
    place.handler.fail("bad", 3, 1, true);
    let consumer = place.run().await;
    assert_eq!(place.handler.of("bad"), [1, 4]);
    let page = consumer.letters(None, 10).await.expect("lists");
    let told: Vec<_> = page.letters.iter().map(|(id, letter)| (id.seq, letter.attempts, letter.why.as_str())).collect();
    assert_eq!(told, [(2, 3, "busy"), (3, 1, "refused")]);
    assert_eq!(place.counted("dead"), 2);

    let [second, third] = [&page.letters[0].0, &page.letters[1].0];
    assert_eq!(consumer.redrive(second).await.expect("handles"), Redriven::Kept("busy".to_owned()));
    assert_eq!(consumer.redrive(third).await.expect("handles"), Redriven::Done);
    assert_eq!(consumer.redrive(third).await.expect("looks"), Redriven::Missing);
    assert_eq!(place.handler.of("bad"), [1, 4, 3]);
    assert!(consumer.discard(second).await.expect("discards"));
    assert!(!consumer.discard(second).await.expect("looks"));
    assert_eq!([place.counted("redriven"), place.counted("discarded")], [1, 1]);
    assert!(consumer.letters(None, 10).await.expect("lists").letters.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_bad_conversation_keeps_no_other_from_being_handled() {
    let place = Place::new();
    let names: Vec<String> = (0..40).map(|n| format!("c{n}")).collect();
    for name in &names {
        let mut talk = Talk::new(name);
        for row in talk.rows(2) {
            place.feed.put(&talk.key, &row);
        }
    }
    place.handler.fail("c7", 1, u32::MAX, false);
    place.run().await;
    for name in &names {
        let expected: &[u64] = if name == "c7" { &[2] } else { &[1, 2] };
        assert_eq!(place.handler.of(name), expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_after_what_was_committed() {
    let place = Place::new();
    let mut talk = Talk::new("again");
    for row in talk.rows(5) {
        place.feed.put(&talk.key, &row);
    }
    place.run().await;
    for row in talk.rows(2) {
        place.feed.put(&talk.key, &row);
    }
    place.run().await;
    assert_eq!(place.handler.of("again"), [1, 2, 3, 4, 5, 6, 7]);
}

#[tokio::test(start_paused = true)]
async fn entries_of_a_conversation_are_handed_over_together_up_to_the_bound() {
    let mut place = Place::new();
    place.config = ConsumerConfig { max_run_entries: 3, max_batch_entries: 16, ..place.config };
    let mut talk = Talk::new("together");
    let rows = talk.rows(8);
    place.log.rows.lock().extend(rows.iter().map(|row| (talk.key.clone(), row.clone())));
    // 5 was lost, and is in its place all the same.
    for n in [1, 2, 3, 4, 6, 7, 8] {
        place.feed.put(&talk.key, &rows[n - 1]);
    }
    place.run().await;
    assert_eq!(place.handler.of("together"), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(*place.handler.runs.lock(), [3, 3, 2]);
}

#[tokio::test(start_paused = true)]
async fn only_who_was_left_out_is_tried_again_and_named_in_the_letter() {
    let mut place = Place::new();
    place.config.max_run_entries = 4;
    *place.handler.fails_for.lock() = BTreeMap::from([("ann", 0), ("bob", 2), ("eve", 4)]);
    let mut talk = Talk::new("told");
    for row in talk.rows(2) {
        place.feed.put(&talk.key, &row);
    }
    let consumer = place.run().await;
    assert_eq!(*place.handler.told.lock(), ["ann", "bob"], "each once");
    let page = consumer.letters(None, 10).await.expect("lists");
    let [(id, letter)] = &page.letters[..] else { panic!("{page:?}") };
    assert_eq!((id.seq, letter.attempts, &letter.users[..]), (2, 3, &["eve".to_owned()][..]));
    assert_eq!(consumer.redrive(id).await.expect("handles"), Redriven::Kept("busy".to_owned()));
    assert_eq!(consumer.redrive(id).await.expect("handles"), Redriven::Done);
    assert_eq!(*place.handler.told.lock(), ["ann", "bob", "eve"]);
}

#[tokio::test(start_paused = true)]
async fn what_needs_something_that_is_away_waits_and_is_not_given_up() {
    let place = Place::new();
    *place.handler.away.lock() = 20;
    let mut talk = Talk::new("waits");
    for row in talk.rows(2) {
        place.feed.put(&talk.key, &row);
    }
    let consumer = place.run().await;
    assert_eq!(place.handler.of("waits"), [1, 2]);
    assert!(consumer.letters(None, 10).await.expect("lists").letters.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_letter_bounds_what_it_says() {
    let mut letter = DeadLetter::default();
    let undone = |user: String| Undone { seq: 1, user, why: "x".repeat(1_000), again: false };
    assert!(letter.leave((0..2_000).map(|n| undone(format!("u{n}"))).collect()));
    assert_eq!((letter.why.len(), letter.users.len()), (200, 0), "everybody's");
    assert!(!letter.leave(Vec::new()));
}
