use super::select::{self, Among};
use crate::client::Answer;
use crate::commands::{Context, not_a_secret};
use crate::failure::Failure;
use crate::output::escape::escape;
use crate::output::{self, Format, rows, times};
use api::wire::{Lineage, LineageNode, Status};
use domain::time::Timestamp;
use std::collections::HashMap;
use uuid::Uuid;

/// Show who minted a token, and what it minted
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery token lineage ci --org acme
  chancery token lineage 0193506a-6f0e-7c1a-8a39-0d5be2c9a1f4 --depth 2 --json")]
pub(crate) struct Args {
    /// Its id, its name, or how its secret begins (at most 12 characters)
    #[arg(value_parser = not_a_secret)]
    token: String,
    /// So far down; 8 when absent
    #[arg(long, value_name = "COUNT", value_parser = crate::commands::count)]
    depth: Option<usize>,
    /// At most so many above, and so many below; 100 when absent
    #[arg(long, value_name = "COUNT", value_parser = crate::commands::count)]
    limit: Option<usize>,
}

pub(super) async fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let client = context.client()?;
    let id = select::id(context, &client, &args.token, Among::All).await?;
    let query = [("depth", args.depth), ("limit", args.limit)];
    let query: Vec<(&str, String)> =
        query.into_iter().filter_map(|(name, value)| Some((name, value?.to_string()))).collect();
    let found: Answer<Lineage> = client.get(&["v1", "tokens", &id, "lineage"], &query).await?;
    let lineage = &found.value;
    match context.output.format() {
        Format::Json => context.output.json(found.json.get())?,
        Format::Id => {
            let all = [&lineage.token].into_iter().chain(&lineage.descendants);
            output::print(&output::lines(&all.map(|node| node.id.to_string()).collect::<Vec<_>>()))?;
        }
        Format::Table | Format::Secret => output::print(&draw(lineage, times::now()))?,
    }
    if lineage.cut {
        context.output.remark(
            "There are more than are shown; ask with a larger --depth or --limit, or for one of these.",
        );
    }
    Ok(())
}

/// The tree, from the topmost token that is known down.
fn draw(lineage: &Lineage, now: Timestamp) -> String {
    let mut text = String::new();
    let mut indent = 0;
    for node in lineage.ancestors.iter().rev() {
        line(&mut text, &branch(indent), node, false, now);
        indent += 1;
    }
    line(&mut text, &branch(indent), &lineage.token, !lineage.ancestors.is_empty(), now);
    let mut children: HashMap<Uuid, Vec<&LineageNode>> = HashMap::new();
    for node in &lineage.descendants {
        children.entry(node.parent.unwrap_or_default()).or_default().push(node);
    }
    // The way down without recursion: a lineage may be long.
    let begin = "   ".repeat(indent);
    let mut waiting: Vec<(&LineageNode, String, bool)> = Vec::new();
    let push = |waiting: &mut Vec<_>, of: Uuid, prefix: &str| {
        let below = children.get(&of).map_or(&[][..], Vec::as_slice);
        let last = below.len().saturating_sub(1);
        waiting.extend(
            below.iter().enumerate().rev().map(|(index, node)| (*node, prefix.to_owned(), index == last)),
        );
    };
    push(&mut waiting, lineage.token.id, &begin);
    while let Some((node, prefix, is_last)) = waiting.pop() {
        let (own, below) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        line(&mut text, &format!("{prefix}{own}"), node, false, now);
        push(&mut waiting, node.id, &format!("{prefix}{below}"));
    }
    text
}

fn branch(indent: usize) -> String {
    indent.checked_sub(1).map(|above| format!("{}└─ ", "   ".repeat(above))).unwrap_or_default()
}

fn line(text: &mut String, prefix: &str, node: &LineageNode, is_subject: bool, now: Timestamp) {
    text.push_str(prefix);
    text.push_str(&words(node, is_subject, now));
    text.push('\n');
}

fn words(node: &LineageNode, is_subject: bool, now: Timestamp) -> String {
    if node.hidden {
        return format!("{}  (hidden)", node.id);
    }
    let status = match (node.status, &node.revoked) {
        (Some(Status::Revoked), Some(revoked)) => {
            let with = revoked.cause.map(|cause| format!(" with {cause}")).unwrap_or_default();
            format!("revoked {}{with}", times::ago(&revoked.at, now))
        }
        (Some(Status::Revoked), None) => "revoked".to_owned(),
        (Some(Status::Expired), _) => "expired".to_owned(),
        _ => "live".to_owned(),
    };
    let used = node
        .last_used_at
        .as_deref()
        .map_or_else(|| "never used".to_owned(), |time| format!("used {}", times::ago(time, now)));
    let mut words = vec![
        escape(node.name.as_deref().unwrap_or_default()).into_owned(),
        node.id.to_string(),
        node.scope.as_ref().map(rows::scope).unwrap_or_default(),
        status,
        used,
    ];
    words.extend(node.narrowed.then(|| "narrowed".to_owned()));
    words.extend(is_subject.then(|| "(this one)".to_owned()));
    words.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::wire::{Revocation, Scope};

    fn node(id: u128, parent: Option<u128>, depth: i64, name: &str) -> LineageNode {
        LineageNode {
            id: Uuid::from_u128(id),
            depth,
            parent: parent.map(Uuid::from_u128),
            name: Some(name.to_owned()),
            scope: Some(Scope { organization: Some("acme".to_owned()), ..Scope::default() }),
            status: Some(Status::Live),
            ..LineageNode::default()
        }
    }

    #[test]
    fn a_lineage_is_drawn_as_a_tree() {
        let revoked = LineageNode {
            status: Some(Status::Revoked),
            revoked: Some(Revocation {
                at: "2026-11-22T11:00:00.000000Z".to_owned(),
                by: "admin-token".to_owned(),
                reason: "leaked".to_owned(),
                note: None,
                cause: Some(Uuid::from_u128(5)),
            }),
            ..node(6, Some(5), 2, "job\u{1b}[2J")
        };
        let hidden =
            LineageNode { id: Uuid::from_u128(1), hidden: true, depth: -2, ..LineageNode::default() };
        let lineage = Lineage {
            token: LineageNode {
                last_used_at: Some("2026-11-19T12:00:00.000000Z".to_owned()),
                ..node(3, Some(2), 0, "ci")
            },
            ancestors: vec![node(2, Some(1), -1, "boss"), hidden],
            descendants: vec![
                node(4, Some(3), 1, "a"),
                LineageNode { narrowed: true, ..node(5, Some(3), 1, "b") },
                node(7, Some(4), 2, "c"),
                revoked,
            ],
            cut: false,
        };
        let now = Timestamp::parse("2026-11-22T12:00:00Z").unwrap();
        insta::assert_snapshot!(draw(&lineage, now), @r"
        00000000-0000-0000-0000-000000000001  (hidden)
        └─ boss  00000000-0000-0000-0000-000000000002  acme  live  never used
           └─ ci  00000000-0000-0000-0000-000000000003  acme  live  used 3 days ago  (this one)
              ├─ a  00000000-0000-0000-0000-000000000004  acme  live  never used
              │  └─ c  00000000-0000-0000-0000-000000000007  acme  live  never used
              └─ b  00000000-0000-0000-0000-000000000005  acme  live  never used  narrowed
                 └─ job\u{1b}[2J  00000000-0000-0000-0000-000000000006  acme  revoked 60 minutes ago with 00000000-0000-0000-0000-000000000005  never used
        ");
    }
}
