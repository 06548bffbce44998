use crate::DAY;
use chancery_tests::{Entry, NodeOptions, World};
use serde_json::json;

fn trusting(options: NodeOptions) -> NodeOptions {
    NodeOptions { trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()], ..options }
}

async fn commitments(world: &World, secret: &str, from: &str) -> (String, String) {
    let actor = world.node.token(secret).header("x-forwarded-for", from);
    let (_, lines) = world.lines_of(actor.get("/v1/whoami")).await;
    let text = |pointer| lines[0].text_at(pointer).to_owned();
    (text("/actor/address"), text("/actor/agent"))
}

#[tokio::test]
async fn a_line_holds_commitments_that_open_to_the_values_beside_it() {
    let world = World::with(trusting).await;
    let tenants = world.tenants().await;
    let token = tenants.owner.mint("t", json!({"organization": "acme"}), &["verifier"]).await;
    let (address, agent) = commitments(&world, &token.secret, "2001:db8::7").await;
    let opened = world.database.personal(&address).await;
    assert_eq!(opened, ("address".to_owned(), "2001:db8::7".to_owned()));
    let opened = world.database.personal(&agent).await;
    assert_eq!(opened, ("agent".to_owned(), "chancery-tests/1".to_owned()));
    let client = json!({"address": "192.0.2.33", "agent": "Mozilla/5.0 (somebody)"});
    let question = json!({"token": token.secret, "client": client});
    let (_, lines) = world.lines_of(tenants.verifier.verify_with(question)).await;
    for (pointer, value) in [("/client/address", "192.0.2.33"), ("/client/agent", "Mozilla/5.0 (somebody)")] {
        assert_eq!(world.database.personal(lines[0].text_at(pointer)).await.1, value);
    }
}

#[tokio::test]
async fn a_value_is_linked_only_within_an_organization_and_a_day() {
    let world = World::with(trusting).await;
    world.tenants().await;
    let mint = async |organization: &str| {
        let scope = json!({"organization": organization});
        world.node.admin().mint("t", scope, &["member"]).await.secret
    };
    let (acme, other) = (mint("acme").await, mint("other").await);
    let first = commitments(&world, &acme, "192.0.2.1").await;
    assert_eq!(commitments(&world, &acme, "192.0.2.1").await, first, "the same within the day");
    assert_ne!(commitments(&world, &acme, "192.0.2.2").await.0, first.0);
    let elsewhere = commitments(&world, &other, "192.0.2.1").await;
    world.pass(DAY);
    let next_day = commitments(&world, &acme, "192.0.2.1").await;
    for apart in [elsewhere, next_day] {
        assert_ne!(apart.0, first.0);
        assert_ne!(apart.1, first.1);
    }
}

#[tokio::test]
async fn no_line_holds_a_personal_value() {
    let world = World::with(trusting).await;
    let tenants = world.tenants().await;
    let token = tenants.owner.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let peculiar = ["198.51.100.77", "peculiar-agent/9", "203.0.113.99", "another-agent/3"];
    let actor = world.node.token(&token.secret).header("x-forwarded-for", peculiar[0]);
    actor.call("GET", "/v1/tokens").header("user-agent", peculiar[1]).send().await.expect(200);
    actor
        .call("GET", "/v1/instance")
        .header("user-agent", peculiar[1])
        .send()
        .await
        .refused(403, "forbidden");
    let client = json!({"address": peculiar[2], "agent": peculiar[3]});
    tenants.verifier.verify_with(json!({"token": token.secret, "client": client})).await;
    let entries = world.database.entries().await;
    for value in peculiar.into_iter().chain(["127.0.0.1", "chancery-tests/1"]) {
        let holding: Vec<&Entry> = entries.iter().filter(|entry| entry.text.contains(value)).collect();
        assert!(holding.is_empty(), "{value}: {holding:?}");
    }
}

#[tokio::test]
async fn erasing_a_person_leaves_every_line_as_it_is() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    tenants.owner.get("/v1/whoami").await.expect(200);
    let before: Vec<String> = world.database.entries().await.into_iter().map(|entry| entry.text).collect();
    world.database.execute("DELETE FROM chancery.personal").await;
    let after: Vec<String> = world.database.entries().await.into_iter().map(|entry| entry.text).collect();
    assert_eq!(before, after);
    tenants.owner.get("/v1/whoami").await.expect(200);
    let other = world.another().await;
    other.token(&never()).get("/v1/whoami").await.refused(401, "token_unknown");
    assert_eq!(other.difference(&world.node), None);
}

fn never() -> String {
    crate::never_issued(9)
}
