use chancery_tests::{World, raw};
use serde_json::json;

#[tokio::test]
async fn bodies_have_a_limit_of_their_own_for_batches() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let padded = |prefix: &str, bytes: usize, suffix: &str| {
        let mut body = prefix.as_bytes().to_vec();
        body.resize(bytes - suffix.len(), b' ');
        body.extend_from_slice(suffix.as_bytes());
        body
    };
    let send = |path: &'static str, body: Vec<u8>| tenants.verifier.call("POST", path).body(body).send();
    let (whole, more) = (64 * 1024, 64 * 1024 + 1);
    send("/v1/verify", padded(r#"{"token":"a""#, whole, "}")).await.expect(200);
    send("/v1/verify", padded(r#"{"token":"a""#, more, "}")).await.refused(413, "body_too_large");
    let items = r#"{"items":[{"token":"a"}]"#;
    send("/v1/verify/batch", padded(items, 16 * whole, "}")).await.expect(200);
    send("/v1/verify/batch", padded(items, 16 * whole + 1, "}")).await.refused(413, "body_too_large");
}

#[tokio::test]
async fn what_is_not_json_is_400_and_what_does_not_fit_is_422() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let nested = format!(
        r#"{{"name":"x","scope":{{"organization":"acme"}},"grants":["member"],"metadata":{{"a":{deep}}}}}"#
    );
    for (body, status, code) in [
        (&b""[..], 400, "malformed_json"),
        (b"{", 400, "malformed_json"),
        (
            b"{\"name\": \"x\", \"scope\": {\"organization\": \"acme\"}, \"grants\": [\"member\"]} {}",
            400,
            "malformed_json",
        ),
        (b"{'name': 1}", 400, "malformed_json"),
        (b"{\"name\": \"\xff\xfe\"}", 400, "malformed_json"),
        (b"{\"name\": \"\\ud800\"}", 400, "malformed_json"),
        (b"\xef\xbb\xbf{}", 400, "malformed_json"),
        (nested.as_bytes(), 400, "malformed_json"),
        (b"null", 422, "invalid_value"),
        (b"[]", 422, "invalid_value"),
        (b"\"text\"", 422, "invalid_value"),
        (b"{}", 422, "invalid_value"),
        (b"{\"name\": 7}", 422, "invalid_value"),
        (b"{\"name\": null}", 422, "invalid_value"),
        (b"{\"name\": [\"x\"]}", 422, "invalid_value"),
        (b"{\"name\": \"x\", \"name\": \"y\"}", 422, "invalid_value"),
        (b"{\"name\": \"x\", \"grant\": []}", 422, "unknown_field"),
        (b"{\"name\": \"x\", \"scope\": {\"org\": \"acme\"}}", 422, "unknown_field"),
    ] {
        let answer = tenants.owner.call("POST", "/v1/tokens").body(body).send().await;
        let problem = answer.refused(status, code);
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_body_has_to_be_said_to_be_json() {
    let world = World::new().await;
    let admin = world.node.admin();
    let send = async |kind: Option<&str>| {
        let name = crate::hex(kind.unwrap_or_default().as_bytes());
        let body = json!({"name": &name[name.len().saturating_sub(60)..]}).to_string();
        let head = kind.map(|kind| format!("content-type: {kind}\r\n")).unwrap_or_default();
        let request = format!(
            "POST /v1/organizations HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n{head}\
             content-length: {}\r\n\r\n{body}",
            chancery_tests::ADMIN,
            body.len(),
        );
        raw(world.node.url(), request.as_bytes()).await
    };
    for good in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/merge-patch+json",
    ] {
        let answer = send(Some(good)).await;
        assert!(answer.starts_with("HTTP/1.1 201"), "{good}: {answer}");
    }
    for bad in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("application/jsonx"),
        Some("json"),
    ] {
        let answer = send(bad).await;
        assert!(
            answer.starts_with("HTTP/1.1 415") && answer.contains("unsupported_media_type"),
            "{bad:?}: {answer}"
        );
    }
    admin.get("/v1/whoami").await.expect(200);
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there_are_problems_too() {
    let world = World::new().await;
    let admin = world.node.admin();
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v2/tokens",
        "/v1/token",
        "/v1/tokens/",
        "/v1/organizations/acme/tokens",
        "/v1/%00",
    ] {
        admin.get(path).await.refused(404, "no_such_route");
    }
    for (method, path, allowed) in [
        ("PUT", "/v1/tokens", "GET"),
        ("DELETE", "/v1/organizations", "POST"),
        ("GET", "/v1/verify", "POST"),
        ("POST", "/v1/whoami", "GET"),
        ("BREW", "/v1/instance", "PATCH"),
    ] {
        let answer = admin.call(method, path).send().await;
        answer.refused(405, "method_not_allowed");
        assert!(answer.header("allow").contains(allowed), "{method} {path}: {}", answer.header("allow"));
    }
    let head = admin.call("HEAD", "/v1/whoami").send().await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
}

#[tokio::test]
async fn heads_that_are_too_large_or_broken_are_refused_and_serving_goes_on() {
    let world = World::new().await;
    let get =
        |headers: &str| format!("GET /v1/whoami HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
    for (request, status) in [
        (get(&format!("a: {}\r\n", "a".repeat(64 * 1024))), "431"),
        (get(&"a: b\r\n".repeat(150)), "431"),
        (format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(70_000)), "4"),
        ("nonsense\r\n\r\n".to_owned(), "400"),
        ("GET /v1/whoami HTTP/9.9\r\n\r\n".to_owned(), "4"),
        (get("broken header\r\n"), "400"),
        (get("content-length: 1\r\ncontent-length: 2\r\n"), "400"),
        (get("transfer-encoding: chunked\r\ncontent-length: 5\r\n"), "4"),
        (get("content-length: -1\r\n"), "400"),
    ] {
        let answer = raw(world.node.url(), request.as_bytes()).await;
        let expected = format!("HTTP/1.1 {status}");
        // A head that is far too large may be answered by nothing but the end of the connection.
        assert!(
            answer.is_empty() || answer.starts_with(&expected),
            "{status}: {}",
            &answer[..answer.len().min(300)]
        );
    }
    let answer = raw(world.node.url(), get("").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("unauthenticated"), "{answer}");
}

#[tokio::test]
async fn every_answer_has_an_id_and_is_not_to_be_sniffed_or_kept() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let mut ids = std::collections::BTreeSet::new();
    for (actor, path) in [
        (&tenants.owner, "/v1/whoami"),
        (&tenants.owner, "/v1/instance"),
        (&world.node.anon(), "/v1/whoami"),
        (&world.node.anon(), "/nowhere"),
        (&world.node.anon(), "/healthz"),
    ] {
        let answer = actor.get(path).await;
        assert!(ids.insert(answer.header("x-request-id").to_owned()), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
    }
    assert!(!ids.contains(""));
}
