use super::join;
use chancery_tests::World;
use serde_json::{Value, json};

fn path(user: &str) -> String {
    format!("/v1/organizations/acme/members/{user}")
}

#[tokio::test]
async fn a_role_change_is_in_force_at_once() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let ada = join(&world.node, "acme", "ada@example.org", "member").await;
    let members = tenants.owner.get("/v1/organizations/acme/members").await;
    let listed = members.expect(200)["items"][0].clone();
    assert_eq!((&listed["email"], &listed["role"]), (&json!("ada@example.org"), &json!("member")));
    assert_eq!((&listed["name"], &listed["email_verified"]), (&json!("Ada Lovelace"), &json!(false)));
    ada.session.get("/v1/organizations/acme/members").await.expect(200);
    ada.session.patch(&path(&ada.user), json!({"role": "admin"})).await.refused(403, "forbidden");
    let stale =
        tenants.owner.call("PATCH", &path(&ada.user)).if_match("\"1\"").json(&json!({"role": "admin"}));
    stale.send().await.refused(412, "precondition_failed");
    let changed = tenants.owner.patch(&path(&ada.user), json!({"role": "admin"})).await;
    assert_eq!(changed.expect(200)["role"], "admin");
    ada.session.patch("/v1/organizations/acme", json!({})).await.expect(200);
    let more = json!({"role": "project-writer", "project": "web"});
    assert_eq!(tenants.owner.patch(&path(&ada.user), more).await.expect(200)["project"], "web");
    let shown = tenants.owner.get(&path(&ada.user)).await;
    let roles: Vec<&Value> =
        shown.expect(200)["members"].as_array().unwrap().iter().map(|m| &m["role"]).collect();
    assert_eq!(roles, ["admin", "project-writer"]);
}

#[tokio::test]
async fn nobody_gives_or_takes_more_than_they_hold() {
    let world = World::new().await;
    world.tenants().await;
    let boss = join(&world.node, "acme", "boss@example.org", "admin").await;
    let owner = join(&world.node, "acme", "owner@example.org", "owner").await;
    let other = join(&world.node, "acme", "other@example.org", "owner").await;
    boss.session.patch(&path(&boss.user), json!({"role": "owner"})).await.refused(403, "escalation");
    boss.session.patch(&path(&owner.user), json!({"role": "member"})).await.refused(403, "escalation");
    boss.session.post(&format!("{}/remove", path(&owner.user)), json!({})).await.refused(403, "escalation");
    let invitation = json!({"email": "me@example.org", "role": "owner"});
    boss.session.post("/v1/organizations/acme/invitations", invitation).await.refused(403, "escalation");
    // Nor does anybody come to hold another's session.
    owner
        .session
        .post(&format!("/v1/tokens/{}/rotate", boss.id), json!({}))
        .await
        .refused(422, "invalid_value");
    owner.session.post(&format!("{}/remove", path(&other.user)), json!({})).await.expect(200);
    let last = owner.session.post(&format!("{}/remove", path(&owner.user)), json!({})).await;
    last.refused(409, "last_owner");
    owner.session.patch(&path(&owner.user), json!({"role": "admin"})).await.refused(409, "last_owner");
}

#[tokio::test]
async fn a_removed_member_is_out_at_once_and_its_tokens_are_as_the_remover_says() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    for (tokens, status, code) in [
        (json!({}), "live", "valid"),
        (json!({"tokens": "keep"}), "live", "valid"),
        (json!({"tokens": "revoke"}), "revoked", "revoked"),
    ] {
        let ada = join(&world.node, "acme", "ada@example.org", "admin").await;
        let name = format!("of {}", ada.user);
        let minted = ada.session.mint(&name, json!({"organization": "acme"}), &["verifier"]).await;
        let web = json!({"organization": "acme", "project": "web"});
        let child = ada.session.mint(&name, web, &["project-writer"]).await;
        let removed = tenants.owner.post(&format!("{}/remove", path(&ada.user)), tokens).await;
        let listed = removed.expect(200)["tokens"].as_array().unwrap();
        assert_eq!(listed.len(), 2);
        assert!(listed.iter().all(|token| token["status"] == status));
        ada.session.get("/v1/whoami").await.refused(401, "token_revoked");
        for token in [minted, child] {
            assert_eq!(tenants.verifier.code_of(&token.secret).await, code);
        }
        tenants.owner.get(&path(&ada.user)).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn tokens_are_handed_over_to_who_could_have_minted_them() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let ada = join(&world.node, "acme", "ada@example.org", "admin").await;
    let weak = join(&world.node, "acme", "weak@example.org", "member").await;
    let heir = join(&world.node, "acme", "heir@example.org", "admin").await;
    let minted = ada.session.mint("ci", json!({"organization": "acme"}), &["admin"]).await;
    let remove = format!("{}/remove", path(&ada.user));
    let to = |user: &str| json!({"tokens": "hand-over", "to": user});
    for wrong in [
        to(&weak.user),
        to(&ada.user),
        to("nobody"),
        json!({"tokens": "hand-over"}),
        json!({"to": heir.user}),
    ] {
        let refused = tenants.owner.post(&remove, wrong).await;
        assert_eq!(refused.refused(422, "invalid_value")["errors"][0]["field"], "to");
    }
    tenants.owner.post(&remove, json!({"tokens": "burn"})).await.refused(422, "invalid_value");
    tenants.owner.post(&remove, to(&heir.user)).await.expect(200);
    let shown = tenants.owner.get(&path(&heir.user)).await;
    assert_eq!(shown.expect(200)["tokens"][0]["id"], minted.id);
    let end = json!({"tokens": "revoke"});
    tenants.owner.post(&format!("{}/remove", path(&heir.user)), end).await.expect(200);
    assert_eq!(tenants.verifier.code_of(&minted.secret).await, "revoked");
}

#[tokio::test]
async fn a_removal_lists_what_the_remover_may_read_and_nothing_before_it_is_allowed() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let role = json!({"name": "remover", "level": "organization", "permissions": ["members:remove", "tokens:verify", "tokens:mint"]});
    tenants.owner.post("/v1/organizations/acme/roles", role).await.expect(201);
    let minter =
        json!({"name": "minter", "level": "organization", "permissions": ["tokens:mint", "tokens:verify"]});
    tenants.owner.post("/v1/organizations/acme/roles", minter).await.expect(201);
    let remover = join(&world.node, "acme", "grace@example.org", "remover").await;
    let ada = join(&world.node, "acme", "ada@example.org", "minter").await;
    let minted = ada.session.mint("ci", json!({"organization": "acme"}), &["verifier"]).await;
    let remove = format!("{}/remove", path(&ada.user));
    let refused = ada.session.post(&remove, json!({})).await;
    refused.refused(403, "forbidden");
    let removed = remover.session.post(&remove, json!({})).await;
    assert_eq!(removed.expect(200)["tokens"], json!([]));
    assert_eq!(tenants.verifier.code_of(&minted.secret).await, "valid");
}
