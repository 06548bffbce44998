//! Users, members and invitations, and the sessions that members have.
//!
//! A session is a token of its person's in one organization. What it holds is not said by any event of its own: it is
//! what the person's memberships there give, and follows every change of them in the same fold.

use super::apply::{Corrupt, missing};
use super::token::{Revocation, Token};
use super::{Role, State, Undo};
use crate::authority::Caller;
use crate::event::{By, Event, Reason};
use crate::id::{InvitationId, OrganizationId, ProjectId, TokenId, UserId};
use crate::line::Line;
use crate::name::Name;
use crate::network::Networks;
use crate::pack::Pack;
use crate::people::{Fate, InvitationAccepted, Issue, MemberInvited, MemberRemoved, MemberRoleChanged};
use crate::role::OWNER;
use crate::scope::{Grant, Scope};
use crate::secret::{Prefix, SecretHash};
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Commitment to the mail address.
    pub email: Box<str>,
    /// Whether the person has shown to receive mail there.
    pub email_verified: bool,
    /// Commitment to the name.
    pub name: Option<Box<str>>,
    /// When the person first accepted an invitation.
    pub created_at: Timestamp,
    /// When the person left the whole instance.
    pub offboarded_at: Option<Timestamp>,
    /// When what was kept about the person was erased.
    pub erased_at: Option<Timestamp>,
    /// The version after the event that last changed it.
    pub revision: u64,
}

/// A person's role in an organization or a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The person.
    pub user: UserId,
    /// The organization, or the project.
    pub place: Scope,
    /// The role.
    pub role: Name,
    /// When the person became a member there.
    pub since: Timestamp,
    /// The version after the event that last changed it.
    pub revision: u64,
}

/// An invitation to become a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// The organization, or the project.
    pub place: Scope,
    /// What the member will hold there.
    pub role: Name,
    /// Commitment to the mail address.
    pub email: Box<str>,
    /// How it can be accepted.
    pub issue: Issue,
    /// Who answers for it.
    pub inviter: Inviter,
    /// When it began.
    pub created_at: Timestamp,
    /// How it ended, unless by time.
    pub end: Option<InvitationEnd>,
    /// The version after the event that last changed it.
    pub revision: u64,
}

/// Who gave an invitation's present text out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inviter {
    /// Who.
    pub by: By,
    /// The token, when it was one.
    pub token: Option<TokenId>,
}

/// How an invitation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvitationEnd {
    /// By this person.
    Accepted(UserId),
    /// It was taken back.
    Withdrawn,
}

/// What has become of an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvitationStatus {
    /// It can be accepted.
    Open,
    /// It was accepted.
    Accepted,
    /// It was taken back.
    Withdrawn,
    /// Its time is over.
    Expired,
}

impl Invitation {
    /// What has become of it by `at`.
    pub fn status(&self, at: Timestamp) -> InvitationStatus {
        match self.end {
            Some(InvitationEnd::Accepted(_)) => InvitationStatus::Accepted,
            Some(InvitationEnd::Withdrawn) => InvitationStatus::Withdrawn,
            None if at >= self.issue.expires_at => InvitationStatus::Expired,
            None => InvitationStatus::Open,
        }
    }
}

/// A membership: a person has at most one role in an organization, and one in each of its projects.
pub(super) type MemberKey = (OrganizationId, UserId, Option<ProjectId>);

/// Users, members and invitations.
#[derive(Clone, Default, PartialEq)]
pub struct People {
    users: BTreeMap<UserId, Arc<User>>,
    members: BTreeMap<MemberKey, Arc<Member>>,
    /// The same keys by person.
    places: BTreeSet<(UserId, OrganizationId, Option<ProjectId>)>,
    invitations: BTreeMap<(OrganizationId, InvitationId), Arc<Invitation>>,
    texts: HashMap<SecretHash, (OrganizationId, InvitationId)>,
    sessions: HashMap<(OrganizationId, UserId), Vec<TokenId>>,
    /// The organizations that have, or had, an owner: a member, or a token that holds the role.
    owned: BTreeSet<OrganizationId>,
}

/// What stood in a table before: none where nothing did.
pub(super) enum PeopleUndo {
    User(UserId, Option<Arc<User>>),
    Member(MemberKey, Option<Arc<Member>>),
    Invitation((OrganizationId, InvitationId), Option<Arc<Invitation>>),
    Text(SecretHash, Option<(OrganizationId, InvitationId)>),
    Session((OrganizationId, UserId)),
    Owned(OrganizationId),
}

impl Pack for People {
    fn pack(&self, to: &mut Vec<u8>) {
        let Self { users, members, places: _, invitations, texts, sessions, owned } = self;
        users.pack(to);
        members.pack(to);
        invitations.pack(to);
        texts.pack(to);
        sessions.pack(to);
        owned.pack(to);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let users = Pack::unpack(from)?;
        let members: BTreeMap<MemberKey, Arc<Member>> = Pack::unpack(from)?;
        Some(Self {
            users,
            places: members
                .keys()
                .map(|(organization, user, project)| (*user, *organization, *project))
                .collect(),
            members,
            invitations: Pack::unpack(from)?,
            texts: Pack::unpack(from)?,
            sessions: Pack::unpack(from)?,
            owned: Pack::unpack(from)?,
        })
    }
}

impl People {
    /// A person by id.
    pub fn user(&self, id: UserId) -> Option<&Arc<User>> {
        self.users.get(&id)
    }

    /// Persons in the order of their first coming, after `after`.
    pub fn users_after(&self, after: Option<UserId>) -> impl Iterator<Item = &Arc<User>> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.users.range((after.map_or(Unbounded, Excluded), Unbounded)).map(|(_, user)| user)
    }

    /// A person's role in an organization or, with a project, in that.
    pub fn member(
        &self,
        organization: OrganizationId,
        user: UserId,
        project: Option<ProjectId>,
    ) -> Option<&Arc<Member>> {
        self.members.get(&(organization, user, project))
    }

    /// A person's roles in an organization and its projects.
    pub fn memberships(
        &self,
        organization: OrganizationId,
        user: UserId,
    ) -> impl Iterator<Item = &Arc<Member>> {
        let of =
            move |(key, member): (&MemberKey, _)| ((key.0, key.1) == (organization, user)).then_some(member);
        self.members.range((organization, user, None)..).map_while(of)
    }

    /// The members of an organization and its projects, after `after`.
    pub fn members_after(
        &self,
        organization: OrganizationId,
        after: Option<(UserId, Option<ProjectId>)>,
    ) -> impl Iterator<Item = &Arc<Member>> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let first = (organization, UserId(uuid::Uuid::nil()), None);
        let from = after.map_or(Included(first), |(user, project)| Excluded((organization, user, project)));
        let of = move |(key, member): (&MemberKey, _)| (key.0 == organization).then_some(member);
        self.members.range((from, Unbounded)).map_while(of)
    }

    /// The organizations in which a person has a role.
    pub fn organizations_of(&self, user: UserId) -> BTreeSet<OrganizationId> {
        let first = (user, OrganizationId(uuid::Uuid::nil()), None);
        self.places.range(first..).take_while(|place| place.0 == user).map(|place| place.1).collect()
    }

    /// Whether a person is the only owner that an organization has.
    pub fn is_last_owner(&self, organization: OrganizationId, user: UserId) -> bool {
        let is_owner = |member: &&Arc<Member>| {
            member.role.as_str() == OWNER && member.place == Scope::Organization(organization)
        };
        let mut owners = self.members_after(organization, None).filter(is_owner);
        owners.next().is_some_and(|owner| owner.user == user) && owners.next().is_none()
    }

    /// Whether an organization has or had a member or a token that owns it.
    pub fn was_owned(&self, organization: OrganizationId) -> bool {
        self.owned.contains(&organization)
    }

    /// An invitation of an organization.
    pub fn invitation(&self, organization: OrganizationId, id: InvitationId) -> Option<&Arc<Invitation>> {
        self.invitations.get(&(organization, id))
    }

    /// An invitation by the hash of its text.
    pub fn invitation_by_text(&self, hash: &SecretHash) -> Option<&Arc<Invitation>> {
        self.texts.get(hash).and_then(|key| self.invitations.get(key))
    }

    /// The invitations of an organization in the order of their beginning, after `after`.
    pub fn invitations_after(
        &self,
        organization: OrganizationId,
        after: Option<InvitationId>,
    ) -> impl Iterator<Item = &Arc<Invitation>> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let first = (organization, InvitationId(uuid::Uuid::nil()));
        let from = after.map_or(Included(first), |id| Excluded((organization, id)));
        self.invitations
            .range((from, Unbounded))
            .map_while(move |(key, invitation)| (key.0 == organization).then_some(invitation))
    }

    /// All invitations, of every organization.
    pub fn invitations(&self) -> impl Iterator<Item = &Arc<Invitation>> {
        self.invitations.values()
    }

    fn put_user(&mut self, user: User) -> PeopleUndo {
        PeopleUndo::User(user.id, self.users.insert(user.id, Arc::new(user)))
    }

    fn put_member(&mut self, member: Member) -> PeopleUndo {
        let organization = member.place.organization().expect("members are of organizations");
        let key = (organization, member.user, member.place.project());
        self.set_member(key, Some(Arc::new(member)))
    }

    fn set_member(&mut self, key: MemberKey, member: Option<Arc<Member>>) -> PeopleUndo {
        let place = (key.1, key.0, key.2);
        let before = if let Some(member) = member {
            self.places.insert(place);
            self.members.insert(key, member)
        } else {
            self.places.remove(&place);
            self.members.remove(&key)
        };
        PeopleUndo::Member(key, before)
    }

    fn put_invitation(&mut self, invitation: Invitation) -> PeopleUndo {
        let organization = invitation.place.organization().expect("invitations are of organizations");
        let key = (organization, invitation.id);
        PeopleUndo::Invitation(key, self.invitations.insert(key, Arc::new(invitation)))
    }

    fn set_text(
        &mut self,
        hash: SecretHash,
        invitation: Option<(OrganizationId, InvitationId)>,
    ) -> PeopleUndo {
        let before = match invitation {
            Some(key) => self.texts.insert(hash, key),
            None => self.texts.remove(&hash),
        };
        PeopleUndo::Text(hash, before)
    }

    fn add_session(&mut self, key: (OrganizationId, UserId), session: TokenId) -> PeopleUndo {
        self.sessions.entry(key).or_default().push(session);
        PeopleUndo::Session(key)
    }

    pub(super) fn undo(&mut self, undo: PeopleUndo) {
        match undo {
            PeopleUndo::User(key, before) => super::restore_ordered(&mut self.users, key, before),
            PeopleUndo::Member(key, before) => drop(self.set_member(key, before)),
            PeopleUndo::Invitation(key, before) => {
                super::restore_ordered(&mut self.invitations, key, before);
            }
            PeopleUndo::Text(hash, before) => super::restore(&mut self.texts, hash, before),
            PeopleUndo::Session(key) => {
                if let Some(sessions) = self.sessions.get_mut(&key) {
                    sessions.pop();
                    if sessions.is_empty() {
                        self.sessions.remove(&key);
                    }
                }
            }
            PeopleUndo::Owned(organization) => {
                self.owned.remove(&organization);
            }
        }
    }
}

impl State {
    pub(super) fn apply_people(&mut self, line: &Line) -> Result<(), Corrupt> {
        if let Event::UserOffboarded { user } = &line.event {
            return self.offboard(line, *user);
        }
        if let (Event::PersonErased(erased), None) = (&line.event, line.org) {
            return erased.users.iter().try_for_each(|user| self.erase(line, *user));
        }
        let organization = line.org.filter(|id| self.organization(*id).is_some());
        let organization = organization
            .ok_or_else(|| Corrupt("a member or an invitation is of no organization".to_owned()))?;
        match &line.event {
            Event::MemberInvited(invited) => self.invite(line, organization, invited),
            Event::InvitationReissued(reissued) => {
                let inviter = inviter(line);
                let before = self.require_invitation(organization, reissued.invitation)?.issue.hash;
                self.set_text(before, None);
                self.set_text(reissued.issue.hash, Some((organization, reissued.invitation)));
                self.change_invitation(organization, reissued.invitation, |invitation| {
                    invitation.issue = reissued.issue.clone();
                    invitation.inviter = inviter;
                })
            }
            Event::InvitationWithdrawn { invitation } => {
                self.change_invitation(organization, *invitation, |found| {
                    found.end = Some(InvitationEnd::Withdrawn);
                })
            }
            Event::InvitationAccepted(accepted) => self.accept(line, organization, accepted),
            Event::MemberRoleChanged(changed) => self.change_member(line, organization, changed),
            Event::MemberRemoved(removed) => self.remove_member(line, organization, removed),
            _ => Ok(()),
        }
    }

    fn invite(
        &mut self,
        line: &Line,
        organization: OrganizationId,
        invited: &MemberInvited,
    ) -> Result<(), Corrupt> {
        let place = place(organization, invited.project);
        self.require_place(place)?;
        let invitation = Invitation {
            id: invited.invitation,
            place,
            role: invited.role.clone(),
            email: invited.email.clone(),
            issue: invited.issue.clone(),
            inviter: inviter(line),
            created_at: line.at,
            end: None,
            revision: self.version(),
        };
        self.set_text(invited.issue.hash, Some((organization, invited.invitation)));
        let undo = self.people.put_invitation(invitation);
        self.keep(|| Undo::People(undo));
        Ok(())
    }

    fn accept(
        &mut self,
        line: &Line,
        organization: OrganizationId,
        accepted: &InvitationAccepted,
    ) -> Result<(), Corrupt> {
        let invitation = Arc::clone(self.require_invitation(organization, accepted.invitation)?);
        let user = accepted.user;
        self.change_invitation(organization, invitation.id, |found| {
            found.end = Some(InvitationEnd::Accepted(user));
        })?;
        if self.people.user(user).is_none() {
            let undo = self.people.put_user(User {
                id: user,
                email: invitation.email.clone(),
                email_verified: invitation.issue.mailed,
                name: accepted.name.clone(),
                created_at: line.at,
                offboarded_at: None,
                erased_at: None,
                revision: self.version(),
            });
            self.keep(|| Undo::People(undo));
        }
        self.put_member(line, user, invitation.place, &invitation.role);
        self.start_session(line, organization, accepted)?;
        self.refresh_sessions(line, organization, user)
    }

    fn start_session(
        &mut self,
        line: &Line,
        organization: OrganizationId,
        accepted: &InvitationAccepted,
    ) -> Result<(), Corrupt> {
        if self.tokens().get(accepted.token).is_some() || self.tokens().by_secret(&accepted.hash).is_some() {
            return Err(Corrupt(format!("the session {} began twice", accepted.token)));
        }
        self.add_token(Token {
            id: accepted.token,
            // Names of live tokens are unique, so a session's is nothing that anybody would choose.
            name: format!("session {}", accepted.token).into(),
            hash: accepted.hash,
            prefix: accepted.prefix,
            expires_at: Some(accepted.expires_at),
            secret_since: line.at,
            created_at: line.at,
            revision: self.version(),
            ..session(organization, accepted.user, Arc::from([]))
        });
        let undo = self.people.add_session((organization, accepted.user), accepted.token);
        self.keep(|| Undo::People(undo));
        Ok(())
    }

    fn change_member(
        &mut self,
        line: &Line,
        organization: OrganizationId,
        changed: &MemberRoleChanged,
    ) -> Result<(), Corrupt> {
        let place = place(organization, changed.project);
        self.require_place(place)?;
        if self.people.memberships(organization, changed.user).next().is_none() {
            return Err(missing("member", changed.user));
        }
        self.put_member(line, changed.user, place, &changed.after);
        self.refresh_sessions(line, organization, changed.user)
    }

    fn put_member(&mut self, line: &Line, user: UserId, place: Scope, role: &Name) {
        let organization = place.organization().expect("members are of organizations");
        let known = self.people.member(organization, user, place.project());
        let since = known.map_or(line.at, |member| member.since);
        let member = Member { user, place, role: role.clone(), since, revision: self.version() };
        let undo = self.people.put_member(member);
        self.keep(|| Undo::People(undo));
        self.note_owner(place, &[Grant { role: role.clone(), project: None }]);
    }

    /// An organization that anybody or any token has owned is no longer for a provisioner to give away.
    pub(super) fn note_owner(&mut self, scope: Scope, grants: &[Grant]) {
        let Scope::Organization(organization) = scope else { return };
        let owns = grants.iter().any(|grant| grant.role.as_str() == OWNER && grant.project.is_none());
        if owns && self.people.owned.insert(organization) {
            self.keep(|| Undo::People(PeopleUndo::Owned(organization)));
        }
    }

    fn remove_member(
        &mut self,
        line: &Line,
        organization: OrganizationId,
        removed: &MemberRemoved,
    ) -> Result<(), Corrupt> {
        let place = place(organization, removed.project);
        let held =
            self.people.memberships(organization, removed.user).filter(|member| place.contains(member.place));
        let keys: Vec<MemberKey> =
            held.map(|member| (organization, removed.user, member.place.project())).collect();
        for key in keys {
            let undo = self.people.set_member(key, None);
            self.keep(|| Undo::People(undo));
        }
        self.refresh_sessions(line, organization, removed.user)?;
        if removed.tokens == Fate::Keep {
            return Ok(());
        }
        let tokens: Vec<TokenId> = self
            .answered_for(removed.user, place)
            .filter(|token| self.own_revocation(token).is_none())
            .map(|t| t.id)
            .collect();
        let end = removal(line, self.version());
        for token in tokens {
            self.change_token(token, |token| match removed.tokens {
                Fate::HandOver => token.person = removed.to,
                Fate::Keep | Fate::Revoke => token.revocation = Some(Arc::clone(&end)),
            })?;
        }
        Ok(())
    }

    fn offboard(&mut self, line: &Line, id: UserId) -> Result<(), Corrupt> {
        let user = self.people.user(id).ok_or_else(|| missing("user", id))?;
        let left = User { offboarded_at: Some(line.at), revision: self.version(), ..(**user).clone() };
        let undo = self.people.put_user(left);
        self.keep(|| Undo::People(undo));
        Ok(())
    }

    fn erase(&mut self, line: &Line, id: UserId) -> Result<(), Corrupt> {
        let user = self.people.user(id).ok_or_else(|| missing("user", id))?;
        let erased = User { erased_at: Some(line.at), revision: self.version(), ..(**user).clone() };
        let undo = self.people.put_user(erased);
        self.keep(|| Undo::People(undo));
        Ok(())
    }

    /// A person as a caller: what it may do in an organization is what its memberships there give.
    pub fn person(&self, organization: OrganizationId, user: UserId) -> Caller {
        let grants = self.grants_of(organization, user);
        Caller::of_token(&Arc::new(session(organization, user, grants)))
    }

    /// What a person's memberships in an organization give, as grants of a token of that organization. A deleted project
    /// gives nothing more.
    fn grants_of(&self, organization: OrganizationId, user: UserId) -> Arc<[Grant]> {
        let held = self.people.memberships(organization, user);
        let held = held.filter(|member| self.end_of(member.place).is_none());
        let grant =
            |member: &Arc<Member>| Grant { role: member.role.clone(), project: member.place.project() };
        let mut grants: Vec<Grant> = held.map(grant).collect();
        grants.sort_unstable();
        grants.into()
    }

    /// The minted tokens at a place, or inside it, that a person answers for.
    pub fn answered_for(&self, user: UserId, place: Scope) -> impl Iterator<Item = &Arc<Token>> {
        self.tokens.of_person(user).filter(move |token| !token.session && place.contains(token.scope))
    }

    /// The members who hold a role, and not another of the same name, where nothing was deleted.
    pub fn members_with<'a>(&'a self, role: &'a Role) -> impl Iterator<Item = &'a Arc<Member>> {
        let of_one = role.organization.map(|id| self.people.members_after(id, None));
        let of_all = role.organization.is_none().then(|| self.people.members.values());
        let all = of_one.into_iter().flatten().chain(of_all.into_iter().flatten());
        all.filter(|member| member.role == role.name && self.is_there(role, member.place))
    }

    /// The invitations that give a role and can be accepted at `at`.
    pub fn invitations_with<'a>(
        &'a self,
        role: &'a Role,
        at: Timestamp,
    ) -> impl Iterator<Item = &'a Arc<Invitation>> {
        let of_one = role.organization.map(|id| self.people.invitations_after(id, None));
        let of_all = role.organization.is_none().then(|| self.people.invitations.values());
        let all = of_one.into_iter().flatten().chain(of_all.into_iter().flatten());
        all.filter(move |invitation| {
            invitation.role == role.name
                && invitation.status(at) == InvitationStatus::Open
                && self.is_there(role, invitation.place)
        })
    }

    /// Whether a role's name stands for it at a place that was not deleted.
    fn is_there(&self, role: &Role, place: Scope) -> bool {
        let found = self.role(place.organization(), &role.name);
        found.is_some_and(|found| found.organization == role.organization) && self.end_of(place).is_none()
    }

    /// Puts one role in another's place for all members, with their sessions, and all open invitations.
    pub(super) fn replace_role_of_people(
        &mut self,
        line: &Line,
        role: &Role,
        replacement: &Name,
    ) -> Result<(), Corrupt> {
        let held: Vec<(UserId, Scope)> = self.members_with(role).map(|one| (one.user, one.place)).collect();
        for (user, place) in held {
            self.put_member(line, user, place, replacement);
            let organization = place.organization().expect("members are of organizations");
            self.refresh_sessions(line, organization, user)?;
        }
        let open = self.invitations_with(role, line.at);
        let open: Vec<_> = open.filter_map(|one| Some((one.place.organization()?, one.id))).collect();
        for (organization, id) in open {
            self.change_invitation(organization, id, |invitation| invitation.role = replacement.clone())?;
        }
        Ok(())
    }

    /// Takes from the sessions of a project's members what the project gave.
    pub(super) fn refresh_sessions_of(
        &mut self,
        line: &Line,
        organization: OrganizationId,
        project: ProjectId,
    ) -> Result<(), Corrupt> {
        let members = self.people.members_after(organization, None);
        let of_project = members.filter(|member| member.place.project() == Some(project));
        let users: Vec<UserId> = of_project.map(|member| member.user).collect();
        users.into_iter().try_for_each(|user| self.refresh_sessions(line, organization, user))
    }

    /// Gives a person's sessions in an organization what the memberships there give; without any they end.
    fn refresh_sessions(
        &mut self,
        line: &Line,
        organization: OrganizationId,
        user: UserId,
    ) -> Result<(), Corrupt> {
        let grants = self.grants_of(organization, user);
        let grants = self.tokens.share(&grants);
        let end = removal(line, self.version());
        let sessions = self.people.sessions.get(&(organization, user)).cloned().unwrap_or_default();
        let is_live =
            |id: &TokenId| self.tokens.get(*id).is_some_and(|session| self.own_revocation(session).is_none());
        for session in sessions.into_iter().filter(is_live).collect::<Vec<_>>() {
            self.change_token(session, |token| {
                token.grants = Arc::clone(&grants);
                token.revocation = grants.is_empty().then(|| Arc::clone(&end));
            })?;
        }
        Ok(())
    }

    fn require_invitation(
        &self,
        organization: OrganizationId,
        id: InvitationId,
    ) -> Result<&Arc<Invitation>, Corrupt> {
        self.people.invitation(organization, id).ok_or_else(|| missing("invitation", id))
    }

    fn change_invitation(
        &mut self,
        organization: OrganizationId,
        id: InvitationId,
        change: impl FnOnce(&mut Invitation),
    ) -> Result<(), Corrupt> {
        let mut invitation = (**self.require_invitation(organization, id)?).clone();
        change(&mut invitation);
        invitation.revision = self.version();
        let undo = self.people.put_invitation(invitation);
        self.keep(|| Undo::People(undo));
        Ok(())
    }

    fn set_text(&mut self, hash: Option<SecretHash>, invitation: Option<(OrganizationId, InvitationId)>) {
        if let Some(hash) = hash {
            let undo = self.people.set_text(hash, invitation);
            self.keep(|| Undo::People(undo));
        }
    }
}

/// A session of nobody's yet: without a secret, and without an end.
fn session(organization: OrganizationId, user: UserId, grants: Arc<[Grant]>) -> Token {
    Token {
        id: TokenId(uuid::Uuid::nil()),
        scope: Scope::Organization(organization),
        name: Box::default(),
        description: None,
        metadata: None,
        grants,
        hash: SecretHash([0; 32]),
        prefix: Prefix::of("chyu_0000000").expect("it has 12 visible characters"),
        secret: 0,
        previous: None,
        parent: None,
        narrowed: false,
        not_before: None,
        expires_at: None,
        allowed_networks: Networks::default(),
        secret_since: Timestamp::default(),
        created_at: Timestamp::default(),
        created_by: By::Session(user),
        person: Some(user),
        session: true,
        revision: 0,
        revocation: None,
    }
}

fn place(organization: OrganizationId, project: Option<ProjectId>) -> Scope {
    project.map_or(Scope::Organization(organization), |project| Scope::Project(organization, project))
}

fn inviter(line: &Line) -> Inviter {
    Inviter { by: line.actor.by.clone(), token: line.actor.token }
}

fn removal(line: &Line, version: u64) -> Arc<Revocation> {
    let (at, by) = (line.at, line.actor.by.clone());
    let reason = match line.event {
        Event::ProjectDeleted { .. } => Reason::ProjectDeleted,
        _ => Reason::MemberRemoved,
    };
    Arc::new(Revocation { at, by, reason, note: None, cause: None, cascade: None, version })
}
