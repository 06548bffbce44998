//! Finds secrets in bytes, in every form in which they could lie around.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::collections::HashMap;

/// How many bytes of a form are looked up at once.
const HEAD: usize = 8;

/// All forms of all secrets.
pub(super) struct Finder {
    forms: Vec<(String, Vec<u8>)>,
    /// Which forms begin like this.
    heads: HashMap<[u8; HEAD], Vec<usize>>,
    /// Whether any form begins with these two bytes: nearly no place does.
    starts: Vec<bool>,
}

/// All forms of one secret, each with a name for the failure.
fn encodings(secret: &str) -> Vec<(String, Vec<u8>)> {
    // The first 12 characters are its prefix, which everyone may see; the rest is the secret.
    let rest = &secret.as_bytes()[12..];
    let hex = crate::hex(rest);
    let half = rest.len() / 2;
    let mut forms = vec![
        ("its first half".to_owned(), rest[..half].to_vec()),
        ("its second half".to_owned(), rest[half..].to_vec()),
        ("in upper hex".to_owned(), hex.to_uppercase().into_bytes()),
        ("in hex".to_owned(), hex.into_bytes()),
        ("backwards".to_owned(), rest.iter().rev().copied().collect()),
        (
            "as numbers".to_owned(),
            rest.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ").into_bytes(),
        ),
        ("in UTF-16".to_owned(), rest.iter().flat_map(|byte| [*byte, 0]).collect()),
    ];
    // In base64 it looks different at each of three alignments; its ends depend on what is beside it.
    for offset in 0..3 {
        let padded = [&vec![0; offset][..], rest].concat();
        for (name, encoded) in
            [("base64", STANDARD_NO_PAD.encode(&padded)), ("base64url", URL_SAFE_NO_PAD.encode(&padded))]
        {
            forms.push((
                format!("in {name}, alignment {offset}"),
                encoded.as_bytes()[4..encoded.len() - 3].to_vec(),
            ));
        }
    }
    forms
}

impl Finder {
    pub(super) fn of(secrets: &[String]) -> Finder {
        let mut finder = Finder { forms: Vec::new(), heads: HashMap::new(), starts: vec![false; 1 << 16] };
        for secret in secrets {
            for (name, form) in encodings(secret) {
                let head: [u8; HEAD] = form[..HEAD].try_into().unwrap();
                finder.starts[usize::from(u16::from_be_bytes([head[0], head[1]]))] = true;
                finder.heads.entry(head).or_default().push(finder.forms.len());
                finder.forms.push((format!("{}… {name}", &secret[..12]), form));
            }
        }
        finder
    }

    /// How many forms are looked for.
    pub(super) fn forms(&self) -> usize {
        self.forms.len()
    }

    /// Each secret that is found, with what is around it.
    pub(super) fn find(&self, place: &str, bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        for at in 0..bytes.len().saturating_sub(HEAD) {
            if !self.starts[usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]))] {
                continue;
            }
            let head: &[u8; HEAD] = bytes[at..at + HEAD].try_into().unwrap();
            for form in self.heads.get(head).into_iter().flatten() {
                let (name, form) = &self.forms[*form];
                if bytes[at..].starts_with(form) {
                    let around = &bytes[at.saturating_sub(400)..bytes.len().min(at + 100)];
                    found.push(format!("{place} shows {name}: {}", String::from_utf8_lossy(around)));
                }
            }
        }
        found
    }
}

#[test]
fn the_search_finds_what_it_looks_for() {
    let secret = crate::never_issued(3);
    let finder = Finder::of(&[crate::never_issued(4), secret.clone()]);
    for offset in 0..3 {
        let text = format!("{}{secret}!", "x".repeat(offset));
        let hex = crate::hex(text.as_bytes());
        for hidden in [text.clone(), hex, STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
            assert!(!finder.find("here", hidden.as_bytes()).is_empty(), "{hidden}");
        }
    }
    assert!(encodings(&secret).iter().all(|(_, form)| form.len() > 15));
    for public in [&secret[..12], &crate::never_issued(5)] {
        assert_eq!(finder.find("here", public.as_bytes()), [""; 0]);
    }
}
