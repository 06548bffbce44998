//! The text of a token.
//!
//! Four letters say whose it is (`chyi`, `chyo`, `chyp`, `chyu`, or `chyn` for an invitation), then `_`, then 43 base62 characters of randomness
//! (256 bits), then 6 base62 characters of CRC-32 over everything before: 54 characters. The checksum lets a leaked
//! or mistyped text be told from noise without a look-up; it protects nothing else. Only the BLAKE3 hash of the whole
//! text is ever kept.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;

/// Characters of a whole secret.
pub const LENGTH: usize = 54;
/// Characters by which people recognise a token: the kind and the first seven random ones.
pub const PREFIX_LENGTH: usize = 12;
/// Random bytes that [`Secret::from_entropy`] takes.
pub const ENTROPY: usize = 64;

const RANDOM: usize = 43;
const CHECKED: usize = LENGTH - CHECKSUM;
const CHECKSUM: usize = 6;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Whose a secret is; the fourth letter of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `chyi_`: the instance.
    Instance,
    /// `chyo_`: an organization.
    Organization,
    /// `chyp_`: a project.
    Project,
    /// `chyu_`: a person's session.
    Session,
    /// `chyn_`: an invitation, to be accepted once.
    Invitation,
}

impl Kind {
    fn letters(self) -> &'static str {
        match self {
            Self::Instance => "chyi_",
            Self::Organization => "chyo_",
            Self::Project => "chyp_",
            Self::Session => "chyu_",
            Self::Invitation => "chyn_",
        }
    }
}

/// A freshly made secret. Its text leaves once, in the answer to who asked for it.
pub struct Secret(String);

impl Secret {
    /// Makes a secret of `entropy`: 64 bytes from the operating system's randomness.
    ///
    /// 43 base62 digits hold 256 bits; 512 bits reduced modulo 62^43 are uniform to within 2^-256.
    pub fn from_entropy(kind: Kind, entropy: &[u8; ENTROPY]) -> Self {
        let mut text = String::with_capacity(LENGTH);
        text.push_str(kind.letters());
        push_base62(&mut text, entropy);
        push_checksum(&mut text);
        Self(text)
    }

    /// The text to hand out.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The text, for the answer that hands it out.
    pub fn into_text(self) -> String {
        self.0
    }

    /// What is kept of it.
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(&self.0)
    }

    /// The first 12 characters.
    pub fn prefix(&self) -> Prefix {
        Prefix::of(&self.0).expect("a secret is longer than its prefix and ASCII")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({}…)", &self.0[..PREFIX_LENGTH])
    }
}

/// Long division of a 512-bit big-endian number by 62, 43 times: the remainders are the digits.
fn push_base62(text: &mut String, entropy: &[u8; ENTROPY]) {
    let mut number = *entropy;
    for _ in 0..RANDOM {
        let mut remainder = 0_u32;
        for byte in &mut number {
            let dividend = remainder << 8 | u32::from(*byte);
            *byte = (dividend / 62) as u8;
            remainder = dividend % 62;
        }
        text.push(char::from(ALPHABET[remainder as usize]));
    }
    number.fill(0);
}

fn push_checksum(text: &mut String) {
    text.extend(checksum(text.as_bytes()).map(char::from));
}

fn checksum(checked: &[u8]) -> [u8; CHECKSUM] {
    let mut crc = crc32fast::hash(checked);
    let mut digits = [0; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(crc % 62) as usize];
        crc /= 62;
    }
    digits
}

/// What the shape of a presented text tells without a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Starts like one of ours and its checksum holds.
    WellFormed,
    /// Starts like one of ours, but has been cut, changed or made up.
    Malformed,
    /// Any other text: it may be an imported key, so only a look-up can tell.
    Foreign,
}

/// Tells the shape of a presented text.
pub fn shape(text: &str) -> Shape {
    if is_well_formed(text) {
        Shape::WellFormed
    } else if starts_like_ours(text.as_bytes()) {
        Shape::Malformed
    } else {
        Shape::Foreign
    }
}

/// Whether `text` is exactly one secret of ours with a checksum that holds.
pub fn is_well_formed(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == LENGTH
        && starts_like_ours(bytes)
        && bytes[5..].iter().all(u8::is_ascii_alphanumeric)
        && bytes[CHECKED..] == checksum(&bytes[..CHECKED])
}

fn starts_like_ours(bytes: &[u8]) -> bool {
    bytes.len() >= 5
        && bytes.starts_with(b"chy")
        && matches!(bytes[3], b'i' | b'o' | b'p' | b'u' | b'n')
        && bytes[4] == b'_'
}

/// BLAKE3 of the whole text of a secret, 32 bytes; 64 hexadecimal digits in a line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretHash(pub [u8; 32]);

impl SecretHash {
    /// The hash of a presented text.
    pub fn of(text: &str) -> Self {
        Self(*blake3::hash(text.as_bytes()).as_bytes())
    }

    /// The hash that these 64 hexadecimal digits are.
    pub fn from_hex(digits: &str) -> Option<Self> {
        blake3::Hash::from_hex(digits.as_bytes()).ok().map(|hash| Self(*hash.as_bytes()))
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl Serialize for SecretHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl<'de> Deserialize<'de> for SecretHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let hash = blake3::Hash::from_hex(text.as_bytes()).map_err(D::Error::custom)?;
        Ok(Self(*hash.as_bytes()))
    }
}

/// The first 12 characters of a secret, for people to recognise it by; not unique.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix([u8; PREFIX_LENGTH]);

impl Prefix {
    /// The prefix of a text of at least 12 printable ASCII characters.
    pub fn of(text: &str) -> Option<Self> {
        let bytes: [u8; PREFIX_LENGTH] = text.as_bytes().get(..PREFIX_LENGTH)?.try_into().ok()?;
        bytes.iter().all(u8::is_ascii_graphic).then_some(Self(bytes))
    }

    /// What stands for the prefix of an imported key, whose text nobody here has seen: `imp_` and the start of what is
    /// kept of it.
    pub fn of_imported(hash: &SecretHash) -> Self {
        let digits = format!("imp_{}", &blake3::Hash::from_bytes(hash.0).to_hex()[..PREFIX_LENGTH - 4]);
        Self::of(&digits).expect("twelve characters of ASCII")
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a prefix is ASCII")
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::of(&text)
            .filter(|_| text.len() == PREFIX_LENGTH)
            .ok_or_else(|| D::Error::custom("a prefix has 12 printable ASCII characters"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_secret_has_the_documented_form() {
        let secret = Secret::from_entropy(Kind::Organization, &[0xff; ENTROPY]);
        // The expected texts were computed apart from this code, with big integers and zlib's CRC-32.
        insta::assert_snapshot!(secret.text(), @"chyo_3I8WM3Ol5AqzEVPa7SEj8WQFL5fOvnxRuzold5r3YBE1ZADCx");
        assert_eq!(secret.text().len(), LENGTH);
        assert_eq!(secret.prefix().as_str(), &secret.text()[..12]);
        assert_eq!(shape(secret.text()), Shape::WellFormed);
        assert_eq!(format!("{secret:?}"), format!("Secret({}…)", secret.prefix()));
    }

    #[test]
    fn the_smallest_secret_pads_with_zeros() {
        let secret = Secret::from_entropy(Kind::Instance, &[0; ENTROPY]);
        assert_eq!(secret.text(), "chyi_00000000000000000000000000000000000000000004dpH1o");
    }

    #[test]
    fn entropy_is_one_big_endian_number_and_digits_start_with_the_lowest() {
        let entropy: [u8; ENTROPY] = std::array::from_fn(|i| i as u8);
        let secret = Secret::from_entropy(Kind::Session, &entropy);
        assert_eq!(secret.text(), "chyu_d8q7ncN9fvfU8Ki196DlowaIiUqMaLKbtHXZV0bcG0B0cWDRd");
    }

    #[test]
    fn the_shape_of_a_text_needs_no_look_up() {
        let text = Secret::from_entropy(Kind::Project, &[7; ENTROPY]).into_text();
        assert_eq!(shape(&text), Shape::WellFormed);
        for cut in [&text[..53], "chyp_", &format!("{text}x"), &text.replacen("chyp", "chyi", 1)] {
            assert_eq!(shape(cut), Shape::Malformed, "{cut}");
        }
        for foreign in ["", "chy", "chyx_abc", &text[1..], &text.to_uppercase(), "sk_live_0123456789"] {
            assert_eq!(shape(foreign), Shape::Foreign, "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn any_change_of_one_character_is_malformed(
            entropy in proptest::collection::vec(any::<u8>(), ENTROPY), at in 5..LENGTH, to in 0..62_usize,
        ) {
            let secret = Secret::from_entropy(Kind::Project, entropy.as_slice().try_into().unwrap());
            prop_assert_eq!(shape(secret.text()), Shape::WellFormed);
            let mut bytes = secret.text().as_bytes().to_vec();
            prop_assume!(bytes[at] != ALPHABET[to]);
            bytes[at] = ALPHABET[to];
            prop_assert_eq!(shape(std::str::from_utf8(&bytes).unwrap()), Shape::Malformed);
        }

        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let _ = (shape(&text), Prefix::of(&text), SecretHash::of(&text));
        }
    }
}
