//! Permissions, and the sets of them that roles name.

use crate::rejection::Rejection;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;
use std::sync::Arc;

/// One thing that may be done: `noun:verb`, each part 1 to 63 of `a-z`, `0-9` and inner hyphens.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Permission(Arc<str>);

impl Permission {
    /// Reads a permission.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, Rejection> {
        if text.split_once(':').is_some_and(|(noun, verb)| is_part(noun) && is_part(verb)) {
            return Ok(Self(text.into()));
        }
        let expected = "noun:verb in lower-case letters, digits and hyphens, such as deployments:create";
        Err(Rejection::invalid(field, text, expected.to_owned()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
        && bytes.first() != Some(&b'-')
        && bytes.last() != Some(&b'-')
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a role may contain: a permission, all verbs of a noun (`noun:*`), or everything (`*`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(Arc<str>);

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text == "*"
            || text
                .split_once(':')
                .is_some_and(|(noun, verb)| is_part(noun) && (verb == "*" || is_part(verb)));
        fits.then(|| Self(text.into()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether everything that `narrower` stands for, this stands for as well.
    pub fn covers(&self, narrower: &Self) -> bool {
        self.covers_text(&narrower.0)
    }

    /// Whether this stands for `permission`.
    pub fn allows(&self, permission: &str) -> bool {
        self.covers_text(permission)
    }

    fn covers_text(&self, text: &str) -> bool {
        let own = &*self.0;
        if own == "*" || own == text {
            return true;
        }
        own.strip_suffix('*').is_some_and(|noun| text.starts_with(noun) && text != "*")
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format_args!("`{text}` is not a permission")))
    }
}

/// A set of permissions, written as patterns; sorted, none of them covered by another.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct PermissionSet(Arc<[Pattern]>);

impl<'de> Deserialize<'de> for PermissionSet {
    /// Reads only the shortest form: an empty list, or patterns in order of which none covers another.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let patterns = Vec::<Pattern>::deserialize(deserializer)?;
        let shortest = Self::new(patterns.iter().cloned());
        if *shortest.0 == *patterns {
            return Ok(shortest);
        }
        Err(D::Error::custom("permissions are not in their shortest form"))
    }
}

impl PermissionSet {
    /// The set of `patterns`, in its shortest form.
    pub fn new(patterns: impl IntoIterator<Item = Pattern>) -> Self {
        let mut all: Vec<Pattern> = patterns.into_iter().collect();
        all.sort_unstable();
        all.dedup();
        let kept =
            all.iter().filter(|p| !all.iter().any(|wide| wide != *p && wide.covers(p))).cloned().collect();
        Self(kept)
    }

    /// The patterns, sorted.
    pub fn patterns(&self) -> &[Pattern] {
        &self.0
    }

    /// Whether `permission` is in the set.
    pub fn allows(&self, permission: &str) -> bool {
        self.0.iter().any(|pattern| pattern.allows(permission))
    }

    /// Whether everything that `pattern` stands for is in the set.
    ///
    /// `noun:*` stands for verbs that nobody has named yet, so no finite list of verbs covers it: looking for one
    /// pattern that covers another is exact.
    pub fn covers(&self, pattern: &Pattern) -> bool {
        self.0.iter().any(|wide| wide.covers(pattern))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(texts: &[&str]) -> PermissionSet {
        PermissionSet::new(texts.iter().map(|text| Pattern::parse(text).unwrap()))
    }

    #[test]
    fn permissions_have_two_parts() {
        assert!(Permission::parse("permission", "deployments:create").is_ok());
        for bad in ["", "a", ":", "a:", ":b", "a:*", "*", "A:b", "a:b:c", "a :b", "a:b\n", "-a:b"] {
            assert!(Permission::parse("permission", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn wildcards_cover_what_they_say() {
        assert!(set(&["*"]).allows("a:b") && set(&["a:*"]).allows("a:b") && set(&["a:b"]).allows("a:b"));
        assert!(!set(&["a:*"]).allows("ab:c") && !set(&["a:b"]).allows("a:c") && !set(&[]).allows("a:b"));
        assert!(set(&["*"]).covers(&Pattern::parse("a:*").unwrap()));
        assert!(!set(&["a:*"]).covers(&Pattern::parse("*").unwrap()));
        assert!(!set(&["a:b", "a:c"]).covers(&Pattern::parse("a:*").unwrap()));
    }

    #[test]
    fn sets_are_written_in_their_shortest_form() {
        assert_eq!(set(&["b:c", "a:*", "a:b", "b:c"]), set(&["a:*", "b:c"]));
        assert_eq!(set(&["a:*", "*"]).patterns().len(), 1);
    }
}
