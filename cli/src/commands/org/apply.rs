use super::current::{Current, Place, Standing};
use super::file::OrganizationFile;
use super::plan::{Ends, Step, plan};
use crate::client::Client;
use crate::commands::{Context, prompt};
use crate::failure::Failure;
use crate::output::escape::plain;
use crate::output::{self, Format};
use api::wire::{
    Delete, Departure, Invitation, Member, NewInvitation, NewProject, NewRole, Organization,
    OrganizationPolicy, Project, RemoveMember, Rename, RetiredRole, Role, RoleChange, SetMemberRole,
};
use reqwest::Method;
use serde::Serialize;
use std::path::PathBuf;

/// Make an organization what a file says
///
/// The steps from what is to the file are shown first. On a terminal they have to be confirmed; where nobody can be
/// asked, --force is needed. Each is done only to what was shown: where somebody has changed it meanwhile, it ends
/// there. A section that the file does not have is not looked at. Projects and roles that it does not name stay, unless
/// --delete is given; members and invitations stay, unless --remove-members is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery org apply --file acme.toml --dry-run
  chancery org apply --file acme.toml --delete --remove-members --force")]
pub(crate) struct Args {
    /// The file, as `org export` prints it
    // `-f` is the file here and force elsewhere, as in other tools that apply files.
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Only show the steps
    #[arg(long)]
    dry_run: bool,
    /// Delete projects, with their tokens, and retire roles that the file does not name
    #[arg(long)]
    delete: bool,
    /// Remove members, whose tokens stay, and withdraw invitations that the file does not name
    #[arg(long)]
    remove_members: bool,
    /// Ask for no confirmation
    #[arg(long)]
    force: bool,
}

/// A step that was taken.
#[derive(Serialize)]
struct Taken<'a> {
    #[serde(flatten)]
    step: &'a Step,
    /// What an invitation is accepted with, where it does not go by mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
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
    let plan = plan(&current, &file, Ends { others: args.delete, members: args.remove_members })?;
    for (kept, flag) in plan.kept {
        context.output.remark(&format!("{kept} is not in the file and stays; {flag}"));
    }
    if args.dry_run {
        return print(context, &plan.steps);
    }
    if !args.force && !plan.steps.is_empty() {
        confirm(context, &plan.steps)?;
    }
    let mut applying = Applying { client: &client, revision: current.organization.revision, current, file };
    let mut taken = Vec::new();
    for step in &plan.steps {
        let secret = applying.take(step).await.map_err(|failure| failure.about(&step.to_string()))?;
        if context.output.format() != Format::Json {
            output::print(&format!("{}\n", plain(&step.to_string())))?;
            if let Some(secret) = &secret {
                output::print(&format!("  {secret}\n"))?;
            }
        }
        taken.push(Taken { step, secret });
    }
    if taken.iter().any(|one| one.secret.is_some()) {
        context.output.remark("Give each text to the invited person alone; it is not shown again.");
    }
    match context.output.format() {
        Format::Json => {
            context.output.json(&serde_json::to_string(&taken).expect("steps can be written as JSON"))
        }
        Format::Table | Format::Id | Format::Secret => Ok(()),
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

/// Takes steps, each on the condition that what it changes is as it was shown.
struct Applying<'a> {
    client: &'a Client,
    current: Current,
    file: OrganizationFile,
    /// The organization's, which its own steps move on.
    revision: u64,
}

impl Applying<'_> {
    /// Takes a step; gives the text of an invitation that whoever applies the file is told.
    async fn take(&mut self, step: &Step) -> Result<Option<String>, Failure> {
        match step {
            Step::DescribeOrganization { after, .. } => {
                let (body, revision) = (display_name(after.as_deref()), Some(self.revision));
                let path = self.path(&[]);
                let answer = self.change::<Organization>(Method::PATCH, &path, &body, revision).await?;
                self.revision = answer.revision;
            }
            Step::SetPolicy { .. } => {
                let body = self.file.policy.as_ref().expect("the step is about the file's policy").change();
                let (path, revision) = (self.path(&["policy"]), Some(self.revision));
                let answer = self.change::<OrganizationPolicy>(Method::PATCH, &path, &body, revision).await?;
                self.revision = answer.revision;
            }
            Step::DefineRole { .. } | Step::ChangeRole { .. } | Step::RetireRole { .. } => {
                self.take_role(step).await?;
            }
            Step::CreateProject { .. } | Step::DescribeProject { .. } | Step::DeleteProject { .. } => {
                self.take_project(step).await?;
            }
            Step::SetMemberRole { .. } | Step::RemoveMember { .. } => self.take_member(step).await?,
            Step::WithdrawInvitation { email, project, .. } => {
                if let Some(Standing::Invited(found)) = self.standing(email, project.as_deref()) {
                    let (id, revision) = (found.id.to_string(), found.revision);
                    let path = self.path(&["invitations", &id]);
                    self.client.end::<Invitation>(&texts(&path), &[], Some(revision)).await?;
                }
            }
            Step::InviteMember { email, project, role } => {
                let (email, role, project) = (email.clone(), role.clone(), project.clone());
                let body = NewInvitation { email, role, project, expires_in: None };
                let path = self.path(&["invitations"]);
                return Ok(self.change::<Invitation>(Method::POST, &path, &body, None).await?.secret);
            }
        }
        Ok(None)
    }

    async fn take_role(&self, step: &Step) -> Result<(), Failure> {
        let revision = |role: &String| self.current.roles.get(role).map(|found| found.revision);
        match step {
            Step::DefineRole { role, level, permissions } => {
                let permissions = permissions.iter().cloned().collect();
                let body = NewRole { name: role.clone(), level: *level, permissions };
                self.change::<Role>(Method::POST, &self.path(&["roles"]), &body, None).await.map(drop)
            }
            Step::ChangeRole { role, .. } => {
                let wanted = self.file.roles.as_ref().and_then(|roles| roles.get(role));
                let wanted = wanted.expect("the step is about a role of the file");
                let permissions = Some(wanted.permissions.iter().cloned().collect());
                let body = RoleChange { permissions, ..RoleChange::default() };
                self.change::<Role>(Method::PATCH, &self.path(&["roles", role]), &body, revision(role))
                    .await
                    .map(drop)
            }
            Step::RetireRole { role } => {
                let path = self.path(&["roles", role]);
                self.client.end::<RetiredRole>(&texts(&path), &[], revision(role)).await.map(drop)
            }
            _ => unreachable!("only steps about roles come here"),
        }
    }

    async fn take_project(&self, step: &Step) -> Result<(), Failure> {
        let found = |name: &String| {
            let project = self.current.projects.get(name).expect("a step is about a project that was found");
            (self.path(&["projects", &project.id.to_string()]), Some(project.revision))
        };
        match step {
            Step::CreateProject { project, display_name } => {
                let body = NewProject { name: project.clone(), display_name: display_name.clone() };
                self.change::<Project>(Method::POST, &self.path(&["projects"]), &body, None).await.map(drop)
            }
            Step::DescribeProject { project, after, .. } => {
                let (path, revision) = found(project);
                self.change::<Project>(Method::PATCH, &path, &display_name(after.as_deref()), revision)
                    .await
                    .map(drop)
            }
            Step::DeleteProject { project } => {
                let (path, revision) = found(project);
                let note = Some("not in the file that was applied".to_owned());
                let body = Delete { confirm: project.clone(), note };
                self.change::<Project>(Method::DELETE, &path, &body, revision).await.map(drop)
            }
            _ => unreachable!("only steps about projects come here"),
        }
    }

    async fn take_member(&self, step: &Step) -> Result<(), Failure> {
        let found = |member: &String, project: &Place| {
            let revision = match self.standing(member, project.as_deref()) {
                Some(Standing::Member(found)) => Some(found.revision),
                Some(Standing::Invited(_)) | None => None,
            };
            (self.current.user_id(member).expect("a step is about a member that was found"), revision)
        };
        match step {
            Step::SetMemberRole { member, project, after, .. } => {
                let (id, revision) = found(member, project);
                let body = SetMemberRole { role: after.clone(), project: project.clone() };
                self.change::<Member>(Method::PATCH, &self.path(&["members", &id]), &body, revision)
                    .await
                    .map(drop)
            }
            Step::RemoveMember { member, project, .. } => {
                let (id, revision) = found(member, project);
                let body = RemoveMember { project: project.clone(), ..RemoveMember::default() };
                let path = self.path(&["members", &id, "remove"]);
                self.change::<Departure>(Method::POST, &path, &body, revision).await.map(drop)
            }
            _ => unreachable!("only steps about members come here"),
        }
    }

    fn standing(&self, name: &str, place: Option<&str>) -> Option<&Standing> {
        self.current.people_at(place).find(|(key, _)| *key == name).map(|(_, standing)| standing)
    }

    fn path(&self, rest: &[&str]) -> Vec<String> {
        let id = self.current.organization.id.to_string();
        ["v1", "organizations", &id].iter().chain(rest).map(|part| (*part).to_owned()).collect()
    }

    async fn change<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        path: &[String],
        body: &impl Serialize,
        revision: Option<u64>,
    ) -> Result<T, Failure> {
        Ok(self.client.change::<T>(method, &texts(path), body, revision).await?.value)
    }
}

fn texts(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

fn display_name(after: Option<&str>) -> Rename {
    // The empty text removes it.
    Rename { name: None, display_name: Some(after.unwrap_or_default().to_owned()) }
}
