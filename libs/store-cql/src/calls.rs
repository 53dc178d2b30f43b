//! Sending statements: bounded, timed, counted, and repeated where that is safe.

use std::{sync::Arc, time::Duration};

use posthorn_clock::{Clock, Instant, sleep, timeout};
use posthorn_core::backoff::Backoff;
use posthorn_store::{Result, StoreError};
use scylla::{
    client::session::Session,
    errors::ExecutionError,
    response::{PagingState, query_result::QueryResult},
    serialize::{batch::BatchValues, row::SerializeRow},
    statement::{
        batch::{Batch, BatchType},
        bound::BoundStatement,
        prepared::PreparedStatement,
    },
    value::{CqlValue, Row},
};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    CqlConfig,
    error::{Effect, damaged, verdict},
    metrics::StoreMetrics,
};

const RETRY_BASE_MS: u64 = 10;
const RETRY_CAP_MS: u64 = 500;

/// Sends statements. A write that failed without being certainly undone is [`StoreError::Ambiguous`],
/// whatever its later tries met; a read that failed is [`StoreError::Unavailable`].
pub(crate) struct Calls {
    pub session: Arc<Session>,
    pub metrics: StoreMetrics,
    pub clock: Clock,
    room: Semaphore,
    queue_wait: Duration,
    max_attempts: u32,
    conditional_timeout: Duration,
}

/// The answer of a conditional write.
pub(crate) struct Outcome {
    pub applied: bool,
    /// What is there instead, as far as the database says.
    columns: Vec<(String, Option<CqlValue>)>,
}

impl Outcome {
    pub fn take(&mut self, name: &str) -> Option<CqlValue> {
        self.columns.iter_mut().find(|(column, _)| column == name).and_then(|(_, value)| value.take())
    }

    pub fn number(&mut self, name: &str) -> Option<i64> {
        self.take(name)?.as_bigint()
    }
}

impl Calls {
    pub fn new(session: Arc<Session>, config: &CqlConfig, metrics: StoreMetrics, clock: Clock) -> Self {
        Self {
            session,
            metrics,
            clock,
            room: Semaphore::new(config.max_in_flight.max(1)),
            queue_wait: Duration::from_millis(config.queue_wait_ms),
            max_attempts: config.max_attempts.max(1),
            conditional_timeout: Duration::from_millis(config.conditional_timeout_ms),
        }
    }

    /// Nothing was sent if there is no turn.
    async fn turn(&self) -> Result<SemaphorePermit<'_>> {
        match timeout(self.queue_wait, self.room.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(StoreError::Unavailable("closed".to_owned())),
            Err(_) => {
                self.metrics.refused.inc();
                Err(StoreError::Unavailable("too many statements are under way (`cql.max_in_flight`)".to_owned()))
            }
        }
    }

    /// One page of an answer, and where the next one begins.
    pub async fn page(
        &self,
        op: &'static str,
        bound: &BoundStatement,
        from: PagingState,
    ) -> Result<(QueryResult, Option<PagingState>)> {
        let once = || self.session.execute_bound_single_page(bound, from.clone());
        let (result, next) = self.attempts(op, once).await.map_err(nothing_done)?;
        let next = match next.into_paging_control_flow() {
            std::ops::ControlFlow::Break(()) => None,
            std::ops::ControlFlow::Continue(state) => Some(state),
        };
        Ok((result, next))
    }

    /// A plain write; it must be one that may be applied any number of times.
    pub async fn write(&self, op: &'static str, bound: &BoundStatement) -> Result<()> {
        self.attempts(op, || self.session.execute_bound_unpaged(bound)).await.map(drop)
    }

    /// Writes of one partition: applied together, or not at all. Of what may be applied any number of times.
    pub async fn batch(
        &self,
        op: &'static str,
        statements: &[&PreparedStatement],
        values: &(impl BatchValues + ?Sized),
    ) -> Result<()> {
        let mut batch = Batch::new(BatchType::Unlogged);
        for statement in statements {
            batch.append_statement((*statement).clone());
        }
        self.attempts(op, || self.session.batch(&batch, values)).await.map(drop)
    }

    async fn attempts<T, F>(&self, op: &'static str, once: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T, ExecutionError>>,
    {
        let begun = Instant::now();
        let _turn = self.turn().await?;
        self.metrics.in_flight.inc();
        let result = self.repeated(op, once).await;
        self.metrics.in_flight.dec();
        self.metrics.timed(op, begun);
        result
    }

    async fn repeated<T, F>(&self, op: &'static str, once: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T, ExecutionError>>,
    {
        let mut backoff = Backoff::new(RETRY_BASE_MS, RETRY_CAP_MS);
        let mut maybe_done = false;
        let mut attempt = 1;
        loop {
            self.metrics.sent(op);
            let error = match once().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let (word, effect) = verdict(&error);
            self.metrics.failed(op, word);
            maybe_done |= effect == Effect::Maybe;
            if attempt >= self.max_attempts || effect == Effect::Refused {
                return Err(failure(op, &error, maybe_done));
            }
            attempt += 1;
            self.metrics.retries.inc();
            sleep(Duration::from_millis(backoff.next_ms(self.clock.random()))).await;
        }
    }

    /// A conditional write, repeated until it is answered: only an answer counts. It must carry something
    /// of its own, by which an earlier try of it is told from somebody else's write.
    pub async fn conditional(&self, op: &'static str, bound: &BoundStatement) -> Result<Outcome> {
        let begun = Instant::now();
        let _turn = self.turn().await?;
        self.metrics.in_flight.inc();
        let result = self.until_answered(op, bound, begun).await;
        self.metrics.in_flight.dec();
        self.metrics.timed(op, begun);
        outcome(result?)
    }

    async fn until_answered(&self, op: &'static str, bound: &BoundStatement, begun: Instant) -> Result<QueryResult> {
        let mut backoff = Backoff::new(RETRY_BASE_MS, RETRY_CAP_MS);
        let mut maybe_done = false;
        loop {
            self.metrics.sent(op);
            self.metrics.conditional.inc();
            let error = match self.session.execute_bound_unpaged(bound).await {
                Ok(result) => return Ok(result),
                Err(error) => error,
            };
            let (word, effect) = verdict(&error);
            self.metrics.failed(op, word);
            // One round of a conditional write can be refused after another has proposed it.
            maybe_done |= effect == Effect::Maybe || word == "unavailable";
            if effect == Effect::Refused || begun.elapsed() > self.conditional_timeout {
                return Err(failure(op, &error, maybe_done));
            }
            self.metrics.retries.inc();
            sleep(Duration::from_millis(backoff.next_ms(self.clock.random()))).await;
        }
    }
}

/// The values of a statement, ready to be sent.
pub(crate) fn bind(statement: &PreparedStatement, values: &impl SerializeRow) -> Result<BoundStatement> {
    statement.clone().bind(values).map_err(|why| StoreError::Misused(format!("values of a statement: {why}")))
}

fn failure(op: &str, error: &ExecutionError, maybe_done: bool) -> StoreError {
    let text = format!("{op}: {error}");
    if maybe_done { StoreError::Ambiguous(text) } else { StoreError::Unavailable(text) }
}

/// A read has no effect that could be in doubt.
fn nothing_done(error: StoreError) -> StoreError {
    match error {
        StoreError::Ambiguous(text) => StoreError::Unavailable(text),
        other => other,
    }
}

fn outcome(result: QueryResult) -> Result<Outcome> {
    let rows = result.into_rows_result().map_err(|why| damaged("an answer to a conditional write", why))?;
    let names: Vec<String> = rows.column_specs().iter().map(|spec| spec.name().to_owned()).collect();
    let row: Row = rows.first_row().map_err(|why| damaged("an answer to a conditional write", why))?;
    let columns: Vec<_> = names.into_iter().zip(row.columns).collect();
    let applied = columns.iter().any(|(name, value)| name == "[applied]" && *value == Some(CqlValue::Boolean(true)));
    Ok(Outcome { applied, columns })
}
