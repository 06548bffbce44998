use chancery_tests::World;
use serde_json::json;

#[tokio::test]
async fn a_deleted_project_takes_its_tokens_and_the_roles_at_it() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let other = world.another().await;
    let acme = json!({"organization": "acme"});
    let web = json!({"organization": "acme", "project": "web"});
    let of_web = tenants.owner.mint("w", web.clone(), &["project-admin"]).await;
    let wide = tenants.owner.mint("wide", acme, &["project-writer@web", "project-reader@api"]).await;
    let owner = world.node.admin().mint("o", json!({"organization": "acme"}), &["owner"]).await;
    let ask = |permission: &str, project: &str| json!({"token": wide.secret, "permission": permission, "project": project});
    assert_eq!(tenants.verifier.verify_with(ask("deployments:create", "web")).await.code(), "valid");
    // Whoever administers the project may end it, itself with it.
    let holder = world.node.token(&of_web.secret);
    let delete = holder.call("DELETE", "/v1/organizations/acme/projects/web");
    let deleted = delete.json(&json!({"confirm": "web", "note": "merged"})).send().await;
    assert_eq!(deleted.expect(200)["deleted"]["note"], "merged");
    let id = deleted.text_of("id");
    for node in [&world.node, &other] {
        node.token(&of_web.secret).get("/v1/whoami").await.refused(401, "token_revoked");
        let owner = node.token(&owner.secret);
        let shown = owner.get(&format!("/v1/tokens/{}", of_web.id)).await;
        assert_eq!(shown.expect(200)["revoked"]["reason"], "project-deleted");
        let listed = owner.get(&format!("/v1/tokens?organization=acme&project={id}&status=all")).await;
        assert_eq!(listed.expect(200)["items"].as_array().unwrap().len(), 1);
        owner.get("/v1/organizations/acme/projects/web").await.refused(404, "not_found");
        let shown = owner.get(&format!("/v1/organizations/acme/projects/{id}")).await;
        assert_eq!(shown.expect(200)["deleted"]["note"], "merged");
        let shown = owner.get(&format!("/v1/tokens/{}", wide.id)).await;
        assert_eq!(shown.expect(200)["grants"], json!(["project-reader@api"]));
    }
    // Its name is free at once; who held a role at the one before holds none at the next.
    tenants.owner.project("acme", "web").await;
    assert_eq!(tenants.verifier.verify_with(ask("deployments:create", "web")).await.code(), "forbidden");
    assert_eq!(tenants.verifier.verify_with(ask("projects:read", "api")).await.code(), "valid");
    assert_eq!(tenants.verifier.code_of(&of_web.secret).await, "revoked");
    tenants.owner.mint("w", web, &["project-admin"]).await;
    other.catches_up_with(&world.node).await;
    assert_eq!(other.difference(&world.node), None);
}
