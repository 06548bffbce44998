use crate::{HOUR, TICK};
use chancery_tests::{Actor, World};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// All names that a list gives, page by page.
async fn names(actor: &Actor, query: &str, limit: usize) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = actor.get(&format!("/v1/tokens?limit={limit}&{query}{cursor}")).await;
        let items = page.expect(200)["items"].as_array().unwrap();
        assert!(items.len() <= limit);
        found.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

/// Tokens of every kind, one a minute; answers the world and the owner of acme.
async fn collection() -> (World, Actor) {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let admin = world.node.admin();
    let web = json!({"organization": "acme", "project": "web"});
    let mint = async |actor: &Actor, name: &str, scope: Value, grant: &str, hours: Option<u64>| {
        world.pass(std::time::Duration::from_mins(1));
        let expires_at = hours.map(|hours| world.moment(HOUR * u32::try_from(hours).unwrap()));
        let body = json!({"name": name, "scope": scope, "grants": [grant], "expires_at": expires_at});
        actor.mint_with(body).await
    };
    mint(&admin, "root", json!({"instance": true}), "instance-auditor", None).await;
    mint(&admin, "c-web", web.clone(), "project-writer", Some(3)).await;
    mint(&tenants.owner, "b-web", web, "project-reader", Some(2)).await;
    mint(&tenants.owner, "d-acme", json!({"organization": "acme"}), "project-reader@api", None).await;
    let ended = mint(&tenants.owner, "revoked", json!({"organization": "acme"}), "member", None).await;
    mint(&tenants.owner, "expired", json!({"organization": "acme"}), "member", Some(1)).await;
    mint(&admin, "foreign", json!({"organization": "other"}), "member", Some(4)).await;
    tenants.owner.revoke(&ended.id).await;
    world.pass(HOUR);
    (world, tenants.owner)
}

#[tokio::test]
async fn a_list_is_filtered_by_each_of_its_filters() {
    let (world, owner) = collection().await;
    let admin = world.node.admin();
    let own = owner.get("/v1/whoami").await.body["token"]["id"].as_str().unwrap().to_owned();
    let by = owner.get("/v1/whoami").await.text_of("actor");
    let prefix = owner.get("/v1/whoami").await.body["token"]["prefix"].as_str().unwrap()[..10].to_owned();
    let before = world.moment(3 * HOUR);
    let just_after = world.moment(3 * HOUR + TICK);
    for (query, expected) in [
        ("scope=instance".to_owned(), vec!["root"]),
        ("scope=project".into(), vec!["b-web", "c-web"]),
        ("organization=other".into(), vec!["foreign", "gateway"]),
        ("organization=acme".into(), vec!["b-web", "c-web", "d-acme", "gateway", "owner"]),
        ("organization=acme&scope=organization".into(), vec!["d-acme", "gateway", "owner"]),
        ("organization=acme&project=web".into(), vec!["b-web", "c-web"]),
        ("organization=acme&project=api".into(), vec![]),
        ("organization=acme&status=expired".into(), vec!["expired"]),
        ("organization=acme&status=revoked".into(), vec!["revoked"]),
        ("name=c-web".into(), vec!["c-web"]),
        ("name=c".into(), vec![]),
        (format!("prefix={prefix}"), vec!["owner"]),
        (format!("created_by={own}"), vec!["b-web", "d-acme"]),
        (format!("created_by={by}"), vec!["b-web", "d-acme"]),
        (format!("created_by={own}&status=all"), vec!["b-web", "d-acme", "expired", "revoked"]),
        ("created_by=admin-token&organization=acme".into(), vec!["c-web", "gateway", "owner"]),
        (format!("expiring_before={before}"), vec!["b-web"]),
        (format!("expiring_before={just_after}"), vec!["b-web", "c-web"]),
        ("role=project-reader".into(), vec!["b-web", "d-acme"]),
        ("role=never-defined".into(), vec![]),
    ] {
        for limit in [1, 2, 1_000] {
            assert_eq!(names(&admin, &format!("sort=name&{query}"), limit).await, expected, "{query}");
        }
    }
    let all: BTreeSet<String> = names(&admin, "status=all", 3).await.into_iter().collect();
    assert_eq!(all.len(), 9, "gateway is two");
}

#[tokio::test]
async fn a_list_is_sorted_both_ways_by_each_of_its_keys() {
    let (_world, owner) = collection().await;
    for (sort, expected) in [
        ("name", ["b-web", "c-web", "d-acme", "gateway", "owner"]),
        ("created", ["gateway", "owner", "c-web", "b-web", "d-acme"]),
        // What never expires comes last, the older first.
        ("expires", ["b-web", "c-web", "gateway", "owner", "d-acme"]),
    ] {
        for limit in 1..=6 {
            assert_eq!(names(&owner, &format!("sort={sort}"), limit).await, expected, "{sort}");
            let backwards: Vec<_> = expected.iter().rev().copied().collect();
            assert_eq!(names(&owner, &format!("sort=-{sort}"), limit).await, backwards, "-{sort}");
        }
    }
    assert_eq!(names(&owner, "", 2).await, names(&owner, "sort=-created", 2).await);
}

#[tokio::test]
async fn pages_stay_complete_while_tokens_are_minted_and_revoked() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let mint = |name: String| async {
        tenants.owner.mint(&{ name }, json!({"organization": "acme"}), &["member"]).await
    };
    for n in 0..20 {
        mint(format!("before-{n:02}")).await;
    }
    for sort in ["created", "-created", "name", "-name", "expires", "-expires"] {
        let (mut found, mut cursor, mut round) = (Vec::new(), String::new(), 0);
        loop {
            let page = tenants.owner.get(&format!("/v1/tokens?limit=3&sort={sort}{cursor}")).await;
            let items = page.expect(200)["items"].as_array().unwrap();
            found.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
            let Some(next) = page.body["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
            let during = mint(format!("during-{sort}-{round}")).await;
            round += 1;
            tenants.owner.revoke(&during.id).await;
        }
        let kept: Vec<&String> = found.iter().filter(|name| name.starts_with("before")).collect();
        let distinct: BTreeSet<&String> = kept.iter().copied().collect();
        assert_eq!((kept.len(), distinct.len()), (20, 20), "{sort}: {found:?}");
    }
}

#[tokio::test]
async fn a_list_that_cannot_be_is_refused() {
    let (_world, owner) = collection().await;
    let cursor = owner.get("/v1/tokens?limit=1&sort=name").await.text_of("next_cursor");
    for (query, code, field) in [
        ("limit=0", "invalid_value", "limit"),
        ("limit=1001", "invalid_value", "limit"),
        ("limit=x", "invalid_value", "limit"),
        ("cursor=nonsense", "invalid_value", "cursor"),
        (&format!("cursor={cursor}"), "invalid_value", "cursor"),
        ("sort=age", "invalid_value", "sort"),
        ("status=dead", "invalid_value", "status"),
        ("scope=galaxy", "invalid_value", "scope"),
        ("project=web", "invalid_value", "project"),
        ("role=No%20Role", "invalid_value", "role"),
        ("expiring_before=soon", "invalid_value", "expiring_before"),
        ("colour=red", "unknown_field", "colour"),
    ] {
        let refused = owner.get(&format!("/v1/tokens?{query}")).await;
        assert_eq!(refused.refused(422, code)["errors"][0]["field"], field, "{query}");
    }
    assert_eq!(owner.get(&format!("/v1/tokens?cursor={cursor}&sort=name")).await.status, 200);
}
