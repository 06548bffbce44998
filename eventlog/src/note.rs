//! Signed notes with Ed25519 (C2SP signed-note): a text, an empty line, and lines with signatures.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::LogKey;

/// The type of a signature by Ed25519.
const ED25519: u8 = 1;
/// The longest note that is read: room for a hundred of the largest signatures there are.
const LONGEST: usize = 1 << 20;

/// Why a note is not believed.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NoteError {
    /// It is not of the form.
    #[error("not a signed note: {0}")]
    Malformed(&'static str),
    /// No signature is of a key that is given.
    #[error("none of its signatures is of {0}")]
    NotSigned(String),
    /// A signature claims to be of a key that is given, and is not.
    #[error("the signature of {0} is not valid")]
    BadSignature(String),
}

/// A key that notes are checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: Box<str>,
    id: [u8; 4],
    key: VerifyingKey,
}

impl VerifierKey {
    /// The key of this name; none unless the name can stand in a note and the key, base64, is one.
    pub fn new(name: &str, public: &str) -> Option<VerifierKey> {
        let bytes: [u8; 32] = STANDARD.decode(public).ok()?.try_into().ok()?;
        let key = VerifyingKey::from_bytes(&bytes).ok()?;
        is_name(name).then(|| VerifierKey { name: name.into(), id: key_id(name, &bytes), key })
    }

    /// Reads `<name>+<id>+<key>`, as `Display` writes it.
    pub fn parse(text: &str) -> Option<VerifierKey> {
        let mut parts = text.splitn(3, '+');
        let (name, _, key) = (parts.next()?, parts.next()?, STANDARD.decode(parts.next()?).ok()?);
        let public = key.strip_prefix(&[ED25519])?;
        VerifierKey::new(name, &STANDARD.encode(public)).filter(|key| key.to_string() == text)
    }

    /// Its name: for a log's, the origin.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[ED25519][..], self.key.as_bytes()].concat();
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.id), STANDARD.encode(key))
    }
}

/// Whether a key may have this name: no space, no plus, nothing that ends a line.
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

fn key_id(name: &str, public: &[u8; 32]) -> [u8; 4] {
    let hash =
        Sha256::new().chain_update(name).chain_update([b'\n', ED25519]).chain_update(public).finalize();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// Signs a text, which ends with a newline, with each key under the same name.
pub fn sign<'k>(text: &str, name: &str, keys: impl IntoIterator<Item = &'k LogKey>) -> String {
    let mut note = format!("{text}\n");
    for key in keys {
        let id = VerifierKey::new(name, &key.public()).map_or([0; 4], |key| key.id);
        let signature = [&id[..], &key.sign(text.as_bytes())].concat();
        note.extend(["\u{2014} ", name, " ", &STANDARD.encode(signature), "\n"]);
    }
    note
}

/// The text of a note that is signed by at least one of the keys, and by none of them falsely. Signatures of others are
/// passed over.
pub fn open<'n>(note: &'n str, keys: &[VerifierKey]) -> Result<Opened<'n>, NoteError> {
    let (text, signatures) = split(note)?;
    let mut opened = Opened { text, signed_by: Vec::new(), others: 0 };
    for (name, signature) in signatures {
        let known = keys.iter().find(|key| *key.name == *name && signature.starts_with(&key.id));
        let Some(key) = known else {
            opened.others += 1;
            continue;
        };
        let signed = Signature::from_slice(&signature[4..])
            .is_ok_and(|signature| key.key.verify_strict(text.as_bytes(), &signature).is_ok());
        if !signed {
            return Err(NoteError::BadSignature(key.to_string()));
        }
        opened.signed_by.push(key.clone());
    }
    if opened.signed_by.is_empty() {
        let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
        return Err(NoteError::NotSigned(keys.join(" or ")));
    }
    Ok(opened)
}

/// A note that was checked.
#[derive(Debug)]
pub struct Opened<'n> {
    /// What was signed.
    pub text: &'n str,
    /// The keys whose signatures are valid.
    pub signed_by: Vec<VerifierKey>,
    /// How many signatures are of nobody that was given.
    pub others: usize,
}

/// The name on a signature's line, and the key's id with the signature.
type Signed<'n> = (&'n str, Vec<u8>);

/// The text of a note, and its signatures, unchecked.
pub fn split(note: &str) -> Result<(&str, Vec<Signed<'_>>), NoteError> {
    if note.len() > LONGEST {
        return Err(NoteError::Malformed("it is longer than a mebibyte"));
    }
    if note.contains(|c: char| c.is_ascii_control() && c != '\n') {
        return Err(NoteError::Malformed("it holds a control character"));
    }
    let (text, signatures) =
        note.rsplit_once("\n\n").ok_or(NoteError::Malformed("it has no empty line before its signatures"))?;
    let text = &note[..=text.len()];
    let lines =
        signatures.strip_suffix('\n').ok_or(NoteError::Malformed("it does not end with a newline"))?;
    let signatures = lines.split('\n').map(signature).collect::<Option<Vec<_>>>();
    Ok((text, signatures.ok_or(NoteError::Malformed("a line after the empty one is no signature"))?))
}

fn signature(line: &str) -> Option<Signed<'_>> {
    let (name, signature) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    let signature = STANDARD.decode(signature).ok().filter(|bytes| bytes.len() > 4)?;
    is_name(name).then_some((name, signature))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Random;

    /// The example of the C2SP text.
    const KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo \
        Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    #[test]
    fn the_example_of_the_text_is_opened() {
        let key = VerifierKey::parse(KEY).unwrap();
        assert_eq!((key.to_string().as_str(), key.name()), (KEY, "example.com/foo"));
        let opened = open(NOTE, std::slice::from_ref(&key)).unwrap();
        assert_eq!((opened.text, opened.others), ("This is an example message.\n", 0));
        let changed = NOTE.replace("an example", "no example");
        assert_eq!(open(&changed, &[key]).unwrap_err(), NoteError::BadSignature(KEY.to_owned()));
        for bad in
            ["", "a+b", &KEY.replace("530d903a", "530d903b"), &KEY.replace("+Ae", "+Be"), "+530d903a+x"]
        {
            assert_eq!(VerifierKey::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn signatures_of_others_break_nothing_and_prove_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let key = |name: &str, seed| {
            LogKey::load_or_create(&folder.path().join(name), &Random::seeded(seed)).unwrap()
        };
        let (old, new) = (key("old", 1), key("new", 2));
        let verifier = |key: &LogKey| VerifierKey::new("log.example/a", &key.public()).unwrap();
        let note = sign("some\n\ntext\n", "log.example/a", [&old, &new]);
        let witnessed = format!("{note}\u{2014} witness.example AAAAAAEC\n");
        for note in [&note, &witnessed] {
            for known in [&old, &new] {
                let opened = open(note, &[verifier(known)]).unwrap();
                assert_eq!((opened.text, opened.signed_by), ("some\n\ntext\n", vec![verifier(known)]));
            }
            assert_eq!(open(note, &[verifier(&old), verifier(&new)]).unwrap().signed_by.len(), 2);
            let stranger = verifier(&key("stranger", 3));
            assert_eq!(
                open(note, std::slice::from_ref(&stranger)).unwrap_err(),
                NoteError::NotSigned(stranger.to_string())
            );
        }
        for bad in ["", "text\n", "text\n\n", "text\n\nno signature\n", "a\tb\n\n\u{2014} a AAAAAAEC\n"] {
            assert!(matches!(open(bad, &[verifier(&old)]), Err(NoteError::Malformed(_))), "{bad:?}");
        }
    }
}
