use super::{ROLES, acme, define, role};
use chancery_tests::World;
use serde_json::{Value, json};

#[tokio::test]
async fn a_role_is_defined_held_changed_and_retired() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let owner = &tenants.owner;
    let made = define(owner, "deployer", "project", &["deployments:create", "any:*", "any:thing"]).await;
    assert_eq!(made.expect(201)["permissions"], json!(["any:*", "deployments:create"]));
    assert_eq!((&made.body["organization"], &made.body["built_in"]), (&json!("acme"), &json!(false)));
    let location = made.header("location").to_owned();
    let found = owner.get(&location).await;
    assert_eq!((found.tag(), &found.expect(200)["holders"]), (made.tag(), &json!(0)));
    let web = json!({"organization": "acme", "project": "web"});
    let token = owner.mint("cd", web, &["deployer"]).await;
    let ask = async |permission: &str| {
        let question = json!({"token": token.secret, "permission": permission, "project": "web"});
        tenants.verifier.verify_with(question).await.code().to_owned()
    };
    assert_eq!(
        (ask("deployments:create").await, ask("deployments:read").await),
        ("valid".into(), "forbidden".into())
    );
    let changed = owner
        .call("PATCH", &role("deployer"))
        .if_match(&made.tag())
        .json(&json!({"add": ["deployments:read"], "remove": ["deployments:create"]}))
        .send()
        .await;
    assert_eq!(changed.expect(200)["permissions"], json!(["any:*", "deployments:read"]));
    assert_eq!(
        (ask("deployments:create").await, ask("deployments:read").await),
        ("forbidden".into(), "valid".into())
    );
    owner
        .call("PATCH", &role("deployer"))
        .if_match(&made.tag())
        .json(&json!({"add": ["a:b"]}))
        .send()
        .await
        .refused(412, "precondition_failed");
    let held = owner.delete(&role("deployer")).await;
    assert!(held.refused(409, "role_held")["detail"].as_str().unwrap().contains("1 live token"));
    let retired = owner.delete(&format!("{}?replacement=project-writer", role("deployer"))).await;
    assert_eq!(
        retired.expect(200),
        &json!({"name": "deployer", "organization": "acme", "replacement": "project-writer"})
    );
    assert_eq!(
        (ask("deployments:create").await, ask("any:thing").await),
        ("valid".into(), "forbidden".into())
    );
    let shown = owner.get(&format!("/v1/tokens/{}", token.id)).await;
    assert_eq!(shown.body["grants"], json!(["project-writer"]));
    owner.get(&role("deployer")).await.refused(404, "not_found");
    owner.delete(&role("deployer")).await.refused(404, "not_found");
}

#[tokio::test]
async fn the_list_shows_what_can_be_held_and_by_how_many_it_is() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let admin = world.node.admin();
    define(&tenants.owner, "helper", "organization", &["tokens:read"]).await.expect(201);
    let shared = json!({"name": "shared", "level": "project", "permissions": ["a:b"]});
    admin.post("/v1/roles", shared).await.expect(201);
    for n in 0..3 {
        tenants.owner.mint(&format!("h{n}"), acme(), &["helper", "shared@web", "shared@api"]).await;
    }
    admin.mint("s", json!({"organization": "other", "project": "web"}), &["shared"]).await;
    let all = async |path: &str, limit: usize| {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = tenants_of(&admin, path, limit, &cursor).await;
            found.extend(page["items"].as_array().unwrap().clone());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return found,
            }
        }
    };
    let whole = all(ROLES, 1_000).await;
    for limit in [1, 3] {
        assert_eq!(all(ROLES, limit).await, whole);
    }
    let holders = |list: &[Value], name: &str| {
        list.iter().find(|role| role["name"] == name).map(|role| role["holders"].as_u64().unwrap())
    };
    let of = |name| holders(&whole, name);
    assert_eq!(
        (of("helper"), of("shared"), of("owner"), of("verifier")),
        (Some(3), Some(3), Some(1), Some(1))
    );
    assert_eq!((of("instance-admin"), of("never")), (None, None));
    let shared = all("/v1/roles", 1_000).await;
    assert_eq!((holders(&shared, "shared"), holders(&shared, "helper")), (Some(4), None));
    assert_eq!(holders(&shared, "instance-admin"), Some(0));
    let built_in = whole.iter().find(|role| role["name"] == "owner").unwrap();
    assert_eq!((&built_in["built_in"], &built_in["created_by"]), (&json!(true), &json!("system:start")));
    // Whoever may read no tokens sees no holders.
    let of_web = json!({"organization": "acme", "project": "web"});
    let project = world.node.token(&admin.mint("p", of_web, &["project-admin"]).await.secret);
    let seen = project.get(ROLES).await.expect(200)["items"].as_array().unwrap().clone();
    assert_eq!((holders(&seen, "helper"), holders(&seen, "project-admin")), (Some(0), Some(1)));
}

async fn tenants_of(actor: &chancery_tests::Actor, path: &str, limit: usize, cursor: &str) -> Value {
    actor.get(&format!("{path}?limit={limit}{cursor}")).await.expect(200).clone()
}

#[tokio::test]
async fn names_and_permissions_of_roles_are_checked() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let owner = &tenants.owner;
    let field = |answer: &chancery_tests::Answer| {
        answer.refused(422, "invalid_value")["errors"][0]["field"].as_str().unwrap().to_owned()
    };
    for name in ["", "A", "member", "instance-admin", "019ab7a4-0000-7000-8000-000000000001"] {
        assert_eq!(field(&define(owner, name, "project", &["a:b"]).await), "name", "{name}");
    }
    for permissions in [&[][..], &["a"], &["**"], &["a:b", "A:b"]] {
        assert_eq!(field(&define(owner, "x", "project", permissions).await), "permissions");
    }
    assert_eq!(field(&define(owner, "x", "instance", &["a:b"]).await), "level");
    define(owner, "x", "somewhere", &["a:b"]).await.refused(422, "invalid_value");
    define(owner, "x", "project", &["a:b"]).await.expect(201);
    define(owner, "x", "organization", &["a:b"]).await.refused(409, "name_taken");
    let shared = json!({"name": "x", "level": "project", "permissions": ["a:b"]});
    world.node.admin().post("/v1/roles", shared).await.refused(409, "name_taken");
    let both = owner.patch(&role("x"), json!({"permissions": ["a:c"], "add": ["a:d"]})).await;
    assert_eq!(field(&both), "permissions");
    assert_eq!(field(&owner.delete(&format!("{}?replacement=member", role("x"))).await), "replacement");
    owner.delete(&format!("{}?instead=member", role("x"))).await.refused(422, "unknown_field");
}

#[tokio::test]
async fn what_is_built_in_stands_and_the_instances_is_changed_there_alone() {
    let world = World::new().await;
    world.tenants().await;
    let admin = world.node.admin();
    for path in [role("member"), "/v1/roles/member".to_owned()] {
        admin.patch(&path, json!({"permissions": ["*"]})).await.refused(409, "role_fixed");
        admin.delete(&format!("{path}?replacement=auditor")).await.refused(409, "role_fixed");
    }
    let shared = json!({"name": "shared", "level": "organization", "permissions": ["a:b"]});
    let made = admin.post("/v1/roles", shared).await;
    assert_eq!((made.expect(201).get("organization"), made.header("location")), (None, "/v1/roles/shared"));
    admin.get(&role("shared")).await.expect(200);
    admin.patch(&role("shared"), json!({"add": ["a:c"]})).await.refused(409, "role_fixed");
    admin.patch("/v1/roles/shared", json!({"add": ["a:c"]})).await.expect(200);
    define(&admin, "shared", "project", &["a:b"]).await.refused(409, "name_taken");
    admin.delete("/v1/roles/shared").await.expect(200);
    define(&admin, "shared", "project", &["a:b"]).await.expect(201);
    admin.get("/v1/roles/shared").await.refused(404, "not_found");
}

#[tokio::test]
async fn a_repeated_change_of_a_role_has_one_effect() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let body = json!({"name": "helper", "level": "project", "permissions": ["a:b"]});
    let call = || tenants.owner.call("POST", ROLES).key("k").json(&body).send();
    let first = call().await;
    assert_eq!(first.expect(201), call().await.expect(201));
    let other = json!({"name": "helper", "level": "project", "permissions": ["a:c"]});
    let reused = tenants.owner.call("POST", ROLES).key("k").json(&other).send().await;
    reused.refused(422, "idempotency_key_reused");
    let end = |query: &str| {
        let path = format!("{}{query}", role("helper"));
        tenants.owner.call("DELETE", &path).key("e").send()
    };
    let (ended, lines) = world.lines_of(end("?replacement=project-reader")).await;
    assert_eq!((ended.expect(200)["replacement"].as_str(), lines.len()), (Some("project-reader"), 1));
    assert_eq!(end("?replacement=project-reader").await.expect(200), &ended.body);
    end("").await.refused(422, "idempotency_key_reused");
}

#[tokio::test]
async fn what_is_done_to_a_role_is_on_the_log_with_its_actor() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let ((), lines) = world
        .lines_of(async {
            define(&tenants.owner, "helper", "organization", &["a:b"]).await.expect(201);
            tenants.owner.patch(&role("helper"), json!({"permissions": ["a:c"]})).await.expect(200);
            tenants.owner.patch(&role("helper"), json!({"permissions": ["a:c"]})).await.expect(200);
            tenants
                .verifier
                .patch(&role("helper"), json!({"permissions": ["*"]}))
                .await
                .refused(403, "forbidden");
            tenants.owner.delete(&role("helper")).await.expect(200);
        })
        .await;
    let kinds: Vec<&str> = lines.iter().map(|line| line.kind.as_str()).collect();
    assert_eq!(kinds, ["RoleDefined", "RoleChanged", "TokenUsed", "TokenRefused", "RoleRetired"]);
    assert_eq!(lines[3].text_at("/asked/resource"), "role:acme/helper");
    assert_eq!(lines[3].text_at("/asked/permission"), "roles:update");
    for line in [&lines[0], &lines[1], &lines[4]] {
        assert!(
            line.text_at("/actor/by").starts_with("org-token:chyo_") && line.text_at("/role") == "helper"
        );
    }
}
