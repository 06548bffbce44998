//! Structs that are read from JSON objects and from nothing else.
//!
//! A derived `Deserialize` also reads a list of the fields' values in their order, and takes a missing tail for its
//! defaults: `[]` would be a scope, and `["acme"]` a new organization. Nobody means that, and no document says it.

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// A struct that was read from an object.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OfMap(PhantomData))
    }
}

struct OfMap<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OfMap<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// For `deserialize_with`: a field that is an object.
pub(crate) fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Object::deserialize(deserializer).map(|Object(value)| value)
}

/// The same for one that may be null.
pub(crate) fn optional<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Ok(Option::<Object<T>>::deserialize(deserializer)?.map(|Object(value)| value))
}

/// The same for a list of them.
pub(crate) fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let all = Vec::<Object<T>>::deserialize(deserializer)?;
    Ok(all.into_iter().map(|Object(value)| value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    #[test]
    fn a_list_is_no_struct() {
        let read = |text: &str| serde_json::from_str::<Object<wire::Scope>>(text).map(|Object(scope)| scope);
        assert_eq!(read(r#"{"organization": "acme"}"#).unwrap().organization.as_deref(), Some("acme"));
        for bad in ["[]", "[null, \"acme\"]", "null", "\"acme\"", "{\"instance\": 1}"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let token = |scope: &str| {
            serde_json::from_str::<wire::NewToken>(&format!(
                r#"{{"name": "a", "grants": [], "scope": {scope}}}"#
            ))
        };
        assert!(token("{}").is_ok() && token("[]").is_err() && token("[true]").is_err());
        let ask = |client: &str| {
            serde_json::from_str::<wire::VerifyBatch>(&format!(
                r#"{{"items": [{{"token": "a", "client": {client}}}]}}"#
            ))
        };
        assert!(ask("{}").is_ok() && ask("null").is_ok() && ask("[]").is_err());
        assert!(serde_json::from_str::<wire::VerifyBatch>(r#"{"items": [["a"]]}"#).is_err());
        let change = |policy: &str| {
            serde_json::from_str::<wire::InstanceChange>(&format!(r#"{{"policy": {policy}}}"#))
        };
        assert!(change("{}").is_ok() && change("null").is_ok() && change("[]").is_err());
    }
}
