//! Killed at any moment: a child process appends, says what was acknowledged, and dies by SIGKILL.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use posthorn_core::{Chain, ConversationKey};
use posthorn_proto::internal::Row;

use super::*;

const DIR: &str = "POSTHORN_STORE_CRASH_DIR";
const ROUNDS: u64 = 8;
const CONVERSATIONS: u64 = 6;

fn names() -> Vec<ConversationKey> {
    (0..CONVERSATIONS).map(|n| key("t", &format!("c{n}"))).collect()
}

/// Does nothing by itself: the process that the test below starts and kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_child_that_is_killed() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let store = open(Path::new(&dir));
    let driver = Arc::clone(&store) as Driver;
    // Whoever owned before is dead: the directory is ours.
    for shard in store.shards().await.expect("lists") {
        if let Some((dead, _)) = shard.owner {
            store.fence(&dead).await.expect("fences");
        }
    }
    let keys = names();
    let (me, epoch) = owner(&driver, &std::process::id().to_string(), &keys.iter().collect::<Vec<_>>()).await;
    let talks = keys.iter().map(async |key| {
        let head = store.heads(std::slice::from_ref(key)).await.expect("reads").remove(0).unwrap_or_default();
        let mut chain = Chain::from_slice(&head.chain).unwrap_or(Chain::START);
        for seq in head.seq + 1.. {
            let number = (epoch, 1);
            let sent = rows(chain, seq..=seq, number);
            chain = Chain::from_slice(&sent[0].chain).expect("16 bytes");
            store.append(append(key, &me, sent)).await.expect("appends");
            let mut out = std::io::stdout().lock();
            writeln!(out, "acked {} {seq}", key.conversation).and_then(|()| out.flush()).expect("the parent listens");
        }
    });
    conformance::join(talks).await;
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // SIGKILL; it may be dead already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Appends in a process of its own until `count` were acknowledged, then kills it. What was
/// acknowledged, by conversation.
fn run_and_kill(dir: &Path, count: u64, acked: &mut BTreeMap<String, u64>) {
    let this = std::env::current_exe().expect("this test");
    let mut child = Command::new(this);
    child.args(["--exact", "embedded::tests::crash::the_child_that_is_killed", "--nocapture"]);
    let child = child.env(DIR, dir).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts");
    let mut child = Killed(child);
    let mut lines = BufReader::new(child.0.stdout.take().expect("piped")).lines();
    let mut heard = 0;
    let mut note = |line: &str| {
        let mut words = line.split(' ').skip_while(|word| !word.ends_with("acked")).skip(1);
        let (Some(name), Some(seq)) = (words.next(), words.next().and_then(|seq| seq.parse().ok())) else {
            return 0;
        };
        acked.insert(name.to_owned(), seq);
        1
    };
    while heard < count {
        heard += note(&lines.next().expect("it goes on").expect("reads"));
    }
    child.0.kill().expect("kills");
    // What it said before it died counts as well; the last line may be cut off.
    for line in lines.map_while(Result::ok) {
        if line.split(' ').count() >= 3 && line.is_ascii() {
            note(&line);
        }
    }
}

/// Dense, each continuing the one before, each body its own.
pub(super) fn check_log(rows: &[Row]) {
    let mut chain = Chain::START;
    for (row, seq) in rows.iter().zip(1..) {
        assert_eq!(row.seq, seq);
        chain = chain.link(&row.envelope);
        assert_eq!(row.chain, chain.0.as_slice());
        let number = (row.epoch, row.load);
        assert_eq!(row.envelope, format!("envelope {seq} of {number:?}"));
        assert_eq!(row.body.as_deref(), Some(format!("body {seq} of {number:?}").as_bytes()));
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_missing_after_kill_9_at_any_moment() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut acked = BTreeMap::new();
    for round in 0..ROUNDS {
        run_and_kill(dir.path(), 3 + round * 37, &mut acked);
        let store = open(dir.path());
        let driver = Arc::clone(&store) as Driver;
        for key in names() {
            let log = read_all(&driver, &key).await;
            check_log(&log);
            let head = store.heads(std::slice::from_ref(&key)).await.expect("reads").remove(0).unwrap_or_default();
            assert_eq!(head.seq, log.len() as u64, "head and rows are one commit");
            let promised = acked.get(key.conversation.as_str()).copied().unwrap_or(0);
            assert!(head.seq >= promised, "{key:?} lost {promised} after round {round}: {}", head.seq);
            let partition = crate::feed_partition(&key);
            let fed = store.feed_read(partition, 0, usize::MAX).await.expect("reads");
            let ours = fed.iter().filter(|(_, entry)| entry.conversation == key.conversation.as_str());
            let fed: Vec<u64> = ours.map(|(_, entry)| entry.row.as_ref().map_or(0, |row| row.seq)).collect();
            assert_eq!(fed, seqs(&log), "the feed is in the same commit");
        }
    }
    assert!(acked.len() as u64 == CONVERSATIONS, "every conversation went on");
}
