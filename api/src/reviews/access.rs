use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::{Path, Query};
use crate::error::problem;
use crate::page::{self, IdPage};
use crate::people;
use crate::respond::Answer;
use crate::tokens;
use crate::wire;
use axum::extract::State as Shared;
use domain::decide::ScopeText;
use domain::id::{OrganizationId, TokenId, UserId};
use domain::query::{self, Filter, Listing, Order, Position, Read, SortKey};
use domain::review::Catalog;
use domain::role::OWNER;
use domain::state::{State, Status, Token};
use domain::time::Timestamp;
use projections::{Failure, UsedPermissions};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked whether the uses of a moment ago are known, and the pause between two looks.
const LOOKS: u32 = 25;
const PAUSE: Duration = Duration::from_millis(200);

/// Review the access of an organization
///
/// Its live tokens in the order of minting, sessions left out: what each may do and where, which permissions it used and
/// which it never did, what would be enough for it, and who should confirm it. `uses_through` says of how much of the log
/// the uses are known. Needs `audit:read`, `tokens:read` and `members:read` at the organization.
#[utoipa::path(
    get, path = "/v1/organizations/{organization}/access-review", operation_id = "organizations.access-review",
    tag = "audit", params(("organization" = String, Path, description = "Name or id."), IdPage),
    responses((status = 200, body = wire::AccessReview), (status = "default", body = wire::Problem))
)]
pub(crate) async fn review(
    Shared(app): Shared<App>,
    session: Session,
    Path(organization): Path<String>,
    Query(query): Query<IdPage>,
) -> Result<Answer<wire::AccessReview>, Problem> {
    let (limit, after) = (page::limit(query.limit)?, query.after::<u32>()?);
    let read = Read::AccessReview(organization.clone());
    app.readable(&session, "organizations.access-review", read, query.at_least).await?;
    let live = app.node().live();
    let (position, at) = (live.position(), app.now());
    let (found, next) = list(&app, &session, &organization, after, limit, at).await?;
    let ids: Vec<TokenId> = found.iter().map(|token| token.id).collect();
    // The first page waits for the uses of a moment ago: on them it depends what is called unused.
    let wanted = if after.is_none() { position } else { 0 };
    let turn = app.review_turn().await;
    let (used, uses_through) = used_through(&app, &ids, wanted).await?;
    let mut views: Vec<_> =
        live.read(|state| found.iter().map(|token| tokens::view(state, token, at)).collect());
    tokens::add_last_used(&app, &session, &mut views).await;
    drop(turn);
    let (catalog, owners, organization) = live.read(|state| {
        let caller = app.again(state, &session)?;
        let own = query::reviewed(state, &caller, &organization).map_err(|error| problem(&error.into()))?;
        Ok::<_, Problem>((Catalog::of(state, own.id), owners(state, own.id), own.naming.name.to_string()))
    })?;
    let mut items = Vec::with_capacity(found.len());
    for (token, view) in found.iter().zip(views) {
        let used = used.get(&token.id).cloned().unwrap_or_default();
        items.push(live.read(|state| item(state, &catalog, (token, view), &used, &owners)));
        // Between two tokens, whoever waits for the state has its turn.
        tokio::task::yield_now().await;
    }
    let (at, next_cursor) = (at.to_string(), next.map(|next| page::encode(&next)));
    let mut review = wire::AccessReview { organization, at, uses_through, items, next_cursor };
    let persons =
        review.items.iter_mut().flat_map(|item| item.answers_for.iter_mut().chain(&mut item.confirm));
    people::open(&app, persons.collect::<Vec<_>>()).await;
    Ok(Answer::ok(review, position))
}

/// What tokens were used for, and up to where that is known: up to `wanted`, if it comes so far soon.
async fn used_through(app: &App, tokens: &[TokenId], wanted: u64) -> Result<(UsedPermissions, u64), Problem> {
    let mut looks = LOOKS;
    loop {
        let (used, through) = app.node().permissions_used(tokens).await.map_err(|error| {
            tracing::warn!(%error, "what tokens were used for could not be read");
            problem(&Failure::Unavailable)
        })?;
        looks -= 1;
        if through >= wanted || looks == 0 {
            return Ok((used, through));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A page of live tokens that are no sessions, and where it ended if there are more.
async fn list(
    app: &App,
    session: &Session,
    organization: &str,
    after: Option<u32>,
    limit: usize,
    at: Timestamp,
) -> Result<(Vec<Arc<Token>>, Option<u32>), Problem> {
    let filter = Filter {
        scope: Some(ScopeText::Organization(organization.to_owned())),
        status: Some(Status::Live),
        ..Filter::default()
    };
    let order = Order { key: SortKey::Created, descending: false };
    let after = after.map(|slot| Position { value: String::new(), slot });
    let mut listing = Listing::new(&filter, order, after.as_ref(), limit);
    let mut step = |state: &State| {
        let caller = app.again(state, session)?;
        listing.step(state, &caller, at).map_err(|rejection| problem(&rejection.into()))
    };
    while app.node().live().read(&mut step)? {
        tokio::task::yield_now().await;
    }
    let (mut found, next) = listing.finish();
    found.retain(|token| !token.session);
    Ok((found, next.map(|next| next.slot)))
}

fn item(
    state: &State,
    catalog: &Catalog,
    (token, view): (&Arc<Token>, wire::Token),
    used: &BTreeMap<String, Timestamp>,
    owners: &[UserId],
) -> wire::ReviewedToken {
    let found = catalog.review(state, token, &used.keys().cloned().collect::<BTreeSet<_>>());
    let held = found.held.iter().map(|(place, set)| wire::HeldPermissions {
        place: tokens::view_scope(state, *place),
        permissions: set.patterns().iter().map(ToString::to_string).collect(),
    });
    let answers_for = token.person.map(|user| person(state, user));
    let confirm = match &answers_for {
        Some(person) => vec![person.clone()],
        None => owners.iter().map(|owner| person(state, *owner)).collect(),
    };
    wire::ReviewedToken {
        token: view,
        held: held.collect(),
        used: used
            .iter()
            .map(|(permission, at)| wire::UsedPermission {
                permission: permission.clone(),
                last_used_at: at.to_string(),
            })
            .collect(),
        never_used: found.never_used,
        needed: found.needed,
        narrower_role: found.narrower_role.map(|name| name.to_string()),
        answers_for,
        confirm,
    }
}

fn owners(state: &State, organization: OrganizationId) -> Vec<UserId> {
    let members = state.people().members_after(organization, None);
    members
        .filter(|member| member.role.as_str() == OWNER && member.place.project().is_none())
        .map(|member| member.user)
        .collect()
}

/// A person, with commitments where the values belong.
fn person(state: &State, user: UserId) -> wire::Person {
    let known = state.people().user(user);
    wire::Person {
        user: user.0,
        email: known.map(|known| known.email.to_string()),
        name: known.and_then(|known| known.name.as_deref()).map(str::to_owned),
        erased: Vec::new(),
        altered: Vec::new(),
    }
}
