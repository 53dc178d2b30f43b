//! The steps. One that was released never changes; what is new is another one, and only adds.

use super::Step;
use posthorn_store::Table;

use crate::{CqlConfig, OpenError, statements::table_name};

/// The last step.
pub const CURRENT: u32 = 3;
/// What this build cannot do without.
pub const MINIMUM: u32 = 3;

const KEYSPACE_CHARS: usize = 48;

/// It becomes part of statements: words alone.
pub(super) fn check_keyspace(name: &str) -> Result<(), OpenError> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || name.len() > KEYSPACE_CHARS || !name.chars().all(word) || name.starts_with('_') {
        let rule = "1 to 48 of a-z, 0-9 and _, not beginning with _";
        return Err(OpenError::Config(format!("`cql.keyspace` is {name:?}: {rule}")));
    }
    Ok(())
}

/// All steps, none said to be applied.
pub(super) fn all(config: &CqlConfig, datacenter: &str, tablets: bool) -> Vec<Step> {
    let keyspace = &config.keyspace;
    let step = |version, name, statements: Vec<String>| Step { version, name, statements, applied: false };
    let mut log = vec![create_keyspace(config, datacenter, tablets)];
    log.extend(LOG.iter().map(|text| text.replace("{}", keyspace)));
    let owners = OWNERS.iter().map(|text| text.replace("{}", keyspace)).collect();
    let records = Table::ALL
        .iter()
        .map(|table| {
            format!(
                "CREATE TABLE IF NOT EXISTS {keyspace}.{} (tenant text, slot smallint, key text, value blob, stamp bigint, \
                 PRIMARY KEY ((tenant, slot), key))",
                table_name(*table)
            )
        })
        .collect();
    vec![
        step(1, "the log and its projections", log),
        step(2, "ownership, journals and signs of life", owners),
        step(3, "small records", records),
    ]
}

fn create_keyspace(config: &CqlConfig, datacenter: &str, tablets: bool) -> String {
    let (keyspace, replication) = (&config.keyspace, config.replication.max(1));
    let datacenter = datacenter.replace('\'', "''");
    // Conditional writes do not go with tablets, which are ScyllaDB's alone.
    let without = if tablets { " AND tablets = {'enabled': false}" } else { "" };
    format!(
        "CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = \
         {{'class': 'NetworkTopologyStrategy', '{datacenter}': {replication}}}{without}"
    )
}

const LOG: [&str; 7] = [
    "CREATE TABLE IF NOT EXISTS {}.schema_versions (part text, version int, name text, PRIMARY KEY ((part), version))",
    "CREATE TABLE IF NOT EXISTS {}.about (name text PRIMARY KEY, value bigint)",
    "INSERT INTO {}.about (name, value) VALUES ('generation', 1) IF NOT EXISTS",
    "CREATE TABLE IF NOT EXISTS {}.log (tenant text, conversation text, bucket bigint, seq bigint, epoch bigint, \
     load bigint, format smallint, chain blob, envelope blob, body blob, \
     PRIMARY KEY ((tenant, conversation, bucket), seq, epoch, load))",
    "CREATE TABLE IF NOT EXISTS {}.heads (tenant text, conversation text, head blob, fed bigint, \
     PRIMARY KEY ((tenant, conversation)))",
    "CREATE TABLE IF NOT EXISTS {}.members (tenant text, conversation text, user text, member blob, \
     PRIMARY KEY ((tenant, conversation), user))",
    "CREATE TABLE IF NOT EXISTS {}.registers (tenant text, user text, conversation text, register blob, \
     PRIMARY KEY ((tenant, user), conversation))",
];

const OWNERS: [&str; 4] = [
    "CREATE TABLE IF NOT EXISTS {}.instances (instance text PRIMARY KEY, state text, address text, stamp bigint)",
    "CREATE TABLE IF NOT EXISTS {}.shards (region text, shard smallint, epoch bigint, owner text, address text, \
     inherits frozen<list<text>>, stamp bigint, PRIMARY KEY ((region, shard)))",
    "CREATE TABLE IF NOT EXISTS {}.journal (instance text, slot smallint, tenant text, conversation text, \
     noted bigint, removed bigint, PRIMARY KEY ((instance, slot), tenant, conversation))",
    "CREATE TABLE IF NOT EXISTS {}.beats (region text, instance text, count bigint, address text, leaving boolean, \
     PRIMARY KEY ((region), instance))",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbered_from_one_and_every_statement_may_be_repeated() {
        let steps = all(&CqlConfig::default(), "dc1", true);
        let versions: Vec<u32> = steps.iter().map(|step| step.version).collect();
        assert_eq!(versions, (1..=CURRENT).collect::<Vec<_>>());
        for statement in steps.iter().flat_map(|step| &step.statements) {
            assert!(statement.contains("NOT EXISTS"), "{statement}");
            assert!(statement.contains(" posthorn"), "{statement}");
        }
        assert!(steps[0].statements[0].ends_with("'dc1': 3} AND tablets = {'enabled': false}"), "{steps:?}");
        let cassandra = all(&CqlConfig::default(), "dc1", false);
        assert!(!cassandra[0].statements[0].contains("tablets"));
    }

    #[test]
    fn a_keyspace_is_a_word() {
        for good in ["posthorn", "p1_x"] {
            assert!(check_keyspace(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "x;drop", "Upper", "_a", &"k".repeat(49)] {
            assert!(check_keyspace(bad).is_err(), "{bad}");
        }
    }
}
