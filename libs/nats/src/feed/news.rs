//! Who waits hears of what was stored: the servers publish the place of every new entry.

use std::{sync::Arc, time::Duration};

use async_nats::header::NATS_SEQUENCE;
use futures_util::StreamExt;
use posthorn_clock::sleep;
use posthorn_feed::PARTITIONS;
use tokio::sync::watch;

use crate::stream::FeedStream;

/// Between two tries to listen.
const RETRY: Duration = Duration::from_millis(500);

/// The last sequence heard of, per partition. May be behind, or ahead of what can still be read.
pub struct News(Vec<watch::Sender<u64>>);

impl News {
    pub fn follow(stream: &Arc<FeedStream>) -> Arc<Self> {
        let news = Arc::new(Self((0..PARTITIONS).map(|_| watch::Sender::default()).collect()));
        let (told, stream) = (Arc::clone(&news), Arc::clone(stream));
        let tasks = stream.connection.0.tasks.clone();
        tasks.background("feed news", tasks.until_stopped(async move { told.listen(&stream).await }));
        news
    }

    /// Nothing rests on it: what is not heard is found by the next read, a wait later.
    async fn listen(&self, stream: &FeedStream) {
        let prefix = format!("{}.news.", stream.connection.0.config.prefix);
        loop {
            stream.connection.connected().await;
            if let Ok((mut told, _)) = stream.connection.subscribe(format!("{prefix}*")).await {
                while let Some(message) = told.next().await {
                    let partition = message.subject.strip_prefix(&prefix).and_then(|n| n.parse::<usize>().ok());
                    let sequence = message.headers.as_ref().and_then(|headers| headers.get_last(NATS_SEQUENCE));
                    let sequence = sequence.and_then(|sequence| sequence.as_str().parse().ok());
                    if let (Some(last), Some(sequence)) = (partition.and_then(|n| self.0.get(n)), sequence)
                        && last.send_replace(sequence) >= sequence
                    {
                        stream.suspect();
                    }
                }
            }
            sleep(RETRY).await;
        }
    }

    pub fn last(&self, partition: u16) -> u64 {
        self.0.get(usize::from(partition)).map_or(0, |last| *last.borrow())
    }

    /// A read beyond `after` found nothing, and no news came since `before`: what was heard of is gone again.
    pub fn nothing_beyond(&self, partition: u16, after: u64, before: u64) {
        if let Some(last) = self.0.get(usize::from(partition)) {
            last.send_if_modified(|last| {
                let stale = *last == before && before > after;
                if stale {
                    *last = after;
                }
                stale
            });
        }
    }

    /// Returns once something beyond the sequence was heard of.
    pub async fn beyond(&self, partition: u16, sequence: u64) {
        match self.0.get(usize::from(partition)) {
            // The sender lives as long as self.
            Some(last) => drop(last.subscribe().wait_for(|last| *last > sequence).await),
            None => std::future::pending().await,
        }
    }
}
