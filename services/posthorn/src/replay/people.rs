//! From nicks to users. Pure.

use std::{collections::BTreeMap, fmt::Write};

use posthorn_core::UserId;
use sha2::{Digest, Sha256};

/// The user of a nick: the same in every file, and another for every other nick. Letters, digits, `-` and
/// `_` stay; every other byte becomes `.xx`. What is too long, or is a name that nobody can have, is
/// named by its hash (`.h` is no escape, so it meets no other nick).
pub fn user_of(nick: &str) -> String {
    let mut id = String::new();
    for byte in nick.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            id.push(char::from(byte));
        } else {
            let _ = write!(id, ".{byte:02x}");
        }
    }
    if id.len() > UserId::MAX || id == UserId::system().as_str() {
        let hash = Sha256::digest(nick.as_bytes());
        return hash.iter().take(16).fold(".h".to_owned(), |id, byte| format!("{id}{byte:02x}"));
    }
    id
}

/// Who is behind the nicks of one file at the moment: a rename moves the user along.
#[derive(Debug, Default)]
pub struct Nicks {
    renamed: BTreeMap<String, String>,
}

impl Nicks {
    pub fn user(&self, nick: &str) -> String {
        self.renamed.get(nick).cloned().unwrap_or_else(|| user_of(nick))
    }

    /// Whoever takes the old nick later is again the user that the nick names.
    pub fn rename(&mut self, from: &str, to: &str) {
        let user = self.user(from);
        self.renamed.remove(from);
        self.renamed.insert(to.to_owned(), user);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nick_is_a_valid_user_of_its_own() {
        let long = "x".repeat(200);
        let other = format!("{long}y");
        let nicks = [
            "ada", "Ada", "ada_", "|QuaD-", "[A] b", "é", "Ã©", ".e9", "a.b", "a.2eb", "system", ".73ystem", "", &long,
            &other,
        ];
        let users: std::collections::BTreeSet<_> = nicks.iter().filter(|n| !n.is_empty()).map(|n| user_of(n)).collect();
        assert_eq!(users.len(), nicks.len() - 1);
        for user in users {
            assert!(UserId::new(&user).is_ok(), "{user}");
            assert_ne!(user, "system");
        }
        assert_eq!(user_of("|QuaD-"), ".7cQuaD-");
    }

    #[test]
    fn a_rename_keeps_the_user() {
        let mut nicks = Nicks::default();
        nicks.rename("ada", "ada_away");
        nicks.rename("ada_away", "lovelace");
        assert_eq!(nicks.user("lovelace"), "ada");
        assert_eq!(nicks.user("ada_away"), user_of("ada_away"));
        nicks.rename("lovelace", "ada");
        assert_eq!(nicks.user("ada"), "ada");
        nicks.rename("bob", "lovelace");
        assert_eq!(nicks.user("lovelace"), "bob");
    }
}
