use chancery_tests::World;
use serde_json::{Value, json};

#[tokio::test]
async fn a_token_is_minted_verified_and_revoked_at_each_scope() {
    let world = World::new().await;
    world.tenants().await;
    let admin = world.node.admin();
    for (scope, grant, start) in [
        (json!({"instance": true}), "instance-auditor", "chyi_"),
        (json!({"organization": "acme"}), "member", "chyo_"),
        (json!({"organization": "acme", "project": "web"}), "project-writer", "chyp_"),
    ] {
        let minted = admin.mint("ci", scope.clone(), &[grant]).await;
        assert!(minted.secret.starts_with(start) && minted.secret.len() == 54);
        assert_eq!(minted.body["prefix"], minted.secret[..12]);
        assert_eq!((&minted.body["scope"], &minted.body["grants"]), (&scope, &json!([grant])));
        assert_eq!(
            (&minted.body["status"], &minted.body["created_by"]),
            (&json!("live"), &json!("admin-token"))
        );
        let shown = admin.get(&format!("/v1/tokens/{}", minted.id)).await;
        assert_eq!(shown.expect(200)["secret"], Value::Null, "it is shown once");
        let question = json!({"token": minted.secret, "organization": "acme"});
        let verdict = admin.verify_with(question.clone()).await;
        assert_eq!((verdict.code(), &verdict.body["valid"]), ("valid", &json!(true)));
        assert_eq!(verdict.body["token"]["id"], minted.id);
        admin.revoke(&minted.id).await;
        let verdict = admin.verify_with(question).await;
        assert_eq!((verdict.code(), &verdict.body["valid"]), ("revoked", &json!(false)));
    }
}
