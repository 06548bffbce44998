use crate::HOUR;
use chancery_tests::{Actor, World, eventually_async};
use serde_json::{Value, json};

fn acme() -> Value {
    json!({"organization": "acme"})
}

fn ids(nodes: &Value) -> Vec<String> {
    nodes.as_array().unwrap().iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect()
}

async fn lineage(actor: &Actor, id: &str, query: &str) -> Value {
    actor.get(&format!("/v1/tokens/{id}/lineage{query}")).await.expect(200).clone()
}

#[tokio::test]
async fn a_lineage_shows_who_minted_and_what_was_minted_with_status_and_last_use() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let owner = tenants.owner.get("/v1/whoami").await.body["token"]["id"].as_str().unwrap().to_owned();
    let boss = tenants.owner.mint("boss", acme(), &["admin"]).await;
    let by_boss = world.node.token(&boss.secret);
    let job = by_boss.mint("job", acme(), &["member"]).await;
    let gone = by_boss.mint("gone", acme(), &["member"]).await;
    let narrowed = world.node.token(&job.secret).post("/v1/tokens/narrow", json!({"name": "n"})).await;
    let narrowed = narrowed.text_of("id");
    tenants.owner.revoke(&gone.id).await;
    world.pass(HOUR);
    world.node.token(&job.secret).get("/v1/whoami").await.expect(200);
    let found = lineage(&tenants.owner, &boss.id, "").await;
    assert_eq!(ids(&found["ancestors"]), [owner.as_str()]);
    assert_eq!(ids(&found["descendants"]), [&job.id, &gone.id, &narrowed].map(String::as_str));
    assert_eq!(found["cut"], false);
    let (first, second, third) =
        (&found["descendants"][0], &found["descendants"][1], &found["descendants"][2]);
    assert_eq!((&first["depth"], &first["status"], &first["minted"]), (&json!(1), &json!("live"), &json!(1)));
    assert_eq!((&second["status"], &second["revoked"]["reason"]), (&json!("revoked"), &json!("requested")));
    assert_eq!(
        (&third["depth"], &third["narrowed"], &third["parent"]),
        (&json!(2), &json!(true), &json!(job.id))
    );
    eventually_async("the use to be shown", async || {
        let found = lineage(&tenants.owner, &boss.id, "").await;
        (found["descendants"][0]["last_used_at"] == world.moment(HOUR)).then_some(())
    })
    .await;
    for (query, count, cut) in [("?depth=1", 2, true), ("?depth=2", 3, false), ("?limit=2", 2, true)] {
        let found = lineage(&tenants.owner, &boss.id, query).await;
        assert_eq!((ids(&found["descendants"]).len(), &found["cut"]), (count, &json!(cut)), "{query}");
    }
    for query in ["?depth=0", "?depth=1001", "?limit=0", "?limit=1001"] {
        let refused = tenants.owner.get(&format!("/v1/tokens/{}/lineage{query}", boss.id)).await;
        refused.refused(422, "invalid_value");
    }
    tenants.owner.get(&format!("/v1/tokens/{}/lineage?deep=1", boss.id)).await.refused(422, "unknown_field");
}

#[tokio::test]
async fn what_may_not_be_read_is_an_id_above_and_nothing_below() {
    let world = World::new().await;
    world.tenants().await;
    let top = world.node.admin().mint("top", json!({"instance": true}), &["instance-admin"]).await;
    let owner = world.node.token(&top.secret).mint("second", acme(), &["owner"]).await;
    let owner_actor = world.node.token(&owner.secret);
    let web = json!({"organization": "acme", "project": "web"});
    let of_web = owner_actor.mint("of-web", web.clone(), &["project-admin"]).await;
    let below = world.node.token(&of_web.secret).mint("below", web, &["project-reader"]).await;
    let found = lineage(&owner_actor, &owner.id, "").await;
    assert_eq!(found["ancestors"], json!([{"id": top.id, "hidden": true, "depth": -1, "minted": 0}]));
    assert_eq!(ids(&found["descendants"]), [of_web.id.as_str(), below.id.as_str()]);
    owner_actor.get(&format!("/v1/tokens/{}/lineage", top.id)).await.refused(404, "not_found");
    let found = lineage(&world.node.token(&of_web.secret), &of_web.id, "").await;
    assert_eq!(found["ancestors"], json!([{"id": owner.id, "hidden": true, "depth": -1, "minted": 0}]));
    assert_eq!(ids(&found["descendants"]), [below.id.as_str()]);
}
