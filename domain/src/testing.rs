//! What the tests of this crate stand on: an authority in memory, with a clock that stands still and randomness that
//! is counted. Given: commands of the administrator. When: one command of somebody. Then: its events, or its refusal.

use crate::authority::{Caller, Credential, Principal, authenticate};
use crate::decide::{
    Accept, Command, CreateOrganization, CreateProject, Decision, Entropy, Expiry, Giving, Invite, Mint,
    Narrow, Offboard, Particulars, RemoveMember, Repeat, Request, Revoke, Rotate, ScopeText, SetMemberRole,
    Start, TokensFate, Update, decide,
};
use crate::event::{Answers, Event, InstancePolicy, Subject};
use crate::id::{InvitationId, OrganizationId, ProjectId, TokenId, UserId};
use crate::line::{Line, MOST_BYTES};
use crate::rejection::Rejection;
use crate::scope::Scope;
use crate::secret::SecretHash;
use crate::state::{State, Token, restored};
use crate::time::Timestamp;
use crate::verify::{Code, Question, Verdict, place_of, verify};
use proptest::prelude::Strategy;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// An authority that has started, at a moment that only [`World::pass`] moves.
pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) at: Timestamp,
    /// Every line, as it is stored.
    pub(crate) lines: Vec<String>,
    secrets: HashMap<TokenId, Vec<String>>,
    made: u64,
}

/// What a token is presented for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ask<'a> {
    pub(crate) permission: Option<&'a str>,
    pub(crate) organization: Option<&'a str>,
    pub(crate) project: Option<&'a str>,
    pub(crate) address: Option<&'a str>,
}

impl World {
    /// An authority with its built-in roles and nothing else.
    pub(crate) fn new() -> Self {
        let at = Timestamp::parse("2026-11-22T10:15:00.123456Z").unwrap();
        let mut world =
            Self { state: State::default(), at, lines: Vec::new(), secrets: HashMap::new(), made: 0 };
        let start = Start {
            origin: "chancery.example/log".into(),
            log_key: "b64".into(),
            policy: InstancePolicy::new(Answers::Committed),
        };
        world.run(&Caller::system("start"), Command::Start(start)).unwrap();
        world
    }

    /// As [`World::new`], with the organizations `acme` (projects `web` and `api`) and `other` (project `web`).
    pub(crate) fn with_tenants() -> Self {
        let mut world = Self::new();
        for (organization, projects) in [("acme", &["web", "api"][..]), ("other", &["web"])] {
            world.organization(organization);
            for project in projects {
                world.project(organization, project);
            }
        }
        world
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, duration: Duration) {
        self.at = self.at.after(duration);
    }

    /// Lets time pass until one microsecond before `duration` is over.
    pub(crate) fn pass_almost(&mut self, duration: Duration) {
        self.at = Timestamp::from_micros(self.at.after(duration).micros() - 1);
    }

    /// A fresh id: they differ in every byte that matters, and come in order.
    pub(crate) fn id(&mut self) -> Uuid {
        self.made += 1;
        Uuid::from_u128(0x019a_b7a4_0000_7000_8000_0000_0000_0000 | u128::from(self.made))
    }

    /// Fresh randomness for a secret.
    pub(crate) fn entropy(&mut self) -> Entropy {
        self.made += 1;
        let mut bytes = [0; crate::secret::ENTROPY];
        blake3::Hasher::new().update(&self.made.to_le_bytes()).finalize_xof().fill(&mut bytes);
        Entropy(bytes)
    }

    /// Decides a command and folds what it comes to, through the bytes of its lines.
    pub(crate) fn run(&mut self, caller: &Caller, command: Command) -> Result<Decision, Rejection> {
        self.request(caller, &Request { command, expected_revision: None, repeat: None })
    }

    /// As [`World::run`], with the conditions of a request.
    pub(crate) fn request(&mut self, caller: &Caller, request: &Request) -> Result<Decision, Rejection> {
        let decision = decide(&self.state, caller, self.at, request)?;
        for (index, (organization, event)) in decision.happenings().enumerate() {
            let line = Line {
                at: self.at,
                org: organization,
                n: Some(self.state.next_ordinal(organization)),
                actor: caller.actor(None, None, None),
                idempotency: decision.idempotency.clone().filter(|_| index == 0),
                event: event.clone(),
            };
            let text = written(&line);
            let read = Line::read(&text).unwrap();
            assert_eq!(read, line);
            self.state.apply(&read).unwrap();
            self.lines.push(text);
        }
        if let (Some(secret), Subject::Token(id)) = (&decision.secret, decision.subject) {
            self.secrets.entry(id).or_default().push(secret.text().to_owned());
        }
        Ok(decision)
    }

    /// What the administrator asks for happens.
    pub(crate) fn admin(&mut self, command: Command) -> Decision {
        self.run(&admin(), command).unwrap()
    }

    pub(crate) fn organization(&mut self, name: &str) -> OrganizationId {
        let id = OrganizationId(self.id());
        let create = CreateOrganization { id, name: name.to_owned(), display_name: None };
        self.admin(Command::CreateOrganization(create));
        id
    }

    pub(crate) fn project(&mut self, organization: &str, name: &str) -> ProjectId {
        let id = ProjectId(self.id());
        let create = CreateProject {
            id,
            organization: organization.to_owned(),
            name: name.to_owned(),
            display_name: None,
        };
        self.admin(Command::CreateProject(create));
        id
    }

    /// The scope that `instance`, `acme` or `acme/web` means.
    pub(crate) fn scope(&self, text: &str) -> Scope {
        scope_text(text).find(&self.state, &admin()).unwrap()
    }

    pub(crate) fn particulars(&mut self, name: &str) -> Particulars {
        Particulars {
            id: TokenId(self.id()),
            entropy: self.entropy(),
            name: name.to_owned(),
            description: None,
            metadata: None,
            not_before: None,
            expiry: Expiry::Inherited,
            allowed_networks: Vec::new(),
        }
    }

    /// A token of the administrator's making; its name is its own id.
    pub(crate) fn mint(&mut self, scope: &str, grants: &[&str]) -> TokenId {
        self.mint_by(&admin(), scope, grants, |_| ()).unwrap()
    }

    pub(crate) fn mint_by(
        &mut self,
        caller: &Caller,
        scope: &str,
        grants: &[&str],
        change: impl FnOnce(&mut Particulars),
    ) -> Result<TokenId, Rejection> {
        let mut particulars = self.particulars("");
        particulars.name = particulars.id.to_string();
        change(&mut particulars);
        let id = particulars.id;
        let mint = Mint { scope: scope_text(scope), grants: texts(grants), particulars };
        self.run(caller, Command::Mint(mint)).map(|_| id)
    }

    pub(crate) fn narrow(
        &mut self,
        caller: &Caller,
        grants: Option<&[&str]>,
        change: impl FnOnce(&mut Particulars),
    ) -> Result<TokenId, Rejection> {
        let mut particulars = self.particulars("");
        particulars.name = particulars.id.to_string();
        change(&mut particulars);
        let id = particulars.id;
        let narrow = Narrow { grants: grants.map(texts), particulars };
        self.run(caller, Command::Narrow(narrow)).map(|_| id)
    }

    pub(crate) fn rotate(
        &mut self,
        caller: &Caller,
        token: TokenId,
        overlap: Duration,
    ) -> Result<Decision, Rejection> {
        let rotate = Rotate { token, entropy: self.entropy(), overlap };
        self.run(caller, Command::Rotate(rotate))
    }

    pub(crate) fn revoke(
        &mut self,
        caller: &Caller,
        token: TokenId,
        cascade: bool,
    ) -> Result<Decision, Rejection> {
        self.run(caller, Command::Revoke(Revoke { token, reason: None, note: None, cascade }))
    }

    pub(crate) fn update(
        &mut self,
        caller: &Caller,
        token: TokenId,
        change: impl FnOnce(&mut Update),
    ) -> Result<Decision, Rejection> {
        let mut update =
            Update { token, name: None, description: None, metadata: None, grants: None, expiry: None };
        change(&mut update);
        self.run(caller, Command::Update(update))
    }

    /// Invites somebody; gives the text that is handed out.
    pub(crate) fn invite(
        &mut self,
        caller: &Caller,
        place: &str,
        role: &str,
    ) -> Result<(InvitationId, Option<String>), Rejection> {
        let id = InvitationId(self.id());
        let giving = Giving { entropy: self.entropy(), expiry: Expiry::Inherited, by_mail: false };
        let email = format!("email {id}").into();
        let invite = Invite { id, place: scope_text(place), role: role.to_owned(), email, giving };
        let decision = self.run(caller, Command::Invite(invite))?;
        Ok((id, decision.secret.map(crate::secret::Secret::into_text)))
    }

    /// Accepts an invitation as a new person; gives the person and the session.
    pub(crate) fn accept(&mut self, text: &str) -> Result<(UserId, TokenId), Rejection> {
        let user = UserId(self.id());
        let session = self.accept_as(&Caller::invited(user, None), text)?;
        Ok((user, session))
    }

    pub(crate) fn accept_as(&mut self, caller: &Caller, text: &str) -> Result<TokenId, Rejection> {
        let session = TokenId(self.id());
        let (text, entropy) = (SecretHash::of(text), self.entropy());
        let accept = Accept { text, name: Some("name".into()), session, entropy };
        self.run(caller, Command::Accept(accept)).map(|_| session)
    }

    /// Somebody whom the administrator invited, and the session.
    pub(crate) fn join(&mut self, place: &str, role: &str) -> (UserId, TokenId) {
        let (_, text) = self.invite(&admin(), place, role).unwrap();
        self.accept(&text.unwrap()).unwrap()
    }

    pub(crate) fn set_role(
        &mut self,
        caller: &Caller,
        place: &str,
        user: UserId,
        role: &str,
    ) -> Result<Decision, Rejection> {
        let set = SetMemberRole { place: scope_text(place), user, role: role.to_owned() };
        self.run(caller, Command::SetMemberRole(set))
    }

    pub(crate) fn remove(
        &mut self,
        caller: &Caller,
        place: &str,
        user: UserId,
        tokens: TokensFate,
    ) -> Result<Decision, Rejection> {
        self.run(caller, Command::RemoveMember(RemoveMember { place: scope_text(place), user, tokens }))
    }

    pub(crate) fn offboard(
        &mut self,
        caller: &Caller,
        user: UserId,
        tokens: TokensFate,
    ) -> Result<Decision, Rejection> {
        self.run(caller, Command::Offboard(Offboard { user, tokens }))
    }

    pub(crate) fn token(&self, id: TokenId) -> &Arc<Token> {
        self.state.tokens().get(id).unwrap()
    }

    /// The text of a token's secret, by ordinal.
    pub(crate) fn secret(&self, id: TokenId, ordinal: usize) -> &str {
        &self.secrets[&id][ordinal]
    }

    /// How many secrets a token has had.
    pub(crate) fn secrets(&self, id: TokenId) -> usize {
        self.secrets.get(&id).map_or(0, Vec::len)
    }

    /// The holder of a token's present secret, calling from nowhere in particular.
    pub(crate) fn caller(&self, id: TokenId) -> Caller {
        Caller::of_token(self.token(id))
    }

    /// Who shows a secret of a token, or why it is refused.
    pub(crate) fn log_in(&self, id: TokenId, ordinal: usize, address: Option<&str>) -> Result<Caller, Code> {
        let credential =
            Credential::Secret { hash: SecretHash::of(self.secret(id, ordinal)), malformed: false };
        authenticate(&self.state, credential, self.at, address.map(ip)).map_err(|refused| refused.code)
    }

    /// What `caller` is answered about the present secret of a token.
    pub(crate) fn verify(&self, caller: &Caller, id: TokenId, ask: Ask<'_>) -> Result<Verdict, Rejection> {
        self.verify_text(caller, self.secrets[&id].last().unwrap(), ask)
    }

    pub(crate) fn verify_text(
        &self,
        caller: &Caller,
        text: &str,
        ask: Ask<'_>,
    ) -> Result<Verdict, Rejection> {
        let question = Question {
            hash: SecretHash::of(text),
            malformed: crate::secret::shape(text) == crate::secret::Shape::Malformed,
            permission: ask.permission,
            organization: ask.organization,
            project: ask.project,
            address: ask.address.map(ip),
        };
        let place = place_of(&self.state, caller, &question)?;
        Ok(verify(&self.state, caller, &question, place, self.at))
    }

    /// Takes back all that `change` does, in a journal.
    pub(crate) fn tentatively<T>(&mut self, change: impl FnOnce(&mut Self) -> T) -> T {
        let (kept, secrets) = (self.lines.len(), self.secrets.clone());
        self.state.begin();
        let done = change(self);
        self.state.roll_back();
        self.lines.truncate(kept);
        self.secrets = secrets;
        done
    }

    /// A fold of all lines from the first on, half-way through a snapshot: so every history that is compared with it
    /// shows as well that a state comes back from its frames as it was, and goes on as it would have.
    pub(crate) fn folded(&self) -> State {
        let mut state = State::default();
        for (index, text) in self.lines.iter().enumerate() {
            if index == self.lines.len() / 2 {
                state = restored(&state);
            }
            state.apply(&Line::read(text).unwrap()).unwrap();
        }
        assert_eq!(restored(&state).difference(&state), None);
        state
    }
}

/// The holder of the break-glass token.
pub(crate) fn admin() -> Caller {
    Caller { principal: Principal::AdminToken, address: None }
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|text| (*text).to_owned()).collect()
}

pub(crate) fn scope_text(text: &str) -> ScopeText {
    match text.split_once('/') {
        Some((organization, project)) => ScopeText::Project(organization.to_owned(), project.to_owned()),
        None if text == "instance" => ScopeText::Instance,
        None => ScopeText::Organization(text.to_owned()),
    }
}

pub(crate) fn repeat(route: &str, key: &str, body: &str) -> Repeat {
    Repeat { route: route.into(), key: key.into(), body: body.as_bytes().into() }
}

/// The bytes of a line, which are checked against every rule about bytes.
pub(crate) fn written(line: &Line) -> String {
    let mut out = b"before".to_vec();
    line.write(&mut out);
    let text = String::from_utf8(out).unwrap().split_off("before".len());
    assert!(text.len() <= MOST_BYTES, "{} bytes", text.len());
    assert!(!text.contains(['\n', '\r', '\0']));
    text
}

/// The names of the events' types.
pub(crate) fn types(decision: &Decision) -> Vec<&'static str> {
    decision.events.iter().map(crate::line::type_of).collect()
}

/// The only event of a decision.
pub(crate) fn only(decision: &Decision) -> &Event {
    assert_eq!(decision.events.len(), 1);
    &decision.events[0]
}

/// The sentence parts of a refused escalation.
pub(crate) fn missing<T: std::fmt::Debug>(result: Result<T, Rejection>) -> Vec<String> {
    match result {
        Err(Rejection::Escalation { missing }) => missing,
        other => panic!("not an escalation: {other:?}"),
    }
}

/// The field that a value was refused for.
pub(crate) fn invalid<T: std::fmt::Debug>(result: Result<T, Rejection>) -> &'static str {
    match result {
        Err(Rejection::Invalid { field, .. }) => field,
        other => panic!("not invalid: {other:?}"),
    }
}

/// What a permission was missing at, `permission at place`.
pub(crate) fn forbidden<T: std::fmt::Debug>(result: Result<T, Rejection>) -> String {
    match result {
        Err(Rejection::Forbidden { permission, place }) => format!("{permission} at {place}"),
        other => panic!("not forbidden: {other:?}"),
    }
}

/// Whether it was answered as what is not there, or may not be known of.
pub(crate) fn absent<T: std::fmt::Debug>(result: Result<T, Rejection>) -> bool {
    match result {
        Err(Rejection::NotFound { .. }) => true,
        other => panic!("found: {other:?}"),
    }
}

/// Whether the long form of the tests is asked for.
pub(crate) fn is_long() -> bool {
    std::env::var_os("CHANCERY_TESTS").is_some_and(|form| form == "long")
}

/// Holds a property against `quick` random values on every build, against `long` ones where `CHANCERY_TESTS=long` asks
/// for them, or as many as `PROPTEST_CASES` says. Another seed every time, unless `CHANCERY_SEED` gives one; a failure
/// says which it was.
pub(crate) fn property<S: Strategy>(suite: &str, quick: u32, long: u32, values: S, holds: impl Fn(S::Value)) {
    let asked = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let usual = if is_long() { long } else { quick };
    let cases = asked("PROPTEST_CASES").map_or(usual, |cases| cases as u32);
    let seed = asked("CHANCERY_SEED").unwrap_or_else(|| RandomState::new().hash_one(suite));
    let config =
        Config { cases, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&values, |value| {
        holds(value);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{suite}: repeat with CHANCERY_SEED={seed} PROPTEST_CASES={cases}: {failure}");
    }
    println!("{suite}: {cases} cases, 0 violations, seed {seed}");
}
