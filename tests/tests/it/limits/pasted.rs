use chancery_tests::{ADMIN, Actor, World};
use serde_json::{Value, json};

/// A secret is put where it does not belong; neither the answer nor the log shows it.
async fn paste(world: &World, actor: &Actor, method: &str, path: &str, body: &Value, secret: &str) -> Value {
    let call = actor.call(method, path);
    let call = if body.is_null() { call } else { call.json(body) };
    let (answer, lines) = world.lines_of(call.send()).await;
    assert!(!answer.text.contains(&secret[12..]), "{method} {path}: {}", answer.text);
    for (name, value) in &answer.headers {
        assert!(!value.to_str().unwrap_or_default().contains(&secret[12..]), "{method} {path}: {name}");
    }
    for line in lines {
        assert!(!line.text.contains(&secret[12..]), "{method} {path}: {}", line.text);
    }
    answer.body
}

#[tokio::test]
async fn a_secret_in_a_text_is_kept_as_its_prefix() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let pasted = tenants.owner.mint("pasted", json!({"organization": "acme"}), &["member"]).await;
    let token = tenants.owner.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let (path, secret) = (format!("/v1/tokens/{}", token.id), &pasted.secret);
    let text = format!("use {secret}!");
    let masked = format!("use {}…!", &secret[..12]);
    for (method, path, body, pointer) in [
        ("PATCH", &*path, json!({"name": text}), "/name"),
        ("PATCH", &path, json!({"description": text}), "/description"),
        ("PATCH", &path, json!({"metadata": {"a": {"b": [text]}}}), "/metadata/a/b/0"),
        ("PATCH", "/v1/organizations/acme", json!({"display_name": text}), "/display_name"),
        ("PATCH", "/v1/organizations/acme/projects/web", json!({"display_name": text}), "/display_name"),
        ("POST", &format!("{path}/revoke"), json!({"note": text}), "/revoked/note"),
    ] {
        let body = paste(&world, &tenants.owner, method, path, &body, secret).await;
        assert_eq!(body.pointer(pointer), Some(&json!(masked)), "{method} {path}: {body}");
    }
    let fields = json!({"metadata": {&**secret: 1}, "name": "key", "scope": {"organization": "acme"}, "grants": ["member"]});
    let body = paste(&world, &tenants.owner, "POST", "/v1/tokens", &fields, secret).await;
    assert_eq!(body["metadata"], json!({format!("{}…", &secret[..12]): 1}));
}

#[tokio::test]
async fn a_secret_in_a_wrong_place_is_not_shown_by_its_refusal() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let token = tenants.owner.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let s = &*token.secret;
    let acme = json!({"organization": "acme"});
    for (method, path, body) in [
        ("GET", format!("/v1/tokens/{s}"), Value::Null),
        ("GET", format!("/v1/organizations/{s}"), Value::Null),
        ("GET", format!("/v1/organizations/acme/projects/{s}"), Value::Null),
        ("GET", format!("/{s}"), Value::Null),
        ("GET", format!("/docs/errors/{s}"), Value::Null),
        ("GET", format!("/v1/tokens?name={s}"), Value::Null),
        ("GET", format!("/v1/tokens?status={s}"), Value::Null),
        ("GET", format!("/v1/tokens?sort={s}"), Value::Null),
        ("GET", format!("/v1/tokens?cursor={s}"), Value::Null),
        ("GET", format!("/v1/tokens?organization={s}"), Value::Null),
        ("GET", format!("/v1/tokens?created_by={s}"), Value::Null),
        ("GET", format!("/v1/tokens?{s}=1"), Value::Null),
        ("GET", format!("/v1/whoami?at_least={s}"), Value::Null),
        ("POST", "/v1/organizations/acme/projects".into(), json!({"name": s})),
        (
            "POST",
            "/v1/tokens".into(),
            json!({"name": "x", "scope": {"organization": s}, "grants": ["member"]}),
        ),
        ("POST", "/v1/tokens".into(), json!({"name": "x", "scope": acme, "grants": [s]})),
        (
            "POST",
            "/v1/tokens".into(),
            json!({"name": "x", "scope": acme, "grants": ["member"], "expires_in": s}),
        ),
        (
            "POST",
            "/v1/tokens".into(),
            json!({"name": "x", "scope": acme, "grants": ["member"], "allowed_networks": [s]}),
        ),
        ("POST", "/v1/tokens".into(), json!({"name": "x", "scope": s, "grants": s})),
        ("POST", "/v1/tokens".into(), json!({s: 1})),
        ("POST", "/v1/tokens".into(), json!(s)),
        ("POST", "/v1/verify".into(), json!({"token": "x", "permission": s})),
        ("POST", "/v1/verify".into(), json!({"token": "x", "organization": s})),
        (
            "POST",
            "/v1/verify".into(),
            json!({"token": s, "project": s, "resource": s, "client": {"agent": s}}),
        ),
        ("POST", "/v1/verify".into(), json!({"token": "x", "client": {"address": s}})),
        ("POST", "/v1/tokens/identify".into(), json!({"token": s, "prefix": s})),
        ("POST", "/v1/tokens/identify".into(), json!({"prefix": s})),
        ("POST", format!("/v1/tokens/{}/rotate", token.id), json!({"overlap": s})),
        ("POST", format!("/v1/tokens/{}/revoke", token.id), json!({"reason": s})),
        ("PATCH", "/v1/instance".into(), json!({"policy": {"answers": s}})),
    ] {
        paste(&world, &tenants.owner, method, &path, &body, s).await;
    }
}

#[tokio::test]
async fn a_secret_in_a_header_is_not_kept() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let token = tenants.owner.mint("t", json!({"organization": "acme"}), &["member"]).await;
    for name in
        ["user-agent", "x-request-id", "idempotency-key", "if-match", "x-forwarded-for", "cookie", "referer"]
    {
        let actor = world.node.anon().with(&token.secret);
        let call = actor.call("POST", "/v1/tokens/narrow").header(name, &token.secret);
        let (answer, lines) = world.lines_of(call.json(&json!({"name": name})).send()).await;
        let shown = answer.text.replace(answer.body["secret"].as_str().unwrap_or("-"), "");
        assert!(!shown.contains(&token.secret[12..]), "{name}: {shown}");
        assert!(lines.iter().all(|line| !line.text.contains(&token.secret[12..])), "{name}");
    }
    let mut connection = world.database.superuser().await;
    let values: Vec<String> =
        sqlx::query_scalar("SELECT value FROM chancery.personal").fetch_all(&mut connection).await.unwrap();
    assert!(values.iter().all(|value| !value.contains(&token.secret[12..])), "{values:?}");
    assert!(
        values.iter().any(|value| value.starts_with(&token.secret[..5])),
        "the agent was masked: {values:?}"
    );
}

#[tokio::test]
async fn the_admin_token_is_masked_or_refused_where_it_was_put_by_mistake() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let token = tenants.owner.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let mint = json!({"name": ADMIN, "scope": {"organization": "acme"}, "grants": ["member"]});
    let change = json!({"description": format!("it is {ADMIN}")});
    let path = format!("/v1/tokens/{}", token.id);
    for (method, path, body) in [
        ("POST", "/v1/tokens", mint),
        ("PATCH", &*path, change),
        ("POST", &format!("{path}/revoke"), json!({"note": ADMIN})),
        ("POST", "/v1/verify", json!({"token": token.secret, "resource": ADMIN})),
        ("POST", "/v1/verify", json!({"token": token.secret, "project": ADMIN})),
        ("POST", "/v1/verify", json!({"token": token.secret, "client": {"agent": ADMIN}})),
        ("POST", "/v1/verify", json!({"token": ADMIN})),
        ("GET", &format!("/v1/organizations/{ADMIN}"), Value::Null),
        ("GET", &format!("/v1/tokens?name={ADMIN}"), Value::Null),
    ] {
        let call = tenants.owner.call(method, path).header("user-agent", ADMIN);
        let call = if body.is_null() { call } else { call.json(&body) };
        let (_, lines) = world.lines_of(call.send()).await;
        assert!(lines.iter().all(|line| !line.text.contains(ADMIN)), "{method} {path}: {lines:?}");
    }
    let mut connection = world.database.superuser().await;
    let values: Vec<String> =
        sqlx::query_scalar("SELECT value FROM chancery.personal").fetch_all(&mut connection).await.unwrap();
    assert!(values.iter().all(|value| !value.contains(ADMIN)), "{values:?}");
}
