//! The records of uses: one line for each, identical refusals together.

use super::{Batch, Noted};
use crate::live::Live;
use crate::people::{Commitment, Whose};
use crate::usage::{Seen, count_line};
use crate::work::{Call, Client, Inquiry, Work};
use domain::authority::{self, Caller, Principal};
use domain::event::{self, Actor, AdminUse, Asked, By, Use};
use domain::id::{OrganizationId, UserId};
use domain::line::{self, Head};
use domain::rejection::Rejection;
use domain::scope::Scope;
use domain::state::{Shown, Token};
use domain::verify::{Code, Verdict};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Identical refusals, which become one line with a count.
pub(super) struct Refusal {
    org: Option<OrganizationId>,
    actor: Actor<Box<str>>,
    used: Use<Box<str>>,
    count: u32,
    /// The index of its line, once that is written.
    pub(super) line: Option<u32>,
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

impl Batch<'_> {
    /// Records what was answered, and who asked when nothing else does: a verify's line names its caller.
    pub(super) fn note_verdicts(
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
            self.note_call(caller, call, Some("tokens:verify"), None, seen);
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
        // A project's own token can only be of a wrong project where the question named none that there is.
        let own = token.scope.project().filter(|_| verdict.code == Code::WrongProject);
        let project = match verdict.place.project().filter(|project| own != Some(*project)) {
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
        let caller =
            Caller { principal: Principal::Token(Arc::clone(token), *shown), address: call.client.address };
        let asked = asked_by(call, permission_of(work));
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
        permission: Option<&'static str>,
        rejection: Option<&Rejection>,
        seen: Option<u64>,
    ) {
        let asked = asked_by(call, permission);
        match &caller.principal {
            // Nothing stands under a name that anybody may have, nor under that of a person who is not known yet; what
            // such a caller changes names it as its actor.
            Principal::System(_) | Principal::Outsider(_) | Principal::Invited(_) => {}
            Principal::AdminToken => self.note_admin(call, asked, seen),
            Principal::Token(token, shown) => {
                let code = rejection.filter(|rejection| rejection.is_refusal()).map(|_| Code::Forbidden);
                let shown = *shown;
                self.note_use(&Noting { caller, call, token, shown, code, asked, client: None, seen });
            }
        }
    }

    fn note_admin(&mut self, call: &Call, asked: Asked<&str>, seen: Option<u64>) {
        let (address, agent) = self.client(Whose::default(), &call.client);
        let actor = Actor {
            by: By::AdminToken,
            token: None,
            request: Some(&*call.request),
            address: address.as_ref().map(Commitment::as_str),
            agent: agent.as_ref().map(Commitment::as_str),
        };
        let at = std::mem::take(&mut self.at_text);
        self.has_admin_use = true;
        self.start_line();
        let head = Head { at: &at, org: None, n: None, actor: &actor, idempotency: None };
        line::write_admin_use(&mut self.lines, &head, &AdminUse { asked, seen });
        self.at_text = at;
    }

    fn note_use(&mut self, noting: &Noting<'_>) -> Noted {
        let org = noting.token.scope.organization();
        let acting = Whose { org, person: person_of(noting.caller) };
        let (address, agent) = self.client(acting, &noting.call.client);
        let shown = Whose { org, person: noting.token.person.filter(|_| noting.token.session) };
        let presented = noting.client.map(|client| self.client(shown, client));
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
        let caller = noting.caller.token().map(|token| token.id);
        count_line(&mut self.uses, &used, caller, &Seen { permission: None, address, agent });
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
    pub(super) fn write_refusals(&mut self) {
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

    pub(super) fn client(
        &mut self,
        whose: Whose,
        client: &Client,
    ) -> (Option<Commitment>, Option<Commitment>) {
        let address = client.address.map(|address| self.people.address(whose, address, self.random));
        let agent = client.agent.as_deref().map(|agent| self.people.agent(whose, agent, self.random));
        (address, agent)
    }

    /// Counts a line and sets it apart from the one before; says where it starts.
    pub(super) fn start_line(&mut self) -> usize {
        if self.count > 0 {
            self.lines.push(b'\n');
        }
        self.count += 1;
        self.lines.len()
    }
}

/// The person that a caller acts as: through a session, or by accepting an invitation. Who minted a token does not act
/// when it is used.
pub(super) fn person_of(caller: &Caller) -> Option<UserId> {
    match &caller.principal {
        Principal::Token(token, _) => token.person.filter(|_| token.session),
        Principal::Invited(user) => Some(*user),
        Principal::AdminToken | Principal::System(_) | Principal::Outsider(_) => None,
    }
}

pub(super) fn permission_of(work: &Work) -> Option<&'static str> {
    match work {
        Work::Command(request, _) => request.command.permission(),
        Work::Read(read) => read.permission(),
        Work::Sweep(_) => Some("tokens:revoke"),
        Work::Verify(_) => Some("tokens:verify"),
    }
}

/// What a call of Chancery's own API asked for.
fn asked_by<'c>(call: &'c Call, permission: Option<&'static str>) -> Asked<&'c str> {
    Asked {
        operation: Some(call.operation),
        permission,
        resource: call.object.as_deref(),
        ..Asked::default()
    }
}
