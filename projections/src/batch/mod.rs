//! One group commit in the making: what is decided, the lines that record it, the answers that wait for it.
//!
//! Deciding is here, the records of uses are in [`record`].

mod record;

use crate::live::Live;
use crate::people::{Commitment, People, Whose, erasure};
use crate::seal::SealKey;
use crate::usage::{Seen, Tallies, count_use};
use crate::work::{Answered, Call, Failure, Inquiry, Outcome, Presented, Work};
use domain::authority::{self, Caller, Principal};
use domain::decide::{self, Decision, Request};
use domain::event::{self, Event, TokenImported};
use domain::id::{OrganizationId, TokenId};
use domain::line::{self, Line};
use domain::needs::permission_behind;
use domain::query;
use domain::rejection::Rejection;
use domain::secret::Secret;
use domain::state::{Corrupt, InvitationEnd, State};
use domain::time::Timestamp;
use domain::verify::{self, Place, Verdict};
use eventlog::personal::Kind;
use eventlog::{Draft, Erasure, Personal, Random, Sealed};
use record::{Refusal, permission_of, person_of};
use std::collections::HashMap;
use std::sync::Arc;

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
    /// What commands brought along.
    personal: Vec<Personal>,
    /// What goes with an erasure, which stands alone in its batch.
    erases: Option<Erasure>,
    refusals: Vec<Refusal>,
    same: HashMap<Vec<u8>, usize>,
    /// Who used what, and who was refused.
    uses: Tallies,
    /// There is a use of the break-glass token among them.
    has_admin_use: bool,
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
    Done {
        caller: Caller,
        subject: event::Subject,
        tokens: Vec<TokenId>,
        secret: Option<Secret>,
        repeated: Option<Box<str>>,
    },
    Verified {
        caller: Caller,
        verdicts: Vec<(Verdict, Noted)>,
    },
}

/// A batch that is decided: what to append, and what follows from it.
pub(crate) struct Decided {
    pub(crate) draft: Option<Draft>,
    pub(crate) events: Vec<Line>,
    /// The time of all its lines.
    pub(crate) at: Timestamp,
    /// Who used what, and who was refused.
    pub(crate) uses: Tallies,
    /// Not all its lines are uses of tokens.
    pub(crate) has_events: bool,
    refusal_lines: Vec<Option<u32>>,
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
            personal: Vec::new(),
            erases: None,
            refusals: Vec::new(),
            same: HashMap::new(),
            uses: Tallies::default(),
            has_admin_use: false,
        }
    }

    /// Decides items in order, each on the state after those before it. Nobody reads the state in between: either it
    /// does not change, or it is locked and taken back before it is unlocked.
    pub(crate) fn decide<'w>(
        &mut self,
        live: &Live,
        items: impl Iterator<Item = (&'w Call, &'w Work)> + Clone,
    ) -> Result<Vec<Held>, Corrupt> {
        let changes = items.clone().any(|(_, work)| matches!(work, Work::Command(..) | Work::Sweep(_)));
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
            Presented::Outsider(outsider) => Caller::outsider(outsider.by(), call.client.address),
            Presented::Invitation { text, user } => {
                let known = state.people().invitation_by_text(&text);
                let accepted = known.and_then(|known| match known.end {
                    Some(InvitationEnd::Accepted(by)) => Some(by),
                    _ => None,
                });
                Caller::invited(accepted.unwrap_or(user), call.client.address)
            }
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
                            return self.command(state, caller, call, request, seal.as_ref());
                        }
                        self.note_unauthenticated(live, call, work, &refused, None);
                        return Held::Failed(Failure::Unauthenticated(refused.code));
                    }
                }
            }
        };
        match work {
            Work::Command(request, seal) => self.command(state, caller, call, request, seal.as_ref()),
            Work::Sweep(sweep) => self.command(state, caller, call, &sweep.request(), None),
            Work::Read(read) => {
                let allowed = query::authorize(state, &caller, read);
                self.note_call(&caller, call, permission_of(work), allowed.as_ref().err(), None);
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
                    self.note_call(&caller, call, Some("tokens:verify"), Some(&rejection), None);
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
        request: &Request,
        seal: Option<&SealKey>,
    ) -> Held {
        let permission = request.command.permission();
        let decided = decide::decide(state, &caller, self.at, request)
            .and_then(|decision| self.enroll(state, &caller, call, &decision).map(|()| decision));
        let decision = match decided {
            Ok(decision) => decision,
            Err(rejection) => {
                self.note_call(&caller, call, permission, Some(&rejection), None);
                return Held::Failed(Failure::Rejected(rejection));
            }
        };
        // A lifecycle line names its actor, and so is the record of that use. The break-glass token's uses are
        // always events of their own as well.
        if decision.events.is_empty() || matches!(caller.principal, Principal::AdminToken) {
            self.note_call(&caller, call, permission, None, None);
        }
        if let (Some(seal), Some(secret), Some(idempotency)) = (seal, &decision.secret, &decision.idempotency)
        {
            self.sealed.push(seal.seal(&idempotency.key, secret, self.random, self.at.micros()));
        }
        self.erases = decision.erases.as_ref().map(erasure);
        let repeated = decision.idempotency.filter(|_| decision.repeated).map(|idempotency| idempotency.key);
        let Decision { subject, tokens, secret, .. } = decision;
        Held::Done { caller, subject, tokens, secret, repeated }
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
        let own = |commitment: Option<Commitment>| commitment.map(|c| Box::from(c.as_str()));
        let is_job = matches!(call.presented, Presented::Job(_));
        let (written, folded) = (self.lines.len(), self.events.len());
        let mut seen = Seen::default();
        let mut ordinals: HashMap<Option<OrganizationId>, u64> = HashMap::new();
        for (org, event) in decision.happenings() {
            let person = person_of(caller);
            let (address, agent) = self.client(Whose { org, person }, &call.client);
            let next = ordinals.entry(org).or_insert_with(|| state.next_ordinal(org));
            let ordinal = std::mem::replace(next, *next + 1);
            let line = Line {
                at: self.at,
                org,
                n: Some(ordinal),
                actor: caller.actor((!is_job).then(|| call.request.clone()), own(address), own(agent)),
                idempotency: decision.idempotency.clone().filter(|_| self.events.len() == folded),
                event: self.committed(org, event),
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
            let is_narrowed = matches!(event, Event::TokenMinted(minted) if minted.narrowed);
            let permission = permission_behind(line::type_of(event), is_narrowed).map(Arc::from);
            seen = Seen { permission, address, agent };
        }
        // What a decision made no use of is not kept.
        let lines = String::from_utf8_lossy(&self.lines[written..]);
        let used = call.personal.iter().filter(|value| lines.contains(&value.encoded()));
        let organization = decision.organization.map(|id| id.0);
        // A name is that of whoever accepts; a mail address is not that of whoever invites.
        let person = |value: &Personal| person_of(caller).filter(|_| value.kind == Kind::Name).map(|id| id.0);
        self.personal.extend(used.map(|value| value.clone().of(organization, person(value))));
        if let Some(token) = caller.token() {
            let count = u32::try_from(self.events.len() - folded).expect("a decision has few events");
            count_use(&mut self.uses, token.id, count, seen);
        }
        Ok(())
    }

    /// The event as its line has it: commitments stand in it for personal values.
    fn committed(&mut self, org: Option<OrganizationId>, event: &Event) -> Event {
        let mut event = event.clone();
        if let Event::TokenImported(TokenImported { owner: Some(owner), .. }) = &mut event {
            *owner = self.people.name(Whose { org, person: None }, owner, self.random).as_str().into();
        }
        event
    }

    /// Ends the batch. There is no draft when nothing is to be recorded.
    pub(crate) fn finish(mut self) -> Decided {
        self.write_refusals();
        let draft = (self.count > 0).then(|| Draft {
            id: self.random.uuid_v7(self.at.micros()),
            lines: String::from_utf8(self.lines).expect("lines are JSON"),
            count: self.count,
            lifecycle: u32::try_from(self.events.len()).expect("a batch is bounded"),
            personal: [self.people.to_store(), self.personal].concat(),
            sealed: self.sealed,
            erases: self.erases,
        });
        let refusal_lines = self.refusals.iter().map(|refusal| refusal.line).collect();
        let has_events = self.has_admin_use || !self.events.is_empty();
        Decided { draft, events: self.events, at: self.at, uses: self.uses, has_events, refusal_lines }
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
            Held::Done { caller, subject, tokens, secret, repeated } => {
                (caller, Outcome::Done { subject, tokens, secret, repeated })
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
            _ => verify::place_of(state, caller, &inquiry.question(state))?,
        };
        places.push(place);
    }
    let questions = inquiries.iter().zip(places);
    Ok(questions
        .map(|(inquiry, place)| verify::verify(state, caller, &inquiry.question(state), place, at))
        .collect())
}
