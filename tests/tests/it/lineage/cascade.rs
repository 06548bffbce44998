use chancery_tests::{Actor, Binary, Database, Minted, NodeOptions, eventually, eventually_async, scale};
use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::{Value, json};

fn acme() -> Value {
    json!({"organization": "acme"})
}

/// A token that minted so many, every tenth of which minted one more.
async fn family(admin: &Actor, children: usize) -> (Minted, Vec<Minted>) {
    let root = admin.mint("root", acme(), &["admin"]).await;
    let by_root = admin.with(&root.secret);
    let children: Vec<Minted> = stream::iter(0..children)
        .map(|n| {
            let by_root = by_root.clone();
            async move { by_root.mint(&format!("child-{n}"), acme(), &["admin"]).await }
        })
        .buffer_unordered(64)
        .collect()
        .await;
    let mut all = Vec::new();
    for (n, child) in children.into_iter().enumerate() {
        if n % 10 == 0 {
            all.push(admin.with(&child.secret).mint(&format!("below-{n}"), acme(), &["member"]).await);
        }
        all.push(child);
    }
    (root, all)
}

async fn codes(verifier: &Actor, tokens: &[Minted]) -> Vec<String> {
    let mut codes = Vec::new();
    for some in tokens.chunks(1_000) {
        let items: Vec<Value> = some.iter().map(|token| json!({"token": token.secret})).collect();
        let answer = verifier.post("/v1/verify/batch", json!({"items": items})).await;
        let items = answer.expect(200)["items"].as_array().unwrap().clone();
        codes.extend(items.iter().map(|item| item["code"].as_str().unwrap().to_owned()));
    }
    codes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cascade_ends_every_descendant_with_one_line_on_every_node() {
    let database = Database::new().await;
    let (one, two) = (NodeOptions::on(&database).start().await, NodeOptions::on(&database).start().await);
    let admin = one.admin();
    admin.organization("acme").await;
    let verifier = admin.mint("gateway", acme(), &["verifier"]).await;
    let (root, below) = family(&admin, scale::pick(1_200, 20_000)).await;
    let before = database.size().await;
    let path = format!("/v1/tokens/{}/revoke", root.id);
    admin.post(&path, json!({"cascade": true, "reason": "leaked"})).await.expect(200);
    // Acknowledged: wherever it is asked, nothing below is valid any more.
    for node in [&one, &two] {
        let codes = codes(&node.token(&verifier.secret), &below).await;
        assert!(codes.iter().all(|code| code == "revoked"));
    }
    let changes = database.entries_from(before).await.into_iter().filter(|entry| !entry.is_use());
    assert_eq!(changes.map(|entry| entry.kind).collect::<Vec<_>>(), ["TokenRevoked"]);
    for token in [&below[0], &below[below.len() / 2], &below[below.len() - 1]] {
        let shown = two.admin().get(&format!("/v1/tokens/{}", token.id)).await;
        assert_eq!(shown.expect(200)["revoked"]["cause"], root.id.as_str());
        assert_eq!(
            (&shown.body["status"], &shown.body["revoked"]["reason"]),
            (&json!("revoked"), &json!("leaked"))
        );
    }
    let listed = admin.get("/v1/tokens?organization=acme&limit=10").await;
    assert_eq!(listed.expect(200)["items"].as_array().unwrap().len(), 1, "only the verifier lives");
    // Every name is free again.
    let name = below[below.len() - 1].body["name"].as_str().unwrap().to_owned();
    admin.mint(&name, acme(), &["member"]).await;
    // Again, it changes nothing.
    let before = database.size().await;
    admin.post(&path, json!({"cascade": true})).await.expect(200);
    assert!(database.entries_from(before).await.iter().all(chancery_tests::Entry::is_use));
    eventually("the marking to end", || !one.state(domain::state::State::is_marking)).await;
    two.catches_up_with(&one).await;
    assert_eq!(one.difference(&two), None);
    eventually("the marking to end elsewhere", || !two.state(domain::state::State::is_marking)).await;
    assert_eq!(one.difference(&two), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_killed_in_a_cascade_comes_back_with_all_of_it_or_nothing() {
    let database = Database::new().await;
    let mut binary = Binary::over(&database.url());
    binary.start().await;
    let admin = binary.admin();
    admin.organization("acme").await;
    let verifier = admin.mint("gateway", acme(), &["verifier"]).await;
    let seed = chancery_tests::Seed::new();
    let choices = seed.choices();
    let mut kept = 0;
    for round in 0..scale::pick(3, 20) {
        let (root, below) = family(&binary.admin(), scale::pick(700, 3_000)).await;
        let path = format!("/v1/tokens/{}/revoke", root.id);
        let asked = tokio::spawn({
            let call = binary.admin().call("POST", &path).json(&json!({"cascade": true}));
            async move { call.try_send().await.is_ok_and(|answer| answer.status == 200) }
        });
        tokio::time::sleep(std::time::Duration::from_micros(choices.below(6_000))).await;
        binary.kill().await;
        let was_acknowledged = asked.await.unwrap();
        binary.start().await;
        eventually_async("the node to be ready", async || {
            let ready = binary.anon().call("GET", "/readyz").try_send().await.ok()?;
            (ready.status == 204).then_some(())
        })
        .await;
        let gateway = binary.anon().with(&verifier.secret);
        let codes = codes(&gateway, &below).await;
        let is_ended = codes[0] == "revoked";
        assert!(codes.iter().all(|code| (code == "revoked") == is_ended), "all or nothing, round {round}");
        assert!(is_ended || !was_acknowledged, "what was acknowledged is there");
        kept += usize::from(is_ended);
        // Asked once more, whatever came of it, it is done.
        binary.admin().post(&path, json!({"cascade": true})).await.expect(200);
        assert!(self::codes(&gateway, &below).await.iter().all(|code| code == "revoked"));
    }
    scale::figures("cascade", &format!("{kept} of the cascades were on the log when the node was killed"));
    assert!(binary.terminate().await.status.success());
}
