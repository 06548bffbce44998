use super::{Moment, heading, scope_query};
use crate::commands::Context;
use crate::failure::Failure;
use crate::output::table::{Tone, columns, pairs};
use crate::output::{Format, lines, print, rows, times};
use api::wire::{Answers, AsOf, PastMember, Policy};
use clap::ValueEnum;

/// What is listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum List {
    Organizations,
    Policies,
    Projects,
    Members,
    Roles,
    #[default]
    Tokens,
}

/// List what there was at a moment
///
/// At --org and --project or, without them, at the token's own scope. An organization is named as it is called now.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery audit as-of tokens --org acme --at 2026-11-01T00:00:00Z
  chancery audit as-of members --org acme --at version:4711
  chancery audit as-of policies --org acme --at 2026-11-01T00:00:00Z
  chancery audit as-of organizations --at position:1000000 --json")]
pub(crate) struct Args {
    #[arg(value_enum, default_value_t)]
    list: List,
    /// A time, position:LINES or version:EVENTS; now when absent
    #[arg(long, value_name = "MOMENT")]
    at: Option<Moment>,
    /// Tokens that had ended as well
    #[arg(long)]
    ended: bool,
    /// At most so many on a page, up to 1,000
    #[arg(long, value_name = "COUNT", value_parser = crate::commands::count)]
    limit: Option<usize>,
    /// The next_cursor of the page before, without --at
    #[arg(long, value_name = "TEXT", conflicts_with = "at")]
    cursor: Option<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let client = context.client()?;
    let mut query = scope_query(context);
    let list = args.list.to_possible_value().expect("every list has a name");
    query.push(("list", list.get_name().to_owned()));
    query.extend(args.at.map(Moment::into_query));
    query.extend(args.ended.then(|| ("ended", "true".to_owned())));
    query.extend(args.limit.map(|limit| ("limit", limit.to_string())));
    query.extend(args.cursor.map(|cursor| ("cursor", cursor)));
    let answer = client.get::<AsOf>(&["v1", "audit", "as-of"], &query).await?;
    let found = &answer.value;
    match context.output.format() {
        Format::Json => context.output.json(answer.json.get())?,
        Format::Id => print(&lines(&ids(found)))?,
        Format::Table | Format::Secret => print(&format!("{}{}", heading(&found.moment), table(found)))?,
    }
    if let Some(cursor) = &found.next_cursor {
        context.output.remark(&format!("There are more: --cursor {cursor}"));
    }
    Ok(())
}

fn ids(found: &AsOf) -> Vec<String> {
    fn of<T: rows::Row>(rows: Option<&Vec<T>>) -> impl Iterator<Item = String> {
        rows.into_iter().flatten().map(rows::Row::id)
    }
    let members = found.members.iter().flatten().map(|member| member.user.to_string());
    let all = of(found.organizations.as_ref()).chain(of(found.policies.as_ref()));
    let all = all.chain(of(found.projects.as_ref())).chain(members);
    all.chain(of(found.roles.as_ref())).chain(of(found.tokens.as_ref())).collect()
}

fn table(found: &AsOf) -> String {
    fn of<T: rows::Row>(found: &[T]) -> String {
        columns(T::COLUMNS, found.iter().map(|row| row.cells(times::now())).collect(), false)
    }
    let AsOf { organizations, policies, instance_policy, projects, members, roles, tokens, .. } = found;
    let others = [
        organizations.as_deref().map(of),
        instance_policy.as_ref().map(|policy| of_instance(policy) + "\n"),
        policies.as_deref().map(whole),
        projects.as_deref().map(of),
        roles.as_deref().map(of),
        tokens.as_deref().map(of),
        members.as_deref().map(table_of_members),
    ];
    others.into_iter().flatten().collect()
}

fn of_instance(policy: &Policy) -> String {
    let answers = match policy.answers {
        Answers::Committed => "committed",
        Answers::Bounded => "bounded",
    };
    let inactive = match policy.max_inactive_days {
        0 => "off".to_owned(),
        days => format!("{days} days"),
    };
    pairs(&[
        ("POLICY OF", "the instance".to_owned()),
        ("ANSWERS", answers.to_owned()),
        ("MAX STALENESS", format!("{} ms", policy.max_staleness_ms)),
        ("RECORD WITHIN", format!("{} ms", policy.record_within_ms)),
        ("MAX INACTIVE", inactive),
    ])
}

/// Each with all that it has, and an empty line between two.
fn whole<T: rows::Row>(found: &[T]) -> String {
    let each = found.iter().map(|row| pairs(&row.details(times::now())));
    each.collect::<Vec<_>>().join("\n")
}

/// Members, as they were.
pub(super) fn table_of_members(members: &[PastMember]) -> String {
    let row = |member: &PastMember| {
        let PastMember { user, scope, role, since } = member;
        let cells = [user.to_string(), rows::scope(scope), role.clone(), since.clone()];
        cells.map(|cell| (cell, Tone::Plain)).to_vec()
    };
    columns(&["USER", "SCOPE", "ROLE", "SINCE"], members.iter().map(row).collect(), false)
}
