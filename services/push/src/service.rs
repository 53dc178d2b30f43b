//! The consumer group of the feed that tells people, and the letters that it parked.

use std::sync::Arc;

use posthorn_bus::Bus;
use posthorn_clock::Clock;
use posthorn_errors::{Code, Failure};
use posthorn_feed::{
    Feed, FeedError,
    consumer::{Consumer, ConsumerDeps, ConsumerMetrics, Redriven},
    letters::{DeadLetters, LetterId, LetterPage},
};
use posthorn_rpc::{SessionClient, StorageClient};
use posthorn_tasks::Tasks;
use posthorn_telemetry::Metrics;

use crate::{Provider, PushConfig, log::StorageLog, metrics::PushMetrics, telling::Telling};

/// The feed's consumer group.
pub const GROUP: &str = "push";
/// Letters of one page.
pub const MAX_PAGE_LETTERS: u32 = 200;

/// What the service is made of.
pub struct PushDeps {
    pub config: PushConfig,
    pub feed: Arc<dyn Feed>,
    pub letters: Arc<dyn DeadLetters>,
    pub storage: StorageClient,
    /// For the providers that will send to devices.
    pub session: SessionClient,
    pub provider: Arc<dyn Provider>,
    /// Where the other processes of the group are heard; `None`: there are none.
    pub bus: Option<Arc<dyn Bus>>,
    pub clock: Clock,
    pub metrics: Metrics,
    pub tasks: Tasks,
}

pub struct PushService {
    consumer: Arc<Consumer>,
}

impl PushService {
    /// Begins where the group's cursors are.
    ///
    /// # Errors
    /// The feed does not take the group.
    pub fn start(deps: PushDeps) -> Result<Arc<Self>, Failure> {
        let config = deps.config.consumer();
        let telling = Telling {
            config: deps.config,
            storage: deps.storage.clone(),
            provider: deps.provider,
            clock: deps.clock.clone(),
            metrics: PushMetrics::new(&deps.metrics),
        };
        let consumer = Consumer::start(ConsumerDeps {
            group: GROUP,
            config,
            feed: deps.feed,
            log: Arc::new(StorageLog(deps.storage)),
            letters: deps.letters,
            handler: Arc::new(telling),
            bus: deps.bus,
            clock: deps.clock,
            metrics: ConsumerMetrics::new(&deps.metrics),
            tasks: deps.tasks,
        });
        Ok(Arc::new(Self { consumer: consumer.map_err(feed_failure)? }))
    }

    /// What was given up, a page of it. It is of all tenants: for the operator.
    pub async fn letters(&self, group: &str, after: Option<&str>, limit: u32) -> Result<LetterPage, Failure> {
        known(group)?;
        let limit = if limit == 0 { MAX_PAGE_LETTERS } else { limit.min(MAX_PAGE_LETTERS) };
        self.consumer.letters(after, limit as usize).await.map_err(feed_failure)
    }

    /// Tells those who were not told, now, and takes the letter away if that went well. Else why not.
    pub async fn retry_letter(&self, group: &str, id: &LetterId) -> Result<Option<String>, Failure> {
        known(group)?;
        match self.consumer.redrive(id).await.map_err(feed_failure)? {
            Redriven::Done => Ok(None),
            Redriven::Kept(why) => Ok(Some(why)),
            Redriven::Missing => Err(no_letter()),
        }
    }

    pub async fn discard_letter(&self, group: &str, id: &LetterId) -> Result<(), Failure> {
        known(group)?;
        let was = self.consumer.discard(id).await.map_err(feed_failure)?;
        if was { Ok(()) } else { Err(no_letter()) }
    }
}

fn known(group: &str) -> Result<(), Failure> {
    if group == GROUP { Ok(()) } else { Err(Failure::new(Code::NotFound, "no such consumer group")) }
}

fn no_letter() -> Failure {
    Failure::new(Code::NotFound, "no such letter")
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn feed_failure(error: FeedError) -> Failure {
    let code = match error {
        FeedError::Unavailable(_) => Code::Unavailable,
        FeedError::Damaged(_) | FeedError::TooLarge { .. } => Code::Internal,
    };
    Failure::new(code, error.to_string())
}
