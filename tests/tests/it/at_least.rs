//! A read that names a position is answered from a log that reaches it, on whichever node.

use chancery_tests::World;
use serde_json::json;

#[tokio::test]
async fn what_was_written_on_one_node_is_read_on_another() {
    let world = World::new().await;
    world.tenants().await;
    let other = world.another().await;
    let (writer, reader) = (world.node.admin(), other.admin());
    for n in 0..20 {
        let name = format!("org-{n}");
        let made = writer.post("/v1/organizations", json!({"name": name})).await;
        let read = reader.get(&format!("/v1/organizations/{name}?at_least={}", made.position())).await;
        assert_eq!(read.expect(200), &made.body);
        assert!(read.position() >= made.position());
        let scope = json!({"organization": name});
        let minted =
            writer.post("/v1/tokens", json!({"name": "t", "scope": scope, "grants": ["owner"]})).await;
        let (position, id) = (minted.position(), minted.text_of("id"));
        reader.get(&format!("/v1/tokens/{id}?at_least={position}")).await.expect(200);
        let listed = reader.get(&format!("/v1/tokens?organization={name}&at_least={position}")).await;
        assert_eq!(listed.expect(200)["items"][0]["id"], id);
        let own = other.token(&minted.text_of("secret"));
        let whoami = own.get(&format!("/v1/whoami?at_least={position}")).await;
        assert_eq!(whoami.expect(200)["token"]["id"], id);
    }
    let project = writer.post("/v1/organizations/acme/projects", json!({"name": "p"})).await;
    for path in [
        "/v1/organizations/acme/projects",
        "/v1/organizations/acme/projects/p",
        "/v1/organizations",
        "/v1/instance",
    ] {
        let read = reader.get(&format!("{path}?at_least={}", project.position())).await;
        assert!(read.text.contains("\"p\"") || !path.contains("projects"), "{path}: {}", read.text);
        assert_eq!(read.status, 200);
    }
}

#[tokio::test]
async fn a_position_that_does_not_come_is_answered_503() {
    let world = World::new().await;
    let admin = world.node.admin();
    let position = admin.get("/v1/whoami").await.position();
    admin.get(&format!("/v1/whoami?at_least={position}")).await.expect(200);
    let future = admin.get(&format!("/v1/whoami?at_least={}", position + 1_000)).await;
    let detail = future.refused(503, "behind")["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains(&(position + 1_000).to_string()), "{detail}");
    assert_eq!(future.header("retry-after"), "1");
    for bad in ["-1", "x", "", "18446744073709551616"] {
        admin.get(&format!("/v1/whoami?at_least={bad}")).await.refused(422, "invalid_value");
    }
}

#[tokio::test]
async fn every_answer_says_the_position_that_it_stands_for() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let mut last = 0;
    for path in ["/v1/whoami", "/v1/tokens", "/v1/organizations/acme"] {
        let answer = tenants.owner.get(path).await;
        assert_eq!(answer.position(), last.max(answer.position()), "it never goes back");
        last = answer.position();
        assert_eq!(last, world.database.size().await);
    }
}
