use crate::{DAY, TICK, just_before};
use chancery_tests::World;
use serde_json::json;

#[tokio::test]
async fn an_organization_is_found_by_name_and_by_id_and_keeps_its_id_when_renamed() {
    let world = World::new().await;
    let admin = world.node.admin();
    let made = admin.post("/v1/organizations", json!({"name": "acme", "display_name": "Acme Inc."})).await;
    let acme = made.expect(201).clone();
    let id = made.text_of("id");
    assert_eq!(made.header("location"), format!("/v1/organizations/{id}"));
    assert_eq!(acme["created_at"], world.moment(std::time::Duration::ZERO));
    for name in ["acme", &id] {
        let found = admin.get(&format!("/v1/organizations/{name}")).await;
        assert_eq!(found.expect(200), &acme);
        assert_eq!(found.tag(), made.tag());
    }
    let renamed = admin.patch("/v1/organizations/acme", json!({"name": "beta", "display_name": ""})).await;
    assert_eq!(renamed.expect(200)["id"], id);
    assert_eq!((&renamed.body["name"], renamed.body.get("display_name")), (&json!("beta"), None));
    assert_ne!(renamed.tag(), made.tag());
    admin.get("/v1/organizations/acme").await.refused(404, "not_found");
    assert_eq!(admin.get(&format!("/v1/organizations/{id}")).await.expect(200)["name"], "beta");
}

#[tokio::test]
async fn a_freed_organization_name_stays_reserved_for_90_days() {
    let world = World::new().await;
    let admin = world.node.admin();
    admin.organization("acme").await;
    admin.patch("/v1/organizations/acme", json!({"name": "beta"})).await.expect(200);
    let take = || admin.post("/v1/organizations", json!({"name": "acme"}));
    for _ in 0..2 {
        take().await.refused(409, "name_taken");
        world.pass(just_before(45 * DAY));
    }
    world.pass(2 * TICK);
    take().await.expect(201);
}

#[tokio::test]
async fn names_are_labels_that_are_no_ids_and_no_roles() {
    let world = World::new().await;
    let admin = world.node.admin();
    admin.organization("acme").await;
    let long = "a".repeat(64);
    let names =
        ["", "A", "a_b", "-a", "a-", "a.b", "owner", &long, "019ab7a4-0000-7000-8000-000000000001", "ä"];
    for path in ["/v1/organizations", "/v1/organizations/acme/projects"] {
        for name in names {
            let refused = admin.post(path, json!({"name": name})).await;
            assert_eq!(refused.refused(422, "invalid_value")["errors"][0]["field"], "name", "{name}");
        }
        let made = admin.post(path, json!({"name": "a".repeat(63)})).await;
        made.expect(201);
        admin.post(path, json!({"name": "a".repeat(63)})).await.refused(409, "name_taken");
    }
}

#[tokio::test]
async fn a_project_lives_in_its_organization() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let web = world.node.admin().get("/v1/organizations/acme/projects/web").await;
    assert_eq!((web.body["organization"].as_str(), web.status), (Some("acme"), 200));
    let path = format!("/v1/organizations/acme/projects/{}", web.text_of("id"));
    assert_eq!(tenants.owner.get(&path).await.expect(200), &web.body);
    let renamed = tenants.owner.patch(&path, json!({"name": "site", "display_name": "Site"})).await;
    assert_eq!((&renamed.expect(200)["id"], &renamed.body["name"]), (&web.body["id"], &json!("site")));
    tenants.owner.get("/v1/organizations/acme/projects/web").await.refused(404, "not_found");
    tenants.owner.project("acme", "web").await;
    let elsewhere = format!("/v1/organizations/other/projects/{}", web.text_of("id"));
    world.node.admin().get(&elsewhere).await.refused(404, "not_found");
}

#[tokio::test]
async fn organizations_and_projects_are_listed_by_name_in_pages() {
    let world = World::new().await;
    let admin = world.node.admin();
    let names = ["a", "b", "c", "d", "e"];
    for name in names.iter().rev() {
        admin.organization(name).await;
        admin.project("e", name).await;
    }
    for path in ["/v1/organizations", "/v1/organizations/e/projects"] {
        for limit in 1..=6 {
            let (mut found, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = admin.get(&format!("{path}?limit={limit}{cursor}")).await;
                let items = page.expect(200)["items"].as_array().unwrap();
                assert!(items.len() <= limit);
                found.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
                match page.body["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(found, names, "{path} by {limit}");
        }
    }
}
