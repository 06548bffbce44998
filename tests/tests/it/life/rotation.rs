use crate::{DAY, HOUR, TICK, just_before};
use chancery_tests::{Minted, Tenants, World};
use serde_json::json;
use std::time::Duration;

async fn minted(tenants: &Tenants) -> Minted {
    tenants.owner.mint("ci", json!({"organization": "acme"}), &["member"]).await
}

async fn rotated(tenants: &Tenants, token: &Minted, overlap: Option<&str>) -> Minted {
    let body = overlap.map_or_else(|| json!({}), |overlap| json!({"overlap": overlap}));
    Minted::from(&tenants.owner.post(&format!("/v1/tokens/{}/rotate", token.id), body).await)
}

async fn codes<const N: usize>(tenants: &Tenants, tokens: [&Minted; N]) -> [String; N] {
    let mut codes = [const { String::new() }; N];
    for (code, token) in codes.iter_mut().zip(tokens) {
        *code = tenants.verifier.code_of(&token.secret).await;
    }
    codes
}

#[tokio::test]
async fn without_an_overlap_the_secret_before_ends_at_once() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let first = minted(&tenants).await;
    let second = rotated(&tenants, &first, None).await;
    assert_eq!(second.id, first.id);
    assert_ne!(second.secret, first.secret);
    for field in ["name", "grants", "scope", "created_at", "created_by", "parent"] {
        assert_eq!(second.body[field], first.body[field], "{field}");
    }
    assert_eq!(second.body["prefix"], second.secret[..12]);
    assert_eq!(codes(&tenants, [&first, &second]).await, ["superseded", "valid"]);
    world.node.token(&first.secret).get("/v1/whoami").await.refused(401, "token_superseded");
}

#[tokio::test]
async fn an_overlap_lasts_until_just_before_its_end() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let first = minted(&tenants).await;
    let second = rotated(&tenants, &first, Some("1h")).await;
    assert_eq!(second.body["overlap_until"], world.moment(HOUR));
    assert_eq!(codes(&tenants, [&first, &second]).await, ["valid", "valid"]);
    world.pass(just_before(HOUR));
    assert_eq!(codes(&tenants, [&first, &second]).await, ["valid", "valid"]);
    world.node.token(&first.secret).get("/v1/whoami").await.expect(200);
    world.pass(TICK);
    assert_eq!(codes(&tenants, [&first, &second]).await, ["superseded", "valid"]);
    let shown = tenants.owner.get(&format!("/v1/tokens/{}", first.id)).await;
    assert_eq!(shown.expect(200).get("overlap_until"), None);
}

#[tokio::test]
async fn a_second_rotation_ends_an_earlier_overlap() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let first = minted(&tenants).await;
    let second = rotated(&tenants, &first, Some("1h")).await;
    let third = rotated(&tenants, &first, Some("2h")).await;
    assert_eq!(codes(&tenants, [&first, &second, &third]).await, ["superseded", "valid", "valid"]);
    world.pass(2 * HOUR);
    assert_eq!(codes(&tenants, [&first, &second, &third]).await, ["superseded", "superseded", "valid"]);
}

#[tokio::test]
async fn revocation_ends_all_secrets_at_once() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let first = minted(&tenants).await;
    let second = rotated(&tenants, &first, Some("1h")).await;
    tenants.owner.revoke(&first.id).await;
    assert_eq!(codes(&tenants, [&first, &second]).await, ["revoked", "revoked"]);
    world.pass(HOUR);
    assert_eq!(codes(&tenants, [&first, &second]).await, ["superseded", "revoked"]);
}

#[tokio::test]
async fn an_overlap_has_its_limits() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let body =
        json!({"name": "ci", "scope": {"organization": "acme"}, "grants": ["member"], "expires_in": "30m"});
    let short = tenants.owner.mint_with(body).await;
    let second = rotated(&tenants, &short, Some("1h")).await;
    assert_eq!(second.body["overlap_until"], second.body["expires_at"], "never past the expiry");
    let long = tenants.owner.mint("long", json!({"organization": "acme"}), &["member"]).await;
    let path = format!("/v1/tokens/{}/rotate", long.id);
    for overlap in ["7d1s", "8d", "1y", "", "1", "-1d", "soon"] {
        let refused = tenants.owner.post(&path, json!({"overlap": overlap})).await;
        assert_eq!(refused.refused(422, "invalid_value")["errors"][0]["field"], "overlap", "{overlap}");
    }
    assert_eq!(rotated(&tenants, &long, Some("7d")).await.body["overlap_until"], world.moment(7 * DAY));
    // A body is not needed to rotate.
    Minted::from(&tenants.owner.call("POST", &path).send().await);
}

#[tokio::test]
async fn a_token_that_rotates_itself_can_ask_once_more_for_an_answer_that_was_lost() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let token = tenants.owner.mint("self", json!({"organization": "acme"}), &["admin"]).await;
    let (path, old) = (format!("/v1/tokens/{}/rotate", token.id), world.node.token(&token.secret));
    let rotate = |key: &str| old.call("POST", &path).key(key).json(&json!({})).send();
    let rotated = Minted::from(&rotate("k").await);
    world.pass(just_before(Duration::from_mins(1)));
    assert_eq!(Minted::from(&rotate("k").await).secret, rotated.secret);
    // That secret is good for nothing else, and not for longer.
    rotate("other").await.refused(401, "token_superseded");
    old.post(&path, json!({})).await.refused(401, "token_superseded");
    old.call("POST", &path)
        .key("k")
        .json(&json!({"overlap": "1h"}))
        .send()
        .await
        .refused(401, "token_superseded");
    old.get("/v1/whoami").await.refused(401, "token_superseded");
    world.pass(TICK);
    rotate("k").await.refused(401, "token_superseded");
    assert_eq!(tenants.verifier.code_of(&rotated.secret).await, "valid");
}
