//! Through which server mail goes, and as whose.

use ipnet::IpNet;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, Tokio1Executor};
use secrecy::{ExposeSecret as _, SecretString};
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

/// When a mail that was not taken is tried again: long enough for a server that restarts, or that wants to see a sender
/// twice.
const RETRIES: [Duration; 4] =
    [Duration::from_secs(10), Duration::from_secs(45), Duration::from_mins(2), Duration::from_mins(5)];

/// How mail is sent.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// The server.
    pub server: SmtpUrl,
    /// Who logs in there, with what.
    pub credentials: Option<(String, SecretString)>,
    /// Certificates (PEM) that the server's is believed by, instead of the system's.
    pub authorities: Option<Vec<u8>>,
    /// Whom mail comes from.
    pub from: Mailbox,
    /// Where the authority is reached, without a slash at the end.
    pub public_url: String,
    /// The pauses before each further attempt.
    pub retries: Vec<Duration>,
}

/// A mail server: `smtp://host[:port][?tls=none]` or `smtps://host[:port]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpUrl {
    host: String,
    port: u16,
    security: Security,
}

/// How the way to the server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Security {
    /// TLS from the first byte.
    Tls,
    /// TLS before anything is said; a server that cannot is not spoken to.
    StartTls,
    /// Not at all.
    None,
}

impl MailSettings {
    /// Settings that are read from texts; an error says which cannot be, and what would be right.
    pub fn new(server: SmtpUrl, from: &str, public_url: &str) -> Result<Self, String> {
        let from = from.parse().map_err(|_| {
            format!("mail_from: `{from}` is not an address such as Chancery <chancery@example.org>")
        })?;
        let public_url = read_public_url(public_url)?;
        Ok(Self { server, credentials: None, authorities: None, from, public_url, retries: RETRIES.to_vec() })
    }

    pub(super) fn transport(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
        let SmtpUrl { host, port, security } = &self.server;
        let parameters = || {
            let mut parameters = TlsParameters::builder(host.clone());
            if let Some(pem) = &self.authorities {
                let authorities =
                    Certificate::from_pem(pem).map_err(|error| format!("smtp_ca_file: {error}"))?;
                parameters =
                    parameters.certificate_store(CertificateStore::None).add_root_certificate(authorities);
            }
            parameters.build().map_err(|error| format!("TLS to the mail server: {error}"))
        };
        let tls = match security {
            Security::Tls => Tls::Wrapper(parameters()?),
            Security::StartTls => Tls::Required(parameters()?),
            Security::None => Tls::None,
        };
        let name = ClientId::Domain(self.from.email.domain().to_owned());
        let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(*port)
            .tls(tls)
            .hello_name(name);
        let Some((user, password)) = &self.credentials else { return Ok(transport.build()) };
        if *security == Security::None && !is_loopback(host) {
            return Err(format!(
                "smtp_user: the password would cross the network to `{host}` in cleartext; leave out ?tls=none"
            ));
        }
        let password = password.expose_secret().to_owned();
        Ok(transport.credentials(Credentials::new(user.clone(), password)).build())
    }
}

impl FromStr for SmtpUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || {
            "not an address of a mail server such as smtp://mail.example.org:587 or smtps://mail.example.org; \
             without TLS it is smtp://localhost:25?tls=none"
                .to_owned()
        };
        let url: http::Uri = text.parse().map_err(|_| expected())?;
        let authority = url.authority().ok_or_else(expected)?;
        // What follows the scheme may hold a password, and an error is printed.
        if authority.as_str().contains('@') {
            return Err(
                "a user does not stand in the URL: give --smtp-user and --smtp-password-file".to_owned()
            );
        }
        if !matches!(url.path(), "" | "/") || authority.host().is_empty() {
            return Err(expected());
        }
        let (security, usual) = match (url.scheme_str(), url.query()) {
            (Some("smtps"), None) => (Security::Tls, 465),
            (Some("smtp"), None | Some("tls=required")) => (Security::StartTls, 587),
            (Some("smtp"), Some("tls=none")) => (Security::None, 25),
            _ => return Err(expected()),
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: authority.port_u16().unwrap_or(usual), security })
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| IpNet::from(address).addr().is_loopback())
}

fn read_public_url(text: &str) -> Result<String, String> {
    let url: Option<http::Uri> = text.parse().ok();
    let is_base = |url: &http::Uri| {
        matches!(url.scheme_str(), Some("https" | "http"))
            && url.query().is_none()
            && !text.contains(['@', '#'])
    };
    url.filter(is_base)
        .map(|_| text.trim_end_matches('/').to_owned())
        .ok_or_else(|| format!("public_url: `{text}` is not a URL such as https://chancery.example.org"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> (String, u16, Security) {
        let SmtpUrl { host, port, security } = text.parse().unwrap();
        (host, port, security)
    }

    #[test]
    fn a_mail_server_is_spoken_to_with_tls_unless_its_url_says_otherwise() {
        assert_eq!(url("smtp://mail.example.org"), ("mail.example.org".to_owned(), 587, Security::StartTls));
        assert_eq!(url("smtp://mail:2525?tls=required"), ("mail".to_owned(), 2525, Security::StartTls));
        assert_eq!(url("smtps://mail.example.org/"), ("mail.example.org".to_owned(), 465, Security::Tls));
        assert_eq!(url("smtp://[::1]:1025?tls=none"), ("::1".to_owned(), 1025, Security::None));
    }

    #[test]
    fn what_is_not_a_mail_server_is_refused_and_not_repeated() {
        for bad in [
            "",
            "mail.example.org",
            "http://mail.example.org",
            "smtp://",
            "smtp://mail/inbox",
            "smtp://mail?tls=opportunistic",
            "smtps://mail?tls=none",
            "smtp://ada:hunter2@mail",
        ] {
            let error = bad.parse::<SmtpUrl>().unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_password_does_not_cross_the_network_in_cleartext() {
        let transport = |server: &str| {
            let settings =
                MailSettings::new(server.parse().unwrap(), "a@example.org", "https://x.example/").unwrap();
            assert_eq!(settings.public_url, "https://x.example");
            let credentials = Some(("ada".to_owned(), "hunter2".into()));
            MailSettings { credentials, ..settings }.transport().map(drop)
        };
        assert!(transport("smtp://mail.example.org?tls=none").unwrap_err().contains("cleartext"));
        assert!(
            transport("smtp://127.0.0.1?tls=none").is_ok() && transport("smtp://mail.example.org").is_ok()
        );
    }

    #[test]
    fn settings_that_cannot_be_say_what_would_be_right() {
        let server = || "smtp://mail.example.org".parse::<SmtpUrl>().unwrap();
        for from in ["", "ada", "ada@example.org\r\nBcc: eve@example.org"] {
            assert!(
                MailSettings::new(server(), from, "https://x.example").unwrap_err().contains("mail_from")
            );
        }
        for public in ["", "x.example", "ftp://x.example", "https://x.example?a=b", "https://a:b@x.example"] {
            assert!(MailSettings::new(server(), "a@x.org", public).unwrap_err().contains("public_url"));
        }
    }
}
