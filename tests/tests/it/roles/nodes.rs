use super::{acme, define, role};
use chancery_tests::World;
use serde_json::json;

#[tokio::test]
async fn a_changed_role_is_in_force_at_the_next_verify_of_every_node() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let another = world.another().await;
    define(&tenants.owner, "helper", "organization", &["v:0"]).await.expect(201);
    let token = tenants.owner.mint("t", acme(), &["helper"]).await;
    let verifier = tenants.owner.mint("v", acme(), &["verifier"]).await;
    let verifiers = [world.node.token(&verifier.secret), another.token(&verifier.secret)];
    for n in 1..40 {
        let permissions = json!({"permissions": [format!("v:{n}")]});
        tenants.owner.patch(&role("helper"), permissions).await.expect(200);
        for verifier in &verifiers {
            for (permission, code) in [(n, "valid"), (n - 1, "forbidden")] {
                let question = json!({"token": token.secret, "permission": format!("v:{permission}")});
                assert_eq!(verifier.verify_with(question).await.code(), code);
            }
        }
    }
    tenants.owner.delete(&format!("{}?replacement=verifier", role("helper"))).await.expect(200);
    for verifier in &verifiers {
        let question = json!({"token": token.secret, "permission": "tokens:verify"});
        assert_eq!(verifier.verify_with(question).await.code(), "valid");
    }
}

#[tokio::test]
async fn of_two_nodes_that_define_a_name_one_does() {
    let world = World::new().await;
    world.tenants().await;
    let another = world.another().await;
    for n in 0..20 {
        let name = format!("r{n}");
        let shared = json!({"name": name, "level": "project", "permissions": ["a:b"]});
        let (here, there) = (world.node.admin(), another.admin());
        let (own, shared) =
            tokio::join!(define(&here, &name, "project", &["a:b"]), there.post("/v1/roles", shared));
        let mut statuses = [own.status, shared.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409], "{} {}", own.text, shared.text);
    }
}

#[tokio::test]
async fn a_role_is_not_retired_from_under_a_token_that_another_node_mints() {
    let world = World::new().await;
    world.tenants().await;
    let another = world.another().await;
    for n in 0..20 {
        let name = format!("r{n}");
        define(&world.node.admin(), &name, "organization", &["a:b"]).await.expect(201);
        let body = json!({"name": name, "scope": acme(), "grants": [name]});
        let (here, there) = (world.node.admin(), another.admin());
        let path = role(&name);
        let (minted, retired) = tokio::join!(there.post("/v1/tokens", body), here.delete(&path));
        match (minted.status, retired.status) {
            (201, 409) => drop(retired.refused(409, "role_held")),
            (422, 200) => drop(minted.refused(422, "invalid_value")),
            _ => panic!("{} {}", minted.text, retired.text),
        }
    }
}
