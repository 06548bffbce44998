//! Reads of users, members and invitations.

use crate::authority::Caller;
use crate::decide::{find_invitation, find_organization};
use crate::id::{InvitationId, ProjectId, UserId};
use crate::rejection::Rejection;
use crate::scope::Scope;
use crate::state::{Invitation, Member, State, User};
use std::sync::Arc;

/// An invitation that the caller may read, or give out.
pub fn invitation<'a>(
    state: &'a State,
    caller: &Caller,
    organization: &str,
    id: InvitationId,
) -> Result<&'a Arc<Invitation>, Rejection> {
    find_invitation(state, caller, organization, id)
}

/// The memberships of an organization and its projects that the caller may read, after one.
pub fn members(
    state: &State,
    caller: &Caller,
    organization: &str,
    after: Option<(UserId, Option<ProjectId>)>,
    limit: usize,
) -> Result<Vec<Arc<Member>>, Rejection> {
    let organization = find_organization(state, caller, organization)?.id;
    let found = state.people().members_after(organization, after);
    Ok(found.filter(|member| caller.may(state, "members:read", member.place)).take(limit).cloned().collect())
}

/// A person's memberships in an organization and its projects that the caller may read, at least one.
pub fn member(
    state: &State,
    caller: &Caller,
    organization: &str,
    user: UserId,
) -> Result<Vec<Arc<Member>>, Rejection> {
    let organization = find_organization(state, caller, organization)?.id;
    let found = state.people().memberships(organization, user);
    let found: Vec<_> =
        found.filter(|member| caller.may(state, "members:read", member.place)).cloned().collect();
    if found.is_empty() { Err(Rejection::not_found("member", &user)) } else { Ok(found) }
}

/// The invitations of an organization that the caller may read, after one.
pub fn invitations(
    state: &State,
    caller: &Caller,
    organization: &str,
    after: Option<InvitationId>,
    limit: usize,
) -> Result<Vec<Arc<Invitation>>, Rejection> {
    let organization = find_organization(state, caller, organization)?.id;
    let found = state.people().invitations_after(organization, after);
    Ok(found.filter(|one| caller.may(state, "members:read", one.place)).take(limit).cloned().collect())
}

/// All persons, after one.
pub fn users(state: &State, after: Option<UserId>, limit: usize) -> Vec<Arc<User>> {
    state.people().users_after(after).take(limit).cloned().collect()
}

/// A person, for who may read all members of the instance.
pub fn user<'a>(state: &'a State, caller: &Caller, id: UserId) -> Result<&'a Arc<User>, Rejection> {
    caller.require(state, "members:read", Scope::Instance)?;
    state.people().user(id).ok_or_else(|| Rejection::not_found("user", &id))
}
