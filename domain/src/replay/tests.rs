use super::*;
use crate::decide::Expiry;
use crate::event::{Actor, Asked, By, Client, Event, Use};
use crate::id::OrganizationId;
use crate::line::Line;
use crate::role::Level;
use crate::secret::Prefix;
use crate::testing::{Ask, World, admin, written};
use crate::time::Timestamp;
use std::time::Duration;
use uuid::Uuid;

const DAY: Duration = Duration::from_hours(24);
const ADDRESS: &str = "UuFBWdya1rNfjxLg65ymlv_6rXqTsd-1yQcurm1gSNo";

fn use_line(full: bool, code: Option<Code>) -> Line {
    let text = |text: &str| Some(text).filter(|_| full).map(Box::from);
    let used = Use {
        token: TokenId(Uuid::from_u128(0x019a_b7a4_0000_7000_8000_0000_0000_0003)),
        secret: u32::from(full),
        code,
        asked: Asked {
            operation: text("tokens.mint"),
            permission: text("tokens:mint"),
            organization: text("acme"),
            project: text("wéb"),
            resource: text("srv/1"),
        },
        client: full.then(|| Client { address: text(ADDRESS), agent: text("agent") }),
        seen: full.then_some(40),
        count: (full && code.is_some()).then_some(2),
    };
    Line {
        at: Timestamp::parse("2026-11-22T10:15:00.123456Z").unwrap(),
        org: full.then(|| OrganizationId(Uuid::from_u128(7))),
        n: None,
        actor: Actor {
            by: By::Token(Level::Organization, Prefix::of("chyo_abcdefg").unwrap()),
            token: Some(used.token),
            request: text("02a76be6-c"),
            address: text(ADDRESS),
            agent: text("agent"),
        },
        idempotency: None,
        event: if code.is_none() { Event::TokenUsed(used) } else { Event::TokenRefused(used) },
    }
}

fn read(text: &str) -> Option<UseLine<'_>> {
    UseLine::read(text, &mut Clock::default())
}

#[test]
fn the_fast_way_reads_what_the_slow_way_reads() {
    for code in std::iter::once(None).chain(Code::ALL.iter().map(|code| Some(*code))) {
        for full in [false, true] {
            let line = use_line(full, code);
            let text = written(&line);
            assert_eq!(read(&text), UseLine::of(&line), "{text}");
            assert!(read(&text).is_some());
        }
    }
}

#[test]
fn the_fast_way_takes_nothing_that_the_slow_way_refuses() {
    for line in [use_line(true, Some(Code::Forbidden)), use_line(false, None)] {
        let text = written(&line);
        for place in 0..text.len() {
            for byte in ["", "0", "A", "g", "\"", "\\", ",", "}", " ", "\u{1}"] {
                let (Some(before), Some(after)) = (text.get(..place), text.get(place + 1..)) else {
                    continue;
                };
                for changed in [format!("{before}{byte}{after}"), format!("{before}{byte}{}", &text[place..])]
                {
                    if let Some(fast) = read(&changed) {
                        let slow = Line::read(&changed).unwrap_or_else(|error| panic!("{changed}: {error}"));
                        assert_eq!(Some(fast), UseLine::of(&slow), "{changed}");
                    }
                }
            }
        }
    }
}

/// A use of the present secret, as a verify at acme records it.
fn used<'a>(world: &World, token: &Token, code: Code) -> UseLine<'a> {
    UseLine {
        at: world.at,
        org: token.scope.organization(),
        actor_token: None,
        actor_address: None,
        actor_agent: None,
        token: token.id,
        secret: token.secret,
        code: Some(code).filter(|code| *code != Code::Valid),
        operation: None,
        permission: None,
        organization: None,
        project: None,
        client_address: None,
        client_agent: None,
        seen: None,
        count: 1,
    }
}

fn closed(_: &str) -> Option<IpAddr> {
    None
}

#[test]
fn every_answer_is_the_same_again_and_no_other_is() {
    let mut world = World::with_tenants();
    let caller = world.mint("instance", &["instance-verifier"]);
    let caller = world.caller(caller);
    let plain = world.mint("acme", &["member"]);
    let web = world.mint("acme/web", &["project-reader"]);
    let root = world.mint("instance", &["instance-auditor"]);
    let start = world.at.after(DAY);
    let late = world.mint_by(&admin(), "acme", &["member"], |p| p.not_before = Some(start)).unwrap();
    let short = world.mint_by(&admin(), "acme", &["member"], |p| p.expiry = Expiry::In(DAY)).unwrap();
    let bound = world
        .mint_by(&admin(), "acme", &["member"], |p| p.allowed_networks = vec!["10.0.0.0/8".to_owned()])
        .unwrap();
    let ended = world.mint("acme", &["member"]);
    world.revoke(&admin(), ended, false).unwrap();
    for pass in [Duration::ZERO, DAY] {
        world.pass(pass);
        for id in [plain, web, root, late, short, bound, ended] {
            for permission in [None, Some("tokens:mint"), Some("tokens:read")] {
                for project in [None, Some("web"), Some("api"), Some("none")] {
                    let ask = Ask { permission, project, organization: Some("acme"), address: None };
                    let verdict = world.verify(&caller, id, ask).unwrap();
                    let token = world.token(id);
                    let own = token.scope.project().filter(|_| verdict.code == Code::WrongProject);
                    let place = verdict.place.project().filter(|place| own != Some(*place));
                    let place = place.map(|project| project.to_string());
                    let organization =
                        verdict.place.organization().filter(|_| token.scope == Scope::Instance);
                    let organization = organization.map(|id| id.to_string());
                    let fine = UseLine {
                        permission,
                        project: place.as_deref().or(project),
                        organization: organization.as_deref(),
                        ..used(&world, token, verdict.code)
                    };
                    assert_eq!(again(&world.state, &fine, closed), Again::Same, "{fine:?}");
                    for code in Code::ALL.iter().filter(|code| **code != verdict.code) {
                        let forged =
                            UseLine { code: Some(*code).filter(|code| *code != Code::Valid), ..fine };
                        let found = again(&world.state, &forged, closed);
                        assert!(
                            matches!(found, Again::Other(_)),
                            "{code:?} for {:?}: {found:?}",
                            verdict.code
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn secrets_are_told_apart_by_their_ordinal() {
    let mut world = World::with_tenants();
    let id = world.mint("acme", &["member"]);
    world.rotate(&admin(), id, Duration::ZERO).unwrap();
    world.rotate(&admin(), id, DAY).unwrap();
    let shown = |world: &World, secret, code| {
        let line = UseLine { secret, ..used(world, world.token(id), code) };
        again(&world.state, &line, closed)
    };
    assert_eq!(shown(&world, 0, Code::Superseded), Again::Same);
    assert_eq!(shown(&world, 1, Code::Valid), Again::Same);
    assert_eq!(shown(&world, 2, Code::Valid), Again::Same);
    assert_eq!(shown(&world, 3, Code::Valid), Again::Other(Decided::NoSecret(3)));
    world.pass(DAY);
    assert_eq!(shown(&world, 1, Code::Superseded), Again::Same);
    assert_eq!(shown(&world, 1, Code::Valid), Again::Other(Decided::Code(Code::Superseded)));
    // The secret before the present one may have asked for its own rotation again; no other, and nothing else.
    let call = |secret, operation| {
        let line =
            UseLine { secret, operation: Some(operation), ..used(&world, world.token(id), Code::Valid) };
        again(&world.state, &line, closed)
    };
    assert_eq!(call(1, ROTATE), Again::Standing);
    for (secret, operation) in [(0, ROTATE), (1, "tokens.show")] {
        assert_eq!(call(secret, operation), Again::Other(Decided::Code(Code::Superseded)));
    }
}

#[test]
fn an_address_is_needed_only_where_it_decides() {
    let mut world = World::with_tenants();
    let free = world.mint("acme", &["member"]);
    let bound = world
        .mint_by(&admin(), "acme", &["member"], |p| p.allowed_networks = vec!["10.0.0.0/8".to_owned()])
        .unwrap();
    let ask = |id, code, open: Option<&str>| {
        let line = UseLine { client_address: Some(ADDRESS), ..used(&world, world.token(id), code) };
        let open = open.map(|text| text.parse().unwrap());
        again(&world.state, &line, |commitment| open.filter(|_| commitment == ADDRESS))
    };
    assert_eq!(ask(free, Code::Valid, None), Again::Same);
    assert_eq!(ask(bound, Code::Valid, Some("10.1.2.3")), Again::Same);
    assert_eq!(ask(bound, Code::AddressDenied, Some("192.0.2.1")), Again::Same);
    let denied = Again::Other(Decided::Code(Code::AddressDenied));
    assert_eq!(ask(bound, Code::Valid, Some("192.0.2.1")), denied);
    for code in [Code::Valid, Code::AddressDenied] {
        assert_eq!(ask(bound, code, None), Again::Address);
    }
    // Without the address it is still told that the token was not revoked, and that it may all that was asked.
    assert_eq!(ask(bound, Code::Revoked, None), Again::Other(Decided::AddressOrLater));
    assert_eq!(ask(bound, Code::Forbidden, None), Again::Other(Decided::Code(Code::Valid)));
}

#[test]
fn a_call_of_the_api_is_decided_as_far_as_its_credential() {
    let mut world = World::with_tenants();
    let id = world.mint("acme", &["member"]);
    let call = |world: &World, code| {
        let line = UseLine { operation: Some("tokens.list"), ..used(world, world.token(id), code) };
        again(&world.state, &line, closed)
    };
    assert_eq!(call(&world, Code::Valid), Again::Standing);
    assert_eq!(call(&world, Code::Forbidden), Again::Standing);
    assert_eq!(call(&world, Code::Expired), Again::Other(Decided::InForce));
    world.revoke(&admin(), id, false).unwrap();
    assert_eq!(call(&world, Code::Revoked), Again::Same);
    assert_eq!(call(&world, Code::Valid), Again::Other(Decided::Code(Code::Revoked)));
}

#[test]
fn a_use_is_of_a_token_of_its_organization() {
    let mut world = World::with_tenants();
    let id = world.mint("acme", &["member"]);
    let line = used(&world, world.token(id), Code::Valid);
    let other = UseLine { org: None, ..line };
    assert_eq!(again(&world.state, &other, closed), Again::Other(Decided::Organization(line.org)));
    let stranger = TokenId(world.id());
    let unknown = UseLine { token: stranger, ..line };
    assert_eq!(again(&world.state, &unknown, closed), Again::Other(Decided::NoToken(stranger)));
}
