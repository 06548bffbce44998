//! Changes that are made only to what their caller has seen.

use chancery_tests::World;
use serde_json::{Value, json};

#[tokio::test]
async fn a_change_of_what_has_changed_since_is_refused() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let admin = world.node.admin();
    let token = tenants.owner.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let token = format!("/v1/tokens/{}", token.id);
    for (read, method, path, first, second) in [
        (
            "/v1/instance",
            "PATCH",
            "/v1/instance",
            json!({"policy": {"record_within_ms": 60}}),
            json!({"policy": {"record_within_ms": 70}}),
        ),
        (
            "/v1/organizations/acme",
            "PATCH",
            "/v1/organizations/acme",
            json!({"display_name": "A"}),
            json!({"display_name": "B"}),
        ),
        (
            "/v1/organizations/acme/projects/web",
            "PATCH",
            "/v1/organizations/acme/projects/web",
            json!({"display_name": "A"}),
            json!({"display_name": "B"}),
        ),
        ("/v1/organizations/acme", "POST", "/v1/organizations/acme/suspend", json!({}), json!({"note": "B"})),
        ("/v1/organizations/acme", "POST", "/v1/organizations/acme/restore", json!({}), json!({"note": "B"})),
        (&token, "PATCH", &token, json!({"description": "A"}), json!({"description": "B"})),
        (&token, "POST", &format!("{token}/rotate"), json!({}), json!({})),
        (&token, "POST", &format!("{token}/revoke"), json!({}), json!({"cascade": true})),
    ] {
        let seen = admin.get(read).await.tag();
        let change = |tag: &str, body: &Value| admin.call(method, path).if_match(tag).json(body).send();
        let changed = change(&seen, &first).await;
        assert_eq!(changed.status, 200, "{path}: {}", changed.text);
        assert_ne!(changed.tag(), seen);
        assert_eq!(admin.get(read).await.tag(), changed.tag());
        change(&seen, &second).await.refused(412, "precondition_failed");
        assert_eq!(admin.get(read).await.tag(), changed.tag(), "nothing was changed");
        assert_eq!(change("*", &second).await.status, 200, "{path}");
    }
    let stale = admin.call("DELETE", &token).if_match("\"1\"").send().await;
    stale.refused(412, "precondition_failed");
}

#[tokio::test]
async fn of_two_who_saw_the_same_one_wins() {
    let world = World::new().await;
    world.tenants().await;
    let other = world.another().await;
    let seen = world.node.admin().get("/v1/organizations/acme").await.tag();
    let change = |actor: chancery_tests::Actor, name: String| {
        let call = actor.call("PATCH", "/v1/organizations/acme").if_match(&seen);
        call.json(&json!({"display_name": name})).send()
    };
    let calls = (0..8).map(|n| change([&world.node, &other][n % 2].admin(), format!("by {n}")));
    let answers = futures_util::future::join_all(calls).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!((won.len(), lost.len()), (1, 7));
    for answer in lost {
        answer.refused(412, "precondition_failed");
    }
    let now = world.node.admin().get("/v1/organizations/acme").await;
    assert_eq!(now.body["display_name"], won[0].body["display_name"]);
}

#[tokio::test]
async fn a_condition_is_one_strong_tag_or_a_star() {
    let world = World::new().await;
    world.tenants().await;
    let admin = world.node.admin();
    for bad in ["1", "W/\"1\"", "\"1\", \"2\"", "\"\"", "\"x\"", "\"-1\"", ""] {
        let call = admin.call("PATCH", "/v1/organizations/acme").if_match(bad).json(&json!({}));
        call.send().await.refused(400, "malformed_request");
    }
    let both = admin.call("POST", "/v1/tokens").if_match("\"1\"");
    both.json(&json!({"name": "t", "scope": {"organization": "acme"}, "grants": ["member"]}))
        .send()
        .await
        .expect(201);
}

#[tokio::test]
async fn a_repeat_is_answered_although_its_condition_no_longer_holds() {
    let world = World::new().await;
    world.tenants().await;
    let admin = world.node.admin();
    let seen = admin.get("/v1/organizations/acme").await.tag();
    let change = || {
        let call = admin.call("PATCH", "/v1/organizations/acme").if_match(&seen).key("k");
        call.json(&json!({"display_name": "A"})).send()
    };
    let first = change().await;
    let again = change().await;
    assert_eq!((first.expect(200), first.tag()), (again.expect(200), again.tag()));
}
