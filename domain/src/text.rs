//! Free text that people and programs hand in: what is refused, and what is masked.

use crate::rejection::Rejection;
use crate::secret;
use std::borrow::Cow;

/// Checks one line of free text (a token's name, a note, a display name): not empty, at most `max` bytes, no control
/// characters. Anything in it that is a checksum-valid secret is masked.
pub fn clean(field: &'static str, text: &str, max: usize) -> Result<Box<str>, Rejection> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Rejection::invalid(field, text, format!("1 to {max} bytes of text")));
    }
    if !has_ink(text) {
        return Err(Rejection::invalid(field, text, "text that shows".to_owned()));
    }
    clean_optional(field, text, max)
}

/// As [`clean`], but may be empty.
pub fn clean_optional(field: &'static str, text: &str, max: usize) -> Result<Box<str>, Rejection> {
    if text.len() > max {
        return Err(Rejection::invalid(field, text, format!("at most {max} bytes; this has {}", text.len())));
    }
    if let Some(bad) = text.chars().find(|&c| is_forbidden(c)) {
        let expected = format!("text without control characters; this has U+{:04X}", u32::from(bad));
        return Err(Rejection::invalid(field, text, expected));
    }
    Ok(mask(text).into())
}

/// Characters that could forge or hide text on a terminal or in a line: control characters, line and paragraph
/// separators, the bidirectional marks, overrides and isolates of UAX #9, and what takes no room and joins nothing (zero
/// width spaces, invisible operators, interlinear and tag characters). The two joiners, which scripts and emoji need,
/// are not among them.
pub fn is_forbidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061C}' | '\u{180E}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

/// Whether a text shows anything: a name of nothing but blanks, joiners and fillers could not be told from none.
fn has_ink(text: &str) -> bool {
    let is_blank = |c: char| {
        c.is_whitespace()
            || matches!(c,
                '\u{AD}' | '\u{34F}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{200C}' | '\u{200D}'
                | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FFA0}' | '\u{E0100}'..='\u{E01EF}')
    };
    !text.chars().all(is_blank)
}

/// Text that nobody checked, as the record may hold it: masked, without control characters, at most `max` bytes.
pub fn cut(text: &str, max: usize) -> String {
    let masked = mask(text);
    let visible: String = masked.chars().filter(|c| !is_forbidden(*c)).collect();
    visible[..visible.floor_char_boundary(max)].to_owned()
}

/// Text as an error may show it: masked, what could forge replaced, and cut after 80 characters. Masking comes first,
/// because the beginning of a secret is one as well.
pub fn echo(text: &str) -> String {
    let masked = mask(text);
    let visible = masked.chars().map(|c| if is_forbidden(c) { char::REPLACEMENT_CHARACTER } else { c });
    let mut shown: String = visible.take(LONGEST_ECHO).collect();
    if masked.chars().nth(LONGEST_ECHO).is_some() {
        shown.push('…');
    }
    shown
}

/// The longest text that is echoed whole, in characters.
pub const LONGEST_ECHO: usize = 80;

/// Replaces everything that starts like a secret of ours and goes on past its prefix by the prefix and `…`, so that a
/// pasted token never reaches the log, a trace or an error. The checksum is not asked: a secret that lost its end is
/// still most of one, and its last six characters follow from the others.
pub fn mask(text: &str) -> Cow<'_, str> {
    let mut masked = String::new();
    let (mut copied, mut from) = (0, 0);
    while let Some(start) = next_start(text, from) {
        let run =
            text.as_bytes()[start + KIND..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let run = start + KIND + run;
        // Two secrets may touch: the first one's body ends where the second begins, or that one's own body, which
        // follows an underscore, would stand bare.
        let end = next_start(text, start + KIND).map_or(run, |next| run.min(next));
        from = end;
        let kept = start + secret::PREFIX_LENGTH;
        if end > kept {
            masked.push_str(&text[copied..kept]);
            masked.push('…');
            copied = end;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    masked.push_str(&text[copied..]);
    Cow::Owned(masked)
}

/// Where, from a byte on, a text next starts like a secret of ours.
fn next_start(text: &str, mut from: usize) -> Option<usize> {
    while let Some(found) = text[from..].find("chy") {
        let start = from + found;
        if text.get(start..start + KIND).is_some_and(|kind| secret::shape(kind) == secret::Shape::Malformed) {
            return Some(start);
        }
        from = start + 3;
    }
    None
}

/// Characters of a secret's kind: `chyo_`.
const KIND: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{Kind, Secret};

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        let secret = Secret::from_entropy(Kind::Project, &[7; 64]);
        let text = secret.text();
        let masked = mask(&format!("chy use {text}{text}, née {text}!")).into_owned();
        assert!(!masked.contains(text));
        assert_eq!(masked.matches(&text[..12]).count(), 3);
        assert!(masked.starts_with("chy use ") && masked.ends_with("…!"));
    }

    #[test]
    fn a_secret_that_lost_its_end_is_masked_as_well() {
        let secret = Secret::from_entropy(Kind::Organization, &[9; 64]);
        for length in [13, 30, 53] {
            let cut = &secret.text()[..length];
            assert_eq!(mask(&format!("chyo_{cut}")), format!("chyo_{}…", &cut[..12]));
        }
        assert!(matches!(mask(&secret.text()[..12]), Cow::Borrowed(_)));
    }

    #[test]
    fn secrets_that_touch_are_both_masked() {
        let secret = Secret::from_entropy(Kind::Session, &[3; 64]);
        for before in
            [secret.text(), &secret.text()[..13], &secret.text()[..9], "chyo_", "chy", "chyochyo_", "c"]
        {
            let masked = mask(&format!("{before}{}", secret.text())).into_owned();
            assert!(!masked.contains(&secret.text()[13..]), "{before}: {masked}");
            assert!(masked.ends_with(&format!("{}…", secret.prefix())), "{before}: {masked}");
            assert_eq!(mask(&masked), masked, "what is masked stays as it is");
        }
    }

    #[test]
    fn ordinary_text_is_left_alone() {
        for text in ["", "chyo_", "chyo_short", "a naïve é chy 日本", &"chyo_".repeat(30)] {
            assert!(matches!(mask(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn control_characters_and_lengths_are_refused() {
        assert!(clean("name", "deploy bot", 128).is_ok());
        assert!(clean("name", "👩\u{200d}🚀 नि\u{200c}ध", 128).is_ok());
        let blank = ["", "  ", "\u{3000}", "\u{200d}", "\u{2800} \u{3164}", "\u{fe0f}"];
        let forging =
            ["a\u{0}b", "a\nb", "a\u{1b}[31m", "a\u{202e}b", "a\u{200b}b", "\u{200f}", "a\u{e0041}"];
        for bad in blank.into_iter().chain(forging).chain([&*"x".repeat(129)]) {
            assert!(clean("name", bad, 128).is_err(), "{bad:?}");
        }
    }
}
