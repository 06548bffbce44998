//! The fold: what each event does to the state.

use super::token::{OldSecret, Revocation, Token};
use super::{Instance, NameHolder, Organization, Project, Reply, Standing, State, Undo};
use crate::event::{Event, Naming, TokenMinted, TokenRevoked, TokenRotated, TokensRevoked};
use crate::id::{OrganizationId, ProjectId, TokenId};
use crate::line::Line;
use crate::name::Name;
use crate::policy::{OrganizationPolicy, PolicySettings};
use crate::scope::Scope;
use std::sync::Arc;
use thiserror::Error;

/// An event that cannot follow the ones before it: the log is not what this build wrote. The node stops.
#[derive(Debug, Error)]
#[error("the log does not fold: {0}")]
pub struct Corrupt(pub(super) String);

pub(super) fn missing(kind: &str, id: impl std::fmt::Display) -> Corrupt {
    Corrupt(format!("an event names the {kind} {id}, which no event before it made"))
}

impl State {
    /// Folds one line. Uses change nothing.
    pub fn apply(&mut self, line: &Line) -> Result<(), Corrupt> {
        if !line.event.is_lifecycle() {
            return Ok(());
        }
        let expected = self.next_ordinal(line.org);
        if line.n != Some(expected) {
            return Err(Corrupt(format!(
                "the event after ordinal {} of {} has the ordinal {:?}",
                expected - 1,
                line.org.map_or_else(|| "the instance".to_owned(), |org| org.to_string()),
                line.n
            )));
        }
        if line.at < self.counters.last_at {
            return Err(Corrupt(format!("an event of {} follows one of {}", line.at, self.counters.last_at)));
        }
        self.counters.version += 1;
        self.counters.last_at = line.at;
        let before = self.ordinals.insert(line.org, expected);
        self.keep(|| Undo::Ordinal(line.org, before));
        self.apply_event(line)?;
        if let (Some(idempotency), Some(subject)) = (&line.idempotency, line.event.subject(line.org)) {
            let reply = Reply { body: idempotency.body.clone(), at: line.at, subject };
            let before = self.replies.insert(idempotency.key.clone(), reply);
            self.keep(|| Undo::Reply(idempotency.key.clone(), before));
        }
        Ok(())
    }

    fn apply_event(&mut self, line: &Line) -> Result<(), Corrupt> {
        match &line.event {
            Event::AuthorityStarted { .. }
            | Event::InstancePolicyChanged { .. }
            | Event::LogResumed { .. }
            | Event::LogKeyRotated { .. } => self.apply_instance(line),
            Event::RoleDefined { role, level, permissions } => {
                self.define_role(line, role, *level, permissions)
            }
            Event::RoleChanged { role, after, .. } => self.change_role(line.org, role, after),
            Event::RoleRetired { role, replacement } => self.retire_role(line, role, replacement.as_ref()),
            Event::OrganizationCreated(naming) => self.create_organization(line, naming),
            Event::OrganizationRenamed { after, .. } => self.rename_organization(line, after),
            Event::OrganizationSuspended { note } => self.suspend_organization(line, note.as_deref()),
            Event::OrganizationRestored { .. } => self.restore_organization(line),
            Event::OrganizationDeleted { note } => self.delete_organization(line, note.as_deref()),
            Event::OrganizationPolicyChanged { after, .. } => self.change_organization_policy(line, after),
            Event::ProjectCreated { project, naming } => self.create_project(line, *project, naming),
            Event::ProjectRenamed { project, after, .. } => self.rename_project(*project, after),
            Event::ProjectDeleted { project, note } => self.delete_project(line, *project, note.as_deref()),
            Event::MemberInvited(_)
            | Event::InvitationReissued(_)
            | Event::InvitationWithdrawn { .. }
            | Event::InvitationAccepted(_)
            | Event::MemberRoleChanged(_)
            | Event::MemberRemoved(_)
            | Event::UserOffboarded { .. }
            | Event::PersonErased(_) => self.apply_people(line),
            Event::TokenMinted(minted) => self.mint(line, minted),
            Event::TokenImported(imported) => self.import(line, imported),
            Event::TokenDescribed { token, after, .. } => self.change_token(*token, |token| {
                token.name = after.name.clone();
                token.description.clone_from(&after.description);
                token.metadata.clone_from(&after.metadata);
            }),
            Event::TokenGrantsChanged { token, after, .. } => {
                let grants = self.tokens.share(after);
                self.change_token(*token, |token| token.grants = grants)
            }
            Event::TokenExpiryChanged { token, after, .. } => {
                self.change_token(*token, |token| token.expires_at = *after)
            }
            Event::TokenRotated(rotated) => self.rotate(line, rotated),
            Event::TokenRevoked(revoked) => self.revoke(line, revoked),
            Event::LeakReported(reported) => self.report_leak(line, reported),
            Event::TokensRevoked(revoked) => {
                self.revoke_chosen(line, revoked);
                Ok(())
            }
            Event::TokenUsed(_) | Event::TokenRefused(_) | Event::AdminTokenUsed(_) => Ok(()),
        }
    }

    fn apply_instance(&mut self, line: &Line) -> Result<(), Corrupt> {
        let revision = self.counters.version;
        let instance = match (&line.event, &self.instance) {
            (Event::AuthorityStarted { origin, log_key, policy }, None) => Instance {
                origin: origin.clone(),
                log_key: log_key.clone(),
                log_key_before: None,
                policy: *policy,
                started_at: line.at,
                revision,
                resumed: None,
            },
            (Event::InstancePolicyChanged { after, .. }, Some(instance)) => {
                Instance { policy: *after, revision, ..(**instance).clone() }
            }
            (Event::LogResumed { expected, origin, .. }, Some(instance)) => Instance {
                origin: origin.clone(),
                resumed: Some(expected.clone()),
                revision,
                ..(**instance).clone()
            },
            (Event::LogKeyRotated { before, after, both_until }, Some(instance)) => Instance {
                log_key: after.clone(),
                log_key_before: Some((before.clone(), *both_until)),
                revision,
                ..(**instance).clone()
            },
            (_, Some(_)) => return Err(Corrupt("the authority started twice".to_owned())),
            (_, None) => return Err(Corrupt("the first event is not the start of an authority".to_owned())),
        };
        let before = self.instance.replace(Arc::new(instance));
        self.keep(|| Undo::Instance(before));
        Ok(())
    }

    fn create_organization(&mut self, line: &Line, naming: &Naming) -> Result<(), Corrupt> {
        let id = line.org.ok_or_else(|| Corrupt("an organization began without an id".to_owned()))?;
        let organization = Organization {
            id,
            naming: naming.clone(),
            created_at: line.at,
            standing: Standing::Active,
            restored_at: None,
            policy: OrganizationPolicy::default(),
            revision: self.counters.version,
        };
        self.put_organization(organization);
        self.put_organization_name(&naming.name, NameHolder { organization: id, freed_at: None });
        Ok(())
    }

    fn rename_organization(&mut self, line: &Line, after: &Naming) -> Result<(), Corrupt> {
        let organization = line.org.and_then(|id| self.organizations.get(&id).cloned());
        let organization =
            organization.ok_or_else(|| Corrupt("an unknown organization was renamed".to_owned()))?;
        let old = &organization.naming.name;
        if *old != after.name {
            self.put_organization_name(
                old,
                NameHolder { organization: organization.id, freed_at: Some(line.at) },
            );
            self.put_organization_name(
                &after.name,
                NameHolder { organization: organization.id, freed_at: None },
            );
        }
        let revision = self.counters.version;
        self.put_organization(Organization { naming: after.clone(), revision, ..(*organization).clone() });
        Ok(())
    }

    fn change_organization_policy(&mut self, line: &Line, after: &PolicySettings) -> Result<(), Corrupt> {
        let organization = line.org.and_then(|id| self.organizations.get(&id).cloned());
        let organization = organization
            .ok_or_else(|| Corrupt("the policy of an unknown organization was changed".to_owned()))?;
        let (policy, revision) = (organization.policy.with(after), self.counters.version);
        if policy.max_live_tokens > 0 {
            self.begin_count(organization.id);
        }
        self.put_organization(Organization { policy, revision, ..(*organization).clone() });
        Ok(())
    }

    fn create_project(&mut self, line: &Line, id: ProjectId, naming: &Naming) -> Result<(), Corrupt> {
        let organization = line.org.filter(|org| self.organizations.contains_key(org));
        let organization =
            organization.ok_or_else(|| Corrupt("a project began in no organization".to_owned()))?;
        let project = Project {
            id,
            organization,
            naming: naming.clone(),
            created_at: line.at,
            deletion: None,
            revision: self.counters.version,
        };
        self.put_project(project);
        self.put_project_name(organization, &naming.name, Some(id));
        Ok(())
    }

    fn rename_project(&mut self, id: ProjectId, after: &Naming) -> Result<(), Corrupt> {
        let project = self.projects.get(&id).cloned().ok_or_else(|| missing("project", id))?;
        if project.naming.name != after.name {
            self.put_project_name(project.organization, &project.naming.name, None);
            self.put_project_name(project.organization, &after.name, Some(id));
        }
        let revision = self.counters.version;
        self.put_project(Project { naming: after.clone(), revision, ..(*project).clone() });
        Ok(())
    }

    pub(super) fn mint(&mut self, line: &Line, minted: &TokenMinted) -> Result<(), Corrupt> {
        let scope = match (line.org, minted.project) {
            (None, None) => Scope::Instance,
            (Some(org), None) => Scope::Organization(org),
            (Some(org), Some(project)) => Scope::Project(org, project),
            (None, Some(project)) => return Err(missing("organization of project", project)),
        };
        self.require_place(scope)?;
        // A parent comes before its children, so lineages are trees and every walk through one ends.
        if let Some(parent) = minted.parent.filter(|parent| self.tokens.get(*parent).is_none()) {
            return Err(missing("token", parent));
        }
        if self.tokens.get(minted.token).is_some() || self.tokens.by_secret(&minted.hash).is_some() {
            return Err(Corrupt(format!("the token {} was minted twice", minted.token)));
        }
        let person = minted.parent.and_then(|parent| self.tokens.get(parent)?.person);
        let token = Token {
            id: minted.token,
            scope,
            name: minted.name.clone(),
            description: minted.description.clone(),
            metadata: minted.metadata.clone(),
            grants: self.tokens.share(&minted.grants),
            hash: minted.hash,
            prefix: minted.prefix,
            secret: 0,
            previous: None,
            parent: minted.parent,
            narrowed: minted.narrowed,
            not_before: minted.not_before,
            expires_at: minted.expires_at,
            allowed_networks: minted.allowed_networks.clone(),
            secret_since: line.at,
            created_at: line.at,
            created_by: line.actor.by.clone(),
            person,
            session: false,
            revision: self.counters.version,
            revocation: None,
        };
        self.add_token(token);
        Ok(())
    }

    pub(super) fn add_token(&mut self, token: Token) {
        let id = token.id;
        self.note_owner(token.scope, &token.grants);
        let journal = &mut self.journal;
        self.tokens.add(Arc::new(token), &mut |undo| {
            if let Some(journal) = journal {
                journal.undo.push(Undo::Token(undo));
            }
        });
        let lives = self.lives(id);
        self.recount(&[], &lives);
    }

    pub(super) fn require_place(&self, scope: Scope) -> Result<(), Corrupt> {
        match scope {
            Scope::Instance => Ok(()),
            Scope::Organization(id) => {
                self.organization(id).map(drop).ok_or_else(|| missing("organization", id))
            }
            Scope::Project(organization, id) => {
                let project = self.project(id).filter(|project| project.organization == organization);
                project.map(drop).ok_or_else(|| missing("project", id))
            }
        }
    }

    fn rotate(&mut self, line: &Line, rotated: &TokenRotated) -> Result<(), Corrupt> {
        self.change_token(rotated.token, |token| {
            // Only the secret before can have an overlap: a second rotation ends an earlier one.
            let (hash, secret, since) = (token.hash, token.secret, token.secret_since);
            let previous = OldSecret { hash, secret, since, valid_until: rotated.overlap_until };
            token.previous = Some(Box::new(previous));
            token.hash = rotated.hash;
            token.prefix = rotated.prefix;
            token.secret = rotated.secret;
            token.secret_since = line.at;
        })
    }

    fn revoke(&mut self, line: &Line, revoked: &TokenRevoked) -> Result<(), Corrupt> {
        let (root, cascade, version) = (revoked.token, revoked.cascade, self.counters.version);
        let end = |cause| Revocation {
            at: line.at,
            by: line.actor.by.clone(),
            reason: revoked.reason,
            note: revoked.note.clone(),
            cause,
            cascade: cascade.then_some(version),
            version,
        };
        let slot = self.tokens.slot_of(root).ok_or_else(|| missing("token", root))?;
        let first = self.tokens.at(slot).and_then(|token| self.own_revocation(token));
        // Revoked again with cascade, a token keeps the record of its first revocation.
        let own = match first {
            None => Arc::new(end(None)),
            Some(first) if cascade && first.cascade.is_none() => {
                Arc::new(Revocation { cascade: Some(version), ..(**first).clone() })
            }
            Some(first) => Arc::clone(first),
        };
        self.change_token(root, |token| token.revocation = Some(own))?;
        if cascade {
            self.end_below(slot, end(Some(root)));
            self.recount_ended(line.org);
        }
        Ok(())
    }

    pub(super) fn change_token(
        &mut self,
        id: TokenId,
        change: impl FnOnce(&mut Token),
    ) -> Result<(), Corrupt> {
        let before = Arc::clone(self.tokens.get(id).ok_or_else(|| missing("token", id))?);
        let mut token = (*before).clone();
        change(&mut token);
        token.revision = self.counters.version;
        self.note_owner(token.scope, &token.grants);
        let ends_otherwise = before.expires_at != token.expires_at
            || before.revocation.is_some() != token.revocation.is_some();
        let lived = if ends_otherwise { self.lives(id) } else { Vec::new() };
        self.replace_token(token);
        if ends_otherwise {
            let lives = self.lives(id);
            self.recount(&lived, &lives);
        }
        Ok(())
    }

    fn revoke_chosen(&mut self, line: &Line, revoked: &TokensRevoked) {
        let revocation = Revocation {
            at: line.at,
            by: line.actor.by.clone(),
            reason: revoked.reason,
            note: revoked.note.clone(),
            cause: None,
            cascade: None,
            version: self.counters.version,
        };
        self.end_chosen(line.org, revoked.filter.clone(), revocation);
        self.recount_ended(line.org);
    }

    pub(super) fn replace_token(&mut self, token: Token) {
        let journal = &mut self.journal;
        self.tokens.replace(Arc::new(token), &mut |undo| {
            if let Some(journal) = journal {
                journal.undo.push(Undo::Token(undo));
            }
        });
    }

    pub(super) fn put_organization(&mut self, organization: Organization) {
        let id = organization.id;
        let before = self.organizations.insert(id, Arc::new(organization));
        self.keep(|| Undo::Organization(id, before));
    }

    pub(super) fn put_organization_name(&mut self, name: &Name, holder: NameHolder) {
        let before = self.organization_names.insert(name.clone(), holder);
        self.keep(|| Undo::OrganizationName(name.clone(), before));
    }

    pub(super) fn put_project(&mut self, project: Project) {
        let id = project.id;
        let before = self.projects.insert(id, Arc::new(project));
        self.keep(|| Undo::Project(id, before));
    }

    pub(super) fn put_project_name(
        &mut self,
        organization: OrganizationId,
        name: &Name,
        id: Option<ProjectId>,
    ) {
        let key = (organization, name.clone());
        let before = match id {
            Some(id) => self.project_names.insert(key.clone(), id),
            None => self.project_names.remove(&key),
        };
        self.keep(|| Undo::ProjectName(key, before));
    }

    pub(super) fn keep(&mut self, undo: impl FnOnce() -> Undo) {
        if let Some(journal) = &mut self.journal {
            journal.undo.push(undo());
        }
    }
}
