//! The layers, and how they become one struct.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};
use toml::{Table, Value};

use crate::{ConfigError, nearest};

/// What every environment variable of the configuration begins with.
pub const PREFIX: &str = "POSTHORN__";
const FILE_SUFFIX: &str = "_FILE";
/// A configuration is a page of text, not a data set.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Which layer last set a key that is not at its default: `config print` shows it.
pub type Sources = BTreeMap<String, String>;

/// A configuration being put together. Call the layers in their order of precedence, lowest first.
pub struct Layers {
    schema: Table,
    merged: Table,
    sources: Sources,
    open: &'static [&'static str],
}

impl Layers {
    /// Over the defaults, which are also the schema: every key has one.
    pub fn over<T: Serialize>(defaults: &T) -> Result<Self, ConfigError> {
        let schema = Table::try_from(defaults).map_err(|e| ConfigError::Schema(e.to_string()))?;
        Ok(Self { merged: schema.clone(), schema, sources: Sources::new(), open: &[] })
    }

    /// Sections whose keys the operator names (`edge.classes`): each holds what the default's first does.
    #[must_use]
    pub const fn open(mut self, sections: &'static [&'static str]) -> Self {
        self.open = sections;
        self
    }

    /// A TOML file. Every key must be known.
    pub fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = read_text(path)?;
        self.text(&text, &path.display().to_string())
    }

    /// TOML text, `from` somewhere.
    pub fn text(&mut self, text: &str, from: &str) -> Result<(), ConfigError> {
        let given: Table =
            toml::from_str(text).map_err(|e| ConfigError::Malformed { from: from.to_owned(), why: e.to_string() })?;
        let mut leaves = Vec::new();
        Known { open: self.open, from }.collect(&self.schema, &given, &[], &mut leaves)?;
        for (path, value) in leaves {
            self.set(&path, value, from);
        }
        Ok(())
    }

    /// The variables of an environment that begin with [`PREFIX`]; the others are not ours.
    /// `SECTION__KEY_FILE` reads the value from a file and drops its last line break.
    pub fn environment(&mut self, variables: impl Iterator<Item = (String, String)>) -> Result<(), ConfigError> {
        let ours: BTreeMap<String, String> =
            variables.filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?.to_owned(), value))).collect();
        for (name, value) in &ours {
            let from = format!("{PREFIX}{name}");
            let key = name.to_lowercase().replace("__", ".");
            let from_file = name.strip_suffix(FILE_SUFFIX).filter(|_| self.default_of(&key).is_none());
            let Some(plain) = from_file else {
                self.assign(&key, value, &from)?;
                continue;
            };
            if ours.contains_key(plain) {
                return Err(ConfigError::Invalid(format!("{from} and {PREFIX}{plain} are both set")));
            }
            let text = read_text(&PathBuf::from(value))?;
            let text = text.strip_suffix('\n').unwrap_or(&text);
            let text = text.strip_suffix('\r').unwrap_or(text);
            self.assign(&plain.to_lowercase().replace("__", "."), text, &from)?;
        }
        Ok(())
    }

    /// One key as text, `section.key`: a flag, or a variable.
    pub fn assign(&mut self, key: &str, text: &str, from: &str) -> Result<(), ConfigError> {
        let Some(default) = self.default_of(key) else {
            return Err(unknown(&self.schema, key, from));
        };
        let value = typed(default, text).ok_or_else(|| ConfigError::WrongType {
            from: from.to_owned(),
            key: key.to_owned(),
            wanted: type_name(default),
            given: format!("{text:?}"),
        })?;
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        self.set(&path, value, from);
        Ok(())
    }

    /// The configuration, and where what is not a default came from.
    pub fn build<T: DeserializeOwned>(self) -> Result<(T, Sources), ConfigError> {
        let built = Value::Table(self.merged).try_into().map_err(|e: toml::de::Error| {
            let from: Vec<_> = self.sources.values().map(String::as_str).collect();
            let from = if from.is_empty() { "defaults".to_owned() } else { from.join(", ") };
            ConfigError::Malformed { from, why: e.to_string().trim_end().to_owned() }
        })?;
        Ok((built, self.sources))
    }

    fn default_of(&self, key: &str) -> Option<&Value> {
        let mut parts = key.split('.');
        let first = self.schema.get(parts.next()?)?;
        let mut path = key.split('.').next().unwrap_or(key).to_owned();
        let found = parts.try_fold(first, |at, part| {
            let table = at.as_table()?;
            let template = self.open.contains(&path.as_str()).then(|| table.values().next()).flatten();
            path = format!("{path}.{part}");
            table.get(part).or(template)
        });
        found.filter(|value| !value.is_table())
    }

    fn set(&mut self, path: &[String], value: Value, from: &str) {
        let Some((last, sections)) = path.split_last() else { return };
        let mut at = &mut self.merged;
        for section in sections {
            let entry = at.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
            let Value::Table(table) = entry else { return };
            at = table;
        }
        at.insert(last.clone(), value);
        self.sources.insert(path.join("."), from.to_owned());
    }
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |why| ConfigError::Unreadable { path: path.to_owned(), why };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_FILE_BYTES {
        let why = std::io::Error::other(format!("it has {size} bytes, at most {MAX_FILE_BYTES} are read"));
        return Err(unreadable(why));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

/// What a file says, held against the schema.
struct Known<'a> {
    open: &'static [&'static str],
    from: &'a str,
}

impl Known<'_> {
    /// Collects the leaves of `given`, each of which must be in the schema with the same type.
    fn collect(
        &self,
        schema: &Table,
        given: &Table,
        above: &[String],
        leaves: &mut Vec<(Vec<String>, Value)>,
    ) -> Result<(), ConfigError> {
        let template = self.open.contains(&above.join(".").as_str()).then(|| schema.values().next()).flatten();
        for (name, value) in given {
            let path = [above, std::slice::from_ref(name)].concat();
            let Some(default) = schema.get(name).or(template) else {
                return Err(self.unknown(schema, above, name));
            };
            match (default, value) {
                (Value::Table(schema), Value::Table(given)) => self.collect(schema, given, &path, leaves)?,
                (default, value) if same_type(default, value) => leaves.push((path, widened(default, value))),
                (default, value) => {
                    let (key, from) = (path.join("."), self.from.to_owned());
                    let (wanted, given) = (type_name(default), format!("{} ({value})", type_name(value)));
                    return Err(ConfigError::WrongType { from, key, wanted, given });
                }
            }
        }
        Ok(())
    }

    fn unknown(&self, schema: &Table, above: &[String], name: &str) -> ConfigError {
        let path = |last: &str| [above, &[last.to_owned()]].concat().join(".");
        let near = nearest(name, schema.keys().map(String::as_str)).map(path);
        let meant = near.or_else(|| elsewhere(schema, above, name));
        ConfigError::UnknownKey { from: self.from.to_owned(), key: path(name), meant }
    }
}

/// A section's name that was written where only its keys go, or the other way round.
fn elsewhere(schema: &Table, above: &[String], name: &str) -> Option<String> {
    if !above.is_empty() {
        return None;
    }
    let mut homes = schema.iter().filter(|(_, v)| v.as_table().is_some_and(|t| t.contains_key(name)));
    homes.next().map(|(section, _)| format!("{section}.{name}"))
}

fn unknown(schema: &Table, key: &str, from: &str) -> ConfigError {
    let mut all = Vec::new();
    leaves_of(schema, "", &mut all);
    let meant = nearest(key, all.iter().map(|(k, _)| k.as_str())).map(str::to_owned);
    ConfigError::UnknownKey { from: from.to_owned(), key: key.to_owned(), meant }
}

/// Every leaf with its dotted key, in the order of the schema.
pub(crate) fn leaves_of(table: &Table, above: &str, into: &mut Vec<(String, Value)>) {
    for (name, value) in table {
        let key = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        match value {
            Value::Table(inner) => leaves_of(inner, &key, into),
            leaf => into.push((key, leaf.clone())),
        }
    }
}

fn same_type(default: &Value, given: &Value) -> bool {
    default.same_type(given) || matches!((default, given), (Value::Float(_), Value::Integer(_)))
}

#[allow(clippy::cast_precision_loss, reason = "a number somebody typed")]
fn widened(default: &Value, given: &Value) -> Value {
    match (default, given) {
        (Value::Float(_), Value::Integer(n)) => Value::Float(*n as f64),
        _ => given.clone(),
    }
}

/// Text as the type of the default. A list is comma-separated.
fn typed(default: &Value, text: &str) -> Option<Value> {
    Some(match default {
        Value::String(_) => Value::String(text.to_owned()),
        Value::Integer(_) => Value::Integer(text.replace('_', "").parse().ok()?),
        Value::Float(_) => Value::Float(text.parse().ok()?),
        Value::Boolean(_) => Value::Boolean(text.parse().ok()?),
        Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
        }
        Value::Datetime(_) | Value::Table(_) => return None,
    })
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Array(_) => "a list",
        Value::Datetime(_) => "a date",
        Value::Table(_) => "a section",
    }
}
