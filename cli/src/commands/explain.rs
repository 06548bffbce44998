use super::token::select::{self, Among};
use super::{Context, not_a_secret};
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, rows, table};
use api::wire::{Draft, Explain, Explanation, Scope};
use domain::verify::Code;

/// Ask whether a token, or a draft of one, would be allowed to do something, and why
///
/// Which grant allows it, or what is missing. About a token by its id, name or beginning, or about a draft: the scope
/// (--instance, --org, --org and --project) and --grant. The exit code is 0 if it would be allowed and 3 if not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery explain ci --org acme --permission deployments:create --at acme/web
  chancery explain --org acme --grant member --grant project-writer@web --permission deployments:create --at acme/web
  chancery explain ci --org acme --permission tokens:mint --address 203.0.113.7 --json")]
pub(crate) struct Args {
    /// A token: its id, its name, or how its secret begins (at most 12 characters)
    #[arg(value_parser = not_a_secret, required_unless_present = "grants", conflicts_with_all = ["grants", "instance"])]
    token: Option<String>,
    /// What a draft would hold: ROLE, or ROLE@PROJECT; may be repeated
    #[arg(long = "grant", alias = "role", value_name = "GRANT")]
    grants: Vec<String>,
    /// A draft of a token of the whole instance
    #[arg(long)]
    instance: bool,
    /// What it would do
    #[arg(long, value_name = "NOUN:VERB")]
    permission: String,
    /// Where: ORG, or ORG/PROJECT; its own scope when absent
    #[arg(long, value_name = "PLACE", value_parser = not_a_secret)]
    at: Option<String>,
    /// From which network address; networks are left aside when absent
    #[arg(long)]
    address: Option<std::net::IpAddr>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    context.output.without_secret()?;
    let client = context.client()?;
    let (id, draft) = match &args.token {
        Some(token) => (Some(select::id(context, &client, token, Among::All).await?), None),
        None if args.instance => {
            let scope = Scope { instance: Some(true), ..Scope::default() };
            (None, Some(Draft { scope, grants: args.grants }))
        }
        None => {
            let organization = Some(context.organization(&client).await?);
            let scope = Scope { organization, project: context.options.project(), instance: None };
            (None, Some(Draft { scope, grants: args.grants }))
        }
    };
    let (organization, project) = match args.at.as_deref().map(|at| at.split_once('/').ok_or(at)) {
        None => (None, None),
        Some(Err(organization)) => (Some(organization.to_owned()), None),
        Some(Ok((organization, project))) => (Some(organization.to_owned()), Some(project.to_owned())),
    };
    let address = args.address.map(|address| address.to_string());
    let body = Explain { id, draft, permission: args.permission, organization, project, address };
    let answer = client.ask::<Explanation>(&["v1", "explain"], &body).await?;
    let output = &context.output;
    match output.format() {
        Format::Table | Format::Secret => output::print(&table::pairs(&lines(&answer.value)))?,
        Format::Json => output.json(answer.json.get())?,
        Format::Id => {
            let first = answer.value.chain.first().and_then(|link| link.id);
            output::print(&first.map(|id| format!("{id}\n")).unwrap_or_default())?;
        }
    }
    Ok(if answer.value.allowed { Exit::Success } else { Exit::Refused })
}

fn lines(found: &Explanation) -> Vec<(&'static str, String)> {
    let code = Code::ALL.iter().find(|code| code.as_str() == found.code);
    let mut lines = vec![
        ("ALLOWED", if found.allowed { "yes" } else { "no" }.to_owned()),
        ("CODE", found.code.clone()),
        ("MEANING", code.map(|code| code.explanation().to_owned()).unwrap_or_default()),
        ("PERMISSION", found.permission.clone()),
        ("AT", rows::scope(&found.place)),
    ];
    for (index, link) in found.chain.iter().enumerate() {
        let of = match link.id {
            Some(id) if index > 0 => format!(" in {id}, which it was narrowed from"),
            _ => String::new(),
        };
        let key = if link.allows { "ALLOWED BY" } else { "MISSING" };
        if !link.allows {
            lines.push((key, format!("{}{of}", found.missing.join(", "))));
        } else if link.by.is_empty() {
            lines.push((key, format!("a grant that you may not read{of}")));
        }
        lines.extend(link.by.iter().map(|by| (key, format!("{} ({}){of}", by.grant, by.permission))));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_is_told_in_words() {
        let json = serde_json::json!({
            "allowed": false, "code": "forbidden", "permission": "tokens:mint",
            "place": {"organization": "acme", "project": "web"}, "missing": ["tokens:mint at project web of acme"],
            "chain": [
                {"id": uuid::Uuid::from_u128(1), "allows": true, "by": [
                    {"grant": "admin", "permission": "tokens:*"}, {"grant": "member", "permission": "tokens:mint"},
                ]},
                {"id": uuid::Uuid::from_u128(2), "allows": true, "by": []},
                {"id": uuid::Uuid::from_u128(3), "allows": false, "by": []},
            ],
        });
        let found: Explanation = serde_json::from_value(json).unwrap();
        insta::assert_snapshot!(table::pairs(&lines(&found)), @r"
        ALLOWED     no
        CODE        forbidden
        MEANING     the token lacks the permission
        PERMISSION  tokens:mint
        AT          acme/web
        ALLOWED BY  admin (tokens:*)
        ALLOWED BY  member (tokens:mint)
        ALLOWED BY  a grant that you may not read in 00000000-0000-0000-0000-000000000002, which it was narrowed from
        MISSING     tokens:mint at project web of acme in 00000000-0000-0000-0000-000000000003, which it was narrowed from
        ");
    }
}
