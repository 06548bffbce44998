use super::subject::Subject;
use crate::commands::Context;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, rows, table, times};
use api::wire::{Client, Verdict, Verify};
use domain::verify::Code;
use secrecy::ExposeSecret as _;

/// Ask whether a token may do something
///
/// The token in question comes from standard input (--token-stdin), a file (--subject-file) or
/// CHANCERY_SUBJECT_TOKEN, never from an argument; with none of them, standard input is read, or on a terminal it is
/// asked for. The exit code is 0 if the token may and 3 if not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery token verify --token-stdin < token
  chancery token verify --subject-file token --org acme --project web --permission deployments:create
  chancery token verify --token-stdin --client-address 203.0.113.7 --json < token")]
pub(crate) struct Args {
    #[command(flatten)]
    subject: Subject,
    /// What it would do; without this, whether it is in force at all
    #[arg(long, value_name = "NOUN:VERB")]
    permission: Option<String>,
    /// What it would do it to, in your words, for the record
    #[arg(long, value_name = "TEXT")]
    resource: Option<String>,
    /// The network address that it was presented from
    #[arg(long, value_name = "ADDRESS")]
    client_address: Option<std::net::IpAddr>,
    /// The user agent that it was presented by
    #[arg(long, value_name = "TEXT")]
    client_agent: Option<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let client = context.client()?;
    let address = args.client_address.map(|address| address.to_string());
    let has_client = address.is_some() || args.client_agent.is_some();
    let body = Verify {
        token: args.subject.read(context)?.expose_secret().to_owned(),
        permission: args.permission,
        organization: context.options.organization(),
        project: context.options.project(),
        resource: args.resource,
        client: has_client.then_some(Client { address, agent: args.client_agent }),
    };
    let answer = client.ask::<Verdict>(&["v1", "verify"], &body).await?;
    let output = &context.output;
    match output.format() {
        Format::Table | Format::Secret => output::print(&table::pairs(&lines(&answer.value, times::now())))?,
        Format::Json => output.json(answer.json.get())?,
        Format::Id => {
            let ids = answer.value.token.iter().map(|token| format!("{}\n", token.id));
            output::print(&ids.collect::<String>())?;
        }
    }
    Ok(if answer.value.valid { Exit::Success } else { Exit::Refused })
}

fn lines(verdict: &Verdict, now: domain::time::Timestamp) -> Vec<(&'static str, String)> {
    let code = Code::ALL.iter().find(|code| code.as_str() == verdict.code);
    let mut lines = vec![
        ("VALID", if verdict.valid { "yes" } else { "no" }.to_owned()),
        ("CODE", verdict.code.clone()),
        ("MEANING", code.map(|code| code.explanation().to_owned()).unwrap_or_default()),
    ];
    if let Some(token) = &verdict.token {
        let never = || "never".to_owned();
        lines.extend([
            ("ID", token.id.to_string()),
            ("NAME", token.name.clone()),
            ("PREFIX", token.prefix.clone()),
            ("SCOPE", rows::scope(&token.scope)),
            ("GRANTS", token.grants.join(", ")),
            ("PERMISSIONS", token.permissions.join(", ")),
            ("EXPIRES", token.expires_at.as_deref().map_or_else(never, |time| times::exact(time, now))),
            ("CREATED BY", token.created_by.clone()),
            (
                "METADATA",
                Some(token.metadata.get()).filter(|json| *json != "{}").unwrap_or_default().to_owned(),
            ),
        ]);
    }
    lines.push(("POSITION", verdict.position.map(|position| position.to_string()).unwrap_or_default()));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_told_in_words() {
        let verdict =
            serde_json::from_str::<Verdict>(r#"{"valid": false, "code": "expired", "position": 7}"#);
        let now = domain::time::Timestamp::parse("2026-11-22T12:00:00Z").unwrap();
        insta::assert_snapshot!(table::pairs(&lines(&verdict.unwrap(), now)), @r"
        VALID     no
        CODE      expired
        MEANING   the token has expired
        POSITION  7
        ");
    }
}
