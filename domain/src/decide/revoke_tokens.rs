//! The end of many tokens by one event: those of a scope that a filter chooses.

use super::Decision;
use super::mint::ScopeText;
use super::token::read_why;
use crate::authority::Caller;
use crate::event::{By, Event, Subject, TokenFilter, TokensRevoked};
use crate::id::{TokenId, UserId};
use crate::name::Name;
use crate::rejection::Rejection;
use crate::scope::Scope;
use crate::state::State;
use crate::time::Timestamp;

/// End all live tokens that a filter chooses.
#[derive(Debug)]
pub struct RevokeTokens {
    /// Which.
    pub filter: FilterText,
    /// How many they have to be: so many as whoever asks was shown.
    pub expected_count: u64,
    /// Why: `requested` or `leaked`.
    pub reason: Option<String>,
    /// Why, in somebody's words.
    pub note: Option<String>,
}

/// A filter as it is asked for, by names or ids. What is absent leaves none out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterText {
    /// Of the instance's own tokens, of those of an organization and all of its projects, or of those of one project.
    pub scope: ScopeText,
    /// Minted by this actor, or by the token with this id.
    pub created_by: Option<String>,
    /// The id of the person who answers for them: whoever minted them, or minted what minted them.
    pub person: Option<String>,
    /// Minted then or later.
    pub created_from: Option<Timestamp>,
    /// Minted earlier than then.
    pub created_before: Option<Timestamp>,
    /// Holding this role.
    pub role: Option<String>,
}

impl FilterText {
    /// What is meant, if the caller may revoke all of it.
    pub fn find(&self, state: &State, caller: &Caller) -> Result<(Scope, TokenFilter), Rejection> {
        let scope = self.scope.find(state, caller)?;
        caller.require(state, "tokens:revoke", scope)?;
        let mut filter = TokenFilter {
            project: scope.project(),
            created_from: self.created_from,
            created_before: self.created_before,
            role: self.role.as_deref().map(read_role).transpose()?,
            person: self.person.as_deref().map(read_person).transpose()?,
            ..TokenFilter::default()
        };
        match self.created_by.as_deref().map(read_creator).transpose()? {
            Some(Creator::Actor(by)) => filter.created_by = Some(by),
            Some(Creator::Token(id)) => filter.parent = Some(id),
            None => {}
        }
        if let (Some(from), Some(end)) = (self.created_from, self.created_before)
            && from >= end
        {
            let expected = format!("later than created_from, {from}");
            return Err(Rejection::invalid("created_before", &end.to_string(), expected));
        }
        Ok((scope, filter))
    }
}

enum Creator {
    Actor(By),
    Token(TokenId),
}

fn read_creator(text: &str) -> Result<Creator, Rejection> {
    let token = text.parse().map(Creator::Token).ok();
    token.or_else(|| By::parse(text).map(Creator::Actor)).ok_or_else(|| {
        let expected = "an actor as the log names it, such as org-token:chyo_4fT9aQ1, or the id of a token";
        Rejection::invalid("created_by", text, expected.to_owned())
    })
}

fn read_person(text: &str) -> Result<UserId, Rejection> {
    text.parse().map_err(|_| Rejection::invalid("person", text, "the id of a user".to_owned()))
}

fn read_role(text: &str) -> Result<Name, Rejection> {
    Name::label(text).ok_or_else(|| Rejection::invalid("role", text, "the name of a role".to_owned()))
}

pub(super) fn revoke_tokens(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    revoke: &RevokeTokens,
) -> Result<Decision, Rejection> {
    let (scope, filter) = revoke.filter.find(state, caller)?;
    let (reason, note) = read_why(revoke.reason.as_deref(), revoke.note.as_deref())?;
    let count = state.chosen(scope.organization(), &filter, at).count() as u64;
    if count != revoke.expected_count {
        return Err(Rejection::CountChanged { current: count, expected: revoke.expected_count });
    }
    let ended = (count > 0).then_some(Event::TokensRevoked(TokensRevoked { filter, count, reason, note }));
    Ok(Decision::new(scope.organization(), ended.into_iter().collect(), Subject::Tokens(scope, count)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{Command, Request};
    use crate::state::Status;
    use crate::testing::{World, absent, admin, forbidden, invalid, only, repeat, scope_text};
    use std::time::Duration;

    fn filter(scope: &str) -> FilterText {
        let scope = scope_text(scope);
        FilterText {
            scope,
            created_by: None,
            person: None,
            created_from: None,
            created_before: None,
            role: None,
        }
    }

    fn command(filter: FilterText, expected_count: u64) -> Command {
        Command::RevokeTokens(RevokeTokens { filter, expected_count, reason: None, note: None })
    }

    fn live(world: &World) -> usize {
        world
            .state
            .tokens()
            .iter()
            .filter(|token| world.state.status(token, world.at) == Status::Live)
            .count()
    }

    #[test]
    fn each_part_of_a_filter_leaves_out_what_it_is_not_true_of() {
        let mut world = World::with_tenants();
        let boss = world.mint("acme", &["owner"]);
        let by_boss = world.caller(boss);
        let start = world.at;
        world.pass(Duration::from_secs(1));
        let second = world.at;
        world.mint_by(&by_boss, "acme", &["member"], |_| ()).unwrap();
        world.mint_by(&by_boss, "acme/web", &["project-reader"], |_| ()).unwrap();
        world.pass(Duration::from_secs(1));
        let third = world.at;
        world.mint("acme", &["member", "project-reader@web"]);
        world.mint("other", &["member"]);
        world.mint("instance", &["instance-auditor"]);
        let of = |change: &dyn Fn(&mut FilterText)| {
            let mut wanted = filter("acme");
            change(&mut wanted);
            wanted
        };
        let actor = world.token(boss).by().to_string();
        for (wanted, count) in [
            (of(&|_| ()), 4),
            (of(&|f| f.created_by = Some(boss.to_string())), 2),
            (of(&|f| f.created_by = Some(actor.clone())), 2),
            (of(&|f| f.created_by = Some("admin-token".to_owned())), 2),
            (of(&|f| f.created_from = Some(second)), 3),
            (of(&|f| f.created_before = Some(third)), 3),
            (of(&|f| (f.created_from, f.created_before) = (Some(start), Some(second))), 1),
            (of(&|f| f.role = Some("project-reader".to_owned())), 2),
            (of(&|f| f.role = Some("never-defined".to_owned())), 0),
            (filter("acme/web"), 1),
            (filter("instance"), 1),
        ] {
            let before = live(&world);
            world.tentatively(|world| {
                for wrong in [count + 1, count + 7] {
                    let refused = world.run(&admin(), command(wanted.clone(), wrong)).unwrap_err();
                    assert_eq!(refused, Rejection::CountChanged { current: count, expected: wrong });
                }
                let done = world.run(&admin(), command(wanted.clone(), count)).unwrap();
                assert_eq!(done.events.len(), usize::from(count > 0), "{wanted:?}");
                assert_eq!(before - live(world), usize::try_from(count).unwrap(), "{wanted:?}");
            });
        }
    }

    #[test]
    fn all_that_a_person_minted_ends_with_what_that_minted_and_the_sessions() {
        let mut world = World::with_tenants();
        let (user, session) = world.join("acme", "admin");
        let (heir, _) = world.join("acme", "admin");
        let caller = world.caller(session);
        let minted = world.mint_by(&caller, "acme", &["admin"], |_| ()).unwrap();
        let caller = world.caller(minted);
        let below = world.mint_by(&caller, "acme/web", &["project-reader"], |_| ()).unwrap();
        let beside = world.mint("acme", &["member"]);
        let of = |user: UserId| FilterText { person: Some(user.to_string()), ..filter("acme") };
        let fate = crate::decide::TokensFate { fate: crate::people::Fate::HandOver, to: Some(heir) };
        world.tentatively(|world| {
            world.remove(&admin(), "acme", user, fate).unwrap();
            world.run(&admin(), command(of(user), 0)).unwrap();
            // What was handed over is the heir's, whose session it is as well.
            world.run(&admin(), command(of(heir), 3)).unwrap();
        });
        world.run(&admin(), command(of(user), 3)).unwrap();
        for (id, status) in [(session, false), (minted, false), (below, false), (beside, true)] {
            assert_eq!(world.state.status(world.token(id), world.at) == Status::Live, status);
        }
        // What the filter chose stays so whatever becomes of the person.
        world.remove(&admin(), "acme", user, fate).unwrap();
        assert_eq!(world.state.status(world.token(below), world.at), Status::Revoked);
        assert_eq!(world.state.difference(&world.folded()), None);
    }

    #[test]
    fn who_may_not_revoke_all_of_it_revokes_none_of_it() {
        let mut world = World::with_tenants();
        world.mint("acme", &["member"]);
        let admin_of_web = world.mint("acme", &["project-admin@web"]);
        let auditor = world.mint("acme", &["auditor"]);
        let stranger = world.mint("other", &["owner"]);
        let [of_web, auditor, stranger] = [admin_of_web, auditor, stranger].map(|id| world.caller(id));
        let refused = world.run(&of_web, command(filter("acme"), 3));
        assert_eq!(forbidden(refused), "tokens:revoke at organization acme");
        assert_eq!(
            forbidden(world.run(&auditor, command(filter("acme"), 3))),
            "tokens:revoke at organization acme"
        );
        assert_eq!(
            forbidden(world.run(&auditor, command(filter("instance"), 0))),
            "tokens:revoke at the instance"
        );
        assert!(absent(world.run(&stranger, command(filter("acme"), 3))));
        world.run(&of_web, command(filter("acme/web"), 0)).unwrap();
        for (field, wrong) in [
            ("created_by", FilterText { created_by: Some("somebody".to_owned()), ..filter("acme") }),
            ("person", FilterText { person: Some("ada@example.org".to_owned()), ..filter("acme") }),
            ("role", FilterText { role: Some("No Role".to_owned()), ..filter("acme") }),
            (
                "created_before",
                FilterText { created_from: Some(world.at), created_before: Some(world.at), ..filter("acme") },
            ),
        ] {
            assert_eq!(invalid(world.run(&admin(), command(wrong, 3))), field);
        }
    }

    #[test]
    fn a_repeated_request_is_answered_with_the_count_of_the_first() {
        let mut world = World::with_tenants();
        world.mint("acme", &["member"]);
        world.mint("acme/web", &["project-admin"]);
        let request = |count| Request {
            command: command(filter("acme"), count),
            expected_revision: None,
            repeat: Some(repeat("tokens.revoke_all", "k", "x")),
        };
        let first = world.request(&admin(), &request(2)).unwrap();
        assert!(matches!(only(&first), Event::TokensRevoked(TokensRevoked { count: 2, .. })));
        let again = world.request(&admin(), &request(2)).unwrap();
        assert!(again.repeated && again.events.is_empty());
        assert_eq!((again.subject, live(&world)), (first.subject, 0));
        assert_eq!(world.state.difference(&world.folded()), None);
    }
}
