use crate::never_issued;
use chancery_tests::World;
use serde_json::{Value, json};

#[tokio::test]
async fn a_batch_is_answered_in_order_by_one_commit() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let admin = world.node.admin();
    let web = json!({"organization": "acme", "project": "web"});
    let token = admin.mint("t", web, &["project-writer"]).await;
    let gone = admin.mint("gone", json!({"organization": "acme"}), &["member"]).await;
    admin.revoke(&gone.id).await;
    let ask = |secret: &str, permission: &str| json!({"token": secret, "permission": permission});
    let items = [
        (ask(&token.secret, "deployments:create"), "valid"),
        (ask(&gone.secret, "deployments:create"), "revoked"),
        (ask(&never_issued(1), "deployments:create"), "unknown"),
        (ask(&token.secret, "tokens:mint"), "forbidden"),
        (ask(&token.secret, "deployments:create"), "valid"),
        (ask(&gone.secret, "deployments:create"), "revoked"),
    ];
    let body = json!({"items": items.iter().map(|(question, _)| question).collect::<Vec<_>>()});
    let before = world.database.size().await;
    let (answer, lines) = world.lines_of(tenants.verifier.post("/v1/verify/batch", body)).await;
    let verdicts = answer.expect(200)["items"].as_array().unwrap();
    let codes: Vec<&str> = verdicts.iter().map(|verdict| verdict["code"].as_str().unwrap()).collect();
    assert_eq!(codes, items.iter().map(|(_, code)| *code).collect::<Vec<_>>());
    // Two valid uses, one line for both revocations, one for the forbidden.
    let recorded: Vec<(&str, &Value)> =
        lines.iter().map(|line| (line.kind.as_str(), line.at("/count"))).collect();
    let used = ("TokenUsed", &Value::Null);
    assert_eq!(recorded, [used, used, ("TokenRefused", &json!(2)), ("TokenRefused", &Value::Null)]);
    let position = |index: usize| verdicts[index]["position"].as_u64();
    assert_eq!(
        [0, 1, 2, 3, 4, 5].map(position),
        [Some(before), Some(before + 2), None, Some(before + 3), Some(before + 1), Some(before + 2)]
    );
    let commits = world.database.log().await.commits_from(before, 10).await.unwrap();
    assert_eq!(commits.iter().filter(|commit| commit.first >= before).count(), 1, "one commit");
}

#[tokio::test]
async fn a_batch_has_1_to_1000_questions() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let batch = |count: usize| json!({"items": (0..count).map(|n| json!({"token": format!("key {n}")})).collect::<Vec<_>>()});
    for (count, status) in [(0, 422), (1, 200), (1_000, 200), (1_001, 422)] {
        let answer = tenants.verifier.post("/v1/verify/batch", batch(count)).await;
        assert_eq!(answer.status, status, "{count}");
        if status == 200 {
            assert_eq!(answer.body["items"].as_array().unwrap().len(), count);
        }
    }
}

#[tokio::test]
async fn if_one_question_may_not_be_asked_none_is_answered() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let token = world.node.admin().mint("t", json!({"organization": "acme"}), &["member"]).await;
    let items = json!([{"token": token.secret}, {"token": token.secret, "organization": "other"}]);
    let asked = tenants.verifier.post("/v1/verify/batch", json!({"items": items}));
    let (refused, lines) = world.lines_of(asked).await;
    refused.refused(404, "not_found");
    assert!(lines.iter().all(|line| line.at("/token") != &token.id), "no use of what was not answered");
    let bad = json!({"items": [{"token": token.secret}, {"token": token.secret, "permission": "x"}]});
    tenants.verifier.post("/v1/verify/batch", bad).await.refused(422, "invalid_value");
    let unknown = json!({"items": [{"token": "a"}, {"token": "b", "tokens": 1}]});
    let refused = tenants.verifier.post("/v1/verify/batch", unknown).await;
    assert_eq!(refused.refused(422, "unknown_field")["errors"][0]["field"], "items[1].tokens");
}
