//! The erasure of persons: nothing of them is left in any table, everything of others is, and the log stands.

use super::commands::{run, text};
use super::{Person, invite, join};
use chancery_tests::{ADMIN, Actor, Answer, NodeOptions, TestNode, World, eventually_async};
use eventlog::{Fault, Faults, Point};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _};
use std::sync::atomic::Ordering::Relaxed;

const MAIL: &str = "peculiar.ada@example.org";
const AGENT: &str = "analytical-engine/1";

/// Somebody with values that nobody else has, who has done something.
async fn ada(world: &World) -> Person {
    let invitation = invite(&world.node.admin(), "acme", MAIL, "member").await;
    let body = json!({"invitation": invitation["secret"], "name": "Peculiar Ada"});
    let anon = world.node.anon().header("User-Agent", AGENT);
    let answer = anon.post("/v1/invitations/accept", body).await;
    let session = answer.expect(201);
    let user = session["created_by"].as_str().unwrap().strip_prefix("session:").unwrap().to_owned();
    let session = world.node.token(&answer.text_of("secret")).header("User-Agent", AGENT);
    session.get("/v1/whoami").await.expect(200);
    Person { user, session, id: answer.text_of("id") }
}

async fn offboard(admin: &Actor, user: &str) {
    admin.post(&format!("/v1/users/{user}/offboard"), json!({})).await.expect(200);
}

async fn erase(admin: &Actor, whom: Value) -> Answer {
    admin.post("/v1/users/erase", whom).await
}

/// The columns of all tables in which a text stands.
async fn found(world: &World, text: &str) -> Vec<String> {
    let mut connection = world.database.superuser().await;
    let columns: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT columns.table_schema::text, columns.table_name::text, columns.column_name::text
         FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
         WHERE table_schema LIKE 'chancery%' AND table_type = 'BASE TABLE'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert!(columns.len() > 30, "the tables are looked at");
    let mut found = Vec::new();
    for (schema, table, column) in columns {
        let sql = format!(
            "SELECT count(*) FROM {schema}.{table} WHERE strpos(\"{column}\"::text, $1) > 0
                OR strpos(\"{column}\"::text, encode(convert_to($1, 'UTF8'), 'hex')) > 0"
        );
        let count: i64 =
            sqlx::query_scalar(AssertSqlSafe(sql)).bind(text).fetch_one(&mut connection).await.unwrap();
        found.extend((count > 0).then(|| format!("{schema}.{table}.{column}")));
    }
    connection.close().await.unwrap();
    found
}

async fn rows_of(world: &World, person: &str) -> i64 {
    let mut connection = world.database.superuser().await;
    let count = sqlx::query_scalar("SELECT count(*) FROM chancery.personal WHERE person = $1::uuid")
        .bind(person)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    count
}

#[tokio::test]
async fn nothing_of_an_erased_person_is_left_and_everything_of_others() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let admin = world.node.admin();
    let ada = ada(&world).await;
    let grace = join(&world.node, "acme", "grace@example.org", "owner").await;
    grace.session.get("/v1/whoami").await.expect(200);
    let open = invite(&admin, "other", "Peculiar.ADA@example.org", "member").await;
    for text in [MAIL, "Peculiar Ada", AGENT] {
        assert_eq!(found(&world, text).await, ["chancery.personal.value"], "{text}");
    }
    let whom = || json!({"user": ada.user});
    erase(&admin, whom()).await.refused(409, "still_member");
    erase(&grace.session, whom()).await.refused(403, "forbidden");
    offboard(&admin, &ada.user).await;
    let by_mail = || json!({"email": MAIL});
    let would = erase(&admin, json!({"email": MAIL, "dry_run": true})).await;
    let would = would.expect(200);
    assert_eq!((&would["values"]["email"], &would["values"]["name"]), (&json!(2), &json!(1)));
    assert_eq!(would["organizations"], json!(["acme", "other"]));
    let before = world.database.entries().await;
    let (done, lines) = world.lines_of(erase(&admin, by_mail())).await;
    assert_eq!(done.expect(200)["users"], json!([ada.user]));
    let mut kinds: Vec<_> = lines.iter().map(|line| (&*line.kind, line.at("/org").is_string())).collect();
    // The organizations are in the order of their ids.
    kinds[1..4].sort_unstable();
    let erased = "PersonErased";
    let (withdrawn, used) = (("InvitationWithdrawn", true), ("AdminTokenUsed", false));
    assert_eq!(kinds, [(erased, false), withdrawn, (erased, true), (erased, true), used]);
    assert!(lines[0].text.contains(&ada.user) && lines.iter().all(|line| !line.text.contains("example.org")));
    for text in ["eculiar", "ECULIAR", AGENT] {
        assert_eq!(found(&world, text).await, Vec::<String>::new(), "{text}");
    }
    assert_eq!(rows_of(&world, &ada.user).await, 0);
    let after = world.database.entries().await;
    assert!(before.iter().zip(&after).all(|(before, after)| before.text == after.text));
    // What shows the person says so.
    let shown = admin.get(&format!("/v1/users/{}", ada.user)).await.expect(200).clone();
    assert_eq!((&shown["erased"], shown.get("email")), (&json!(["email", "name"]), None));
    assert!(shown["erased_at"].is_string());
    let invitation = format!("/v1/organizations/other/invitations/{}", open["id"].as_str().unwrap());
    let invitation = admin.get(&invitation).await.expect(200).clone();
    assert_eq!((&invitation["status"], &invitation["erased"]), (&json!("withdrawn"), &json!(["email"])));
    others_stay(&tenants.owner, &ada, &grace).await;
    let fresh = world.another().await;
    assert_eq!(fresh.difference(&world.node), None);
}

/// What somebody else did from the same address, before and after, is shown as it was.
async fn others_stay(owner: &Actor, ada: &Person, grace: &Person) {
    let size = grace.session.get("/v1/organizations/acme/members").await;
    let member = &size.expect(200)["items"][0];
    assert_eq!((&member["email"], &member["name"]), (&json!("grace@example.org"), &json!("Ada Lovelace")));
    let path = |kind: &str| format!("/v1/audit/events?type={kind}&order=oldest&at_least={}", size.position());
    let events = owner.get(&path("InvitationAccepted")).await.expect(200)["items"].clone();
    let address = |event: &Value| event["line"]["actor"]["address"].as_str().unwrap().to_owned();
    let (of_ada, of_grace) = (&events[0], &events[1]);
    assert_eq!(of_ada["line"]["user"], ada.user);
    assert_eq!((of_ada.get("personal"), of_ada["erased"].as_array().unwrap().len()), (None, 3));
    assert_eq!(
        (&of_grace["personal"][address(of_grace)], of_grace.get("erased")),
        (&json!("127.0.0.1"), None)
    );
    let erasures = owner.get(&path("PersonErased")).await.expect(200)["items"].clone();
    assert_eq!(erasures[0]["line"]["users"], json!([ada.user]), "its auditors see that it was erased");
    // A use of the same day, by somebody else: its commitment opens.
    let body = json!({"name": "t", "scope": {"organization": "acme"}, "grants": ["member"]});
    let token = owner.post("/v1/tokens", body).await;
    let (id, position) = (token.text_of("id"), token.position());
    let minted = owner.get(&format!("/v1/tokens/{id}/history?at_least={position}")).await;
    let minted = &minted.expect(200)["items"][0];
    assert_eq!(minted["personal"][address(minted)], "127.0.0.1");
}

#[tokio::test]
async fn whoever_may_not_erase_holds_up_nobody() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let locks = || world.node.node().live().stats.locks.load(Relaxed);
    let before = locks();
    for whom in [json!({"email": MAIL}), json!({"user": "019ab7a4-0000-7000-8000-000000000009"})] {
        let (refused, lines) = world.lines_of(erase(&tenants.owner, whom.clone())).await;
        refused.refused(403, "forbidden");
        assert_eq!(lines.len(), 1, "that it was asked is recorded");
        erase(&world.node.token("chyo_nobody"), whom.clone()).await.refused(401, "token_malformed");
        assert!(erase(&world.node.anon(), whom).await.status == 401);
    }
    assert_eq!(locks(), before);
    erase(&world.node.admin(), json!({"email": MAIL})).await.expect(200);
    assert!(locks() > before, "whoever may erase takes it");
}

/// Of a person who did very much, and of an address that very many have used, nothing is left either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_much_is_kept_all_of_it_goes() {
    let world = World::new().await;
    world.tenants().await;
    let admin = world.node.admin();
    let ada = ada(&world).await;
    offboard(&admin, &ada.user).await;
    let many = format!(
        "INSERT INTO chancery.personal (commitment, salt, kind, value, person)
         SELECT sha256(n::text::bytea), '\\x00112233445566778899aabbccddeeff', 'agent', '{AGENT}/' || n, '{}'
         FROM generate_series(1, 12500) AS n;
         INSERT INTO chancery.personal (commitment, salt, kind, value)
         SELECT sha256(n::text::bytea), '\\x00112233445566778899aabbccddeeff', 'email', '{MAIL}'
         FROM generate_series(20001, 21500) AS n",
        ada.user
    );
    world.database.execute(&many).await;
    let would = erase(&admin, json!({"email": MAIL, "dry_run": true})).await.expect(200).clone();
    assert!(would["more"] == true && would["values"]["email"].as_u64().unwrap() <= 1_001, "{would}");
    let would = erase(&admin, json!({"user": ada.user, "dry_run": true})).await.expect(200).clone();
    let counted: u64 =
        would["values"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert!((10_001..10_100).contains(&counted), "{counted}");
    let done = text(run(&world, ADMIN, &["person", "erase", MAIL, "--force", "-j"], ""));
    let done: Value = serde_json::from_str(&done).unwrap();
    assert_eq!((&done["users"], &done["more"]), (&json!([ada.user]), &json!(false)));
    assert_eq!(rows_of(&world, &ada.user).await, 0);
    for text in [MAIL, AGENT] {
        assert_eq!(found(&world, text).await, Vec::<String>::new(), "{text}");
    }
}

#[tokio::test]
async fn a_member_who_only_claims_an_address_refuses_no_erasure_and_loses_the_address() {
    let world = World::new().await;
    world.tenants().await;
    let admin = world.node.admin();
    let claims = ada(&world).await;
    let open = invite(&admin, "other", MAIL, "member").await;
    let done = erase(&admin, json!({"email": MAIL})).await.expect(200).clone();
    assert_eq!((&done["users"], &done["members"]), (&json!([]), &json!([claims.user])));
    assert_eq!(found(&world, MAIL).await, Vec::<String>::new());
    claims.session.get("/v1/whoami").await.expect(200);
    let shown = admin.get(&format!("/v1/users/{}", claims.user)).await.expect(200).clone();
    assert_eq!((&shown["erased"], &shown["name"]), (&json!(["email"]), &json!("Peculiar Ada")));
    let invitation = format!("/v1/organizations/other/invitations/{}", open["id"].as_str().unwrap());
    assert_eq!(admin.get(&invitation).await.expect(200)["status"], "withdrawn");
    offboard(&admin, &claims.user).await;
    let rest = erase(&admin, json!({"user": claims.user})).await.expect(200).clone();
    assert_eq!(rest["users"], json!([claims.user]));
    assert_eq!(found(&world, "eculiar").await, Vec::<String>::new());
}

#[tokio::test]
async fn erasing_again_deletes_what_has_come_since_and_is_no_event() {
    let world = World::new().await;
    world.tenants().await;
    let admin = world.node.admin();
    let invitation = invite(&admin, "acme", MAIL, "member").await;
    let body = json!({"invitation": invitation["secret"], "name": "Peculiar Ada"});
    let accepted = world.node.anon().post("/v1/invitations/accept", body).await;
    let secret = accepted.text_of("secret");
    let user = accepted.text_of("created_by").strip_prefix("session:").unwrap().to_owned();
    offboard(&admin, &user).await;
    erase(&admin, json!({"email": MAIL})).await.expect(200);
    // A session that is shown once more is on record.
    world.node.token(&secret).get("/v1/whoami").await.refused(401, "token_revoked");
    assert!(rows_of(&world, &user).await > 0);
    let (again, lines) = world.lines_of(erase(&admin, json!({"user": user}))).await;
    assert_eq!((&again.expect(200)["users"], lines.len(), lines[0].is_use()), (&json!([user]), 1, true));
    assert_eq!(rows_of(&world, &user).await, 0);
    let (again, lines) = world.lines_of(erase(&admin, json!({"email": MAIL}))).await;
    assert_eq!((&again.expect(200)["users"], lines.len()), (&json!([]), 1));
    // Nobody has to ask for it.
    let other = world.another().await;
    other.token(&secret).get("/v1/whoami").await.refused(401, "token_revoked");
    assert!(rows_of(&world, &user).await > 0);
    assert!(world.node.node().erase_again().await.unwrap() > 0);
    assert_eq!((rows_of(&world, &user).await, other.node().erase_again().await.unwrap()), (0, 0));
}

#[tokio::test]
async fn somebody_who_never_came_is_erased_by_mail_address() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    invite(&tenants.owner, "acme", MAIL, "member").await;
    let kept = invite(&tenants.owner, "acme", "grace@example.org", "member").await;
    let key = json!({"name": "k", "scope": {"organization": "acme"}, "grants": ["member"], "algorithm": "sha256",
        "hash": "0f".repeat(32), "owner": MAIL});
    let admin = world.node.admin();
    admin.post("/v1/tokens/import", json!({"items": [key]})).await.expect(200);
    let call = || admin.call("POST", "/v1/users/erase").key("once").json(&json!({"email": MAIL}));
    let (done, lines) = world.lines_of(call().send()).await;
    assert_eq!((done.expect(200)["users"].clone(), lines.len()), (json!([]), 4));
    assert_eq!(found(&world, "peculiar").await, Vec::<String>::new(), "nor as who owned an imported key");
    call().send().await.expect(200);
    let kept = format!("/v1/organizations/acme/invitations/{}", kept["id"].as_str().unwrap());
    assert_eq!(admin.get(&kept).await.expect(200)["email"], "grace@example.org");
    for wrong in [json!({}), json!({"user": "x", "email": MAIL}), json!({"email": "nobody"})] {
        erase(&admin, wrong).await.refused(422, "invalid_value");
    }
    let nobody = json!({"user": "019ab7a4-0000-7000-8000-000000000009"});
    erase(&admin, nobody).await.refused(404, "not_found");
}

/// The line and the deletion are one statement: whatever happens around it, both are there or neither.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_and_its_event_are_there_together_or_not_at_all() {
    for point in [Point::Locked, Point::Committing, Point::Answered, Point::Folding] {
        let world = World::new().await;
        world.tenants().await;
        let ada = ada(&world).await;
        offboard(&world.node.admin(), &ada.user).await;
        let faults = Faults::default();
        let node = NodeOptions::on(&world.database).impatient().faults(&faults).start().await;
        node.catches_up_with(&world.node).await;
        faults.plan(point, Fault::Error, 1);
        let answer = erase(&node.admin(), json!({"user": ada.user})).await;
        is_whole(&world, &ada, answer.status == 200, point).await;
        drop(node);
        let node: TestNode = NodeOptions::on(&world.database).start().await;
        eventually_async("the erasure to be done", async || {
            (erase(&node.admin(), json!({"user": ada.user})).await.status == 200).then_some(())
        })
        .await;
        is_whole(&world, &ada, true, point).await;
    }
}

async fn is_whole(world: &World, ada: &Person, is_done: bool, point: Point) {
    let entries = world.database.entries().await;
    let erasures = entries.iter().filter(|entry| entry.kind == "PersonErased" && entry.at("/org").is_null());
    let (erasures, found) = (erasures.count(), found(world, "eculiar").await);
    assert_eq!(
        erasures == 1,
        found.is_empty() && rows_of(world, &ada.user).await == 0,
        "{point:?}: {found:?}"
    );
    assert!(erasures == 1 || !is_done, "{point:?}: what was acknowledged is done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_erased_on_the_command_line() {
    let world = World::new().await;
    world.tenants().await;
    let ada = ada(&world).await;
    let admin = |arguments: &[&str]| run(&world, ADMIN, arguments, "");
    let member = admin(&["person", "erase", &ada.user, "--force"]);
    assert_eq!(member.status.code(), Some(6), "{}", String::from_utf8_lossy(&member.stderr));
    offboard(&world.node.admin(), &ada.user).await;
    assert_eq!(admin(&["person", "erase", MAIL]).status.code(), Some(2), "nobody is there to be asked");
    let would = text(admin(&["user", "erase", MAIL, "--dry-run"]));
    assert!(would.contains(&ada.user) && would.contains("nothing yet"), "{would}");
    let done = text(admin(&["person", "erase", MAIL, "--force"]));
    assert!(done.contains("erased") && done.contains("1 email"), "{done}");
    let again = text(admin(&["person", "erase", MAIL, "--force"]));
    assert!(again.contains("nothing is kept"), "{again}");
    let listed = text(admin(&["person", "list"]));
    assert!(listed.contains("erased") && !listed.contains("eculiar"), "{listed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_altered_value_is_never_shown_as_if_it_were_true() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let ada = ada(&world).await;
    let metric = async || {
        let metrics = world.node.anon().get("/metrics").await.text;
        let line = metrics.lines().find(|line| line.starts_with("chancery_personal_altered_total")).unwrap();
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(metric().await, 0);
    let forge = "UPDATE chancery.personal SET value = 'eve@example.org' \
                 WHERE kind = 'email'; UPDATE chancery.personal SET value = '192.0.2.66' WHERE kind = 'address'";
    world.database.execute(forge).await;
    let members = tenants.owner.get("/v1/organizations/acme/members").await;
    let member = &members.expect(200)["items"][0];
    assert_eq!(
        (member.get("email"), &member["altered"], &member["name"]),
        (None, &json!(["email"]), &json!("Peculiar Ada"))
    );
    let path = format!("/v1/audit/events?type=InvitationAccepted&at_least={}", members.position());
    let events = tenants.owner.get(&path).await;
    let event = &events.expect(200)["items"][0];
    assert_eq!(event["altered"], json!([event["line"]["actor"]["address"]]));
    assert!(!events.text.contains("192.0.2.66") && !members.text.contains("eve@"));
    assert!(metric().await >= 2);
    let listed = text(run(&world, ADMIN, &["member", "list"], ""));
    assert!(listed.contains("altered"), "{listed}");
    offboard(&world.node.admin(), &ada.user).await;
}
