//! Personal values, which never stand in a line: the line carries a commitment, the value stands beside the
//! log.
//!
//! The commitment is `SHA-256(salt ‖ kind ‖ 0x00 ‖ value)`: 16 bytes of salt, the kind's name in ASCII, a
//! zero byte, the value in UTF-8. In a line it is base64url without padding (RFC 4648, section 5), 43
//! characters. Whoever has the row can check it: `printf '%s' "$salt_hex" | xxd -r -p; printf
//! 'email\0ada@example.org'`, through `sha256sum`. Whoever has only the line learns nothing, because the salt
//! is erased with the value.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What a personal value is. The name is part of the commitment and is never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A mail address.
    Email,
    /// A person's name.
    Name,
    /// A client's network address.
    Address,
    /// A client's user agent.
    Agent,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 4] = [Kind::Email, Kind::Name, Kind::Address, Kind::Agent];

    /// The kind of a stored name.
    pub fn of(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name that is stored and hashed.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Email => "email",
            Kind::Name => "name",
            Kind::Address => "address",
            Kind::Agent => "agent",
        }
    }
}

/// A personal value with its salt and commitment.
#[derive(Clone, PartialEq, Eq)]
pub struct Personal {
    /// `SHA-256(salt ‖ kind ‖ 0x00 ‖ value)`.
    pub commitment: [u8; 32],
    /// 16 random bytes, without which the few possible values could be tried out.
    pub salt: [u8; 16],
    /// What the value is.
    pub kind: Kind,
    /// The value.
    pub value: String,
    /// The organization whose lines refer to it; none is the instance.
    pub organization: Option<Uuid>,
    /// Whose value it is, where that is known: an erasure of that person deletes it.
    pub person: Option<Uuid>,
}

impl Personal {
    /// Commits to a value of nobody in particular, for the instance's lines.
    pub fn new(kind: Kind, value: impl Into<String>, salt: [u8; 16]) -> Personal {
        let value = value.into();
        let commitment = commitment(&salt, kind, &value);
        Personal { commitment, salt, kind, value, organization: None, person: None }
    }

    /// The same for an organization's lines, as a person's where that is known.
    #[must_use]
    pub fn of(self, organization: Option<Uuid>, person: Option<Uuid>) -> Personal {
        Personal { organization, person, ..self }
    }

    /// The commitment as lines carry it: 43 characters.
    pub fn encoded(&self) -> String {
        encode_commitment(&self.commitment)
    }
}

/// Neither the value nor the salt, with which it could be guessed, may get into a trace.
impl fmt::Debug for Personal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Personal")
            .field("kind", &self.kind)
            .field("commitment", &self.encoded())
            .finish_non_exhaustive()
    }
}

/// What stands behind a commitment that was not erased.
#[derive(Clone, PartialEq, Eq)]
pub enum Opened {
    /// The value that the line was written with.
    Value(String),
    /// Another one: somebody has changed the row.
    Altered,
}

impl Opened {
    /// The value that the line was written with.
    pub fn value(&self) -> Option<&str> {
        match self {
            Opened::Value(value) => Some(value),
            Opened::Altered => None,
        }
    }
}

/// Neither may get into a trace.
impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Opened::Value(_) => "Value(…)",
            Opened::Altered => "Altered",
        })
    }
}

/// A row of personal values as it is stored, whether it fits its commitment or not.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonalRow {
    /// The salt.
    pub salt: Vec<u8>,
    /// The name of the kind.
    pub kind: String,
    /// The value.
    pub value: String,
}

impl PersonalRow {
    /// Whether it is what a commitment was made of.
    pub fn fits(&self, made: &[u8; 32]) -> bool {
        let salt = <&[u8; 16]>::try_from(&self.salt[..]);
        let kind = Kind::of(&self.kind);
        salt.ok().zip(kind).is_some_and(|(salt, kind)| commitment(salt, kind, &self.value) == *made)
    }
}

/// As [`Personal`]'s: no value and no salt.
impl fmt::Debug for PersonalRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersonalRow").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// The commitment to a value, to make or to check one.
pub fn commitment(salt: &[u8; 16], kind: Kind, value: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update(salt)
        .chain_update(kind.name())
        .chain_update([0])
        .chain_update(value)
        .finalize()
        .into()
}

/// A commitment as lines carry it: base64url without padding, 43 characters.
pub fn encode_commitment(commitment: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(commitment)
}

/// A commitment out of a line; none if it is not 43 characters of base64url.
pub fn decode_commitment(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checked with `sha256sum` over the bytes that the module's documentation describes.
    #[test]
    fn a_commitment_is_the_documented_hash() {
        let value = Personal::new(Kind::Email, "ada@example.org", [7; 16]);
        assert_eq!(value.encoded(), "pAmMJIvqCNOKsqumxC-JHG8Sd0kaQPUwyKsQsg6PtvY");
        assert_eq!(decode_commitment(&value.encoded()), Some(value.commitment));
        assert_eq!(decode_commitment("short"), None);
    }

    #[test]
    fn kind_salt_and_value_all_count() {
        let value = Personal::new(Kind::Name, "x", [0; 16]);
        assert_ne!(value.commitment, commitment(&[0; 16], Kind::Agent, "x"));
        assert_ne!(value.commitment, commitment(&[1; 16], Kind::Name, "x"));
        assert_ne!(value.commitment, commitment(&[0; 16], Kind::Name, "y"));
    }

    #[test]
    fn no_trace_shows_the_value() {
        let shown = format!("{:?}", Personal::new(Kind::Email, "ada@example.org", [7; 16]));
        assert!(!shown.contains("ada") && !shown.contains("salt"), "{shown}");
    }
}
