//! What all handlers share, and the router of everything.

use crate::admin::AdminToken;
use crate::audit::stream::STREAMS;
use crate::auth::Session;
use crate::edge::{Problem, RequestIds, Stack, TrustedProxies, codes, metrics::Metrics};
use crate::error::{invalid, problem, unauthenticated};
use crate::exports::{EXPORTS, STATES};
use crate::front::Front;
use crate::leaks::partner::PartnerKeys;
use crate::limits::{Counted, Limited, Limits, Rates};
use crate::mail::Mailer;
use crate::seats::Seats;
use crate::{openapi, system};
use axum::Router;
use domain::authority::{self, Caller, Credential};
use domain::decide::Entropy;
use domain::id::{OrganizationId, TokenId};
use domain::import::{Algorithm, Digest, Hashes};
use domain::query::Read;
use domain::rejection::Rejection;
use domain::secret::{self, SecretHash, Shape};
use domain::state::State;
use domain::text;
use domain::time::Timestamp;
use domain::verify::Code;
use projections::{Answered, Call, Failure, Node, Presented, Work};
use prometheus_client::registry::Registry;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

/// The most bytes of what a call was about that are kept: two names, or what was typed in their place.
const OBJECT: usize = 160;
/// How long a read waits for the position that `at_least` asks for.
const AT_LEAST_PATIENCE: Duration = Duration::from_secs(5);

/// What all handlers share.
#[derive(Clone)]
pub struct App(Arc<Shared>);

struct Shared {
    node: Node,
    admin: Option<AdminToken>,
    metrics: Registry,
    limits: Limits,
    partner_keys: PartnerKeys,
    mail: Option<Mailer>,
    streams: Seats,
    exports: Seats,
    states: Seats,
    /// Who computes much at once.
    turns: Arc<Semaphore>,
    /// Who reviews access.
    reviews: Semaphore,
}

/// How many may compute much at a time.
const TURNS: usize = 2;
/// How many reviews may read from the database at a time, so that the rest always finds connections.
const REVIEWS: usize = 2;

/// What a node's API is told.
#[derive(Default)]
pub struct Options {
    /// The break-glass token; without one there is no such access.
    pub admin: Option<AdminToken>,
    /// Serve `/metrics` with everything else, and not on a listener of its own.
    pub with_metrics: bool,
    /// How often what may be asked.
    pub rates: Rates,
    /// Whose signatures on reports of leaks are believed.
    pub partner_keys: PartnerKeys,
    /// What sends invitations; without it their texts are in the answers.
    pub mail: Option<Mailer>,
}

impl App {
    /// The node.
    pub fn node(&self) -> &Node {
        &self.0.node
    }

    /// The stack around this node's routers: request ids, time limits, the client's address.
    pub fn stack(
        &self,
        ids: RequestIds,
        proxies: TrustedProxies,
        timeout: Duration,
        metrics: Option<Arc<Metrics>>,
    ) -> Stack {
        let clock = self.node().live().clock().clone();
        let stack = Stack::new(ids, Arc::new(move || clock.monotonic()), proxies, timeout, metrics);
        // The break-glass token is of its operator's own form, so only what has it can find it in an error.
        match self.0.admin.clone() {
            Some(admin) => stack.hiding(Arc::new(move |text| match admin.mask(text) {
                Cow::Owned(hidden) => Some(hidden),
                Cow::Borrowed(_) => None,
            })),
            None => stack,
        }
    }

    /// Everything of a router under a listener, with the stack around it.
    pub fn front(&self, stack: &Stack, router: Router) -> Front {
        Front::new(self.clone(), stack, router)
    }

    /// Whose signatures on reports of leaks are believed.
    pub(crate) fn partner_keys(&self) -> &PartnerKeys {
        &self.0.partner_keys
    }

    /// Does what takes long and waits for nothing, away from the threads that serve connections. When as many are at it
    /// as may be, it is refused.
    pub(crate) async fn compute<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, Problem> {
        let turn = Arc::clone(&self.0.turns).try_acquire_owned();
        let turn = turn.map_err(|_| problem(&Failure::Overloaded))?;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        done.await.map_err(|_| Problem::new(codes::INTERNAL))
    }

    /// Waits for a turn to read what a review needs.
    pub(crate) async fn review_turn(&self) -> SemaphorePermit<'_> {
        self.0.reviews.acquire().await.expect("turns are never closed")
    }

    /// What sends mail, where that is set up.
    pub(crate) fn mail(&self) -> Option<&Mailer> {
        self.0.mail.as_ref()
    }

    /// Counts an invitation that goes out by mail: of a person in all sessions together, and from wherever. Who may not
    /// call at all is told so by what follows.
    pub(crate) fn limit_inviter(&self, session: &Session) -> Result<(), Problem> {
        let inviter = self.node().live().read(|state| {
            let caller = self.again(state, session).ok()?;
            let person = caller.token().and_then(|token| token.person).map(Counted::Person);
            Some(person.unwrap_or_else(|| counted(state, &caller)))
        });
        inviter.map_or(Ok(()), |inviter| self.0.limits.count(Limited::Invitations, (inviter, None)))
    }

    /// The streams that are open.
    pub(crate) fn streams(&self) -> &Seats {
        &self.0.streams
    }

    /// Who is handed the state.
    pub(crate) fn states(&self) -> &Seats {
        &self.0.states
    }

    /// Who is served an export.
    pub(crate) fn exports(&self) -> &Seats {
        &self.0.exports
    }

    /// Counts a call of a caller whose credential is in force, or of an address; refuses one that is too many.
    pub(crate) fn limit(
        &self,
        what: Limited,
        session: Option<&Session>,
        address: Option<IpAddr>,
    ) -> Result<(), Problem> {
        let caller = session.map_or(Counted::Nobody, |session| self.counted(session));
        self.0.limits.count(what, (caller, address))
    }

    /// The rate limits of this node.
    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Whom a session is counted as; nobody where its credential is not in force.
    pub(crate) fn counted(&self, session: &Session) -> Counted {
        self.node().live().read(|state| {
            let caller = self.again(state, session);
            caller.map_or(Counted::Nobody, |caller| counted(state, &caller))
        })
    }

    /// The registered metrics.
    pub(crate) fn metrics(&self) -> &Registry {
        &self.0.metrics
    }

    /// The node back, when nothing serves from it any more.
    pub fn into_node(self) -> Option<Node> {
        Arc::into_inner(self.0).map(|shared| shared.node)
    }

    /// What a presented text proves, before anything is looked up.
    pub(crate) fn credential(&self, text: &str) -> Credential {
        let own = SecretHash::of(text);
        if self.0.admin.as_ref().is_some_and(|admin| admin.is(&own)) {
            return Credential::AdminToken;
        }
        match secret::shape(text) {
            Shape::Malformed => Credential::Secret { hash: own, malformed: true },
            // Whoever shows a credential is told whether it is one, so that the time it takes may tell it too.
            Shape::WellFormed | Shape::Foreign if self.is_known(&own, |_| true) => {
                Credential::Foreign(own.into())
            }
            Shape::WellFormed | Shape::Foreign => Credential::Foreign(self.foreign(text, own)),
        }
    }

    /// What a text can be known by that a caller asks about, and its form. To an organization's caller, one of another
    /// organization is as unknown as one that was never issued, and is hashed in as many ways.
    pub(crate) fn asked(&self, text: &str, caller: Credential) -> (Hashes, Shape) {
        let own = SecretHash::of(text);
        let may_be_told = |organization| match caller {
            Credential::AdminToken => true,
            Credential::Secret { .. } => false,
            Credential::Foreign(caller) => {
                self.is_known(&caller.own, |caller| caller.is_none() || caller == organization)
            }
        };
        if self.is_known(&own, may_be_told) {
            (own.into(), secret::shape(text))
        } else {
            self.presented(text)
        }
    }

    /// Whether a token of an organization that will do has a text of this authority's own making. It has it for ever,
    /// so that no other hash of it can be a token's: most texts are hashed once.
    fn is_known(&self, own: &SecretHash, will_do: impl FnOnce(Option<OrganizationId>) -> bool) -> bool {
        let found = self
            .node()
            .live()
            .read(|state| state.tokens().by_secret(own).map(|(token, _)| token.scope.organization()));
        found.is_some_and(will_do)
    }

    /// What a presented text can be known by.
    pub(crate) fn hashes(&self, text: &str) -> Hashes {
        self.presented(text).0
    }

    /// What a presented text can be known by, and its form. One of our own form may have come from another authority,
    /// so only what is no whole text of any form cannot have been imported.
    pub(crate) fn presented(&self, text: &str) -> (Hashes, Shape) {
        let (own, shape) = (SecretHash::of(text), secret::shape(text));
        let hashes = if shape == Shape::Malformed { own.into() } else { self.foreign(text, own) };
        (hashes, shape)
    }

    /// What a text can be known by that may have been imported.
    fn foreign(&self, text: &str, own: SecretHash) -> Hashes {
        let sha256 = Digest(Sha256::digest(text.as_bytes()).into());
        let key = self.node().import_key();
        let imported = [key.hash(Algorithm::Blake3, &Digest(own.0)), key.hash(Algorithm::Sha256, &sha256)];
        Hashes { own, imported: Some(imported) }
    }

    /// Text as it may be kept: secrets in it are masked, the break-glass token as well, which no checksum tells.
    pub(crate) fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let masked = domain::text::mask(text);
        match &self.0.admin {
            Some(admin) => match admin.mask(&masked) {
                Cow::Owned(found) => Cow::Owned(found),
                Cow::Borrowed(_) => masked,
            },
            None => masked,
        }
    }

    /// Whether the break-glass token stands in a text.
    pub(crate) fn holds_admin_token(&self, text: &str) -> bool {
        self.0.admin.as_ref().is_some_and(|admin| matches!(admin.mask(text), Cow::Owned(_)))
    }

    /// Now, by the authority's clock.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.node().live().clock().now())
    }

    /// A new id.
    pub(crate) fn new_id(&self) -> Uuid {
        self.node().random().uuid_v7(self.now().micros())
    }

    /// The id of a new token.
    pub(crate) fn new_token_id(&self) -> TokenId {
        TokenId(self.new_id())
    }

    /// What a new secret is made of.
    pub(crate) fn new_entropy(&self) -> Entropy {
        Entropy(self.node().random().bytes())
    }

    /// Hands work to the scribe.
    pub(crate) async fn submit(&self, mut call: Call, work: Work) -> Result<Answered, Problem> {
        let object = work.object();
        if object.as_ref().is_some_and(|object| self.holds_admin_token(object)) {
            return Err(invalid("path", "…", "a path and a query without the admin token in them"));
        }
        call.object = object.map(|object| text::cut(&object, OBJECT).into());
        let (address, presented) = (call.client.address, call.presented);
        self.node().submit(call, work).await.map_err(|failure| {
            let problem = self.refused(&failure, address);
            // Who was rejected with a credential had one in force; nobody else is told how far the log is.
            match (failure, presented) {
                (Failure::Rejected(Rejection::Unauthenticated(_)), _) => problem,
                (Failure::Rejected(_), Presented::Credential(_)) => problem.at(self.node().live().position()),
                _ => problem,
            }
        })
    }

    /// The problem of a call that was refused. That nobody has its credential is said so often to an address, no more.
    pub(crate) fn refused(&self, failure: &Failure, address: Option<IpAddr>) -> Problem {
        let is_unknown = matches!(failure, Failure::Unauthenticated(Code::Unknown));
        let counted = if is_unknown {
            self.0.limits.count(Limited::Unknown, (Counted::Nobody, address))
        } else {
            Ok(())
        };
        counted.err().unwrap_or_else(|| problem(failure))
    }

    /// Records a read as a use of its caller, and waits for the position that it asks for: from then on the caller may
    /// look.
    pub(crate) async fn readable(
        &self,
        session: &Session,
        operation: &'static str,
        read: Read,
        at_least: Option<u64>,
    ) -> Result<Caller, Problem> {
        let answered = self.submit(session.call(operation), Work::Read(read)).await?;
        if let Some(wanted) = at_least.filter(|wanted| *wanted > answered.position)
            && !self.node().live().reaches(wanted, AT_LEAST_PATIENCE).await
        {
            let position = self.node().live().position();
            return Err(crate::error::behind(wanted, position).at(position));
        }
        self.node().live().read(|state| self.again(state, session))
    }

    /// Who calls, by the state as it is now: while a read waited, its credential may have ended.
    pub(crate) fn again(&self, state: &State, session: &Session) -> Result<Caller, Problem> {
        let address = session.address();
        authority::authenticate(state, session.credential(), self.now(), address)
            .map_err(|refused| unauthenticated(refused.code))
    }

    /// Does a read in one look.
    pub(crate) async fn read<R>(
        &self,
        session: Session,
        operation: &'static str,
        read: Read,
        at_least: Option<u64>,
        look: impl FnOnce(&State, &Caller) -> Result<R, Rejection>,
    ) -> Result<(R, u64), Problem> {
        self.read_by(&session, operation, read, at_least, look).await
    }

    /// The same where the answer needs another look.
    pub(crate) async fn read_by<R>(
        &self,
        session: &Session,
        operation: &'static str,
        read: Read,
        at_least: Option<u64>,
        look: impl FnOnce(&State, &Caller) -> Result<R, Rejection>,
    ) -> Result<(R, u64), Problem> {
        self.readable(session, operation, read, at_least).await?;
        let position = self.node().live().position();
        let found = self.node().live().read(|state| {
            let caller = self.again(state, session)?;
            look(state, &caller).map_err(|rejection| problem(&rejection.into()).at(position))
        })?;
        Ok((found, position))
    }
}

/// Whom a caller is counted as. To narrow needs no permission, so what is narrowed is no new caller: it counts as the
/// minted token that it goes back to.
pub(crate) fn counted(state: &State, caller: &Caller) -> Counted {
    let root = caller.token().and_then(|token| state.chain(token).last());
    root.map_or(Counted::AdminToken, |root| Counted::Token(root.id))
}

/// The router of everything under one listener.
pub fn router(node: Node, options: Options) -> (App, Router, Arc<Metrics>) {
    let mut registry = Registry::with_prefix("chancery");
    let edge = Metrics::register(&mut registry);
    system::metrics::register(&mut registry, node.live(), node.log());
    let limits = Limits::new(options.rates, node.live().clock(), &mut registry);
    let Options { admin, partner_keys, mail, with_metrics, .. } = options;
    if let Some(mail) = &mail {
        mail.register(&mut registry);
    }
    let streams = Seats::new(&mut registry, STREAMS, ("audit_streams", "Open streams of the record"));
    let exports = Seats::new(&mut registry, EXPORTS, ("exports", "Exports under way"));
    let states = Seats::new(&mut registry, STATES, ("state_copies", "Copies of the state under way"));
    let metrics = registry;
    let turns = Arc::new(Semaphore::new(TURNS));
    let reviews = Semaphore::new(REVIEWS);
    let app = App(Arc::new(Shared {
        node,
        admin,
        metrics,
        limits,
        partner_keys,
        mail,
        streams,
        exports,
        states,
        turns,
        reviews,
    }));
    let (routes, document) = openapi::routes();
    let mut routes = routes.with_state(app.clone()).merge(crate::edge::docs::routes(&document));
    if with_metrics {
        routes = routes.merge(metrics_router(app.clone()));
    }
    (app, routes, edge)
}

/// `/metrics` alone, for a listener of its own.
pub fn metrics_router(app: App) -> Router {
    Router::new().route("/metrics", axum::routing::get(system::metrics::show)).with_state(app)
}
