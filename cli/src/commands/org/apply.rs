use super::export::Current;
use super::file::{OrganizationFile, Step};
use crate::client::Client;
use crate::commands::{Context, prompt};
use crate::failure::Failure;
use crate::output::escape::plain;
use crate::output::{self, Format};
use api::wire::{Delete, NewProject, Organization, Project, Rename};
use reqwest::Method;
use std::path::PathBuf;

/// Make an organization what a file says
///
/// The steps from what is to the file are shown first. On a terminal they have to be confirmed; where nobody can be
/// asked, --force is needed. Each is done only to what was shown: where somebody has changed it meanwhile, it ends
/// there. Projects that the file does not name stay, unless --delete is given.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery org apply --file acme.toml --dry-run
  chancery org apply --file acme.toml --delete --force")]
pub(crate) struct Args {
    /// The file, as `org export` prints it
    // `-f` is the file here and force elsewhere, as in other tools that apply files.
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Only show the steps
    #[arg(long)]
    dry_run: bool,
    /// Delete projects that the file does not name, with their tokens
    #[arg(long)]
    delete: bool,
    /// Ask for no confirmation
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    if context.options.idempotency_key.is_some() {
        let text =
            "--idempotency-key repeats one change, and a file may come to several; apply it again instead";
        return Err(Failure::Usage(text.to_owned()));
    }
    let shown = args.file.display().to_string();
    let text = std::fs::read_to_string(&args.file)
        .map_err(|error| Failure::Usage(format!("cannot read {shown}: {error}")))?;
    let file = OrganizationFile::read(&text, &shown)?;
    let client = context.client()?;
    let current = Current::read(&client, &file.organization.name).await?;
    let (steps, kept) = file.steps_from(&current.file(), args.delete);
    for project in kept {
        context
            .output
            .remark(&format!("project {project} is not in the file and stays; --delete deletes it"));
    }
    if args.dry_run {
        return print(context, &steps);
    }
    if !args.force && !steps.is_empty() {
        confirm(context, &steps)?;
    }
    for step in &steps {
        apply(&client, &current, step).await.map_err(|failure| failure.about(&step.to_string()))?;
        if context.output.format() == Format::Table {
            output::print(&format!("{}\n", plain(&step.to_string())))?;
        }
    }
    match context.output.format() {
        Format::Table => Ok(()),
        Format::Json | Format::Id | Format::Secret => print(context, &steps),
    }
}

fn print(context: &Context, steps: &[Step]) -> Result<(), Failure> {
    match context.output.format() {
        Format::Json => {
            context.output.json(&serde_json::to_string(steps).expect("steps can be written as JSON"))
        }
        Format::Table | Format::Id | Format::Secret => {
            let lines: Vec<String> = steps.iter().map(|step| plain(&step.to_string())).collect();
            output::print(&output::lines(&lines))
        }
    }
}

fn confirm(context: &Context, steps: &[Step]) -> Result<(), Failure> {
    if !context.interactive {
        let text = "nobody is there to confirm the steps; look at them with --dry-run, and give --force to take them";
        return Err(Failure::Usage(text.to_owned()));
    }
    for step in steps {
        output::ask(&step.to_string());
    }
    let question = if steps.len() == 1 {
        "Take this step?".to_owned()
    } else {
        format!("Take these {} steps?", steps.len())
    };
    if prompt::confirm(&question)? { Ok(()) } else { Err(Failure::Cancelled) }
}

/// Takes one step, on the condition that what it changes is as it was shown.
async fn apply(client: &Client, current: &Current, step: &Step) -> Result<(), Failure> {
    let id = current.organization.id.to_string();
    let organization = ["v1", "organizations", &id];
    let project = |name: &str| current.projects.get(name).expect("a step is about a project that was found");
    let display_name = |after: &Option<String>| Rename {
        name: None,
        // The empty text removes it.
        display_name: Some(after.clone().unwrap_or_default()),
    };
    match step {
        Step::DescribeOrganization { after, .. } => {
            let revision = Some(current.organization.revision);
            let body = display_name(after);
            client.change::<Organization>(Method::PATCH, &organization, &body, revision).await.map(drop)
        }
        Step::CreateProject { project, display_name } => {
            let path = [&organization[..], &["projects"]].concat();
            let body = NewProject { name: project.clone(), display_name: display_name.clone() };
            client.change::<Project>(Method::POST, &path, &body, None).await.map(drop)
        }
        Step::DescribeProject { project: name, after, .. } => {
            let found = project(name);
            let id = found.id.to_string();
            let path = [&organization[..], &["projects", &id]].concat();
            let (body, revision) = (display_name(after), Some(found.revision));
            client.change::<Project>(Method::PATCH, &path, &body, revision).await.map(drop)
        }
        Step::DeleteProject { project: name } => {
            let found = project(name);
            let id = found.id.to_string();
            let path = [&organization[..], &["projects", &id]].concat();
            let body =
                Delete { confirm: name.clone(), note: Some("not in the file that was applied".to_owned()) };
            client.change::<Project>(Method::DELETE, &path, &body, Some(found.revision)).await.map(drop)
        }
    }
}
