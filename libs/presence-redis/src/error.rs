//! Why it cannot be opened. A server that does not answer is no reason: it may come.

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("`{key}` {why}")]
    Config { key: &'static str, why: String },
    #[error("cannot read `{path}`: {why}")]
    File { path: String, why: std::io::Error },
    #[error("the Redis client cannot be made: {0}")]
    Client(#[from] redis::RedisError),
}

impl OpenError {
    pub(crate) fn config(key: &'static str, why: impl Into<String>) -> Self {
        Self::Config { key, why: why.into() }
    }
}
