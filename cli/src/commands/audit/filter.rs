use crate::commands::token::expires::time;
use crate::commands::{Context, not_a_secret};
use std::net::IpAddr;

/// Which events. `--org` and `--project` say where.
#[derive(Debug, clap::Args)]
pub(super) struct Filter {
    /// Only those that this actor caused (`org-token:chyo_4fT9aQ1`, `admin-token`), or the token with this id
    #[arg(long, value_parser = not_a_secret)]
    actor: Option<String>,
    /// Only those about the token with this id
    #[arg(long, value_name = "ID", value_parser = not_a_secret)]
    token: Option<String>,
    /// Only those of this type; may be given several times, or with commas
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    types: Vec<String>,
    /// Only those from then on (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<String>,
    /// Only those before then (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<String>,
    /// Only those that were caused from this address
    #[arg(long)]
    address: Option<IpAddr>,
}

impl Filter {
    /// Whether nothing fits any more from some time on.
    pub(super) fn has_end(&self) -> bool {
        self.to.is_some()
    }

    /// As the API takes it.
    pub(super) fn query(&self, context: &Context) -> Vec<(&'static str, String)> {
        let types = (!self.types.is_empty()).then(|| self.types.join(","));
        let fields = [
            ("organization", context.options.organization()),
            ("project", context.options.project()),
            ("actor", self.actor.clone()),
            ("token", self.token.clone()),
            ("type", types),
            ("from", self.from.clone()),
            ("to", self.to.clone()),
            ("address", self.address.map(|address| address.to_string())),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}
