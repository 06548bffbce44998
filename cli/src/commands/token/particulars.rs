//! What is said of a new token, minted or narrowed.

use super::expires::{self, Expires};
use crate::failure::Failure;
use serde_json::{Map, Value};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct Particulars {
    /// Its name, unique among the live tokens of its scope
    #[arg(long)]
    pub(super) name: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub(super) description: Option<String>,
    /// A role that it holds: ROLE, or ROLE@PROJECT; may be repeated
    #[arg(long = "grant", alias = "role", value_name = "GRANT")]
    pub(super) grants: Vec<String>,
    /// When it ends: 30d, 12h, a time (RFC 3339), or never
    #[arg(short = 'x', long, visible_alias = "expiration", value_name = "WHEN")]
    pub(super) expires: Option<Expires>,
    /// When it begins (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = expires::time)]
    pub(super) not_before: Option<String>,
    /// Where it may be used from: a network or an address; may be repeated
    #[arg(long = "network", value_name = "CIDR")]
    pub(super) networks: Vec<String>,
    #[command(flatten)]
    pub(super) metadata: Metadata,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Metadata {
    /// A JSON object of yours, at most 4 KiB
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
    /// The same, from a file
    #[arg(long, value_name = "FILE", conflicts_with = "metadata")]
    metadata_file: Option<PathBuf>,
}

impl Metadata {
    pub(super) fn is_given(&self) -> bool {
        self.metadata.is_some() || self.metadata_file.is_some()
    }

    pub(super) fn read(&self) -> Result<Option<Map<String, Value>>, Failure> {
        if let Some(text) = &self.metadata {
            return parse(text, "--metadata").map(Some);
        }
        let Some(path) = &self.metadata_file else { return Ok(None) };
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::Usage(format!("--metadata-file: cannot read {shown}: {error}")))?;
        parse(&text, &format!("--metadata-file {shown}")).map(Some)
    }
}

fn parse(text: &str, flag: &str) -> Result<Map<String, Value>, Failure> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Failure::Usage(format!("{flag} is JSON, but no object such as {{\"team\": \"web\"}}"))),
        Err(error) => Err(Failure::Usage(format!("{flag} is not JSON: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_an_object() {
        assert_eq!(parse("{\"team\": \"web\"}", "--metadata").unwrap()["team"], "web");
        for bad in ["", "[]", "\"x\"", "{team: web}", "{} {}"] {
            let failure = parse(bad, "--metadata").unwrap_err();
            assert!(failure.message().contains("--metadata"), "{bad}");
        }
    }
}
