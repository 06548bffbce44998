//! What the endpoints about people share: personal values in and out, and ids that a request names.

use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::error::{invalid, problem};
use crate::tokens;
use crate::wire;
use domain::decide::{ScopeText, TokensFate};
use domain::id::{TokenId, UserId};
use domain::people::Fate;
use domain::query;
use domain::rejection::Rejection;
use domain::scope::Scope;
use domain::state::{State, Status, User};
use domain::text;
use eventlog::Personal;
use eventlog::personal::{Kind, Opened};
use std::str::FromStr;

/// The longest mail address (RFC 5321, section 4.5.3.1.3, without its angle brackets).
const EMAIL: usize = 254;
/// The longest name of a person, in bytes.
const NAME: usize = 128;
/// The most tokens that one answer about people lists.
const TOKENS: usize = 1_000;

/// A mail address on its way to the log.
pub(crate) fn read_email(app: &App, given: &str) -> Result<Personal, Problem> {
    let cleaned = text::clean("email", given, EMAIL).map_err(|rejection| problem(&rejection.into()))?;
    let is_word = |part: &str| {
        !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || "<>,;:\"()[]\\@".contains(c))
    };
    let (local, host) = cleaned
        .rsplit_once('@')
        .filter(|(local, host)| is_word(local) && is_word(host) && *cleaned == *given.trim())
        .ok_or_else(|| invalid("email", given, "a mail address such as ada@example.org"))?;
    let address = format!("{local}@{}", host.to_lowercase());
    Ok(Personal::new(Kind::Email, address, app.node().random().bytes()))
}

/// A person's name on its way to the log.
pub(crate) fn read_name(app: &App, given: &str) -> Result<Personal, Problem> {
    let cleaned = text::clean("name", given, NAME).map_err(|rejection| problem(&rejection.into()))?;
    Ok(Personal::new(Kind::Name, cleaned, app.node().random().bytes()))
}

/// The fields of an answer that hold commitments until they are opened, by name, and the lists that say why one is absent.
pub(crate) struct Kept<'a> {
    pub(crate) fields: Vec<(&'static str, &'a mut Option<String>)>,
    pub(crate) erased: &'a mut Vec<String>,
    pub(crate) altered: &'a mut Vec<String>,
}

/// An answer with personal values in it.
pub(crate) trait Personally {
    fn kept(&mut self) -> Kept<'_>;
}

macro_rules! personally {
    ($($shape:ty: $($field:ident),+;)+) => {$(
        impl Personally for $shape {
            fn kept(&mut self) -> Kept<'_> {
                let fields = vec![$((stringify!($field), &mut self.$field)),+];
                Kept { fields, erased: &mut self.erased, altered: &mut self.altered }
            }
        }
    )+};
}

personally! {
    wire::Invitation: email;
    wire::Member: email, name;
    wire::User: email, name;
    wire::Person: email, name;
    wire::Imported: owner;
}

/// Puts values in the place of their commitments; where there is none, or another than there was, that is said. Without
/// the database the answer is whole but for them.
pub(crate) async fn open<'a, P: Personally + 'a>(app: &App, shapes: impl IntoIterator<Item = &'a mut P>) {
    let mut all: Vec<Kept<'a>> = shapes.into_iter().map(Personally::kept).collect();
    let fields = all.iter().flat_map(|kept| &kept.fields);
    let commitments: Vec<&str> = fields.filter_map(|(_, field)| field.as_deref()).collect();
    let values = app.node().personal(&commitments).await;
    let values = values.inspect_err(|error| tracing::warn!(%error, "personal values could not be read")).ok();
    for Kept { fields, erased, altered } in &mut all {
        for (name, field) in fields {
            let Some(commitment) = field.take() else { continue };
            let Some(values) = &values else { continue };
            match values.get(&commitment) {
                Some(Opened::Value(value)) => **field = Some(value.clone()),
                Some(Opened::Altered) => altered.push((*name).to_owned()),
                None => erased.push((*name).to_owned()),
            }
        }
    }
}

/// An id in a path or a body. A text that is none names nothing.
pub(crate) fn read_id<T: FromStr>(kind: &'static str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| problem(&Rejection::not_found(kind, text).into()))
}

/// An organization or, with a project, that.
pub(crate) fn read_place(organization: &str, project: Option<&str>) -> ScopeText {
    match project {
        None => ScopeText::Organization(organization.to_owned()),
        Some(project) => ScopeText::Project(organization.to_owned(), project.to_owned()),
    }
}

/// What becomes of somebody's tokens.
pub(crate) fn read_fate(tokens: Option<&str>, to: Option<&str>) -> Result<TokensFate, Problem> {
    let fate = match tokens {
        None | Some("keep") => Fate::Keep,
        Some("revoke") => Fate::Revoke,
        Some("hand-over") => Fate::HandOver,
        Some(other) => return Err(invalid("tokens", other, "`keep`, `revoke` or `hand-over`")),
    };
    let to = to.map(|text| text.parse().map_err(|_| invalid("to", text, "the id of a user"))).transpose()?;
    Ok(TokensFate { fate, to })
}

/// The names of an organization and a project.
pub(crate) fn names(state: &State, place: Scope) -> (String, Option<String>) {
    let scope = tokens::view_scope(state, place);
    (scope.organization.unwrap_or_default(), scope.project)
}

/// The live tokens that a person answers for at a place, without sessions.
pub(crate) fn answered_for(app: &App, state: &State, user: UserId, place: Scope) -> Vec<TokenId> {
    let at = app.now();
    let found = state.answered_for(user, place).filter(|token| state.status(token, at) == Status::Live);
    found.take(TOKENS).map(|token| token.id).collect()
}

/// Tokens as they are now.
pub(crate) fn view_tokens(app: &App, state: &State, ids: &[TokenId]) -> Vec<wire::Token> {
    let at = app.now();
    ids.iter().filter_map(|id| state.tokens().get(*id)).map(|token| tokens::view(state, token, at)).collect()
}

/// Those of a change's tokens that who made it may read, as they are now. Who has ended its own credential by the change
/// may read nothing more.
pub(crate) fn view_readable(app: &App, session: &Session, ids: &[TokenId]) -> Vec<wire::Token> {
    app.node().live().read(|state| {
        let Ok(caller) = app.again(state, session) else { return Vec::new() };
        let readable = |id: &TokenId| query::token(state, &caller, *id).is_ok();
        view_tokens(app, state, &ids.iter().copied().filter(readable).collect::<Vec<_>>())
    })
}

/// A person, with commitments where the values belong.
pub(crate) fn view_user(state: &State, user: &User) -> wire::User {
    let found = state.people().organizations_of(user.id).into_iter();
    let mut organizations: Vec<String> = found.map(|id| names(state, Scope::Organization(id)).0).collect();
    organizations.sort_unstable();
    wire::User {
        id: user.id.0,
        email: Some(user.email.to_string()),
        email_verified: user.email_verified,
        name: user.name.as_deref().map(str::to_owned),
        organizations,
        created_at: user.created_at.to_string(),
        offboarded_at: user.offboarded_at.map(|time| time.to_string()),
        erased_at: user.erased_at.map(|time| time.to_string()),
        erased: Vec::new(),
        altered: Vec::new(),
        revision: user.revision,
    }
}
