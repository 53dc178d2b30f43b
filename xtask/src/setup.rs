//! What tests and checks need beside a Rust toolchain: found, or installed at a pinned version. What
//! is not the tree's own lies in a cache outside it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::process::{Step, answer};

/// `cargo deny` without its advisories, which it would fetch from the network on every run.
const DENY: &str = "0.20.2";
const INSTALL_LIMIT: Duration = Duration::from_secs(20 * 60);

/// `$POSTHORN_CACHE`, else `posthorn` in the user's cache folder.
fn cache() -> Result<PathBuf> {
    let chosen = env::var_os("POSTHORN_CACHE").map(PathBuf::from);
    let usual = || env::var_os("XDG_CACHE_HOME").map(|dir| PathBuf::from(dir).join("posthorn"));
    let home = || env::var_os("HOME").map(|dir| PathBuf::from(dir).join(".cache/posthorn"));
    chosen.or_else(usual).or_else(home).context("no place for tools: set POSTHORN_CACHE")
}

/// Chromium, whose path it gives, and Node with the packages of `tests/browser`.
///
/// # Errors
/// Something is missing and cannot be installed; the text says what to do.
pub fn browser(root: &Path) -> Result<PathBuf> {
    if chromium().is_none() {
        apt(root, &["chromium"])?;
    }
    let chromium = chromium().context("apt-get installed no Chromium: set CHROMIUM to the path of one")?;
    if answer("node", &["--version"]).is_none() || answer("npm", &["--version"]).is_none() {
        apt(root, &["nodejs", "npm"])?;
    }
    packages(root)?;
    Ok(chromium)
}

/// `$CHROMIUM`, or the first that is installed.
fn chromium() -> Option<PathBuf> {
    if let Some(chosen) = env::var_os("CHROMIUM") {
        return Some(chosen.into());
    }
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH")?).collect();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|path| path.is_file())
}

fn apt(root: &Path, names: &[&str]) -> Result<()> {
    let wish = names.join(" ");
    if answer("apt-get", &["--version"]).is_none() {
        bail!("{wish} is missing and there is no apt-get: install it, or pass --skip browser");
    }
    let mut prefix = Vec::new();
    if !rustix::process::geteuid().is_root() {
        if answer("sudo", &["-n", "true"]).is_none() {
            bail!("{wish} is missing: run `apt-get install {wish}` as root, or pass --skip browser");
        }
        prefix.extend(["sudo", "-n"]);
    }
    println!("installing {wish}");
    for words in [&["update"][..], &[&["install", "--yes", "--no-install-recommends"], names].concat()] {
        let line: Vec<&str> = prefix.iter().copied().chain(["apt-get", "-qq"]).chain(words.iter().copied()).collect();
        let mut command = Command::new(line[0]);
        command.args(&line[1..]).env("DEBIAN_FRONTEND", "noninteractive");
        if !Step::quiet("apt-get", INSTALL_LIMIT).run(root, &mut command)?.ok {
            bail!("`{}` failed: is there a network? Install {wish}, or pass --skip browser", line.join(" "));
        }
    }
    Ok(())
}

/// `npm ci`, unless the packages lie there as the lock file wants them.
fn packages(root: &Path) -> Result<()> {
    let folder = root.join("tests/browser");
    let lock = fs::read(folder.join("package-lock.json")).context("tests/browser/package-lock.json")?;
    let stamp = folder.join("node_modules/.installed-lock.json");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--prefix"]).arg(&folder);
    npm.arg("--cache").arg(cache()?.join("npm")).env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1");
    if !Step::quiet("npm ci", INSTALL_LIMIT).run(root, &mut npm)?.ok {
        bail!("`npm ci` failed: is there a network? Try again with one, or pass --skip browser");
    }
    fs::create_dir_all(folder.join("node_modules"))?;
    Ok(fs::write(stamp, lock)?)
}

/// The program `cargo-deny`, of the pinned version.
///
/// # Errors
/// It is not there and cannot be built; the text says what to do.
pub fn deny(root: &Path) -> Result<PathBuf> {
    let folder = cache()?.join(format!("cargo-deny-{DENY}"));
    for program in [PathBuf::from("cargo-deny"), folder.join("bin/cargo-deny")] {
        if answer(&program.to_string_lossy(), &["--version"]).is_some_and(|text| text.ends_with(DENY)) {
            return Ok(program);
        }
    }
    println!("installing cargo-deny {DENY}");
    let mut cargo = Command::new("cargo");
    cargo.args(["install", "--quiet", "--locked", "--version", DENY, "cargo-deny"]);
    // Built without optimisation: it runs for a second, and is built for minutes.
    cargo.args(["--debug", "--root"]).arg(&folder).arg("--target-dir").arg(folder.join("build"));
    let installed = Step::quiet("cargo install cargo-deny", INSTALL_LIMIT).run(root, &mut cargo)?.ok;
    let _ = fs::remove_dir_all(folder.join("build"));
    if !installed {
        bail!("cargo-deny {DENY} cannot be installed: is there a network? Later runs need none");
    }
    Ok(folder.join("bin/cargo-deny"))
}
