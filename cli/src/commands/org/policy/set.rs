use crate::commands::{Context, not_a_secret};
use crate::failure::Failure;
use api::wire::{OrganizationPolicy, OrganizationPolicyChange};
use domain::time::parse_duration;
use reqwest::Method;

/// Change the policy, or see what a change would hit
///
/// What is not named stays. A change is in force at once, on every node.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery org policy set acme --max-inactive-days 90 --dry-run
  chancery org policy set acme --max-lifetime 90d --default-lifetime 30d
  chancery org policy set acme --network 10.0.0.0/8 --network 2001:db8::/32
  chancery org policy set acme --any-network --rotation-due-days 0")]
pub(crate) struct Args {
    /// The organization's name or id; that of --org when absent
    #[arg(value_name = "ORG", value_parser = not_a_secret)]
    organization: Option<String>,
    /// The longest that a token may go on from now, such as 90d; off for none
    #[arg(long, value_name = "DURATION", value_parser = lifetime)]
    max_lifetime: Option<String>,
    /// What a token lasts that does not say, such as 30d; off for none
    #[arg(long, value_name = "DURATION", value_parser = lifetime)]
    default_lifetime: Option<String>,
    /// Whether tokens have to have an expiry
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    expiry_required: Option<bool>,
    /// Revoke tokens that are unused for more days than this, 1 to 365; 0 is off
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(0..=365))]
    max_inactive_days: Option<u32>,
    /// From where tokens may be used; may be repeated, and replaces those before
    #[arg(long = "network", value_name = "CIDR")]
    networks: Vec<String>,
    /// Tokens may be used from anywhere
    #[arg(long, conflicts_with = "networks")]
    any_network: bool,
    /// The most tokens that may be minted within an hour; 0 is off
    #[arg(long, value_name = "COUNT")]
    max_mints_per_hour: Option<u32>,
    /// The most tokens that may live at a time; 0 is off
    #[arg(long, value_name = "COUNT")]
    max_live_tokens: Option<u32>,
    /// So many days after a secret was made its rotation is due, 1 to 3650; 0 is off
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(0..=3650))]
    rotation_due_days: Option<u32>,
    /// Whether tokens whose rotation is overdue are refused
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    rotation_enforced: Option<bool>,
    /// A role that may be given to tokens; may be repeated, and replaces those before
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// Every role may be given to tokens
    #[arg(long, conflicts_with = "roles")]
    any_role: bool,
    /// What a report does that proves that a token's secret is out: revoke it with everything that it minted, revoke it
    /// alone, or flag it
    #[arg(long, value_name = "RESPONSE", value_parser = ["cascade", "revoke", "flag"])]
    leak_response: Option<String>,
    /// Only show what it would come to and hit
    #[arg(long)]
    dry_run: bool,
    /// Only if the organization is still at this revision
    #[arg(long, value_name = "REVISION")]
    if_revision: Option<u64>,
}

/// A lifetime as a flag; the API calls none the empty text.
fn lifetime(text: &str) -> Result<String, String> {
    if text.is_empty() || text == "off" {
        return Ok(String::new());
    }
    let is_duration = parse_duration(text).is_some();
    is_duration
        .then(|| text.trim().to_owned())
        .ok_or_else(|| "a duration such as 90d or 12h, or off, is needed".to_owned())
}

/// A list that replaces the one before, if anything was said of it.
fn list(named: Vec<String>, any: bool) -> Option<Vec<String>> {
    (any || !named.is_empty()).then_some(named)
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let client = context.client()?;
    let organization = match args.organization {
        Some(organization) => organization,
        None => context.organization(&client).await?,
    };
    let body = OrganizationPolicyChange {
        max_lifetime: args.max_lifetime,
        default_lifetime: args.default_lifetime,
        expiry_required: args.expiry_required,
        max_inactive_days: args.max_inactive_days,
        allowed_networks: list(args.networks, args.any_network),
        max_mints_per_hour: args.max_mints_per_hour,
        max_live_tokens: args.max_live_tokens,
        rotation_due_days: args.rotation_due_days,
        rotation_enforced: args.rotation_enforced,
        allowed_roles: list(args.roles, args.any_role),
        leak_response: args.leak_response,
        dry_run: args.dry_run,
    };
    let path = ["v1", "organizations", &organization, "policy"];
    let answer = client.change::<OrganizationPolicy>(Method::PATCH, &path, &body, args.if_revision).await?;
    context.output.details(&answer)?;
    if args.dry_run {
        context.output.hint("Nothing was changed. Leave --dry-run out to change it.");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_and_lists_are_read_as_they_are_typed() {
        assert_eq!(lifetime("90d"), Ok("90d".to_owned()));
        assert_eq!((lifetime("off"), lifetime("")), (Ok(String::new()), Ok(String::new())));
        assert!(lifetime("90").is_err() && lifetime("never").is_err());
        assert_eq!(list(Vec::new(), false), None);
        assert_eq!(list(Vec::new(), true), Some(Vec::new()));
    }
}
