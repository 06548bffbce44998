//! The settings of mail.

use super::settings::read_secret;
use anyhow::{Context as _, Result, anyhow, bail};
use api::MailSettings;
use clap::Args;
use std::path::PathBuf;

/// Through which server mail goes, and as whose. Without a server, texts of invitations are in the answers.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct MailArgs {
    /// Mail server that invitations are sent through: smtp://HOST:PORT with STARTTLS, smtps://HOST:PORT, or
    /// smtp://HOST:PORT?tls=none [default: none, the texts of invitations are in the answers]
    #[arg(long, env = "CHANCERY_SMTP_URL", value_name = "URL")]
    pub(crate) smtp_url: Option<String>,
    /// User name at the mail server
    #[arg(long, env = "CHANCERY_SMTP_USER", value_name = "NAME")]
    pub(crate) smtp_user: Option<String>,
    /// File that holds the password at the mail server
    #[arg(long, env = "CHANCERY_SMTP_PASSWORD_FILE", value_name = "FILE")]
    pub(crate) smtp_password_file: Option<PathBuf>,
    /// Certificates, PEM, that the mail server's is believed by [default: the system's]
    #[arg(long, env = "CHANCERY_SMTP_CA_FILE", value_name = "FILE")]
    pub(crate) smtp_ca_file: Option<PathBuf>,
    /// Whom mail comes from, such as `Chancery <chancery@example.org>`
    #[arg(long, env = "CHANCERY_MAIL_FROM", value_name = "ADDRESS")]
    pub(crate) mail_from: Option<String>,
    /// Where people reach this authority, for mails: the URL of its API
    #[arg(long, env = "CHANCERY_PUBLIC_URL", value_name = "URL")]
    pub(crate) public_url: Option<String>,
}

impl MailArgs {
    /// What mail is sent by, each setting by the first that says one; none without a server.
    pub(super) fn settings(self, file: Self) -> Result<Option<MailSettings>> {
        let Some(server) = self.smtp_url.or(file.smtp_url).filter(|url| !url.is_empty()) else {
            return Ok(None);
        };
        let server = server.parse().map_err(|error| anyhow!("smtp_url: {error}"))?;
        let from =
            self.mail_from.or(file.mail_from).context("smtp_url needs mail_from: whom mail comes from")?;
        let public_url = self.public_url.or(file.public_url);
        let public_url =
            public_url.context("smtp_url needs public_url: where people reach this authority")?;
        let settings = MailSettings::new(server, &from, &public_url).map_err(anyhow::Error::msg)?;
        let user = self.smtp_user.or(file.smtp_user);
        let credentials = match (user, self.smtp_password_file.or(file.smtp_password_file)) {
            (Some(user), Some(path)) => Some((user, read_secret(&path)?)),
            (None, None) => None,
            _ => bail!("smtp_user and smtp_password_file go together: one of them is missing"),
        };
        let read =
            |path: PathBuf| std::fs::read(&path).with_context(|| format!("smtp_ca_file {}", path.display()));
        let authorities = self.smtp_ca_file.or(file.smtp_ca_file).map(read).transpose()?;
        Ok(Some(MailSettings { credentials, authorities, ..settings }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(change: impl FnOnce(&mut MailArgs)) -> Result<Option<MailSettings>, String> {
        let mut args = MailArgs {
            smtp_url: Some("smtp://mail.example.org".to_owned()),
            mail_from: Some("chancery@example.org".to_owned()),
            ..MailArgs::default()
        };
        change(&mut args);
        let public_url = Some("https://chancery.example.org".to_owned());
        let file = MailArgs { public_url, ..MailArgs::default() };
        args.settings(file).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn mail_is_off_until_a_server_is_named_and_then_needs_the_rest() {
        assert!(settings(|args| args.smtp_url = None).unwrap().is_none());
        assert!(settings(|_| ()).unwrap().is_some());
        assert!(settings(|args| args.mail_from = None).unwrap_err().contains("mail_from"));
        assert!(
            settings(|args| args.smtp_user = Some("ada".to_owned())).unwrap_err().contains("go together")
        );
        assert!(settings(|args| args.smtp_url = Some("mail".to_owned())).unwrap_err().contains("smtp://"));
        assert!(
            settings(|args| args.smtp_ca_file = Some("none.pem".into())).unwrap_err().contains("none.pem")
        );
    }
}
