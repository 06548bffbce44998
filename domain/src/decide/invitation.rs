//! Invitations: given, given again, withdrawn, accepted.

use super::mint::{Entropy, Expiry, resolve_expiry};
use super::{Decision, ScopeText, check_revision, find_organization, member};
use crate::authority::{Caller, Principal, Reach};
use crate::event::{By, Event, Subject};
use crate::id::{InvitationId, TokenId, UserId};
use crate::name::Name;
use crate::network::Networks;
use crate::people::{InvitationAccepted, InvitationReissued, Issue, MemberInvited};
use crate::rejection::Rejection;
use crate::role;
use crate::scope::{Grant, Scope};
use crate::secret::{Kind, Secret, SecretHash};
use crate::state::{Invitation, InvitationStatus, Inviter, Role, State, Status, Token};
use crate::time::Timestamp;
use crate::verify::Code;
use std::sync::Arc;
use std::time::Duration;

/// How long an invitation can be accepted when nothing else is said.
const USUAL: Duration = Duration::from_hours(7 * 24);
/// The longest that it can be.
const LONGEST: Duration = Duration::from_hours(90 * 24);
/// How long a session lasts.
pub const SESSION: Duration = Duration::from_hours(24);

/// Ask somebody to become a member.
#[derive(Debug)]
pub struct Invite {
    /// The new invitation.
    pub id: InvitationId,
    /// To an organization or a project.
    pub place: ScopeText,
    /// What the member will hold there.
    pub role: String,
    /// Commitment to the mail address.
    pub email: Box<str>,
    /// How it is given out.
    pub giving: Giving,
}

/// How an invitation is given out.
#[derive(Debug)]
pub struct Giving {
    /// What its text is made of.
    pub entropy: Entropy,
    /// How long it can be accepted; `Inherited` is the usual seven days.
    pub expiry: Expiry,
    /// Whether the text goes to the mail address, and to nobody else.
    pub by_mail: bool,
}

/// Give an invitation another text: the one before is no longer accepted.
#[derive(Debug)]
pub struct Reissue {
    /// Its organization, by name or id.
    pub organization: String,
    /// Which.
    pub invitation: InvitationId,
    /// How it is given out.
    pub giving: Giving,
}

/// Take an invitation back.
#[derive(Clone, Debug)]
pub struct Withdraw {
    /// Its organization, by name or id.
    pub organization: String,
    /// Which.
    pub invitation: InvitationId,
}

/// Become a member, and have a session.
#[derive(Debug)]
pub struct Accept {
    /// BLAKE3 of the invitation's text.
    pub text: SecretHash,
    /// Commitment to the person's name.
    pub name: Option<Box<str>>,
    /// The session.
    pub session: TokenId,
    /// What the session's secret is made of.
    pub entropy: Entropy,
}

pub(super) fn authorize_invite(state: &State, caller: &Caller, invite: &Invite) -> Result<Scope, Rejection> {
    let place = invite.place.find(state, caller)?;
    caller.require(state, "members:invite", place)?;
    Ok(place)
}

pub(super) fn invite(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    invite: &Invite,
) -> Result<Decision, Rejection> {
    let place = authorize_invite(state, caller, invite)?;
    if place == Scope::Instance {
        return Err(Rejection::invalid("organization", "", "the name or id of an organization".to_owned()));
    }
    let role = read_role(state, place, &invite.role)?;
    let told = require_may_give(state, caller, at, place, &role)?;
    let (issue, secret) = issue(at, &invite.giving, told)?;
    let (project, email) = (place.project(), invite.email.clone());
    let event = MemberInvited { invitation: invite.id, project, role: role.name.clone(), email, issue };
    let organization = place.organization().expect("the instance was refused");
    let subject = Subject::Invitation(organization, invite.id);
    let decision = Decision::new(Some(organization), vec![Event::MemberInvited(event)], subject);
    Ok(Decision { secret, ..decision })
}

/// The answer to a repeated request may hand the text out again, so the caller still has to hold what it gives.
pub(super) fn authorize_repeated_invite(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    subject: Subject,
) -> Result<(), Rejection> {
    let Subject::Invitation(organization, id) = subject else { return Ok(()) };
    let Some(found) = state.people().invitation(organization, id) else { return Ok(()) };
    if !caller.may_know(found.place) {
        return Err(Rejection::not_found("invitation", &id));
    }
    caller.require(state, "members:invite", found.place)?;
    let role = read_role(state, found.place, found.role.as_str())?;
    require_may_give(state, caller, at, found.place, &role).map(drop)
}

pub(super) fn authorize_reissue<'a>(
    state: &'a State,
    caller: &Caller,
    at: Timestamp,
    organization: &str,
    invitation: InvitationId,
) -> Result<(&'a Arc<Invitation>, Told), Rejection> {
    let found = authorize_withdraw(state, caller, organization, invitation)?;
    let role = read_role(state, found.place, found.role.as_str())?;
    let told = require_may_give(state, caller, at, found.place, &role)?;
    Ok((found, told))
}

pub(super) fn reissue(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    reissue: &Reissue,
    expected: Option<u64>,
) -> Result<Decision, Rejection> {
    let (found, told) = authorize_reissue(state, caller, at, &reissue.organization, reissue.invitation)?;
    check_revision(found.revision, expected)?;
    if matches!(found.status(at), InvitationStatus::Accepted | InvitationStatus::Withdrawn) {
        return Err(ended(found, at));
    }
    let (issue, secret) = issue(at, &reissue.giving, told)?;
    let events = vec![Event::InvitationReissued(InvitationReissued { invitation: found.id, issue })];
    Ok(Decision { secret, ..about(found, events) })
}

/// An invitation is taken back by whoever gave it, or holds what it gives.
pub(super) fn authorize_withdraw<'a>(
    state: &'a State,
    caller: &Caller,
    organization: &str,
    invitation: InvitationId,
) -> Result<&'a Arc<Invitation>, Rejection> {
    let found = find_invitation(state, caller, organization, invitation)?;
    caller.require(state, "members:invite", found.place)?;
    if !gave(caller, found) {
        member::require_holds(state, caller, found.place, &found.role)?;
    }
    Ok(found)
}

pub(super) fn withdraw(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    withdraw: &Withdraw,
    expected: Option<u64>,
) -> Result<Decision, Rejection> {
    let found = authorize_withdraw(state, caller, &withdraw.organization, withdraw.invitation)?;
    check_revision(found.revision, expected)?;
    match found.status(at) {
        InvitationStatus::Accepted => Err(ended(found, at)),
        InvitationStatus::Withdrawn => Ok(about(found, Vec::new())),
        InvitationStatus::Open | InvitationStatus::Expired => {
            Ok(about(found, vec![Event::InvitationWithdrawn { invitation: found.id }]))
        }
    }
}

pub(super) fn accept(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    accept: &Accept,
) -> Result<Decision, Rejection> {
    let user = authorize_accept(caller)?;
    let Some(found) = state.people().invitation_by_text(&accept.text) else {
        return Err(Rejection::not_found("invitation", "…"));
    };
    if found.status(at) != InvitationStatus::Open {
        return Err(ended(found, at));
    }
    let organization = found.place.organization().expect("invitations are of organizations");
    match state.closed(found.place) {
        None => {}
        Some(Code::Revoked) => {
            return Err(Rejection::InvitationEnded { state: "is void: what it invites to was deleted" });
        }
        Some(code) => return Err(Rejection::Unauthenticated(code)),
    }
    if !still_holds(state, found, at) {
        let state = "is void: whoever gave it may no longer give this role";
        return Err(Rejection::InvitationEnded { state });
    }
    if state.people().member(organization, user, found.place.project()).is_some() {
        return Err(Rejection::AlreadyMember { place: state.describe(found.place) });
    }
    let secret = Secret::from_entropy(Kind::Session, &accept.entropy.0);
    let is_known = state.people().user(user).is_some();
    let event = InvitationAccepted {
        invitation: found.id,
        user,
        name: accept.name.clone().filter(|_| !is_known),
        token: accept.session,
        hash: secret.hash(),
        prefix: secret.prefix(),
        expires_at: at.after(SESSION),
    };
    let subject = Subject::Token(accept.session);
    let decision = Decision::new(Some(organization), vec![Event::InvitationAccepted(event)], subject);
    Ok(Decision { secret: Some(secret), ..decision })
}

/// The person that an acceptance makes a member: a new one, or the one whose session is shown with it.
pub(super) fn authorize_accept(caller: &Caller) -> Result<UserId, Rejection> {
    let person = match &caller.principal {
        Principal::Invited(user) => Some(*user),
        Principal::Token(token, _) => token.person.filter(|_| token.session),
        Principal::AdminToken | Principal::System(_) | Principal::Outsider(_) => None,
    };
    person.ok_or_else(|| {
        let expected = "a person: show a session, or no credential at all".to_owned();
        Rejection::invalid("caller", &caller.by().to_string(), expected)
    })
}

/// Whether the text of an invitation is told to who gives it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Yes,
    /// It reaches only the mail address, or an owner who asks for it.
    No,
}

/// Refuses unless the caller may make somebody a member with this role: it has to hold the role itself, for as long
/// and from wherever. The exception is the provisioner's, which holds nothing inside an organization: it may invite the
/// first owner, as long as nobody else has, and whoever becomes no more than a member.
fn require_may_give(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    place: Scope,
    role: &Role,
) -> Result<Told, Rejection> {
    let Err(refused) = require_holds(state, caller, place, role) else { return Ok(Told::Yes) };
    if !caller.may(state, "members:invite", Scope::Instance) {
        return Err(refused);
    }
    if role.name.as_str() == role::OWNER {
        let is_of_another = |open: &Arc<Invitation>| {
            open.role == role.name && open.status(at) == InvitationStatus::Open && !gave(caller, open)
        };
        let is_first = place.organization().is_some_and(|id| {
            let people = state.people();
            !people.was_owned(id) && !people.invitations_after(id, None).any(is_of_another)
        });
        return if is_first { Ok(Told::Yes) } else { Err(refused) };
    }
    let member = Name::label(role::MEMBER).and_then(|name| state.role(None, &name));
    let is_within = |most: &Arc<Role>| role.permissions.patterns().iter().all(|p| most.permissions.covers(p));
    if member.is_some_and(is_within) { Ok(Told::No) } else { Err(refused) }
}

/// Whether the caller gave an invitation's present text out, or is the person of the session that did.
fn gave(caller: &Caller, invitation: &Invitation) -> bool {
    let Inviter { by, token } = &invitation.inviter;
    match caller.token() {
        Some(own) => *token == Some(own.id) || (own.session && own.by() == *by),
        None => caller.by() == *by,
    }
}

fn require_holds(state: &State, caller: &Caller, place: Scope, role: &Role) -> Result<(), Rejection> {
    let grants = [Grant { role: role.name.clone(), project: None }];
    let networks = Networks::default();
    // A membership has no end and is bound to no network, so neither may be what gives it.
    caller
        .require_reach(state, &Reach { scope: place, grants: &grants, expires_at: None, networks: &networks })
}

/// Whether who gave an invitation out may still give what it gives.
fn still_holds(state: &State, invitation: &Invitation, at: Timestamp) -> bool {
    let giver = match (&invitation.inviter.by, invitation.inviter.token) {
        (By::AdminToken | By::System(_), _) => return true,
        (_, Some(id)) => state.tokens().get(id),
        (By::Token(..) | By::Session(_) | By::Partner(_) | By::Anonymous, None) => None,
    };
    let Some(caller) = giver.and_then(|token| giver_now(state, token, at)) else { return false };
    let role = state.role(invitation.place.organization(), &invitation.role);
    caller.may(state, "members:invite", invitation.place)
        && role.is_some_and(|role| require_may_give(state, &caller, at, invitation.place, role).is_ok())
}

/// Who gave an invitation out, with what it holds now. A session stands for its person, who outlasts its time and holds
/// what the memberships give. A session that was revoked stands for nobody: whoever had it may not have been the person.
fn giver_now(state: &State, token: &Arc<Token>, at: Timestamp) -> Option<Caller> {
    match (token.person.filter(|_| token.session), token.scope.organization()) {
        (Some(user), Some(organization)) => {
            state.own_revocation(token).is_none().then(|| state.person(organization, user))
        }
        _ => (state.status(token, at) == Status::Live).then(|| Caller::of_token(token)),
    }
}

fn issue(at: Timestamp, giving: &Giving, told: Told) -> Result<(Issue, Option<Secret>), Rejection> {
    let expiry = match giving.expiry {
        Expiry::Inherited => Expiry::In(USUAL),
        other => other,
    };
    let end = resolve_expiry("expires_in", expiry, None, at)?;
    let Some(expires_at) = end.filter(|end| *end <= at.after(LONGEST)) else {
        let given = end.map_or_else(|| "never".to_owned(), |end| end.to_string());
        return Err(Rejection::invalid("expires_in", &given, "at most 90 days (90d)".to_owned()));
    };
    let is_given = giving.by_mail || told == Told::Yes;
    let secret = is_given.then(|| Secret::from_entropy(Kind::Invitation, &giving.entropy.0));
    let hash = secret.as_ref().map(Secret::hash);
    Ok((Issue { hash, mailed: giving.by_mail, expires_at }, secret))
}

/// The role of this name, if it can be held at a place.
pub(super) fn read_role(state: &State, place: Scope, text: &str) -> Result<Arc<Role>, Rejection> {
    let named = Name::label(text).and_then(|name| state.role(place.organization(), &name));
    named.filter(|role| role.level == place.level()).cloned().ok_or_else(|| {
        let own = place.organization().into_iter().flat_map(|id| state.roles_of(Some(id)));
        let roles = state.roles_of(None).chain(own).filter(|role| role.level == place.level());
        let names: Vec<&str> = roles.map(|role| role.name.as_str()).collect();
        Rejection::invalid("role", text, format!("one of {}", names.join(", ")))
    })
}

/// An invitation that the caller may read, or gave out itself.
pub(crate) fn find_invitation<'a>(
    state: &'a State,
    caller: &Caller,
    organization: &str,
    id: InvitationId,
) -> Result<&'a Arc<Invitation>, Rejection> {
    let organization = find_organization(state, caller, organization)?.id;
    let found = state.people().invitation(organization, id);
    let is_visible = |found: &&Arc<Invitation>| {
        caller.may(state, "members:read", found.place)
            || (caller.may(state, "members:invite", found.place) && gave(caller, found))
    };
    found.filter(is_visible).ok_or_else(|| Rejection::not_found("invitation", &id))
}

fn about(invitation: &Invitation, events: Vec<Event>) -> Decision {
    let organization = invitation.place.organization().expect("invitations are of organizations");
    Decision::new(Some(organization), events, Subject::Invitation(organization, invitation.id))
}

fn ended(invitation: &Invitation, at: Timestamp) -> Rejection {
    let state = match invitation.status(at) {
        InvitationStatus::Accepted => "was accepted",
        InvitationStatus::Withdrawn => "was withdrawn",
        InvitationStatus::Expired => "has expired",
        InvitationStatus::Open => "is open",
    };
    Rejection::InvitationEnded { state }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{Command, SuspendOrganization, TokensFate};
    use crate::testing::{World, absent, admin, forbidden, invalid, missing, only, types};

    const DAY: Duration = Duration::from_hours(24);

    fn over<T: std::fmt::Debug>(result: Result<T, Rejection>) -> &'static str {
        match result {
            Err(Rejection::InvitationEnded { state }) => state,
            other => panic!("not ended: {other:?}"),
        }
    }

    fn withdraw(world: &mut World, caller: &Caller, invitation: InvitationId) -> Result<Decision, Rejection> {
        world.run(caller, Command::Withdraw(Withdraw { organization: "acme".to_owned(), invitation }))
    }

    fn reissue(world: &mut World, caller: &Caller, invitation: InvitationId) -> Result<Decision, Rejection> {
        let giving = Giving { entropy: world.entropy(), expiry: Expiry::Inherited, by_mail: false };
        world.run(caller, Command::Reissue(Reissue { organization: "acme".to_owned(), invitation, giving }))
    }

    #[test]
    fn an_accepted_invitation_gives_a_session_of_24_hours_that_does_what_the_role_does() {
        let mut world = World::with_tenants();
        let (_, text) = world.invite(&admin(), "acme", "member").unwrap();
        let text = text.unwrap();
        assert!(text.starts_with("chyn_") && !world.lines.concat().contains(&text));
        let (user, session) = world.accept(&text).unwrap();
        let token = world.token(session);
        assert_eq!(token.expires_at, Some(world.at.after(SESSION)));
        assert!(world.secret(session, 0).starts_with("chyu_"));
        let caller = world.log_in(session, 0, None).unwrap();
        assert_eq!(caller.by().to_string(), format!("session:{user}"));
        assert!(caller.may(&world.state, "tokens:mint", world.scope("acme")));
        assert!(!caller.may(&world.state, "members:invite", world.scope("acme")));
        assert!(!caller.may(&world.state, "tokens:read", world.scope("other")));
        assert_eq!(over(world.accept(&text)), "was accepted");
        world.pass(SESSION);
        assert_eq!(world.log_in(session, 0, None).unwrap_err(), Code::Expired);
    }

    #[test]
    fn a_session_stands_for_its_person_who_outlasts_it() {
        let mut world = World::with_tenants();
        let (user, session) = world.join("acme", "member");
        let caller = world.caller(session);
        let minted =
            world.mint_by(&caller, "acme", &["member"], |p| p.expiry = Expiry::In(90 * DAY)).unwrap();
        let unsaid = world.mint_by(&caller, "acme", &["member"], |_| ()).unwrap();
        assert_eq!(world.token(minted).expires_at, Some(world.at.after(90 * DAY)));
        assert_eq!((world.token(unsaid).expires_at, world.token(unsaid).parent), (None, Some(session)));
        assert_eq!(world.token(minted).created_by.to_string(), format!("session:{user}"));
        let beyond = missing(world.mint_by(&caller, "acme", &["admin"], |_| ()));
        assert!(beyond.contains(&"members:* at organization acme".to_owned()), "{beyond:?}");
        // What is narrowed from the session ends with it, and so does what that mints.
        let narrow = world.narrow(&caller, None, |_| ()).unwrap();
        let narrowed = world.caller(narrow);
        assert_eq!(world.state.expiry(world.token(narrow)), Some(world.at.after(SESSION)));
        let long = world.mint_by(&narrowed, "acme", &["member"], |p| p.expiry = Expiry::In(90 * DAY));
        assert_eq!(missing(long), [format!("time from {} on", world.at.after(SESSION))]);
        world.pass(SESSION);
        assert!(world.log_in(minted, 0, None).is_ok() && world.log_in(narrow, 0, None).is_err());
    }

    #[test]
    fn nobody_else_comes_to_hold_a_session() {
        let mut world = World::with_tenants();
        let (_, session) = world.join("acme", "member");
        let own = world.caller(session);
        for caller in [&admin(), &own] {
            let refused = world.rotate(caller, session, Duration::ZERO);
            assert!(matches!(refused, Err(Rejection::Invalid { .. } | Rejection::Forbidden { .. })));
            let refused = world.update(caller, session, |u| u.expiry = Some(Expiry::Never));
            assert!(matches!(refused, Err(Rejection::Invalid { .. } | Rejection::Forbidden { .. })));
        }
        world.revoke(&own, session, false).unwrap();
        assert_eq!(world.log_in(session, 0, None).unwrap_err(), Code::Revoked);
    }

    #[test]
    fn who_invites_holds_all_that_the_member_will_for_as_long_and_from_wherever() {
        let mut world = World::with_tenants();
        let people = [
            ("acme", "owner", "owner", true),
            ("acme", "admin", "admin", true),
            ("acme", "admin", "owner", false),
            ("instance", "instance-admin", "owner", true),
        ];
        for (scope, holds, role, is_allowed) in people {
            let caller = world.mint(scope, &[holds]);
            let caller = world.caller(caller);
            let invited = world.invite(&caller, "acme", role);
            assert_eq!(invited.is_ok(), is_allowed, "{holds} {role}");
        }
        let member = world.mint("acme", &["member"]);
        let member = world.caller(member);
        assert_eq!(forbidden(world.invite(&member, "acme", "member")), "members:invite at organization acme");
        let bound = world.mint_by(&admin(), "acme", &["admin"], |p| {
            p.expiry = Expiry::In(DAY);
            p.allowed_networks = vec!["10.0.0.0/8".to_owned()];
        });
        let bound = world.caller(bound.unwrap());
        assert_eq!(missing(world.invite(&bound, "acme", "member")).len(), 2);
        let project = world.mint("acme/web", &["project-admin"]);
        let project = world.caller(project);
        assert!(world.invite(&project, "acme/web", "project-writer").is_ok());
        assert_eq!(
            forbidden(world.invite(&project, "acme", "member")),
            "members:invite at organization acme"
        );
        assert!(absent(world.invite(&project, "acme/api", "project-writer")));
        for (place, role) in [("acme", "project-admin"), ("acme/web", "member"), ("acme", "instance-admin")] {
            assert_eq!(invalid(world.invite(&admin(), place, role)), "role");
        }
        assert_eq!(invalid(world.invite(&admin(), "instance", "instance-admin")), "organization");
    }

    #[test]
    fn a_provisioner_invites_the_first_owner_and_then_members_without_being_told_their_texts() {
        let mut world = World::with_tenants();
        let provisioner = world.mint("instance", &["provisioner"]);
        let provisioner = world.caller(provisioner);
        assert!(world.invite(&provisioner, "acme", "member").unwrap().1.is_none());
        missing(world.invite(&provisioner, "acme", "admin"));
        let (_, first) = world.invite(&provisioner, "acme", "owner").unwrap();
        let (_, second) = world.invite(&provisioner, "acme", "owner").unwrap();
        let (owner, session) = world.accept(&first.unwrap()).unwrap();
        // The second was given while there was none; now it would be a way past the owner.
        assert!(over(world.accept(&second.unwrap())).starts_with("is void"));
        missing(world.invite(&provisioner, "acme", "owner"));
        let (silent, text) = world.invite(&provisioner, "acme", "member").unwrap();
        assert!(text.is_none());
        let boss = world.caller(session);
        let text = reissue(&mut world, &boss, silent).unwrap().secret.unwrap().into_text();
        world.accept(&text).unwrap();
        assert!(world.state.people().is_last_owner(world.scope("acme").organization().unwrap(), owner));
        // Never again, not even when nobody owns it any more.
        assert!(world.state.people().was_owned(world.scope("acme").organization().unwrap()));
    }

    #[test]
    fn the_authority_of_the_inviter_is_looked_at_again() {
        let mut world = World::with_tenants();
        let ends: [fn(&mut World, crate::id::TokenId, UserId); 4] = [
            |world, _, _| world.pass(SESSION),
            |world, session, _| drop(world.revoke(&admin(), session, false).unwrap()),
            |world, _, user| drop(world.set_role(&admin(), "acme", user, "member").unwrap()),
            |world, _, user| drop(world.remove(&admin(), "acme", user, TokensFate::default()).unwrap()),
        ];
        // The end of the session's time is not the end of the person.
        for (end, holds) in ends.into_iter().zip([true, false, false, false]) {
            let (user, session) = world.join("acme", "admin");
            let inviter = world.caller(session);
            let (_, text) = world.invite(&inviter, "acme", "admin").unwrap();
            end(&mut world, session, user);
            assert_eq!(world.accept(&text.unwrap()).is_ok(), holds);
        }
        let token = world.mint("acme", &["admin"]);
        let inviter = world.caller(token);
        let (_, text) = world.invite(&inviter, "acme", "admin").unwrap();
        world.revoke(&admin(), token, false).unwrap();
        assert!(over(world.accept(&text.unwrap())).starts_with("is void"));
    }

    #[test]
    fn nobody_returns_through_an_invitation_of_a_session_that_was_revoked() {
        let mut world = World::with_tenants();
        world.join("acme", "owner");
        let (user, session) = world.join("acme", "owner");
        let caller = world.caller(session);
        let (_, text) = world.invite(&caller, "acme", "owner").unwrap();
        world.revoke(&caller, session, false).unwrap();
        world.offboard(&admin(), user, TokensFate::default()).unwrap();
        assert!(over(world.accept(&text.unwrap())).starts_with("is void"));
    }

    #[test]
    fn a_provisioner_gives_no_organization_away_that_tokens_own_or_another_has_promised() {
        let mut world = World::with_tenants();
        let [first, second] = [(); 2].map(|()| world.mint("instance", &["provisioner"]));
        let [first, second] = [first, second].map(|id| world.caller(id));
        let (_, text) = world.invite(&first, "acme", "owner").unwrap();
        missing(world.invite(&second, "acme", "owner"));
        world.mint("acme", &["owner"]);
        missing(world.invite(&first, "acme", "owner"));
        assert!(over(world.accept(&text.unwrap())).starts_with("is void"));
        let (_, text) = world.invite(&second, "other", "owner").unwrap();
        world.invite(&admin(), "other", "owner").unwrap();
        assert!(over(world.accept(&text.unwrap())).starts_with("is void"));
        let mut regranted = World::with_tenants();
        let (id, token) = (regranted.mint("instance", &["provisioner"]), regranted.mint("acme", &["member"]));
        let caller = regranted.caller(id);
        let owner = |update: &mut crate::decide::Update| update.grants = Some(vec!["owner".to_owned()]);
        regranted.tentatively(|world| world.update(&admin(), token, owner).unwrap());
        assert!(regranted.tentatively(|world| world.invite(&caller, "acme", "owner")).is_ok());
        regranted.update(&admin(), token, owner).unwrap();
        regranted.revoke(&admin(), token, false).unwrap();
        missing(regranted.invite(&caller, "acme", "owner"));
    }

    #[test]
    fn an_invitation_is_taken_back_by_who_gave_it_or_holds_what_it_gives() {
        let mut world = World::with_tenants();
        let provisioner = world.mint("instance", &["provisioner"]);
        let provisioner = world.caller(provisioner);
        let (own, _) = world.invite(&provisioner, "acme", "member").unwrap();
        let (member, _) = world.invite(&admin(), "acme", "member").unwrap();
        let (owner, _) = world.invite(&admin(), "acme", "owner").unwrap();
        assert!(absent(withdraw(&mut world, &provisioner, member)));
        assert!(absent(reissue(&mut world, &provisioner, member)));
        reissue(&mut world, &provisioner, own).unwrap();
        withdraw(&mut world, &provisioner, own).unwrap();
        let boss = world
            .mint_by(&admin(), "acme", &["admin"], |particulars| particulars.expiry = Expiry::In(DAY))
            .unwrap();
        let boss = world.caller(boss);
        missing(withdraw(&mut world, &boss, owner));
        missing(reissue(&mut world, &boss, owner));
        withdraw(&mut world, &boss, member).unwrap();
    }

    #[test]
    fn an_invitation_ends_by_time_withdrawal_and_another_text() {
        let mut world = World::with_tenants();
        let (id, old) = world.invite(&admin(), "acme", "member").unwrap();
        let old = old.unwrap();
        let new = reissue(&mut world, &admin(), id).unwrap().secret.unwrap().into_text();
        assert!(absent(world.accept(&old)));
        world.pass_almost(USUAL);
        world.tentatively(|world| world.accept(&new).unwrap());
        world.pass(Duration::from_micros(1));
        assert_eq!(over(world.accept(&new)), "has expired");
        let new = reissue(&mut world, &admin(), id).unwrap().secret.unwrap().into_text();
        assert_eq!(types(&withdraw(&mut world, &admin(), id).unwrap()), ["InvitationWithdrawn"]);
        assert!(withdraw(&mut world, &admin(), id).unwrap().events.is_empty());
        assert_eq!(over(world.accept(&new)), "was withdrawn");
        assert_eq!(over(reissue(&mut world, &admin(), id)), "was withdrawn");
        assert_eq!(world.state.difference(&world.folded()), None);
        let stranger = world.mint("other", &["owner"]);
        let stranger = world.caller(stranger);
        assert!(absent(withdraw(&mut world, &stranger, id)) && absent(reissue(&mut world, &stranger, id)));
    }

    #[test]
    fn how_long_an_invitation_holds_is_bounded() {
        let mut world = World::with_tenants();
        for (expiry, is_right) in [
            (Expiry::In(Duration::from_hours(1)), true),
            (Expiry::In(LONGEST), true),
            (Expiry::In(LONGEST + Duration::from_micros(1)), false),
            (Expiry::In(Duration::ZERO), false),
            (Expiry::Never, false),
        ] {
            let giving = Giving { entropy: world.entropy(), expiry, by_mail: true };
            let place = ScopeText::Organization("acme".to_owned());
            let (id, email) = (InvitationId(world.id()), "email".into());
            let invite = Invite { id, place, role: "member".to_owned(), email, giving };
            let invited = world.run(&admin(), Command::Invite(invite));
            match (invited, is_right) {
                (Ok(decision), true) => {
                    assert!(matches!(only(&decision), Event::MemberInvited(e) if e.issue.mailed));
                }
                (refused, _) => assert_eq!(invalid(refused), "expires_in"),
            }
        }
    }

    #[test]
    fn who_is_known_stays_the_same_person_and_is_no_member_twice() {
        let mut world = World::with_tenants();
        let (user, session) = world.join("acme", "member");
        let caller = world.caller(session);
        let (_, text) = world.invite(&admin(), "other", "admin").unwrap();
        let other = world.accept_as(&caller, &text.unwrap()).unwrap();
        assert_eq!(world.token(other).person, Some(user));
        let (_, text) = world.invite(&admin(), "acme", "owner").unwrap();
        let twice = world.accept_as(&caller, &text.unwrap());
        assert!(matches!(twice, Err(Rejection::AlreadyMember { place }) if place == "organization acme"));
        let (_, text) = world.invite(&admin(), "acme/web", "project-admin").unwrap();
        world.accept_as(&caller, &text.unwrap()).unwrap();
        // Every session of the person has what the person has.
        let caller = world.caller(session);
        assert!(caller.may(&world.state, "deployments:create", world.scope("acme/web")));
        assert_eq!(invalid(world.accept_as(&admin(), "chyn_")), "caller");
        assert_eq!(world.state.difference(&world.folded()), None);
    }

    #[test]
    fn the_holder_of_an_invitation_may_do_nothing_but_accept_it() {
        let mut world = World::with_tenants();
        let invited = Caller::invited(UserId(world.id()), None);
        let acme = world.scope("acme");
        assert!(!invited.may(&world.state, "tokens:read", acme) && !invited.may_know(acme));
        assert!(!invited.may_somewhere(&world.state, "tokens:read", Scope::Instance));
        assert!(absent(world.mint_by(&invited, "acme", &["verifier"], |_| ())));
        forbidden(world.mint_by(&invited, "instance", &["provisioner"], |_| ()));
        let owner = Arc::clone(world.state.role(None, &Name::label(role::OWNER).unwrap()).unwrap());
        missing(require_holds(&world.state, &invited, acme, &owner));
        let mut suspended = World::with_tenants();
        let (_, text) = suspended.invite(&admin(), "acme", "member").unwrap();
        let (organization, note) = ("acme".to_owned(), None);
        suspended.admin(Command::SuspendOrganization(SuspendOrganization { organization, note }));
        let refused = suspended.accept(&text.unwrap()).unwrap_err();
        assert_eq!(refused, Rejection::Unauthenticated(Code::OrganizationSuspended));
    }
}
