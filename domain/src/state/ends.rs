//! Organizations that are suspended, and organizations and projects that are deleted.
//!
//! Each is one mark on the organization or project. The tokens in it are not touched: whatever asks whether a token is
//! in force looks at the marks of its scope as well. So an end costs the same however many tokens end by it, and is in
//! force with its line.

use super::apply::{Corrupt, missing};
use super::token::{Revocation, Token};
use super::{NameHolder, Organization, Project, State};
use crate::event::{By, Reason};
use crate::id::ProjectId;
use crate::line::Line;
use crate::scope::{Grant, Scope};
use crate::time::Timestamp;
use crate::verify::Code;
use std::sync::Arc;

/// Whether an organization's tokens are in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// They are.
    Active,
    /// They are refused until it is restored.
    Suspended(Arc<Suspension>),
    /// They have ended with it.
    Deleted(Arc<Revocation>),
}

/// How an organization was suspended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: By,
    /// Why, in somebody's words.
    pub note: Option<Box<str>>,
}

impl Organization {
    /// Its end, and that of all its tokens.
    pub fn deletion(&self) -> Option<&Revocation> {
        match &self.standing {
            Standing::Deleted(deletion) => Some(deletion),
            Standing::Active | Standing::Suspended(_) => None,
        }
    }
}

impl State {
    /// The deletion by which everything of a scope has ended: the first, where both its project and its organization
    /// are deleted.
    pub fn end_of(&self, scope: Scope) -> Option<&Revocation> {
        let of_project = scope.project().and_then(|id| self.project(id)?.deletion.as_deref());
        of_project.or_else(|| self.organization(scope.organization()?)?.deletion())
    }

    /// The revocation of a token itself, or the deletion that it ended by.
    pub fn own_end<'a>(&'a self, token: &'a Arc<Token>) -> Option<&'a Revocation> {
        self.own_revocation(token).map(Arc::as_ref).or_else(|| self.end_of(token.scope))
    }

    /// Whether a grant has ended with the project that it is held at.
    pub fn has_ended(&self, grant: &Grant) -> bool {
        grant.project.and_then(|id| self.project(id)).is_some_and(|project| project.deletion.is_some())
    }

    /// Why every token of a scope is refused, if they are.
    pub(crate) fn closed(&self, scope: Scope) -> Option<Code> {
        let is_deleted = |id| self.project(id).is_some_and(|project| project.deletion.is_some());
        if scope.project().is_some_and(is_deleted) {
            return Some(Code::Revoked);
        }
        match self.organization(scope.organization()?)?.standing {
            Standing::Active => None,
            Standing::Suspended(_) => Some(Code::OrganizationSuspended),
            Standing::Deleted(_) => Some(Code::Revoked),
        }
    }

    pub(super) fn suspend_organization(&mut self, line: &Line, note: Option<&str>) -> Result<(), Corrupt> {
        let suspension = Suspension { at: line.at, by: line.actor.by.clone(), note: note.map(Into::into) };
        self.set_standing(line, Standing::Suspended(Arc::new(suspension)))
    }

    pub(super) fn restore_organization(&mut self, line: &Line) -> Result<(), Corrupt> {
        self.set_standing(line, Standing::Active)
    }

    pub(super) fn delete_organization(&mut self, line: &Line, note: Option<&str>) -> Result<(), Corrupt> {
        self.set_standing(
            line,
            Standing::Deleted(deletion(line, self.version(), Reason::OrganizationDeleted, note)),
        )?;
        let freed = line.org.and_then(|id| self.organization(id).cloned());
        let freed = freed.expect("its standing was just set");
        let holder = NameHolder { organization: freed.id, freed_at: Some(line.at) };
        self.put_organization_name(&freed.naming.name, holder);
        Ok(())
    }

    fn set_standing(&mut self, line: &Line, standing: Standing) -> Result<(), Corrupt> {
        let found = line.org.and_then(|id| self.organization(id).cloned());
        let organization = found.ok_or_else(|| Corrupt("an unknown organization changed".to_owned()))?;
        let can_follow = match (&organization.standing, &standing) {
            (Standing::Active, Standing::Suspended(_) | Standing::Deleted(_))
            | (Standing::Suspended(_), Standing::Active | Standing::Deleted(_)) => true,
            (Standing::Active, Standing::Active)
            | (Standing::Suspended(_), Standing::Suspended(_))
            | (Standing::Deleted(_), _) => false,
        };
        if !can_follow {
            return Err(Corrupt(format!("the organization {} cannot become so twice", organization.id)));
        }
        let restored_at = if standing == Standing::Active { Some(line.at) } else { organization.restored_at };
        let revision = self.counters.version;
        let organization = Organization { standing, restored_at, revision, ..(*organization).clone() };
        self.put_organization(organization);
        Ok(())
    }

    pub(super) fn delete_project(
        &mut self,
        line: &Line,
        id: ProjectId,
        note: Option<&str>,
    ) -> Result<(), Corrupt> {
        let project = self.project(id).cloned().ok_or_else(|| missing("project", id))?;
        if project.deletion.is_some() {
            return Err(Corrupt(format!("the project {id} was deleted twice")));
        }
        self.put_project_name(project.organization, &project.naming.name, None);
        let deletion = Some(deletion(line, self.version(), Reason::ProjectDeleted, note));
        let revision = self.counters.version;
        self.put_project(Project { deletion, revision, ..(*project).clone() });
        self.refresh_sessions_of(line, project.organization, id)?;
        self.recount_live_tokens(project.organization);
        Ok(())
    }
}

fn deletion(line: &Line, version: u64, reason: Reason, note: Option<&str>) -> Arc<Revocation> {
    let (at, by, note) = (line.at, line.actor.by.clone(), note.map(Into::into));
    Arc::new(Revocation { at, by, reason, note, cause: None, cascade: Some(version), version })
}
