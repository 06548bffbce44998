use crate::HOUR;
use chancery_tests::World;
use serde_json::json;

#[tokio::test]
async fn a_suspended_organization_is_refused_on_every_node_until_it_is_restored() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let other = world.another().await;
    let admin = world.node.admin();
    let token = tenants.owner.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let of_all = admin.mint("v", json!({"instance": true}), &["instance-verifier"]).await;
    let ask = json!({"token": token.secret, "organization": "acme"});
    for (path, code, status) in
        [("suspend", "organization_suspended", "suspended"), ("restore", "valid", "active")]
    {
        let done = admin.post(&format!("/v1/organizations/acme/{path}"), json!({"note": "unpaid"})).await;
        assert_eq!(done.expect(200)["status"], status);
        for node in [&world.node, &other] {
            assert_eq!(node.token(&of_all.secret).verify_with(ask.clone()).await.code(), code);
            let own = node.token(&token.secret).get("/v1/whoami").await;
            if status == "suspended" {
                own.refused(401, code);
            } else {
                own.expect(200);
            }
        }
        // Nobody else's are touched.
        tenants.other_verifier.get("/v1/whoami").await.expect(200);
    }
    other.catches_up_with(&world.node).await;
    assert_eq!(other.difference(&world.node), None);
}

#[tokio::test]
async fn a_suspension_says_when_by_whom_and_why() {
    let world = World::new().await;
    world.tenants().await;
    world.pass(HOUR);
    let admin = world.node.admin();
    admin.post("/v1/organizations/acme/suspend", json!({"note": "unpaid"})).await.expect(200);
    let expected = json!({"at": world.moment(HOUR), "by": "admin-token", "note": "unpaid"});
    assert_eq!(admin.get("/v1/organizations/acme").await.expect(200)["suspended"], expected);
    let listed = admin.get("/v1/organizations").await;
    assert_eq!(listed.expect(200)["items"][0]["status"], "suspended");
    assert_eq!(listed.body["items"][1]["status"], "active");
    let tokens = admin.get("/v1/tokens?organization=acme").await;
    assert_eq!(tokens.expect(200)["items"].as_array().unwrap().len(), 2, "its tokens stay what they are");
    let restored = admin.call("POST", "/v1/organizations/acme/restore").send().await;
    assert_eq!((restored.status, restored.body.get("suspended")), (200, None));
}

#[tokio::test]
async fn what_is_so_already_is_not_changed() {
    let world = World::new().await;
    world.tenants().await;
    let admin = world.node.admin();
    for (path, changes) in [("restore", 0), ("suspend", 1), ("suspend", 0), ("restore", 1)] {
        let target = format!("/v1/organizations/acme/{path}");
        let (done, lines) = world.lines_of(admin.post(&target, json!({}))).await;
        done.expect(200);
        assert_eq!(lines.iter().filter(|line| !line.is_use()).count(), changes, "{path}");
    }
}

#[tokio::test]
async fn only_the_instance_s_administrators_suspend() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    for path in ["/v1/organizations/acme/suspend", "/v1/organizations/acme/restore"] {
        let refused = tenants.owner.post(path, json!({})).await;
        assert_eq!(refused.refused(403, "forbidden")["missing"], json!(["organizations:suspend"]));
        tenants.other_verifier.post(path, json!({})).await.refused(404, "not_found");
    }
}
