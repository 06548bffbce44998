//! Files that hold a secret.

use crate::failure::Failure;
use secrecy::SecretString;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use zeroize::Zeroizing;

/// No token is longer; whoever names another file by mistake is told, and none of it is sent.
const LONGEST: usize = 4 * 1024;

/// The whole of a file, which others must not be able to read unless `public` is fine. `or` is what else than making it
/// private helps.
pub(crate) fn read(path: &Path, public: bool, or: &str) -> Result<Zeroizing<String>, Failure> {
    let fail = |error: std::io::Error| Failure::Other(format!("cannot read {}: {error}", path.display()));
    let mut file = File::open(path).map_err(fail)?;
    // Of the open file, so that what is checked is what is read.
    let metadata = file.metadata().map_err(fail)?;
    let mode = metadata.permissions().mode() & 0o777;
    // A pipe, as of a shell's <(…), is its owner's whatever its mode says.
    if metadata.is_file() && mode & 0o077 != 0 && !public {
        let shown = path.display();
        return Err(Failure::NoCredential(format!(
            "{shown} can be read by others (mode {mode:03o}); run `chmod 600 {shown}`{or}"
        )));
    }
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(fail)?;
    Ok(text)
}

/// The token that a file holds.
pub(crate) fn token(path: &Path, public: bool) -> Result<SecretString, Failure> {
    if path.as_os_str() == "-" {
        return Err(Failure::Usage(
            "a token file cannot be `-`; save the token with `auth login --token-stdin`, or set a variable"
                .to_owned(),
        ));
    }
    parse(&read(path, public, ", or say --insecure-token-file")?, &path.display().to_string())
}

/// A token as it stands in a file, a variable or a stream, without the white space around it.
pub(crate) fn parse(text: &str, source: &str) -> Result<SecretString, Failure> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Failure::NoCredential(format!("{source} is empty; it should hold a token")));
    }
    if text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::NoCredential(format!(
            "{source} holds something other than one token: a token is one word of visible ASCII characters"
        )));
    }
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;
    use std::fs;

    #[test]
    fn a_file_that_others_can_read_is_refused_unless_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "chyo_x\n").unwrap();
        for mode in [0o640, 0o604, 0o644, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let message = token(&path, false).unwrap_err().message();
            assert!(message.contains("can be read by others") && message.contains("--insecure-token-file"));
            assert_eq!(token(&path, true).unwrap().expose_secret(), "chyo_x");
        }
        for mode in [0o600, 0o400] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(token(&path, false).unwrap().expose_secret(), "chyo_x");
        }
        assert!(matches!(token(Path::new("-"), false), Err(Failure::Usage(_))));
        assert!(matches!(token(&folder.path().join("absent"), false), Err(Failure::Other(_))));
    }

    #[test]
    fn only_one_word_is_a_token() {
        for bad in
            ["", " \n", "two words", "line\nline", "née", "-----BEGIN KEY-----\nx", &"x".repeat(LONGEST + 1)]
        {
            let failure = parse(bad, "the file").unwrap_err();
            assert_eq!(failure.exit(), crate::failure::Exit::Denied);
        }
        assert_eq!(parse("  imported-key \r\n", "the file").unwrap().expose_secret(), "imported-key");
    }
}
