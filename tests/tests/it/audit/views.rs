use chancery_tests::{
    Actor, Choices, Database, Entry, Minted, NodeOptions, Seed, Sse, TestNode, World, eventually_async,
    scale, within,
};
use domain::history::Moment;
use domain::line::Line;
use domain::state::State;
use domain::time::Timestamp;
use eventlog::{Fault, Faults, Point};
use serde_json::{Value, json};
use sqlx::Connection as _;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use tokio::time::timeout;

/// Waits until the views stand for all that is on the log, and the last rebuild is done.
pub(super) async fn settled(node: &TestNode) -> u64 {
    eventually_async("the views to be settled", async || {
        let size = node.node().log().head().await.unwrap().size;
        let status = node.node().audit().status().await.unwrap();
        (status.building.is_none() && status.live.position >= size).then_some(size)
    })
    .await
}

/// What the tables hold, as far as the log says it.
#[derive(Debug, PartialEq)]
pub(super) struct Views {
    events: Vec<Value>,
    /// The commits in which a token was used, by hour, and how often it was valid, refused and asked.
    uses: BTreeMap<(String, i64), (BTreeSet<u64>, [u64; 3])>,
}

/// The tables of the generation that is read.
pub(super) async fn stored(database: &Database) -> Views {
    let mut connection = database.superuser().await;
    let events: Vec<String> = sqlx::query_scalar(
        "SELECT jsonb_build_object(
             'position', position, 'first', first, 'type', type, 'organization', organization, 'project', project,
             'token', token, 'actor', actor, 'actor_token', actor_token,
             'address', translate(rtrim(encode(address, 'base64'), '='), '+/', '-_'))::text
         FROM chancery_views.audit_events JOIN chancery_views.audit ON generation = live ORDER BY position",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(
        "SELECT jsonb_build_object('token', token, 'hour', hour, 'first', first, 'last', last,
                                   'counts', jsonb_build_array(valid, refused, asked))::text, commits
         FROM chancery_views.audit_uses JOIN chancery_views.audit ON generation = live",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    let read = |text: &String| serde_json::from_str::<Value>(text).unwrap();
    let mut uses: BTreeMap<(String, i64), (BTreeSet<u64>, [u64; 3])> = BTreeMap::new();
    for (row, bytes) in rows {
        let row = read(&row);
        let commits = decoded(row["first"].as_u64().unwrap(), &bytes);
        assert_eq!(commits.last().copied(), row["last"].as_u64());
        let key = (row["token"].as_str().unwrap().to_owned(), row["hour"].as_i64().unwrap());
        let of = uses.entry(key).or_default();
        for commit in commits {
            assert!(of.0.insert(commit), "a commit stands in one row of a token");
        }
        for (place, sum) in of.1.iter_mut().enumerate() {
            *sum += row["counts"][place].as_u64().unwrap();
        }
    }
    Views { events: events.iter().map(read).collect(), uses }
}

/// LEB128 steps, read by other code than the product's.
fn decoded(first: u64, bytes: &[u8]) -> Vec<u64> {
    let (mut all, mut rest) = (vec![first], bytes);
    while let Some(end) = rest.iter().position(|byte| byte & 0x80 == 0) {
        let step = rest[..=end].iter().rev().fold(0, |sum, byte| sum << 7 | u64::from(byte & 0x7f));
        all.push(all.last().unwrap() + step);
        rest = &rest[end + 1..];
    }
    all
}

/// What the log says that they hold.
pub(super) async fn folded(database: &Database) -> Views {
    let entries = database.entries().await;
    let mut connection = database.superuser().await;
    let firsts: Vec<i64> = sqlx::query_scalar("SELECT first FROM chancery.commits ORDER BY first")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let commit_of =
        |position: u64| firsts[firsts.partition_point(|first| *first <= position as i64) - 1] as u64;
    let mut projects = HashMap::new();
    let mut views = Views { events: Vec::new(), uses: BTreeMap::new() };
    for entry in &entries {
        let (token, by, commit) = (entry.at("/token"), entry.at("/actor/token"), commit_of(entry.position));
        if matches!(entry.kind.as_str(), "TokenUsed" | "TokenRefused") {
            let at = Timestamp::parse(entry.text_at("/at")).unwrap();
            let times = entry.at("/count").as_u64().unwrap_or(1);
            let mut used = |token: &Value, outcome: usize| {
                let key = (token.as_str().unwrap().to_owned(), at.micros() / 3_600_000_000);
                let of = views.uses.entry(key).or_default();
                of.0.insert(commit);
                of.1[outcome] += times;
            };
            used(token, usize::from(entry.kind == "TokenRefused"));
            if !by.is_null() && by != token {
                used(by, 2);
            }
            continue;
        }
        if entry.kind == "TokenMinted" {
            projects.insert(entry.text_at("/token"), entry.at("/project"));
        }
        let project = match entry.at("/project") {
            Value::Null => projects.get(entry.text_at("/token")).copied().unwrap_or(&Value::Null),
            own => own,
        };
        views.events.push(json!({
            "position": entry.position, "first": commit, "type": entry.kind, "organization": entry.at("/org"),
            "project": project, "token": token, "actor": entry.at("/actor/by"), "actor_token": by,
            "address": entry.at("/actor/address"),
        }));
    }
    views
}

/// Somebody who does this and that.
struct Busy {
    verifier: Actor,
    owner: Actor,
    tokens: Vec<Minted>,
    choices: Choices,
}

impl Busy {
    async fn new(world: &World, node: &TestNode, choices: Choices) -> Busy {
        let admin = world.node.admin();
        let acme = json!({"organization": "acme"});
        let owner = admin.mint(&format!("busy {}", node.url()), acme.clone(), &["owner"]).await;
        let verifier = admin.mint(&format!("asks {}", node.url()), acme, &["verifier"]).await;
        node.catches_up_with(&world.node).await;
        Busy {
            verifier: node.token(&verifier.secret),
            owner: node.token(&owner.secret),
            tokens: Vec::new(),
            choices,
        }
    }

    async fn act(&mut self) {
        match self.choices.below(8) {
            0 | 1 => {
                let scope = if self.choices.once_in(2) {
                    json!({"organization": "acme", "project": "web"})
                } else {
                    json!({"organization": "acme"})
                };
                let role = if scope["project"].is_null() { "member" } else { "project-reader" };
                let name = format!("t{}", self.choices.below(u64::MAX));
                self.tokens.push(self.owner.mint(&name, scope, &[role]).await);
            }
            2 if self.tokens.len() > 3 => {
                let place = self.choices.index(self.tokens.len());
                let token = self.tokens.swap_remove(place);
                self.owner.revoke(&token.id).await;
            }
            _ if self.tokens.is_empty() => {}
            _ => {
                let ask = |token: &Minted| json!({"token": token.secret, "permission": "projects:read"});
                let items: Vec<Value> =
                    (0..=self.choices.below(4)).map(|_| ask(self.choices.of(&self.tokens))).collect();
                self.verifier.post("/v1/verify/batch", json!({"items": items})).await.expect(200);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_views_are_a_fold_of_the_log_however_often_their_keeper_is_cut_off() {
    let faults = Faults::default();
    let world = World::with(|options| options.faults(&faults)).await;
    world.tenants().await;
    let other = world.another().await;
    let seed = Seed::usual();
    let plans = seed.choices();
    let mut busy = Busy::new(&world, &world.node, seed.choices()).await;
    for round in 0..40 {
        let point = *plans.of(&[Point::Projecting, Point::Projected]);
        if plans.once_in(2) {
            faults.plan(point, Fault::Error, 1 + plans.below(3));
        }
        for _ in 0..3 {
            busy.act().await;
        }
        if round % 13 == 5 {
            world.node.admin().post("/v1/audit/rebuild", json!({})).await.expect(200);
        }
        if plans.once_in(4) {
            world.pass(Duration::from_mins(15));
        }
    }
    for point in [Point::Projecting, Point::Projected] {
        faults.clear(point);
    }
    settled(&world.node).await;
    assert_eq!(stored(&world.database).await, folded(&world.database).await);
    // Whoever keeps them goes away, and another goes on.
    let World { database, clock, node } = world;
    node.stop().await;
    let third = NodeOptions::on(&database).clock(&clock).start().await;
    third.admin().organization("late").await;
    settled(&other).await;
    assert_eq!(stored(&database).await, folded(&database).await);
    third.stop().await;
    other.stop().await;
}

/// The fold of so many lines.
fn state_at(entries: &[Entry], position: u64) -> State {
    let mut state = State::default();
    for entry in entries.iter().take_while(|entry| entry.position < position) {
        state.apply(&Line::read(&entry.text).unwrap()).unwrap();
    }
    state
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_append_while_the_views_are_rebuilt_and_a_reader_comes_and_goes() {
    let world = World::new().await;
    world.tenants().await;
    let other = world.another().await;
    let seed = Seed::usual();
    let mut writers = Vec::new();
    for node in [&world.node, &other] {
        let mut busy = Busy::new(&world, node, seed.choices()).await;
        writers.push(tokio::spawn(async move {
            for _ in 0..scale::pick(60, 2_000) {
                busy.act().await;
            }
        }));
    }
    let admins = [world.node.admin(), other.admin()];
    let open = async |admin: &Actor, last: Option<u64>, more: &str| -> Sse {
        let call = admin.call("GET", &format!("/v1/audit/stream?uses=true&from_position=0{more}"));
        match last {
            Some(last) => call.header("last-event-id", last.to_string()).stream().await,
            None => call.stream().await,
        }
    };
    let (mut seen, coming) = (Vec::new(), seed.choices());
    let (mut last, mut past): (Option<u64>, _) = (None, Vec::new());
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        if coming.once_in(3) {
            admins[0].post("/v1/audit/rebuild", json!({})).await.expect(200);
        }
        let mut stream = open(coming.of(&admins), last, "").await;
        for _ in 0..coming.below(60) {
            // The writers may be done.
            let Ok(Some(event)) = timeout(Duration::from_secs(1), stream.next()).await else { break };
            last = event.id.or(last);
            seen.push(event);
        }
        // What it sees of the past meanwhile is looked at when all is written.
        let position = coming.below(world.database.size().await);
        let found = coming.of(&[&world.node, &other]).node().as_of(Moment::Position(position)).await;
        past.extend(found.unwrap().map(|found| (position, found.state)));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let until = format!("&until_position={}", world.database.size().await);
    seen.extend(within("the rest", open(&admins[1], last, &until).await.rest()).await);
    let entries = world.database.entries().await;
    let of_log: Vec<_> =
        entries.iter().take(seen.len()).map(|entry| (Some(entry.position), &entry.line)).collect();
    assert!(seen.len() > 100);
    assert_eq!(seen.iter().map(|event| (event.id, &event.data["line"])).collect::<Vec<_>>(), of_log);
    for (position, state) in past {
        assert_eq!(state.difference(&state_at(&entries, position)), None, "as of position {position}");
    }
    settled(&other).await;
    assert_eq!(stored(&world.database).await, folded(&world.database).await);
    let status = world.node.admin().get("/v1/audit/views").await;
    assert!(status.expect(200)["live"]["generation"].as_u64().unwrap() > 1);
    assert!(world.node.anon().get("/metrics").await.text.contains("chancery_audit_position"));
    eventually_async("old generations to be deleted", async || {
        let mut connection = world.database.superuser().await;
        let sql = "SELECT count(DISTINCT generation) FROM (
                       SELECT generation FROM chancery_views.audit_events
                       UNION ALL SELECT generation FROM chancery_views.audit_uses
                       UNION ALL SELECT generation FROM chancery_views.audit_generations) AS of";
        let generations: i64 = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        (generations == 1).then_some(())
    })
    .await;
    other.stop().await;
}

/// The views read a few keys of each line. A new event that has one of them with another meaning would stop them.
#[test]
fn every_pinned_line_can_be_indexed() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/snapshots");
    let pinned = std::fs::read_to_string(folder.join("it__golden__lines.snap")).unwrap();
    let lines: Vec<&str> =
        pinned.lines().filter_map(|line| line.find("{\"v\":").map(|at| &line[at..])).collect();
    assert!(lines.len() > 20);
    for line in lines {
        projections::audit::Summary::read(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}
