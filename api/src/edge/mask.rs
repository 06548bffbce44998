//! Keeps secrets out of every text that is echoed to a caller or written to a log.

use std::borrow::Cow;

/// Length of `chyi_` and its kin.
const PREFIX: usize = 5;
/// A secret holds 49 base62 characters after its prefix. Masking begins well below that, so that a secret with
/// a lost or mistyped tail is hidden as well, and above the seven that people recognise a token by.
const LONGEST_SHOWN: usize = 7;
/// Longest text that is echoed whole.
const LONGEST_ECHO: usize = 80;

/// Replaces everything in `text` that is, or begins like, the secret of a token.
///
/// ```
/// let secret = format!("chyo_{}", "a".repeat(49));
/// assert_eq!(api::edge::mask::mask(&format!("got {secret}!")), "got chyo_[masked]!");
/// ```
pub fn mask(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((start, end)) = find(rest) {
        out.push_str(&rest[..start + PREFIX]);
        out.push_str("[masked]");
        rest = &rest[end..];
    }
    if out.is_empty() {
        return Cow::Borrowed(text);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The first secret in `text`, as start and end.
fn find(text: &str) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(at) = text[from..].find("chy") {
        let start = from + at;
        let body = start + PREFIX;
        if matches!(bytes.get(start + 3), Some(b'i' | b'o' | b'p' | b'u'))
            && bytes.get(start + 4) == Some(&b'_')
        {
            let length = bytes[body..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
            if length > LONGEST_SHOWN {
                return Some((start, body + length));
            }
        }
        from = start + 3;
    }
    None
}

/// `text` fit for an error message: masked, without control characters, and cut after 80 characters.
pub fn echo(text: &str) -> String {
    let masked = mask(text);
    let mut out: String =
        masked.chars().take(LONGEST_ECHO).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if masked.chars().nth(LONGEST_ECHO).is_some() {
        out.push('…');
    }
    out
}

/// A parser's message fit to be shown: masked, and where it quotes a long value, without that value's middle.
///
/// Serde's messages put the value before `, expected …`; what was expected survives the cut.
pub fn message(text: &str) -> String {
    /// How much of a message goes before the cut: a few words and about 80 characters of a value.
    const HEAD: usize = 100;
    const TAIL: usize = 200;
    let masked = mask(text);
    if masked.chars().nth(HEAD + TAIL).is_none() && !has_long_value(&masked) {
        return masked.into_owned();
    }
    let head: String = masked.chars().take(HEAD).collect();
    let tail = masked.rfind(", expected ").filter(|at| *at >= head.len()).map_or("", |at| &masked[at..]);
    let tail: String = tail.chars().take(TAIL).collect();
    format!("{head}…{tail}")
}

/// Whether a message quotes a value (between double quotes or back-ticks) of more than 80 characters.
fn has_long_value(text: &str) -> bool {
    ['"', '`'].iter().any(|quote| match (text.find(*quote), text.rfind(*quote)) {
        (Some(first), Some(last)) => {
            text.split(*quote).any(|part| part.chars().count() > LONGEST_ECHO) && last - first > LONGEST_ECHO
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        let secret = format!("chyp_{}", "Zz09a".repeat(10)).chars().take(54).collect::<String>();
        for (text, masked) in [
            (secret.clone(), "chyp_[masked]".to_owned()),
            (format!("x{secret} {secret}y"), "xchyp_[masked] chyp_[masked]".to_owned()),
            (secret[..40].to_owned(), "chyp_[masked]".to_owned()),
            (format!("chychyp_{secret}"), "chychyp_chyp_[masked]".to_owned()),
            (secret[..12].to_owned(), secret[..12].to_owned()),
            ("chyx_aaaaaaaaaaaaaaaaaaaa".to_owned(), "chyx_aaaaaaaaaaaaaaaaaaaa".to_owned()),
            ("chyé chyo_é".to_owned(), "chyé chyo_é".to_owned()),
            ("chy".to_owned(), "chy".to_owned()),
        ] {
            assert_eq!(mask(&text), masked, "{text}");
        }
    }

    #[test]
    fn long_values_are_cut_and_the_expectation_stays() {
        let long = "v".repeat(5_000);
        let shown = message(&format!("invalid type: string \"{long}\", expected u64 at line 1 column 9"));
        assert!(shown.len() < 200, "{shown}");
        assert!(shown.ends_with("…, expected u64 at line 1 column 9"), "{shown}");
        assert_eq!(message("missing field `name`"), "missing field `name`");
        let many = "unknown field `x`, expected one of `aaaaaaaaaaaaaaaaaaaa`, `bbbbbbbbbbbbbbbbbbbbbb`, `ccccccccccccccc`, `ddddddddddddddd`";
        assert_eq!(message(many), many);
        assert_eq!(echo(&long).chars().count(), 81);
        assert_eq!(echo("a\nb"), "a\u{fffd}b");
    }
}
