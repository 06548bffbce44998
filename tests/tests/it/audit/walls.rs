use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_tests::{Actor, World};
use serde_json::json;

const MARK: &str = "zzq-of-the-other";

/// Everything that one may ask about the record, with what is another's named in every place.
fn questions(theirs: &[String], token: &str, own: &str, size: u64) -> Vec<String> {
    let mut all: Vec<String> = vec![
        "/v1/audit/events?limit=1000".to_owned(),
        "/v1/audit/views".to_owned(),
        format!("/v1/tokens/{own}/history"),
        format!("/v1/tokens/{own}/uses"),
    ];
    for named in theirs {
        for filter in ["actor", "organization", "token", "address", "type", "from"] {
            all.push(format!("/v1/audit/events?{filter}={named}"));
            all.push(format!(
                "/v1/audit/stream?from_position=0&until_position={size}&uses=true&{filter}={named}"
            ));
        }
        for what in ["history", "uses"] {
            all.push(format!("/v1/tokens/{named}/{what}"));
        }
        all.push(format!("/v1/audit/events?organization=acme&project={named}"));
    }
    for position in (0..size).step_by(3) {
        for order in ["newest", "oldest"] {
            let cursor = URL_SAFE_NO_PAD.encode(json!({"order": order, "after": position}).to_string());
            all.push(format!("/v1/audit/events?limit=2&order={order}&cursor={cursor}"));
            all.push(format!("/v1/tokens/{own}/history?limit=2&order={order}&cursor={cursor}"));
        }
        let cursor = URL_SAFE_NO_PAD.encode(position.to_string());
        all.push(format!("/v1/tokens/{own}/uses?limit=2&cursor={cursor}"));
        all.push(format!("/v1/tokens/{token}/uses?limit=2&cursor={cursor}"));
    }
    all.push(format!("/v1/audit/stream?from_position=0&until_position={size}&uses=true"));
    all
}

#[tokio::test]
async fn an_auditor_of_one_organization_learns_nothing_of_another() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let admin = world.node.admin();
    let other = json!({"organization": "other"});
    let owner = admin.mint(&format!("{MARK} owner"), other.clone(), &["owner"]).await;
    let theirs = world.node.token(&owner.secret).header("user-agent", MARK);
    let minted = theirs
        .mint(&format!("{MARK} t"), json!({"organization": "other", "project": "web"}), &["project-reader"])
        .await;
    tenants.other_verifier.verify(&minted.secret).await;
    theirs.revoke(&minted.id).await;
    let org = admin.get("/v1/organizations/other").await.text_of("id");
    let project = admin.get("/v1/organizations/other/projects/web").await.text_of("id");
    let own = tenants.owner.mint("own", json!({"organization": "acme"}), &["member"]).await;
    tenants.verifier.verify(&own.secret).await;
    let size = world.database.size().await;
    admin.get(&format!("/v1/audit/events?at_least={size}")).await.expect(200);
    let prefix = format!("org-token:{}", &owner.secret[..12]);
    let secrets = [org, project, owner.id, minted.id.clone(), prefix, MARK.to_owned()];
    let questions = questions(&secrets, &minted.id, &own.id, size);
    let acme = json!({"organization": "acme"});
    let web = json!({"organization": "acme", "project": "web"});
    for (scope, grant) in [(acme, "auditor"), (web, "project-admin")] {
        let auditor = admin.mint(grant, scope, &[grant]).await;
        learns_nothing(&world.node.token(&auditor.secret), &questions, &secrets).await;
    }
}

async fn learns_nothing(auditor: &Actor, questions: &[String], secrets: &[String]) {
    for question in questions {
        let answer = auditor.get(question).await;
        assert!(answer.status < 500, "{question}: {}", answer.text);
        let learned =
            secrets.iter().find(|secret| answer.text.contains(*secret) && !question.contains(*secret));
        assert_eq!(learned, None, "{question}: {}", answer.text);
        // What was named comes back only in the words of a refusal.
        let is_echo = answer.status < 400 && secrets.iter().any(|secret| answer.text.contains(secret));
        assert!(!is_echo, "{question}: {}", answer.text);
    }
}

#[tokio::test]
async fn another_s_token_and_one_that_never_was_are_answered_alike() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let hidden = world.node.admin().mint("t", json!({"organization": "other"}), &["member"]).await.id;
    let never = "019ab7a4-0000-7000-8000-000000000001";
    for what in ["history", "uses"] {
        let mut answers = Vec::new();
        for id in [hidden.as_str(), never] {
            let answer = tenants.owner.get(&format!("/v1/tokens/{id}/{what}")).await;
            let mut body = answer.refused(404, "not_found").clone();
            body.as_object_mut().unwrap().remove("request_id");
            answers.push((body.to_string().replace(id, "…"), answer.headers.len()));
        }
        assert_eq!(answers[0], answers[1]);
    }
    let mut answers = Vec::new();
    for name in ["other", "nobody"] {
        let refused = tenants.owner.get(&format!("/v1/audit/events?organization={name}")).await;
        let mut body = refused.refused(404, "not_found").clone();
        body.as_object_mut().unwrap().remove("request_id");
        answers.push(body.to_string().replace(name, "…"));
    }
    assert_eq!(answers[0], answers[1]);
}
