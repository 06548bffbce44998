//! One group commit in the making: what is decided, the lines that record it, the answers that wait for it.

use crate::live::Live;
use crate::people::{Commitment, People};
use crate::seal::SealKey;
use crate::work::{Answered, Call, Client, Failure, Inquiry, Outcome, Presented, Work};
use domain::authority::{self, Caller, Principal};
use domain::decide::{self, Decision, Request};
use domain::event::{self, Actor, AdminUse, Asked, By, Use};
use domain::id::OrganizationId;
use domain::line::{self, Head, Line};
use domain::query;
use domain::rejection::Rejection;
use domain::scope::Scope;
use domain::secret::Secret;
use domain::state::{Corrupt, Shown, State, Token};
use domain::text;
use domain::time::Timestamp;
use domain::verify::{self, Code, Place, Verdict};
use eventlog::{Draft, Random, Sealed};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// A commit in the making. All its lines share one time.
pub(crate) struct Batch<'a> {
    at: Timestamp,
    at_text: String,
    people: &'a mut People,
    random: &'a Random,
    lines: Vec<u8>,
    count: u32,
    /// The lifecycle lines, to be folded once they are on the log.
    events: Vec<Line>,
    sealed: Vec<Sealed>,
    refusals: Vec<Refusal>,
    same: HashMap<Vec<u8>, usize>,
}

/// Identical refusals, which become one line with a count.
struct Refusal {
    org: Option<OrganizationId>,
    actor: Actor<Box<str>>,
    used: Use<Box<str>>,
    count: u32,
    /// The index of its line, once that is written.
    line: Option<u32>,
}

/// Where a record stands in the batch.
#[derive(Clone, Copy)]
pub(crate) enum Noted {
    /// In the line of this index.
    Line(u32),
    /// In the line of the refusal of this index.
    Refusal(usize),
    /// Nowhere: no token has that text.
    Nowhere,
}

/// An answer that waits for the commit.
pub(crate) enum Held {
    Failed(Failure),
    Readable(Caller),
    Done { caller: Caller, subject: event::Subject, secret: Option<Secret>, repeated: Option<Box<str>> },
    Verified { caller: Caller, verdicts: Vec<(Verdict, Noted)> },
}

/// A batch that is decided: what to append, and what follows from it.
pub(crate) struct Decided {
    pub(crate) draft: Option<Draft>,
    pub(crate) events: Vec<Line>,
    refusal_lines: Vec<Option<u32>>,
}

/// What a call asked for, for the record of its caller's use.
#[derive(Default)]
pub(crate) struct Sought {
    permission: Option<&'static str>,
    object: Option<String>,
}

impl Sought {
    /// The most bytes of an object that are kept: two names, or what was typed in their place.
    const OBJECT: usize = 160;

    pub(crate) fn of(work: &Work) -> Self {
        let (permission, object) = match work {
            Work::Command(request, _) => (request.command.permission(), request.command.object()),
            Work::Read(read) => (read.permission(), read.object()),
            Work::Verify(_) => return Self::verify(),
        };
        Self { permission, object: object.map(|object| text::cut(&object, Self::OBJECT)) }
    }

    pub(crate) fn verify() -> Self {
        Self { permission: Some("tokens:verify"), object: None }
    }

    fn asked<'s>(&'s self, call: &Call) -> Asked<&'s str> {
        let (permission, resource) = (self.permission, self.object.as_deref());
        Asked { operation: Some(call.operation), permission, resource, ..Asked::default() }
    }
}

/// A state that is taken back however the deciding ends, by a panic as well.
struct Tentative<'s>(&'s mut State);

impl<'s> Tentative<'s> {
    fn begin(state: &'s mut State) -> Self {
        state.begin();
        Self(state)
    }
}

impl Drop for Tentative<'_> {
    fn drop(&mut self) {
        self.0.roll_back();
    }
}

/// A use on its way into a line.
struct Noting<'n> {
    caller: &'n Caller,
    call: &'n Call,
    token: &'n Arc<Token>,
    shown: Shown,
    code: Option<Code>,
    asked: Asked<&'n str>,
    client: Option<&'n Client>,
    seen: Option<u64>,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(at: Timestamp, people: &'a mut People, random: &'a Random) -> Self {
        people.begin(at);
        Self {
            at,
            at_text: at.to_string(),
            people,
            random,
            lines: Vec::with_capacity(16 * 1024),
            count: 0,
            events: Vec::new(),
            sealed: Vec::new(),
            refusals: Vec::new(),
            same: HashMap::new(),
        }
    }

    /// Decides items in order, each on the state after those before it. Nobody reads the state in between: either it
    /// does not change, or it is locked and taken back before it is unlocked.
    pub(crate) fn decide<'w>(
        &mut self,
        live: &Live,
        items: impl Iterator<Item = (&'w Call, &'w Work)> + Clone,
    ) -> Result<Vec<Held>, Corrupt> {
        let changes = items.clone().any(|(_, work)| matches!(work, Work::Command(..)));
        if !changes {
            return Ok(
                live.read(|state| items.map(|(call, work)| self.item(live, state, call, work)).collect())
            );
        }
        live.write(|state| {
            let tentative = Tentative::begin(state);
            items
                .map(|(call, work)| {
                    let folded = self.events.len();
                    let held = self.item(live, tentative.0, call, work);
                    self.events[folded..].iter().try_for_each(|line| tentative.0.apply(line))?;
                    Ok(held)
                })
                .collect()
        })
    }

    fn item(&mut self, live: &Live, state: &State, call: &Call, work: &Work) -> Held {
        let caller = match call.presented {
            Presented::Job(job) => Caller::system(job),
            Presented::Credential(credential) => {
                match authority::authenticate(state, credential, self.at, call.client.address) {
                    Ok(caller) => caller,
                    Err(refused) => {
                        if let Work::Command(request, seal) = work
                            && let Some(caller) = decide::repeats_own_rotation(
                                state,
                                &refused,
                                self.at,
                                call.client.address,
                                request,
                            )
                        {
                            let sought = Sought::of(work);
                            return self.command(state, caller, call, &sought, request, seal.as_ref());
                        }
                        self.note_unauthenticated(live, call, work, &refused, None);
                        return Held::Failed(Failure::Unauthenticated(refused.code));
                    }
                }
            }
        };
        match work {
            Work::Command(request, seal) => {
                self.command(state, caller, call, &Sought::of(work), request, seal.as_ref())
            }
            Work::Read(read) => {
                let allowed = query::authorize(state, &caller, read);
                self.note_call(&caller, call, &Sought::of(work), allowed.as_ref().err(), None);
                match allowed {
                    Ok(()) => Held::Readable(caller),
                    Err(rejection) => Held::Failed(Failure::Rejected(rejection)),
                }
            }
            Work::Verify(inquiries) => match answer(state, &caller, inquiries, self.at) {
                Ok(verdicts) => {
                    let noted = self.note_verdicts(live, &caller, call, inquiries, &verdicts, None);
                    Held::Verified { caller, verdicts: verdicts.into_iter().zip(noted).collect() }
                }
                Err(rejection) => {
                    self.note_call(&caller, call, &Sought::verify(), Some(&rejection), None);
                    Held::Failed(Failure::Rejected(rejection))
                }
            },
        }
    }

    fn command(
        &mut self,
        state: &State,
        caller: Caller,
        call: &Call,
        sought: &Sought,
        request: &Request,
        seal: Option<&SealKey>,
    ) -> Held {
        let decided = decide::decide(state, &caller, self.at, request)
            .and_then(|decision| self.enroll(state, &caller, call, &decision).map(|()| decision));
        let decision = match decided {
            Ok(decision) => decision,
            Err(rejection) => {
                self.note_call(&caller, call, sought, Some(&rejection), None);
                return Held::Failed(Failure::Rejected(rejection));
            }
        };
        // A lifecycle line names its actor, and so is the record of that use. The break-glass token's uses are
        // always events of their own as well.
        if decision.events.is_empty() || matches!(caller.principal, Principal::AdminToken) {
            self.note_call(&caller, call, sought, None, None);
        }
        if let (Some(seal), Some(secret), Some(idempotency)) = (seal, &decision.secret, &decision.idempotency)
        {
            self.sealed.push(seal.seal(&idempotency.key, secret, self.random, self.at.micros()));
        }
        let repeated = decision.idempotency.filter(|_| decision.repeated).map(|idempotency| idempotency.key);
        Held::Done { caller, subject: decision.subject, secret: decision.secret, repeated }
    }

    /// Writes the lifecycle lines of a decision.
    fn enroll(
        &mut self,
        state: &State,
        caller: &Caller,
        call: &Call,
        decision: &Decision,
    ) -> Result<(), Rejection> {
        if decision.events.is_empty() {
            return Ok(());
        }
        self.write_refusals();
        let org = decision.organization;
        let (address, agent) = self.client(org, &call.client);
        let own = |commitment: Option<Commitment>| commitment.map(|c| Box::from(c.as_str()));
        let is_job = matches!(call.presented, Presented::Job(_));
        let actor = caller.actor((!is_job).then(|| call.request.clone()), own(address), own(agent));
        let (written, folded) = (self.lines.len(), self.events.len());
        for (n, event) in (state.next_ordinal(org)..).zip(&decision.events) {
            let line = Line {
                at: self.at,
                org,
                n: Some(n),
                actor: actor.clone(),
                idempotency: decision.idempotency.clone().filter(|_| self.events.len() == folded),
                event: event.clone(),
            };
            let start = self.start_line();
            line.write(&mut self.lines);
            if self.lines.len() - start > line::MOST_BYTES {
                self.lines.truncate(written);
                self.count -=
                    u32::try_from(self.events.len() - folded).expect("a decision has few events") + 1;
                self.events.truncate(folded);
                let expected = format!("a change whose record fits into {} bytes", line::MOST_BYTES);
                return Err(Rejection::invalid("body", "its values together", expected));
            }
            self.events.push(line);
        }
        Ok(())
    }

    /// Records what was answered, and who asked when nothing else does: a verify's line names its caller.
    fn note_verdicts(
        &mut self,
        live: &Live,
        caller: &Caller,
        call: &Call,
        inquiries: &[Inquiry],
        verdicts: &[Verdict],
        seen: Option<u64>,
    ) -> Vec<Noted> {
        let mut is_named = false;
        let mut noted = Vec::with_capacity(verdicts.len());
        for (inquiry, verdict) in inquiries.iter().zip(verdicts) {
            let Some((token, shown)) = &verdict.token else {
                live.stats.unknown.fetch_add(1, Relaxed);
                noted.push(Noted::Nowhere);
                continue;
            };
            is_named = true;
            noted.push(self.note_verdict(caller, call, inquiry, verdict, (token, *shown), seen));
        }
        if !is_named || matches!(caller.principal, Principal::AdminToken) {
            self.note_call(caller, call, &Sought::verify(), None, seen);
        }
        noted
    }

    fn note_verdict(
        &mut self,
        caller: &Caller,
        call: &Call,
        inquiry: &Inquiry,
        verdict: &Verdict,
        (token, shown): (&Arc<Token>, Shown),
        seen: Option<u64>,
    ) -> Noted {
        let mut id = [0; uuid::fmt::Hyphenated::LENGTH];
        // Where the question was decided says it as ids; what named nothing stays as it was asked.
        let project = match verdict.place.project() {
            Some(project) => Some(&*project.0.as_hyphenated().encode_lower(&mut id)),
            None => inquiry.project.as_deref(),
        };
        // The line's own organization is the token's; a question about another one says so.
        let mut other = [0; uuid::fmt::Hyphenated::LENGTH];
        let organization = match verdict.place.organization() {
            _ if verdict.code == Code::WrongOrganization => inquiry.organization.as_deref(),
            Some(asked) if token.scope == Scope::Instance => {
                Some(&*asked.0.as_hyphenated().encode_lower(&mut other))
            }
            _ => None,
        };
        let asked = Asked {
            operation: None,
            permission: inquiry.permission.as_deref(),
            organization,
            project,
            resource: inquiry.resource.as_deref(),
        };
        let code = Some(verdict.code).filter(|code| *code != Code::Valid);
        let client = Some(&inquiry.client).filter(|client| **client != Client::default());
        self.note_use(&Noting { caller, call, token, shown, code, asked, client, seen })
    }

    /// Records bounded answers that have been given on the state of version `seen`.
    pub(crate) fn note_bounded(
        &mut self,
        live: &Live,
        caller: &Caller,
        call: &Call,
        inquiries: &[Inquiry],
        verdicts: &[Verdict],
        seen: u64,
    ) {
        self.note_verdicts(live, caller, call, inquiries, verdicts, Some(seen));
    }

    /// Records that a caller was refused whose credential is not in force, if it is a known token.
    pub(crate) fn note_unauthenticated(
        &mut self,
        live: &Live,
        call: &Call,
        work: &Work,
        refused: &authority::Refused,
        seen: Option<u64>,
    ) {
        let Some((token, shown)) = &refused.token else {
            live.stats.unknown.fetch_add(1, Relaxed);
            return;
        };
        let sought = Sought::of(work);
        let caller =
            Caller { principal: Principal::Token(Arc::clone(token), *shown), address: call.client.address };
        let asked = sought.asked(call);
        let code = Some(refused.code);
        self.note_use(&Noting {
            caller: &caller,
            call,
            token,
            shown: *shown,
            code,
            asked,
            client: None,
            seen,
        });
    }

    /// Records a call as a use of its caller: valid, or refused for what it may do.
    pub(crate) fn note_call(
        &mut self,
        caller: &Caller,
        call: &Call,
        sought: &Sought,
        rejection: Option<&Rejection>,
        seen: Option<u64>,
    ) {
        let asked = sought.asked(call);
        match &caller.principal {
            Principal::System(_) => {}
            Principal::AdminToken => self.note_admin(call, asked, seen),
            Principal::Token(token, shown) => {
                let code = rejection.filter(|rejection| rejection.is_refusal()).map(|_| Code::Forbidden);
                let shown = *shown;
                self.note_use(&Noting { caller, call, token, shown, code, asked, client: None, seen });
            }
        }
    }

    fn note_admin(&mut self, call: &Call, asked: Asked<&str>, seen: Option<u64>) {
        let (address, agent) = self.client(None, &call.client);
        let actor = Actor {
            by: By::AdminToken,
            token: None,
            request: Some(&*call.request),
            address: address.as_ref().map(Commitment::as_str),
            agent: agent.as_ref().map(Commitment::as_str),
        };
        let at = std::mem::take(&mut self.at_text);
        self.start_line();
        let head = Head { at: &at, org: None, n: None, actor: &actor, idempotency: None };
        line::write_admin_use(&mut self.lines, &head, &AdminUse { asked, seen });
        self.at_text = at;
    }

    fn note_use(&mut self, noting: &Noting<'_>) -> Noted {
        let org = noting.token.scope.organization();
        let (address, agent) = self.client(org, &noting.call.client);
        let presented = noting.client.map(|client| self.client(org, client));
        let client = presented.as_ref().map(|(address, agent)| event::Client {
            address: address.as_ref().map(Commitment::as_str),
            agent: agent.as_ref().map(Commitment::as_str),
        });
        let actor = noting.caller.actor(
            Some(&*noting.call.request),
            address.as_ref().map(Commitment::as_str),
            agent.as_ref().map(Commitment::as_str),
        );
        let used = Use {
            token: noting.token.id,
            secret: noting.shown.secret,
            code: noting.code,
            asked: noting.asked,
            client,
            seen: noting.seen,
            count: None,
        };
        if used.code.is_some() {
            return self.hold_refusal(org, &actor, &used);
        }
        let at = std::mem::take(&mut self.at_text);
        let index = self.count;
        self.start_line();
        let head = Head { at: &at, org, n: None, actor: &actor, idempotency: None };
        line::write_use(&mut self.lines, &head, &used);
        self.at_text = at;
        Noted::Line(index)
    }

    /// Identical refusals wait for each other, until the state changes or the batch ends.
    fn hold_refusal(&mut self, org: Option<OrganizationId>, actor: &Actor<&str>, used: &Use<&str>) -> Noted {
        let nameless = Actor { request: None, ..actor.clone() };
        let key = serde_json::to_vec(&(org, nameless, used)).expect("plain data can be written");
        if let Some(index) = self.same.get(&key) {
            self.refusals[*index].count += 1;
            return Noted::Refusal(*index);
        }
        let own = |text: &str| Box::<str>::from(text);
        let index = self.refusals.len();
        self.refusals.push(Refusal {
            org,
            actor: Actor {
                by: actor.by.clone(),
                token: actor.token,
                request: actor.request.map(own),
                address: actor.address.map(own),
                agent: actor.agent.map(own),
            },
            used: Use {
                token: used.token,
                secret: used.secret,
                code: used.code,
                asked: Asked {
                    operation: used.asked.operation.map(own),
                    permission: used.asked.permission.map(own),
                    organization: used.asked.organization.map(own),
                    project: used.asked.project.map(own),
                    resource: used.asked.resource.map(own),
                },
                client: used.client.map(|client| event::Client {
                    address: client.address.map(own),
                    agent: client.agent.map(own),
                }),
                seen: used.seen,
                count: None,
            },
            count: 1,
            line: None,
        });
        self.same.insert(key, index);
        Noted::Refusal(index)
    }

    /// Writes the refusals that wait. Before a lifecycle line this has to be: they were decided without it.
    fn write_refusals(&mut self) {
        self.same.clear();
        let mut refusals = std::mem::take(&mut self.refusals);
        let at = std::mem::take(&mut self.at_text);
        for refusal in refusals.iter_mut().filter(|refusal| refusal.line.is_none()) {
            refusal.line = Some(self.count);
            refusal.used.count = Some(refusal.count).filter(|count| *count > 1);
            self.start_line();
            let head = Head { at: &at, org: refusal.org, n: None, actor: &refusal.actor, idempotency: None };
            line::write_use(&mut self.lines, &head, &refusal.used);
        }
        self.at_text = at;
        self.refusals = refusals;
    }

    fn client(
        &mut self,
        org: Option<OrganizationId>,
        client: &Client,
    ) -> (Option<Commitment>, Option<Commitment>) {
        let address = client.address.map(|address| self.people.address(org, address, self.random));
        let agent = client.agent.as_deref().map(|agent| self.people.agent(org, agent, self.random));
        (address, agent)
    }

    /// Counts a line and sets it apart from the one before; says where it starts.
    fn start_line(&mut self) -> usize {
        if self.count > 0 {
            self.lines.push(b'\n');
        }
        self.count += 1;
        self.lines.len()
    }

    /// Ends the batch. There is no draft when nothing is to be recorded.
    pub(crate) fn finish(mut self) -> Decided {
        self.write_refusals();
        let draft = (self.count > 0).then(|| Draft {
            id: self.random.uuid_v7(self.at.micros()),
            lines: String::from_utf8(self.lines).expect("lines are JSON"),
            count: self.count,
            lifecycle: u32::try_from(self.events.len()).expect("a batch is bounded"),
            personal: self.people.to_store(),
            sealed: self.sealed,
        });
        let refusal_lines = self.refusals.iter().map(|refusal| refusal.line).collect();
        Decided { draft, events: self.events, refusal_lines }
    }
}

impl Decided {
    /// The answer that an item gets once the batch is on the log from position `first` on.
    pub(crate) fn release(&self, held: Held, first: u64, position: u64) -> Result<Answered, Failure> {
        let line_of = |noted| match noted {
            Noted::Line(index) => Some(first + u64::from(index)),
            Noted::Refusal(index) => self.refusal_lines[index].map(|line| first + u64::from(line)),
            Noted::Nowhere => None,
        };
        let (caller, outcome) = match held {
            Held::Failed(failure) => return Err(failure),
            Held::Readable(caller) => (caller, Outcome::Readable),
            Held::Done { caller, subject, secret, repeated } => {
                (caller, Outcome::Done { subject, secret, repeated })
            }
            Held::Verified { caller, verdicts } => {
                let verdicts = verdicts.into_iter().map(|(verdict, noted)| (verdict, line_of(noted)));
                (caller, Outcome::Verified(verdicts.collect()))
            }
        };
        Ok(Answered { caller, outcome, position })
    }
}

/// Answers questions on one state. Whether the caller may ask each of them is settled before any is answered.
pub(crate) fn answer(
    state: &State,
    caller: &Caller,
    inquiries: &[Inquiry],
    at: Timestamp,
) -> Result<Vec<Verdict>, Rejection> {
    let mut places: Vec<Place> = Vec::with_capacity(inquiries.len());
    for (index, inquiry) in inquiries.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| (&inquiries[before], places[before]));
        let place = match before {
            Some((same, place))
                if (&same.organization, &same.project) == (&inquiry.organization, &inquiry.project) =>
            {
                place
            }
            _ => verify::place_of(state, caller, &inquiry.question())?,
        };
        places.push(place);
    }
    let questions = inquiries.iter().zip(places);
    Ok(questions
        .map(|(inquiry, place)| verify::verify(state, caller, &inquiry.question(), place, at))
        .collect())
}
