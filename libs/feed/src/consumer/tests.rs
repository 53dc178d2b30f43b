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
    letters::RecordLetters,
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
    fails: Mutex<BTreeMap<(String, u64), (u32, bool)>>,
}

impl Noted {
    fn fail(&self, name: &str, seq: u64, times: u32, for_good: bool) {
        self.fails.lock().insert((name.to_owned(), seq), (times, for_good));
    }

    fn of(&self, name: &str) -> Vec<u64> {
        self.seen.lock().iter().filter(|(of, _)| of == name).map(|(_, seq)| *seq).collect()
    }
}

#[async_trait]
impl Handler for Noted {
    async fn handle(&self, entry: &FeedEntry) -> Handled {
        let at = (entry.conversation.clone(), entry.row.as_ref().map_or(0, |row| row.seq));
        if let Some((times, for_good)) = self.fails.lock().get_mut(&at)
            && *times > 0
        {
            *times -= 1;
            return if *for_good { Handled::Dead("refused".into()) } else { Handled::Retry("busy".into()) };
        }
        self.seen.lock().push(at);
        Handled::Done
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
        }
    }

    /// Runs until everything had time to happen, and stops.
    async fn run(&self) -> Arc<Consumer> {
        let tasks = Tasks::new();
        let config = ConsumerConfig { max_attempts: 3, max_batch_entries: 4, ..ConsumerConfig::default() };
        let deps = ConsumerDeps {
            group: "test",
            config,
            feed: self.feed.clone(),
            log: self.log.clone(),
            letters: self.letters.clone(),
            handler: self.handler.clone(),
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
    assert_eq!([place.counted("duplicate"), place.counted("filled"), place.counted("handled")], [4, 4, 5]);
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
