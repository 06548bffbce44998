use super::export;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery_tests::World;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::RowAccessor as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

#[tokio::test]
async fn an_auditor_of_one_organization_learns_of_another_nothing_but_its_volume() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let admin = world.node.admin();
    let minted = admin.mint("auditor", json!({"organization": "acme"}), &["auditor"]).await;
    let auditor = world.node.token(&minted.secret);
    let acme = admin.get("/v1/organizations/acme").await.text_of("id");
    tenants.owner.get("/v1/whoami").await.expect(200);
    let part = export(&auditor, "organization=acme").await;
    let log: Vec<_> = world.database.entries().await.into_iter().map(|entry| entry.text).collect();
    let mut position = 0;
    for line in part.text.lines() {
        let read: Value = serde_json::from_str(line).unwrap();
        let Some(leaves) = read["leaves"].as_array() else {
            assert_eq!((line, &read["org"]), (&*log[position], &json!(acme)));
            position += 1;
            continue;
        };
        assert_eq!(read["position"], position);
        for leaf in leaves {
            let own: Value = serde_json::from_str(&log[position]).unwrap();
            let hash = Sha256::new().chain_update([0]).chain_update(&log[position]).finalize();
            assert_eq!(leaf, &json!(STANDARD.encode(hash)));
            assert_ne!(own["org"], json!(acme));
            position += 1;
        }
    }
    assert_eq!(position as u64, part.position());
    let rows = export(&auditor, "organization=acme&format=csv").await.text;
    let mut rows = csv::Reader::from_reader(rows.as_bytes());
    assert!(rows.records().all(|row| row.unwrap()[3] == *acme));
    let url = format!("{}/v1/audit/export?organization=acme&format=parquet", world.node.url());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let file = client.get(url).bearer_auth(&minted.secret).send().await.unwrap().bytes().await.unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    assert!(!rows.is_empty());
    assert!(rows.iter().all(|row| *row.get_string(3).unwrap() == acme));
    for query in ["organization=other", "organization=never-was"] {
        for path in ["export", "export/manifest"] {
            auditor.get(&format!("/v1/audit/{path}?{query}")).await.refused(404, "not_found");
        }
    }
    auditor.get("/v1/audit/export").await.refused(403, "forbidden");
    tenants.verifier.get("/v1/audit/export?organization=acme").await.refused(403, "forbidden");
    world.node.anon().get("/v1/audit/export").await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn exports_are_on_the_record_and_end_with_their_token() {
    let world = World::new().await;
    world.tenants().await;
    let auditor = world.node.admin().mint("a", json!({"instance": true}), &["instance-auditor"]).await;
    let actor = world.node.token(&auditor.secret);
    let (_, lines) = world.lines_of(export(&actor, "organization=acme")).await;
    let read: Value = serde_json::from_str(&lines[0].text).unwrap();
    assert_eq!((&read["type"], &read["token"]), (&json!("TokenUsed"), &json!(auditor.id)));
    assert_eq!(read["asked"]["operation"], "audit.export");
    assert_eq!(read["asked"]["permission"], "audit:read");
    // The body begins when its reader takes it: nothing of it is given out to a token that has ended meanwhile.
    let request = reqwest::Client::builder().no_proxy().build().unwrap();
    let begin =
        request.get(format!("{}/v1/audit/export", world.node.url())).bearer_auth(&auditor.secret).send();
    let answered = begin.await.unwrap();
    assert_eq!(answered.status(), 200);
    world.node.admin().revoke(&auditor.id).await;
    // Small as the log is, its one piece may have been on its way already; then it is whole.
    if let Ok(text) = answered.text().await {
        assert!(text.ends_with('\n'));
    }
    actor.get("/v1/audit/export").await.refused(401, "token_revoked");
}
