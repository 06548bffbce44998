use super::{accept, invite, join};
use crate::{DAY, TICK, just_before};
use chancery_tests::World;
use serde_json::{Value, json};

const INVITATIONS: &str = "/v1/organizations/acme/invitations";

#[tokio::test]
async fn an_invitation_becomes_a_session_that_does_what_the_role_does() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let body = json!({"email": "Ada@Example.ORG", "role": "member"});
    let made = tenants.owner.post(INVITATIONS, body).await;
    let invitation = made.expect(201);
    assert_eq!(invitation["email"], "Ada@example.org");
    assert_eq!((&invitation["status"], &invitation["delivery"]), (&json!("open"), &json!("answer")));
    assert_eq!(invitation["expires_at"], world.moment(7 * DAY));
    let path = made.header("location");
    assert!(tenants.owner.get(path).await.expect(200).get("secret").is_none());
    let ada = accept(&world.node, invitation).await;
    let whoami = ada.session.get("/v1/whoami").await;
    assert_eq!(whoami.expect(200)["actor"], format!("session:{}", ada.user));
    assert_eq!(whoami.body["token"]["expires_at"], world.moment(DAY));
    let token =
        json!({"name": "ci", "scope": {"organization": "acme"}, "grants": ["member"], "expires_in": "90d"});
    let minted = ada.session.mint_with(token).await;
    assert_eq!((&minted.body["parent"], &minted.body["created_by"]), (&json!(ada.id), &whoami.body["actor"]));
    ada.session.get("/v1/audit/events").await.refused(403, "forbidden");
    ada.session.patch("/v1/organizations/acme", json!({})).await.refused(403, "forbidden");
    ada.session.get("/v1/organizations/other").await.refused(404, "not_found");
    let again = json!({"invitation": invitation["secret"]});
    world.node.anon().post("/v1/invitations/accept", again).await.refused(409, "invitation_ended");
    let shown = tenants.owner.get(path).await;
    assert_eq!((&shown.body["status"], &shown.body["user"]), (&json!("accepted"), &json!(ada.user)));
    world.pass(DAY);
    ada.session.get("/v1/whoami").await.refused(401, "token_expired");
    world.node.token(&minted.secret).get("/v1/whoami").await.expect(200);
}

#[tokio::test]
async fn an_invitation_is_accepted_until_its_end_and_not_after_it() {
    let world = World::new().await;
    world.tenants().await;
    let admin = world.node.admin();
    let body = json!({"email": "ada@example.org", "role": "member", "expires_in": "2d"});
    let made = admin.post(INVITATIONS, body).await;
    world.pass(just_before(2 * DAY));
    let open = admin.get(INVITATIONS).await.expect(200)["items"][0].clone();
    assert_eq!((&open["status"], &open["email"]), (&json!("open"), &json!("ada@example.org")));
    world.pass(TICK);
    let late = json!({"invitation": made.text_of("secret")});
    world.node.anon().post("/v1/invitations/accept", late.clone()).await.refused(409, "invitation_ended");
    let path = format!("{INVITATIONS}/{}", made.text_of("id"));
    assert_eq!(admin.get(&path).await.body["status"], "expired");
    let renewed = admin.post(&format!("{path}/reissue"), json!({})).await;
    renewed.expect(200);
    world.node.anon().post("/v1/invitations/accept", late).await.refused(404, "not_found");
    admin.call("DELETE", &path).if_match("\"1\"").send().await.refused(412, "precondition_failed");
    admin.call("DELETE", &path).if_match(&renewed.tag()).send().await.expect(200);
    let withdrawn = json!({"invitation": renewed.text_of("secret")});
    world.node.anon().post("/v1/invitations/accept", withdrawn).await.refused(409, "invitation_ended");
    assert_eq!(admin.delete(&path).await.expect(200)["status"], "withdrawn");
    let never = json!({"invitation": "chyn_never"});
    world.node.anon().post("/v1/invitations/accept", never).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_provisioner_is_told_the_text_of_a_first_owner_alone() {
    let world = World::new().await;
    let admin = world.node.admin();
    let provisioner = admin.mint("p", json!({"instance": true}), &["provisioner"]).await;
    let provisioner = world.node.token(&provisioner.secret);
    provisioner.organization("fresh").await;
    let path = "/v1/organizations/fresh/invitations";
    let body = |role: &str| json!({"email": "ada@example.org", "role": role});
    provisioner.post(path, body("admin")).await.refused(403, "escalation");
    let (first, second) = (
        invite(&provisioner, "fresh", "a@x.org", "owner").await,
        provisioner.post(path, body("owner")).await,
    );
    let owner = accept(&world.node, &first).await;
    let late = json!({"invitation": second.text_of("secret")});
    world.node.anon().post("/v1/invitations/accept", late).await.refused(409, "invitation_ended");
    provisioner.post(path, body("owner")).await.refused(403, "escalation");
    let member = provisioner.post(path, body("member")).await;
    assert_eq!((&member.expect(201)["delivery"], member.body.get("secret")), (&json!("none"), None));
    let path = format!("{path}/{}/reissue", member.text_of("id"));
    assert!(provisioner.post(&path, json!({})).await.expect(200).get("secret").is_none());
    accept(&world.node, owner.session.post(&path, json!({})).await.expect(200)).await;
    provisioner.get("/v1/organizations/fresh/members").await.refused(403, "forbidden");
}

#[tokio::test]
async fn who_is_known_stays_the_same_person() {
    let world = World::new().await;
    world.tenants().await;
    let ada = join(&world.node, "acme", "ada@example.org", "member").await;
    let to_other = invite(&world.node.admin(), "other", "ada@example.org", "auditor").await;
    let body = json!({"invitation": to_other["secret"], "name": "Somebody Else"});
    let joined = ada.session.post("/v1/invitations/accept", body).await;
    assert_eq!(joined.expect(201)["created_by"], format!("session:{}", ada.user));
    let user = world.node.admin().get(&format!("/v1/users/{}", ada.user)).await;
    assert_eq!(user.expect(200)["organizations"], json!(["acme", "other"]));
    assert_eq!(user.body["name"], "Ada Lovelace");
    let again = invite(&world.node.admin(), "acme", "ada@example.org", "owner").await;
    let again = json!({"invitation": again["secret"]});
    ada.session.post("/v1/invitations/accept", again).await.refused(409, "already_member");
}

#[tokio::test]
async fn a_lost_answer_is_given_again_and_nothing_happens_twice() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let body = json!({"email": "ada@example.org", "role": "member"});
    let invite = || tenants.owner.call("POST", INVITATIONS).key("k").json(&body).send();
    let (first, again) = (invite().await, invite().await);
    assert_eq!(first.expect(201), again.expect(201));
    let other = json!({"email": "eve@example.org", "role": "member"});
    let other = tenants.owner.call("POST", INVITATIONS).key("k").json(&other).send().await;
    other.refused(422, "idempotency_key_reused");
    let body = json!({"invitation": first.text_of("secret"), "name": "Ada"});
    let accept = || world.node.anon().call("POST", "/v1/invitations/accept").key("k").json(&body).send();
    let (session, again) = (accept().await, accept().await);
    assert_eq!(session.expect(201), again.expect(201));
    assert_eq!(
        tenants.owner.get("/v1/organizations/acme/members").await.body["items"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn invitations_are_listed_to_who_may_read_members_there() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    for (place, role) in [("acme", "member"), ("acme/web", "project-writer"), ("acme/api", "project-reader")]
    {
        invite(&tenants.owner, place, "ada@example.org", role).await;
    }
    let web = json!({"organization": "acme", "project": "web"});
    let limited = world.node.admin().mint("w", web, &["project-admin"]).await;
    let roles = async |secret: &str| {
        let page = world.node.token(secret).get(INVITATIONS).await;
        let items = page.expect(200)["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["role"].clone()).collect::<Vec<Value>>()
    };
    assert_eq!(roles(&limited.secret).await, ["project-writer"]);
    let owner = world.node.admin().mint("o", json!({"organization": "acme"}), &["owner"]).await;
    assert_eq!(roles(&owner.secret).await.len(), 3);
    let first = tenants.owner.get(&format!("{INVITATIONS}?limit=2")).await;
    let cursor = first.expect(200)["next_cursor"].as_str().unwrap();
    let rest = tenants.owner.get(&format!("{INVITATIONS}?limit=2&cursor={cursor}")).await;
    assert_eq!(
        (rest.expect(200)["items"].as_array().unwrap().len(), rest.body.get("next_cursor")),
        (1, None)
    );
    for email in
        ["", "ada", "@example.org", "ada@", "a da@example.org", "<ada@example.org>", "ada@exa\nmple.org"]
    {
        let refused = tenants.owner.post(INVITATIONS, json!({"email": email, "role": "member"})).await;
        assert_eq!(refused.refused(422, "invalid_value")["errors"][0]["field"], "email", "{email}");
    }
}
