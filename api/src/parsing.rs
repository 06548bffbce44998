//! What every reader of text in a request promises, as checks that panic where it is broken: the property tests of this
//! crate and the fuzz targets drive the same ones. [`domain::parsing`](../../domain/src/parsing.rs) has those of values.
//!
//! None of them may panic, and what is accepted is accepted again, with the same meaning, as it would be written.

use crate::auth::bearer;
use crate::change::{idempotency_key, if_match};
use crate::edge::extract::{from_json, is_json};
use crate::edge::mask::message;
use crate::organizations::list::NamedPage;
use crate::page;
use crate::tokens::list::{Cursor, TokenQuery};
use crate::wire;
use domain::name::Name;
use domain::text::{is_forbidden, mask};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Every check, for a target that takes any text.
pub const ALL: &[fn(&str)] = &[cursor, entity_tag, key, credential, content_type, query, bodies, shown];

/// Where a page ended.
pub fn cursor(text: &str) {
    fn check<T: Serialize + DeserializeOwned>(text: &str) {
        if let Ok(Some(position)) = page::decode::<T>(Some(text)) {
            let written = page::encode(&position);
            let again: Option<T> = page::decode(Some(&written)).expect("what was encoded is decoded");
            assert_eq!(again.map(|again| page::encode(&again)), Some(written));
        }
    }
    check::<Cursor>(text);
    check::<Name>(text);
}

fn header(name: HeaderName, text: &str) -> Option<HeaderMap> {
    let value = HeaderValue::from_bytes(text.as_bytes()).ok()?;
    Some(HeaderMap::from_iter([(name, value)]))
}

/// There is one entity tag for each revision.
pub fn entity_tag(text: &str) {
    let Some(headers) = header(http::header::IF_MATCH, text) else { return };
    match if_match(&headers) {
        Ok(Some(revision)) => assert_eq!(text.trim(), format!("\"{revision}\"")),
        Ok(None) => assert_eq!(text.trim(), "*"),
        Err(_) => {}
    }
}

/// A key is its own text.
pub fn key(text: &str) {
    let Some(headers) = header(HeaderName::from_static("idempotency-key"), text) else { return };
    if let Ok(key) = idempotency_key(&headers) {
        let key = key.expect("it is there");
        assert!(*key == *text.trim() && (1..=255).contains(&key.len()));
        assert!(key.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{key:?}");
    }
}

/// A credential is one word.
pub fn credential(text: &str) {
    let Some(headers) = header(AUTHORIZATION, text) else { return };
    if let Ok(token) = bearer(&headers, &AUTHORIZATION) {
        assert!(!token.is_empty() && !token.contains(' ') && token.len() <= 4_096);
        let again = header(AUTHORIZATION, &format!("Bearer {token}")).expect("it was a header");
        assert_eq!(bearer(&again, &AUTHORIZATION).ok(), Some(token));
    }
}

/// Whether a type is JSON, which its case and parameters do not change.
pub fn content_type(text: &str) {
    let Some(headers) = header(http::header::CONTENT_TYPE, text) else { return };
    let upper = header(http::header::CONTENT_TYPE, &text.to_ascii_uppercase()).expect("it was a header");
    assert_eq!(is_json(&headers), is_json(&upper));
}

/// Queries of lists.
pub fn query(text: &str) {
    if let Ok(query) = serde_urlencoded::from_str::<TokenQuery>(text) {
        let _ = (query.filter(), query.order());
    }
    if let Ok(query) = serde_urlencoded::from_str::<NamedPage>(text) {
        let _ = (query.after(), page::limit(query.limit));
    }
}

/// Bodies of every shape.
pub fn bodies(text: &str) {
    fn check<T: Serialize + DeserializeOwned>(text: &str) {
        match from_json::<T>(text.as_bytes()) {
            Ok(body) => {
                assert!(text.trim_start().starts_with('{'), "only an object is a body: {text}");
                let written = serde_json::to_string(&body).expect("plain data");
                let again: T = from_json(written.as_bytes()).expect("what was written is read");
                assert_eq!(serde_json::to_string(&again).expect("plain data"), written);
            }
            Err(problem) => assert!(matches!(problem.code().status, 400 | 422)),
        }
    }
    check::<wire::NewToken>(text);
    check::<wire::NarrowToken>(text);
    check::<wire::UpdateToken>(text);
    check::<wire::Rotate>(text);
    check::<wire::Revoke>(text);
    check::<wire::Identify>(text);
    check::<wire::Verify>(text);
    check::<wire::VerifyBatch>(text);
    check::<wire::NewOrganization>(text);
    check::<wire::NewProject>(text);
    check::<wire::Rename>(text);
    check::<wire::Suspend>(text);
    check::<wire::Delete>(text);
    check::<wire::InstanceChange>(text);
    check::<wire::NewRole>(text);
    check::<wire::RoleChange>(text);
    check::<wire::Explain>(text);
    check::<wire::OrganizationPolicyChange>(text);
    check::<wire::Sweep>(text);
    check::<wire::LeakReport>(text);
    check::<wire::Import>(text);
}

/// A parser's message shows no secret, nothing that forges, and not all of a long value.
pub fn shown(text: &str) {
    let shown = message(text);
    assert!(!shown.chars().any(is_forbidden), "{shown:?}");
    assert_eq!(mask(&shown), shown);
    assert!(shown.chars().count() <= 301, "{shown}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};
    use proptest::test_runner::{Config, RngSeed, TestRunner};
    use std::hash::{BuildHasher, RandomState};

    /// Texts that some reader accepts.
    const GOOD: &[&str] = &[
        r#"{"name":"ci","scope":{"organization":"acme","project":"web"},"grants":["member"],"expires_in":"30d"}"#,
        r#"{"name":"n","grants":null,"expires_at":"2031-01-01T00:00:00Z","allowed_networks":["::/0"],"metadata":{"a":[1]}}"#,
        r#"{"description":"","expires_at":null,"metadata":{}}"#,
        r#"{"overlap":"1h"}"#,
        r#"{"reason":"leaked","note":"x","cascade":true}"#,
        r#"{"token":"a","permission":"a:b","client":{"address":"::1","agent":"curl"},"resource":"srv/1"}"#,
        r#"{"items":[{"token":"a"},{"token":"b","organization":"acme"}]}"#,
        r#"{"name":"acme","display_name":"Acme"}"#,
        r#"{"policy":{"answers":"bounded","max_staleness_ms":1000,"record_within_ms":50}}"#,
        "eyJzb3J0IjoiLWNyZWF0ZWQiLCJ2YWx1ZSI6IiIsInNsb3QiOjN9",
        "ImFjbWUi",
        "\"17\"",
        "*",
        "a-key-of-mine",
        "Bearer chyo_3I8WM3Ol5AqzEVPa7SEj8WQFL5fOvnxRuzold5r3YBE1ZADCx",
        "application/json; charset=utf-8",
        "application/merge-patch+json",
        "organization=acme&project=web&status=all&sort=-name&limit=10&cursor=ImFjbWUi&at_least=7",
        "unknown field `chyo_3I8WM3Ol5AqzEVPa7SEj8WQFL5fOvnxRuzold5r3YBE1ZADCx`, expected `a` at line 1 column 2",
        r#"{"name":"deployer","level":"project","permissions":["deployments:*","a:b"]}"#,
        r#"{"permissions":null,"add":["a:b"],"remove":["*"]}"#,
        r#"{"draft":{"scope":{"organization":"acme"},"grants":["member"]},"permission":"a:b","project":"web"}"#,
    ];
    /// Pieces that readers stumble over.
    const PIECES: &[&str] = &[
        "",
        "0",
        "-1",
        "+",
        "\"",
        "\\",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "1e9",
        "1.5",
        "\\ud800",
        "\\u0000",
        "\u{0}",
        "\u{202e}",
        "é",
        "%",
        "%ff",
        "&",
        "=",
        "=1&",
        "`",
        " ",
        "\t",
        "A",
        "=",
        "true",
        "[]",
        "{}",
        "18446744073709551616",
        "chyo_3I8WM3Ol5AqzEVPa7",
        "\"name\":\"x\",",
        "/",
    ];

    fn text() -> impl Strategy<Value = String> {
        let change = (any::<Index>(), 0..5_usize, select(PIECES));
        let damaged = (select(GOOD), proptest::collection::vec(change, 0..4)).prop_map(|(good, changes)| {
            changes.into_iter().fold(good.to_owned(), |mut text, (at, cut, piece)| {
                let start = text.floor_char_boundary(at.index(text.len() + 1));
                let end = text.ceil_char_boundary((start + cut).min(text.len()));
                text.replace_range(start..end, piece);
                text
            })
        });
        prop_oneof![9 => damaged, 1 => ".{0,60}", 1 => "[ -~]{0,400}"]
    }

    #[test]
    fn every_reader_keeps_its_promises() {
        let asked = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
        let is_long = std::env::var_os("CHANCERY_TESTS").is_some_and(|form| form == "long");
        let cases =
            asked("PROPTEST_CASES").map_or(if is_long { 1_000_000 } else { 3_000 }, |cases| cases as u32);
        let seed = asked("CHANCERY_SEED").unwrap_or_else(|| RandomState::new().hash_one("requests"));
        let config =
            Config { cases, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..Config::default() };
        let result = TestRunner::new(config).run(&text(), |text| {
            for check in ALL {
                check(&text);
            }
            Ok(())
        });
        if let Err(failure) = result {
            panic!("repeat with CHANCERY_SEED={seed} PROPTEST_CASES={cases}: {failure}");
        }
        println!("readers of requests: {cases} cases, 0 violations, seed {seed}");
    }

    #[test]
    fn what_is_good_is_accepted_by_somebody() {
        for good in &GOOD[..9] {
            let read = [
                from_json::<wire::NewToken>(good.as_bytes()).is_ok(),
                from_json::<wire::NarrowToken>(good.as_bytes()).is_ok(),
                from_json::<wire::UpdateToken>(good.as_bytes()).is_ok(),
                from_json::<wire::Rotate>(good.as_bytes()).is_ok(),
                from_json::<wire::Revoke>(good.as_bytes()).is_ok(),
                from_json::<wire::Verify>(good.as_bytes()).is_ok(),
                from_json::<wire::VerifyBatch>(good.as_bytes()).is_ok(),
                from_json::<wire::NewOrganization>(good.as_bytes()).is_ok(),
                from_json::<wire::InstanceChange>(good.as_bytes()).is_ok(),
            ];
            assert!(read.contains(&true), "{good}");
        }
        assert!(
            page::decode::<Cursor>(Some(GOOD[9])).is_ok() && page::decode::<Name>(Some(GOOD[10])).is_ok()
        );
        assert!(serde_urlencoded::from_str::<TokenQuery>(GOOD[17]).is_ok());
        assert!(from_json::<wire::NewRole>(GOOD[19].as_bytes()).is_ok());
        assert!(from_json::<wire::RoleChange>(GOOD[20].as_bytes()).is_ok());
        assert!(from_json::<wire::Explain>(GOOD[21].as_bytes()).is_ok());
    }
}
