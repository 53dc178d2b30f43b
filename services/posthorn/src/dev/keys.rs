//! The keys of a data directory: one file each, readable by their owner alone, so that they survive
//! restarts and a copy of the directory is all there is to keep.

use std::{
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// The folder of a data directory that holds its keys.
pub struct Keys(PathBuf);

/// A tenant's signing key as it is kept in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningKey {
    pub tenant: String,
    pub key_id: String,
    pub algorithm: String,
    /// HS256: the secret as base64url. Else a PEM private key.
    pub secret: String,
}

impl Keys {
    #[must_use]
    pub fn of(data_dir: &Path) -> Self {
        Self(data_dir.join("keys"))
    }

    #[must_use]
    pub fn operator_file(&self) -> PathBuf {
        self.0.join("operator.key")
    }

    /// An API key of the tenant.
    #[must_use]
    pub fn admin_file(&self, tenant: &str) -> PathBuf {
        self.0.join(format!("{tenant}.admin.key"))
    }

    #[must_use]
    pub fn signing_file(&self, tenant: &str) -> PathBuf {
        self.0.join(format!("{tenant}.signing.json"))
    }

    /// The text of a key file; `None` where there is none. A file that others can read is refused: its
    /// key has to be taken for known.
    pub fn read(file: &Path) -> Result<Option<String>> {
        let about = || format!("cannot read the key in {}", file.display());
        let meta = match fs::metadata(file) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.with_context(about)?,
        };
        if meta.permissions().mode() & 0o077 != 0 {
            bail!("others can read the key in {0}: `chmod 600 {0}`, and replace the key if they did", file.display());
        }
        Ok(Some(fs::read_to_string(file).with_context(about)?.trim().to_owned()))
    }

    /// Replaces a key file as a whole: a crash leaves the old one or the new one.
    pub fn write(&self, file: &Path, text: &str) -> Result<()> {
        let about = || format!("cannot write the key into {}", file.display());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0).with_context(about)?;
        let new = file.with_extension("new");
        let opened = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new);
        let mut opened = opened.with_context(about)?;
        opened.write_all(text.as_bytes()).and_then(|()| opened.sync_all()).with_context(about)?;
        fs::rename(&new, file).with_context(about)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_kept_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::of(folder.path());
        let file = keys.operator_file();
        assert_eq!(Keys::read(&file).unwrap(), None);
        keys.write(&file, "first").unwrap();
        keys.write(&file, "second\n").unwrap();
        assert_eq!(Keys::read(&file).unwrap().as_deref(), Some("second"));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path().join("keys")).unwrap().count(), 1);

        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(Keys::read(&file).unwrap_err().to_string().contains("chmod 600"));
    }
}
