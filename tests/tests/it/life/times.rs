use crate::{DAY, HOUR, TICK, just_before};
use chancery_tests::World;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn a_token_is_in_force_from_its_start_until_just_before_its_end() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let minted = tenants
        .owner
        .mint_with(json!({
            "name": "ci", "scope": {"organization": "acme"}, "grants": ["member"],
            "not_before": world.moment(HOUR), "expires_at": world.moment(2 * HOUR),
        }))
        .await;
    let holder = world.node.token(&minted.secret);
    for (step, code, api) in [
        (Duration::ZERO, "not_yet_valid", Some("token_not_yet_valid")),
        (just_before(HOUR), "not_yet_valid", Some("token_not_yet_valid")),
        (TICK, "valid", None),
        (just_before(HOUR), "valid", None),
        (TICK, "expired", Some("token_expired")),
        (DAY, "expired", Some("token_expired")),
    ] {
        world.pass(step);
        assert_eq!(tenants.verifier.code_of(&minted.secret).await, code);
        let own = holder.get("/v1/whoami").await;
        match api {
            None => assert_eq!(own.status, 200),
            Some(code) => drop(own.refused(401, code)),
        }
    }
}

#[tokio::test]
async fn what_has_expired_is_not_revived_and_frees_its_name() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let body =
        json!({"name": "ci", "scope": {"organization": "acme"}, "grants": ["member"], "expires_in": "1h"});
    let first = tenants.owner.mint_with(body.clone()).await;
    tenants.owner.post("/v1/tokens", body.clone()).await.refused(409, "name_taken");
    world.pass(just_before(HOUR));
    tenants.owner.post("/v1/tokens", body.clone()).await.refused(409, "name_taken");
    world.pass(TICK);
    let path = format!("/v1/tokens/{}", first.id);
    tenants.owner.patch(&path, json!({"expires_in": "1h"})).await.refused(409, "token_ended");
    tenants.owner.post(&format!("{path}/rotate"), json!({})).await.refused(409, "token_ended");
    assert_eq!(tenants.owner.get(&path).await.expect(200)["status"], "expired");
    let second = tenants.owner.mint_with(body).await;
    assert_ne!(second.id, first.id);
    assert_eq!(tenants.verifier.code_of(&second.secret).await, "valid");
    tenants.owner.revoke(&first.id).await;
    assert_eq!(tenants.verifier.code_of(&first.secret).await, "revoked");
    assert_eq!(tenants.verifier.code_of(&second.secret).await, "valid");
}

#[tokio::test]
async fn times_that_cannot_be_are_refused() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    for (field, body) in [
        ("expires_at", json!({"expires_at": world.moment(Duration::ZERO)})),
        ("expires_at", json!({"expires_at": "2031-03-04"})),
        ("expires_at", json!({"expires_at": "1969-12-31T23:59:59Z"})),
        ("expires_in", json!({"expires_in": "30"})),
        ("expires_in", json!({"expires_in": "1h", "expires_at": null})),
        ("not_before", json!({"not_before": "tomorrow"})),
        ("not_before", json!({"not_before": world.moment(HOUR), "expires_in": "1h"})),
    ] {
        let mut whole = json!({"name": "ci", "scope": {"organization": "acme"}, "grants": ["member"]});
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let refused = tenants.owner.post("/v1/tokens", whole).await;
        assert_eq!(refused.refused(422, "invalid_value")["errors"][0]["field"], field, "{body}");
    }
}

#[tokio::test]
async fn a_child_has_its_parents_end_unless_it_says_an_earlier_one() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let acme = json!({"organization": "acme"});
    let parent = tenants
        .owner
        .mint_with(json!({"name": "p", "scope": acme, "grants": ["admin"], "expires_in": "1d"}))
        .await;
    let holder = world.node.token(&parent.secret);
    let silent = holder.mint("silent", acme.clone(), &["member"]).await;
    assert_eq!(silent.body["expires_at"], world.moment(DAY));
    for longer in [json!({"expires_at": null}), json!({"expires_in": "25h"})] {
        let mut body = json!({"name": "x", "scope": acme, "grants": ["member"]});
        body.as_object_mut().unwrap().extend(longer.as_object().unwrap().clone());
        let refused = holder.post("/v1/tokens", body).await;
        let missing = refused.refused(403, "escalation")["missing"].to_string();
        assert!(missing.contains("time from"), "{missing}");
    }
}
