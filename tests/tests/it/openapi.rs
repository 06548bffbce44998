//! The documented surface: what the document says, that each of its routes is tested, and the pages around it.

use crate::authority::routes::routes;
use api::edge::codes::CODES;
use chancery_tests::World;
use std::collections::BTreeSet;

/// Routes that the table of those with one credential does not hold, with the suite that exercises each.
const OTHERS: [(&str, &str); 5] = [
    ("GET", "/v1/authorize"),
    ("POST", "/v1/leaks"),
    ("POST", "/v1/invitations/accept"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
];

#[tokio::test]
async fn the_document_is_this() {
    let world = World::new().await;
    let answer = world.node.anon().get("/openapi.json").await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.expect(200), &api::document());
    insta::assert_json_snapshot!("openapi", answer.body);
}

#[test]
fn every_route_of_the_document_is_exercised() {
    let document = api::document();
    let documented: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, operations)| {
            let methods = operations.as_object().unwrap().keys();
            methods.map(|method| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
        })
        .collect();
    let exercised: BTreeSet<(String, String)> = routes()
        .iter()
        .map(|route| (route.method, route.template))
        .chain(OTHERS)
        .map(|(method, path)| (method.to_owned(), path.to_owned()))
        .collect();
    assert_eq!(documented, exercised);
}

#[test]
fn every_operation_is_described() {
    let document = api::document();
    let mut ids = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let said = |field: &str| operation[field].as_str().is_some_and(|text| !text.trim().is_empty());
            assert!(said("summary") && said("description"), "{method} {path}");
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{method} {path}");
            assert!(!operation["responses"].as_object().unwrap().is_empty(), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_error_code_has_a_page_that_needs_nothing_from_elsewhere() {
    let world = World::new().await;
    let anon = world.node.anon();
    let index = anon.get("/docs/errors").await;
    for code in CODES {
        let page = anon.get(&code.url()).await;
        assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
        assert!(page.text.contains(code.code) && index.text.contains(code.code), "{}", code.code);
        assert!(!page.text.contains("src=") && !page.text.contains("http:"), "{}", code.code);
    }
    anon.get("/docs/errors/nonsense").await.refused(404, "not_found");
}

/// Whether an attribute names a script or a style.
fn is_file(text: &str) -> bool {
    let extension = std::path::Path::new(text).extension();
    extension.is_some_and(|extension| extension == "js" || extension == "css")
}

#[tokio::test]
async fn the_reference_works_without_a_connection_to_anywhere() {
    let world = World::new().await;
    let anon = world.node.anon();
    let page = anon.get("/docs/").await;
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"), "{policy}");
    let attributes = page.text.split(['"', '\'']).filter(|text| is_file(text));
    let mut found = 0;
    for file in attributes {
        assert!(!file.contains("//"), "{file} comes from elsewhere");
        let file = anon.get(&format!("/docs/{}", file.trim_start_matches("./"))).await;
        assert_eq!(file.status, 200);
        found += 1;
    }
    assert!(found >= 2, "scripts and styles: {}", page.text);
    let moved = anon.get("/docs").await;
    assert!(matches!(moved.status, 200 | 303 | 307 | 308), "{}", moved.status);
}

#[tokio::test]
async fn health_and_metrics_need_no_credential_and_name_no_tenant() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    tenants.owner.get("/v1/organizations/acme").await.expect(200);
    let anon = world.node.anon();
    for path in ["/healthz", "/readyz"] {
        let answer = anon.get(path).await;
        assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{path}");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    let metrics = anon.get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"));
    for name in [
        "chancery_http_requests_total",
        "chancery_log_lines_total",
        "chancery_log_staleness_seconds",
        "chancery_tokens",
    ] {
        assert!(metrics.text.contains(&format!("\n{name}")), "{name}: {}", metrics.text);
    }
    assert!(metrics.text.contains("route=\"/v1/organizations/{organization}\""), "{}", metrics.text);
    for tenant in ["acme", "gateway", "chyo_"] {
        assert!(!metrics.text.contains(tenant), "{tenant}");
    }
}
