//! What can be wrong with a configuration. Every message names the layer and the key.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}: {why}", path = path.display())]
    Unreadable { path: PathBuf, why: std::io::Error },
    /// The file is no TOML; the message shows the place.
    #[error("{from}: {why}")]
    Malformed { from: String, why: String },
    #[error("{from}: unknown key `{key}`{}", meant.as_ref().map(|m| format!(", did you mean `{m}`?")).unwrap_or_default())]
    UnknownKey { from: String, key: String, meant: Option<String> },
    #[error("{from}: `{key}` must be {wanted}, not {given}")]
    WrongType { from: String, key: String, wanted: &'static str, given: String },
    /// The types fit, the value does not.
    #[error("{0}")]
    Invalid(String),
    /// The code's own default does not serialize to a table, or its documentation is out of step.
    #[error("the schema itself: {0}")]
    Schema(String),
}
