//! Secrets that may have to be handed out again: a repeated mint or rotate within ten minutes answers the same text.
//!
//! It is kept sealed under a key that is derived from the caller's credential and the idempotency key. The server has
//! neither, only hashes of them, so what is stored opens for nobody but who sends both again.

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use domain::secret::{Secret, SecretHash};
use eventlog::{Error, Log, Random, Sealed};
use sqlx::Row;
use std::fmt;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a secret is kept sealed.
const KEPT: Duration = Duration::from_mins(10);
const NONCE: usize = 12;

/// The key of one answer.
#[derive(Clone)]
pub struct SealKey(Zeroizing<[u8; 32]>);

impl SealKey {
    /// Derives the key from the text of the caller's credential and the idempotency key.
    pub fn derive(credential: &str, idempotency_key: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("chancery 2026 sealed secret");
        for part in [credential, idempotency_key] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Self(Zeroizing::new(*hasher.finalize().as_bytes()))
    }

    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new(Key::from_slice(self.0.as_slice()))
    }

    pub(crate) fn seal(&self, idempotency: &str, secret: &Secret, random: &Random, at: i64) -> Sealed {
        let nonce: [u8; NONCE] = random.bytes();
        let sealed = self
            .cipher()
            .encrypt(Nonce::from_slice(&nonce), secret.text().as_bytes())
            .expect("54 bytes are less than the cipher's limit");
        let kept = i64::try_from(KEPT.as_micros()).expect("ten minutes are few microseconds");
        Sealed {
            key: idempotency.as_bytes().to_vec(),
            contents: [&nonce[..], &sealed].concat(),
            until: at.saturating_add(kept),
        }
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(…)")
    }
}

/// The secret that was sealed for a repeated request, if it is still kept and still the token's: `current` is the
/// hash of the secret that the token has now.
pub async fn unseal(
    log: &Log,
    key: &SealKey,
    idempotency: &str,
    current: SecretHash,
    now: i64,
) -> Result<Option<String>, Error> {
    let reading = sqlx::query(
        "SELECT box FROM chancery.sealed
         WHERE key = $1 AND until > 'epoch'::timestamptz + $2 * interval '1 microsecond'",
    )
    .bind(idempotency.as_bytes().to_vec())
    .bind(now);
    let rows = log.run("reading a sealed secret", reading).await?;
    Ok(rows.first().and_then(|row| {
        let sealed: Vec<u8> = row.try_get(0).ok()?;
        let (nonce, sealed) = sealed.split_at_checked(NONCE)?;
        let text = key.cipher().decrypt(Nonce::from_slice(nonce), sealed).ok()?;
        String::from_utf8(text).ok().filter(|text| SecretHash::of(text) == current)
    }))
}

/// Deletes what has been kept long enough.
pub(crate) async fn sweep(log: &Log) -> Result<(), Error> {
    let deleting = sqlx::query("DELETE FROM chancery.sealed WHERE until <= clock_timestamp()");
    log.run("deleting sealed secrets", deleting).await.map(|_| ())
}
