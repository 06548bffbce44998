//! An organization as it is, with the revisions that a change of it can be made conditional on.

use super::file::{Described, Members, Named, OrganizationFile, Policy, Role as FileRole};
use crate::client::Client;
use crate::failure::Failure;
use api::wire::{Invitation, Member, Organization, OrganizationPolicy, Project, Role};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Where somebody is a member: in a project, or in the whole organization.
pub(super) type Place = Option<String>;

/// What the caller may not read is none.
#[derive(Clone, Debug)]
pub(super) struct Current {
    pub(super) organization: Organization,
    pub(super) policy: Option<OrganizationPolicy>,
    /// Its own, without the built-in ones.
    pub(super) roles: BTreeMap<String, Role>,
    pub(super) projects: BTreeMap<String, Project>,
    /// By mail address or, where that does not name one person there, by user id.
    pub(super) people: Option<BTreeMap<Place, BTreeMap<String, Standing>>>,
}

/// What somebody is in a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Member(Box<Member>),
    /// Somebody who can accept an invitation and is no member there.
    Invited(Box<Invitation>),
}

impl Standing {
    pub(super) fn role(&self) -> &str {
        match self {
            Self::Member(member) => &member.role,
            Self::Invited(invitation) => &invitation.role,
        }
    }

    pub(super) fn user_id(&self) -> Option<String> {
        match self {
            Self::Member(member) => Some(member.user.to_string()),
            Self::Invited(_) => None,
        }
    }
}

impl Current {
    pub(super) async fn read(client: &Client, organization: &str) -> Result<Self, Failure> {
        let path = ["v1", "organizations", organization];
        let organization = client.get::<Organization>(&path, &[]).await?.value;
        let id = organization.id.to_string();
        let of = |noun| ["v1", "organizations", &id, noun];
        let policy = allowed(client.get::<OrganizationPolicy>(&of("policy"), &[]).await)?;
        let roles = list::<Role>(client, &of("roles")).await?.into_iter();
        let own = roles.filter(|role| role.organization_id == Some(organization.id));
        let projects = list::<Project>(client, &of("projects")).await?.into_iter();
        let members = allowed(list::<Member>(client, &of("members")).await)?;
        let invitations = allowed(list::<Invitation>(client, &of("invitations")).await)?;
        let people = members.zip(invitations).map(|(members, invitations)| people(members, invitations));
        Ok(Self {
            policy: policy.map(|found| found.value),
            roles: own.map(|role| (role.name.clone(), role)).collect(),
            projects: projects.map(|project| (project.name.clone(), project)).collect(),
            organization,
            people,
        })
    }

    /// Who is, or may become, a member in a place.
    pub(super) fn people_at(&self, place: Option<&str>) -> impl Iterator<Item = (&String, &Standing)> {
        let place = place.map(str::to_owned);
        self.people.iter().filter_map(move |people| people.get(&place)).flatten()
    }

    /// The id of a member of whatever place, by what the file calls it.
    pub(super) fn user_id(&self, name: &str) -> Option<String> {
        let mut people = self.people.iter().flat_map(BTreeMap::values).flatten();
        people.find_map(|(key, standing)| standing.user_id().filter(|id| key == name || id == name))
    }

    /// The file that says what is.
    pub(super) fn file(&self) -> OrganizationFile {
        let Organization { name, display_name, .. } = &self.organization;
        let members = |place: Option<&str>| -> Members {
            self.people_at(place).map(|(key, standing)| (key.clone(), standing.role().to_owned())).collect()
        };
        let described = |name: &String, project: &Project| Described {
            display_name: project.display_name.clone(),
            members: members(Some(name)),
        };
        let role = |role: &Role| FileRole {
            level: role.level,
            permissions: role.permissions.iter().cloned().collect(),
        };
        let mut file =
            OrganizationFile::new(Named { name: name.clone(), display_name: display_name.clone() });
        file.policy = self.policy.as_ref().map(Policy::of);
        file.roles = Some(self.roles.iter().map(|(name, found)| (name.clone(), role(found))).collect());
        file.members = self.people.as_ref().map(|_| members(None));
        file.projects =
            self.projects.iter().map(|(name, project)| (name.clone(), described(name, project))).collect();
        file
    }
}

async fn list<T: DeserializeOwned>(client: &Client, path: &[&str]) -> Result<Vec<T>, Failure> {
    Ok(client.list::<T>(path, &[], None).await?.into_iter().map(|found| found.value).collect())
}

/// None of what the caller may not read.
fn allowed<T>(read: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(Failure::Problem(refusal)) if refusal.problem.status == 403 => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn people(members: Vec<Member>, invitations: Vec<Invitation>) -> BTreeMap<Place, BTreeMap<String, Standing>> {
    let mut namesakes: BTreeMap<(Place, Option<String>), u32> = BTreeMap::new();
    for member in &members {
        *namesakes.entry((member.project.clone(), member.email.clone())).or_default() += 1;
    }
    let mut people: BTreeMap<Place, BTreeMap<String, Standing>> = BTreeMap::new();
    for member in members {
        let place = member.project.clone();
        let is_only = namesakes[&(place.clone(), member.email.clone())] == 1;
        let key = member.email.clone().filter(|_| is_only).unwrap_or_else(|| member.user.to_string());
        people.entry(place).or_default().insert(key, Standing::Member(Box::new(member)));
    }
    // The oldest come first, so the newest is the one that counts.
    for invitation in invitations.into_iter().filter(|one| one.status == "open") {
        let (Some(email), place) = (invitation.email.clone(), invitation.project.clone()) else { continue };
        let at = people.entry(place).or_default();
        if !matches!(at.get(&email), Some(Standing::Member(_))) {
            at.insert(email, Standing::Invited(Box::new(invitation)));
        }
    }
    people
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    /// An organization `acme` with two projects, a role, a policy and these people: place, address and role, and
    /// whether it is only invited.
    pub(in super::super) fn acme(who: &[(Option<&str>, &str, &str, bool)]) -> Current {
        let at = "2026-11-22T10:15:00.123456Z";
        let id = |number: usize| format!("00000000-0000-7000-8000-{number:012}");
        let named = |name: &str| {
            json!({"id": id(0), "name": name, "organization": "acme", "organization_id": id(0), "status": "active",
                "created_at": at, "created_by": "admin-token", "revision": 1})
        };
        let project = |name: &str| serde_json::from_value::<Project>(named(name)).unwrap();
        let mut role = named("deployer");
        role["level"] = json!("project");
        role["permissions"] = json!(["deployments:create", "projects:read"]);
        role["built_in"] = json!(false);
        let (mut members, mut invitations) = (Vec::new(), Vec::new());
        for (number, (project, email, role, invited)) in who.iter().enumerate() {
            let person = json!({"user": id(number), "id": id(number), "email": email, "email_verified": false,
                "organization": "acme", "project": project, "role": role, "since": at, "revision": 1,
                "status": "open", "delivery": "answer", "created_at": at, "created_by": "admin-token",
                "expires_at": at});
            if *invited {
                invitations.push(serde_json::from_value(person).unwrap());
            } else {
                members.push(serde_json::from_value(person).unwrap());
            }
        }
        let mut policy = named("acme");
        for (name, value) in [("expiry_required", json!(false)), ("allowed_networks", json!([]))] {
            policy[name] = value;
        }
        for name in ["max_inactive_days", "max_mints_per_hour", "max_live_tokens", "rotation_due_days"] {
            policy[name] = json!(0);
        }
        policy["rotation_enforced"] = json!(false);
        policy["leak_response"] = json!("cascade");
        policy["allowed_roles"] = json!([]);
        policy["hits"] = serde_json::to_value(api::wire::PolicyHits::default()).unwrap();
        Current {
            organization: serde_json::from_value(named("acme")).unwrap(),
            policy: Some(serde_json::from_value(policy).unwrap()),
            roles: [("deployer".to_owned(), serde_json::from_value(role).unwrap())].into(),
            projects: ["old", "web"].map(|name| (name.to_owned(), project(name))).into(),
            people: Some(people(members, invitations)),
        }
    }

    #[test]
    fn who_shares_an_address_is_named_by_id_and_an_invitation_of_a_member_does_not_count() {
        let current = acme(&[
            (None, "ada@example.org", "owner", false),
            (None, "ada@example.org", "member", true),
            (Some("web"), "eve@example.org", "project-reader", false),
            (Some("web"), "eve@example.org", "project-admin", false),
            (Some("web"), "joe@example.org", "project-reader", true),
        ]);
        let file = current.file();
        assert_eq!(file.members.unwrap(), [("ada@example.org".to_owned(), "owner".to_owned())].into());
        let web: Vec<(&str, &str)> =
            file.projects["web"].members.iter().map(|(key, role)| (key.as_str(), role.as_str())).collect();
        assert_eq!(
            web,
            [
                ("00000000-0000-7000-8000-000000000002", "project-reader"),
                ("00000000-0000-7000-8000-000000000003", "project-admin"),
                ("joe@example.org", "project-reader"),
            ]
        );
    }
}
