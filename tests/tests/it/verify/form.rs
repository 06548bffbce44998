use crate::never_issued;
use api::wire;
use chancery_tests::World;
use serde_json::json;

/// The server writes verdicts from its state without the types that describe them: what it writes has to be theirs,
/// field by field.
#[tokio::test]
async fn a_verdict_has_the_form_that_is_documented() {
    let world = World::new().await;
    world.tenants().await;
    let admin = world.node.admin();
    let everything = json!({
        "name": "e \"quoted\" \u{e9}", "scope": {"organization": "acme"}, "grants": ["member", "project-writer@web"],
        "expires_in": "30d", "metadata": {"team": "web", "n": 1},
    });
    let tokens = [
        admin.mint_with(everything).await.secret,
        admin.mint("p", json!({"organization": "acme", "project": "web"}), &["project-reader"]).await.secret,
        admin.mint("i", json!({"instance": true}), &["instance-verifier"]).await.secret,
        never_issued(1),
    ];
    let ask = |secret: &String| json!({"token": secret, "organization": "acme", "project": "web"});
    for token in &tokens {
        let answer = admin.post("/v1/verify", ask(token)).await;
        answer.expect(200);
        let read: wire::Verdict = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), answer.text);
        assert_eq!(answer.header("content-type"), "application/json");
    }
    let items: Vec<_> = tokens.iter().map(ask).collect();
    let answer = admin.post("/v1/verify/batch", json!({"items": items})).await;
    answer.expect(200);
    let read: wire::VerifyBatchAnswer = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(read.items.len(), tokens.len());
    assert_eq!(serde_json::to_string(&read).unwrap(), answer.text);
    assert_eq!(read.items[0].token.as_ref().unwrap().grants, ["member", "project-writer@web"]);
}
