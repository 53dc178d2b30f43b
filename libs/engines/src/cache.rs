//! Where installed engines are kept: outside the tree, one folder a version, made once however many
//! processes ask for it.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// `engines` in `$POSTHORN_CACHE`, else in `posthorn` of the user's cache folder.
///
/// # Errors
/// The environment names no home.
pub fn root() -> Result<PathBuf> {
    let chosen = env::var_os("POSTHORN_CACHE").map(PathBuf::from);
    let usual = || env::var_os("XDG_CACHE_HOME").map(|dir| PathBuf::from(dir).join("posthorn"));
    let home = || env::var_os("HOME").map(|dir| PathBuf::from(dir).join(".cache/posthorn"));
    let root = chosen.or_else(usual).or_else(home).context("no place for engines: set POSTHORN_CACHE")?;
    Ok(root.join("engines"))
}

/// The folder of `name` (which holds the version), filled by `fill` if it is not there. Others that ask
/// meanwhile wait; what a `fill` that failed left is thrown away, so a folder that is there is whole.
///
/// # Errors
/// `fill` failed, or the cache cannot be written.
pub fn installed(name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    installed_in(&root()?, name, fill)
}

fn installed_in(root: &Path, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let whole = root.join(name);
    if whole.is_dir() {
        return Ok(whole);
    }
    fs::create_dir_all(root).with_context(|| format!("cannot make {}", root.display()))?;
    let _held = lock(&root.join(format!("{name}.lock")))?;
    if whole.is_dir() {
        return Ok(whole);
    }
    let partial = root.join(format!("{name}.partial"));
    if partial.exists() {
        fs::remove_dir_all(&partial).with_context(|| format!("cannot clear {}", partial.display()))?;
    }
    fs::create_dir_all(&partial)?;
    fill(&partial).with_context(|| format!("cannot install {name}"))?;
    fs::rename(&partial, &whole).with_context(|| format!("cannot keep {}", whole.display()))?;
    Ok(whole)
}

/// Waits for the file's lock; it is given back when the file is dropped, also by a process that dies.
pub(crate) fn lock(path: &Path) -> Result<File> {
    let open = || File::options().create(true).truncate(false).write(true).open(path);
    let file = open().with_context(|| format!("cannot open {}", path.display()))?;
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use anyhow::bail;

    use super::*;

    #[test]
    fn many_that_ask_at_once_fill_the_folder_once() {
        let root = tempfile::tempdir().expect("a folder");
        let fills = AtomicUsize::new(0);
        let fill = |folder: &Path| {
            fills.fetch_add(1, Ordering::Relaxed);
            Ok(fs::write(folder.join("bin"), "engine")?)
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let at = installed_in(root.path(), "engine-1", fill).expect("installs");
                    assert_eq!(fs::read_to_string(at.join("bin")).expect("is there"), "engine");
                });
            }
        });
        assert_eq!(fills.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_a_failed_fill_left_is_not_taken_for_whole() {
        let root = tempfile::tempdir().expect("a folder");
        let broken = |folder: &Path| {
            fs::write(folder.join("half"), "")?;
            bail!("the network went")
        };
        installed_in(root.path(), "engine-1", broken).expect_err("fails");
        let at = installed_in(root.path(), "engine-1", |_| Ok(())).expect("installs");
        assert!(!at.join("half").exists());
    }
}
