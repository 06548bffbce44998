//! Keys that were issued elsewhere, and are known here by a hash alone.
//!
//! A key of somebody else's may be weak enough to be guessed from a hash of it. So neither its text nor its hash is
//! kept: the state and the log have a hash under a key of the authority's own, which stands in no line. Whoever has an
//! export and not that key cannot try guesses against it.

use crate::rejection::Rejection;
use crate::secret::SecretHash;
use crate::state::State;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use std::fmt;

/// By what a key was hashed where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// BLAKE3, 32 bytes of it.
    Blake3,
    /// SHA-256.
    Sha256,
}

impl Algorithm {
    /// Every one, in the order in which a presented text is looked up.
    pub const ALL: [Self; 2] = [Self::Blake3, Self::Sha256];

    /// As lines and answers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blake3 => "blake3",
            Self::Sha256 => "sha256",
        }
    }

    /// Reads a name, as people write it too.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        match text.to_ascii_lowercase().as_str() {
            "blake3" => Ok(Self::Blake3),
            "sha256" | "sha-256" => Ok(Self::Sha256),
            _ => Err(Rejection::invalid("algorithm", text, "`sha256` or `blake3`".to_owned())),
        }
    }
}

/// The hash of a key as it comes from elsewhere. It does not show itself: a weak key can be guessed from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Reads 32 bytes in hexadecimal digits or in base64, either alphabet, padded or not.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let text = text.trim();
        let bytes = match SecretHash::from_hex(text) {
            Some(hash) => Some(hash.0.to_vec()),
            None if text.len() > 44 => None,
            None => {
                let bare = text.trim_end_matches('=');
                STANDARD_NO_PAD.decode(bare).or_else(|_| URL_SAFE_NO_PAD.decode(bare)).ok()
            }
        };
        let digest = bytes.and_then(|bytes| bytes.try_into().ok()).map(Self);
        // What is no hash may be the key itself: it is not shown.
        digest.ok_or_else(|| {
            Rejection::invalid("hash", "…", "32 bytes as 64 hexadecimal digits or as base64".to_owned())
        })
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

/// The key of the authority's own under which hashes of imported keys are hashed once more.
#[derive(Clone, Copy)]
pub struct ImportKey([u8; 32]);

impl ImportKey {
    /// From 32 random bytes that every node of the authority has.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// What is kept of an imported key.
    pub fn hash(&self, algorithm: Algorithm, digest: &Digest) -> SecretHash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(algorithm.as_str().as_bytes());
        hasher.update(&[0]);
        hasher.update(&digest.0);
        SecretHash(*hasher.finalize().as_bytes())
    }
}

impl fmt::Debug for ImportKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ImportKey(…)")
    }
}

/// What a text can be known by: its own hash, and those of a key that was imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashes {
    /// BLAKE3 of the text.
    pub own: SecretHash,
    /// What would be kept of it if it was imported, by each algorithm; none where it is no whole text.
    pub imported: Option<[SecretHash; 2]>,
}

impl From<SecretHash> for Hashes {
    fn from(own: SecretHash) -> Self {
        Self { own, imported: None }
    }
}

impl Hashes {
    /// The one that a token is known by; the text's own where there is none.
    ///
    /// Nobody sees from two hashes that they are of one key, so it may have been imported by each algorithm. Its text
    /// is that of the token which was there first: whoever knows a hash of a key takes it from nobody, and one that was
    /// revoked does not come back.
    pub fn known(&self, state: &State) -> SecretHash {
        let Some(imported) = self.imported.filter(|_| !state.imports().is_empty()) else { return self.own };
        // Nobody had a text of this authority's own making before it did.
        if state.tokens().by_secret(&self.own).is_some() {
            return self.own;
        }
        let slot = |hash: &SecretHash| state.tokens().slot_of(state.tokens().by_secret(hash)?.0.id);
        let known = imported.into_iter().filter_map(|hash| Some((slot(&hash)?, hash)));
        known.min_by_key(|(slot, _)| *slot).map_or(self.own, |(_, hash)| hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_in_every_usual_form() {
        let digest = Digest(*blake3::hash(b"a key").as_bytes());
        let hex = blake3::Hash::from_bytes(digest.0).to_hex().to_string();
        let base64 = base64::engine::general_purpose::STANDARD.encode(digest.0);
        let url = URL_SAFE_NO_PAD.encode(digest.0);
        for text in [&hex, &hex.to_uppercase(), &base64, &url, &format!(" {hex}\n")] {
            assert_eq!(Digest::parse(text).unwrap(), digest, "{text}");
        }
        for bad in ["", "a key", &hex[1..], &format!("{hex}0"), "====", &"x".repeat(1_000_000)] {
            let refused = Digest::parse(bad).unwrap_err().to_string();
            assert!(bad.is_empty() || !refused.contains(bad), "{refused}");
        }
    }

    #[test]
    fn what_is_kept_depends_on_the_key_and_the_algorithm() {
        let digest = Digest([7; 32]);
        let kept = |key: u8, algorithm| ImportKey::new([key; 32]).hash(algorithm, &digest);
        assert_ne!(kept(1, Algorithm::Blake3), kept(2, Algorithm::Blake3));
        assert_ne!(kept(1, Algorithm::Blake3), kept(1, Algorithm::Sha256));
        assert!(!format!("{digest:?} {:?}", ImportKey::new([1; 32])).contains('7'));
    }
}
