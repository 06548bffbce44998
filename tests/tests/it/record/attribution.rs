use chancery_tests::{Actor, NodeOptions, World};
use serde_json::{Value, json};

#[tokio::test]
async fn every_line_names_who_the_verified_credential_says() {
    let world = World::new().await;
    world.tenants().await;
    let admin = world.node.admin();
    let web = json!({"organization": "acme", "project": "web"});
    for (scope, grant, kind) in [
        (json!({"instance": true}), "instance-admin", "instance-token"),
        (json!({"organization": "acme"}), "owner", "org-token"),
        (web.clone(), "project-admin", "project-token"),
    ] {
        let token = admin.mint("t", scope, &[grant]).await;
        let body = json!({"name": grant, "scope": web, "grants": ["project-reader"]});
        let call = world.node.token(&token.secret).call("POST", "/v1/tokens").json(&body);
        let (answer, lines) = world.lines_of(call.send()).await;
        let actor = lines[0].at("/actor");
        assert_eq!(actor["by"], format!("{kind}:{}", &token.secret[..12]));
        assert_eq!(
            (&actor["token"], &actor["request"]),
            (&json!(token.id), &json!(answer.header("x-request-id")))
        );
        assert_eq!(lines[0].at("/parent"), &token.id, "what a token mints is its child");
        assert_eq!((&answer.body["parent"], &answer.body["created_by"]), (&json!(token.id), &actor["by"]));
    }
    let (answer, lines) = world.lines_of(admin.get("/v1/whoami")).await;
    assert_eq!(lines[0].at("/actor/by"), "admin-token");
    assert_eq!(lines[0].at("/actor/token"), &Value::Null);
    assert_eq!(lines[0].at("/actor/request"), answer.header("x-request-id"));
    assert_eq!(answer.body["actor"], "admin-token");
}

#[tokio::test]
async fn the_authoritys_own_jobs_are_named_as_such() {
    let world = World::new().await;
    let entries = world.database.entries().await;
    assert_eq!(entries[0].kind, "AuthorityStarted");
    assert!(entries[1..].iter().all(|entry| entry.kind == "RoleDefined"), "built-in roles are enrolled");
    assert!(entries.iter().all(|entry| entry.at("/actor") == &json!({"by": "system:start"})));
}

async fn attributed(world: &World, actor: &Actor) -> (String, Value) {
    let (answer, lines) = world.lines_of(actor.get("/v1/whoami")).await;
    answer.expect(200);
    let address = world.database.personal(lines[0].text_at("/actor/address")).await.1;
    (address, lines[0].at("/actor/request").clone())
}

#[tokio::test]
async fn nothing_that_a_caller_claims_is_believed() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    for (name, value) in [
        ("x-forwarded-for", "10.1.2.3"),
        ("forwarded", "for=10.1.2.3"),
        ("x-request-id", "mine"),
        ("chancery-client-address", "10.1.2.3"),
        ("chancery-token-id", "019ab7a4-0000-7000-8000-000000000001"),
    ] {
        let (address, request) = attributed(&world, &tenants.owner.header(name, value)).await;
        assert_eq!(address, "127.0.0.1", "{name}");
        assert_ne!(request, "mine");
    }
}

#[tokio::test]
async fn a_name_changes_nothing_about_whom_a_line_names() {
    let change = |options| NodeOptions { trusted_proxies: vec!["127.0.0.1/32".parse().unwrap()], ..options };
    let world = World::with(change).await;
    let tenants = world.tenants().await;
    let token = tenants.owner.mint("admin-token", json!({"organization": "acme"}), &["owner"]).await;
    let holder = world.node.token(&token.secret).header("x-forwarded-for", "198.51.100.7, 203.0.113.5");
    assert_eq!(attributed(&world, &holder).await.0, "203.0.113.5", "what the proxy itself saw");
    let (_, lines) = world.lines_of(holder.get("/v1/whoami")).await;
    assert_eq!(lines[0].text_at("/actor/by"), format!("org-token:{}", &token.secret[..12]));
}
