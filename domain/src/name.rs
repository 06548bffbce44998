//! Names of organizations, projects and roles.

use crate::id::is_uuid_shaped;
use crate::rejection::Rejection;
use crate::role;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::fmt;
use std::sync::Arc;

/// A DNS label (RFC 1123, section 2.1): 1 to 63 of `a-z`, `0-9` and `-`, neither first nor last a `-`. Never shaped
/// like a UUID, so that a name can serve wherever an id does.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Name(Arc<str>);

impl Name {
    /// Reads a name for an organization, a project or a role of an organization's own: also not a built-in role's.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, Rejection> {
        if role::is_built_in(text) {
            let expected = "a name that is not a built-in role's".to_owned();
            return Err(Rejection::invalid(field, text, expected));
        }
        Self::label(text).ok_or_else(|| {
            let expected = "1 to 63 lower-case letters, digits and inner hyphens, not in the form of a UUID";
            Rejection::invalid(field, text, expected.to_owned())
        })
    }

    /// Reads any label, a built-in role's too.
    pub fn label(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let fits = (1..=63).contains(&bytes.len())
            && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
            && bytes.first() != Some(&b'-')
            && bytes.last() != Some(&b'-');
        (fits && !is_uuid_shaped(text)).then(|| Self(text.into()))
    }

    /// Sorts before every name, and is none.
    pub(crate) fn before_all() -> Self {
        Self("".into())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::label(&text).ok_or_else(|| D::Error::custom(format_args!("`{text}` is not a name")))
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        for good in ["a", "acme", "7up", "a-b", &"x".repeat(63)] {
            assert!(Name::parse("name", good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "-a",
            "a-",
            "Acme",
            "a_b",
            "a.b",
            "ä",
            "a b",
            "owner",
            "instance-admin",
            &"x".repeat(64),
            "019ab7a4-0000-7000-8000-000000000001",
        ] {
            assert!(Name::parse("name", bad).is_err(), "{bad}");
        }
    }
}
