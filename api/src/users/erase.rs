use crate::app::App;
use crate::audit;
use crate::auth::Session;
use crate::change::Conditions;
use crate::edge::Problem;
use crate::edge::extract::Json;
use crate::error::{invalid, problem};
use crate::people;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::decide::{Command, Erase, Found};
use domain::id::UserId;
use domain::query::Read;
use domain::scope::Scope;
use eventlog::personal::{Personal, decode_commitment, encode_commitment};
use projections::Failure;

/// Whom a request names.
enum Whom {
    User(UserId),
    Email(Personal),
}

/// Erase a person
///
/// What is kept about the person is deleted in one step with the event that says so: the mail address wherever it stands,
/// the name, and the addresses and agents of what the person did in sessions. The lines stay as they are. Open invitations
/// to the mail address end. What others wrote (names and notes of tokens) stays, and so do the addresses of programs that
/// use the person's tokens. First with `dry_run`, which says how much it is. Somebody who is a member anywhere has to be
/// offboarded first. Repeated, it deletes what has come since. Needs `people:erase` on the instance.
#[utoipa::path(
    post, path = "/v1/users/erase", operation_id = "users.erase", tag = "users",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect."),
    ),
    request_body = wire::Erase,
    responses((status = 200, body = wire::Erasure), (status = "default", body = wire::Problem))
)]
pub(crate) async fn erase(
    State(app): State<App>,
    session: Session,
    conditions: Conditions,
    Json(body): Json<wire::Erase>,
) -> Result<Answer<wire::Erasure>, Problem> {
    let whom = read(&app, &body)?;
    let user = match &whom {
        Whom::User(user) => Some(*user),
        Whom::Email(_) => None,
    };
    if body.dry_run {
        app.readable(&session, "users.erase", Read::Erasure(user), None).await?;
        let (_, erasure) = look(&app, &whom).await?;
        return Ok(Answer::ok(wire::Erasure { dry_run: true, ..erasure }, app.node().live().position()));
    }
    // Nothing is looked up for who may not; that it was asked is recorded by the command all the same.
    let may = audit::look(&app, &session, |state, caller| caller.require(state, "people:erase", Scope::Instance));
    let looked = if may.is_ok() { Some(look(&app, &whom).await) } else { None };
    let (erase, erasure) = match looked {
        Some(Ok((erase, erasure))) => (erase, Some(erasure)),
        Some(Err(problem)) if problem.code().status >= 500 => return Err(problem),
        Some(Err(_)) | None => (Erase { user, addresses: Vec::new() }, None),
    };
    // The mail address makes the record's hash of the body one that cannot be guessed.
    let conditions = match whom {
        Whom::Email(email) => conditions.personal([email]),
        Whom::User(_) => conditions,
    };
    let done = app.change(&session, "users.erase", &[], &body, conditions, Command::Erase(erase)).await?;
    let erasure = erasure.unwrap_or_else(|| view(&Found::default(), Vec::new(), Vec::new()));
    Ok(Answer::ok(erasure, done.position))
}

fn read(app: &App, body: &wire::Erase) -> Result<Whom, Problem> {
    match (&body.user, &body.email) {
        (Some(user), None) => people::read_id("user", user).map(Whom::User),
        (None, Some(email)) => people::read_email(app, email).map(Whom::Email),
        (None, None) => Err(invalid("user", "", "the id of a person; or give `email`")),
        (Some(_), Some(email)) => Err(invalid("email", email, "absent where `user` is given")),
    }
}

/// All that is known of somebody, and how much of it is kept.
async fn look(app: &App, whom: &Whom) -> Result<(Erase, wire::Erasure), Problem> {
    let (log, live) = (app.node().log(), app.node().live());
    let found = match whom {
        Whom::Email(email) => log.commitments_to_mail(email.value.clone()).await,
        Whom::User(user) => {
            let own = live.read(|state| state.people().user(*user).map(|user| user.email.clone()));
            let own: Vec<[u8; 32]> = own.as_deref().and_then(decode_commitment).into_iter().collect();
            log.commitments_to_same_mail(&own).await
        }
    };
    let found = found.map_err(|error| unavailable(&error))?;
    let user = match whom {
        Whom::User(user) => Some(*user),
        Whom::Email(_) => None,
    };
    let addresses = found.into_iter().filter_map(|found| found.try_into().ok());
    let erase = Erase { user, addresses: addresses.map(|found| encode_commitment(&found).into()).collect() };
    let (found, organizations) = live
        .read(|state| {
            let found = erase.find(state)?;
            let mut names: Vec<String> =
                found.invitations.iter().map(|one| people::names(state, one.place).0).collect();
            names.sort_unstable();
            names.dedup();
            Ok((found, names))
        })
        .map_err(|rejection: domain::rejection::Rejection| problem(&rejection.into()))?;
    let counts = log.erasable(&projections::erasure(&found.erasing)).await;
    let counts = counts.map_err(|error| unavailable(&error))?;
    Ok((erase, view(&found, organizations, counts)))
}

fn view(found: &Found, organizations: Vec<String>, counts: Vec<(String, u64)>) -> wire::Erasure {
    wire::Erasure {
        dry_run: false,
        users: found.users.iter().map(|user| user.id.0).collect(),
        invitations: found.invitations.len() as u64,
        organizations,
        values: counts.into_iter().collect(),
    }
}

fn unavailable(error: &eventlog::Error) -> Problem {
    tracing::warn!(%error, "what is kept about a person could not be looked up");
    problem(&Failure::Unavailable)
}
