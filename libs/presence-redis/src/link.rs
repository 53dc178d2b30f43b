//! The one connection to Redis: made again when it is lost, with jitter; whoever asks while there is none
//! is refused at once, and nobody waits longer than the response timeout.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::future::try_join_all;
use posthorn_clock::{Clock, Instant, sleep, timeout};
use posthorn_core::backoff::Backoff;
use posthorn_presence::{PresenceError, Result};
use posthorn_tasks::Tasks;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::sync::{Semaphore, watch};

use crate::{
    RedisConfig,
    connect::{Connection, Connector},
    keys::Place,
    metrics::RedisMetrics,
    scripts::Source,
};

/// A cluster's client heals by itself while some node answers; after so many failures in a row it is made anew.
const CLUSTER_FAILURES: u32 = 8;

pub(crate) struct Link(Arc<Shared>);

struct Shared {
    /// With its number, so that a failure ends the connection it happened on and no newer one.
    connection: watch::Sender<Option<(u64, Connection)>>,
    permits: Semaphore,
    response: Duration,
    failures: AtomicU32,
    metrics: RedisMetrics,
}

impl Link {
    /// Connects in the background for as long as `tasks` run.
    pub fn start(
        connector: Connector,
        config: &RedisConfig,
        metrics: RedisMetrics,
        clock: Clock,
        tasks: &Tasks,
    ) -> Self {
        let shared = Arc::new(Shared {
            connection: watch::Sender::new(None),
            permits: Semaphore::new(config.max_in_flight),
            response: Duration::from_millis(config.response_timeout_ms),
            failures: AtomicU32::new(0),
            metrics,
        });
        let backoff = Backoff::new(config.reconnect_ms, config.max_reconnect_ms);
        let work = keep_connected(Arc::clone(&shared), connector, backoff, clock);
        tasks.critical("redis connection", tasks.until_stopped(work));
        Self(shared)
    }

    pub fn connected(&self) -> bool {
        self.0.connection.borrow().is_some()
    }

    /// Changes whenever a connection was made or lost.
    pub fn number(&self) -> u64 {
        self.0.connection.borrow().as_ref().map_or(0, |(number, _)| *number)
    }

    /// Returns when there is a connection.
    pub async fn when_connected(&self) {
        // The sender is ours: it cannot be gone.
        let _ = self.0.connection.subscribe().wait_for(Option::is_some).await;
    }

    /// Commands with the place of their keys; answered in their order, sent together.
    pub async fn batch(&self, operation: &'static str, commands: Vec<(Place, Cmd)>) -> Result<Vec<Value>> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        self.timed(operation, async |connection| match connection {
            Connection::Direct(_) => pipeline(connection, commands.iter().map(|(_, command)| command)).await,
            Connection::Cluster(_) => by_place(connection, &commands).await,
        })
        .await
    }

    /// All keys lie in one place. The server is shown the text once.
    pub async fn script(
        &self,
        operation: &'static str,
        script: &Source,
        keys: &[String],
        arguments: &[String],
    ) -> Result<Value> {
        let call = |how: &str, what: &str| {
            let mut command = redis::cmd(how);
            command.arg(what).arg(keys.len()).arg(keys).arg(arguments);
            command
        };
        self.timed(operation, async |mut connection| {
            match call("EVALSHA", &script.hash).query_async(&mut connection).await {
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                    call("EVAL", script.text).query_async(&mut connection).await
                }
                answer => answer,
            }
        })
        .await
    }

    async fn timed<T>(
        &self,
        operation: &'static str,
        work: impl AsyncFnOnce(Connection) -> RedisResult<T>,
    ) -> Result<T> {
        let Shared { permits, response, metrics, .. } = &*self.0;
        let refused = |cause: &'static str, why: String| {
            metrics.failed(operation, cause);
            Err(PresenceError::Unavailable(why))
        };
        let started = Instant::now();
        let Some((number, connection)) = self.0.connection.borrow().clone() else {
            return refused("disconnected", "not connected".to_owned());
        };
        let Ok(Ok(_permit)) = timeout(*response, permits.acquire()).await else {
            return refused("overloaded", "`redis.max_in_flight` operations are under way".to_owned());
        };
        let _counted = Counted::new(metrics);
        let cluster = matches!(connection, Connection::Cluster(_));
        let answer = timeout(*response, work(connection)).await;
        metrics.took(operation, started.elapsed().as_secs_f64());
        match answer {
            Ok(Ok(value)) => {
                self.0.failures.store(0, Ordering::Relaxed);
                Ok(value)
            }
            Ok(Err(error)) => {
                if cluster {
                    self.0.cluster_failed(number, &error)
                } else {
                    self.0.failed(number, &error)
                }
                refused(cause(&error), error.to_string())
            }
            Err(_) => {
                self.0.broken(number);
                refused("timeout", format!("no answer in {} ms", response.as_millis()))
            }
        }
    }
}

impl Shared {
    fn failed(&self, number: u64, error: &RedisError) {
        // A master that became a replica, or is not up yet, is none to stay with.
        let elsewhere = matches!(
            error.kind(),
            ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown | ServerErrorKind::BusyLoading)
        );
        if elsewhere || error.is_unrecoverable_error() || error.is_io_error() || error.is_timeout() {
            self.broken(number);
        }
    }

    fn cluster_failed(&self, number: u64, error: &RedisError) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if error.kind() == ErrorKind::ClusterConnectionNotFound || failures >= CLUSTER_FAILURES {
            self.broken(number);
        }
    }

    fn broken(&self, number: u64) {
        self.connection.send_if_modified(|connection| {
            let this = connection.as_ref().is_some_and(|(present, _)| *present == number);
            if this {
                *connection = None;
            }
            this
        });
    }
}

async fn keep_connected(shared: Arc<Shared>, mut connector: Connector, mut backoff: Backoff, clock: Clock) {
    let (mut number, mut quiet) = (0, false);
    let mut lost = shared.connection.subscribe();
    loop {
        match connector.connect().await {
            Ok(connection) => {
                number += 1;
                quiet = false;
                shared.failures.store(0, Ordering::Relaxed);
                shared.metrics.connected.set(1);
                tracing::info!("connected to redis");
                let since = Instant::now();
                shared.connection.send_replace(Some((number, connection)));
                // The sender is here: it cannot be gone.
                let _ = lost.wait_for(Option::is_none).await;
                shared.metrics.connected.set(0);
                tracing::warn!("the connection to redis is lost");
                // One that breaks as soon as it is made is no success.
                if since.elapsed() > Duration::from_secs(1) {
                    backoff.reset();
                }
            }
            // Once, not with every try.
            Err(error) if !quiet => {
                quiet = true;
                tracing::warn!(error, "cannot connect to redis, trying again");
            }
            Err(_) => {}
        }
        shared.metrics.reconnects.inc();
        sleep(Duration::from_millis(backoff.next_ms(clock.random()))).await;
    }
}

fn cause(error: &RedisError) -> &'static str {
    match error.kind() {
        _ if error.is_timeout() => "timeout",
        _ if error.is_io_error() => "network",
        ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm) => "forbidden",
        ErrorKind::Server(_) | ErrorKind::Extension => "server",
        ErrorKind::ClusterConnectionNotFound => "no_node",
        _ => "client",
    }
}

async fn pipeline<'a>(mut connection: Connection, commands: impl Iterator<Item = &'a Cmd>) -> RedisResult<Vec<Value>> {
    let mut pipeline = Pipeline::new();
    for command in commands {
        pipeline.add_command(command.clone());
    }
    pipeline.query_async(&mut connection).await
}

/// A pipeline for each place, all at the same time.
async fn by_place(connection: Connection, commands: &[(Place, Cmd)]) -> RedisResult<Vec<Value>> {
    let mut order: Vec<usize> = (0..commands.len()).collect();
    order.sort_by_key(|&at| commands[at].0);
    let groups = order.chunk_by(|&a, &b| commands[a].0 == commands[b].0);
    let answers = try_join_all(groups.map(|group| {
        let commands = group.iter().map(|&at| &commands[at].1);
        pipeline(connection.clone(), commands)
    }))
    .await?;
    let mut values = vec![Value::Nil; commands.len()];
    for (at, value) in order.into_iter().zip(answers.into_iter().flatten()) {
        values[at] = value;
    }
    Ok(values)
}

struct Counted<'a>(&'a RedisMetrics);

impl<'a> Counted<'a> {
    fn new(metrics: &'a RedisMetrics) -> Self {
        metrics.in_flight.inc();
        Self(metrics)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.in_flight.dec();
    }
}
