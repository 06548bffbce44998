//! Reports of leaked secrets: they flag a token, and end it where they prove that the secret is out.

use super::Decision;
use crate::event::{Event, Evidence, LeakReported, Reason, Subject, TokenRevoked};
use crate::import::Hashes;
use crate::rejection::Rejection;
use crate::state::{Shown, State, Token};
use crate::text;
use crate::time::Timestamp;
use std::sync::Arc;

/// The most bytes of what a reporter calls the place.
const SOURCE: usize = 128;
/// The most bytes of an address.
const URL: usize = 2_048;

/// Say that a secret was seen where it should not be. Nobody needs a permission for it.
#[derive(Debug)]
pub struct ReportLeak {
    /// What the secret can be known by.
    pub hashes: Hashes,
    /// What the report rests on.
    pub evidence: Evidence,
    /// Where it was seen, in the reporter's words.
    pub source: Option<String>,
    /// Where exactly.
    pub url: Option<String>,
}

pub(super) fn report(state: &State, at: Timestamp, report: &ReportLeak) -> Result<Decision, Rejection> {
    // What is wrong with a report is said before anything is looked up, so that it tells nothing of what there is.
    let source = clean("source", report.source.as_deref(), SOURCE)?;
    let url = clean("url", report.url.as_deref(), URL)?;
    let Some((token, shown)) = state.tokens().by_secret(&report.hashes.known(state)) else {
        return Ok(Decision::new(None, Vec::new(), Subject::Instance));
    };
    let mut events = Vec::new();
    if is_news(state, token, shown, report.evidence) {
        let (token, secret, evidence) = (token.id, shown.secret, report.evidence);
        events.push(Event::LeakReported(LeakReported { token, secret, evidence, source, url }));
    }
    if report.evidence > Evidence::Hash && !shown.is_superseded(at) && state.own_revocation(token).is_none() {
        let (reason, note) = (Reason::Leaked, None);
        // Whoever found it may have minted with it.
        events.push(Event::TokenRevoked(TokenRevoked { token: token.id, reason, note, cascade: true }));
    }
    Ok(Decision::new(token.scope.organization(), events, Subject::Token(token.id)))
}

/// Whether a report tells more than those before it. Reports come from anybody: what may be enrolled of them is
/// bounded by what there is to report.
fn is_news(state: &State, token: &Arc<Token>, shown: Shown, evidence: Evidence) -> bool {
    !state.leaks().of(token.id).any(|leak| leak.secret == shown.secret && leak.evidence >= evidence)
}

fn clean(field: &'static str, given: Option<&str>, most: usize) -> Result<Option<Box<str>>, Rejection> {
    given.filter(|text| !text.is_empty()).map(|text| text::clean(field, text, most)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::Caller;
    use crate::decide::{Command, Decision};
    use crate::event::By;
    use crate::id::TokenId;
    use crate::query;
    use crate::secret::SecretHash;
    use crate::testing::{World, admin, forbidden, invalid, texts, types};
    use std::time::Duration;

    fn anybody() -> Caller {
        Caller::outsider(By::Anonymous, None)
    }

    fn report(world: &mut World, text: &str, evidence: Evidence) -> Decision {
        let report = ReportLeak {
            hashes: SecretHash::of(text).into(),
            evidence,
            source: Some("paste".to_owned()),
            url: Some("https://paste.example/7".to_owned()),
        };
        world.run(&anybody(), Command::ReportLeak(report)).unwrap()
    }

    fn secret(world: &World, id: TokenId, ordinal: usize) -> String {
        world.secret(id, ordinal).to_owned()
    }

    fn is_revoked(world: &World, id: TokenId) -> bool {
        world.state.own_revocation(world.token(id)).is_some()
    }

    #[test]
    fn a_hash_flags_and_the_secret_revokes_with_everything_that_it_minted() {
        let mut world = World::with_tenants();
        let id = world.mint("acme", &["owner"]);
        let holder = world.caller(id);
        let child = world.mint_by(&holder, "acme", &["member"], |_| ()).unwrap();
        let text = secret(&world, id, 0);
        assert_eq!(types(&report(&mut world, &text, Evidence::Hash)), ["LeakReported"]);
        assert!(!is_revoked(&world, id));
        let done = report(&mut world, &text, Evidence::Secret);
        assert_eq!(types(&done), ["LeakReported", "TokenRevoked"]);
        let revocation = world.state.own_revocation(world.token(id)).unwrap().clone();
        assert_eq!((revocation.reason, revocation.by.clone()), (Reason::Leaked, By::Anonymous));
        assert!(is_revoked(&world, child));
        assert_eq!(world.state.leaks().of(id).count(), 2);
        assert_eq!(world.state.difference(&world.folded()), None);
    }

    #[test]
    fn what_is_known_is_not_enrolled_again() {
        let mut world = World::with_tenants();
        let id = world.mint("acme", &["member"]);
        let text = secret(&world, id, 0);
        report(&mut world, &text, Evidence::Secret);
        for evidence in [Evidence::Hash, Evidence::Secret] {
            assert!(report(&mut world, &text, evidence).events.is_empty());
        }
        assert_eq!(types(&report(&mut world, &text, Evidence::Signature)), ["LeakReported"]);
        assert!(report(&mut world, "never issued", Evidence::Secret).events.is_empty());
    }

    #[test]
    fn a_secret_that_a_rotation_ended_flags_and_one_in_its_overlap_revokes() {
        let mut world = World::with_tenants();
        for (overlap, expected) in [
            (Duration::ZERO, &["LeakReported"][..]),
            (Duration::from_hours(1), &["LeakReported", "TokenRevoked"]),
        ] {
            let id = world.mint("acme", &["member"]);
            world.rotate(&admin(), id, overlap).unwrap();
            let text = secret(&world, id, 0);
            assert_eq!(types(&report(&mut world, &text, Evidence::Secret)), expected);
            // The secret that it has now is another one, and leaks by itself.
            let text = secret(&world, id, 1);
            assert!(!report(&mut world, &text, Evidence::Secret).events.is_empty());
            assert!(is_revoked(&world, id));
        }
    }

    #[test]
    fn a_bad_report_is_refused_alike_whether_the_token_is_known_or_not() {
        let mut world = World::with_tenants();
        let id = world.mint("acme", &["member"]);
        for text in [secret(&world, id, 0), "never issued".to_owned()] {
            for (source, url, field) in
                [("a\u{0}b".to_owned(), String::new(), "source"), (String::new(), "x".repeat(2_049), "url")]
            {
                let hashes = SecretHash::of(&text).into();
                let (source, url) = (Some(source), Some(url));
                let report = ReportLeak { hashes, evidence: Evidence::Secret, source, url };
                assert_eq!(invalid(world.run(&anybody(), Command::ReportLeak(report))), field);
            }
        }
    }

    #[test]
    fn who_has_no_credential_may_report_and_nothing_else() {
        let mut world = World::with_tenants();
        let id = world.mint("acme", &["member"]);
        for place in ["instance", "acme", "acme/web"] {
            let place = world.scope(place);
            assert!(!anybody().may_know(place) && !anybody().may(&world.state, "tokens:read", place));
            assert!(!anybody().may_somewhere(&world.state, "tokens:read", place));
        }
        anybody().require_reach(&world.state, &crate::authority::Reach::of(world.token(id))).unwrap_err();
        world.revoke(&anybody(), id, false).unwrap_err();
    }

    #[test]
    fn reports_are_shown_to_who_may_read_them_there() {
        let mut world = World::with_tenants();
        let ids = ["acme", "acme/web", "other"].map(|scope| {
            let grant = if scope.contains('/') { "project-reader" } else { "member" };
            world.mint(scope, &[grant])
        });
        for id in ids {
            let text = secret(&world, id, 0);
            report(&mut world, &text, Evidence::Hash);
        }
        let shown = |world: &World, caller: &Caller| {
            let (leaks, _) = query::leaks(&world.state, caller, None, 10);
            leaks.iter().map(|leak| leak.token).collect::<Vec<_>>()
        };
        let [acme, web, other] = ids;
        for (scope, grant, expected) in [
            ("acme", "owner", vec![web, acme]),
            ("acme/web", "project-admin", vec![web]),
            ("other", "auditor", vec![other]),
            ("instance", "instance-auditor", vec![other, web, acme]),
        ] {
            let caller = world.mint(scope, &[grant]);
            assert_eq!(shown(&world, &world.caller(caller)), expected, "{grant}");
        }
        let member = world.mint("acme", &["member"]);
        let refused = query::authorize(&world.state, &world.caller(member), &query::Read::Leaks);
        assert_eq!(forbidden(refused), "leaks:read at organization acme");
        let (first, next) = query::leaks(&world.state, &admin(), None, 2);
        let (rest, end) = query::leaks(&world.state, &admin(), next, 2);
        assert_eq!((first.len(), rest.len(), end), (2, 1, None));
    }

    #[test]
    fn a_report_can_be_taken_back() {
        let mut world = World::with_tenants();
        let id = world.mint("acme", &["member"]);
        world.update(&admin(), id, |u| u.grants = Some(texts(&["auditor"]))).unwrap();
        let text = secret(&world, id, 0);
        world.tentatively(|world| report(world, &text, Evidence::Secret));
        assert_eq!(world.state.leaks().of(id).count(), 0);
        assert_eq!(world.state.difference(&world.folded()), None);
    }
}
