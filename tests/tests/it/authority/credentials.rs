use super::routes::{Route, invitation, routes};
use crate::{HOUR, damaged, never_issued};
use chancery_tests::{Actor, Answer, World};
use serde_json::{Value, json};

async fn send(actor: &Actor, route: &Route, token: &str, invitation: &str) -> Answer {
    let call = actor.call(route.method, &route.path(token, invitation));
    match &route.body {
        Some(body) => call.json(body).send().await,
        None => call.send().await,
    }
}

/// Tokens of the instance's administrator that are not in force, each with its code.
async fn not_in_force(world: &World) -> Vec<(&'static str, String)> {
    let admin = world.node.admin();
    let mint = async |name: &str, more: Value| {
        let mut body = json!({"name": name, "scope": {"instance": true}, "grants": ["instance-admin"]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        admin.mint_with(body).await
    };
    let revoked = mint("revoked", json!({})).await;
    let rotated = mint("rotated", json!({})).await;
    let expired = mint("expired", json!({"expires_in": "1h"})).await;
    let early = mint("early", json!({"not_before": world.moment(2 * HOUR)})).await;
    let elsewhere = mint("elsewhere", json!({"allowed_networks": ["10.0.0.0/8"]})).await;
    let narrowed = world.node.token(&revoked.secret).post("/v1/tokens/narrow", json!({"name": "n"})).await;
    admin.revoke(&revoked.id).await;
    admin.post(&format!("/v1/tokens/{}/rotate", rotated.id), json!({})).await.expect(200);
    world.pass(HOUR);
    vec![
        ("token_unknown", never_issued(1)),
        ("token_unknown", "an-imported-key".to_owned()),
        ("token_malformed", damaged(&revoked.secret)),
        ("token_malformed", "chyi_short".to_owned()),
        ("token_superseded", rotated.secret),
        ("token_revoked", revoked.secret),
        ("token_revoked", narrowed.text_of("secret")),
        ("token_not_yet_valid", early.secret),
        ("token_expired", expired.secret),
        ("address_denied", elsewhere.secret),
    ]
}

#[tokio::test]
async fn no_route_answers_a_credential_that_is_not_in_force() {
    let world = World::new().await;
    world.tenants().await;
    let target = world.node.admin().mint("target", json!({"organization": "acme"}), &["member"]).await;
    let invited = invitation(&world.node.admin()).await;
    let credentials = not_in_force(&world).await;
    let before = world.node.state(domain::state::State::version);
    for route in routes() {
        let anonymous = send(&world.node.anon(), &route, &target.id, &invited).await;
        anonymous.refused(401, "unauthenticated");
        assert_eq!(anonymous.header("www-authenticate"), "Bearer realm=\"chancery\"");
        for (code, secret) in &credentials {
            let refused = send(&world.node.token(secret), &route, &target.id, &invited).await;
            refused.refused(401, code);
            let challenge = "Bearer realm=\"chancery\", error=\"invalid_token\"";
            assert_eq!(refused.header("www-authenticate"), challenge);
            assert!(!refused.text.contains(secret), "{} {}", route.method, route.template);
        }
    }
    assert_eq!(world.node.state(domain::state::State::version), before, "nothing was changed");
}

#[tokio::test]
async fn a_credential_has_one_form() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let secret = world.node.admin().mint("t", json!({"organization": "acme"}), &["member"]).await.secret;
    let who = |value: &str| world.node.anon().call("GET", "/v1/whoami").header("authorization", value).send();
    for good in [format!("Bearer {secret}"), format!("bearer {secret}"), format!("BEARER  {secret}")] {
        who(&good).await.expect(200);
    }
    for bad in [
        secret.clone(),
        format!("Basic {secret}"),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Bearer {secret} {secret}"),
        format!("Bearer {}", "x".repeat(4_097)),
        format!("Token {secret}"),
    ] {
        who(&bad).await.refused(401, "unauthenticated");
    }
    who(&format!("Bearer {}", "x".repeat(4_096))).await.refused(401, "token_unknown");
    let twice = world.node.token(&secret).call("GET", "/v1/whoami").header("authorization", "Bearer x");
    twice.send().await.refused(401, "unauthenticated");
    let binary = world.node.anon().call("GET", "/v1/whoami").header("authorization", b"Bearer \xff\xfe");
    binary.send().await.refused(401, "unauthenticated");
    // A token in the query or in the body proves nothing.
    let query = format!("/v1/whoami?access_token={secret}");
    world.node.anon().get(&query).await.refused(401, "unauthenticated");
    tenants.verifier.get("/v1/whoami").await.expect(200);
}
