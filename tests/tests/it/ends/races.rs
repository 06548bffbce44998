use chancery_tests::{Actor, Database, NodeOptions};
use serde_json::json;

/// Mints in an organization until it is refused there; answers the secrets.
async fn minting(actor: Actor, writer: usize) -> Vec<String> {
    let mut secrets = Vec::new();
    loop {
        let name = format!("{writer}-{}", secrets.len());
        let body = json!({"name": name, "scope": {"organization": "acme"}, "grants": ["member"]});
        let answer = actor.post("/v1/tokens", body).await;
        if answer.status != 201 {
            answer.refused(404, "not_found");
            return secrets;
        }
        secrets.push(answer.text_of("secret"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_minted_while_its_organization_is_deleted_ends_with_it() {
    let database = Database::new().await;
    let nodes = [NodeOptions::on(&database).start().await, NodeOptions::on(&database).start().await];
    let admin = nodes[0].admin();
    admin.organization("acme").await;
    let verifier = admin.mint("v", json!({"instance": true}), &["instance-verifier"]).await;
    let minters: Vec<_> =
        (0..4).map(|writer| tokio::spawn(minting(nodes[writer % 2].admin(), writer))).collect();
    while nodes[0].state(|state| state.tokens().len()) < 40 {
        admin.get("/v1/whoami").await.expect(200);
    }
    admin.call("DELETE", "/v1/organizations/acme").json(&json!({"confirm": "acme"})).send().await.expect(200);
    let mut secrets = Vec::new();
    for minter in minters {
        secrets.extend(minter.await.unwrap());
    }
    assert!(secrets.len() >= 39);
    for (index, secret) in secrets.iter().enumerate() {
        let verifier = nodes[index % 2].token(&verifier.secret);
        let verdict = verifier.verify_with(json!({"token": secret, "organization": "acme"})).await;
        assert_eq!(verdict.code(), "revoked");
    }
    let lines = database.entries().await;
    let end = lines.iter().position(|line| line.kind == "OrganizationDeleted").unwrap();
    assert!(lines[end..].iter().all(|line| line.kind != "TokenMinted"));
    nodes[1].catches_up_with(&nodes[0]).await;
    assert_eq!(nodes[1].difference(&nodes[0]), None);
}
