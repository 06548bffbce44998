use super::routes::{invitation, routes};
use chancery_tests::{Actor, World};
use serde_json::{Value, json};

async fn caller(world: &World, scope: Value, grant: &str) -> Actor {
    let name = format!("{grant} {scope}");
    world.node.token(&world.node.admin().mint(&name, scope, &[grant]).await.secret)
}

/// A role that lets its holder see everything in question, and do nothing of it.
fn onlooker(permission: &str) -> (Value, &'static str) {
    let acme = json!({"organization": "acme"});
    match permission {
        "instance:read" => (json!({"instance": true}), "instance-verifier"),
        "instance:update" | "organizations:create" => (json!({"instance": true}), "instance-auditor"),
        "organizations:read" | "projects:read" | "roles:read" | "tokens:read" | "policies:read"
        | "leaks:read" | "members:read" => (acme, "verifier"),
        "audit:read" => (acme, "member"),
        _ => (acme, "auditor"),
    }
}

#[tokio::test]
async fn who_lacks_the_permission_is_told_which() {
    let world = World::new().await;
    world.tenants().await;
    let target = world.node.admin().mint("target", json!({"organization": "acme"}), &["member"]).await;
    let invited = invitation(&world.node.admin()).await;
    for route in routes() {
        let Some(permission) = route.permission else { continue };
        let (scope, grant) = onlooker(permission);
        let actor = caller(&world, scope, grant).await;
        let call = actor.call(route.method, &route.path(&target.id, &invited));
        let call = if let Some(body) = &route.body { call.json(body) } else { call };
        let refused = call.send().await;
        let is_one =
            route.template.starts_with("/v1/tokens/{id}") || route.template.ends_with("/{invitation}");
        if route.method == "GET" && is_one {
            // What may not be read does not exist.
            refused.refused(404, "not_found");
        } else {
            let body = refused.refused(403, "forbidden");
            assert_eq!(body["missing"], json!([permission]), "{} {}", route.method, route.template);
        }
        let id = actor.get("/v1/whoami").await.body["token"]["id"].as_str().unwrap().to_owned();
        world.node.admin().revoke(&id).await;
    }
}

#[tokio::test]
async fn who_owns_another_organization_is_a_stranger_here() {
    let world = World::new().await;
    world.tenants().await;
    let target = world.node.admin().mint("target", json!({"organization": "acme"}), &["member"]).await;
    let stranger = caller(&world, json!({"organization": "other"}), "owner").await;
    let invited = invitation(&world.node.admin()).await;
    let before = world.node.admin().get(&format!("/v1/tokens/{}", target.id)).await.body;
    for route in routes() {
        let call = stranger.call(route.method, &route.path(&target.id, &invited));
        let call = if let Some(body) = &route.body { call.json(body) } else { call };
        let answer = call.send().await;
        assert_eq!(answer.status, route.stranger, "{} {}: {}", route.method, route.template, answer.text);
        assert!(!answer.text.contains(&target.id) || route.stranger == 404);
    }
    assert_eq!(world.node.admin().get(&format!("/v1/tokens/{}", target.id)).await.body, before);
}

#[tokio::test]
async fn lists_show_what_their_reader_may_read_and_nothing_else() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let admin = world.node.admin();
    let of_web = caller(&world, json!({"organization": "acme", "project": "web"}), "project-admin").await;
    let through_grant = caller(&world, json!({"organization": "acme"}), "project-admin@web").await;
    let auditor = caller(&world, json!({"instance": true}), "instance-auditor").await;
    let names = async |actor: &Actor, path: &str| {
        let answer = actor.get(path).await;
        let items = answer.expect(200)["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&auditor, "/v1/organizations").await, ["acme", "other"]);
    assert_eq!(names(&tenants.owner, "/v1/organizations").await, ["acme"]);
    let projects = "/v1/organizations/acme/projects";
    assert_eq!(names(&tenants.owner, projects).await, ["api", "web"]);
    for limited in [&of_web, &through_grant] {
        assert_eq!(names(limited, projects).await, ["web"]);
        limited.get("/v1/organizations").await.refused(403, "forbidden");
        let tokens = names(limited, "/v1/tokens").await;
        assert_eq!(tokens, ["project-admin {\"organization\":\"acme\",\"project\":\"web\"}"]);
    }
    assert_eq!(names(&admin, "/v1/tokens?organization=other").await, ["gateway"]);
    assert_eq!(names(&auditor, "/v1/tokens").await.len(), 6);
    assert_eq!(names(&tenants.owner, "/v1/tokens").await.len(), 4);
}
