//! What every reader of text promises, as checks that panic where it is broken: the property tests of this crate and
//! the fuzz targets drive the same ones.
//!
//! None of them may panic. What is accepted is written back in one form, that form is accepted, and it means the same.

use crate::event::{By, Metadata};
use crate::line::Line;
use crate::name::Name;
use crate::network::Networks;
use crate::permission::{Pattern, Permission, PermissionSet};
use crate::scope::Grant;
use crate::secret::{self, LENGTH, Prefix, SecretHash, Shape};
use crate::text::{clean, clean_optional, cut, echo, is_forbidden, mask};
use crate::time::{Timestamp, parse_duration};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// Every check, for a target that takes any text.
pub const ALL: &[fn(&str)] = &[
    line,
    secret,
    masking,
    name,
    permission,
    permissions,
    grant,
    networks,
    time,
    duration,
    actor,
    metadata,
    free_text,
];

/// A line that is accepted is the bytes that would be written for it.
pub fn line(text: &str) {
    if let Ok(line) = Line::read(text) {
        let mut written = Vec::new();
        line.write(&mut written);
        assert_eq!(String::from_utf8_lossy(&written), text);
        assert!(!text.contains(['\n', '\r', '\0']), "a line is one line");
    }
}

/// The shape of a text, its hash and its prefix.
pub fn secret(text: &str) {
    let (shape, hash) = (secret::shape(text), SecretHash::of(text));
    assert_eq!(shape == Shape::WellFormed, secret::is_well_formed(text));
    if shape == Shape::WellFormed {
        assert!(text.len() == LENGTH && text.is_ascii());
        assert!(!mask(text).contains(&text[13..]));
    }
    if let Some(prefix) = Prefix::of(text) {
        assert!(text.starts_with(prefix.as_str()));
        same(&prefix);
    }
    same(&hash);
}

/// Nothing of a secret but its prefix is left by masking, which changes nothing the second time.
pub fn masking(text: &str) {
    let masked = mask(text);
    assert_eq!(mask(&masked), masked);
    for start in 0..text.len().saturating_sub(LENGTH - 1) {
        if let Some(whole) = text.get(start..start + LENGTH).filter(|part| secret::is_well_formed(part)) {
            // What follows a start that was mistyped may be the same once more, and cannot be known.
            let rest = &whole[13..];
            assert!(masked.matches(rest).count() < text.matches(rest).count(), "{masked}");
        }
    }
    for shown in [echo(text), cut(text, 80)] {
        assert!(!shown.chars().any(is_forbidden), "{shown:?}");
    }
    assert!(echo(text).chars().count() <= 81 && cut(text, 80).len() <= 80);
}

/// A name is its own text, and never takes an id's or a built-in role's place.
pub fn name(text: &str) {
    if let Some(name) = Name::label(text) {
        assert_eq!(name.as_str(), text);
        assert!(text.len() <= 63 && crate::id::is_uuid_shaped(text) != Name::label(text).is_some());
        same(&name);
    }
    if let Ok(name) = Name::parse("name", text) {
        assert_eq!(Name::label(text), Some(name));
        assert!(!crate::role::is_built_in(text));
    }
    if let Ok(id) = text.parse::<crate::id::TokenId>() {
        assert_eq!(id.to_string(), text.to_ascii_lowercase());
        same(&id);
    }
}

/// A permission is a pattern that stands for itself alone.
pub fn permission(text: &str) {
    if let Ok(permission) = Permission::parse("permission", text) {
        assert_eq!(permission.as_str(), text);
        assert!(Pattern::parse(text).is_some_and(|pattern| pattern.allows(text) && !text.contains('*')));
    }
    if let Some(pattern) = Pattern::parse(text) {
        assert_eq!(pattern.as_str(), text);
        assert!(pattern.covers(&pattern));
        same(&pattern);
    }
}

/// A set in its shortest form covers what it was made of, and reads back.
pub fn permissions(text: &str) {
    let patterns: Vec<Pattern> = text.split(',').filter_map(Pattern::parse).collect();
    let set = PermissionSet::new(patterns.iter().cloned());
    assert!(patterns.iter().all(|pattern| set.covers(pattern)));
    same(&set);
    accepted::<PermissionSet>(text);
}

/// A grant, as a line has it.
pub fn grant(text: &str) {
    accepted::<Grant>(&serde_json::Value::from(text).to_string());
}

/// Networks as people write them, separated by commas, and as a line has them.
pub fn networks(text: &str) {
    let texts: Vec<&str> = text.split(',').collect();
    if let Ok(networks) = Networks::parse(&texts) {
        let written: Vec<String> = networks.list().iter().map(ToString::to_string).collect();
        assert_eq!(Networks::parse(&written).ok().as_ref(), Some(&networks));
        assert!(networks.within(&networks) && networks.within(&Networks::ANYWHERE));
        for network in networks.list() {
            assert!(networks.allow(Some(network.addr())) && networks.allow(Some(network.broadcast())));
        }
        if !networks.is_anywhere() {
            same(&networks);
        }
    }
    accepted::<Networks>(text);
}

/// A time is written in one form, and stands where it stood.
pub fn time(text: &str) {
    if let Some(time) = Timestamp::parse(text) {
        let written = time.to_string();
        assert_eq!((Timestamp::parse(&written), written.len()), (Some(time), 27));
        assert!((Timestamp::MIN..=Timestamp::MAX).contains(&time));
        same(&time);
    }
}

/// A duration has a unit, and does not carry a time past the last one.
pub fn duration(text: &str) {
    if let Some(duration) = parse_duration(text) {
        assert!(
            Timestamp::MIN.after(duration) <= Timestamp::MAX
                && Timestamp::MAX.after(duration) == Timestamp::MAX
        );
        let written = humantime::format_duration(duration).to_string();
        // Zero is written as `0s`.
        assert_eq!(parse_duration(&written), Some(duration), "{written}");
    }
}

/// Who caused an event.
pub fn actor(text: &str) {
    if let Some(by) = By::parse(text) {
        assert_eq!(by.to_string(), text);
        same(&by);
    }
}

/// Metadata as it is asked for and as a line has it.
pub fn metadata(text: &str) {
    accepted::<Metadata>(text);
    if let Ok(object) = serde_json::from_str(text)
        && let Ok(Some(kept)) = crate::decide::metadata(&object)
    {
        assert!(!kept.json().get().contains(['\n', '\r', '\0']));
        same(&kept);
    }
}

/// Free text is cleaned once and for all.
pub fn free_text(text: &str) {
    for read in [clean, clean_optional] {
        if let Ok(kept) = read("name", text, 128) {
            assert!(!kept.chars().any(is_forbidden) && !kept.contains('\n'));
            // Masking may make a text longer than it may be by a few bytes, which is no reason to lose it.
            assert_eq!(read("name", &kept, 1_024).as_ref(), Ok(&kept));
        }
    }
}

/// What is written reads back as the same.
fn same<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let written = serde_json::to_string(value).expect("plain data");
    assert_eq!(serde_json::from_str::<T>(&written).ok().as_ref(), Some(value), "{written}");
}

/// What JSON is accepted is written back the same way ever after.
fn accepted<T: Serialize + DeserializeOwned + PartialEq + Debug>(json: &str) {
    if let Ok(value) = serde_json::from_str::<T>(json) {
        same(&value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{ENTROPY, Kind, Secret};
    use crate::testing::property;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    /// Lines of every shape, from their snapshot.
    fn lines() -> Vec<&'static str> {
        let snapshot = include_str!("snapshots/domain__line__tests__lines.snap");
        snapshot.lines().filter(|line| line.starts_with("{\"v\":")).collect()
    }

    /// Texts that some reader accepts.
    const GOOD: &[&str] = &[
        "acme",
        "7-up",
        "019ab7a4-0000-7000-8000-000000000001",
        "owner",
        "deployments:create",
        "tokens:*",
        "*",
        "a:b,a:*,c:d",
        "[\"a:*\",\"b:c\"]",
        "project-writer@019ab7a4-0000-7000-8000-000000000002",
        "10.0.0.0/8",
        "10.1.2.3/8,::1,2001:db8::/32",
        "[\"10.0.0.0/8\",\"2001:db8::/32\"]",
        "2026-11-22T10:15:00.123456Z",
        "2026-11-22t10:15:00+23:59",
        "9999-12-31T23:59:59.999999999Z",
        "30d",
        "1h30m",
        "0s",
        "1y 2months 3ns",
        "admin-token",
        "system:start",
        "org-token:chyo_4fT9aQ1",
        "{\"a\":[1,{\"b\":null}],\"é\":\"\\u0001\"}",
        "chyo_4fT9aQ1",
        "a naïve 日本 👩\u{200d}🚀",
        "::ffff:10.0.0.1",
        "0.0.0.0/0",
        "23:59:60",
        "1e999",
    ];
    /// Pieces that readers stumble over.
    const PIECES: &[&str] = &[
        "",
        "0",
        "-",
        "+",
        ".",
        ":",
        "@",
        "/",
        ",",
        "*",
        "\"",
        "\\",
        "{",
        "}",
        "[",
        "]",
        "\u{0}",
        "\n",
        "\u{202e}",
        "\u{200b}",
        "é",
        "\u{ffff}",
        "٣",
        "Z",
        "z",
        "T",
        "null",
        "chyo_",
        "chy",
        "e9",
        "%",
        " ",
        "\u{3000}",
        "99999999999",
    ];

    fn secret_text() -> impl Strategy<Value = String> {
        let kinds = [Kind::Instance, Kind::Organization, Kind::Project, Kind::Session];
        let entropy = proptest::collection::vec(any::<u8>(), ENTROPY);
        (select(kinds.to_vec()), entropy).prop_map(|(kind, entropy)| {
            Secret::from_entropy(kind, entropy.as_slice().try_into().unwrap()).into_text()
        })
    }

    /// A good text, changed in a few places.
    fn damaged() -> impl Strategy<Value = String> {
        let good = prop_oneof![
            3 => select(lines()).prop_map(str::to_owned),
            4 => select(GOOD).prop_map(str::to_owned),
            1 => secret_text(),
        ];
        let change = (any::<Index>(), 0..4_usize, select(PIECES));
        (good, proptest::collection::vec(change, 0..4)).prop_map(|(mut text, changes)| {
            for (at, cut, piece) in changes {
                let start = text.floor_char_boundary(at.index(text.len() + 1));
                let end = text.ceil_char_boundary((start + cut).min(text.len()));
                text.replace_range(start..end, piece);
            }
            text
        })
    }

    /// Secrets, whole and cut, between other text and against each other.
    fn pasted() -> impl Strategy<Value = String> {
        let cut =
            (secret_text(), any::<Index>()).prop_map(|(text, at)| text[..at.index(text.len())].to_owned());
        let piece = prop_oneof![2 => secret_text(), 2 => cut, 2 => select(PIECES).prop_map(str::to_owned), 1 => ".{0,6}"];
        proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof![6 => damaged(), 2 => pasted(), 1 => ".{0,80}", 1 => "[ -~]{0,40}"]
    }

    /// Any event's text fields hold anything.
    fn any_line() -> impl Strategy<Value = (usize, String, String)> {
        (0..lines().len(), any_text(), any_text())
    }

    #[test]
    fn what_is_good_is_accepted_by_somebody() {
        for text in lines() {
            line(text);
            assert!(Line::read(text).is_ok(), "{text}");
        }
        let accepts = |text: &str| {
            let json = serde_json::Value::from(text).to_string();
            Name::label(text).is_some()
                || Pattern::parse(text).is_some()
                || Timestamp::parse(text).is_some()
                || parse_duration(text).is_some()
                || By::parse(text).is_some()
                || serde_json::from_str::<Grant>(&json).is_ok()
                || serde_json::from_str::<Metadata>(text).is_ok()
                || Networks::parse(&text.split(',').collect::<Vec<_>>()).is_ok()
        };
        let refused = GOOD.iter().filter(|text| !accepts(text));
        assert!(refused.count() < 9, "most of them are read");
    }

    #[test]
    fn every_reader_keeps_its_promises() {
        property("parsers", 3_000, 3_000_000, any_text(), |text| {
            for check in ALL {
                check(&text);
            }
        });
    }

    #[test]
    fn whatever_a_line_holds_it_reads_back() {
        property("lines", 2_000, 1_000_000, any_line(), |(index, name, note)| {
            let mut line = Line::read(lines()[index]).unwrap();
            put(&mut line, &name, &note);
            let written = crate::testing::written(&line);
            assert_eq!(Line::read(&written).unwrap(), line);
        });
    }

    /// Puts texts wherever an event has free text.
    fn put(line: &mut Line, name: &str, note: &str) {
        use crate::event::{Actor, Event};
        let Actor { request, address, agent, .. } = &mut line.actor;
        for place in [request, address, agent].into_iter().flatten() {
            *place = name.into();
        }
        match &mut line.event {
            Event::TokenMinted(minted) => {
                minted.name = name.into();
                minted.description = Some(note.into());
                minted.metadata = serde_json::from_str(note).ok();
            }
            Event::TokenDescribed { before, after, .. } => {
                (before.name, after.name) = (name.into(), note.into());
            }
            Event::TokenRevoked(revoked) => revoked.note = Some(note.into()),
            Event::TokenUsed(used) | Event::TokenRefused(used) => {
                (used.asked.resource, used.asked.permission) = (Some(name.into()), Some(note.into()));
            }
            Event::OrganizationCreated(naming) => naming.display_name = Some(note.into()),
            Event::AuthorityStarted { origin, log_key, .. } => {
                (*origin, *log_key) = (name.into(), note.into());
            }
            _ => {}
        }
    }
}
