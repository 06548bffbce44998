use super::{read_scope, read_time};
use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::Json;
use crate::error::{invalid, problem};
use crate::limits::Limited;
use crate::page;
use crate::people;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::authority::Caller;
use domain::decide::{self, Command, Expiry, Import, Request};
use domain::event::Subject;
use domain::id::TokenId;
use domain::import::{Algorithm, Digest};
use domain::query::Read;
use domain::rejection::Rejection;
use domain::state;
use futures_util::future::join_all;
use projections::{Outcome, Work};
use std::num::NonZeroU32;

/// What a key would come to, or came to.
enum Fate {
    /// It is to be enrolled.
    New(Box<Request>),
    /// It would be.
    Foreseen,
    /// It is not for the caller to do, which is to be enrolled as well.
    Denied {
        request: Box<Request>,
        /// It is the key of a token that the caller may not know.
        is_hidden: bool,
    },
    Imported(Subject),
    Known(Subject),
    Refused(Problem),
}

/// Import keys that were issued elsewhere
///
/// By their hashes: their texts are in force from then on as tokens of this authority, and a rotation gives each a
/// secret of its own. Needs `tokens:import` at each scope, and everything that each token will be able to do. Each key
/// is decided by itself, and what was imported before is left alone, so the same import may be sent again.
#[utoipa::path(
    post, path = "/v1/tokens/import", operation_id = "tokens.import", tag = "tokens",
    request_body = wire::Import,
    responses((status = 200, body = wire::ImportAnswer), (status = "default", body = wire::Problem))
)]
pub(crate) async fn import(
    State(app): State<App>,
    session: Session,
    Json(body): Json<wire::Import>,
) -> Result<Answer<wire::ImportAnswer>, Problem> {
    let count = body.items.len();
    if !(1..=page::MOST).contains(&count) {
        return Err(invalid("items", &count.to_string(), "a list of 1 to 1000 keys"));
    }
    let caller = app.counted(&session);
    app.limits().require_open(Limited::KnownKeys, (caller, None))?;
    let keys = NonZeroU32::new(count as u32).expect("a list of at least one");
    app.limits().count_all(Limited::Imports, (caller, session.address()), keys)?;
    app.readable(&session, "tokens.import", Read::Import, None).await?;
    let read: Vec<_> = body.items.into_iter().map(|key| read(&app, key)).collect();
    let fates: Vec<Fate> = app.node().live().read(|state| {
        let caller = app.again(state, &session)?;
        Ok::<_, Problem>(read.into_iter().map(|read| foresee(&app, state, &caller, read)).collect())
    })?;
    // Whose key it is may be nobody's business here: that there is one is told a few times, not for a list of guesses.
    let hidden = fates.iter().filter(|fate| matches!(fate, Fate::Denied { is_hidden: true, .. })).count();
    if let Some(hidden) = NonZeroU32::new(hidden as u32) {
        app.limits().count_or_shut(Limited::KnownKeys, (caller, None), hidden)?;
    }
    let done = join_all(fates.into_iter().map(|fate| enroll(&app, &session, fate, body.dry_run))).await;
    let items = done.into_iter().map(view).collect();
    Ok(Answer::ok(wire::ImportAnswer { items }, app.node().live().position()))
}

/// What a key would come to on the state as it is. What would change nothing and is no refusal is not handed on: it needs
/// no record of its own beside that of the whole request.
fn foresee(app: &App, state: &state::State, caller: &Caller, read: Result<Import, Problem>) -> Fate {
    let import = match read {
        Ok(import) => import,
        Err(problem) => return Fate::Refused(problem),
    };
    let is_hidden = import.is_hidden(state, caller);
    let request = Request { command: Command::Import(import), expected_revision: None, repeat: None };
    match decide::decide(state, caller, app.now(), &request) {
        Ok(decision) if decision.events.is_empty() => Fate::Known(decision.subject),
        Ok(_) => Fate::New(Box::new(request)),
        Err(rejection) if rejection.is_refusal() => {
            let is_hidden = is_hidden && rejection == Rejection::HashKnown;
            Fate::Denied { request: Box::new(request), is_hidden }
        }
        Err(rejection) => Fate::Refused(problem(&rejection.into())),
    }
}

async fn enroll(app: &App, session: &Session, fate: Fate, dry_run: bool) -> Fate {
    let mut request = match fate {
        Fate::New(_) if dry_run => return Fate::Foreseen,
        Fate::New(request) | Fate::Denied { request, .. } => request,
        settled => return settled,
    };
    if let Command::Import(import) = &mut request.command {
        import.dry_run = dry_run;
    }
    match app.submit(session.call("tokens.import"), Work::Command(request, None)).await {
        Ok(answered) => match answered.outcome {
            // What was denied a moment ago may be allowed by now.
            Outcome::Done { .. } if dry_run => Fate::Foreseen,
            Outcome::Done { subject, .. } => Fate::Imported(subject),
            Outcome::Readable | Outcome::Verified(_) => {
                Fate::Refused(Problem::new(crate::edge::codes::INTERNAL))
            }
        },
        Err(problem) => Fate::Refused(problem),
    }
}

fn view(fate: Fate) -> wire::ImportOutcome {
    let (status, subject, problem) = match fate {
        Fate::New(_) | Fate::Denied { .. } | Fate::Foreseen => ("imported", None, None),
        Fate::Imported(subject) => ("imported", Some(subject), None),
        Fate::Known(subject) => ("known", Some(subject), None),
        Fate::Refused(problem) => ("refused", None, Some(problem)),
    };
    let id = subject.and_then(|subject| match subject {
        Subject::Token(id) => Some(id.0),
        _ => None,
    });
    wire::ImportOutcome { status: status.to_owned(), id, problem: problem.map(|problem| problem.as_wire()) }
}

/// Adds who owned an imported token, unless that was erased. Without the database the answer is whole but for that.
pub(super) async fn add_owner(app: &App, token: &mut wire::Token, id: TokenId) {
    let Some(imported) = &mut token.imported else { return };
    let owner =
        app.node().live().read(|state| state.imports().of(id).and_then(|imported| imported.owner.clone()));
    imported.owner = owner.map(Into::into);
    people::open(app, [imported]).await;
}

fn read(app: &App, key: wire::ImportKey) -> Result<Import, Problem> {
    // Wherever it stands: in the name of a role, or deep in the metadata.
    let text = serde_json::to_string(&key).expect("a key of a request body can be written again");
    if app.holds_admin_token(&text) {
        return Err(invalid("items", "…", "keys without the admin token in them"));
    }
    let refused = |rejection: Rejection| problem(&rejection.into());
    let time = |field, text: Option<&str>| text.map(|text| read_time(field, text)).transpose();
    let algorithm = Algorithm::parse(&key.algorithm).map_err(refused)?;
    let digest = Digest::parse(&key.hash).map_err(refused)?;
    Ok(Import {
        id: app.new_token_id(),
        scope: read_scope(&key.scope)?,
        not_before: time("not_before", key.not_before.as_deref())?,
        expiry: time("expires_at", key.expires_at.as_deref())?.map_or(Expiry::Inherited, Expiry::At),
        created_at: time("created_at", key.created_at.as_deref())?,
        dry_run: false,
        grants: key.grants,
        algorithm,
        hash: app.node().import_key().hash(algorithm, &digest),
        digest,
        name: key.name,
        description: key.description,
        metadata: key.metadata,
        allowed_networks: key.allowed_networks,
        owner: key.owner,
    })
}
