//! A request that is repeated under its key has one effect, wherever and however often it arrives.

use crate::{DAY, TICK, just_before};
use chancery_tests::{Actor, Answer, Database, Minted, NodeOptions, TestNode, World};
use eventlog::Settings;
use serde_json::{Value, json};
use sqlx::Executor;
use std::time::Duration;

const KEPT: Duration = Duration::from_mins(10);

fn mint(name: &str) -> Value {
    json!({"name": name, "scope": {"organization": "acme"}, "grants": ["member"]})
}

async fn keyed(actor: &Actor, method: &str, path: &str, key: &str, body: &Value) -> Answer {
    actor.call(method, path).key(key).json(body).send().await
}

async fn changes(database: &Database) -> usize {
    database.entries().await.iter().filter(|entry| !entry.is_use()).count()
}

#[tokio::test]
async fn each_change_that_is_repeated_has_one_effect_and_the_same_answer() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let admin = world.node.admin();
    let token = tenants.owner.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let gone = tenants.owner.mint("gone", json!({"organization": "acme"}), &["member"]).await;
    let (path, gone) = (format!("/v1/tokens/{}", token.id), format!("/v1/tokens/{}", gone.id));
    let own = &tenants.owner;
    for (actor, method, path, body) in [
        (&admin, "POST", "/v1/organizations", json!({"name": "new"})),
        (&admin, "PATCH", "/v1/organizations/new", json!({"name": "newer"})),
        (&admin, "PATCH", "/v1/instance", json!({"policy": {"max_staleness_ms": 3_000}})),
        (own, "POST", "/v1/organizations/acme/projects", json!({"name": "new"})),
        (own, "PATCH", "/v1/organizations/acme/projects/new", json!({"name": "newer"})),
        (own, "POST", "/v1/tokens", mint("ci")),
        (own, "POST", "/v1/tokens/narrow", json!({"name": "narrow"})),
        (own, "PATCH", &path, json!({"name": "u", "grants": ["auditor"]})),
        (own, "POST", &format!("{path}/rotate"), json!({"overlap": "1h"})),
        (own, "POST", &format!("{path}/revoke"), json!({"note": "done"})),
        (own, "DELETE", &gone, Value::Null),
        (
            own,
            "POST",
            "/v1/tokens/revoke",
            json!({"filter": {"scope": {"organization": "acme"}, "role": "member"}, "expected_count": 1}),
        ),
        (own, "DELETE", "/v1/organizations/acme/projects/web", json!({"confirm": "web"})),
        (&admin, "POST", "/v1/organizations/acme/suspend", json!({"note": "unpaid"})),
        (&admin, "POST", "/v1/organizations/acme/restore", json!({})),
        (&admin, "DELETE", "/v1/organizations/acme", json!({"confirm": "acme"})),
    ] {
        let first = keyed(actor, method, path, "key", &body).await;
        assert!(matches!(first.status, 200 | 201), "{method} {path}: {}", first.text);
        let before = changes(&world.database).await;
        for _ in 0..2 {
            let again = keyed(actor, method, path, "key", &body).await;
            assert_eq!((again.status, &again.body), (first.status, &first.body), "{method} {path}");
            assert_eq!(again.header("location"), first.header("location"));
        }
        assert_eq!(changes(&world.database).await, before, "{method} {path}");
    }
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let first = keyed(&tenants.owner, "POST", "/v1/tokens", "k", &mint("ci")).await;
    first.expect(201);
    let other = keyed(&tenants.owner, "POST", "/v1/tokens", "k", &mint("cd")).await;
    other.refused(422, "idempotency_key_reused");
    // The same content in another order and spacing is the same body.
    let spaced = r#"{ "grants": ["member"], "scope": {"organization": "acme"}, "name": "ci" }"#;
    let same = tenants.owner.call("POST", "/v1/tokens").key("k").body(spaced).send().await;
    assert_eq!(same.expect(201), &first.body);
    // A key means something only to its caller and on its route.
    let narrow = keyed(&tenants.owner, "POST", "/v1/tokens/narrow", "k", &json!({"name": "n"})).await;
    narrow.expect(201);
    let by_other = keyed(&world.node.admin(), "POST", "/v1/tokens", "k", &mint("by admin")).await;
    by_other.expect(201);
}

#[tokio::test]
async fn a_lost_secret_is_handed_out_again_for_ten_minutes() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let mint = mint("ci");
    let minted = Minted::from(&keyed(&tenants.owner, "POST", "/v1/tokens", "m", &mint).await);
    let repeat = || keyed(&tenants.owner, "POST", "/v1/tokens", "m", &mint);
    world.pass(just_before(KEPT));
    assert_eq!(repeat().await.text_of("secret"), minted.secret);
    world.pass(TICK);
    let late = repeat().await;
    assert_eq!((late.expect(201)["id"].as_str(), late.body.get("secret")), (Some(&*minted.id), None));
    let path = format!("/v1/tokens/{}/rotate", minted.id);
    let rotated = Minted::from(&keyed(&tenants.owner, "POST", &path, "r", &json!({})).await);
    assert_eq!(keyed(&tenants.owner, "POST", &path, "r", &json!({})).await.text_of("secret"), rotated.secret);
    assert_eq!(tenants.verifier.code_of(&rotated.secret).await, "valid");
    assert_eq!(tenants.verifier.code_of(&minted.secret).await, "superseded", "it was rotated once");
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_now_is_asked_for_again_and_not_given_up() {
    let hasty = |options: NodeOptions| {
        let settings = Settings { lock_timeout: Duration::from_millis(50), ..options.settings };
        NodeOptions { settings, ..options }
    };
    let world = World::with(hasty).await;
    let tenants = world.tenants().await;
    let minted = Minted::from(&keyed(&tenants.owner, "POST", "/v1/tokens", "m", &mint("ci")).await);
    let mut holder = world.database.superuser().await;
    holder.execute("BEGIN; LOCK TABLE chancery.sealed IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let meanwhile = keyed(&tenants.owner, "POST", "/v1/tokens", "m", &mint("ci")).await;
    meanwhile.refused(503, "unavailable");
    holder.execute("ROLLBACK").await.unwrap();
    let again = keyed(&tenants.owner, "POST", "/v1/tokens", "m", &mint("ci")).await;
    assert_eq!(Minted::from(&again).secret, minted.secret);
}

#[tokio::test]
async fn a_secret_is_handed_out_again_only_while_it_is_the_tokens() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let minted = Minted::from(&keyed(&tenants.owner, "POST", "/v1/tokens", "m", &mint("ci")).await);
    let path = format!("/v1/tokens/{}/rotate", minted.id);
    let first = Minted::from(&keyed(&tenants.owner, "POST", &path, "1", &json!({})).await);
    let again = keyed(&tenants.owner, "POST", "/v1/tokens", "m", &mint("ci")).await;
    assert_eq!(again.expect(201).get("secret"), None);
    keyed(&tenants.owner, "POST", &path, "2", &json!({})).await.expect(200);
    let again = keyed(&tenants.owner, "POST", &path, "1", &json!({})).await;
    assert_eq!(again.expect(200).get("secret"), None);
    assert_eq!(tenants.verifier.code_of(&first.secret).await, "superseded");
}

#[tokio::test]
async fn a_secret_opens_only_for_the_credential_that_asked_first() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let caller = tenants.owner.mint("caller", json!({"organization": "acme"}), &["admin"]).await;
    let actor = world.node.token(&caller.secret);
    let minted = Minted::from(&keyed(&actor, "POST", "/v1/tokens", "m", &mint("ci")).await);
    let path = format!("/v1/tokens/{}/rotate", caller.id);
    let rotated = tenants.owner.post(&path, json!({"overlap": "1h"})).await.text_of("secret");
    let by_new = keyed(&world.node.token(&rotated), "POST", "/v1/tokens", "m", &mint("ci")).await;
    assert_eq!((by_new.text_of("id"), by_new.body.get("secret")), (minted.id.clone(), None));
    let by_old = keyed(&actor, "POST", "/v1/tokens", "m", &mint("ci")).await;
    assert_eq!(by_old.text_of("secret"), minted.secret);
}

#[tokio::test]
async fn a_key_is_remembered_for_a_day() {
    let world = World::new().await;
    let admin = world.node.admin();
    let create = |name: &'static str| {
        let admin = admin.clone();
        async move { keyed(&admin, "POST", "/v1/organizations", "k", &json!({"name": name})).await }
    };
    let first = create("acme").await;
    world.pass(just_before(DAY));
    assert_eq!(create("acme").await.expect(201), &first.body);
    create("other").await.refused(422, "idempotency_key_reused");
    world.pass(TICK);
    create("acme").await.refused(409, "name_taken");
    create("other").await.expect(201);
}

#[tokio::test]
async fn a_repeat_is_authorized_again_and_a_refusal_is_not_kept() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let caller = tenants.owner.mint("caller", json!({"organization": "acme"}), &["admin"]).await;
    let actor = world.node.token(&caller.secret);
    let taken = keyed(&actor, "POST", "/v1/tokens", "k", &mint("caller")).await;
    taken.refused(409, "name_taken");
    keyed(&actor, "POST", "/v1/tokens", "k", &mint("ci")).await.expect(201);
    let path = format!("/v1/tokens/{}", caller.id);
    tenants.owner.patch(&path, json!({"grants": ["auditor"]})).await.expect(200);
    keyed(&actor, "POST", "/v1/tokens", "k", &mint("ci")).await.refused(403, "forbidden");
    tenants.owner.revoke(&caller.id).await;
    keyed(&actor, "POST", "/v1/tokens", "k", &mint("ci")).await.refused(401, "token_revoked");
}

#[tokio::test]
async fn a_repeat_is_known_after_a_restart_and_on_every_other_node() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let owner = tenants.owner.get("/v1/whoami").await;
    let minted = Minted::from(&keyed(&world.node.admin(), "POST", "/v1/tokens", "k", &mint("ci")).await);
    let other = world.another().await;
    let World { database, clock, node } = world;
    node.stop().await;
    let restarted = NodeOptions::on(&database).clock(&clock).start().await;
    for node in [&other, &restarted] {
        let again = Minted::from(&keyed(&node.admin(), "POST", "/v1/tokens", "k", &mint("ci")).await);
        assert_eq!((again.id, again.secret), (minted.id.clone(), minted.secret.clone()));
        keyed(&node.admin(), "POST", "/v1/tokens", "k", &mint("cd"))
            .await
            .refused(422, "idempotency_key_reused");
    }
    drop(owner);
}

/// Sends the same mint from all these actors at once; answers what came back.
async fn at_once(actors: Vec<Actor>) -> Vec<Minted> {
    let calls = actors.into_iter().map(|actor| async move {
        Minted::from(&keyed(&actor, "POST", "/v1/tokens", "storm", &mint("ci")).await)
    });
    futures_util::future::join_all(calls).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_at_once_on_two_nodes_have_one_effect() {
    let world = World::new().await;
    world.tenants().await;
    let other: TestNode = world.another().await;
    for nodes in [[&world.node; 2], [&world.node, &other]] {
        let before = changes(&world.database).await;
        let minted = at_once(nodes.iter().cycle().take(16).map(|node| node.admin()).collect()).await;
        assert_eq!(changes(&world.database).await - before, 1);
        for one in &minted {
            assert_eq!((&one.id, &one.secret), (&minted[0].id, &minted[0].secret));
        }
        world.node.admin().revoke(&minted[0].id).await;
        world.pass(DAY);
    }
}

#[tokio::test]
async fn keys_are_1_to_255_visible_characters() {
    let world = World::new().await;
    let admin = world.node.admin();
    let send = async |key: &[u8]| {
        let call = admin.call("POST", "/v1/organizations").header("idempotency-key", key);
        call.json(&json!({"name": format!("n{}", key.len())})).send().await
    };
    send(&[b'k'; 255]).await.expect(201);
    send(b"k").await.expect(201);
    for bad in [&[b'k'; 256][..], b"", b"k\xff", "k\u{e9}".as_bytes()] {
        send(bad).await.refused(400, "malformed_request");
    }
}
