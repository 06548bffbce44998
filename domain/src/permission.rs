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

    /// `*`, which stands for every permission.
    pub fn everything() -> Self {
        Self("*".into())
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
        // Sorted, a wildcard stands right before all that it covers.
        all.dedup_by(|next, kept| kept.covers(next));
        Self(all.into())
    }

    /// What both sets have, in its shortest form.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let within = |inner: &Self, outer: &Self| {
            inner.patterns().iter().filter(|pattern| outer.covers(pattern)).cloned().collect::<Vec<_>>()
        };
        Self::new(within(self, other).into_iter().chain(within(other, self)))
    }

    /// The patterns, sorted.
    pub fn patterns(&self) -> &[Pattern] {
        &self.0
    }

    /// Whether `permission` is in the set.
    pub fn allows(&self, permission: &str) -> bool {
        self.covers_text(permission)
    }

    /// Whether everything that `pattern` stands for is in the set.
    ///
    /// `noun:*` stands for verbs that nobody has named yet, so no finite list of verbs covers it: looking for one
    /// pattern that covers another is exact.
    pub fn covers(&self, pattern: &Pattern) -> bool {
        self.covers_text(&pattern.0)
    }

    /// The only patterns that can cover a text are `*`, which then stands alone, the wildcard of its noun, which then
    /// stands where the noun's patterns begin, and itself. So a set of many is searched in a few steps.
    fn covers_text(&self, text: &str) -> bool {
        let all = &*self.0;
        let start = text.find(':').map_or(text, |colon| &text[..=colon]);
        let of_noun = all.partition_point(|pattern| pattern.as_str() < start);
        [all.first(), all.get(of_noun)].into_iter().flatten().any(|pattern| pattern.covers_text(text))
            || all.binary_search_by(|pattern| pattern.as_str().cmp(text)).is_ok()
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
    fn a_search_finds_what_trying_every_pattern_finds() {
        let parts = ["a", "a-b", "ab", "a0", "b", "z"];
        let mut all: Vec<String> = vec!["*".to_owned()];
        for noun in parts {
            all.push(format!("{noun}:*"));
            all.extend(parts.map(|verb| format!("{noun}:{verb}")));
        }
        let all: Vec<Pattern> = all.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        let mut seed = 1_u64;
        for _ in 0..500 {
            let mut some = || {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let (count, from) = ((seed >> 60) as usize, (seed >> 33) as usize);
                (0..count).map(|n| all[(from / (n + 1)) % all.len()].clone()).collect::<Vec<_>>()
            };
            let (left, right) = (some(), some());
            let one = |patterns: &[Pattern], text: &Pattern| patterns.iter().any(|wide| wide.covers(text));
            let (a, b) = (PermissionSet::new(left.clone()), PermissionSet::new(right.clone()));
            let both = a.intersection(&b);
            for text in &all {
                assert_eq!(a.covers(text), one(&left, text), "{left:?} {text}");
                assert_eq!(a.allows(text.as_str()), one(&left, text), "{left:?} {text}");
                assert_eq!(both.covers(text), a.covers(text) && b.covers(text), "{left:?} {right:?} {text}");
            }
            for (n, pattern) in a.patterns().iter().enumerate() {
                let others = [&a.patterns()[..n], &a.patterns()[n + 1..]].concat();
                assert!(!one(&others, pattern), "{a:?} has a shorter form");
            }
        }
    }

    #[test]
    fn large_sets_are_made_and_searched_at_once() {
        let patterns = (0..20_000).map(|n| Pattern::parse(&format!("n{}:v{n}", n % 1_000)).unwrap());
        // Each with each, this would be hundreds of millions of comparisons a line.
        let set = PermissionSet::new(patterns);
        assert!(set.patterns().iter().all(|pattern| set.covers(pattern)));
        assert_eq!(set.intersection(&set), set);
    }

    #[test]
    fn sets_are_written_in_their_shortest_form() {
        assert_eq!(set(&["b:c", "a:*", "a:b", "b:c"]), set(&["a:*", "b:c"]));
        assert_eq!(set(&["a:*", "*"]).patterns().len(), 1);
    }
}
