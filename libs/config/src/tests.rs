use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ConfigError, Layers, Row, check_rows, example, print, reference};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Root {
    listen: Listen,
    keys: Keys,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Listen {
    addr: String,
    max_connections: u32,
    share: f64,
    open: bool,
    hosts: Vec<String>,
    classes: BTreeMap<String, Class>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Class {
    per_s: u32,
}

impl Default for Listen {
    fn default() -> Self {
        let classes = BTreeMap::from([("free".to_owned(), Class { per_s: 0 })]);
        Self { addr: "127.0.0.1:1".into(), max_connections: 10, share: 0.5, open: false, hosts: vec![], classes }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    operator: String,
}

const ROWS: &[Row] = &[
    Row::new("listen", "Where to listen."),
    Row::new("listen.addr", "The address."),
    Row::new("listen.max_connections", "The bound."),
    Row::new("listen.share", "A share."),
    Row::new("listen.open", "Whether it is open."),
    Row::new("listen.hosts", "Which hosts."),
    Row::new("listen.classes.free.per_s", "How many."),
    Row::new("keys", "Keys."),
    Row::secret("keys.operator", "A secret."),
];

fn loaded(text: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Root, ConfigError> {
    let mut layers = Layers::over(&Root::default())?.open(&["listen.classes"]);
    layers.text(text, "p.toml")?;
    layers.environment(env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))?;
    for (key, value) in flags {
        layers.assign(key, value, "--flag")?;
    }
    Ok(layers.build()?.0)
}

fn refused(text: &str, env: &[(&str, &str)]) -> String {
    loaded(text, env, &[]).unwrap_err().to_string()
}

#[test]
fn each_layer_wins_over_the_one_below() {
    let file = "[listen]\naddr = \"a:1\"\nmax_connections = 20\nshare = 1\n";
    let env = [("POSTHORN__LISTEN__MAX_CONNECTIONS", "1_000"), ("POSTHORN__LISTEN__OPEN", "true"), ("PATH", "/bin")];
    let root = loaded(file, &env, &[("listen.open", "false"), ("listen.hosts", "a, b")]).unwrap();
    let hosts = vec!["a".to_owned(), "b".to_owned()];
    let defaults = Listen::default();
    let wanted = Listen { addr: "a:1".into(), max_connections: 1_000, share: 1.0, hosts, ..defaults };
    assert_eq!(root.listen, wanted);
    assert_eq!(loaded("", &[], &[]).unwrap(), Root::default());
}

#[test]
fn an_unknown_key_is_an_error_with_a_suggestion() {
    let cases = [
        ("[listen]\nadr = 1", "p.toml: unknown key `listen.adr`, did you mean `listen.addr`?"),
        ("[listne]\naddr = \"a\"", "p.toml: unknown key `listne`, did you mean `listen`?"),
        ("max_connections = 4", "p.toml: unknown key `max_connections`, did you mean `listen.max_connections`?"),
        ("[listen]\nwhatever = 4", "p.toml: unknown key `listen.whatever`"),
    ];
    for (text, wanted) in cases {
        assert_eq!(refused(text, &[]), wanted);
    }
    let wanted =
        "POSTHORN__LISTEN__MAX_CONECTIONS: unknown key `listen.max_conections`, did you mean `listen.max_connections`?";
    assert_eq!(refused("", &[("POSTHORN__LISTEN__MAX_CONECTIONS", "4")]), wanted);
}

#[test]
fn a_value_of_the_wrong_type_names_its_key_and_layer() {
    let cases = [
        ("[listen]\naddr = 7", "p.toml: `listen.addr` must be a text, not a whole number (7)"),
        ("listen = 7", "p.toml: `listen` must be a section, not a whole number (7)"),
    ];
    for (text, wanted) in cases {
        assert_eq!(refused(text, &[]), wanted);
    }
    assert!(refused("[listen]\nmax_connections = -1", &[]).contains("max_connections"));
    assert!(refused("[listen", &[]).starts_with("p.toml: "));
    let wanted = "POSTHORN__LISTEN__OPEN: `listen.open` must be true or false, not \"yes\"";
    assert_eq!(refused("", &[("POSTHORN__LISTEN__OPEN", "yes")]), wanted);
}

#[test]
fn a_secret_comes_from_a_file_and_is_never_printed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, "s3cret\n").unwrap();
    let path = path.to_str().unwrap();
    let root = loaded("", &[("POSTHORN__KEYS__OPERATOR_FILE", path)], &[]).unwrap();
    assert_eq!(root.keys.operator, "s3cret");
    let sources = BTreeMap::from([("keys.operator".to_owned(), "env".to_owned())]);
    let printed = print(&root, ROWS, &sources).unwrap();
    assert!(!printed.contains("s3cret"));
    assert!(printed.contains("operator = \"********\"  # env"), "{printed}");

    let both = [("POSTHORN__KEYS__OPERATOR_FILE", path), ("POSTHORN__KEYS__OPERATOR", "x")];
    assert!(refused("", &both).contains("both set"));
    assert!(refused("", &[("POSTHORN__KEYS__OPERATOR_FILE", "/nowhere/at/all")]).contains("/nowhere/at/all"));
}

#[test]
fn the_example_file_changes_nothing_and_names_every_key() {
    let text = example(&Root::default(), ROWS, "An example.\n").unwrap();
    assert_eq!(loaded(&text, &[], &[]).unwrap(), Root::default());
    let uncommented: String = text
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|rest| rest.contains(" = ")).unwrap_or(line).to_owned() + "\n")
        .collect();
    assert_eq!(loaded(&uncommented, &[], &[]).unwrap(), Root::default());
    let page = reference(&Root::default(), ROWS, "# Configuration\n").unwrap();
    assert!(page.contains("| `max_connections` | `10` | The bound. |"), "{page}");
}

#[test]
fn a_key_without_documentation_is_found() {
    assert!(check_rows(&Root::default(), ROWS).is_ok());
    assert!(check_rows(&Root::default(), &ROWS[1..]).is_err());
    let extra: Vec<Row> = ROWS.iter().copied().chain([Row::new("listen.gone", "")]).collect();
    assert!(check_rows(&Root::default(), &extra).is_err());
}

#[test]
fn the_names_of_an_open_section_are_the_operators() {
    let env = [("POSTHORN__LISTEN__CLASSES__SILVER__PER_S", "5")];
    let root = loaded("[listen.classes.gold]\nper_s = 9\n", &env, &[]).unwrap();
    let rates: Vec<_> = root.listen.classes.iter().map(|(name, class)| (name.as_str(), class.per_s)).collect();
    assert_eq!(rates, [("free", 0), ("gold", 9), ("silver", 5)]);
    let wanted = "p.toml: unknown key `listen.classes.gold.pers`, did you mean `listen.classes.gold.per_s`?";
    assert_eq!(refused("[listen.classes.gold]\npers = 9\n", &[]), wanted);
}
