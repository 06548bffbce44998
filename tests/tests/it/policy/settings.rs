use super::POLICY;
use crate::{DAY, HOUR, TICK, just_before};
use chancery_tests::World;
use serde_json::{Value, json};

fn acme() -> Value {
    json!({"organization": "acme"})
}

#[tokio::test]
async fn a_policy_restricts_nothing_until_it_is_set_and_each_change_is_on_the_log() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let usual = tenants.owner.get(POLICY).await;
    let policy = usual.expect(200);
    for (setting, off) in [
        ("expiry_required", json!(false)),
        ("max_inactive_days", json!(0)),
        ("allowed_networks", json!([])),
        ("max_mints_per_hour", json!(0)),
        ("max_live_tokens", json!(0)),
        ("rotation_due_days", json!(0)),
        ("rotation_enforced", json!(false)),
        ("leak_response", json!("cascade")),
        ("allowed_roles", json!([])),
    ] {
        assert_eq!(policy[setting], off, "{setting}");
    }
    assert_eq!((policy.get("max_lifetime"), &policy["hits"]["live_tokens"]), (None, &json!(2)));
    let change = json!({"max_lifetime": "90d", "max_inactive_days": 30});
    let call = tenants.owner.call("PATCH", POLICY).if_match(&usual.tag()).key("k").json(&change);
    let (changed, lines) = world.lines_of(call.send()).await;
    assert_eq!(changed.expect(200)["max_lifetime"], "90d");
    assert_ne!(changed.tag(), usual.tag());
    assert_eq!((lines.len(), &*lines[0].kind), (1, "OrganizationPolicyChanged"));
    assert_eq!(lines[0].at("/before"), &json!({"max_lifetime_s": 0, "max_inactive_days": 0}));
    assert_eq!(lines[0].at("/after"), &json!({"max_lifetime_s": 7_776_000, "max_inactive_days": 30}));
    let again = tenants.owner.call("PATCH", POLICY).key("k").json(&change).send().await;
    assert_eq!(again.expect(200), &changed.body);
    let stale = tenants.owner.call("PATCH", POLICY).if_match(&usual.tag()).json(&json!({"max_lifetime": ""}));
    stale.send().await.refused(412, "precondition_failed");
    let (same, lines) = world.lines_of(tenants.owner.patch(POLICY, change)).await;
    assert_eq!((same.tag(), lines.len(), &*lines[0].kind), (changed.tag(), 1, "TokenUsed"));
    let off = tenants.owner.patch(POLICY, json!({"max_lifetime": "", "max_inactive_days": 0})).await;
    assert_eq!(off.expect(200).get("max_lifetime"), None);
}

#[tokio::test]
async fn a_dry_run_says_what_a_policy_would_hit_and_changes_nothing() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let mint = async |name: &str, more: Value| {
        let mut body = json!({"name": name, "scope": acme(), "grants": ["member"]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        tenants.owner.mint_with(body).await
    };
    mint("short", json!({"expires_in": "10d"})).await;
    mint("long", json!({"expires_in": "100d"})).await;
    let office = mint("office", json!({"allowed_networks": ["192.0.2.0/24"]})).await;
    let gone = mint("gone", json!({})).await;
    tenants.owner.revoke(&gone.id).await;
    world.pass(8 * DAY);
    assert_eq!(tenants.verifier.code_of(&office.secret).await, "address_denied");
    let draft = json!({
        "max_lifetime": "30d", "expiry_required": true, "max_inactive_days": 7,
        "allowed_networks": ["127.0.0.0/8", "10.0.0.0/8"], "rotation_due_days": 8,
        "allowed_roles": ["member", "verifier"], "dry_run": true,
    });
    let (answer, lines) = world.lines_of(tenants.owner.patch(POLICY, draft.clone())).await;
    assert_eq!((lines.len(), &*lines[0].kind), (1, "TokenUsed"), "a dry run is a use");
    let hits = &answer.expect(200)["hits"];
    // The gateway and the owner have no end and no networks, and are used; the three others never were.
    let expected = json!({
        "live_tokens": 5, "beyond_max_lifetime": 4, "without_expiry": 3, "inactive": 3,
        "outside_networks": 1, "rotation_overdue": 5, "role_not_allowed": 1,
    });
    assert_eq!(hits, &expected);
    assert_eq!(answer.body["max_lifetime"], "30d");
    assert_eq!(tenants.owner.get(POLICY).await.expect(200)["max_inactive_days"], 0);
    let mut whole = draft;
    whole["dry_run"] = json!(false);
    let changed = tenants.owner.patch(POLICY, whole).await;
    assert_eq!(&changed.expect(200)["hits"], hits);
}

#[tokio::test]
async fn what_it_asks_is_in_force_on_every_node_at_once() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let other = world.another().await;
    let change = json!({"max_lifetime": "30d", "allowed_roles": ["member", "verifier", "owner"]});
    tenants.owner.patch(POLICY, change).await.expect(200);
    let admin = other.admin();
    let mint = async |more: Value| {
        let mut body = json!({"name": "x", "scope": acme(), "grants": ["member"]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        admin.post("/v1/tokens", body).await
    };
    for (field, more) in [
        ("expires_at", json!({"expires_at": null})),
        ("expires_at", json!({"expires_in": "31d"})),
        ("grants", json!({"grants": ["auditor"]})),
    ] {
        let refused = mint(more.clone()).await;
        assert_eq!(refused.refused(422, "invalid_value")["errors"][0]["field"], field, "{more}");
    }
    let minted = mint(json!({})).await;
    assert_eq!(minted.expect(201)["expires_at"], world.moment(30 * DAY));
}

#[tokio::test]
async fn counts_leave_no_room_and_say_when_there_is() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    tenants.owner.patch(POLICY, json!({"max_live_tokens": 4, "max_mints_per_hour": 5})).await.expect(200);
    let mint = async |name: &str| {
        let body = json!({"name": name, "scope": acme(), "grants": ["member"]});
        tenants.owner.post("/v1/tokens", body).await
    };
    let first = mint("a").await.text_of("id");
    mint("b").await.expect(201);
    let full = mint("c").await;
    assert!(full.refused(409, "policy_limit")["detail"].as_str().unwrap().contains("max_live_tokens is 4"));
    tenants.owner.revoke(&first).await;
    mint("c").await.expect(201);
    tenants.owner.patch(POLICY, json!({"max_live_tokens": 0})).await.expect(200);
    // The gateway, the owner and three more were minted within the hour.
    let limited = mint("d").await;
    let detail = limited.refused(409, "policy_limit")["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("max_mints_per_hour is 5") && detail.contains(&world.moment(HOUR)), "{detail}");
    world.pass(just_before(HOUR));
    mint("d").await.refused(409, "policy_limit");
    world.pass(TICK);
    mint("d").await.expect(201);
}

#[tokio::test]
async fn networks_hold_for_verify_and_for_calls() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let ci = tenants.owner.mint("ci", acme(), &["member"]).await;
    tenants.owner.patch(POLICY, json!({"allowed_networks": ["127.0.0.0/8", "::1"]})).await.expect(200);
    let from = async |address: &str| {
        let question = json!({"token": ci.secret, "client": {"address": address}});
        tenants.verifier.verify_with(question).await.code().to_owned()
    };
    assert_eq!(from("127.9.9.9").await, "valid");
    assert_eq!(from("192.0.2.1").await, "address_denied");
    world.node.token(&ci.secret).get("/v1/whoami").await.expect(200);
    tenants.owner.patch(POLICY, json!({"allowed_networks": ["192.0.2.0/24"]})).await.expect(200);
    tenants.owner.get("/v1/whoami").await.refused(401, "address_denied");
    world.node.admin().patch(POLICY, json!({"allowed_networks": []})).await.expect(200);
    assert_eq!(from("203.0.113.9").await, "valid");
}

#[tokio::test]
async fn rotation_is_due_then_reported_and_then_enforced() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let ci = tenants.owner.mint("ci", acme(), &["member"]).await;
    assert_eq!(ci.body.get("rotation_due"), None);
    tenants.owner.patch(POLICY, json!({"rotation_due_days": 30})).await.expect(200);
    let list = tenants.owner.get("/v1/tokens?name=ci").await;
    assert_eq!(list.expect(200)["items"][0]["rotation_due"], world.moment(30 * DAY));
    world.pass(30 * DAY);
    assert_eq!(tenants.verifier.code_of(&ci.secret).await, "valid");
    let admin = world.node.admin();
    admin.patch(POLICY, json!({"rotation_enforced": true})).await.expect(200);
    let verifier = admin.mint("fresh", acme(), &["verifier"]).await;
    let verifier = world.node.token(&verifier.secret);
    assert_eq!(verifier.code_of(&ci.secret).await, "expired");
    world.node.token(&ci.secret).get("/v1/whoami").await.refused(401, "token_expired");
    let rotated = admin.post(&format!("/v1/tokens/{}/rotate", ci.id), json!({})).await;
    assert_eq!(verifier.code_of(&rotated.text_of("secret")).await, "valid");
    assert_eq!(rotated.body["rotation_due"], world.moment(60 * DAY));
}

#[tokio::test]
async fn policies_are_read_and_changed_by_whom_they_concern() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let auditor = tenants.owner.mint("auditor", acme(), &["auditor"]).await;
    let auditor = world.node.token(&auditor.secret);
    auditor.get(POLICY).await.expect(200);
    auditor.patch(POLICY, json!({"dry_run": true})).await.refused(403, "forbidden");
    tenants.verifier.get(POLICY).await.refused(403, "forbidden");
    tenants.other_verifier.get(POLICY).await.refused(404, "not_found");
    tenants.owner.get("/v1/organizations/other/policy").await.refused(404, "not_found");
    let id = world.node.admin().get("/v1/organizations/acme").await.text_of("id");
    assert_eq!(tenants.owner.get(&format!("/v1/organizations/{id}/policy")).await.status, 200);
    for (field, body) in [
        ("max_inactive_days", json!({"max_inactive_days": 366})),
        ("max_lifetime", json!({"max_lifetime": "1s"})),
        ("allowed_networks", json!({"allowed_networks": ["nowhere"]})),
        ("allowed_roles", json!({"allowed_roles": ["instance-admin"]})),
    ] {
        let refused = tenants.owner.patch(POLICY, body).await;
        assert_eq!(refused.refused(422, "invalid_value")["errors"][0]["field"], field);
    }
}

#[tokio::test]
async fn a_policy_that_asks_for_less_is_for_who_can_do_everything() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let roles = "/v1/organizations/acme/roles";
    let role = json!({"name": "policies", "level": "organization", "permissions": ["policies:*"]});
    tenants.owner.post(roles, role).await.expect(201);
    let weak = tenants.owner.mint("weak", acme(), &["policies"]).await;
    let weak = world.node.token(&weak.secret);
    let strict = json!({"rotation_due_days": 30, "rotation_enforced": true});
    weak.patch(POLICY, strict).await.expect(200);
    for looser in [json!({"rotation_due_days": 31, "dry_run": true}), json!({"rotation_enforced": false})] {
        let refused = weak.patch(POLICY, looser.clone()).await;
        assert_eq!(refused.refused(403, "escalation")["missing"], json!(["* at organization acme"]));
        tenants.owner.patch(POLICY, looser).await.expect(200);
    }
}
