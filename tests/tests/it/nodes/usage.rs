use chancery_tests::{Actor, Database, NodeOptions, eventually_async};
use serde_json::{Value, json};

async fn last_used(actor: &Actor, id: &str) -> Value {
    actor.get(&format!("/v1/tokens/{id}")).await.expect(200)["last_used_at"].clone()
}

#[tokio::test]
async fn what_any_node_answered_is_seen_on_all_also_when_the_one_that_keeps_the_view_is_gone() {
    let database = Database::new().await;
    let first = NodeOptions::on(&database).start().await;
    let second = NodeOptions::on(&database).start().await;
    let admin = first.admin();
    admin.organization("acme").await;
    let acme = || json!({"organization": "acme"});
    let verifier = admin.mint("v", acme(), &["verifier"]).await.secret;
    let mut tokens = Vec::new();
    for name in ["a", "b", "c"] {
        tokens.push(admin.mint(name, acme(), &["member"]).await);
    }
    assert_eq!(first.token(&verifier).code_of(&tokens[0].secret).await, "valid");
    assert_eq!(second.token(&verifier).code_of(&tokens[1].secret).await, "valid");
    for node in [&first, &second] {
        for token in &tokens[..2] {
            eventually_async("the use to be seen", async || {
                Some(last_used(&node.admin(), &token.id).await).filter(|at| !at.is_null())
            })
            .await;
        }
    }
    assert_eq!(last_used(&second.admin(), &tokens[2].id).await, Value::Null);
    first.stop().await;
    assert_eq!(second.token(&verifier).code_of(&tokens[2].secret).await, "valid");
    eventually_async("the view to be taken over", async || {
        Some(last_used(&second.admin(), &tokens[2].id).await).filter(|at| !at.is_null())
    })
    .await;
}
