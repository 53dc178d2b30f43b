//! What no log may say, whatever failed meanwhile: that something panicked, which is only logged where it is no
//! critical task, and what is nobody's to read there.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use posthorn_testkit::Deployment;

use crate::talk;

/// Findings that are told.
const MAX_TOLD: usize = 10;
/// Bytes of a line that are shown.
const MAX_SHOWN: usize = 300;
/// A task that ended otherwise says so with these.
const NO_PANIC: [&str; 2] = ["panicked=false", "\"panicked\":false"];
/// How every token that is signed for people begins: `{"` in base64.
const SIGNED: &str = "eyJ";

/// How long each log was.
#[derive(Default)]
pub struct Logs(BTreeMap<PathBuf, usize>);

impl Logs {
    /// What is in them by now has been looked at.
    pub fn so_far(cluster: &Deployment) -> Result<Self> {
        let length = |path: PathBuf| Ok((path.clone(), usize::try_from(fs::metadata(&path)?.len())?));
        Ok(Self(files(cluster)?.into_iter().map(length).collect::<Result<_>>()?))
    }

    /// The outcome, or what was found in the logs since.
    pub fn beside<T>(&self, cluster: &Deployment, outcome: Result<T>) -> Result<T> {
        match (outcome, self.clean(cluster)) {
            (outcome, Ok(())) => outcome,
            (Ok(_), Err(found)) => Err(found),
            (Err(error), Err(found)) => Err(anyhow!("{error:#}; {found:#}")),
        }
    }

    fn clean(&self, cluster: &Deployment) -> Result<()> {
        let secret = cluster.running.admin_key.rsplit('.').next().filter(|secret| secret.len() > 8);
        let secret = secret.context("the admin key has no secret")?;
        let mut found = Vec::new();
        for path in files(cluster)? {
            let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
            let from = self.0.get(&path).copied().unwrap_or_default().min(bytes.len());
            let before = bytes[..from].iter().filter(|byte| **byte == b'\n').count();
            let text = String::from_utf8_lossy(&bytes[from..]);
            for (line, text) in text.lines().enumerate() {
                found.extend(
                    wrong(text, secret).map(|what| format!("{}:{}: {what}", path.display(), before + line + 1)),
                );
            }
        }
        if !found.is_empty() {
            let told: Vec<&str> = found.iter().take(MAX_TOLD).map(String::as_str).collect();
            bail!("{} lines of the logs are wrong: {}", found.len(), told.join("; "));
        }
        Ok(())
    }
}

fn files(cluster: &Deployment) -> Result<Vec<PathBuf>> {
    let folder = cluster.dir().join("log");
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    Ok(paths.into_iter().filter(|path| is_log(path)).collect())
}

fn is_log(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "log")
}

/// What a line says that it must not. A secret is not said again.
fn wrong(line: &str, secret: &str) -> Option<String> {
    let panicked = line.contains("panicked") && !NO_PANIC.iter().any(|ended| line.contains(ended));
    if panicked {
        return Some(line.chars().take(MAX_SHOWN).collect());
    }
    let what = if line.contains(secret) {
        "the secret of the admin key"
    } else if line.contains(SIGNED) {
        "a token"
    } else if line.contains(talk::SAID) {
        "what somebody said"
    } else if words(line).any(resumes) {
        "a resume token"
    } else {
        return None;
    };
    Some(format!("it has {what}"))
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_')))
}

/// Session, expiry and tag, a line each.
fn resumes(word: &str) -> bool {
    let decoded = (word.len() > 60).then(|| URL_SAFE_NO_PAD.decode(word).ok()).flatten();
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    text.is_some_and(|text| matches!(text.split('\n').collect::<Vec<_>>()[..], [_, at, _] if at.parse::<u64>().is_ok()))
}

#[test]
fn a_log_tells_of_panics_and_keeps_secrets() {
    let secret = "s3cr3t-of-the-key";
    let resume = URL_SAFE_NO_PAD.encode(format!("0191-session\n1795000000000\n{}", "t".repeat(43)));
    for bad in [
        "thread 'tokio-rt-worker' panicked at services/push/src/lib.rs:7:3:",
        "ERROR background task panicked task=\"renewal\"",
        "ERROR critical task ended, the node stops panicked=true",
        "bearer ph_acme.7.s3cr3t-of-the-key",
        "token=eyJhbGciOiJFZERTQSJ9",
        &format!("text={} 12", talk::SAID),
        &format!("resume=\"{resume}\""),
    ] {
        assert!(wrong(bad, secret).is_some(), "{bad}");
    }
    let digest = URL_SAFE_NO_PAD.encode("d".repeat(60));
    for good in ["ERROR critical task ended panicked=false", "the key ph_acme.7 is used", digest.as_str()] {
        assert_eq!(wrong(good, secret), None, "{good}");
    }
}
