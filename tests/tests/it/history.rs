//! The state as it stood: what is shown of a moment is what the lines until then fold to.

use crate::{DAY, HOUR, just_before};
use chancery_tests::{Actor, Tenants, World, chancery};
use domain::history::Moment;
use domain::line::Line;
use domain::state::State;
use domain::time::Timestamp;
use serde_json::{Value, json};
use std::process::Command;

fn acme() -> Value {
    json!({"organization": "acme"})
}

async fn as_of(actor: &Actor, query: &str) -> Value {
    actor.get(&format!("/v1/audit/as-of?{query}")).await.expect(200).clone()
}

fn names(page: &Value, list: &str) -> Vec<String> {
    let name = |row: &Value| row["name"].as_str().unwrap().to_owned();
    page[list].as_array().unwrap().iter().map(name).collect()
}

/// A few days of changes, an hour apart.
async fn change_much(world: &World) -> Tenants {
    let tenants = world.tenants().await;
    for round in 0..6 {
        world.pass(HOUR);
        let name = format!("t{round}");
        let made = tenants.owner.mint(&name, acme(), &["admin"]).await;
        let child = world.node.token(&made.secret).mint(&format!("c{round}"), acme(), &["member"]).await;
        tenants.verifier.verify(&child.secret).await;
        if round % 2 == 0 {
            let cascade = json!({"cascade": true});
            tenants.owner.post(&format!("/v1/tokens/{}/revoke", made.id), cascade).await.expect(200);
        }
        let rename = json!({"name": format!("web-{round}")});
        let web = if round == 0 { "web".to_owned() } else { format!("web-{}", round - 1) };
        tenants.owner.patch(&format!("/v1/organizations/acme/projects/{web}"), rename).await.expect(200);
    }
    tenants
}

#[tokio::test]
async fn every_moment_is_a_fold_of_its_prefix() {
    let world = World::new().await;
    change_much(&world).await;
    let entries = world.database.entries().await;
    let fold = |until: &dyn Fn(usize, &Line, &State) -> bool| {
        let mut state = State::default();
        for (index, entry) in entries.iter().enumerate() {
            let line = Line::read(&entry.text).unwrap();
            if line.event.is_lifecycle() && !until(index, &line, &state) {
                break;
            }
            state.apply(&line).unwrap();
        }
        state
    };
    let node = world.node.node();
    // Back and forth, so that what is kept of one serves another or does not.
    let order = (0..=entries.len()).map(|index| (index * 17) % (entries.len() + 1));
    for position in order {
        let found = node.as_of(Moment::Position(position as u64)).await.unwrap().unwrap();
        let expected = fold(&|index, _, _| index < position);
        assert_eq!(found.state.difference(&expected), None, "position {position}");
        let version = expected.version();
        let found = node.as_of(Moment::Version(version)).await.unwrap().unwrap();
        assert_eq!(found.state.difference(&expected), None, "version {version}");
        let last = position.checked_sub(1).map(|last| Line::read(&entries[last].text).unwrap().at);
        for time in last.into_iter().flat_map(|at| [at.micros() - 1, at.micros(), at.micros() + 1]) {
            let time = Timestamp::from_micros(time);
            let found = node.as_of(Moment::Time(time)).await.unwrap().unwrap();
            let expected = fold(&|_, line, _| line.at <= time);
            assert_eq!(found.state.difference(&expected), None, "{time}");
            assert_eq!(found.at, time);
        }
    }
    let beyond = entries.len() as u64 + 1;
    assert!(node.as_of(Moment::Position(beyond)).await.unwrap().is_none());
    assert!(node.as_of(Moment::Version(beyond)).await.unwrap().is_none());
}

#[tokio::test]
async fn the_clock_is_that_of_the_moment() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let expires = world.moment(DAY);
    let short = json!({"name": "short", "scope": acme(), "grants": ["member"], "expires_at": expires});
    let short = tenants.owner.mint_with(short).await;
    world.pass(HOUR);
    let late = tenants.owner.mint("late", acme(), &["member"]).await;
    world.pass(2 * DAY);
    let status = async |time: &str, id: &str| {
        let found = as_of(&tenants.owner, &format!("organization=acme&ended=true&time={time}")).await;
        let tokens = found["tokens"].as_array().unwrap().clone();
        tokens.iter().find(|token| token["id"] == id).map(|token| token["status"].clone())
    };
    assert_eq!(status(&world.moment(just_before(DAY)), &short.id).await, Some(json!("live")));
    assert_eq!(status(&expires, &short.id).await, Some(json!("expired")), "a time is over at its end");
    assert_eq!(
        status(&world.moment(HOUR), &late.id).await,
        Some(json!("live")),
        "an event is in at its time"
    );
    assert_eq!(status(&world.moment(just_before(HOUR)), &late.id).await, None);
    let live = as_of(&tenants.owner, &format!("organization=acme&time={expires}")).await;
    assert!(!names(&live, "tokens").contains(&"short".to_owned()));
    assert_eq!(live["moment"]["time"], json!(expires));
}

#[tokio::test]
async fn pages_stay_at_their_moment() {
    let world = World::new().await;
    let tenants = change_much(&world).await;
    let whole = as_of(&tenants.owner, "organization=acme&ended=true").await;
    let (mut rows, mut query) = (Vec::new(), "organization=acme&ended=true&limit=2".to_owned());
    loop {
        let page = as_of(&tenants.owner, &query).await;
        assert_eq!(page["moment"], whole["moment"]);
        rows.extend(page["tokens"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("organization=acme&ended=true&limit=2&cursor={cursor}");
        // What happens meanwhile is not of that moment.
        tenants.owner.mint(&format!("later-{}", rows.len()), acme(), &["member"]).await;
    }
    assert_eq!(Value::Array(rows), whole["tokens"]);
    let first = as_of(&tenants.owner, "organization=acme&limit=1").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    for wrong in [format!("version=3&cursor={cursor}"), format!("list=roles&cursor={cursor}")] {
        let refused = tenants.owner.get(&format!("/v1/audit/as-of?organization=acme&{wrong}")).await;
        assert_eq!(refused.refused(422, "invalid_value")["errors"][0]["field"], "cursor");
    }
    for (wrong, field) in [
        ("time=yesterday", "time"),
        ("version=1&position=1", "time"),
        ("version=99999", "version"),
        ("position=99999", "position"),
        ("list=secrets", "list"),
        ("limit=0", "limit"),
    ] {
        let refused = tenants.owner.get(&format!("/v1/audit/as-of?organization=acme&{wrong}")).await;
        assert_eq!(refused.refused(422, "invalid_value")["errors"][0]["field"], field, "{wrong}");
    }
    let then = format!("organization=acme&list=projects&time={}", world.moment(3 * HOUR));
    let projects = as_of(&tenants.owner, &then).await;
    assert_eq!(names(&projects, "projects"), ["api", "web-2"]);
    assert!(names(&as_of(&tenants.owner, "list=roles").await, "roles").contains(&"member".to_owned()));
    assert_eq!(
        names(&as_of(&world.node.admin(), "list=organizations").await, "organizations"),
        ["acme", "other"]
    );
    world.node.admin().get("/v1/audit/as-of?list=members").await.refused(422, "invalid_value");
}

#[tokio::test]
async fn policies_are_shown_as_they_stood() {
    let world = World::new().await;
    let (tenants, admin) = (world.tenants().await, world.node.admin());
    let path = "/v1/organizations/acme/policy";
    tenants.owner.patch(path, json!({"max_lifetime": "90d", "allowed_roles": ["member"]})).await.expect(200);
    let then = world.moment(HOUR);
    world.pass(2 * HOUR);
    tenants.owner.patch(path, json!({"max_lifetime": "30d", "allowed_roles": []})).await.expect(200);
    admin.patch("/v1/instance", json!({"policy": {"max_staleness_ms": 777}})).await.expect(200);
    let own = as_of(&tenants.owner, &format!("list=policies&time={then}")).await;
    let [policy] = &own["policies"].as_array().unwrap()[..] else { panic!("{own}") };
    assert_eq!((&policy["organization"], &policy["max_lifetime"]), (&json!("acme"), &json!("90d")));
    assert_eq!((&policy["allowed_roles"], policy.get("hits")), (&json!(["member"]), None));
    assert_eq!(own.get("instance_policy"), None, "it is nobody's business in an organization");
    let lifetimes = |page: &Value| {
        let of = |row: &Value| (row["organization"].clone(), row.get("max_lifetime").cloned());
        page["policies"].as_array().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    let now = as_of(&admin, "list=policies").await;
    assert_eq!(lifetimes(&now), [(json!("acme"), Some(json!("30d"))), (json!("other"), None)]);
    assert_eq!(now["instance_policy"]["max_staleness_ms"], 777);
    let before = as_of(&admin, &format!("list=policies&limit=1&time={then}")).await;
    assert_eq!(before["instance_policy"]["max_staleness_ms"], 1_000);
    let cursor = before["next_cursor"].as_str().unwrap();
    let rest = as_of(&admin, &format!("list=policies&cursor={cursor}")).await;
    assert_eq!(lifetimes(&rest), [(json!("other"), None)]);
    assert_eq!(rest.get("instance_policy"), None, "it stands on the first page");
    // Who audits a project alone is not told what the organization's policy is.
    let web = json!({"organization": "acme", "project": "web"});
    let of_web = tenants.owner.mint("of-web", web, &["project-admin"]).await;
    let refused = world.node.token(&of_web.secret).get("/v1/audit/as-of?list=policies").await;
    assert_eq!(refused.refused(422, "invalid_value")["errors"][0]["field"], "project");
}

#[tokio::test]
async fn who_could_and_what_changed() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let root = world.node.admin().mint("root", json!({"instance": true}), &["instance-admin"]).await;
    let before = world.moment(HOUR);
    world.pass(HOUR);
    let gone = tenants.owner.mint("gone", acme(), &["project-writer@web"]).await;
    world.pass(HOUR);
    tenants.owner.revoke(&gone.id).await;
    let come = tenants.owner.mint("come", acme(), &["project-writer@web"]).await;
    let who = async |actor: &Actor, time: &str| {
        let path = "/v1/audit/who-could?permission=deployments:create&organization=acme&project=web";
        let found = actor.get(&format!("{path}&time={time}")).await.expect(200).clone();
        names(&found, "tokens")
    };
    assert_eq!(who(&tenants.owner, &before).await, ["owner", "gone"]);
    assert_eq!(who(&tenants.owner, &world.moment(2 * HOUR)).await, ["owner", "come"]);
    assert_eq!(who(&world.node.admin(), &before).await, ["root", "owner", "gone"]);
    let path = format!("/v1/audit/diff?organization=acme&from={before}");
    let found = tenants.owner.get(&path).await.expect(200).clone();
    let changes = found["changes"].as_array().unwrap();
    let of = |id: &str| changes.iter().find(|change| change["token"] == id).unwrap();
    assert_eq!(changes.len(), 2);
    assert_eq!(
        (&of(&gone.id)["gained"], of(&gone.id)["lost"].as_array().unwrap().is_empty()),
        (&json!([]), false)
    );
    assert_eq!(
        (&of(&come.id)["lost"], of(&come.id)["gained"].as_array().unwrap().is_empty()),
        (&json!([]), false)
    );
    assert_eq!(of(&come.id)["scope"], json!({"organization": "acme", "project": "web"}));
    assert!(!found.to_string().contains(&root.id));
    let refused = tenants.owner.get("/v1/audit/diff?organization=acme&from=then").await;
    assert_eq!(refused.refused(422, "invalid_value")["errors"][0]["field"], "from");
    let refused = tenants.owner.get("/v1/audit/who-could?organization=acme&permission=all").await;
    assert_eq!(refused.refused(422, "invalid_value")["errors"][0]["field"], "permission");
}

#[tokio::test]
async fn an_auditor_learns_nothing_of_another_organization() {
    let world = World::new().await;
    change_much(&world).await;
    let other = json!({"organization": "other"});
    let auditor = world.node.admin().mint("auditor", other, &["auditor"]).await;
    let auditor = world.node.token(&auditor.secret);
    let size = world.database.size().await;
    let acme = world.node.admin().get("/v1/organizations/acme").await.text_of("id");
    for list in ["organizations", "projects", "members", "roles", "tokens"] {
        for moment in ["position=20".to_owned(), format!("position={}", size - 1), "version=30".to_owned()] {
            let page =
                as_of(&auditor, &format!("list={list}&{moment}&ended=true&limit=1000")).await.to_string();
            assert!(!page.contains("acme") && !page.contains(&acme), "{page}");
        }
    }
    let diff = auditor.get("/v1/audit/diff?from=version:0").await.text;
    let who = auditor.get("/v1/audit/who-could?permission=tokens:mint").await.text;
    assert!(!diff.contains(&acme) && !who.contains(&acme) && !who.contains("acme"), "{diff} {who}");
    for path in ["as-of?", "diff?from=version:1&", "who-could?permission=a:b&"] {
        for organization in ["acme", &acme, "none"] {
            let refused = auditor.get(&format!("/v1/audit/{path}organization={organization}")).await;
            refused.refused(404, "not_found");
        }
    }
    let member = world.node.admin().mint("m", json!({"organization": "other"}), &["member"]).await;
    let refused = world.node.token(&member.secret).get("/v1/audit/as-of").await;
    assert_eq!(refused.refused(403, "forbidden")["missing"], json!(["audit:read"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_past_is_looked_at_from_the_command_line() {
    let world = World::new().await;
    change_much(&world).await;
    let owner = world.node.admin().mint("boss", acme(), &["owner"]).await;
    let run = |arguments: Vec<String>| {
        let (url, secret) = (world.node.url().to_owned(), owner.secret.clone());
        tokio::task::spawn_blocking(move || {
            let mut command = Command::new(chancery());
            command.arg("audit").args(arguments).env_clear();
            command.envs([
                ("CHANCERY_URL", url),
                ("CHANCERY_TOKEN", secret),
                ("CHANCERY_ORG", "acme".to_owned()),
            ]);
            let output = command.stdin(std::process::Stdio::null()).output().unwrap();
            let errors = String::from_utf8(output.stderr).unwrap();
            (output.status.code(), String::from_utf8(output.stdout).unwrap(), errors)
        })
    };
    let arguments = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let at = world.moment(3 * HOUR);
    let (code, printed, errors) = run(arguments(&["as-of", "projects", "--at", &at])).await.unwrap();
    assert_eq!(code, Some(0), "{errors}");
    assert!(printed.contains(&at) && printed.contains("web-2"), "{printed}");
    let (_, printed, _) = run(arguments(&["as-of", "--at", "version:30", "--output", "id"])).await.unwrap();
    assert!(printed.lines().count() > 1 && printed.lines().all(|line| line.len() == 36), "{printed}");
    let (code, printed, errors) = run(arguments(&["who-could", "tokens:mint", "--at", &at])).await.unwrap();
    assert_eq!(code, Some(0), "{errors}");
    assert!(printed.contains("t1") && !printed.contains("t0"), "{printed}");
    let (code, printed, errors) = run(arguments(&["diff", "--from", &at, "--json"])).await.unwrap();
    assert_eq!(code, Some(0), "{errors}");
    let said: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(said["from"]["time"], json!(at));
    assert_eq!(run(arguments(&["as-of", "--at", "yesterday"])).await.unwrap().0, Some(2));
    assert_eq!(run(arguments(&["as-of", "--org", "other"])).await.unwrap().0, Some(5));
}
