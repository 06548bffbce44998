use super::briefs;
use crate::{damaged, never_issued};
use chancery_tests::{Actor, World};
use serde_json::{Value, json};
use std::sync::atomic::Ordering::Relaxed;

async fn lines(world: &World, actor: &Actor, method: &str, path: &str, body: Value) -> (u16, Vec<String>) {
    let call = actor.call(method, path);
    let call = if body.is_null() { call } else { call.json(&body) };
    let (answer, lines) = world.lines_of(call.send()).await;
    (answer.status, briefs(&lines))
}

/// A call of the owner of `acme`: method and path, body, the status and the one line that are expected.
type Expected<'a> = (&'a str, Value, u16, &'a str);

async fn each_makes_its_line(world: &World, owner: &Actor, calls: &[Expected<'_>]) {
    for (call, body, status, line) in calls {
        let (method, path) = call.split_once(' ').unwrap();
        let made = lines(world, owner, method, path, body.clone()).await;
        assert_eq!(made, (*status, vec![(*line).to_owned()]), "{call}");
    }
}

#[tokio::test]
async fn a_change_is_the_record_of_its_call() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let target = tenants.owner.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let token = format!("/v1/tokens/{}", target.id);
    let (change, rotate, end) =
        (format!("PATCH {token}"), format!("POST {token}/rotate"), format!("DELETE {token}"));
    let mint = json!({"name": "a", "scope": {"organization": "acme"}, "grants": ["member"]});
    let calls: &[Expected<'_>] = &[
        ("POST /v1/tokens", mint.clone(), 201, "TokenMinted org-token"),
        ("POST /v1/tokens/narrow", json!({"name": "n"}), 201, "TokenMinted org-token"),
        (&change, json!({"name": "u"}), 200, "TokenDescribed org-token"),
        (&rotate, json!({}), 200, "TokenRotated org-token"),
        ("POST /v1/organizations/acme/projects", json!({"name": "new"}), 201, "ProjectCreated org-token"),
        ("PATCH /v1/organizations/acme", json!({"display_name": "A"}), 200, "OrganizationRenamed org-token"),
        // What changes nothing, or cannot be, is a use.
        (&change, json!({"name": "u"}), 200, "TokenUsed org-token tokens.update tokens:update"),
        ("POST /v1/tokens", mint, 409, "TokenUsed org-token tokens.mint tokens:mint"),
        (&end, Value::Null, 200, "TokenRevoked org-token"),
        (&end, Value::Null, 200, "TokenUsed org-token tokens.delete tokens:revoke"),
        (&change, json!({"name": "v"}), 409, "TokenUsed org-token tokens.update tokens:update"),
    ];
    each_makes_its_line(&world, &tenants.owner, calls).await;
}

#[tokio::test]
async fn a_look_is_a_use_and_what_may_not_be_is_a_refusal() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let (acme, nope, other) =
        ("GET /v1/organizations/acme", "GET /v1/organizations/nope", "GET /v1/organizations/other");
    let shown = "TokenUsed org-token organizations.show organizations:read";
    let hidden = "TokenRefused org-token organizations.show organizations:read forbidden";
    let created = "TokenRefused org-token organizations.create organizations:create forbidden";
    let calls: &[Expected<'_>] = &[
        ("GET /v1/whoami", Value::Null, 200, "TokenUsed org-token whoami"),
        ("GET /v1/tokens", Value::Null, 200, "TokenUsed org-token tokens.list tokens:read"),
        (acme, Value::Null, 200, shown),
        // Recorded alike, so that an auditor of the organization cannot tell them apart either.
        (nope, Value::Null, 404, hidden),
        (other, Value::Null, 404, hidden),
        (
            "GET /v1/instance",
            Value::Null,
            403,
            "TokenRefused org-token instance.show instance:read forbidden",
        ),
        ("POST /v1/organizations", json!({"name": "x"}), 403, created),
    ];
    each_makes_its_line(&world, &tenants.owner, calls).await;
    let (_, made) = lines(&world, &tenants.owner, "POST", "/v1/tokens/identify", json!({"token": "x"})).await;
    assert_eq!(made, ["TokenUsed org-token tokens.identify tokens:read"]);
}

#[tokio::test]
async fn several_changes_of_one_call_are_a_line_each() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let target = tenants.owner.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let change = json!({"name": "u", "grants": ["auditor"], "expires_in": "1h"});
    let path = format!("/v1/tokens/{}", target.id);
    let (_, made) = lines(&world, &tenants.owner, "PATCH", &path, change).await;
    assert_eq!(
        made,
        ["TokenDescribed org-token", "TokenGrantsChanged org-token", "TokenExpiryChanged org-token"]
    );
}

#[tokio::test]
async fn every_use_of_the_admin_token_is_an_event_of_its_own() {
    let world = World::new().await;
    let admin = world.node.admin();
    for (method, path, body, made) in [
        ("GET", "/v1/whoami", Value::Null, vec!["AdminTokenUsed admin-token whoami"]),
        ("GET", "/v1/tokens", Value::Null, vec!["AdminTokenUsed admin-token tokens.list tokens:read"]),
        (
            "POST",
            "/v1/organizations",
            json!({"name": "acme"}),
            vec![
                "OrganizationCreated admin-token",
                "AdminTokenUsed admin-token organizations.create organizations:create",
            ],
        ),
        (
            "POST",
            "/v1/organizations",
            json!({"name": "acme"}),
            vec!["AdminTokenUsed admin-token organizations.create organizations:create"],
        ),
        (
            "PATCH",
            "/v1/instance",
            json!({"policy": {"max_staleness_ms": 2_000}}),
            vec![
                "InstancePolicyChanged admin-token",
                "AdminTokenUsed admin-token instance.update instance:update",
            ],
        ),
        (
            "POST",
            "/v1/verify",
            json!({"token": never_issued(1), "organization": "acme"}),
            vec!["AdminTokenUsed admin-token verify tokens:verify"],
        ),
    ] {
        let (_, lines) = lines(&world, &admin, method, path, body).await;
        assert_eq!(lines, made, "{method} {path}");
    }
    let minted = admin.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let question = json!({"token": minted.secret, "organization": "acme"});
    let (_, made) = lines(&world, &admin, "POST", "/v1/verify", question).await;
    assert_eq!(made, ["TokenUsed admin-token", "AdminTokenUsed admin-token verify tokens:verify"]);
}

#[tokio::test]
async fn a_verify_is_one_line_of_the_token_that_names_its_caller() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let web = json!({"organization": "acme", "project": "web"});
    let token = tenants.owner.mint("t", web, &["project-writer"]).await;
    tenants
        .owner
        .post(&format!("/v1/tokens/{}/rotate", token.id), json!({"overlap": "1h"}))
        .await
        .expect(200);
    let gateway = tenants.verifier.get("/v1/whoami").await.body["token"].clone();
    let question = json!({
        "token": token.secret, "permission": "deployments:create", "project": "web", "resource": "release 7",
        "client": {"address": "192.0.2.1", "agent": "curl/8"},
    });
    let (verdict, lines) = world.lines_of(tenants.verifier.verify_with(question)).await;
    let [line] = &lines[..] else { panic!("one line: {lines:?}") };
    assert_eq!(verdict.body["position"], line.position);
    assert_eq!((line.kind.as_str(), line.text_at("/token")), ("TokenUsed", &*token.id));
    assert_eq!(line.at("/secret"), 0, "the first secret was shown");
    let asked = json!({
        "permission": "deployments:create", "project": token.body["project_id"], "resource": "release 7",
    });
    assert_eq!(line.at("/asked"), &asked);
    assert_eq!(line.at("/org"), &token.body["organization_id"]);
    assert_eq!(line.at("/actor/token"), &gateway["id"]);
    assert_eq!(line.text_at("/actor/by"), format!("org-token:{}", gateway["prefix"].as_str().unwrap()));
    assert_eq!(line.at("/n"), &Value::Null, "uses have no ordinal");
    let shown = world.database.personal(line.text_at("/client/address")).await;
    assert_eq!(shown, ("address".to_owned(), "192.0.2.1".to_owned()));
    let refused = json!({"token": token.secret, "permission": "tokens:mint"});
    let (_, lines) = world.lines_of(tenants.verifier.verify_with(refused)).await;
    assert_eq!(briefs(&lines), ["TokenRefused org-token tokens:mint forbidden"]);
    // An unknown token is no line of its own, but the caller called.
    let (_, lines) = world.lines_of(tenants.verifier.verify(&never_issued(1))).await;
    assert_eq!(briefs(&lines), ["TokenUsed org-token verify tokens:verify"]);
    assert_eq!(lines[0].at("/token"), &gateway["id"]);
}

#[tokio::test]
async fn a_credential_that_is_not_in_force_is_refused_on_the_log_if_it_is_known() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let token = tenants.owner.mint("t", json!({"organization": "acme"}), &["member"]).await;
    tenants.owner.revoke(&token.id).await;
    let holder = world.node.token(&token.secret);
    let (_, lines) = world.lines_of(holder.get("/v1/tokens")).await;
    assert_eq!(briefs(&lines), ["TokenRefused org-token tokens.list tokens:read revoked"]);
    assert_eq!(lines[0].at("/token"), &token.id);
    let unknown = || world.node.node().live().stats.unknown.load(Relaxed);
    let before = unknown();
    for secret in [never_issued(1), damaged(&token.secret), "anything".to_owned()] {
        let (_, lines) = world.lines_of(world.node.token(&secret).get("/v1/tokens")).await;
        assert!(lines.is_empty(), "it names no token: {lines:?}");
    }
    assert_eq!(unknown() - before, 3, "it is counted");
}

#[tokio::test]
async fn what_needs_no_credential_leaves_no_line() {
    let world = World::new().await;
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs/", "/docs/errors", "/nowhere"] {
        let (_, lines) = world.lines_of(world.node.anon().get(path)).await;
        assert!(lines.is_empty(), "{path}: {lines:?}");
    }
    let (_, lines) = world.lines_of(world.node.anon().get("/v1/whoami")).await;
    assert!(lines.is_empty());
}

#[tokio::test]
async fn ordinals_count_each_organizations_changes_without_a_gap() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    for n in 0..3 {
        tenants.owner.mint(&format!("t{n}"), json!({"organization": "acme"}), &["member"]).await;
        world.node.admin().mint(&format!("i{n}"), json!({"instance": true}), &["provisioner"]).await;
    }
    let entries = world.database.entries().await;
    let mut of = std::collections::BTreeMap::<String, Vec<u64>>::new();
    for entry in entries.iter().filter(|entry| !entry.is_use()) {
        of.entry(entry.text_at("/org").to_owned()).or_default().push(entry.at("/n").as_u64().unwrap());
    }
    assert_eq!(of.len(), 3, "the instance and two organizations");
    for (org, ordinals) in of {
        assert_eq!(ordinals, (1..=ordinals.len() as u64).collect::<Vec<_>>(), "{org}");
    }
}
