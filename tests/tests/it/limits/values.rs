use chancery_tests::{Actor, World};
use serde_json::{Value, json};

async fn field_at_fault(actor: &Actor, method: &str, path: &str, body: &Value) -> String {
    let answer = actor.call(method, path).json(body).send().await;
    let field = answer.refused(422, "invalid_value")["errors"][0]["field"].as_str().unwrap().to_owned();
    assert!(answer.text.len() < 2_000, "long values are not echoed whole: {}", answer.text.len());
    field
}

fn minting(more: &Value) -> Value {
    let mut body = json!({"name": "x", "scope": {"organization": "acme"}, "grants": ["member"]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn texts_have_a_length_and_no_characters_that_forge() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let token = tenants.owner.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let path = format!("/v1/tokens/{}", token.id);
    let forging = [
        "a\u{0}b",
        "a\nb",
        "a\tb",
        "a\u{1b}[31mb",
        "a\u{7f}b",
        "a\u{85}b",
        "a\u{2028}b",
        "a\u{202e}b",
        "a\u{2066}b",
        "\u{feff}a",
    ];
    for (field, most) in [("name", 128), ("description", 1_024)] {
        for bad in
            forging.into_iter().map(str::to_owned).chain(["x".repeat(most + 1), "é".repeat(most / 2 + 1)])
        {
            let body = minting(&json!({field: bad}));
            assert_eq!(field_at_fault(&tenants.owner, "POST", "/v1/tokens", &body).await, field);
            assert_eq!(field_at_fault(&tenants.owner, "PATCH", &path, &json!({field: bad})).await, field);
        }
        let longest = json!({field: "é".repeat(most / 2)});
        tenants.owner.patch(&path, longest).await.expect(200);
    }
    for bad in ["", " ", "\u{3000}"] {
        let body = minting(&json!({"name": bad}));
        assert_eq!(field_at_fault(&tenants.owner, "POST", "/v1/tokens", &body).await, "name");
    }
    for bad in ["x".repeat(1_025), "a\nb".to_owned()] {
        let body = json!({"note": bad});
        assert_eq!(field_at_fault(&tenants.owner, "POST", &format!("{path}/revoke"), &body).await, "note");
    }
    let body = json!({"reason": "because"});
    assert_eq!(field_at_fault(&tenants.owner, "POST", &format!("{path}/revoke"), &body).await, "reason");
    for bad in ["x".repeat(129), "a\nb".to_owned(), "\u{202e}".to_owned()] {
        let body = json!({"display_name": bad});
        assert_eq!(
            field_at_fault(&tenants.owner, "PATCH", "/v1/organizations/acme", &body).await,
            "display_name"
        );
    }
}

#[tokio::test]
async fn questions_have_limits_too() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    for (field, bad) in [
        ("resource", "x".repeat(257)),
        ("resource", "a\nb".to_owned()),
        ("permission", format!("a:{}", "b".repeat(200))),
        ("organization", "x".repeat(129)),
        ("project", "x".repeat(129)),
        ("project", "a\u{0}b".to_owned()),
    ] {
        let body = json!({"token": "a", field: bad});
        assert_eq!(field_at_fault(&tenants.verifier, "POST", "/v1/verify", &body).await, field);
    }
    // A client's agent is what it is: it is cut and cleaned rather than refused.
    let agent = format!("a\u{0}\u{202e}{}", "é".repeat(300));
    let token = tenants.owner.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let body = json!({"token": token.secret, "client": {"agent": agent}});
    let (verdict, lines) = world.lines_of(tenants.verifier.verify_with(body)).await;
    assert_eq!(verdict.code(), "valid");
    let kept = world.database.personal(lines[0].text_at("/client/agent")).await.1;
    assert!(kept.starts_with("aé") && kept.len() <= 256, "{kept}");
    // Any text may be presented as a token: it is looked up, and never kept.
    for token in ["", " ", "a\u{0}b", &"x".repeat(60_000), "ключ"] {
        assert_eq!(tenants.verifier.code_of(token).await, "unknown");
    }
}

#[tokio::test]
async fn metadata_is_an_object_of_at_most_4096_bytes_without_floats() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    for bad in [
        json!({"a": 1.5}),
        json!({"deep": {"list": [1e300]}}),
        json!({"a": "x".repeat(4_096)}),
        json!({"a\u{0}": 1}),
        json!({"a": "b\u{202e}"}),
    ] {
        let body = minting(&json!({"metadata": bad}));
        assert_eq!(field_at_fault(&tenants.owner, "POST", "/v1/tokens", &body).await, "metadata");
    }
    for bad in [json!([]), json!("text"), json!(7)] {
        let body = minting(&json!({"metadata": bad}));
        assert_eq!(field_at_fault(&tenants.owner, "POST", "/v1/tokens", &body).await, "metadata");
    }
    let largest = json!({"a": "x".repeat(4_096 - r#"{"a":""}"#.len())});
    let minted = tenants.owner.mint_with(minting(&json!({"metadata": largest}))).await;
    assert_eq!(minted.body["metadata"], largest);
    let numbers = json!({"least": i64::MIN, "most": u64::MAX, "big": "99999999999999999999"});
    let path = format!("/v1/tokens/{}", minted.id);
    let changed = tenants.owner.patch(&path, json!({"metadata": numbers})).await;
    assert_eq!(changed.expect(200)["metadata"], numbers);
    let body = r#"{"metadata": {"a": 123456789012345678901234567890}}"#;
    tenants.owner.call("PATCH", &path).body(body).send().await.refused(422, "invalid_value");
}

#[tokio::test]
async fn what_is_as_large_as_it_may_be_fits_into_its_line() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let networks: Vec<String> =
        (0..64).map(|n| format!("2001:db8:1111:2222:3333:4444:5555:{:x}/128", 0x6000 + n)).collect();
    let mut grants = Vec::new();
    for n in 0..64 {
        let name = format!("p{n:062}");
        tenants.owner.project("acme", &name).await;
        grants.push(format!("project-reader@{name}"));
    }
    let body = json!({
        "name": "\"".repeat(128), "description": "\\".repeat(1_024), "scope": {"organization": "acme"},
        "grants": grants, "allowed_networks": networks, "metadata": {"a": "\"".repeat(2_000)},
    });
    let minted = world.node.admin().mint_with(body).await;
    let shown = tenants.owner.get(&format!("/v1/tokens/{}", minted.id)).await;
    assert_eq!(shown.expect(200)["grants"].as_array().unwrap().len(), 64);
    let fresh = world.another().await;
    assert_eq!(fresh.difference(&world.node), None);
}
