//! The break-glass token: how it is recognised, as a credential and where it was put by mistake.

use domain::secret::SecretHash;
use eventlog::Random;
use std::borrow::Cow;
use subtle::ConstantTimeEq;

/// 2^61 - 1, a prime: sums of products of smaller numbers fit into 128 bits.
const PRIME: u128 = (1 << 61) - 1;

/// The break-glass token: its hash, and a fingerprint that finds it in a text. Its own text is not kept, and nothing is
/// compared with it, so no answer's time depends on its characters.
#[derive(Clone)]
pub struct AdminToken {
    hash: SecretHash,
    length: usize,
    /// A polynomial of the token's bytes at a random point, which only this process knows.
    fingerprint: u128,
    point: u128,
    /// The point to the power of the length.
    power: u128,
}

impl AdminToken {
    /// The fewest characters it may have.
    pub const LEAST: usize = 32;

    /// From its text; none when that is too short, or holds anything but visible ASCII, or a quote or a backslash, which
    /// JSON would write in another way.
    pub fn new(text: &str, random: &Random) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
        if text.len() < Self::LEAST || !text.bytes().all(fits) {
            return None;
        }
        let point = u128::from(u64::from_le_bytes(random.bytes())) % PRIME;
        let step = |sum: u128, byte: u8| (sum * point + u128::from(byte)) % PRIME;
        Some(Self {
            hash: SecretHash::of(text),
            length: text.len(),
            fingerprint: text.bytes().fold(0, step),
            point,
            power: text.bytes().fold(1, |power, _| power * point % PRIME),
        })
    }

    /// Whether a hash is its own, in a time that does not depend on either.
    pub(crate) fn is(&self, hash: &SecretHash) -> bool {
        self.hash.0.ct_eq(&hash.0).into()
    }

    /// The text with every occurrence of the token replaced; borrowed when there is none. Takes the same steps for every
    /// text of one length.
    pub(crate) fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let bytes = text.as_bytes();
        let (mut sum, mut masked, mut copied) = (0, String::new(), 0);
        for (end, byte) in bytes.iter().enumerate() {
            sum = (sum * self.point + u128::from(*byte)) % PRIME;
            let Some(start) = (end + 1).checked_sub(self.length) else { continue };
            if let Some(gone) = start.checked_sub(1) {
                sum = (sum + PRIME - u128::from(bytes[gone]) * self.power % PRIME) % PRIME;
            }
            let found = sum == self.fingerprint && start >= copied;
            if found && text.get(start..=end).is_some_and(|same| self.is(&SecretHash::of(same))) {
                masked.push_str(&text[copied..start]);
                masked.push_str("admin-token…");
                copied = end + 1;
            }
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        masked.push_str(&text[copied..]);
        Cow::Owned(masked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "correct-horse-battery-staple-0123456789";

    #[test]
    fn it_is_found_wherever_it_stands() {
        let admin = AdminToken::new(TEXT, &Random::seeded(1)).unwrap();
        for text in
            [TEXT.to_owned(), format!("é {TEXT}{TEXT} and {TEXT}."), format!("{{\"note\":\"{TEXT}\"}}")]
        {
            let masked = admin.mask(&text).into_owned();
            assert!(!masked.contains(TEXT) && masked.contains("admin-token…"), "{masked}");
            assert_eq!(masked.replace("admin-token…", TEXT), text);
        }
        for text in ["", "ééé", &TEXT[1..], &TEXT[..38], &TEXT.to_uppercase(), &"c".repeat(1_000)] {
            assert!(matches!(admin.mask(text), Cow::Borrowed(_)), "{text}");
        }
        assert!(admin.is(&SecretHash::of(TEXT)) && !admin.is(&SecretHash::of("")));
    }

    #[test]
    fn it_is_long_and_plain() {
        for bad in ["short", &"x".repeat(31), &format!("{TEXT} "), &format!("{TEXT}\""), &format!("{TEXT}é")]
        {
            assert!(AdminToken::new(bad, &Random::seeded(1)).is_none(), "{bad}");
        }
    }
}
