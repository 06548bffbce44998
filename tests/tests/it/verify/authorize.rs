use crate::{damaged, never_issued};
use chancery_tests::{Actor, Answer, World};
use serde_json::json;

const HEADERS: [&str; 10] = [
    "chancery-token-id",
    "chancery-token-name",
    "chancery-token-prefix",
    "chancery-token-organization",
    "chancery-token-organization-id",
    "chancery-token-project",
    "chancery-token-project-id",
    "chancery-token-grants",
    "chancery-token-expires-at",
    "chancery-token-created-by",
];

async fn ask(proxy: &str, client: &Actor, query: &str) -> Answer {
    let call = client.call("GET", &format!("/v1/authorize?{query}"));
    call.header("chancery-caller", format!("Bearer {proxy}")).send().await
}

#[tokio::test]
async fn a_reverse_proxy_is_told_in_headers_that_are_always_set() {
    let world = World::new().await;
    world.tenants().await;
    let admin = world.node.admin();
    let acme = json!({"organization": "acme"});
    let proxy = admin.mint("proxy", acme.clone(), &["verifier"]).await.secret;
    let web = json!({"organization": "acme", "project": "web"});
    let body =
        json!({"name": "näme\u{1f511} 100%", "scope": web, "grants": ["project-writer"], "expires_in": "1h"});
    let full = admin.mint_with(body).await;
    let answer = ask(&proxy, &world.node.token(&full.secret), "permission=deployments:create").await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert_eq!(answer.header("cache-control"), "no-store");
    let expected = [
        full.id.as_str(),
        "n%C3%A4me%F0%9F%94%91 100%25",
        &full.secret[..12],
        "acme",
        full.body["organization_id"].as_str().unwrap(),
        "web",
        full.body["project_id"].as_str().unwrap(),
        "project-writer",
        full.body["expires_at"].as_str().unwrap(),
        "admin-token",
    ];
    assert_eq!(HEADERS.map(|name| answer.header(name)), expected);
    let plain = admin.mint("plain", acme, &["member", "verifier"]).await;
    let answer = ask(&proxy, &world.node.token(&plain.secret), "").await;
    assert_eq!(answer.status, 204);
    for name in HEADERS {
        assert!(answer.headers.contains_key(name), "{name} overwrites what a client sends");
    }
    assert_eq!((answer.header(HEADERS[5]), answer.header(HEADERS[8])), ("", ""));
    assert_eq!(answer.header("chancery-token-grants"), "member,verifier");
}

#[tokio::test]
async fn a_reverse_proxys_client_is_refused_with_401_or_403() {
    let world = World::new().await;
    world.tenants().await;
    let admin = world.node.admin();
    let proxy = admin.mint("proxy", json!({"organization": "acme"}), &["verifier"]).await.secret;
    let web = json!({"organization": "acme", "project": "web"});
    let token = admin.mint("t", web.clone(), &["project-reader"]).await;
    let gone = admin.mint("gone", web, &["project-reader"]).await;
    admin.revoke(&gone.id).await;
    let foreign = admin.mint("f", json!({"organization": "other"}), &["member"]).await;
    let as_client = |secret: &str| world.node.token(secret);
    for (secret, query, status, code) in [
        (&*token.secret, "permission=deployments:create", 403, "forbidden"),
        (&token.secret, "project=api", 403, "forbidden"),
        (&gone.secret, "", 401, "token_revoked"),
        (&foreign.secret, "", 401, "token_unknown"),
        (&never_issued(1), "", 401, "token_unknown"),
        (&damaged(&token.secret), "", 401, "token_malformed"),
    ] {
        let answer = ask(&proxy, &as_client(secret), query).await;
        answer.refused(status, code);
        assert_eq!(answer.header("www-authenticate").is_empty(), status != 401);
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    ask(&proxy, &world.node.anon(), "").await.refused(401, "unauthenticated");
    // What is wrong with the proxy itself must not look like its client's fault.
    as_client(&token.secret).get("/v1/authorize").await.refused(503, "caller_refused");
    ask(&gone.secret, &as_client(&token.secret), "").await.refused(503, "caller_refused");
    ask(&token.secret, &as_client(&token.secret), "").await.refused(503, "caller_refused");
    ask(&proxy, &as_client(&token.secret), "nonsense=1").await.refused(422, "unknown_field");
}

#[tokio::test]
async fn a_reverse_proxy_names_its_clients_address_in_a_header_of_its_own() {
    let world = World::new().await;
    world.tenants().await;
    let admin = world.node.admin();
    let proxy = admin.mint("proxy", json!({"organization": "acme"}), &["verifier"]).await.secret;
    let scope = json!({"organization": "acme"});
    let body = json!({"name": "t", "scope": scope, "grants": ["member"], "allowed_networks": ["10.0.0.0/8"]});
    let token = admin.mint_with(body).await;
    let client = world.node.token(&token.secret);
    ask(&proxy, &client, "").await.refused(401, "address_denied");
    assert_eq!(ask(&proxy, &client.header("chancery-client-address", "10.1.2.3"), "").await.status, 204);
    let outside = client.header("chancery-client-address", "11.1.2.3");
    ask(&proxy, &outside, "").await.refused(401, "address_denied");
    let broken = client.header("chancery-client-address", "10.1.2");
    ask(&proxy, &broken, "").await.refused(422, "invalid_value");
}
