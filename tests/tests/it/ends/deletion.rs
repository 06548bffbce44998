use crate::{DAY, TICK, just_before};
use chancery_tests::World;
use serde_json::json;

#[tokio::test]
async fn a_deleted_organization_takes_everything_with_it_by_one_line() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let other = world.another().await;
    let admin = world.node.admin();
    let of_web =
        tenants.owner.mint("w", json!({"organization": "acme", "project": "web"}), &["project-reader"]).await;
    let gone = tenants.owner.mint("g", json!({"organization": "acme"}), &["member"]).await;
    admin.revoke(&gone.id).await;
    let auditor = admin.mint("a", json!({"instance": true}), &["instance-auditor"]).await;
    let of_all = admin.mint("v", json!({"instance": true}), &["instance-verifier"]).await;
    let id = admin.get("/v1/organizations/acme").await.text_of("id");
    let body = json!({"confirm": "acme", "note": "contract ended"});
    let call = tenants.owner.call("DELETE", "/v1/organizations/acme").json(&body).send();
    let (deleted, lines) = world.lines_of(call).await;
    assert_eq!(deleted.expect(200)["status"], "deleted");
    assert_eq!(lines.iter().map(|line| line.kind.as_str()).collect::<Vec<_>>(), ["OrganizationDeleted"]);
    let fresh = world.another().await;
    for node in [&world.node, &other, &fresh] {
        node.token(&of_web.secret).get("/v1/whoami").await.refused(401, "token_revoked");
        let ask = json!({"token": of_web.secret, "organization": "acme", "project": "web"});
        assert_eq!(node.token(&of_all.secret).verify_with(ask).await.code(), "revoked");
        let auditor = node.token(&auditor.secret);
        auditor.get("/v1/organizations/acme").await.refused(404, "not_found");
        assert_eq!(auditor.get(&format!("/v1/organizations/{id}")).await.expect(200), &deleted.body);
        let listed = auditor.get("/v1/organizations").await;
        assert_eq!(listed.expect(200)["items"].as_array().unwrap().len(), 1);
        let tokens = auditor.get(&format!("/v1/tokens?organization={id}&status=revoked&sort=name")).await;
        let tokens = tokens.expect(200)["items"].as_array().unwrap().clone();
        let reasons: Vec<_> =
            tokens.iter().map(|token| token["revoked"]["reason"].as_str().unwrap()).collect();
        let ended = "organization-deleted";
        assert_eq!(reasons, ["requested", ended, ended, ended], "g, gateway, owner, w");
        assert_eq!(tokens[3]["revoked"]["note"], "contract ended");
        assert!(tokens[3]["revoked"]["by"].as_str().unwrap().starts_with("org-token:"));
        let live = auditor.get(&format!("/v1/tokens?organization={id}")).await;
        assert_eq!(live.expect(200)["items"], json!([]));
        let projects = auditor.get(&format!("/v1/organizations/{id}/projects")).await;
        assert_eq!(projects.expect(200)["items"].as_array().unwrap().len(), 2);
    }
    for node in [&other, &fresh] {
        node.catches_up_with(&world.node).await;
        assert_eq!(node.difference(&world.node), None);
    }
}

#[tokio::test]
async fn nothing_is_made_or_changed_in_a_deleted_organization() {
    let world = World::new().await;
    world.tenants().await;
    let admin = world.node.admin();
    let id = admin.get("/v1/organizations/acme").await.text_of("id");
    let token = admin.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let delete = |path: String| admin.call("DELETE", &path).json(&json!({"confirm": "acme"})).send();
    delete(format!("/v1/organizations/{id}")).await.expect(200);
    for (method, path, body) in [
        ("PATCH", format!("/v1/organizations/{id}"), json!({"name": "new"})),
        ("DELETE", format!("/v1/organizations/{id}"), json!({"confirm": "acme"})),
        ("POST", format!("/v1/organizations/{id}/restore"), json!({})),
        ("POST", format!("/v1/organizations/{id}/projects"), json!({"name": "new"})),
        ("DELETE", format!("/v1/organizations/{id}/projects/web"), json!({"confirm": "web"})),
        (
            "POST",
            "/v1/tokens".to_owned(),
            json!({"name": "x", "scope": {"organization": id}, "grants": ["owner"]}),
        ),
    ] {
        admin.call(method, &path).json(&body).send().await.refused(404, "not_found");
    }
    let path = format!("/v1/tokens/{}", token.id);
    admin.patch(&path, json!({"name": "new"})).await.refused(409, "token_ended");
    admin.post(&format!("{path}/rotate"), json!({})).await.refused(409, "token_ended");
    let (revoked, lines) = world.lines_of(admin.delete(&path)).await;
    assert_eq!(revoked.expect(200)["revoked"]["reason"], "organization-deleted");
    assert!(lines.iter().all(chancery_tests::Entry::is_use));
}

#[tokio::test]
async fn its_name_stays_reserved_for_90_days() {
    let world = World::new().await;
    let admin = world.node.admin();
    admin.organization("acme").await;
    admin.call("DELETE", "/v1/organizations/acme").json(&json!({"confirm": "acme"})).send().await.expect(200);
    let take = || admin.post("/v1/organizations", json!({"name": "acme"}));
    world.pass(just_before(90 * DAY));
    take().await.refused(409, "name_taken");
    world.pass(TICK);
    take().await.expect(201);
}

#[tokio::test]
async fn a_deletion_is_of_what_was_meant_and_seen() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let admin = world.node.admin();
    for path in ["/v1/organizations/acme", "/v1/organizations/acme/projects/web"] {
        let seen = admin.get(path).await.tag();
        admin.patch(path, json!({"display_name": "D"})).await.expect(200);
        let delete = |body| tenants.owner.call("DELETE", path).json(&body);
        let name = path.rsplit('/').next().unwrap();
        let stale = delete(json!({"confirm": name})).if_match(&seen).send().await;
        stale.refused(412, "precondition_failed");
        for wrong in ["", "ACME", "other"] {
            let refused = delete(json!({"confirm": wrong})).send().await;
            assert_eq!(refused.refused(422, "invalid_value")["errors"][0]["field"], "confirm");
        }
        delete(json!({})).send().await.refused(422, "invalid_value");
        tenants.owner.delete(path).await.refused(415, "unsupported_media_type");
        admin.get(path).await.expect(200);
    }
}

#[tokio::test]
async fn what_would_end_is_counted_first() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let web = json!({"organization": "acme", "project": "web"});
    tenants.owner.mint("w", web.clone(), &["project-reader"]).await;
    let gone = tenants.owner.mint("g", web, &["project-reader"]).await;
    tenants.owner.mint("h", json!({"organization": "acme"}), &["project-writer@web"]).await;
    world.node.admin().revoke(&gone.id).await;
    let count = async |path: &str| {
        let counted = tenants.owner.get(&format!("/v1/organizations/acme{path}/contents")).await;
        counted.expect(200).clone()
    };
    let tokens = json!({"live": 4, "expired": 0, "revoked": 1});
    let expected = json!({"projects": 2, "tokens": tokens, "members": 0, "invitations": 0});
    assert_eq!(count("").await, expected);
    let tokens = json!({"live": 1, "expired": 0, "revoked": 1});
    let expected = json!({"tokens": tokens, "holders": 1, "members": 0, "invitations": 0});
    assert_eq!(count("/projects/web").await, expected);
    let stranger = tenants.other_verifier.get("/v1/organizations/acme/contents").await;
    stranger.refused(404, "not_found");
}
