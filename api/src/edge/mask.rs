//! Parsers' messages as a caller or a log may see them.

use domain::text::{LONGEST_ECHO, is_forbidden, mask};

/// A parser's message fit to be shown: masked, and where it quotes a long value, without that value's middle.
///
/// Serde's messages put the value before `, expected …`; what was expected survives the cut.
pub(crate) fn message(text: &str) -> String {
    /// How much of a message goes before the cut: a few words and about 80 characters of a value.
    const HEAD: usize = 100;
    const TAIL: usize = 200;
    let masked = visible(&mask(text));
    if masked.chars().nth(HEAD + TAIL).is_none() && !has_long_value(&masked) {
        return masked;
    }
    let head: String = masked.chars().take(HEAD).collect();
    let tail = masked.rfind(", expected ").filter(|at| *at >= head.len()).map_or("", |at| &masked[at..]);
    let tail: String = tail.chars().take(TAIL).collect();
    format!("{head}…{tail}")
}

/// A message may quote a name of the body's own choosing.
fn visible(text: &str) -> String {
    text.chars().map(|c| if is_forbidden(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
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
    fn long_values_are_cut_and_the_expectation_stays() {
        let long = "v".repeat(5_000);
        let shown = message(&format!("invalid type: string \"{long}\", expected u64 at line 1 column 9"));
        assert!(shown.len() < 200, "{shown}");
        assert!(shown.ends_with("…, expected u64 at line 1 column 9"), "{shown}");
        assert_eq!(message("unknown field `a\0\u{202e}`"), "unknown field `a\u{fffd}\u{fffd}`");
        assert_eq!(message("missing field `name`"), "missing field `name`");
        let many = "unknown field `x`, expected one of `aaaaaaaaaaaaaaaaaaaa`, `bbbbbbbbbbbbbbbbbbbbbb`, `ccccccccccccccc`, `ddddddddddddddd`";
        assert_eq!(message(many), many);
        let secret = format!("chyo_{}", "s".repeat(49));
        assert_eq!(message(&format!("unknown field `{secret}`")), "unknown field `chyo_sssssss…`");
    }
}
