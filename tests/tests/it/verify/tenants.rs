use crate::{HOUR, never_issued};
use chancery_tests::{Answer, World};
use serde_json::json;

/// Everything that tells one answer from another, but for what is different in every answer.
fn appearance(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let individual = ["x-request-id", "date", "chancery-position"];
    let mut headers: Vec<(String, String)> = answer
        .headers
        .iter()
        .filter(|(name, _)| !individual.contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    (answer.status, headers, answer.text.clone())
}

#[tokio::test]
async fn a_token_of_another_organization_looks_like_one_never_issued() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let admin = world.node.admin();
    let (other, web) = (json!({"organization": "other"}), json!({"organization": "other", "project": "web"}));
    let foreign = [
        admin.mint("live", other.clone(), &["member"]).await,
        admin.mint("of web", web, &["project-writer"]).await,
        admin.mint("revoked", other.clone(), &["member"]).await,
        admin.mint_with(json!({"name": "e", "scope": other, "grants": ["member"], "expires_in": "1h"})).await,
        admin.mint("instance", json!({"instance": true}), &["instance-auditor"]).await,
    ];
    admin.revoke(&foreign[2].id).await;
    world.pass(HOUR);
    for (project, permission) in [(None, None), (Some("web"), Some("deployments:create"))] {
        let ask = |secret: &str| json!({"token": secret, "project": project, "permission": permission});
        let unknown = tenants.verifier.verify_with(ask(&never_issued(1))).await;
        for token in &foreign {
            let (verdict, lines) = world.lines_of(tenants.verifier.verify_with(ask(&token.secret))).await;
            assert_eq!(appearance(&verdict), appearance(&unknown));
            let (again, unknown_lines) =
                world.lines_of(tenants.verifier.verify_with(ask(&never_issued(2)))).await;
            assert_eq!((lines.len(), unknown_lines.len()), (1, 1));
            assert_eq!(again.position(), verdict.position() + 1, "positions move alike");
            assert_eq!(lines[0].at("/token"), unknown_lines[0].at("/token"), "the caller's use, no other's");
        }
    }
    assert_eq!(tenants.other_verifier.code_of(&foreign[0].secret).await, "valid");
}

#[tokio::test]
async fn only_the_instances_verifiers_are_told_of_another_organization() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let admin = world.node.admin();
    let foreign = admin.mint("f", json!({"organization": "other"}), &["member"]).await;
    let instance = admin.mint("v", json!({"instance": true}), &["instance-verifier"]).await;
    let verifier = world.node.token(&instance.secret);
    let ask = |organization: &str| json!({"token": foreign.secret, "organization": organization});
    assert_eq!(verifier.verify_with(ask("acme")).await.code(), "wrong_organization");
    assert_eq!(verifier.verify_with(ask("other")).await.code(), "valid");
    assert_eq!(verifier.verify_with(ask("never")).await.code(), "wrong_organization");
    for actor in [&verifier, &admin] {
        let refused = actor.post("/v1/verify", json!({"token": foreign.secret})).await;
        assert_eq!(refused.refused(422, "invalid_value")["errors"][0]["field"], "organization");
    }
    // An organization's verifier may name its own, and learns nothing of others.
    assert_eq!(tenants.verifier.verify_with(ask("acme")).await.code(), "unknown");
    let hidden = tenants.verifier.post("/v1/verify", ask("other")).await;
    let absent = tenants.verifier.post("/v1/verify", ask("never")).await;
    for answer in [&hidden, &absent] {
        answer.refused(404, "not_found");
    }
    assert_eq!(hidden.text.replace("other", "never").len(), absent.text.len());
}

#[tokio::test]
async fn to_ask_needs_the_permission_at_the_place_in_question() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let admin = world.node.admin();
    let token = admin.mint("t", json!({"organization": "acme"}), &["member"]).await;
    for (scope, grant) in [
        (json!({"organization": "acme"}), "auditor"),
        (json!({"organization": "acme", "project": "web"}), "project-writer"),
        (json!({"instance": true}), "instance-auditor"),
    ] {
        let caller = admin.mint(grant, scope, &[grant]).await;
        let question = json!({"token": token.secret, "organization": "acme"});
        let refused = world.node.token(&caller.secret).post("/v1/verify", question).await;
        assert_eq!(refused.refused(403, "forbidden")["missing"], json!(["tokens:verify"]), "{grant}");
    }
    let of_web = admin.mint("web", json!({"organization": "acme"}), &["project-admin@web"]).await;
    let of_web = world.node.token(&of_web.secret);
    let ask = |project: Option<&str>| json!({"token": token.secret, "project": project});
    of_web.post("/v1/verify", ask(None)).await.refused(403, "forbidden");
    assert_eq!(of_web.verify_with(ask(Some("web"))).await.code(), "valid");
    // A project that it may not know of is like one that does not exist.
    let hidden = of_web.post("/v1/verify", ask(Some("api"))).await;
    let absent = of_web.post("/v1/verify", ask(Some("abc"))).await;
    assert_eq!(appearance(&hidden).0, appearance(&absent).0);
    assert_eq!(hidden.code(), absent.code());
    assert_eq!(tenants.verifier.verify_with(ask(Some("api"))).await.code(), "valid");
}
