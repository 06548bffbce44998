use crate::HOUR;
use chancery_tests::{Actor, Answer, World};
use serde_json::{Value, json};

async fn ask(actor: &Actor, filter: &Value, rest: Value) -> Answer {
    let mut body = rest;
    body["filter"] = filter.clone();
    actor.post("/v1/tokens/revoke", body).await
}

async fn preview(actor: &Actor, filter: &Value) -> Value {
    ask(actor, filter, json!({"dry_run": true})).await.expect(200).clone()
}

#[tokio::test]
async fn what_a_filter_chooses_is_shown_counted_and_then_revoked_by_one_line() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let acme = json!({"organization": "acme"});
    let boss = tenants.owner.mint("boss", acme.clone(), &["admin"]).await;
    let by_boss = world.node.token(&boss.secret);
    let mut minted = Vec::new();
    for name in ["a", "b", "c"] {
        minted.push(by_boss.mint(name, acme.clone(), &["member"]).await);
    }
    world.pass(HOUR);
    let late = tenants
        .owner
        .mint("late", json!({"organization": "acme", "project": "web"}), &["project-reader"])
        .await;
    let filter = json!({"scope": acme, "created_by": boss.id});
    let ((), lines) = world
        .lines_of(async {
            let shown = preview(&tenants.owner, &filter).await;
            assert_eq!((&shown["dry_run"], &shown["count"]), (&json!(true), &json!(3)));
            assert_eq!(shown["tokens"][0]["id"], minted[0].id);
        })
        .await;
    assert!(lines.iter().all(chancery_tests::Entry::is_use), "a preview changes nothing");
    // Somebody mints one more in between.
    let more = by_boss.mint("d", acme.clone(), &["member"]).await;
    ask(&tenants.owner, &filter, json!({"expected_count": 3})).await.refused(409, "count_changed");
    assert_eq!(tenants.verifier.code_of(&minted[0].secret).await, "valid");
    ask(&tenants.owner, &filter, json!({})).await.refused(422, "invalid_value");
    let end = json!({"expected_count": 4, "reason": "leaked", "note": "left the company"});
    let (done, lines) = world.lines_of(ask(&tenants.owner, &filter, end)).await;
    assert_eq!(done.expect(200), &json!({"dry_run": false, "count": 4}));
    let changes: Vec<_> = lines.iter().filter(|entry| !entry.is_use()).collect();
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].kind.as_str(), changes[0].at("/count")), ("TokensRevoked", &json!(4)));
    for token in minted.iter().chain([&more]) {
        assert_eq!(tenants.verifier.code_of(&token.secret).await, "revoked");
        let shown = tenants.owner.get(&format!("/v1/tokens/{}", token.id)).await;
        assert_eq!(shown.body["revoked"]["reason"], "leaked");
        assert_eq!(shown.body["revoked"]["note"], "left the company");
    }
    for alive in [&boss, &late] {
        assert_eq!(tenants.verifier.code_of(&alive.secret).await, "valid");
    }
    assert_eq!(preview(&tenants.owner, &filter).await["count"], 0);
    // The times are those of minting, the first counts and the last does not.
    for (from, before, count) in [(0, 1, 3), (1, 2, 1), (0, 2, 4)] {
        let filter = json!({
            "scope": acme, "created_from": world.moment(HOUR * from), "created_before": world.moment(HOUR * before),
        });
        assert_eq!(preview(&tenants.owner, &filter).await["count"], count, "{from} {before}");
    }
    let web = json!({"scope": {"organization": "acme", "project": "web"}, "role": "project-reader"});
    assert_eq!(preview(&tenants.owner, &web).await["tokens"][0]["id"], late.id);
    let another = world.another().await;
    another.catches_up_with(&world.node).await;
    assert_eq!(another.difference(&world.node), None);
}

#[tokio::test]
async fn who_may_not_revoke_there_sees_no_preview() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let auditor = tenants.owner.mint("auditor", json!({"organization": "acme"}), &["auditor"]).await;
    let auditor = world.node.token(&auditor.secret);
    let filter = |scope: Value| json!({"scope": scope});
    for rest in [json!({"dry_run": true}), json!({"expected_count": 3})] {
        for scope in [json!({"organization": "acme"}), json!({"instance": true})] {
            let refused = ask(&auditor, &filter(scope), rest.clone()).await;
            assert_eq!(refused.refused(403, "forbidden")["missing"], json!(["tokens:revoke"]));
        }
        let hidden = ask(&tenants.owner, &filter(json!({"organization": "other"})), rest).await;
        hidden.refused(404, "not_found");
    }
    // The instance's own tokens are not those of its organizations.
    let of_instance = filter(json!({"instance": true}));
    assert_eq!(preview(&world.node.admin(), &of_instance).await["count"], 0);
}

#[tokio::test]
async fn of_two_nodes_that_revoke_the_same_one_does() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let another = world.another().await;
    let acme = json!({"organization": "acme"});
    for n in 0..10 {
        tenants.owner.mint(&format!("t{n}"), acme.clone(), &["member"]).await;
    }
    let filter = json!({"scope": acme, "role": "member"});
    let calls = (0..6).map(|n| {
        let actor = if n % 2 == 0 { world.node.admin() } else { another.admin() };
        let filter = &filter;
        async move { ask(&actor, filter, json!({"expected_count": 10})).await.status }
    });
    let mut statuses = futures_util::future::join_all(calls).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409]);
}

#[tokio::test]
async fn all_that_a_person_minted_is_revoked_by_one_filter() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let acme = json!({"organization": "acme"});
    let ada = crate::people::join(&world.node, "acme", "ada@example.org", "admin").await;
    let minted = ada.session.mint("ci", acme.clone(), &["admin"]).await;
    let below = world.node.token(&minted.secret).mint("deploy", acme.clone(), &["verifier"]).await;
    let beside = tenants.owner.mint("beside", acme.clone(), &["verifier"]).await;
    let wrong = json!({"scope": acme, "person": "ada@example.org"});
    ask(&tenants.owner, &wrong, json!({"dry_run": true})).await.refused(422, "invalid_value");
    let filter = json!({"scope": acme, "person": ada.user});
    assert_eq!(preview(&tenants.owner, &filter).await["count"], 3);
    ask(&tenants.owner, &filter, json!({"expected_count": 3})).await.expect(200);
    ada.session.get("/v1/whoami").await.refused(401, "token_revoked");
    for (token, code) in [(&minted, "revoked"), (&below, "revoked"), (&beside, "valid")] {
        assert_eq!(tenants.verifier.code_of(&token.secret).await, code);
    }
    let another = world.another().await;
    assert_eq!(another.difference(&world.node), None);
}
