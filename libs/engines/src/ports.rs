//! Ports for engines. Not those that the system hands out: an engine has to get its port back after a
//! restart, when anybody's outgoing connection might have been given it.

use std::{
    fs::{self, File, TryLockError},
    net::{IpAddr, Ipv4Addr, TcpListener},
    path::Path,
};

use anyhow::{Context, Result, bail};

use crate::cache;

/// Below the range of outgoing connections of the usual systems.
const FIRST: u16 = 20_000;
const LAST: u16 = 31_999;

/// A port that nobody else who asks here is given, also in other processes, until this is dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    held: File,
}

/// Not left to the closing of the file: a process that was just forked holds it too, until it runs its program.
impl Drop for Port {
    fn drop(&mut self) {
        let _ = self.held.unlock();
    }
}

impl Port {
    /// Free on 127.0.0.1.
    ///
    /// # Errors
    /// None is free, or the cache cannot be written.
    pub fn free() -> Result<Self> {
        Self::free_on(&[Ipv4Addr::LOCALHOST.into()])
    }

    /// Free on all of these addresses.
    ///
    /// # Errors
    /// None is free, or the cache cannot be written.
    pub fn free_on(addresses: &[IpAddr]) -> Result<Self> {
        Self::search(&cache::root()?.join("ports"), addresses)
    }

    /// This one, again or from whoever had it until now; `None` while somebody else has it. Whether it can be
    /// listened on is not asked.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub fn hold(number: u16) -> Result<Option<Self>> {
        Self::held(&cache::root()?.join("ports"), number)
    }

    /// As [`Port::hold`], where also nobody listens on it at 127.0.0.1.
    ///
    /// # Errors
    /// As [`Port::hold`].
    pub fn again(number: u16) -> Result<Option<Self>> {
        let held = Self::hold(number)?;
        Ok(held.filter(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok()))
    }

    fn held(folder: &Path, number: u16) -> Result<Option<Self>> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let path = folder.join(number.to_string());
        let file = File::options().create(true).truncate(false).write(true).open(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { number, held: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).context("cannot lock a port"),
        }
    }

    fn search(folder: &Path, addresses: &[IpAddr]) -> Result<Self> {
        // Processes begin at different places: fewer tries, and fewer meetings with a port that somebody
        // outside of this is about to bind.
        let span = u32::from(LAST - FIRST) + 1;
        let begin = std::process::id().wrapping_mul(37) % span;
        for step in 0..span {
            let number = FIRST + u16::try_from((begin + step) % span).unwrap_or_default();
            let free = |_: &Self| addresses.iter().all(|address| TcpListener::bind((*address, number)).is_ok());
            if let Some(port) = Self::held(folder, number)?.filter(free) {
                return Ok(port);
            }
        }
        bail!("no port from {FIRST} to {LAST} is free on {addresses:?}")
    }

    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once_until_it_is_dropped() {
        let folder = tempfile::tempdir().expect("a folder");
        let here = [Ipv4Addr::LOCALHOST.into()];
        let first = Port::search(folder.path(), &here).expect("a port");
        let second = Port::search(folder.path(), &here).expect("another");
        assert_ne!(first.number(), second.number());
        let number = first.number();
        assert!(Port::held(folder.path(), number).expect("asks").is_none());
        drop(first);
        assert!(Port::held(folder.path(), number).expect("asks").is_some());
        assert_eq!(Port::search(folder.path(), &here).expect("the first again").number(), number);
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_passed_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let here = [Ipv4Addr::LOCALHOST.into()];
        let number = Port::search(folder.path(), &here).expect("a port").number();
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, number)).expect("binds");
        assert_ne!(Port::search(folder.path(), &here).expect("another").number(), number);
    }
}
