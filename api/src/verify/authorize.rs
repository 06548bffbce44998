use crate::app::App;
use crate::auth::{Session, bearer};
use crate::edge::extract::Query;
use crate::edge::serve::Connection;
use crate::edge::{Problem, RequestContext, codes};
use crate::error::{invalid, unauthenticated};
use crate::respond::POSITION;
use crate::tokens::{view_grants, view_scope};
use crate::wire;
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::verify::{Code, Verdict};
use http::header::{AUTHORIZATION, CACHE_CONTROL};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use std::fmt::Write as _;
use utoipa::IntoParams;

const CALLER: HeaderName = HeaderName::from_static("chancery-caller");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("chancery-client-address");

/// What a reverse proxy asks.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuthorizeQuery {
    /// What the token would do.
    permission: Option<String>,
    /// The organization in question, by name or id; absent means the proxy's own.
    organization: Option<String>,
    /// The project in question, by name or id.
    project: Option<String>,
    /// The resource in question, for the record.
    resource: Option<String>,
}

/// Authorize a request for a reverse proxy
///
/// The client's token stands in `Authorization`, the proxy's own in `Chancery-Caller` (`Bearer <token>`), and the
/// client's address in `Chancery-Client-Address` or, from a trusted proxy, where it always forwards it. Answers 204 with every `Chancery-Token-*` header set (empty where
/// there is nothing to say, so that a proxy that copies them overwrites what the client sent), 401 or 403; and 503
/// `caller_refused` where the fault is with the proxy's own token. Sample
/// configurations for nginx, Traefik and Caddy are in `docs/operations.md`.
#[utoipa::path(
    get, path = "/v1/authorize", operation_id = "authorize", tag = "verify",
    params(
        AuthorizeQuery,
        ("Chancery-Caller" = String, Header, description = "The proxy's own token: `Bearer <token>`."),
        ("Chancery-Client-Address" = Option<String>, Header, description = "The address of the proxy's client."),
    ),
    responses((status = 204, description = "It may."), (status = "default", body = wire::Problem))
)]
pub(crate) async fn authorize(
    State(app): State<App>,
    connection: Option<Extension<Connection>>,
    context: RequestContext,
    headers: HeaderMap,
    Query(query): Query<AuthorizeQuery>,
) -> Result<Response, Problem> {
    let own = bearer(&headers, &CALLER).map_err(|problem| own_credential(&problem))?;
    let session = Session::of(&app, own, &context);
    let stated = stated_address(&headers)?;
    // Without its own header, a proxy that this node trusts says where its client is as it always does.
    let peer = connection.map(|Extension(connection)| connection.peer.ip().to_canonical());
    let forwarded = context.address().filter(|address| peer.is_some_and(|peer| peer != *address));
    let address = stated.or_else(|| forwarded.map(|address| address.to_string()));
    let question = wire::Verify {
        token: bearer(&headers, &AUTHORIZATION)?.to_owned(),
        permission: query.permission,
        organization: query.organization,
        project: query.project,
        resource: query.resource,
        client: Some(wire::Client {
            address: address.filter(|text| !text.is_empty()),
            agent: context.agent(),
        }),
    };
    let inquiry = super::read(&app, session.credential(), question)?;
    let answered = super::answer_one(&app, session.call("authorize"), inquiry).await;
    let (verdict, _, position) = answered.map_err(|problem| match problem.code().status {
        401 | 403 => own_credential(&problem),
        _ => problem,
    })?;
    match verdict.code {
        Code::Valid => Ok(allowed(&app, &verdict, position)),
        Code::Forbidden | Code::WrongProject | Code::WrongOrganization => {
            Err(Problem::new(codes::FORBIDDEN).detail(verdict.code.explanation().to_owned()).at(position))
        }
        code => Err(unauthenticated(code).at(position)),
    }
}

/// The client's address as the proxy states it, once and readable: one that a client sent along would be a second.
fn stated_address(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(FORWARDED_FOR).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) if value.to_str().is_ok() => Ok(value.to_str().ok().map(str::to_owned)),
        _ => Err(invalid("Chancery-Client-Address", "…", "one header with one address")),
    }
}

/// What is wrong with the proxy's own credential is not its client's fault, so it is neither 401 nor 403: a proxy would
/// hand those on.
fn own_credential(problem: &Problem) -> Problem {
    let detail = format!("The proxy's own credential in Chancery-Caller: {}.", problem.code().title);
    Problem::new(codes::CALLER_REFUSED).detail(detail)
}

fn allowed(app: &App, verdict: &Verdict, position: u64) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(POSITION, position.into());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let Some((token, _)) = &verdict.token else { return response };
    let (scope, grants, expires_at) = app.node().live().read(|state| {
        (view_scope(state, token.scope), view_grants(state, &token.grants), state.expiry(token))
    });
    let fields = [
        ("chancery-token-id", token.id.to_string()),
        ("chancery-token-name", percent_encode(&token.name)),
        ("chancery-token-prefix", token.prefix.to_string()),
        ("chancery-token-organization", scope.organization.unwrap_or_default()),
        (
            "chancery-token-organization-id",
            token.scope.organization().map(|id| id.to_string()).unwrap_or_default(),
        ),
        ("chancery-token-project", scope.project.unwrap_or_default()),
        ("chancery-token-project-id", token.scope.project().map(|id| id.to_string()).unwrap_or_default()),
        ("chancery-token-grants", grants.join(",")),
        ("chancery-token-expires-at", expires_at.map(|end| end.to_string()).unwrap_or_default()),
        ("chancery-token-created-by", token.created_by.to_string()),
    ];
    for (name, value) in fields {
        let value = HeaderValue::from_str(&value).unwrap_or_else(|_| HeaderValue::from_static(""));
        headers.insert(HeaderName::from_static(name), value);
    }
    response
}

/// Names are free text; a header is ASCII. What is not visible ASCII is percent-encoded, and `%` itself.
fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => write!(encoded, "%{byte:02X}").expect("a string takes everything"),
        }
        encoded
    })
}
