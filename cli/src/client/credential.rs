//! Which token a command calls with.

use crate::client::options::{Options, variable};
use crate::client::{login::Logins, secret_file};
use crate::failure::Failure;
use secrecy::SecretString;

/// A token, and where it came from.
#[derive(Debug)]
pub(crate) struct Credential {
    pub(crate) token: SecretString,
    pub(crate) source: String,
}

/// Where tokens are looked for, in the order in which the first found wins.
struct Sources<'a> {
    file: Option<&'a std::path::Path>,
    variable: Option<String>,
    /// The log-in saved for this authority, or what is wrong with it.
    saved: Result<Option<SecretString>, Failure>,
}

/// The token to call an authority with, and what to say when it was not the only one.
pub(crate) fn choose(options: &Options, authority: &str) -> Result<(Credential, Option<String>), Failure> {
    let saved = Logins::of_user().map_or(Ok(None), |logins| logins.find(authority));
    let sources =
        Sources { file: options.token_file.as_deref(), variable: variable("CHANCERY_TOKEN"), saved };
    sources.choose(authority, options.insecure_token_file)
}

/// The same where nobody has to be logged in: none when there is no token at all.
pub(crate) fn choose_if_any(
    options: &Options,
    authority: &str,
) -> Result<(Option<Credential>, Option<String>), Failure> {
    match choose(options, authority) {
        Ok((credential, remark)) => Ok((Some(credential), remark)),
        Err(Failure::NoCredential(_))
            if options.token_file.is_none() && variable("CHANCERY_TOKEN").is_none() =>
        {
            Ok((None, None))
        }
        Err(failure) => Err(failure),
    }
}

impl Sources<'_> {
    fn choose(self, authority: &str, public: bool) -> Result<(Credential, Option<String>), Failure> {
        let saved_name = format!("the log-in saved for {authority}");
        let mut names = Vec::new();
        if let Some(path) = self.file {
            names.push(format!("--token-file {}", path.display()));
        }
        if self.variable.is_some() {
            names.push("CHANCERY_TOKEN".to_owned());
        }
        if matches!(self.saved, Ok(Some(_))) {
            names.push(saved_name.clone());
        }
        // A file that cannot be used is an error, never a reason to call as somebody else.
        let token = match (self.file, self.variable) {
            (Some(path), _) => secret_file::token(path, public)?,
            (None, Some(text)) => secret_file::parse(&text, "CHANCERY_TOKEN")?,
            (None, None) => match self.saved? {
                Some(token) => secret_file::parse(secrecy::ExposeSecret::expose_secret(&token), &saved_name)?,
                None => return Err(nobody(authority)),
            },
        };
        let source = names.remove(0);
        let remark =
            (!names.is_empty()).then(|| format!("Calling with {source}; ignored: {}.", names.join(", ")));
        Ok((Credential { token, source }, remark))
    }
}

fn nobody(authority: &str) -> Failure {
    Failure::NoCredential(format!(
        "no token to call {authority} with; give --token-file FILE, set CHANCERY_TOKEN, or run `chancery auth login`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;
    use std::io::Write as _;

    fn found(sources: Sources<'_>) -> (String, String, String) {
        let (credential, remark) = sources.choose("http://a", false).unwrap();
        (credential.token.expose_secret().to_owned(), credential.source, remark.unwrap_or_default())
    }

    fn saved(token: &str) -> Result<Option<SecretString>, Failure> {
        if token.is_empty() {
            Err(Failure::Other("damaged".to_owned()))
        } else {
            Ok(Some(SecretString::from(token)))
        }
    }

    #[test]
    fn the_first_found_wins_and_the_others_are_named() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"filed\n").unwrap();
        let path = file.path();
        let variable = || Some("set".to_owned());

        let (token, _, remark) =
            found(Sources { file: Some(path), variable: variable(), saved: saved("saved") });
        assert_eq!(token, "filed");
        assert!(remark.ends_with("ignored: CHANCERY_TOKEN, the log-in saved for http://a."), "{remark}");
        let (token, source, remark) =
            found(Sources { file: None, variable: variable(), saved: saved("saved") });
        assert_eq!((token.as_str(), source.as_str()), ("set", "CHANCERY_TOKEN"));
        assert_eq!(remark, "Calling with CHANCERY_TOKEN; ignored: the log-in saved for http://a.");
        let (token, _, remark) = found(Sources { file: None, variable: None, saved: saved("saved") });
        assert_eq!((token.as_str(), remark.as_str()), ("saved", ""));
    }

    #[test]
    fn what_cannot_be_used_is_not_passed_over() {
        let absent = std::path::Path::new("/nonexistent/token");
        let sources = Sources { file: Some(absent), variable: Some("set".to_owned()), saved: saved("saved") };
        assert!(sources.choose("http://a", false).is_err());
        let sources = Sources { file: None, variable: Some("two words".to_owned()), saved: saved("saved") };
        assert!(sources.choose("http://a", false).is_err());
        assert!(Sources { file: None, variable: None, saved: saved("") }.choose("http://a", false).is_err());
        let sources = Sources { file: None, variable: Some("set".to_owned()), saved: saved("") };
        assert_eq!(found(sources).0, "set", "a damaged log-in that is not asked for stands in nobody's way");
    }

    #[test]
    fn nobody_is_told_how_to_become_somebody() {
        let failure =
            Sources { file: None, variable: None, saved: Ok(None) }.choose("http://a", false).unwrap_err();
        assert_eq!(failure.exit(), crate::failure::Exit::Denied);
        for way in ["--token-file", "CHANCERY_TOKEN", "auth login"] {
            assert!(failure.message().contains(way));
        }
    }
}
