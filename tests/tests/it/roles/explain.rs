use super::{acme, define};
use crate::HOUR;
use chancery_tests::{Actor, World};
use serde_json::{Value, json};

async fn explain(actor: &Actor, question: Value) -> Value {
    actor.post("/v1/explain", question).await.expect(200).clone()
}

#[tokio::test]
async fn it_says_which_grant_allows_it_or_what_is_missing() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    define(&tenants.owner, "helper", "organization", &["deployments:read", "any:*"]).await.expect(201);
    let grants = json!(["helper", "project-writer@web"]);
    let ask = async |permission: &str, project: Option<&str>| {
        let draft = json!({"scope": acme(), "grants": grants});
        explain(&tenants.owner, json!({"draft": draft, "permission": permission, "project": project})).await
    };
    let found = ask("deployments:read", Some("web")).await;
    assert_eq!(
        found,
        json!({
            "allowed": true, "code": "valid", "permission": "deployments:read",
            "place": {"organization": "acme", "project": "web"}, "missing": [],
            "chain": [{"allows": true, "by": [
                {"grant": "helper", "permission": "deployments:read"},
                {"grant": "project-writer@web", "permission": "deployments:*"},
            ]}],
        })
    );
    let found = ask("deployments:create", None).await;
    assert_eq!((&found["allowed"], &found["code"]), (&json!(false), &json!("forbidden")));
    assert_eq!(found["missing"], json!(["deployments:create at organization acme"]));
    assert_eq!(found["chain"], json!([{"allows": false, "by": []}]));
    assert_eq!(ask("any:thing", Some("api")).await["chain"][0]["by"][0]["permission"], "any:*");
}

#[tokio::test]
async fn it_agrees_with_verify_and_is_a_use_of_the_caller_alone() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let expiring = json!({"name": "e", "scope": acme(), "grants": ["member"], "expires_in": "1h"});
    let token = tenants.owner.mint_with(expiring).await;
    let question = json!({"id": token.id, "permission": "tokens:mint"});
    let (found, lines) = world.lines_of(explain(&tenants.owner, question.clone())).await;
    assert_eq!((&found["allowed"], &found["chain"][0]["id"]), (&json!(true), &json!(token.id)));
    assert_eq!(lines.len(), 1);
    assert_eq!((lines[0].kind.as_str(), lines[0].text_at("/asked/operation")), ("TokenUsed", "explain"));
    assert_eq!(lines[0].text_at("/asked/resource"), format!("token:{}", token.id));
    assert_eq!(lines[0].text_at("/token"), lines[0].text_at("/actor/token"), "it names the caller");
    assert_ne!(lines[0].text_at("/token"), token.id);
    world.pass(HOUR);
    let found = explain(&tenants.owner, question.clone()).await;
    assert_eq!((&found["code"], &found["chain"][0]["allows"]), (&json!("expired"), &json!(true)));
    assert_eq!(tenants.verifier.code_of(&token.secret).await, "expired");
    world.node.admin().revoke(&token.id).await;
    assert_eq!(explain(&tenants.owner, question).await["code"], "revoked");
}

#[tokio::test]
async fn it_looks_at_every_link_and_at_the_place_in_question() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let parent = tenants.owner.mint("p", acme(), &["admin"]).await;
    let narrow = json!({"name": "n", "grants": ["admin"], "allowed_networks": ["10.0.0.0/8"]});
    let child = world.node.token(&parent.secret).post("/v1/tokens/narrow", narrow).await.text_of("id");
    tenants
        .owner
        .patch(&format!("/v1/tokens/{}", parent.id), json!({"grants": ["member"]}))
        .await
        .expect(200);
    let ask = |more: Value| {
        let mut question = json!({"id": child, "permission": "tokens:rotate"});
        question.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let owner = tenants.owner.clone();
        async move { explain(&owner, question).await }
    };
    let found = ask(json!({})).await;
    assert_eq!(found["code"], "forbidden");
    let links: Vec<(&Value, &Value)> =
        found["chain"].as_array().unwrap().iter().map(|link| (&link["id"], &link["allows"])).collect();
    assert_eq!(links, [(&json!(child), &json!(true)), (&json!(parent.id), &json!(false))]);
    assert_eq!(ask(json!({"address": "192.0.2.1"})).await["code"], "address_denied");
    assert_eq!(ask(json!({"address": "10.0.0.1", "permission": "tokens:read"})).await["code"], "valid");
    let admin = world.node.admin();
    let elsewhere = json!({"id": child, "permission": "tokens:read", "organization": "other"});
    assert_eq!(explain(&admin, elsewhere).await["code"], "wrong_organization");
}

#[tokio::test]
async fn who_may_not_read_the_token_is_told_nothing() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let token = tenants.owner.mint("t", acme(), &["member"]).await;
    let about = json!({"id": token.id, "permission": "a:b"});
    for actor in [&tenants.verifier, &tenants.other_verifier] {
        actor.post("/v1/explain", about.clone()).await.refused(404, "not_found");
    }
    assert_eq!(explain(&world.node.token(&token.secret), about).await["code"], "forbidden");
    let draft = json!({"draft": {"scope": acme(), "grants": ["member"]}, "permission": "a:b"});
    tenants.verifier.post("/v1/explain", draft.clone()).await.refused(403, "forbidden");
    tenants.other_verifier.post("/v1/explain", draft).await.refused(404, "not_found");
    for (question, field) in [
        (json!({"permission": "a:b"}), "id"),
        (
            json!({"id": token.id, "draft": {"scope": acme(), "grants": ["member"]}, "permission": "a:b"}),
            "id",
        ),
        (json!({"id": token.id, "permission": "a:*"}), "permission"),
        (json!({"id": token.id, "permission": "a:b", "address": "here"}), "address"),
        (json!({"draft": {"scope": acme(), "grants": ["never"]}, "permission": "a:b"}), "grants"),
    ] {
        let refused = tenants.owner.post("/v1/explain", question).await;
        assert_eq!(refused.refused(422, "invalid_value")["errors"][0]["field"], field);
    }
}
