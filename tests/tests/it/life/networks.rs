use chancery_tests::{NodeOptions, World};
use serde_json::{Value, json};

async fn bound(world: &World, networks: Value) -> chancery_tests::Minted {
    world
        .node
        .admin()
        .mint_with(json!({
            "name": "bound", "scope": {"organization": "acme"}, "grants": ["owner"],
            "allowed_networks": networks,
        }))
        .await
}

#[tokio::test]
async fn a_bound_token_is_valid_only_from_an_address_that_is_known_and_inside() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let minted = bound(&world, json!(["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"])).await;
    for (client, code) in [
        (json!({"address": "10.0.0.0"}), "valid"),
        (json!({"address": "10.255.255.255"}), "valid"),
        (json!({"address": "11.0.0.0"}), "address_denied"),
        (json!({"address": "192.0.2.7"}), "valid"),
        (json!({"address": "192.0.2.8"}), "address_denied"),
        (json!({"address": "2001:db8:ffff::1"}), "valid"),
        (json!({"address": "2001:db9::1"}), "address_denied"),
        (json!({"address": "::ffff:10.1.2.3"}), "valid"),
        (json!({"agent": "curl/8"}), "address_denied"),
        (Value::Null, "address_denied"),
    ] {
        let question = json!({"token": minted.secret, "client": client});
        assert_eq!(tenants.verifier.verify_with(question).await.code(), code, "{client}");
    }
    for address in ["10.0.0", "localhost", "10.0.0.1:80", "", "10.0.0.0/8"] {
        let question = json!({"token": minted.secret, "client": {"address": address}});
        let refused = tenants.verifier.post("/v1/verify", question).await;
        assert_eq!(refused.refused(422, "invalid_value")["errors"][0]["field"], "client.address");
    }
}

#[tokio::test]
async fn networks_bind_calls_to_the_api_as_well() {
    let world = World::new().await;
    world.tenants().await;
    let outside = bound(&world, json!(["10.0.0.0/8"])).await;
    let holder = world.node.token(&outside.secret);
    holder.get("/v1/whoami").await.refused(401, "address_denied");
    // Nobody is believed who is no trusted proxy.
    let claiming = holder.header("x-forwarded-for", "10.1.2.3");
    claiming.get("/v1/whoami").await.refused(401, "address_denied");
    world.node.admin().revoke(&outside.id).await;
    let inside = bound(&world, json!(["127.0.0.0/8"])).await;
    world.node.token(&inside.secret).get("/v1/whoami").await.expect(200);
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_client_is_who_the_proxy_saw() {
    let trusting = |options| NodeOptions {
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap(), "10.9.0.0/16".parse().unwrap()],
        ..options
    };
    let world = World::with(trusting).await;
    world.tenants().await;
    let minted = bound(&world, json!(["10.0.0.0/8"])).await;
    let holder = world.node.token(&minted.secret);
    for (name, value, status) in [
        ("x-forwarded-for", "10.1.2.3", 200),
        ("x-forwarded-for", "10.1.2.3, 10.9.0.1", 200),
        ("x-forwarded-for", "10.1.2.3, 192.0.2.1", 401),
        ("x-forwarded-for", "192.0.2.1, 10.1.2.3", 200),
        ("x-forwarded-for", "unknown", 401),
        ("forwarded", "for=10.1.2.3;proto=https", 200),
        ("forwarded", "for=192.0.2.1", 401),
        ("x-real-ip", "10.1.2.3", 401),
    ] {
        let answer = holder.header(name, value).get("/v1/whoami").await;
        assert_eq!(answer.status, status, "{name}: {value}");
    }
    let (_, lines) = world.lines_of(holder.header("x-forwarded-for", "10.1.2.3").get("/v1/whoami")).await;
    let commitment = lines[0].text_at("/actor/address");
    assert_eq!(world.database.personal(commitment).await, ("address".to_owned(), "10.1.2.3".to_owned()));
}

#[tokio::test]
async fn networks_that_cannot_be_are_refused() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let many: Vec<String> = (0..65).map(|n| format!("10.0.{n}.0/24")).collect();
    for networks in [json!(["10.0.0.0/33"]), json!(["everywhere"]), json!([""]), json!(many)] {
        let body = json!({
            "name": "x", "scope": {"organization": "acme"}, "grants": ["member"], "allowed_networks": networks,
        });
        let refused = tenants.owner.post("/v1/tokens", body).await;
        assert_eq!(refused.refused(422, "invalid_value")["errors"][0]["field"], "allowed_networks");
    }
}
