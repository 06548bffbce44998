use chancery_tests::{ADMIN, Actor, Sse, World, within};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

async fn open(actor: &Actor, query: &str) -> Sse {
    actor.call("GET", &format!("/v1/audit/stream{query}")).stream().await
}

#[tokio::test]
async fn a_stream_from_the_beginning_is_the_log() {
    let world = World::new().await;
    world.tenants().await;
    let size = world.database.size().await;
    let query = format!("?uses=true&from_position=0&until_position={size}");
    let all = within("the stream", open(&world.node.admin(), &query).await.rest()).await;
    let entries = world.database.entries().await;
    let of_log: Vec<_> =
        entries.iter().take(all.len()).map(|entry| (Some(entry.position), entry.kind.clone())).collect();
    assert_eq!(all.iter().map(|event| (event.id, event.event.clone())).collect::<Vec<_>>(), of_log);
    assert_eq!(all.len() as u64, size);
    assert!(all.iter().zip(&entries).all(|(event, entry)| event.data["line"] == entry.line));
}

#[tokio::test]
async fn what_happens_arrives_filtered_and_the_last_id_goes_on() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let mut live = open(&tenants.owner, "?type=TokenMinted,TokenRevoked").await;
    let acme = || json!({"organization": "acme"});
    let token = tenants.owner.mint("t", acme(), &["member"]).await;
    world.node.admin().mint("elsewhere", json!({"organization": "other"}), &["member"]).await;
    tenants.owner.revoke(&token.id).await;
    let minted = within("an event", live.next()).await.unwrap();
    assert_eq!((minted.event.as_str(), &minted.data["line"]["token"]), ("TokenMinted", &json!(token.id)));
    let address = minted.data["line"]["actor"]["address"].as_str().unwrap();
    assert_eq!(minted.data["personal"][address], "127.0.0.1");
    let revoked = within("an event", live.next()).await.unwrap();
    assert_eq!(revoked.event, "TokenRevoked");
    drop(live);
    let again = tenants.owner.call("GET", "/v1/audit/stream?from_position=0&address=127.0.0.1");
    let mut again = again.header("last-event-id", minted.id.unwrap().to_string()).stream().await;
    assert_eq!(within("an event", again.next()).await, Some(revoked));
    let bad = tenants.owner.call("GET", "/v1/audit/stream").header("last-event-id", "x").send().await;
    bad.refused(422, "invalid_value");
}

#[tokio::test]
async fn a_stream_ends_with_its_token_and_shows_nothing_after_it() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let admin = world.node.admin();
    let mint = async |name: &str| admin.mint(name, json!({"organization": "acme"}), &["auditor"]).await;
    let (revoked, regranted, expiring) = (mint("r").await, mint("g").await, mint("e").await);
    let expires = json!({"expires_in": "1h"});
    admin.patch(&format!("/v1/tokens/{}", expiring.id), expires).await.expect(200);
    let mut streams = Vec::new();
    for token in [&revoked, &regranted, &expiring] {
        streams.push(open(&world.node.token(&token.secret), "?type=ProjectCreated").await);
    }
    tenants.owner.revoke(&revoked.id).await;
    tenants
        .owner
        .patch(&format!("/v1/tokens/{}", regranted.id), json!({"grants": ["member"]}))
        .await
        .expect(200);
    world.pass(Duration::from_hours(1));
    tenants.owner.project("acme", "late").await;
    for (stream, code) in streams.into_iter().zip(["token_revoked", "forbidden", "token_expired"]) {
        let all = within("the end", stream.rest()).await;
        let ends: Vec<_> =
            all.iter().map(|event| (event.event.as_str(), event.data["code"].as_str())).collect();
        assert_eq!(ends, [("end", Some(code))]);
    }
}

#[tokio::test]
async fn one_caller_has_so_many_streams_and_a_node_that_stops_ends_them() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(open(&tenants.owner, "").await);
    }
    tenants.owner.get("/v1/audit/stream").await.refused(429, "rate_limited");
    let other = open(&world.node.admin(), "").await;
    streams.push(other);
    world.node.stop().await;
    for stream in streams {
        let last = within("the end", stream.rest()).await.pop().unwrap();
        assert_eq!((last.event.as_str(), &last.data["code"]), ("end", &json!("unavailable")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_leaves_events_untaken_is_told_so_and_goes_on_where_it_was() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let token = tenants.owner.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let items = vec![json!({"token": token.secret}); 1_000];
    for _ in 0..12 {
        tenants.verifier.post("/v1/verify/batch", json!({"items": items})).await.expect(200);
    }
    let size = world.database.size().await;
    let query = format!("?uses=true&from_position=0&until_position={size}");
    // More than what the sockets between hold.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let address = world.node.url().strip_prefix("http://").unwrap().parse().unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let head = format!(
        "GET /v1/audit/stream{query} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {ADMIN}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    within("the first byte", stream.read_u8()).await.unwrap();
    let (mut text, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        // What was given out before is taken only after so long.
        world.pass(Duration::from_secs(31));
        match within("the end", stream.read(&mut piece)).await.unwrap() {
            0 => break,
            read => text.extend_from_slice(&piece[..read]),
        }
    }
    let text = String::from_utf8(text).unwrap();
    let last = text.rsplit("event: end").next().unwrap();
    assert!(last.contains("\"too_slow\""), "{last:.400}");
    let seen: Vec<u64> = text.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect();
    assert_eq!(seen, (0..seen.len() as u64).collect::<Vec<_>>());
    assert!((seen.len() as u64) < size);
    let again = world.node.admin().call("GET", &format!("/v1/audit/stream{query}"));
    let again = again.header("last-event-id", (seen.len() as u64 - 1).to_string()).stream().await;
    let rest: Vec<_> = within("the rest", again.rest()).await.iter().map(|event| event.id.unwrap()).collect();
    assert_eq!(rest, (seen.len() as u64..size).collect::<Vec<_>>());
}
