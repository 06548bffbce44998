use super::{invite, join};
use chancery_tests::World;
use serde_json::json;

#[tokio::test]
async fn one_command_ends_a_person_everywhere() {
    let world = World::new().await;
    world.tenants().await;
    let admin = world.node.admin();
    let ada = join(&world.node, "acme", "ada@example.org", "member").await;
    let to_other = invite(&admin, "other", "ada@example.org", "admin").await;
    let joined = ada.session.post("/v1/invitations/accept", json!({"invitation": to_other["secret"]})).await;
    let other = world.node.token(&joined.text_of("secret"));
    let kept = other.mint("ci", json!({"organization": "other"}), &["verifier"]).await;
    let path = format!("/v1/users/{}/offboard", ada.user);
    other.post(&path, json!({})).await.refused(403, "forbidden");
    let (left, lines) = world.lines_of(admin.post(&path, json!({}))).await;
    assert_eq!(left.expect(200)["tokens"][0]["id"], kept.id);
    let kinds: Vec<&str> = lines.iter().map(|line| &*line.kind).collect();
    assert_eq!(kinds, ["UserOffboarded", "MemberRemoved", "MemberRemoved", "AdminTokenUsed"]);
    for session in [&ada.session, &other] {
        session.get("/v1/whoami").await.refused(401, "token_revoked");
    }
    world.node.token(&kept.secret).get("/v1/whoami").await.expect(200);
    let user = admin.get(&format!("/v1/users/{}", ada.user)).await;
    assert_eq!(user.expect(200)["organizations"], json!([]));
    assert!(user.body["offboarded_at"].is_string());
    // What was left behind can still be ended.
    admin.post(&path, json!({"tokens": "revoke"})).await.expect(200);
    world.node.token(&kept.secret).get("/v1/whoami").await.refused(401, "token_revoked");
    let fresh = world.another().await;
    assert_eq!(fresh.difference(&world.node), None);
}

#[tokio::test]
async fn the_last_owner_of_an_organization_is_not_offboarded() {
    let world = World::new().await;
    world.tenants().await;
    let admin = world.node.admin();
    let owner = join(&world.node, "acme", "ada@example.org", "owner").await;
    let path = format!("/v1/users/{}/offboard", owner.user);
    admin.post(&path, json!({})).await.refused(409, "last_owner");
    owner.session.get("/v1/whoami").await.expect(200);
    join(&world.node, "acme", "grace@example.org", "owner").await;
    admin.post(&path, json!({})).await.expect(200);
    let users = admin.get("/v1/users?limit=1").await;
    let first = users.expect(200)["items"][0]["email"].clone();
    let cursor = users.body["next_cursor"].as_str().unwrap();
    let rest = admin.get(&format!("/v1/users?cursor={cursor}")).await;
    let second = rest.expect(200)["items"][0]["email"].clone();
    // Of one millisecond, ids are in any order.
    let mut both = [first, second].map(|email| email.as_str().unwrap().to_owned());
    both.sort_unstable();
    assert_eq!(both, ["ada@example.org", "grace@example.org"]);
}
