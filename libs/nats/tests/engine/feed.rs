use std::{fs, path::Path, sync::Arc, time::Duration};

use posthorn_clock::{sleep, timeout};
use posthorn_feed::{
    Feed, FeedError, FeedSink,
    conformance::{self, SinkWriter, Talk, by_conversation, drain, entry},
    letters,
};
use posthorn_nats::{JetStreamFeed, JetStreamLetters};
use posthorn_proto::internal::FeedEntry;
use posthorn_store::feed_partition;

use crate::place::{SOON, Server, engines, shared};

/// Of several conversations, the next `count` entries of each.
fn batch(talks: &mut [Talk], count: u64) -> Vec<FeedEntry> {
    let of = |talk: &mut Talk| {
        let rows = talk.rows(count);
        rows.into_iter().map(|row| entry(&talk.key, row)).collect::<Vec<_>>()
    };
    talks.iter_mut().flat_map(of).collect()
}

fn talks(count: usize) -> Vec<Talk> {
    (0..count).map(|n| Talk::new(&format!("c{n}"))).collect()
}

/// As whoever settles does: the whole batch again, until it is taken.
async fn publish(sink: &JetStreamFeed, batch: &[FeedEntry]) {
    let published = async {
        while sink.publish(batch.to_vec()).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, published).await.expect("taken");
}

/// Waits until the feed answers again.
async fn back(feed: &JetStreamFeed) {
    let answers = async {
        while feed.cursor("push", 0).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, answers).await.expect("answers");
}

#[tokio::test]
async fn the_feed_conforms() {
    if !engines() {
        return;
    }
    let (_server, client) = shared().await;
    let feed = client.feed();
    conformance::run(&*feed, &*client.feed(), &SinkWriter(feed.clone())).await;
}

#[tokio::test]
async fn dead_letters_conform() {
    if !engines() {
        return;
    }
    let (_server, client) = shared().await;
    letters::conformance::run(&JetStreamLetters::new(&client.connection)).await;
}

#[tokio::test]
async fn what_is_published_again_is_there_once_and_in_order() {
    if !engines() {
        return;
    }
    let mut server = Server::start().await;
    let client = server.client().await;
    let feed = client.feed();
    let mut talks = talks(40);
    let first = batch(&mut talks, 3);
    publish(&feed, &first).await;
    server.kill();
    let second = batch(&mut talks, 4);
    let refused = timeout(SOON, feed.publish(second.clone())).await.expect("ends");
    assert!(matches!(refused, Err(FeedError::Unavailable(_))), "{refused:?}");
    server.restart().await;
    // What was in already, what was not, and what never was.
    publish(&feed, &[first, second.clone()].concat()).await;
    publish(&feed, &second).await;
    let seqs = by_conversation(&drain(&*feed, "push").await);
    assert_eq!(seqs.len(), 40);
    for (name, seqs) in seqs {
        assert_eq!(seqs, [1, 2, 3, 4, 5, 6, 7], "{name}");
    }
    assert_eq!(client.metric("posthorn_feed_losses_total"), 0);
}

#[tokio::test]
async fn batches_that_a_kill_cut_through_end_complete_and_in_order() {
    if !engines() {
        return;
    }
    let mut server = Server::start().await;
    let client = server.client().await;
    let feed = client.feed();
    let mut talks = talks(20);
    let sink = Arc::clone(&feed);
    let all = batch(&mut talks, 100);
    let publishing = async {
        // Slices, each until it is taken: what a settling owner does.
        for (n, row) in (0..100).zip(1..) {
            let slice: Vec<_> = all.iter().filter(|e| e.row.as_ref().is_some_and(|r| r.seq == row)).cloned().collect();
            assert_eq!(slice.len(), 20, "slice {n}");
            publish(&sink, &slice).await;
        }
    };
    let killing = async {
        for _ in 0..3 {
            sleep(Duration::from_millis(30)).await;
            server.kill();
            server.restart().await;
        }
    };
    tokio::join!(publishing, killing);
    let seqs = by_conversation(&drain(&*feed, "push").await);
    assert_eq!(seqs.len(), 20);
    for (name, seqs) in seqs {
        assert!(seqs.iter().copied().eq(1..=100), "{name}: {seqs:?}");
    }
}

#[tokio::test]
async fn cursors_outlive_the_server_and_its_clients() {
    if !engines() {
        return;
    }
    let mut server = Server::start().await;
    let mut talks = talks(10);
    {
        let client = server.client().await;
        let feed = client.feed();
        publish(&feed, &batch(&mut talks, 2)).await;
        assert_eq!(drain(&*feed, "push").await.len(), 20);
    }
    server.kill();
    server.restart().await;
    let client = server.client().await;
    let feed = client.feed();
    assert!(drain(&*feed, "push").await.is_empty());
    publish(&feed, &batch(&mut talks, 1)).await;
    assert_eq!(drain(&*feed, "push").await.len(), 10);
    assert_eq!(drain(&*feed, "another").await.len(), 30);
}

#[tokio::test]
async fn a_feed_that_lost_its_storage_begins_beyond_all_offsets_and_says_so() {
    if !engines() {
        return;
    }
    let mut server = Server::start().await;
    let client = server.client().await;
    let feed = client.feed();
    let mut talks = talks(10);
    let first = batch(&mut talks, 5);
    publish(&feed, &first).await;
    let partition = feed_partition(&talks[0].key);
    assert_eq!(drain(&*feed, "push").await.len(), 50);
    let passed = feed.cursor("push", partition).await.expect("reads");
    let mut losses = feed.losses();
    assert_eq!(*losses.borrow_and_update(), 0);

    server.kill();
    server.nats.forget().expect("removes");
    server.restart().await;
    back(&feed).await;
    timeout(SOON, losses.wait_for(|&losses| losses == 1)).await.expect("told").expect("is there");
    assert_eq!(client.metric("posthorn_feed_losses_total"), 1);
    // Whoever published publishes again; whoever follows, from where it was, gets it again.
    publish(&feed, &first).await;
    let page = feed.read(partition, passed, 1_000).await.expect("reads");
    assert!(!page.is_empty() && page.iter().all(|fed| fed.offset > passed));
    let seqs = by_conversation(&drain(&*feed, "push").await);
    assert_eq!(seqs.len(), 10);
    assert!(seqs.values().all(|seqs| *seqs == [1, 2, 3, 4, 5]), "{seqs:?}");
}

#[tokio::test]
async fn a_stream_that_went_back_and_was_filled_up_by_others_is_found_by_the_cursor() {
    if !engines() {
        return;
    }
    let mut server = Server::start().await;
    let mut talks = talks(10);
    let (copy, stream) = (tempfile::tempdir().expect("a folder"), server.folder().join(STREAM));
    {
        let client = server.client().await;
        let feed = client.feed();
        publish(&feed, &batch(&mut talks, 2)).await;
        server.nats.process().terminate(SOON).await.expect("ends");
        copy_all(&stream, copy.path());
        server.restart().await;
        publish(&feed, &batch(&mut talks, 3)).await;
        assert_eq!(drain(&*feed, "push").await.len(), 50);
    }
    // A power cut takes the end of the entries; the cursors were on disk.
    server.kill();
    fs::remove_dir_all(&stream).expect("removes");
    copy_all(copy.path(), &stream);
    server.restart().await;
    let client = server.client().await;
    let feed = client.feed();
    // As many as were lost, and more, before anybody looks at a cursor.
    publish(&feed, &batch(&mut talks, 9)).await;
    let seqs = by_conversation(&drain(&*feed, "push").await);
    assert_eq!(seqs.len(), 10);
    for (name, seqs) in seqs {
        assert_eq!(seqs, [1, 2, 6, 7, 8, 9, 10, 11, 12, 13, 14], "{name}");
    }
    assert_eq!(client.metric("posthorn_feed_losses_total"), 1);
}

/// Where the server keeps the entries.
const STREAM: &str = "jetstream/$G/streams/posthorn_feed";

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("makes");
    for entry in fs::read_dir(from).expect("lists") {
        let entry = entry.expect("an entry");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_all(&from, &to);
        } else {
            fs::copy(&from, &to).expect("copies");
        }
    }
}
