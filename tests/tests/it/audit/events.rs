use super::{is_event, pages, positions, types};
use chancery_tests::{ADMIN, World, scale};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn events_are_listed_with_their_exact_lines_in_both_orders_while_others_arrive() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let admin = world.node.admin();
    for number in 0..12 {
        tenants.owner.mint(&format!("t{number}"), json!({"organization": "acme"}), &["member"]).await;
    }
    let size = world.database.size().await;
    let path = format!("/v1/audit/events?limit=5&at_least={size}");
    let newest = pages(&admin, &path).await;
    let oldest = pages(&admin, &format!("{path}&order=oldest")).await;
    let entries = world.database.entries().await;
    let line = |item: &Value| (item["position"].as_u64().unwrap(), item["line"].clone());
    let of_log: Vec<_> = entries
        .iter()
        .filter(|entry| is_event(entry))
        .map(|entry| (entry.position, entry.line.clone()))
        .collect();
    // Each page is a use of the break-glass token, so the list grows at its new end while it is read.
    let newest: Vec<_> = newest.iter().rev().map(line).collect();
    assert_eq!(newest, of_log[..newest.len()]);
    assert!(newest.last().unwrap().0 >= size - 1);
    assert_eq!(oldest.iter().map(line).collect::<Vec<_>>(), of_log[..oldest.len()]);
    assert!(oldest.len() > newest.len());
    let raw = admin.get(&format!("/v1/audit/events?order=oldest&limit=1&at_least={size}")).await;
    assert!(raw.text.contains(&entries[0].text), "the line is given byte for byte");
    assert!(raw.position() >= size);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_right_in_both_orders_while_two_nodes_append() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let other = world.another().await;
    let owner = world.node.admin().mint("boss", json!({"organization": "acme"}), &["owner"]).await;
    other.catches_up_with(&world.node).await;
    let mut writers = Vec::new();
    for (number, node) in [&world.node, &other].into_iter().enumerate() {
        let boss = node.token(&owner.secret);
        writers.push(tokio::spawn(async move {
            for round in 0..scale::pick(40, 1_000) {
                boss.mint(&format!("t{number}-{round}"), json!({"organization": "acme"}), &["member"]).await;
            }
        }));
    }
    let mut read = Vec::new();
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        for order in ["newest", "oldest"] {
            let size = world.database.size().await;
            let list = pages(&tenants.owner, &format!("/v1/audit/events?limit=7&order={order}")).await;
            read.push((order, size, list));
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let entries = world.database.entries().await;
    let acme = &read[0].2[0]["line"]["org"];
    for (order, size, list) in &read {
        let mut found: Vec<_> = list.iter().map(|item| item["position"].as_u64().unwrap()).collect();
        if *order == "newest" {
            found.reverse();
        }
        // The views may be behind when a list begins, and what came since may be on it: between, nothing is missing.
        let last = found.last().copied().unwrap();
        let of_log = entries.iter().filter(|entry| is_event(entry) && entry.line["org"] == *acme);
        let of_log: Vec<_> =
            of_log.map(|entry| entry.position).take_while(|position| *position <= last).collect();
        assert_eq!(found, of_log, "{order} from a log of {size}");
    }
    assert!(read.len() >= 2);
    other.stop().await;
}

#[tokio::test]
async fn every_filter_lets_through_what_it_says() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let admin = world.node.admin();
    let auditor = admin.mint("auditor", json!({"organization": "acme"}), &["auditor"]).await;
    let auditor = world.node.token(&auditor.secret);
    let token =
        tenants.owner.mint("t", json!({"organization": "acme", "project": "web"}), &["project-reader"]).await;
    world.pass(Duration::from_mins(1));
    let revoked = tenants.owner.revoke(&token.id).await.position();
    let owner = tenants.owner.get("/v1/whoami").await.body["token"].clone();
    let (id, prefix) = (owner["id"].as_str().unwrap(), owner["prefix"].as_str().unwrap());
    let list = async |filter: &str| {
        let path = format!("/v1/audit/events?order=oldest&at_least={revoked}&{filter}");
        auditor.get(&path).await.expect(200)["items"].as_array().unwrap().clone()
    };
    let both = ["TokenMinted", "TokenRevoked"];
    assert_eq!(types(&list(&format!("token={}", token.id)).await), both);
    assert_eq!(types(&list(&format!("actor={id}")).await), both);
    assert_eq!(types(&list(&format!("actor=org-token:{prefix}")).await), both);
    assert_eq!(
        types(&list("type=TokenRevoked,ProjectCreated").await),
        ["ProjectCreated", "ProjectCreated", "TokenRevoked"]
    );
    assert_eq!(
        types(&list("organization=acme&project=web").await),
        ["ProjectCreated", "TokenMinted", "TokenRevoked"]
    );
    assert_eq!(types(&list("actor=admin-token&type=TokenMinted").await).len(), 3);
    let moment = world.moment(Duration::from_secs(30)).replace('+', "%2B");
    assert_eq!(types(&list(&format!("from={moment}")).await), ["TokenRevoked"]);
    assert!(!types(&list(&format!("to={moment}")).await).contains(&"TokenRevoked"));
    assert_eq!(types(&list("address=127.0.0.1&type=TokenRevoked").await), ["TokenRevoked"]);
    assert!(list("address=192.0.2.9").await.is_empty());
    for (filter, code) in [
        ("organization=other", "not_found"),
        ("organization=never", "not_found"),
        ("project=web", "invalid_value"),
        ("token=x", "invalid_value"),
        ("type=Nonsense", "invalid_value"),
        ("type=TokenUsed", "invalid_value"),
        ("from=yesterday", "invalid_value"),
        ("from=2031-01-02T00:00:00Z&to=2031-01-02T00:00:00Z", "invalid_value"),
        ("address=nowhere", "invalid_value"),
        ("actor=", "invalid_value"),
        ("order=best", "invalid_value"),
        ("limit=0", "invalid_value"),
        ("cursor=x", "invalid_value"),
        ("colour=red", "unknown_field"),
    ] {
        let refused = auditor.get(&format!("/v1/audit/events?{filter}")).await;
        assert_eq!(refused.code(), code, "{filter}: {}", refused.text);
    }
}

#[tokio::test]
async fn personal_values_are_shown_until_they_are_erased() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let size = world.database.size().await;
    let path = format!("/v1/audit/events?type=TokenMinted&limit=1&at_least={size}");
    let shown = tenants.owner.get(&path).await.expect(200)["items"][0].clone();
    let address = shown["line"]["actor"]["address"].as_str().unwrap();
    assert_eq!(shown["personal"][address], "127.0.0.1");
    assert_eq!(shown["personal"].as_object().unwrap().len(), 2);
    let kinds = "DELETE FROM chancery.personal";
    world.database.execute(kinds).await;
    let erased = tenants.owner.get(&path).await.expect(200)["items"][0].clone();
    assert_eq!((&erased["line"], &erased["personal"]), (&shown["line"], &Value::Null));
    assert_eq!(erased["erased"].as_array().unwrap().len(), 2);
}

/// However much others know of an address: it is neither looked at nor told.
#[tokio::test]
async fn an_address_is_looked_for_only_where_the_caller_may_read() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let admin = world.node.admin();
    let other = admin.get("/v1/organizations/other").await.text_of("id");
    let size = world.database.size().await;
    let path = format!("/v1/audit/events?type=TokenMinted&address=127.0.0.1&at_least={size}");
    let of_acme = positions(&tenants.owner.get(&path).await);
    assert!(!of_acme.is_empty() && of_acme.len() < positions(&admin.get(&path).await).len());
    let many = format!(
        "INSERT INTO chancery.personal (organization, commitment, salt, kind, value)
         SELECT '{other}', sha256(number::text::bytea), '\\x00112233445566778899aabbccddeeff', 'address', '127.0.0.1'
         FROM generate_series(1, 100000) AS number"
    );
    world.database.execute(&many).await;
    assert_eq!(positions(&tenants.owner.get(&path).await), of_acme);
    admin.get(&path).await.refused(422, "invalid_value");
    let log = world.database.log().await;
    let acme = admin.get("/v1/organizations/acme").await.text_of("id").parse().unwrap();
    let found = log.commitments_to_address("127.0.0.1".to_owned(), Some(acme), 1_000).await.unwrap();
    assert!(found.len() < 10, "{}", found.len());
}

#[tokio::test]
async fn a_read_waits_for_the_views_and_says_when_they_are_behind() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let minted = tenants
        .owner
        .post("/v1/tokens", json!({"name": "t", "scope": {"organization": "acme"}, "grants": ["member"]}))
        .await;
    let found = tenants.owner.get(&format!("/v1/audit/events?limit=1&at_least={}", minted.position())).await;
    assert_eq!(found.expect(200)["items"][0]["line"]["token"], minted.body["id"]);
    assert!(found.position() >= minted.position());
    let ahead = minted.position() + 1_000;
    let id = minted.text_of("id");
    for path in
        ["/v1/audit/events".to_owned(), format!("/v1/tokens/{id}/history"), format!("/v1/tokens/{id}/uses")]
    {
        let behind = tenants.owner.get(&format!("{path}?at_least={ahead}")).await;
        behind.refused(503, "behind");
    }
}

#[tokio::test]
async fn a_history_holds_what_ended_the_token_from_outside() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let admin = world.node.admin();
    let acme = || json!({"organization": "acme"});
    let parent = tenants.owner.mint("parent", acme(), &["member"]).await;
    let child = world.node.token(&parent.secret).mint("child", acme(), &["member"]).await;
    admin.post("/v1/organizations/acme/suspend", json!({})).await.expect(200);
    admin.post("/v1/organizations/acme/restore", json!({})).await.expect(200);
    let cascade = json!({"cascade": true});
    let ended = tenants.owner.post(&format!("/v1/tokens/{}/revoke", parent.id), cascade).await;
    let path = format!("/v1/tokens/{}/history?order=oldest&at_least={}", child.id, ended.position());
    let history = tenants.owner.get(&path).await.expect(200)["items"].as_array().unwrap().clone();
    assert_eq!(
        types(&history),
        ["TokenMinted", "OrganizationSuspended", "OrganizationRestored", "TokenRevoked"]
    );
    assert_eq!(history[3]["line"]["token"], parent.id.as_str());
    assert!(history[0]["personal"].is_object() && history[1]["personal"].is_null());
    let member = tenants.owner.mint("member", acme(), &["member"]).await;
    let plain = world.node.token(&member.secret).get(&path).await;
    assert_eq!(plain.expect(200)["items"][0]["personal"], Value::Null, "only auditors see personal values");
    let newest = tenants.owner.get(&path.replace("oldest", "newest")).await;
    assert_eq!(positions(&newest).into_iter().rev().collect::<Vec<_>>().len(), history.len());
}

#[tokio::test]
async fn uses_of_the_break_glass_token_are_the_instance_s() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let size = world.database.size().await;
    let admin = world.node.token(ADMIN);
    let path = format!("/v1/audit/events?type=AdminTokenUsed&at_least={size}");
    assert!(positions(&admin.get(&path).await).len() > 5);
    assert!(positions(&tenants.owner.get(&path).await).is_empty());
}
