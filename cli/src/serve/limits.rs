//! The settings of rate limits.

use anyhow::{Context as _, Result};
use api::{PartnerKeys, Rate, Rates};
use clap::Args;
use serde::Deserialize;
use std::num::NonZeroU32;
use std::path::Path;

/// A rate, or none for no limit.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Limit(Option<Rate>);

impl TryFrom<String> for Limit {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        read(&text)
    }
}

fn read(text: &str) -> Result<Limit, String> {
    if text == "off" {
        return Ok(Limit(None));
    }
    text.parse().map(|rate| Limit(Some(rate))).map_err(|error: String| format!("{error}, or off"))
}

/// How often what may be asked, by one caller from one address.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct LimitArgs {
    /// Tokens that one caller mints or narrows from one address, or `off` [default: 1200/m]
    #[arg(long, env = "CHANCERY_LIMIT_MINTS", value_name = "RATE", value_parser = read)]
    pub(crate) limit_mints: Option<Limit>,
    /// Invitations that one caller has sent by mail, or `off` [default: 200/h]
    #[arg(long, env = "CHANCERY_LIMIT_INVITATIONS", value_name = "RATE", value_parser = read)]
    pub(crate) limit_invitations: Option<Limit>,
    /// Texts that one caller identifies from one address, or `off` [default: 120/m]
    #[arg(long, env = "CHANCERY_LIMIT_IDENTIFY", value_name = "RATE", value_parser = read)]
    pub(crate) limit_identify: Option<Limit>,
    /// Leaks that are reported from one address, or `off` [default: 60/m]
    #[arg(long, env = "CHANCERY_LIMIT_LEAKS", value_name = "RATE", value_parser = read)]
    pub(crate) limit_leaks: Option<Limit>,
    /// Answers that a presented text is unknown, to one caller about one address, or `off` [default: 1200/m]
    #[arg(long, env = "CHANCERY_LIMIT_UNKNOWN", value_name = "RATE", value_parser = read)]
    pub(crate) limit_unknown: Option<Limit>,
    /// Keys that one caller imports from one address, or `off` [default: 600000/m]
    #[arg(long, env = "CHANCERY_LIMIT_IMPORTS", value_name = "RATE", value_parser = read)]
    pub(crate) limit_imports: Option<Limit>,
    /// Keys of one caller's imports that are those of tokens it may not know, or `off` [default: 20/m]
    #[arg(long, env = "CHANCERY_LIMIT_KNOWN_KEYS", value_name = "RATE", value_parser = read)]
    pub(crate) limit_known_keys: Option<Limit>,
}

impl LimitArgs {
    /// The rates, each by the first that says one.
    pub(super) fn rates(self, file: Self) -> Rates {
        let any = |given: Option<Limit>, file: Option<Limit>, usual: Option<Rate>| match given.or(file) {
            Some(Limit(rate)) => rate,
            None => usual,
        };
        let rate = |given, file, usual| any(given, file, NonZeroU32::new(usual).map(Rate::per_minute));
        let hourly = NonZeroU32::new(200).map(Rate::per_hour);
        Rates {
            mints: rate(self.limit_mints, file.limit_mints, 1_200),
            invitations: any(self.limit_invitations, file.limit_invitations, hourly),
            identify: rate(self.limit_identify, file.limit_identify, 120),
            leaks: rate(self.limit_leaks, file.limit_leaks, 60),
            unknown: rate(self.limit_unknown, file.limit_unknown, 1_200),
            imports: rate(self.limit_imports, file.limit_imports, 600_000),
            known_keys: rate(self.limit_known_keys, file.limit_known_keys, 20),
        }
    }
}

/// The public keys of a partner that signs reports of leaks, as it publishes them.
pub(super) fn partner_keys(path: Option<&Path>) -> Result<PartnerKeys> {
    let Some(path) = path else { return Ok(PartnerKeys::default()) };
    let about = || format!("the partner's keys in {}", path.display());
    let text = std::fs::read_to_string(path).with_context(about)?;
    PartnerKeys::read(&text).map_err(anyhow::Error::msg).with_context(about)
}
