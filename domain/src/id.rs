//! Identifiers. Each is a UUID v7 made by the shell; a type of its own keeps one kind from standing in for another.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            /// Reads the hyphenated form only: a name may be 32 hexadecimal digits, and must not be taken for an id.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let hyphenated = if is_uuid_shaped(text) { text } else { "" };
                hyphenated.parse().map(Self)
            }
        }
    };
}

id!(
    /// An organization.
    OrganizationId
);
id!(
    /// A project of an organization.
    ProjectId
);
id!(
    /// A token; it survives rotation.
    TokenId
);

id!(
    /// A person, in whichever organizations.
    UserId
);
id!(
    /// An invitation to become a member.
    InvitationId
);

/// Whether a text has the hyphenated form of a UUID (RFC 9562, section 4), so that it can only mean an id.
pub fn is_uuid_shaped(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, byte)| match i {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuid_shape() {
        assert!(is_uuid_shaped("019ab7a4-0000-7000-8000-000000000001"));
        assert!(!is_uuid_shaped("019ab7a4-0000-7000-8000-00000000000g"));
        assert!(!is_uuid_shaped("web"));
    }
}
