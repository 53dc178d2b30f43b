//! The reference page, the example file and the effective configuration, all out of the default and
//! one table of rows.

use std::fmt::Write;

use serde::Serialize;
use toml::{Table, Value};

use crate::{ConfigError, Sources, layers::leaves_of};

const MASK: &str = "********";

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// `section.key`, or `section` for the line above a section.
    pub key: &'static str,
    /// In a sentence, with what is not clear from the name.
    pub about: &'static str,
    /// Never printed.
    pub secret: bool,
}

impl Row {
    #[must_use]
    pub const fn new(key: &'static str, about: &'static str) -> Self {
        Self { key, about, secret: false }
    }

    #[must_use]
    pub const fn secret(key: &'static str, about: &'static str) -> Self {
        Self { key, about, secret: true }
    }
}

/// Every key has a row and every row a key or a section.
pub fn check_rows<T: Serialize>(defaults: &T, rows: &[Row]) -> Result<(), ConfigError> {
    let schema = table_of(defaults)?;
    let mut leaves = Vec::new();
    leaves_of(&schema, "", &mut leaves);
    let sections = schema.iter().filter(|(_, v)| v.is_table()).map(|(name, _)| name.clone());
    let known: Vec<String> = leaves.into_iter().map(|(key, _)| key).chain(sections).collect();
    let without = known.iter().find(|key| !rows.iter().any(|row| row.key == *key));
    let stale = rows.iter().find(|row| !known.iter().any(|key| key == row.key));
    match (without, stale) {
        (None, None) => Ok(()),
        (Some(key), _) => Err(ConfigError::Schema(format!("`{key}` is not documented"))),
        (None, Some(row)) => Err(ConfigError::Schema(format!("`{}` is documented and does not exist", row.key))),
    }
}

/// docs/configuration.md: `intro`, then a table per section.
pub fn reference<T: Serialize>(defaults: &T, rows: &[Row], intro: &str) -> Result<String, ConfigError> {
    let mut page = intro.to_owned();
    for (section, keys) in sections_of(&table_of(defaults)?) {
        let _ = write!(page, "\n## [{section}]\n{}\n\n", about(rows, &section));
        page.push_str("| key | default | what it is |\n| --- | --- | --- |\n");
        for (key, value) in keys {
            let name = key.strip_prefix(&format!("{section}.")).unwrap_or(&key);
            let _ = writeln!(page, "| `{name}` | `{value}` | {} |", about(rows, &key).replace('|', "\\|"));
        }
    }
    Ok(page)
}

/// The example file: every key at its default, commented out, so that a copy changes nothing.
pub fn example<T: Serialize>(defaults: &T, rows: &[Row], intro: &str) -> Result<String, ConfigError> {
    let mut page: String = intro.lines().map(|line| format!("# {line}").trim_end().to_owned() + "\n").collect();
    for (section, keys) in sections_of(&table_of(defaults)?) {
        let _ = write!(page, "\n# {}\n[{section}]\n", about(rows, &section));
        for (key, value) in keys {
            let name = key.strip_prefix(&format!("{section}.")).unwrap_or(&key);
            let _ = write!(page, "# {}\n# {name} = {value}\n", about(rows, &key));
        }
    }
    Ok(page)
}

/// The effective configuration as TOML, secrets masked, with the layer that set what is not a default.
pub fn print<T: Serialize>(config: &T, rows: &[Row], sources: &Sources) -> Result<String, ConfigError> {
    let mut page = String::new();
    for (section, keys) in sections_of(&table_of(config)?) {
        let _ = writeln!(page, "{}[{section}]", if page.is_empty() { "" } else { "\n" });
        for (key, value) in keys {
            let name = key.strip_prefix(&format!("{section}.")).unwrap_or(&key);
            let hidden = rows.iter().any(|row| row.secret && row.key == key) && value.as_str() != Some("");
            let value = if hidden { Value::String(MASK.to_owned()) } else { value };
            let from = sources.get(&key).map(|from| format!("  # {from}")).unwrap_or_default();
            let _ = writeln!(page, "{name} = {value}{from}");
        }
    }
    Ok(page)
}

fn about(rows: &[Row], key: &str) -> &'static str {
    rows.iter().find(|row| row.key == key).map_or("", |row| row.about)
}

fn table_of<T: Serialize>(config: &T) -> Result<Table, ConfigError> {
    Table::try_from(config).map_err(|e| ConfigError::Schema(e.to_string()))
}

fn sections_of(table: &Table) -> Vec<(String, Vec<(String, Value)>)> {
    let sections = table.iter().filter_map(|(name, value)| Some((name, value.as_table()?)));
    sections
        .map(|(name, inner)| {
            let mut leaves = Vec::new();
            leaves_of(inner, name, &mut leaves);
            (name.clone(), leaves)
        })
        .collect()
}
