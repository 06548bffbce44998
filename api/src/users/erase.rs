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
use domain::rejection::Rejection;
use domain::scope::Scope;
use eventlog::personal::{Personal, decode_commitment, encode_commitment};
use projections::Failure;
use std::collections::BTreeSet;

/// So many commitments to a mail address are erased at once: one commit takes what follows from them.
const AT_ONCE: usize = 1_000;

/// Whom a request names.
enum Whom {
    User(UserId),
    Email(Personal),
}

/// Erase a person
///
/// What is kept about the person is deleted, beginning in one step with the event that says so: the mail address
/// wherever it stands, the name, and the addresses and agents of what the person did in sessions. The lines stay as
/// they are. Open invitations to the mail address end. What others wrote (names and notes of tokens) stays, and so do
/// the addresses of programs that use the person's tokens. By id, the mail address is followed to invitations and other
/// ids only if the person has shown to receive mail there. By mail address, members who have not shown that lose the
/// address and nothing else: `members` names them. Other members are refused and have to be offboarded first. First
/// with `dry_run`, which says how much it is. While the answer says `more`, repeat it. Repeated later, it deletes what
/// has come since. Needs `people:erase` on the instance.
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
        let erase = resolve(&app, &whom).await?;
        let erasure = count(&app, &erase).await?;
        return Ok(Answer::ok(wire::Erasure { dry_run: true, ..erasure }, app.node().live().position()));
    }
    // An erasure holds up everybody who writes, and so is not even tried for who may not; that it was asked is
    // recorded.
    let may =
        audit::look(&app, &session, |state, caller| caller.require(state, "people:erase", Scope::Instance));
    if may.is_err() {
        app.readable(&session, "users.erase", Read::Erasure(user), None).await?;
    }
    let erase = resolve(&app, &whom).await?;
    // Who is refused what it counts is refused by the command as well, which says so on the record.
    let erasure = count(&app, &erase).await.ok();
    // The mail address makes the record's hash of the body one that cannot be guessed.
    let conditions = match whom {
        Whom::Email(email) => conditions.personal([email]),
        Whom::User(_) => conditions,
    };
    let done = app.change(&session, "users.erase", &[], &body, conditions, Command::Erase(erase)).await?;
    let erasure = erasure.unwrap_or_else(|| view(&Found::default(), Vec::new(), Vec::new()));
    // The event stands, and the job of every minute goes on with it: only whether all is gone is not known. Of
    // everybody who was erased, because whoever repeats the request may no longer find who it was about.
    app.node().erase_again().await.map_err(|error| {
        tracing::warn!(%error, "an erasure could not be finished yet");
        problem(&Failure::OutcomeUnknown)
    })?;
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

/// The command for whom it names, with as many commitments to the mail address as are erased at once.
async fn resolve(app: &App, whom: &Whom) -> Result<Erase, Problem> {
    let log = app.node().log();
    let limit = u32::try_from(AT_ONCE + 1).expect("it is small");
    let (user, found) = match whom {
        Whom::Email(email) => (None, log.commitments_to_mail(email.value.clone(), limit).await),
        Whom::User(user) => {
            let own = app.node().live().read(|state| Some(state.people().user(*user)?.email.clone()));
            let found = match own.as_deref().and_then(decode_commitment) {
                Some(own) => log.commitments_to_same_mail(&own, limit).await,
                None => Ok(Vec::new()),
            };
            (Some(*user), found)
        }
    };
    let mut found = found.map_err(|error| unavailable(&error))?;
    let more = found.len() > AT_ONCE;
    found.truncate(AT_ONCE);
    let addresses = found.into_iter().filter_map(|found| found.try_into().ok());
    let addresses = addresses.map(|found| encode_commitment(&found).into()).collect();
    Ok(Erase { user, addresses, more })
}

/// Whom it is about, and how much is kept of them.
async fn count(app: &App, erase: &Erase) -> Result<wire::Erasure, Problem> {
    let looked = app.node().live().read(|state| {
        let found = erase.find(state)?;
        let names = found.invitations.iter().map(|one| people::names(state, one.place).0);
        let names: BTreeSet<String> = names.collect();
        Ok::<_, Rejection>((found, names))
    });
    let (found, organizations) = looked.map_err(|rejection| problem(&rejection.into()))?;
    let counts = app.node().log().erasable(&projections::erasure(&found.erasing)).await;
    let counts = counts.map_err(|error| unavailable(&error))?;
    Ok(view(&found, organizations.into_iter().collect(), counts))
}

fn view(found: &Found, organizations: Vec<String>, counts: Vec<(String, u64)>) -> wire::Erasure {
    wire::Erasure {
        dry_run: false,
        users: found.users.iter().map(|user| user.id.0).collect(),
        invitations: found.invitations.len() as u64,
        organizations,
        values: counts.into_iter().collect(),
        members: found.members.iter().map(|user| user.0).collect(),
        more: found.more,
    }
}

fn unavailable(error: &eventlog::Error) -> Problem {
    tracing::warn!(%error, "what is kept about a person could not be looked up");
    problem(&Failure::Unavailable)
}
