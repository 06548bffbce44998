//! The settings of `chancery serve`: flag, variable, key in `chancery.toml`; the first found wins.

use super::limits::{Limit, LimitArgs};
use super::mail::MailArgs;
use anyhow::{Context, Result, bail};
use api::{MailSettings, Rates};
use clap::{Args, ValueEnum};
use domain::event::Answers;
use ipnet::IpNet;
use secrecy::SecretString;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How verify is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AnswersArg {
    /// Each answer waits until its use is committed.
    Committed,
    /// Answers come from memory; uses follow.
    Bounded,
}

/// What `chancery serve` can be told.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ServeArgs {
    /// Address to listen on; port 0 picks one [default: 127.0.0.1:7070]
    #[arg(long, env = "CHANCERY_LISTEN", value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// Serve cleartext HTTP on an address that is not loopback
    #[arg(long, env = "CHANCERY_INSECURE_HTTP")]
    pub(crate) insecure_http: bool,
    /// Certificate chain for TLS, PEM; SIGHUP reads it again
    #[arg(long, env = "CHANCERY_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Private key for TLS, PEM
    #[arg(long, env = "CHANCERY_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Serve /metrics on a listener of its own
    #[arg(long, env = "CHANCERY_METRICS_LISTEN", value_name = "ADDRESS")]
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// Proxies whose X-Forwarded-For or Forwarded is believed: networks, separated by commas
    #[arg(long, env = "CHANCERY_TRUSTED_PROXIES", value_name = "NETWORKS", value_delimiter = ',')]
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Folder for the node's keys, mark and private Postgres [default: the platform's; for root /var/lib/chancery]
    #[arg(long, env = "CHANCERY_DATA_DIR", value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Postgres to use instead of a private one
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// File that holds the URL of the Postgres to use
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE", conflicts_with = "database_url")]
    pub(crate) database_url_file: Option<PathBuf>,
    /// Connections to Postgres for reads [default: 8]
    #[arg(long, env = "CHANCERY_DATABASE_CONNECTIONS", value_name = "NUMBER")]
    pub(crate) database_connections: Option<u32>,
    /// Folder of the binaries for the private Postgres [default: found]
    #[arg(long, env = "CHANCERY_PG_BIN_DIR", value_name = "FOLDER")]
    pub(crate) pg_bin_dir: Option<PathBuf>,
    /// User that the private Postgres runs as when this runs as root [default: postgres]
    #[arg(long, env = "CHANCERY_PG_USER", value_name = "USER")]
    pub(crate) pg_user: Option<String>,
    /// File that holds the break-glass admin token (CHANCERY_ADMIN_TOKEN holds it itself)
    #[arg(long, env = "CHANCERY_ADMIN_TOKEN_FILE", value_name = "FILE")]
    pub(crate) admin_token_file: Option<PathBuf>,
    /// How a new authority answers verify [default: committed]
    #[arg(long, env = "CHANCERY_ANSWERS", value_enum)]
    pub(crate) answers: Option<AnswersArg>,
    /// File of the key that signs checkpoints [default: log-key in the data folder, made at first start]
    #[arg(long, env = "CHANCERY_LOG_KEY_FILE", value_name = "FILE")]
    pub(crate) log_key_file: Option<PathBuf>,
    /// Name of a new authority's log, for ever [default: made at first start]
    #[arg(long, env = "CHANCERY_ORIGIN", value_name = "NAME")]
    pub(crate) origin: Option<String>,
    /// Questions and commands that may wait for the log [default: 16384]
    #[arg(long, env = "CHANCERY_QUEUE", value_name = "NUMBER")]
    pub(crate) queue: Option<usize>,
    /// Longest time for one request [default: 10s]
    #[arg(long, env = "CHANCERY_REQUEST_TIMEOUT", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) request_timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    /// File of the public keys with which a secret-scanning partner signs its reports of leaks
    #[arg(long, env = "CHANCERY_PARTNER_KEYS_FILE", value_name = "FILE")]
    pub(crate) partner_keys_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) mail: MailArgs,
    /// Settings file [default: chancery.toml where it is started, if there]
    #[arg(long, env = "CHANCERY_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// `chancery.toml`: the keys are the flags' names with `_` for `-`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSettings {
    listen: Option<SocketAddr>,
    insecure_http: Option<bool>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    metrics_listen: Option<SocketAddr>,
    trusted_proxies: Option<Vec<IpNet>>,
    data_dir: Option<PathBuf>,
    database_url: Option<String>,
    database_url_file: Option<PathBuf>,
    database_connections: Option<u32>,
    pg_bin_dir: Option<PathBuf>,
    pg_user: Option<String>,
    admin_token_file: Option<PathBuf>,
    answers: Option<AnswersArg>,
    log_key_file: Option<PathBuf>,
    origin: Option<String>,
    queue: Option<usize>,
    request_timeout: Option<String>,
    limit_mints: Option<Limit>,
    limit_invitations: Option<Limit>,
    limit_identify: Option<Limit>,
    limit_leaks: Option<Limit>,
    limit_unknown: Option<Limit>,
    limit_imports: Option<Limit>,
    limit_known_keys: Option<Limit>,
    partner_keys_file: Option<PathBuf>,
    smtp_url: Option<String>,
    smtp_user: Option<String>,
    smtp_password_file: Option<PathBuf>,
    smtp_ca_file: Option<PathBuf>,
    mail_from: Option<String>,
    public_url: Option<String>,
}

impl FileSettings {
    fn limits(&self) -> LimitArgs {
        LimitArgs {
            limit_mints: self.limit_mints,
            limit_invitations: self.limit_invitations,
            limit_identify: self.limit_identify,
            limit_leaks: self.limit_leaks,
            limit_unknown: self.limit_unknown,
            limit_imports: self.limit_imports,
            limit_known_keys: self.limit_known_keys,
        }
    }

    fn mail(&self) -> MailArgs {
        MailArgs {
            smtp_url: self.smtp_url.clone(),
            smtp_user: self.smtp_user.clone(),
            smtp_password_file: self.smtp_password_file.clone(),
            smtp_ca_file: self.smtp_ca_file.clone(),
            mail_from: self.mail_from.clone(),
            public_url: self.public_url.clone(),
        }
    }
}

/// What a node is started with.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
    pub(crate) metrics_listen: Option<SocketAddr>,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) data_dir: PathBuf,
    pub(crate) database_url: Option<SecretString>,
    pub(crate) database_connections: u32,
    pub(crate) pg_bin_dir: Option<PathBuf>,
    pub(crate) pg_user: Option<String>,
    pub(crate) admin_token_file: Option<PathBuf>,
    pub(crate) admin_token: Option<SecretString>,
    pub(crate) answers: Answers,
    pub(crate) log_key_file: PathBuf,
    pub(crate) origin: Option<String>,
    pub(crate) queue: usize,
    pub(crate) request_timeout: Duration,
    pub(crate) rates: Rates,
    pub(crate) partner_keys_file: Option<PathBuf>,
    pub(crate) mail: Option<MailSettings>,
}

impl Settings {
    pub(crate) fn read(args: ServeArgs) -> Result<Self> {
        let file = read_file(args.config.as_deref())?;
        let rates = args.limits.rates(file.limits());
        let mail = args.mail.settings(file.mail())?;
        let tls_cert = args.tls_cert.or(file.tls_cert);
        let tls = match (tls_cert, args.tls_key.or(file.tls_key)) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => bail!("tls_cert and tls_key go together: one of them is missing"),
        };
        let listen = args.listen.or(file.listen).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 7070)));
        let insecure = args.insecure_http || file.insecure_http.unwrap_or_default();
        if tls.is_none() && !is_loopback(listen.ip()) && !insecure {
            bail!(
                "--listen {listen} is not loopback and there is no TLS: tokens would cross the network in cleartext. \
                 Give --tls-cert and --tls-key, or --insecure-http if something before it ends TLS"
            );
        }
        let data_dir = args.data_dir.or(file.data_dir).map_or_else(default_data_dir, Ok)?;
        let given = args.database_url.filter(|url| !url.is_empty()).map(SecretString::from);
        let database_url = match url_or_file(given, args.database_url_file)? {
            Some(url) => Some(url),
            None => url_or_file(file.database_url.map(SecretString::from), file.database_url_file)?,
        };
        let timeout = file.request_timeout.as_deref().map(humantime::parse_duration).transpose();
        let trusted_proxies =
            Some(args.trusted_proxies).filter(|networks| !networks.is_empty()).or(file.trusted_proxies);
        Ok(Self {
            listen,
            tls,
            metrics_listen: args.metrics_listen.or(file.metrics_listen),
            trusted_proxies: trusted_proxies.unwrap_or_default(),
            database_url,
            database_connections: args.database_connections.or(file.database_connections).unwrap_or(8).max(2),
            pg_bin_dir: args.pg_bin_dir.or(file.pg_bin_dir),
            pg_user: args.pg_user.or(file.pg_user),
            admin_token_file: args.admin_token_file.or(file.admin_token_file),
            admin_token: std::env::var("CHANCERY_ADMIN_TOKEN").ok().map(SecretString::from),
            answers: match args.answers.or(file.answers) {
                None | Some(AnswersArg::Committed) => Answers::Committed,
                Some(AnswersArg::Bounded) => Answers::Bounded,
            },
            log_key_file: args.log_key_file.or(file.log_key_file).unwrap_or_else(|| data_dir.join("log-key")),
            origin: args.origin.or(file.origin),
            queue: args.queue.or(file.queue).unwrap_or(16_384).max(1),
            request_timeout: args
                .request_timeout
                .or(timeout.context("request_timeout in the settings file")?)
                .unwrap_or(Duration::from_secs(10)),
            rates,
            partner_keys_file: args.partner_keys_file.or(file.partner_keys_file),
            mail,
            data_dir,
        })
    }
}

impl Settings {
    /// Another data folder, and with it the files whose place nobody chose.
    pub(crate) fn move_data_dir(&mut self, folder: PathBuf) {
        if self.log_key_file.parent() == Some(&self.data_dir) {
            self.log_key_file = folder.join("log-key");
        }
        self.data_dir = folder;
    }
}

fn url_or_file(url: Option<SecretString>, path: Option<PathBuf>) -> Result<Option<SecretString>> {
    match (url, path) {
        (Some(url), _) => Ok(Some(url)),
        (None, Some(path)) => read_secret(&path).map(Some),
        (None, None) => Ok(None),
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn read_file(given: Option<&Path>) -> Result<FileSettings> {
    let usual = Path::new("chancery.toml");
    let path = match given {
        Some(path) => path,
        None if usual.exists() => {
            refuse_others(usual)?;
            usual
        }
        None => return Ok(FileSettings::default()),
    };
    config::Config::builder()
        .add_source(config::File::from(path).format(config::FileFormat::Toml))
        .build()
        .and_then(config::Config::try_deserialize)
        .with_context(|| format!("the settings file {}", path.display()))
}

/// A file that just lies where the program is started may be somebody else's: it can name programs to run.
fn refuse_others(path: &Path) -> Result<()> {
    let found = std::fs::metadata(path)?;
    if found.uid() != rustix::process::geteuid().as_raw() || found.permissions().mode() & 0o022 != 0 {
        bail!(
            "{} belongs to another user, or others can write it; name it with --config if it is meant",
            path.display()
        );
    }
    Ok(())
}

/// As root the system's place, otherwise the user's (XDG Base Directory Specification, `XDG_DATA_HOME`).
fn default_data_dir() -> Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/chancery"));
    }
    let home = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = home("XDG_DATA_HOME").or_else(|| home("HOME").map(|home| home.join(".local/share")));
    folder.map(|folder| folder.join("chancery")).context("no home folder is known: give --data-dir")
}

/// Reads a secret from a file that only its owner can read.
pub(crate) fn read_secret(path: &Path) -> Result<SecretString> {
    let about = || format!("the secret in {}", path.display());
    let mode = std::fs::metadata(path).with_context(about)?.permissions().mode();
    if mode & 0o077 != 0 {
        bail!(
            "{} can be read by others than its owner (mode {:o}); run: chmod 600 {}",
            path.display(),
            mode & 0o777,
            path.display()
        );
    }
    let text = std::fs::read_to_string(path).with_context(about)?;
    Ok(text.trim().into())
}
