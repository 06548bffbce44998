use crate::{HOUR, damaged, never_issued};
use chancery_tests::{Actor, Minted, World};
use serde_json::{Value, json};

/// A token with everything wrong that does not end it.
fn burdened(scope: &Value, grant: &str, name: &str, more: &Value) -> Value {
    let mut body = json!({"name": name, "scope": scope, "grants": [grant]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn rotate(admin: &Actor, token: &Minted) {
    admin.post(&format!("/v1/tokens/{}/rotate", token.id), json!({})).await.expect(200);
}

#[tokio::test]
async fn the_first_refusal_that_applies_is_the_answer() {
    let world = World::new().await;
    world.tenants().await;
    let admin = world.node.admin();
    let other = json!({"organization": "other"});
    let (bound, early) = (json!({"allowed_networks": ["10.0.0.0/8"]}), world.moment(2 * HOUR));
    let not_yet = json!({"allowed_networks": ["10.0.0.0/8"], "not_before": early});
    let ending = json!({"allowed_networks": ["10.0.0.0/8"], "expires_in": "1h"});
    let superseded = admin.mint_with(burdened(&other, "member", "superseded", &not_yet)).await;
    let revoked = admin.mint_with(burdened(&other, "member", "revoked", &not_yet)).await;
    let not_yet_valid = admin.mint_with(burdened(&other, "member", "not yet", &not_yet)).await;
    let expired = admin.mint_with(burdened(&other, "member", "expired", &ending)).await;
    let address_denied = admin.mint_with(burdened(&other, "member", "denied", &bound)).await;
    let wrong_organization = admin.mint("wrong", other, &["member"]).await;
    let api = json!({"organization": "acme", "project": "api"});
    let wrong_project = admin.mint("wrong", api, &["project-reader"]).await;
    let web = json!({"organization": "acme", "project": "web"});
    let forbidden = admin.mint("forbidden", web.clone(), &["project-reader"]).await;
    let valid = admin.mint("valid", web, &["project-writer"]).await;
    rotate(&admin, &superseded).await;
    admin.revoke(&superseded.id).await;
    admin.revoke(&revoked.id).await;
    world.pass(HOUR);
    let instance = admin.mint("v", json!({"instance": true}), &["instance-verifier"]).await;
    let verifier = world.node.token(&instance.secret);
    for (code, secret) in [
        ("malformed", damaged(&superseded.secret)),
        ("malformed", "chyo_".to_owned()),
        ("unknown", never_issued(1)),
        ("unknown", "anything else".to_owned()),
        ("superseded", superseded.secret),
        ("revoked", revoked.secret),
        ("not_yet_valid", not_yet_valid.secret),
        ("expired", expired.secret),
        ("address_denied", address_denied.secret),
        ("wrong_organization", wrong_organization.secret),
        ("wrong_project", wrong_project.secret),
        ("forbidden", forbidden.secret),
        ("valid", valid.secret),
    ] {
        let verdict = verifier
            .verify_with(json!({
                "token": secret, "organization": "acme", "project": "web", "permission": "deployments:create",
            }))
            .await;
        assert_eq!(verdict.code(), code);
        assert_eq!(verdict.body["valid"], code == "valid");
        let known = !matches!(code, "malformed" | "unknown");
        assert_eq!(verdict.body.get("token").is_some(), known, "{code}");
        assert_eq!(verdict.body.get("position").is_some(), known, "{code}");
        assert!(!verdict.text.contains(&secret), "an answer does not repeat the secret");
    }
}

#[tokio::test]
async fn a_question_without_details_is_about_the_callers_own_scope() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let admin = world.node.admin();
    let web = json!({"organization": "acme", "project": "web"});
    let of_web = admin.mint("w", web.clone(), &["project-writer"]).await;
    let of_acme = admin.mint("a", json!({"organization": "acme"}), &["project-writer@web"]).await;
    let asks_web = admin.mint("web verifier", web, &["project-admin"]).await;
    let asks_web = world.node.token(&asks_web.secret);
    let ask = |secret: &str, project: Option<&str>, permission: &str| json!({"token": secret, "project": project, "permission": permission});
    for (actor, secret, project, permission, code) in [
        (&tenants.verifier, &of_web.secret, None, "deployments:create", "valid"),
        (&tenants.verifier, &of_web.secret, Some("web"), "deployments:create", "valid"),
        (&tenants.verifier, &of_web.secret, Some("api"), "deployments:create", "wrong_project"),
        (&tenants.verifier, &of_web.secret, Some("never"), "deployments:create", "wrong_project"),
        (&tenants.verifier, &of_acme.secret, Some("web"), "deployments:create", "valid"),
        (&tenants.verifier, &of_acme.secret, Some("api"), "deployments:create", "forbidden"),
        (&tenants.verifier, &of_acme.secret, None, "deployments:create", "forbidden"),
        (&asks_web, &of_web.secret, None, "deployments:create", "valid"),
        (&asks_web, &of_acme.secret, None, "deployments:create", "valid"),
        (&asks_web, &of_acme.secret, None, "tokens:mint", "forbidden"),
    ] {
        let verdict = actor.verify_with(ask(secret, project, permission)).await;
        assert_eq!(verdict.code(), code, "{project:?} {permission}");
    }
    for permission in ["", "deployments", "Deployments:create", "deployments:*", "*", "a:b:c"] {
        let refused = tenants.verifier.post("/v1/verify", ask(&of_web.secret, None, permission)).await;
        assert_eq!(refused.refused(422, "invalid_value")["errors"][0]["field"], "permission", "{permission}");
    }
}
