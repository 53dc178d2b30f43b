//! The jars, from Maven; and what one node is started with.

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{CommitLog, Options, VERSION};
use crate::cache;

const POM: &str = include_str!("pom.xml");
const CONFIGURATION: &str = include_str!("cassandra.yaml");
const LOGBACK: &str = include_str!("logback.xml");
const SECURED: &str = include_str!("secured.yaml");
const STORE: &str = "conf/keystore.p12";
const STORE_PASSWORD: &str = "posthorn";
pub(super) const CA: &str = "conf/ca.pem";
const PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";

/// What Cassandra's own `jvm17-server.options` open and export.
const EXPORTS: [&str; 10] = [
    "java.base/jdk.internal.misc",
    "java.base/jdk.internal.ref",
    "java.base/sun.nio.ch",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.rmi/sun.rmi.transport.tcp",
    "java.sql/java.sql",
    "jdk.compiler/com.sun.tools.javac.file",
    "jdk.unsupported/sun.misc",
];
const OPENS: [&str; 18] = [
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.module",
    "java.base/java.lang.reflect",
    "java.base/java.math",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.nio.ch",
    "jdk.management/com.sun.management.internal",
];

/// The folder of the jars.
pub(super) fn installed() -> Result<PathBuf> {
    java()?;
    cache::installed(&format!("cassandra-{VERSION}"), |folder| {
        let pom = folder.join("pom.xml");
        fs::write(&pom, POM.replace("@VERSION@", VERSION))?;
        let mut maven = Command::new("mvn");
        maven.args(["--quiet", "--batch-mode", "--file"]).arg(&pom).arg(PLUGIN);
        maven.arg(format!("-DoutputDirectory={}", folder.display())).arg("-DincludeScope=runtime");
        let missing = "Maven is missing: install it, set POSTHORN_TEST_CQL, or POSTHORN_TEST_ENGINES=off";
        let output = maven.output().context(missing)?;
        if !output.status.success() {
            bail!("mvn failed: {}", String::from_utf8_lossy(&output.stdout));
        }
        Ok(())
    })
}

fn java() -> Result<()> {
    let missing = "Java 17 is missing: install it, set POSTHORN_TEST_CQL, or POSTHORN_TEST_ENGINES=off";
    let output = Command::new("java").arg("-version").output().context(missing)?;
    // It speaks of itself on the error output.
    let text = String::from_utf8_lossy(&output.stderr);
    let version = text.split('"').nth(1).unwrap_or_default();
    if !version.starts_with("17.") && version != "17" {
        bail!("Cassandra {VERSION} runs under Java 17, `java` is {version}");
    }
    Ok(())
}

/// The node's `cassandra.yaml`.
pub(super) fn configuration(
    folder: &Path,
    address: IpAddr,
    token: i64,
    (cql, storage): (u16, u16),
    options: Options,
) -> String {
    let commit_log = match options.commit_log {
        CommitLog::Batch => "batch",
        CommitLog::Periodic => "periodic\ncommitlog_sync_period: 10s",
    };
    let secured = if options.secured { SECURED } else { "" };
    [CONFIGURATION, secured]
        .concat()
        .replace("@STORE@", STORE)
        .replace("@PASSWORD@", STORE_PASSWORD)
        .replace("@DIR@", &folder.display().to_string())
        .replace("@ADDRESS@", &address.to_string())
        .replace("@TOKEN@", &token.to_string())
        .replace("@CQL_PORT@", &cql.to_string())
        .replace("@STORAGE_PORT@", &storage.to_string())
        .replace("@SEED@", "127.0.0.1")
        .replace("@COMMITLOG@", commit_log)
        .replace("@HINTS@", &options.hints.to_string())
}

/// Writes what the node reads at its start.
pub(super) fn prepare(folder: &Path, configuration: &str) -> Result<()> {
    let conf = folder.join("conf");
    fs::create_dir_all(&conf)?;
    fs::write(conf.join("cassandra.yaml"), configuration)?;
    fs::write(conf.join("logback.xml"), LOGBACK)?;
    Ok(())
}

/// A key and a certificate that names the node's address; signed by itself.
pub(super) fn certify(folder: &Path, address: IpAddr) -> Result<()> {
    let store = folder.join(STORE).display().to_string();
    let (ca, name) = (folder.join(CA).display().to_string(), format!("san=ip:{address}"));
    let common = ["-alias", "node", "-keystore", &store, "-storepass", STORE_PASSWORD];
    let make = ["-genkeypair", "-keyalg", "EC", "-validity", "30", "-dname", "CN=node", "-storetype", "PKCS12"];
    for words in [[&make[..], &["-ext", &name]].concat(), vec!["-exportcert", "-rfc", "-file", &ca]] {
        let output = Command::new("keytool").args(words).args(common).output().context("keytool is missing")?;
        if !output.status.success() {
            bail!("keytool failed: {}", String::from_utf8_lossy(&output.stdout));
        }
    }
    Ok(())
}

pub(super) fn flags(folder: &Path, options: Options) -> Vec<String> {
    let heap = options.heap_mib;
    let mut flags = vec![
        format!("-Xms{heap}m"),
        format!("-Xmx{heap}m"),
        // Small heaps on few cores.
        "-XX:+UseSerialGC".to_owned(),
        format!("-Dcassandra.config=file://{}/conf/cassandra.yaml", folder.display()),
        format!("-Dcassandra.storagedir={}", folder.display()),
        // How long a node that starts waits for another's answer; the only one waits for nobody.
        format!("-Dcassandra.ring_delay_ms={}", if options.nodes > 1 { 15_000 } else { 0 }),
        "-Dcassandra.skip_wait_for_gossip_to_settle=0".to_owned(),
        "-Dcassandra.superuser_setup_delay_ms=0".to_owned(),
        // How long a node waits before it asks another for a schema that it has not heard of: a minute, else.
        "-Dcassandra.migration_delay_ms=500".to_owned(),
        "-Djava.security.manager=allow".to_owned(),
    ];
    if options.forgets_tables {
        flags.push("-Dcassandra.test.flush_local_schema_changes=false".to_owned());
    }
    for (flag, packages) in [("--add-exports", &EXPORTS[..]), ("--add-opens", &OPENS[..])] {
        flags.extend(packages.iter().map(|package| format!("{flag}={package}=ALL-UNNAMED")));
    }
    flags
}
