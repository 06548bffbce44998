use crate::never_issued;
use api::Rates;
use chancery_tests::{Actor, NodeOptions, World};
use serde_json::{Value, json};
use std::time::Duration;

async fn limited(rates: Rates) -> World {
    World::with(|options| NodeOptions { rates, ..options }).await
}

async fn refused(actor: &Actor, path: &str, body: Value) -> u64 {
    let answer = actor.post(path, body).await;
    answer.refused(429, "rate_limited");
    answer.header("retry-after").parse().unwrap()
}

#[tokio::test]
async fn garbage_is_turned_away_and_a_known_token_never_is() {
    let world = limited(Rates { unknown: Some("3/m".parse().unwrap()), ..Rates::default() }).await;
    let tenants = world.tenants().await;
    let token = tenants.owner.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let ask = |text: &str, address: &str| json!({"token": text, "client": {"address": address}});
    for _ in 0..3 {
        assert_eq!(tenants.verifier.verify_with(ask(&never_issued(1), "192.0.2.1")).await.code(), "unknown");
    }
    let wait = refused(&tenants.verifier, "/v1/verify", ask(&never_issued(1), "192.0.2.1")).await;
    assert!((1..=60).contains(&wait), "{wait}");
    for _ in 0..20 {
        assert_eq!(tenants.verifier.verify_with(ask(&token.secret, "192.0.2.1")).await.code(), "valid");
    }
    // Another sender, and another service, have their own.
    assert_eq!(tenants.verifier.verify_with(ask(&never_issued(1), "192.0.2.2")).await.code(), "unknown");
    assert_eq!(
        tenants.other_verifier.verify_with(ask(&never_issued(1), "192.0.2.1")).await.code(),
        "unknown"
    );
    // A batch is refused only when nothing else is left of it.
    let batch = |texts: &[&str]| {
        let items: Vec<Value> = texts.iter().map(|text| ask(text, "192.0.2.1")).collect();
        json!({"items": items})
    };
    refused(&tenants.verifier, "/v1/verify/batch", batch(&[&never_issued(1)])).await;
    let mixed = tenants.verifier.post("/v1/verify/batch", batch(&[&never_issued(1), &token.secret])).await;
    assert_eq!(mixed.expect(200)["items"][0], json!({"valid": false, "code": "rate_limited"}));
    assert_eq!(mixed.body["items"][1]["code"], "valid");
    world.pass(Duration::from_secs(20));
    assert_eq!(tenants.verifier.verify_with(ask(&never_issued(1), "192.0.2.1")).await.code(), "unknown");
    let metrics = world.node.anon().get("/metrics").await.text;
    assert!(metrics.contains("chancery_limited_total{limit=\"unknown\"} 3"), "{metrics}");
}

#[tokio::test]
async fn guesses_in_a_batch_count_one_by_one_and_each_with_its_own_address() {
    let world = limited(Rates { unknown: Some("3/m".parse().unwrap()), ..Rates::default() }).await;
    let tenants = world.tenants().await;
    let token = tenants.owner.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let ask = |text: &str, address: &str| json!({"token": text, "client": {"address": address}});
    let mut items = vec![ask(&token.secret, "192.0.2.1")];
    items.extend((0..5).map(|seed| ask(&never_issued(seed), "192.0.2.1")));
    items.push(ask(&never_issued(5), "192.0.2.2"));
    let answer = tenants.verifier.post("/v1/verify/batch", json!({"items": items})).await;
    let codes: Vec<_> =
        answer.expect(200)["items"].as_array().unwrap().iter().map(|item| &item["code"]).collect();
    let expected = ["valid", "unknown", "unknown", "unknown", "rate_limited", "rate_limited", "unknown"];
    assert_eq!(codes, expected);
}

#[tokio::test]
async fn an_import_is_no_oracle_of_other_people_s_keys() {
    let rates = Rates {
        imports: Some("1000/h".parse().unwrap()),
        known_keys: Some("2/m".parse().unwrap()),
        ..Rates::default()
    };
    let world = limited(rates).await;
    let tenants = world.tenants().await;
    let import = |organization: &str, keys: &[&str], dry_run: bool| {
        let key = |text: &&str| {
            let hash = crate::hex(blake3::hash(text.as_bytes()).as_bytes());
            let scope = json!({"organization": organization});
            json!({"name": text, "scope": scope, "grants": ["member"], "algorithm": "blake3", "hash": hash})
        };
        let items: Vec<Value> = keys.iter().map(key).collect();
        json!({"items": items, "dry_run": dry_run})
    };
    let path = "/v1/tokens/import";
    tenants.owner.post(path, import("acme", &["sk_1", "sk_2", "sk_3"], false)).await.expect(200);
    let other = world.node.admin().mint("o", json!({"organization": "other"}), &["owner"]).await;
    let other = world.node.token(&other.secret);
    let told = other.post(path, import("other", &["guess", "sk_1", "sk_2"], true)).await;
    assert_eq!(told.expect(200)["items"][1]["problem"]["code"], "hash_known");
    refused(&other, path, import("other", &["sk_3"], true)).await;
    // Nothing is told from then on, whatever is asked.
    refused(&other, path, import("other", &["guess"], true)).await;
    refused(&other, path, import("other", &["guess"], false)).await;
    // One's own keys are no secret.
    for _ in 0..3 {
        let again = tenants.owner.post(path, import("acme", &["sk_1", "sk_2", "sk_3"], true)).await;
        assert_eq!(again.expect(200)["items"][0]["status"], "known");
    }
    let metrics = world.node.anon().get("/metrics").await.text;
    assert!(metrics.contains("chancery_limited_total{limit=\"known_keys\"} 3"), "{metrics}");
    world.pass(Duration::from_mins(1));
    other.post(path, import("other", &["guess"], true)).await.expect(200);
    // All keys count, whosever they are.
    let many: Vec<String> = (0..900).map(|n| format!("k{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    tenants.owner.post(path, import("acme", &many, true)).await.expect(200);
    refused(&tenants.owner, path, import("acme", &many, true)).await;
}

#[tokio::test]
async fn credentials_that_nobody_has_are_turned_away_by_address() {
    let world = limited(Rates { unknown: Some("2/m".parse().unwrap()), ..Rates::default() }).await;
    let tenants = world.tenants().await;
    for seed in 0..2 {
        world.node.token(&never_issued(seed)).get("/v1/whoami").await.refused(401, "token_unknown");
    }
    world.node.token(&never_issued(2)).get("/v1/whoami").await.refused(429, "rate_limited");
    tenants.owner.get("/v1/whoami").await.expect(200);
}

#[tokio::test]
async fn what_is_narrowed_is_no_new_caller() {
    let world = limited(Rates { mints: Some("8/h".parse().unwrap()), ..Rates::default() }).await;
    let tenants = world.tenants().await;
    let token = world.node.admin().mint("t", json!({"organization": "acme"}), &["member"]).await;
    let holder = world.node.token(&token.secret);
    let child = holder.post("/v1/tokens/narrow", json!({"name": "a"})).await.text_of("secret");
    let child = world.node.token(&child);
    let grandchild = child.post("/v1/tokens/narrow", json!({"name": "b"})).await.text_of("secret");
    let grandchild = world.node.token(&grandchild);
    for n in 0..6 {
        let caller = [&holder, &child, &grandchild][n % 3];
        caller.post("/v1/tokens/narrow", json!({"name": format!("n{n}")})).await.expect(201);
    }
    for caller in [&holder, &child, &grandchild] {
        refused(caller, "/v1/tokens/narrow", json!({"name": "c"})).await;
    }
    tenants.owner.post("/v1/tokens/narrow", json!({"name": "d"})).await.expect(201);
}

#[tokio::test]
async fn mints_identification_and_reports_have_limits_of_their_own() {
    let rate = Some("8/h".parse().unwrap());
    let world = limited(Rates { mints: rate, identify: rate, leaks: rate, ..Rates::default() }).await;
    let tenants = world.tenants().await;
    let (owner, anon) = (&tenants.owner, world.node.anon());
    let mint =
        |n: usize| json!({"name": format!("n{n}"), "scope": {"organization": "acme"}, "grants": ["member"]});
    for n in 0..8 {
        owner.post("/v1/tokens", mint(n)).await.expect(201);
        owner.post("/v1/tokens/identify", json!({"token": "x"})).await.expect(200);
        anon.post("/v1/leaks", json!({"token": "x"})).await.expect(202);
    }
    refused(owner, "/v1/tokens", mint(8)).await;
    refused(owner, "/v1/tokens/narrow", json!({"name": "n"})).await;
    refused(owner, "/v1/tokens/identify", json!({"token": "x"})).await;
    refused(&anon, "/v1/leaks", json!({"token": "x"})).await;
    // What is turned away leaves everything else alone.
    owner.get("/v1/tokens").await.expect(200);
    world.node.admin().post("/v1/tokens", mint(9)).await.expect(201);
    world.pass(Duration::from_mins(8));
    owner.post("/v1/tokens", mint(10)).await.expect(201);
}
