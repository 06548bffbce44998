//! A replay holds the views against the log: what nobody has touched is what the log says, whatever nodes do meanwhile;
//! any row that was changed, removed or added is found and named.

use super::use_much;
use crate::{DAY, HOUR};
use chancery_tests::{Actor, Database, Minted, NodeOptions, World, eventually_async};
use projections::replay::{Compared, Replay, replay};
use serde_json::json;
use sqlx::AssertSqlSafe;
use std::time::Duration;

/// Each table, a row of it that is changed, and the key of the row as a replay names it.
const TAMPERED: &[(&str, &str, &str)] = &[
    ("audit_events", EVENT, "UPDATE chancery_views.audit_events SET first = first + 1 WHERE position = 7"),
    ("audit_events", EVENT, "UPDATE chancery_views.audit_events SET at = at + interval '1 microsecond' WHERE position = 9"),
    ("audit_events", EVENT, "UPDATE chancery_views.audit_events SET organization = NULL
                             WHERE position = (SELECT max(position) FROM chancery_views.audit_events WHERE organization IS NOT NULL)"),
    ("audit_events", EVENT, "UPDATE chancery_views.audit_events SET project = gen_random_uuid() WHERE position = 3"),
    ("audit_events", EVENT, "UPDATE chancery_views.audit_events SET token = NULL
                             WHERE position = (SELECT min(position) FROM chancery_views.audit_events WHERE token IS NOT NULL)"),
    ("audit_events", EVENT, "UPDATE chancery_views.audit_events SET actor_token = NULL
                             WHERE position = (SELECT max(position) FROM chancery_views.audit_events WHERE actor_token IS NOT NULL)"),
    ("audit_events", EVENT, "UPDATE chancery_views.audit_events SET type = 'TokenMinted' WHERE position = 0"),
    ("audit_events", EVENT, "UPDATE chancery_views.audit_events SET actor = 'anonymous' WHERE position = 0"),
    ("audit_events", EVENT, "UPDATE chancery_views.audit_events SET address = substr(address, 2)
                             WHERE position = (SELECT max(position) FROM chancery_views.audit_events WHERE address IS NOT NULL)"),
    ("audit_events", EVENT, "DELETE FROM chancery_views.audit_events WHERE position = 0"),
    ("audit_events", EVENT, "DELETE FROM chancery_views.audit_events
                             WHERE position = (SELECT max(position) FROM chancery_views.audit_events)"),
    ("audit_events", EVENT, "INSERT INTO chancery_views.audit_events (position, first, at, generation, type, actor)
                             SELECT last, first, now(), generation, 'TokenMinted', 'x' FROM chancery_views.audit_uses LIMIT 1"),
    ("audit_events", EVENT, "INSERT INTO chancery_views.audit_events (position, first, at, generation, type, actor)
                             SELECT -1, 0, now(), live, 'TokenMinted', 'x' FROM chancery_views.audit"),
    ("audit_events", EVENT, "INSERT INTO chancery_views.audit_events (position, first, at, generation, type, actor)
                             SELECT 1000000, 0, now(), live, 'TokenMinted', 'x' FROM chancery_views.audit"),
    ("audit_uses", USES, "UPDATE chancery_views.audit_uses SET valid = valid + 1 WHERE (token, first) = ANY_USES"),
    ("audit_uses", USES, "UPDATE chancery_views.audit_uses SET refused = refused - 1 WHERE (token, first) = ANY_USES"),
    ("audit_uses", USES, "UPDATE chancery_views.audit_uses SET asked = asked + 1 WHERE (token, first) = ANY_USES"),
    ("audit_uses", USES, "UPDATE chancery_views.audit_uses SET outcomes = outcomes # 64 WHERE (token, first) = ANY_USES"),
    ("audit_uses", USES, "UPDATE chancery_views.audit_uses SET hour = hour + 1 WHERE (token, first) = ANY_USES"),
    ("audit_uses", USES, "UPDATE chancery_views.audit_uses SET last = last + 1 WHERE (token, first) = ANY_USES"),
    ("audit_uses", USES, "UPDATE chancery_views.audit_uses SET last = -1 WHERE (token, first) = ANY_USES"),
    ("audit_uses", USES, "UPDATE chancery_views.audit_uses SET commits = commits || '\\x01' WHERE (token, first) = ANY_USES"),
    ("audit_uses", USES, "UPDATE chancery_views.audit_uses SET commits = '\\xffffffffffffffffffffffff' WHERE (token, first) = ANY_USES"),
    ("audit_uses", USES, "DELETE FROM chancery_views.audit_uses WHERE (token, first) = ANY_USES"),
    ("audit_uses", USES, "INSERT INTO chancery_views.audit_uses
                          SELECT first, last, gen_random_uuid(), generation, hour, 1, 0, 0, 2, ''
                          FROM chancery_views.audit_uses LIMIT 1"),
    ("audit_uses", USES, "INSERT INTO chancery_views.audit_uses
                          SELECT first + 1, first + 1, token, generation, hour, 1, 0, 0, 2, ''
                          FROM chancery_views.audit_uses WHERE (token, first) = ANY_USES"),
    ("audit_uses", USES, "INSERT INTO chancery_views.audit_uses
                          SELECT 1000000, 1000000, token, generation, hour, 1, 0, 0, 2, ''
                          FROM chancery_views.audit_uses WHERE (token, first) = ANY_USES"),
    ("usage", TOKEN, "UPDATE chancery_views.usage SET last_used_at = last_used_at - interval '1 microsecond' WHERE token = ANY_USED"),
    ("usage", TOKEN, "UPDATE chancery_views.usage SET last_used_at = last_used_at + interval '1 microsecond' WHERE token = ANY_USED"),
    ("usage", TOKEN, "UPDATE chancery_views.usage SET last_used_at = NULL WHERE token = ANY_USED"),
    ("usage", TOKEN, "UPDATE chancery_views.usage SET used_permission = 'other:one' WHERE token = ANY_USED"),
    ("usage", TOKEN, "UPDATE chancery_views.usage SET used_address = 'other' WHERE token = ANY_USED"),
    ("usage", TOKEN, "UPDATE chancery_views.usage SET used_agent = 'other' WHERE token = ANY_USED"),
    ("usage", TOKEN, "UPDATE chancery_views.usage SET refused_code = 'malformed' WHERE token = ANY_USED"),
    ("usage", TOKEN, "UPDATE chancery_views.usage SET last_refused_at = last_refused_at + interval '1 hour' WHERE token = ANY_USED"),
    ("usage", TOKEN, "DELETE FROM chancery_views.usage WHERE token = ANY_USED"),
    ("usage", TOKEN, "INSERT INTO chancery_views.usage (token, last_used_at) VALUES (gen_random_uuid(), now())"),
    ("usage_days", DAYS, "UPDATE chancery_views.usage_days SET used = used + 1 WHERE token = ANY_USED AND day = FIRST_DAY"),
    ("usage_days", DAYS, "UPDATE chancery_views.usage_days SET refused = refused + 1 WHERE token = ANY_USED AND day = FIRST_DAY"),
    ("usage_days", DAYS, "UPDATE chancery_views.usage_days SET through = 0 WHERE token = ANY_USED AND day = FIRST_DAY"),
    ("usage_days", DAYS, "UPDATE chancery_views.usage_days SET through = 1000000 WHERE token = ANY_USED AND day = FIRST_DAY"),
    ("usage_days", DAYS, "DELETE FROM chancery_views.usage_days WHERE token = ANY_USED AND day = FIRST_DAY"),
    ("usage_days", DAYS, "INSERT INTO chancery_views.usage_days SELECT token, '2020-01-01', 1, 0, 3 FROM chancery_views.usage WHERE token = ANY_USED"),
    ("usage_permissions", PERMISSION, "UPDATE chancery_views.usage_permissions SET last_used_at = last_used_at + interval '1 day' WHERE PERMISSION"),
    ("usage_permissions", PERMISSION, "UPDATE chancery_views.usage_permissions SET last_used_at = last_used_at - interval '2 days' WHERE PERMISSION"),
    ("usage_permissions", PERMISSION, "DELETE FROM chancery_views.usage_permissions WHERE PERMISSION"),
    ("usage_permissions", PERMISSION, "INSERT INTO chancery_views.usage_permissions SELECT token, 'never:used', last_used_at FROM chancery_views.usage WHERE token = ANY_USED"),
];

const EVENT: &str = "'position ' || position";
const USES: &str = "'token ' || token || ', first ' || first";
const TOKEN: &str = "'token ' || token";
const DAYS: &str = "'token ' || token || ', day ' || day";
const PERMISSION: &str = "'token ' || token || ', permission ' || permission";

/// What stands for a row that is there in any case.
const ROWS: &[(&str, &str)] = &[
    (
        "ANY_USES",
        "(SELECT token, first FROM chancery_views.audit_uses WHERE refused > 0 ORDER BY last - first DESC, token LIMIT 1)",
    ),
    (
        "ANY_USED",
        "(SELECT token FROM chancery_views.usage WHERE refused_code <> 'malformed' AND used_permission IS NOT NULL ORDER BY token LIMIT 1)",
    ),
    ("FIRST_DAY", "(SELECT min(day) FROM chancery_views.usage_days)"),
    (
        "PERMISSION",
        "(token, permission) = (SELECT token, permission FROM chancery_views.usage_permissions ORDER BY 1, 2 LIMIT 1)",
    ),
];

/// Waits until the audit views stand for all of the log.
async fn settled(world: &World) {
    eventually_async("the views to be settled", async || {
        let size = world.node.node().log().head().await.unwrap().size;
        let status = world.node.node().audit().status().await.unwrap();
        (status.live.position >= size).then_some(())
    })
    .await;
}

async fn compared(database: &Database) -> Compared {
    let (report, _) = replay(&database.log().await, Replay::new(2), |_, _| ()).await.unwrap();
    report.views.unwrap()
}

/// Changes rows, and says which.
async fn change(database: &Database, sql: &str, key: &str) -> Vec<String> {
    let mut sql = format!("{sql} RETURNING {key}");
    for (name, rows) in ROWS {
        sql = sql.replace(name, rows);
    }
    let mut connection = database.superuser().await;
    let keys = sqlx::query_scalar(AssertSqlSafe(sql.clone())).fetch_all(&mut connection).await;
    keys.unwrap_or_else(|error| panic!("{error}: {sql}"))
}

#[tokio::test]
async fn any_row_that_was_changed_removed_or_added_is_found_and_named() {
    let world = World::new().await;
    use_much(&world).await;
    settled(&world).await;
    let World { database, node, .. } = world;
    node.stop().await;
    let before = compared(&database).await;
    assert_eq!(before.differences, []);
    let size = database.size().await;
    for table in &before.tables {
        assert!(table.rows >= 10 && table.position == size, "{table:?}");
        let name = table.name.replace("chancery_views.", "");
        database.execute(&format!("CREATE TABLE public.{name} AS TABLE {}", table.name)).await;
    }
    assert_eq!(before.tables.len(), 5);
    for (table, key, sql) in TAMPERED {
        let keys = change(&database, sql, key).await;
        assert_eq!(keys.len(), 1, "{sql}");
        let found = compared(&database).await;
        let name = format!("chancery_views.{table}");
        let is_named = found.differences.iter().any(|row| row.table == name && row.key == keys[0]);
        assert!(is_named && found.differing() <= 2, "{sql}: {keys:?}: {found:#?}");
        let restore = format!("TRUNCATE {name}; INSERT INTO {name} SELECT * FROM public.{table}");
        for sql in restore.split(';') {
            database.execute(sql).await;
        }
    }
    assert_eq!(compared(&database).await, before);
}

#[tokio::test]
async fn a_view_that_stands_for_more_than_there_is_and_one_that_is_not_there_are_said() {
    let world = World::new().await;
    settled(&world).await;
    let World { database, node, .. } = world;
    node.stop().await;
    database.execute("UPDATE chancery_views.progress SET size = 1000000").await;
    let failed = replay(&database.log().await, Replay::new(1), |_, _| ()).await.map(drop);
    assert!(failed.unwrap_err().to_string().contains("1000000"));
    database.execute("DROP SCHEMA chancery_views CASCADE").await;
    let (report, _) = replay(&database.log().await, Replay::new(1), |_, _| ()).await.unwrap();
    assert_eq!(report.views, None);
}

/// Verifies and changes, until told to stop.
async fn work(name: String, owner: Actor, verifier: Actor, tokens: Vec<Minted>, rounds: usize) {
    for round in 0..rounds {
        let token = &tokens[round % tokens.len()];
        let permission = if round % 3 == 0 { "tokens:mint" } else { "projects:read" };
        let ask = json!({"token": token.secret, "permission": permission, "client": {"agent": format!("a{}", round % 5)}});
        verifier.post("/v1/verify/batch", json!({"items": vec![ask; 1 + round % 4]})).await.expect(200);
        if round % 10 == 9 {
            let name = format!("{name} {round}");
            let made = owner.mint(&name, json!({"organization": "acme"}), &["member"]).await;
            verifier.verify(&made.secret).await;
            owner.revoke(&made.id).await;
        }
    }
}

/// Two nodes append while the log is replayed again and again.
async fn under_load(change: impl FnOnce(NodeOptions) -> NodeOptions) {
    let world = World::with(change).await;
    let tenants = world.tenants().await;
    let other = world.another().await;
    let mut tokens = Vec::new();
    for round in 0..8 {
        tokens.push(
            tenants.owner.mint(&format!("t{round}"), json!({"organization": "acme"}), &["member"]).await,
        );
    }
    let acme = json!({"organization": "acme"});
    let mut writers = Vec::new();
    for node in [&world.node, &other] {
        let owner = tenants.owner.mint(&format!("owner {}", node.url()), acme.clone(), &["owner"]).await;
        let asking = tenants.owner.mint(&format!("asks {}", node.url()), acme.clone(), &["verifier"]).await;
        node.catches_up_with(&world.node).await;
        let (owner, asking) = (node.token(&owner.secret), node.token(&asking.secret));
        writers.push(tokio::spawn(work(node.url().to_owned(), owner, asking, tokens.clone(), 150)));
    }
    let mut rounds = 0;
    while rounds < 3 || !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        let (report, _) = replay(&world.database.log().await, Replay::new(2), |_, _| ()).await.unwrap();
        let views = report.views.clone().unwrap();
        assert!(report.is_sound(), "{:#?} {views:#?}", report.differences);
        world.pass(if rounds % 4 == 3 { HOUR + DAY / 2 } else { Duration::from_millis(10) });
        rounds += 1;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    settled(&world).await;
    other.stop().await;
    let World { database, node, .. } = world;
    // Whoever keeps the usage view writes it at the latest when it stops.
    node.stop().await;
    let views = compared(&database).await;
    assert_eq!(views.differences, []);
    assert!(views.tables.iter().all(|table| table.rows > 0), "{:?}", views.tables);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_differs_while_two_nodes_go_on() {
    under_load(|options| options).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_differs_while_two_nodes_go_on_with_bounded_answers() {
    under_load(NodeOptions::bounded).await;
}
