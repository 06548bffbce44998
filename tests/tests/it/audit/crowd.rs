//! Auditors who ask for much, and readers who take nothing: the rest does not wait for them.

use chancery_tests::{ADMIN, Actor, Database, TestNode, World, eventually_async, within};
use eventlog::Settings;
use serde_json::json;
use sqlx::{Connection as _, Executor as _};
use std::time::Duration;

/// Connections of auditors.
const APART: u32 = 2;

/// A node on which auditors have few connections, and little time on each.
async fn world() -> World {
    World::with(|options| {
        let apart_timeout = Duration::from_millis(500);
        let settings = Settings { apart_connections: APART, apart_timeout, ..options.settings };
        chancery_tests::NodeOptions { settings, ..options }
    })
    .await
}

/// How many of the auditors' statements are under way.
async fn under_way(database: &Database) -> i64 {
    let mut connection = database.superuser().await;
    let count = sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND state = 'active' AND query LIKE '%audit_events AS event%'
           AND pid <> pg_backend_pid()",
    );
    let count = count.fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_slow_audits_takes_no_connection_from_the_rest_and_ends_in_time() {
    let world = world().await;
    let tenants = world.tenants().await;
    let token = tenants.owner.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let mut blocking = world.database.superuser().await;
    // No statement could be slower than one that waits for ever.
    let lock = "BEGIN; LOCK TABLE chancery_views.audit_events IN ACCESS EXCLUSIVE MODE";
    blocking.execute(lock).await.unwrap();
    let ask = |actor: &Actor| {
        let call = actor.call("GET", "/v1/audit/events");
        tokio::spawn(async move { call.send().await.status })
    };
    let asked: Vec<_> = (0..12).map(|_| ask(&tenants.owner)).collect();
    let full = async || (under_way(&world.database).await == i64::from(APART)).then_some(());
    eventually_async("the auditors' connections to be taken", full).await;
    for _ in 0..3 {
        tenants.owner.get("/v1/tokens").await.expect(200);
        assert_eq!(tenants.verifier.code_of(&token.secret).await, "valid");
        assert!(under_way(&world.database).await <= i64::from(APART));
    }
    for asked in asked {
        assert_eq!(within("an answer", asked).await.unwrap(), 503);
    }
    let gone = ask(&tenants.owner);
    eventually_async("it to be under way", async || (under_way(&world.database).await > 0).then_some(()))
        .await;
    gone.abort();
    eventually_async("what nobody waits for to end", async || {
        (under_way(&world.database).await == 0).then_some(())
    })
    .await;
    blocking.execute("ROLLBACK").await.unwrap();
    tenants.owner.get("/v1/audit/events").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_with_many_tokens_leaves_streams_to_the_others() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let mut streams = Vec::new();
    for number in 0..8 {
        let auditor =
            tenants.owner.mint(&format!("a{number}"), json!({"organization": "acme"}), &["auditor"]).await;
        for _ in 0..8 {
            streams.push(world.node.token(&auditor.secret).call("GET", "/v1/audit/stream").stream().await);
        }
    }
    tenants.owner.get("/v1/audit/stream").await.refused(429, "rate_limited");
    let other = world.node.admin().mint("o", json!({"organization": "other"}), &["auditor"]).await;
    streams.push(world.node.token(&other.secret).call("GET", "/v1/audit/stream").stream().await);
    assert_eq!(open_streams(&world).await, streams.len().to_string());
}

/// Reads a stream's first piece, and hands back what reads the others.
async fn begin(node: &TestNode, query: &str) -> (reqwest::Response, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.get(format!("{}/v1/audit/stream{query}", node.url())).bearer_auth(ADMIN);
    let mut response = request.send().await.unwrap();
    let first = within("the first piece", response.chunk()).await.unwrap().unwrap();
    (response, String::from_utf8(first.to_vec()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_finds_nothing_for_long_says_how_far_it_is() {
    let world = World::with(|options| {
        let settings = Settings { apart_connections: 1, ..options.settings };
        chancery_tests::NodeOptions { settings, ..options }
    })
    .await;
    let tenants = world.tenants().await;
    // More commits than a page has.
    for _ in 0..250 {
        tenants.owner.get("/v1/whoami").await.expect(200);
    }
    let size = world.database.size().await;
    // The stream waits for the one connection.
    let held = world.node.node().audit_log().pool().acquire().await.unwrap();
    let query = format!("?type=MemberRemoved&from_position=0&until_position={size}");
    let (response, _) = begin(&world.node, &query).await;
    world.pass(Duration::from_secs(16));
    drop(held);
    let rest = within("the end", response.text()).await.unwrap();
    let ids: Vec<u64> = rest.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect();
    assert!(ids.len() == 1 && (1..size - 1).contains(&ids[0]), "{rest}");
    assert!(rest.starts_with(&format!(": at position {}\n", ids[0])), "{rest}");
    // Whoever comes again with it goes on there.
    let again = world.node.admin().call("GET", &format!("/v1/audit/stream{query}&uses=true"));
    let again = again.header("last-event-id", ids[0].to_string()).send().await;
    assert!(again.text.contains(&format!("from position {}", ids[0] + 1)), "{}", again.text);
}

async fn open_streams(world: &World) -> String {
    let metrics = world.node.anon().get("/metrics").await.text;
    let line = metrics.lines().find(|line| line.starts_with("chancery_audit_streams "));
    line.unwrap().rsplit(' ').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_keeps_its_window_shut_loses_its_seat() {
    let world = World::new().await;
    world.tenants().await;
    let address = world.node.url().strip_prefix("http://").unwrap().to_owned();
    let socket = tokio::net::TcpStream::connect(&address).await.unwrap();
    // One byte, and then no more: the connection lives, and nothing can be sent on the stream.
    let (mut requests, connection) =
        h2::client::Builder::new().initial_window_size(1).handshake::<_, bytes::Bytes>(socket).await.unwrap();
    tokio::spawn(connection);
    let request =
        http::Request::get(format!("{}/v1/audit/stream?from_position=0&uses=true", world.node.url()))
            .header("authorization", format!("Bearer {ADMIN}"))
            .body(())
            .unwrap();
    let (answer, _) = requests.send_request(request, true).unwrap();
    let answer = within("the head", answer).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(open_streams(&world).await, "1");
    eventually_async("the seat to be free", async || {
        // Whatever the server still had in the making, nobody takes the next piece for so long.
        world.pass(Duration::from_secs(31));
        (open_streams(&world).await == "0").then_some(())
    })
    .await;
    // Whoever opens it again is told why there is no more.
    let mut body = answer.into_body();
    let mut text = Vec::new();
    while let Some(piece) = within("a piece", body.data()).await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        text.extend_from_slice(&piece);
    }
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("event: end") && text.contains("\"too_slow\""), "{text}");
}
