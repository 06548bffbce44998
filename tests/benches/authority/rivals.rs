//! What Chancery is compared with: a server that does nothing, and what most teams write.

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Deserialize)]
struct Question {
    token: String,
    permission: Option<String>,
    project: Option<String>,
    client: Option<Client>,
}

#[derive(Deserialize)]
struct Client {
    address: Option<String>,
    agent: Option<String>,
}

#[derive(Clone, Serialize)]
struct Answer {
    valid: bool,
    code: &'static str,
    token: Token,
    position: u64,
}

#[derive(Clone, Serialize)]
struct Token {
    id: Uuid,
    name: String,
    prefix: String,
    scope: Scope,
    grants: Vec<String>,
    permissions: Vec<String>,
    expires_at: String,
    created_by: String,
    metadata: serde_json::Map<String, serde_json::Value>,
}

#[derive(Clone, Serialize)]
struct Scope {
    organization: String,
    project: String,
}

/// As large as an answer of Chancery's in the benchmark.
fn answer(id: Uuid, name: String) -> Answer {
    Answer {
        valid: true,
        code: "valid",
        token: Token {
            id,
            name,
            prefix: "chyp_4fT9aQ1".into(),
            scope: Scope { organization: "organization-3".into(), project: "project-7".into() },
            grants: vec!["project-writer".into()],
            permissions: vec!["projects:read".into(), "deployments:*".into()],
            expires_at: "2027-03-04T05:06:07.000000Z".into(),
            created_by: "admin-token".into(),
            metadata: serde_json::Map::new(),
        },
        position: 123_456_789,
    }
}

/// Parses the question, and answers what it always answers. The ceiling: the same framework, runtime and allocator.
pub(crate) async fn bare() {
    let always =
        Arc::new(answer(Uuid::from_u128(0x0197_3a2b_4c5d_7e6f_8a9b_0c1d_2e3f_4a5b), "service-012345".into()));
    let route = post(|State(always): State<Arc<Answer>>, Json(_): Json<Question>| async move {
        Json(Answering(always))
    });
    serve(Router::new().route("/v1/verify", route).with_state(always)).await;
}

struct Answering(Arc<Answer>);

impl Serialize for Answering {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// The tables of the peer.
pub(crate) const PEER: &str = "
    CREATE TABLE IF NOT EXISTS token (
        hash bytea PRIMARY KEY, id uuid NOT NULL, name text NOT NULL, permissions text[] NOT NULL,
        expires_at timestamptz, revoked_at timestamptz
    );
    CREATE TABLE IF NOT EXISTS token_use (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, token uuid NOT NULL,
        at timestamptz NOT NULL DEFAULT now(), permission text, project text, address text, agent text
    );";

/// Looks a token up by its hash, and records its use in a row.
pub(crate) async fn peer(url: &str, connections: u32) {
    let pool =
        PgPoolOptions::new().max_connections(connections).min_connections(connections).connect(url).await;
    let route = post(ask_peer);
    serve(Router::new().route("/v1/verify", route).with_state(pool.unwrap())).await;
}

async fn ask_peer(State(pool): State<PgPool>, Json(question): Json<Question>) -> Json<Answer> {
    let hash = blake3::hash(question.token.as_bytes());
    let (id, name, permissions, expires_at, revoked_at): (
        Uuid,
        String,
        Vec<String>,
        Option<OffsetDateTime>,
        Option<OffsetDateTime>,
    ) = sqlx::query_as("SELECT id, name, permissions, expires_at, revoked_at FROM token WHERE hash = $1")
        .bind(&hash.as_bytes()[..])
        .fetch_one(&pool)
        .await
        .unwrap();
    let client = question.client.as_ref();
    sqlx::query(
        "INSERT INTO token_use (token, permission, project, address, agent) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(id)
    .bind(&question.permission)
    .bind(&question.project)
    .bind(client.and_then(|client| client.address.as_deref()))
    .bind(client.and_then(|client| client.agent.as_deref()))
    .execute(&pool)
    .await
    .unwrap();
    let mut answer = answer(id, name);
    answer.valid = revoked_at.is_none() && expires_at.is_none_or(|end| end > OffsetDateTime::now_utc());
    answer.token.permissions = permissions;
    Json(answer)
}

async fn serve(router: Router) {
    let listener = tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| stream.set_nodelay(true).unwrap());
    axum::serve(listener, router).await.unwrap();
}
