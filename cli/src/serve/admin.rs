//! The break-glass admin token: where it comes from, and its making at first start.

use super::settings::{Settings, read_secret};
use anyhow::{Context, Result, bail};
use api::AdminToken;
use domain::secret::{Kind, Secret};
use eventlog::Random;
use secrecy::{ExposeSecret, SecretString};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Where the token of an authority with a private Postgres is kept.
pub(crate) fn made_file(settings: &Settings) -> PathBuf {
    settings.data_dir.join("admin-token")
}

/// The token that was given, or that was made at first start; none where there is neither.
pub(crate) fn read(settings: &Settings, random: &Random) -> Result<Option<AdminToken>> {
    let text = match (&settings.admin_token_file, &settings.admin_token) {
        (Some(path), _) => read_secret(path)?,
        (None, Some(text)) => text.clone(),
        (None, None) if settings.database_url.is_none() && made_file(settings).exists() => {
            read_secret(&made_file(settings))?
        }
        (None, None) => return Ok(None),
    };
    check(&text, random).map(Some)
}

fn check(text: &SecretString, random: &Random) -> Result<AdminToken> {
    AdminToken::new(text.expose_secret(), random).with_context(|| {
        format!(
            "the admin token has to have at least {} visible ASCII characters, no quote or backslash among them",
            AdminToken::LEAST
        )
    })
}

/// Sees to it that a new authority has a token that begins it.
pub(crate) fn prepare(settings: &Settings, random: &Random) -> Result<()> {
    if settings.admin_token_file.is_some() || settings.admin_token.is_some() {
        return Ok(());
    }
    if settings.database_url.is_some() {
        bail!(
            "a new authority needs an admin token: give --admin-token-file, or CHANCERY_ADMIN_TOKEN with at least {} \
             characters",
            AdminToken::LEAST
        );
    }
    let path = made_file(settings);
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let mut file = match opened {
        Ok(file) => file,
        // A first start that was cut off has made it already.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("making {}", path.display())),
    };
    // Not of a token's shape: it must not be taken for one that can be looked up, listed or revoked.
    let secret = Secret::from_entropy(Kind::Instance, &random.bytes());
    let text = format!("chancery-admin-{}", &secret.text()[5..48]);
    file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).and_then(|()| file.sync_all())?;
    Ok(())
}
