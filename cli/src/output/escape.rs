//! Text of others on a terminal: nothing in it may move the cursor, hide or reorder what stands beside it.

use domain::text::{is_forbidden, mask};
use std::borrow::Cow;
use std::fmt::Write as _;

/// What has no visible form of its own and changes how its neighbours look: beyond what names may not hold at all,
/// the directional marks, zero-width characters and tags.
fn is_unsafe(c: char) -> bool {
    is_forbidden(c)
        || matches!(
            c,
            '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2060}'..='\u{2064}' | '\u{E0000}'..='\u{E007F}'
        )
}

/// `text` with everything that is not plainly visible written out, as `\n` or `\u{202e}`.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// [`escape`]d and without secrets, line by line: for errors and remarks, which may repeat what was typed.
pub(crate) fn plain(text: &str) -> String {
    let masked = mask(text);
    masked.split('\n').map(escape).collect::<Vec<_>>().join("\n")
}

/// JSON as the server wrote it, indented for people, its order and numbers untouched. What is not plainly visible in
/// a string is written as a `\u` escape, so that the text is the same JSON and safe on a terminal.
pub(crate) fn indent_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut is_escaped = false;
    let mut characters = json.chars().peekable();
    while let Some(c) = characters.next() {
        if in_string {
            in_string = is_escaped || c != '"';
            is_escaped = c == '\\' && !is_escaped;
            push_visible(&mut out, c);
            continue;
        }
        match c {
            '"' => {
                in_string = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                while characters.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(end) = characters.next_if(|&c| matches!(c, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

fn push_visible(out: &mut String, c: char) {
    if !is_unsafe(c) {
        return out.push(c);
    }
    for unit in c.encode_utf16(&mut [0; 2]) {
        let _ = write!(out, "\\u{unit:04x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_or_moves_is_written_out() {
        assert!(matches!(escape("deploy bot, née 日本"), Cow::Borrowed(_)));
        assert_eq!(escape("a\u{1b}[31mred\u{7}"), r"a\u{1b}[31mred\u{7}");
        assert_eq!(escape("safe\u{202e}exe.txt"), r"safe\u{202e}exe.txt");
        assert_eq!(escape("a\nb\tc\r\u{9b}2J\u{200b}\u{feff}"), r"a\nb\tc\r\u{9b}2J\u{200b}\u{feff}");
    }

    #[test]
    fn errors_keep_their_lines_and_no_secret() {
        let secret = domain::secret::Secret::from_entropy(domain::secret::Kind::Instance, &[3; 64]);
        let said = plain(&format!("no {}\n\u{1b}", secret.text()));
        assert_eq!(said, format!("no {}…\n\\u{{1b}}", &secret.text()[..12]));
    }

    #[test]
    fn json_is_indented_and_otherwise_the_same() {
        let json = "{\"z\":1.10,\"a\":[ ],\"s\":\"x\\\"{,}\\\\\",\"l\":[1,{\"b\":null}],\"o\":{},\"d\":\"\u{202e}\u{e0041}\"}";
        let indented = indent_json(json);
        insta::assert_snapshot!(indented, @r#"
        {
          "z": 1.10,
          "a": [],
          "s": "x\"{,}\\",
          "l": [
            1,
            {
              "b": null
            }
          ],
          "o": {},
          "d": "\u202e\udb40\udc41"
        }
        "#);
        let read = |text| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&indented), read(json));
    }
}
