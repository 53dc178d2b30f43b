//! The pages that are made from the configuration, and the table that explains every key of it.

mod edge;
#[cfg(feature = "networked")]
mod engines;
mod parts;

use posthorn_config::{ConfigError, Row, Sources, check_rows, example, print, reference};

use crate::NodeConfig;

const REFERENCE_INTRO: &str = "# Configuration

Written by `posthorn config docs` from the code; a test compares them.

`posthorn serve --config FILE` reads one TOML file. Every key has a default, so an empty file is a
configuration. A key that does not exist is an error that names the nearest one. Four layers, each over
the one before it:

1. the defaults below;
2. the file;
3. the environment: `POSTHORN__SECTION__KEY=value`, for example `POSTHORN__LISTEN__ADDR=0.0.0.0:7200`; a key
   within a key takes another `__`. `POSTHORN__SECTION__KEY_FILE=path` takes the value from a file;
4. flags of the command line.

`posthorn config check --config FILE` says whether it is right, `posthorn config print --config FILE` what is
in effect and which layer it came from. Names end in their unit: `_ms`, `_us`, `_s`, `_bytes`, `_per_s`.
What is at a limit is refused with an error code that names the limit (docs/errors.md).
";

const EXAMPLE_INTRO: &str = "Posthorn: every key at its default. Written by `posthorn config docs`.
Take out what you do not change. docs/configuration.md has the same as a page.
";

/// Every row, in no order.
#[must_use]
pub fn rows() -> Vec<Row> {
    let parts = [parts::ROWS, edge::ROWS];
    #[cfg(feature = "networked")]
    let parts = [parts[0], parts[1], engines::ROWS, posthorn_presence_redis::config::ROWS];
    parts.concat()
}

/// The pages with their paths in the repository.
pub fn pages() -> Result<[(&'static str, String); 2], ConfigError> {
    let (defaults, rows) = (NodeConfig::default(), rows());
    check_rows(&defaults, &rows)?;
    Ok([
        ("docs/configuration.md", reference(&defaults, &rows, REFERENCE_INTRO)?),
        ("config/posthorn.example.toml", example(&defaults, &rows, EXAMPLE_INTRO)?),
    ])
}

/// A configuration as TOML, secrets masked.
pub fn effective(config: &NodeConfig, sources: &Sources) -> Result<String, ConfigError> {
    print(config, &rows(), sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_in_the_tree_are_what_the_code_writes() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        for (path, text) in pages().unwrap() {
            let present = std::fs::read_to_string(format!("{root}/{path}")).unwrap_or_default();
            assert!(present == text, "{path} is out of date: run `cargo run -p posthorn -- config docs`");
        }
    }

    #[test]
    fn the_example_file_is_a_configuration_that_changes_nothing() {
        let [_, (_, text)] = pages().unwrap();
        let mut layers = NodeConfig::layers().unwrap();
        layers.text(&text, "example").unwrap();
        let (config, sources) = NodeConfig::build(layers).unwrap();
        assert_eq!(config, NodeConfig::default());
        assert!(sources.is_empty());
    }
}
