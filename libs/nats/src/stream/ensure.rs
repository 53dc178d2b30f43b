//! Making the streams, and bringing those that are there to what is configured.

use std::time::Duration;

use async_nats::jetstream::{
    Context,
    context::GetStreamErrorKind,
    stream::{Config, DiscardPolicy, Info, Republish},
};
use posthorn_feed::Result;

use super::unavailable;
use crate::Connection;

const NOT_FOUND: usize = 404;

/// Entries, a subject a partition. What is stored is told, without its content, on a subject of its own: a
/// consumer that waits listens there.
pub fn feed_config(connection: &Connection) -> Config {
    let config = &connection.0.config;
    let prefix = &config.prefix;
    Config {
        name: format!("{prefix}_feed"),
        subjects: vec![format!("{prefix}.feed.*")],
        max_age: Duration::from_secs(config.feed.max_age_s),
        max_bytes: i64::try_from(config.feed.max_bytes).unwrap_or(i64::MAX),
        duplicate_window: Duration::from_secs(config.feed.duplicate_window_s),
        republish: Some(Republish {
            source: format!("{prefix}.feed.*"),
            destination: format!("{prefix}.news.{{{{wildcard(1)}}}}"),
            headers_only: true,
        }),
        discard: DiscardPolicy::Old,
        allow_direct: true,
        num_replicas: config.feed.replicas,
        ..Config::default()
    }
}

/// Small things, the last of each subject.
pub fn kept_config(connection: &Connection, what: &str) -> Config {
    let config = &connection.0.config;
    let prefix = &config.prefix;
    Config {
        name: format!("{prefix}_{what}"),
        subjects: vec![format!("{prefix}.{what}.>")],
        max_messages_per_subject: 1,
        // Nothing that is kept goes because of something else.
        discard: DiscardPolicy::New,
        allow_direct: true,
        num_replicas: config.feed.replicas,
        ..Config::default()
    }
}

/// Makes the stream if it is not there. One that is there and cannot be changed is used as it is.
pub async fn ensure(connection: &Connection, context: &Context, wanted: Config) -> Result<Info> {
    match connection.answered(context.get_stream(&wanted.name)).await? {
        Ok(stream) => {
            let info = stream.cached_info().clone();
            if !differs(&info.config, &wanted) {
                return Ok(info);
            }
            let changed = Config {
                subjects: wanted.subjects,
                max_age: wanted.max_age,
                max_bytes: wanted.max_bytes,
                duplicate_window: wanted.duplicate_window,
                republish: wanted.republish,
                num_replicas: wanted.num_replicas,
                ..info.config.clone()
            };
            match connection.answered(context.update_stream(&changed)).await? {
                Ok(info) => Ok(info),
                Err(error) => {
                    tracing::warn!(stream = changed.name, %error, "a stream cannot be changed to what is configured");
                    Ok(info)
                }
            }
        }
        Err(error) if is_missing(&error.kind()) => {
            tracing::info!(stream = wanted.name, replicas = wanted.num_replicas, "making a stream");
            let made = connection.answered(context.create_stream(wanted)).await?.map_err(unavailable)?;
            Ok(made.cached_info().clone())
        }
        Err(error) => Err(unavailable(error)),
    }
}

fn is_missing(kind: &GetStreamErrorKind) -> bool {
    matches!(kind, GetStreamErrorKind::JetStream(error) if error.code() == NOT_FOUND)
}

/// In what is configured here; the servers fill in the rest.
fn differs(there: &Config, wanted: &Config) -> bool {
    let limit = |bytes: i64| if bytes <= 0 { -1 } else { bytes };
    there.subjects != wanted.subjects
        || there.max_age != wanted.max_age
        || limit(there.max_bytes) != limit(wanted.max_bytes)
        || (!wanted.duplicate_window.is_zero() && there.duplicate_window != wanted.duplicate_window)
        || there.republish != wanted.republish
        || there.num_replicas != wanted.num_replicas.max(1)
}
