//! What tests and checks need beside a Rust toolchain: found, or installed at a pinned version. What
//! is not the tree's own lies in a cache outside it.

use std::{
    env, fs,
    hash::{DefaultHasher, Hash, Hasher},
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
        apt(root, &["chromium"], "browser")?;
    }
    let chromium = chromium().context("apt-get installed no Chromium: set CHROMIUM to the path of one")?;
    node(root, "browser")?;
    Ok(chromium)
}

/// What runs the scripts of `tests/peers`.
pub struct Peers {
    /// With the packages of `requirements.txt`.
    pub python: PathBuf,
    pub node: PathBuf,
}

/// Python and Node with the packages of `tests/peers`.
///
/// # Errors
/// As [`browser`].
pub fn peers(root: &Path) -> Result<Peers> {
    node(root, "peers")?;
    Ok(Peers { python: python(root)?, node: PathBuf::from("node") })
}

/// Node, with the packages of a folder below `tests` that is named as the step that wants them.
fn node(root: &Path, step: &str) -> Result<()> {
    if answer("node", &["--version"]).is_none() || answer("npm", &["--version"]).is_none() {
        apt(root, &["nodejs", "npm"], step)?;
    }
    packages(root, step)
}

/// A Python of its own in the cache, which has what `tests/peers/requirements.txt` pins and nothing else.
fn python(root: &Path) -> Result<PathBuf> {
    let list = root.join("tests/peers/requirements.txt");
    let wanted = fs::read(&list).context("tests/peers/requirements.txt")?;
    let mut hasher = DefaultHasher::new();
    wanted.hash(&mut hasher);
    let folder = cache()?.join(format!("python-{:016x}", hasher.finish()));
    let (program, stamp) = (folder.join("bin/python"), folder.join(".installed"));
    let path = program.to_string_lossy().into_owned();
    // A new Python of the machine leaves one that starts no more, or finds no packages.
    let version = || answer(&path, &["--version"]);
    if version().is_some_and(|version| fs::read_to_string(&stamp).is_ok_and(|installed| installed == version)) {
        return Ok(program);
    }
    if answer("python3", &["--version"]).is_none() || answer("python3", &["-c", "import ensurepip, venv"]).is_none() {
        apt(root, &["python3", "python3-venv"], "peers")?;
    }
    println!("installing the Python packages of tests/peers");
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(&folder);
    if !Step::quiet("python venv", INSTALL_LIMIT).run(root, &mut venv)?.ok {
        bail!("`python3 -m venv` failed: install Python 3.11 or newer with venv and pip, or pass --skip peers");
    }
    let mut pip = Command::new(&program);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]);
    pip.arg("--requirement").arg(&list);
    if !Step::quiet("pip install", INSTALL_LIMIT).run(root, &mut pip)?.ok {
        bail!("`pip install` failed: is there a network? Try again with one, or pass --skip peers");
    }
    fs::write(stamp, version().context("the new Python does not start")?)?;
    Ok(program)
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

/// Debian's packages, for a step of the tests that may be skipped.
fn apt(root: &Path, names: &[&str], step: &str) -> Result<()> {
    let wish = names.join(" ");
    if answer("apt-get", &["--version"]).is_none() {
        bail!("{wish} is missing and there is no apt-get: install it, or pass --skip {step}");
    }
    let mut prefix = Vec::new();
    if !rustix::process::geteuid().is_root() {
        if answer("sudo", &["-n", "true"]).is_none() {
            bail!("{wish} is missing: run `apt-get install {wish}` as root, or pass --skip {step}");
        }
        prefix.extend(["sudo", "-n"]);
    }
    println!("installing {wish}");
    for words in [&["update"][..], &[&["install", "--yes", "--no-install-recommends"], names].concat()] {
        let line: Vec<&str> = prefix.iter().copied().chain(["apt-get", "-qq"]).chain(words.iter().copied()).collect();
        let mut command = Command::new(line[0]);
        command.args(&line[1..]).env("DEBIAN_FRONTEND", "noninteractive");
        if !Step::quiet("apt-get", INSTALL_LIMIT).run(root, &mut command)?.ok {
            bail!("`{}` failed: is there a network? Install {wish}, or pass --skip {step}", line.join(" "));
        }
    }
    Ok(())
}

/// `npm ci`, unless the packages lie there as the lock file wants them.
fn packages(root: &Path, step: &str) -> Result<()> {
    let folder = root.join("tests").join(step);
    let lock = fs::read(folder.join("package-lock.json")).with_context(|| format!("tests/{step}/package-lock.json"))?;
    let stamp = folder.join("node_modules/.installed-lock.json");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--prefix"]).arg(&folder);
    npm.arg("--cache").arg(cache()?.join("npm")).env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1");
    if !Step::quiet("npm ci", INSTALL_LIMIT).run(root, &mut npm)?.ok {
        bail!("`npm ci` failed: is there a network? Try again with one, or pass --skip {step}");
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
