//! The chain: every row carries a short hash of the previous row's chain and its own envelope, so
//! that a loader can tell which of several rows of one seq continues what it has taken. Bodies
//! enter by their hash in the envelope: erasing one breaks nothing.

use sha2::{Digest, Sha256};

/// 16 bytes of SHA-256 over (previous chain, envelope bytes).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct Chain(pub [u8; 16]);

impl Chain {
    /// Before the first entry.
    pub const START: Self = Self([0; 16]);

    /// The chain of the row with this envelope that follows.
    #[must_use]
    pub fn link(self, envelope: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(envelope);
        Self::cut(&hash.finalize())
    }

    /// From a stored column; anything but 16 bytes is no chain.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    fn cut(digest: &[u8]) -> Self {
        let mut short = [0; 16];
        short.copy_from_slice(&digest[..16]);
        Self(short)
    }
}

/// SHA-256 of a body, as it stands in the envelope.
#[must_use]
pub fn body_hash(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}
