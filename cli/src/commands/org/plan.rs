//! How an organization differs from a file, as steps that lead from the one to the other.

use super::current::{Current, Place, Standing};
use super::file::{Members, OrganizationFile, Policy};
use crate::failure::Failure;
use api::wire::Level;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

/// One change that makes what is more like the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub(super) enum Step {
    /// The organization is called something else.
    DescribeOrganization { before: Option<String>, after: Option<String> },
    /// A role of the organization's own begins.
    DefineRole { role: String, level: Level, permissions: BTreeSet<String> },
    /// A role may do something else.
    ChangeRole { role: String, add: BTreeSet<String>, remove: BTreeSet<String> },
    /// Tokens may be something else at most.
    SetPolicy { changes: Vec<PolicyChange> },
    /// A project begins.
    CreateProject { project: String, display_name: Option<String> },
    /// A project is called something else.
    DescribeProject { project: String, before: Option<String>, after: Option<String> },
    /// A member holds another role, or a first one in a project.
    SetMemberRole { member: String, project: Place, before: Option<String>, after: String },
    /// An invitation that says something else is taken back.
    WithdrawInvitation { email: String, project: Place, role: String },
    /// Somebody is asked to become a member.
    InviteMember { email: String, project: Place, role: String },
    /// A member leaves; the tokens that the person answers for stay.
    RemoveMember { member: String, project: Place, role: String },
    /// A role of the organization's own ends.
    RetireRole { role: String },
    /// A project ends with everything in it.
    DeleteProject { project: String },
}

/// One setting of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct PolicyChange {
    setting: String,
    before: Option<String>,
    after: Option<String>,
}

/// What may end because the file does not name it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ends {
    /// Projects and roles.
    pub(super) others: bool,
    /// Members and open invitations.
    pub(super) members: bool,
}

/// The steps, and what the file does not name and stays: each with the flag that ends it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) kept: Vec<(String, &'static str)>,
    /// Steps that are taken after all others.
    last: Vec<Step>,
}

/// The plan for making an organization what a file says.
pub(super) fn plan(is: &Current, file: &OrganizationFile, ends: Ends) -> Result<Plan, Failure> {
    let mut plan = Plan::default();
    let (before, after) = (&is.organization.display_name, &file.organization.display_name);
    if before != after {
        plan.steps.push(Step::DescribeOrganization { before: before.clone(), after: after.clone() });
    }
    plan.roles(is, file, ends)?;
    plan.policy(is, file)?;
    plan.projects(is, file, ends);
    plan.people(is, file, ends)?;
    plan.steps.append(&mut plan.last);
    Ok(plan)
}

impl Plan {
    fn roles(&mut self, is: &Current, file: &OrganizationFile, ends: Ends) -> Result<(), Failure> {
        let Some(wanted) = &file.roles else { return Ok(()) };
        for (name, role) in wanted {
            let Some(found) = is.roles.get(name) else {
                let (level, permissions) = (role.level, role.permissions.clone());
                self.steps.push(Step::DefineRole { role: name.clone(), level, permissions });
                continue;
            };
            if found.level != role.level {
                return Err(Failure::Usage(format!(
                    "roles.{name}: the level of a role cannot be changed; give the new one another name"
                )));
            }
            let permissions: BTreeSet<String> = found.permissions.iter().cloned().collect();
            if permissions != role.permissions {
                let add = role.permissions.difference(&permissions).cloned().collect();
                let remove = permissions.difference(&role.permissions).cloned().collect();
                self.steps.push(Step::ChangeRole { role: name.clone(), add, remove });
            }
        }
        for role in is.roles.keys().filter(|name| !wanted.contains_key(*name)) {
            if ends.others {
                self.last.push(Step::RetireRole { role: role.clone() });
            } else {
                self.kept.push((format!("role {role}"), "--delete retires it"));
            }
        }
        Ok(())
    }

    fn policy(&mut self, is: &Current, file: &OrganizationFile) -> Result<(), Failure> {
        let Some(wanted) = &file.policy else { return Ok(()) };
        let Some(found) = &is.policy else { return Err(unreadable("policy", "policies:read")) };
        let changes = Policy::of(found).differences(wanted);
        if !changes.is_empty() {
            let change = |(setting, before, after)| PolicyChange { setting, before, after };
            self.steps.push(Step::SetPolicy { changes: changes.into_iter().map(change).collect() });
        }
        Ok(())
    }

    fn projects(&mut self, is: &Current, file: &OrganizationFile, ends: Ends) {
        for (project, wanted) in &file.projects {
            let (project, after) = (project.clone(), wanted.display_name.clone());
            match is.projects.get(&project) {
                None => self.steps.push(Step::CreateProject { project, display_name: after }),
                Some(found) if found.display_name != after => {
                    let before = found.display_name.clone();
                    self.steps.push(Step::DescribeProject { project, before, after });
                }
                Some(_) => {}
            }
        }
        for project in is.projects.keys().filter(|name| !file.projects.contains_key(*name)) {
            if ends.others {
                self.last.push(Step::DeleteProject { project: project.clone() });
            } else {
                self.kept.push((format!("project {project}"), "--delete deletes it"));
            }
        }
    }

    fn people(&mut self, is: &Current, file: &OrganizationFile, ends: Ends) -> Result<(), Failure> {
        let Some(wanted) = &file.members else { return Ok(()) };
        if is.people.is_none() {
            return Err(unreadable("members", "members:read"));
        }
        self.place(is, None, wanted, ends)?;
        for (project, described) in &file.projects {
            self.place(is, Some(project), &described.members, ends)?;
        }
        // An organization keeps an owner, so a new one comes before the one before goes.
        self.steps.sort_by_key(|step| match step {
            Step::SetMemberRole { after, .. } => 1 + u8::from(after != "owner"),
            Step::WithdrawInvitation { .. } | Step::InviteMember { .. } => 3,
            _ => 0,
        });
        Ok(())
    }

    fn place(
        &mut self,
        is: &Current,
        project: Option<&str>,
        wanted: &Members,
        ends: Ends,
    ) -> Result<(), Failure> {
        let mut met = BTreeSet::new();
        for (key, standing) in is.people_at(project) {
            let id = standing.user_id();
            let named = [Some(key.clone()), id].into_iter().flatten().find(|name| wanted.contains_key(name));
            let (role, project) = (standing.role().to_owned(), project.map(str::to_owned));
            match (named, standing) {
                (Some(name), Standing::Member(_)) => {
                    let after = wanted[&name].clone();
                    if role != after {
                        let member = key.clone();
                        self.steps.push(Step::SetMemberRole { member, project, before: Some(role), after });
                    }
                    met.insert(name);
                }
                (Some(name), Standing::Invited(_)) => {
                    if role == wanted[&name] {
                        met.insert(name);
                    } else {
                        self.steps.push(Step::WithdrawInvitation { email: key.clone(), project, role });
                    }
                }
                (None, standing) => self.unnamed(key, project, role, standing, ends),
            }
        }
        for (email, role) in wanted.iter().filter(|(key, _)| !met.contains(*key)) {
            if !email.contains('@') && is.user_id(email).is_none() {
                return Err(Failure::Usage(format!(
                    "members: `{email}` is the id of no member; name who is to be invited by mail address"
                )));
            }
            let (email, role, project) = (email.clone(), role.clone(), project.map(str::to_owned));
            self.steps.push(if project.is_some() && is.user_id(&email).is_some() {
                Step::SetMemberRole { member: email, project, before: None, after: role }
            } else {
                Step::InviteMember { email, project, role }
            });
        }
        Ok(())
    }

    /// Somebody whom the file does not name.
    fn unnamed(&mut self, key: &str, project: Place, role: String, standing: &Standing, ends: Ends) {
        let key = key.to_owned();
        match (standing, ends.members) {
            (Standing::Member(_), true) => {
                self.last.push(Step::RemoveMember { member: key, project, role });
            }
            (Standing::Invited(_), true) => {
                self.last.push(Step::WithdrawInvitation { email: key, project, role });
            }
            (Standing::Member(_), false) => {
                self.kept.push((
                    format!("member {key}{} ({role})", at(project.as_deref())),
                    "--remove-members removes it",
                ));
            }
            (Standing::Invited(_), false) => {
                let said = format!("the invitation of {key}{} ({role})", at(project.as_deref()));
                self.kept.push((said, "--remove-members withdraws it"));
            }
        }
    }
}

fn unreadable(section: &str, permission: &str) -> Failure {
    Failure::Usage(format!(
        "{section}: stands in the file, and this credential may not read it; it needs {permission}, or a file without \
         this section"
    ))
}

fn at(project: Option<&str>) -> String {
    project.map(|project| format!(" at {project}")).unwrap_or_default()
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said =
            |text: &Option<String>| text.as_ref().map_or("none".to_owned(), |text| format!("`{text}`"));
        let list = |texts: &BTreeSet<String>| texts.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        match self {
            Self::DescribeOrganization { before, after } => {
                write!(f, "~ organization: display name {} instead of {}", said(after), said(before))
            }
            Self::DefineRole { role, level, permissions } => {
                let level = match level {
                    Level::Instance => "instance",
                    Level::Organization => "organization",
                    Level::Project => "project",
                };
                write!(f, "+ role {role} ({level}): {}", list(permissions))
            }
            Self::ChangeRole { role, add, remove } => {
                let signed = |sign, texts: &BTreeSet<String>| -> Vec<String> {
                    texts.iter().map(|text| format!("{sign}{text}")).collect()
                };
                write!(f, "~ role {role}: {}", [signed('+', add), signed('-', remove)].concat().join(" "))
            }
            Self::SetPolicy { changes } => {
                let plain = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
                let said: Vec<String> = changes
                    .iter()
                    .map(|one| {
                        format!("{} {} instead of {}", one.setting, plain(&one.after), plain(&one.before))
                    })
                    .collect();
                write!(f, "~ policy: {}", said.join(", "))
            }
            Self::CreateProject { project, display_name: None } => write!(f, "+ project {project}"),
            Self::CreateProject { project, display_name } => {
                write!(f, "+ project {project}: display name {}", said(display_name))
            }
            Self::DescribeProject { project, before, after } => {
                write!(f, "~ project {project}: display name {} instead of {}", said(after), said(before))
            }
            Self::SetMemberRole { member, project, before, after } => {
                let before = before.as_deref().unwrap_or("none");
                write!(f, "~ member {member}{}: {after} instead of {before}", at(project.as_deref()))
            }
            Self::WithdrawInvitation { email, project, role } => {
                write!(f, "- invitation of {email}{}: {role}", at(project.as_deref()))
            }
            Self::InviteMember { email, project, role } => {
                write!(f, "+ invitation of {email}{}: {role}", at(project.as_deref()))
            }
            Self::RemoveMember { member, project, role } => {
                write!(f, "- member {member}{}: {role}; tokens stay", at(project.as_deref()))
            }
            Self::RetireRole { role } => write!(f, "- role {role}"),
            Self::DeleteProject { project } => write!(f, "- project {project}, with its tokens"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::current::tests::acme;
    use super::super::file::tests::{ACME, file};
    use super::*;

    fn said(is: &Current, text: &str, ends: Ends) -> (Vec<String>, Vec<String>) {
        let Plan { steps, kept, .. } = plan(is, &file(text), ends).unwrap();
        let kept = kept.into_iter().map(|(what, flag)| format!("{what}: {flag}")).collect();
        (steps.iter().map(ToString::to_string).collect(), kept)
    }

    #[test]
    fn what_is_as_the_file_says_needs_no_step() {
        let is =
            acme(&[(None, "ada@example.org", "owner", false), (Some("web"), "joe@x.org", "deployer", true)]);
        let all = Ends { others: true, members: true };
        assert_eq!(plan(&is, &is.file(), all).unwrap(), Plan::default());
        let text = "version = 1\n[organization]\nname = \"acme\"\n[projects.old]\n[projects.web]";
        assert_eq!(
            plan(&is, &file(text), all).unwrap(),
            Plan::default(),
            "absent sections are not looked at"
        );
    }

    #[test]
    fn steps_lead_from_what_is_to_the_file() {
        let is = acme(&[
            (None, "Ada@example.org", "member", false),
            (None, "eve@example.org", "owner", false),
            (None, "grace@example.org", "member", true),
        ]);
        let (steps, kept) = said(&is, ACME, Ends::default());
        assert_eq!(
            steps,
            [
                "~ organization: display name `Acme` instead of none",
                "~ role deployer: +deployments:* -deployments:create",
                "~ policy: allowed_roles [\"deployer\", \"member\"] instead of none, max_lifetime \"90d\" instead of none",
                "+ project api",
                "~ project web: display name `The \"web\"` instead of none",
                "~ member Ada@example.org: owner instead of member",
                "+ invitation of grace@example.org at web: deployer",
            ]
        );
        assert_eq!(
            kept,
            [
                "project old: --delete deletes it",
                "member eve@example.org (owner): --remove-members removes it",
                "the invitation of grace@example.org (member): --remove-members withdraws it",
            ]
        );
        let (steps, kept) = said(&is, ACME, Ends { others: true, members: true });
        assert_eq!(
            steps[7..],
            [
                "- project old, with its tokens",
                "- member eve@example.org: owner; tokens stay",
                "- invitation of grace@example.org: member",
            ]
        );
        assert!(kept.is_empty());
    }

    #[test]
    fn an_owner_comes_before_the_one_before_goes_and_a_member_is_not_invited_to_a_project() {
        let is = acme(&[
            (None, "ada@x.org", "owner", false),
            (None, "bob@x.org", "member", false),
            (Some("web"), "joe@x.org", "project-reader", true),
        ]);
        let text = "version = 1\n[organization]\nname = \"acme\"\n[members]\n\"ada@x.org\" = \"member\"\n\
                    \"bob@x.org\" = \"owner\"\n[projects.web.members]\n\"ada@x.org\" = \"deployer\"\n\
                    \"joe@x.org\" = \"deployer\"\n";
        assert_eq!(
            said(&is, text, Ends::default()).0,
            [
                "~ member bob@x.org: owner instead of member",
                "~ member ada@x.org: member instead of owner",
                "~ member ada@x.org at web: deployer instead of none",
                "- invitation of joe@x.org at web: project-reader",
                "+ invitation of joe@x.org at web: deployer",
            ]
        );
    }

    #[test]
    fn what_cannot_be_planned_is_refused() {
        let mut is = acme(&[]);
        let refused = |is: &Current, text: &str| match plan(is, &file(text), Ends::default()) {
            Err(Failure::Usage(text)) => text,
            other => panic!("{other:?}"),
        };
        let text = "version = 1\n[organization]\nname = \"acme\"\n";
        let members = format!("{text}[members]\n\"0193\" = \"owner\"");
        assert!(refused(&is, &members).contains("`0193` is the id of no member"));
        let role = format!("{text}[roles.deployer]\nlevel = \"organization\"\npermissions = []");
        assert!(refused(&is, &role).contains("level"));
        (is.people, is.policy) = (None, None);
        assert!(refused(&is, &members).contains("members:read"));
        assert!(refused(&is, &format!("{text}[policy]")).contains("policies:read"));
    }
}
