use super::{MailServer, Way, settings, text_in, world};
use api::{MailSettings, Rates};
use chancery_tests::{NodeOptions, World};
use serde_json::{Value, json};

const INVITATIONS: &str = "/v1/organizations/acme/invitations";

fn body(email: &str) -> Value {
    json!({"email": email, "role": "member"})
}

#[tokio::test]
async fn an_invitation_goes_to_the_address_alone_and_whoever_accepts_it_has_shown_to_read_mail_there() {
    for way in [Way::Open, Way::StartTls, Way::Tls] {
        let mut server = MailServer::start(way).await;
        let world = world(&server).await;
        let tenants = world.tenants().await;
        let made = tenants.owner.post(INVITATIONS, body("ada@example.org")).await;
        let invitation = made.expect(201);
        assert_eq!(
            (&invitation["delivery"], &invitation["mail"]),
            (&json!("mail"), &json!("sent")),
            "{way:?}"
        );
        assert!(!made.text.contains("chyn_"), "{}", made.text);
        let mail = server.taken().await;
        assert_eq!(
            (&*mail.from, &mail.to[..]),
            ("chancery@example.org", &["ada@example.org".to_owned()][..])
        );
        assert_eq!(mail.user.as_deref(), (way != Way::Open).then_some("chancery"));
        assert!(mail.text.contains("Subject: Invitation to acme\r\n"), "{}", mail.text);
        assert!(mail.text.contains("chancery invite accept --url https://chancery.example --save\r\n"));
        let accept = json!({"invitation": text_in(&mail), "name": "Ada"});
        world.node.anon().post("/v1/invitations/accept", accept).await.expect(201);
        let members = tenants.owner.get("/v1/organizations/acme/members").await;
        assert_eq!(members.expect(200)["items"][0]["email_verified"], true);
        let shown = tenants.owner.get(made.header("location")).await;
        assert_eq!((&shown.expect(200)["delivery"], shown.body.get("mail")), (&json!("mail"), None));
    }
}

#[tokio::test]
async fn another_text_goes_by_mail_as_well_and_says_who_invites() {
    let mut server = MailServer::start(Way::Open).await;
    let world = world(&server).await;
    let admin = world.node.admin();
    world.tenants().await;
    let owner = json!({"email": "grace@example.org", "role": "owner"});
    admin.post(INVITATIONS, owner).await.expect(201);
    let accept = json!({"invitation": text_in(&server.taken().await)});
    let grace = world.node.anon().post("/v1/invitations/accept", accept).await;
    let grace = world.node.token(&grace.text_of("secret"));
    let web = json!({"email": "ada@example.org", "role": "project-reader", "project": "web"});
    let made = grace.post(INVITATIONS, web).await;
    let first = server.taken().await;
    let said = "grace@example.org invites you to become a member of\r\nthe project web of the organization acme,\r\n";
    assert!(first.text.contains(said), "{}", first.text);
    let path = format!("{}/reissue", made.header("location"));
    let again = grace.post(&path, json!({"expires_in": "2d"})).await;
    assert_eq!((&again.expect(200)["mail"], again.body.get("secret")), (&json!("sent"), None));
    let second = server.taken().await;
    let accept = async |text: String| {
        world.node.anon().post("/v1/invitations/accept", json!({"invitation": text})).await
    };
    accept(text_in(&first)).await.refused(404, "not_found");
    accept(text_in(&second)).await.expect(201);
}

#[tokio::test]
async fn a_provisioner_is_told_no_text_that_goes_by_mail() {
    let mut server = MailServer::start(Way::Open).await;
    let world = world(&server).await;
    let provisioner = world.node.admin().mint("p", json!({"instance": true}), &["provisioner"]).await;
    let provisioner = world.node.token(&provisioner.secret);
    provisioner.organization("fresh").await;
    for role in ["owner", "member"] {
        let body = json!({"email": "ada@example.org", "role": role});
        let made = provisioner.post("/v1/organizations/fresh/invitations", body).await;
        assert_eq!((&made.expect(201)["delivery"], made.body.get("secret")), (&json!("mail"), None));
        text_in(&server.taken().await);
    }
}

#[tokio::test]
async fn a_mail_that_is_not_taken_is_told_and_tried_again() {
    let mut server = MailServer::start(Way::Open).await;
    let world = world(&server).await;
    let tenants = world.tenants().await;
    server.refuse(451, "try later");
    server.refuse(451, "try later");
    let made = tenants.owner.post(INVITATIONS, body("ada@example.org")).await;
    assert_eq!(made.expect(201)["mail"], "retrying");
    let accept = json!({"invitation": text_in(&server.taken().await)});
    world.node.anon().post("/v1/invitations/accept", accept).await.expect(201);
    server.refuse(550, "ada@example.org is nobody");
    let made = tenants.owner.post(INVITATIONS, body("eve@example.org")).await;
    assert_eq!((&made.expect(201)["mail"], &made.body["status"]), (&json!("refused"), &json!("open")));
    let path = format!("{}/reissue", made.header("location"));
    assert_eq!(tenants.owner.post(&path, json!({})).await.expect(200)["mail"], "sent");
    assert_eq!(server.taken().await.to, ["eve@example.org"]);
    let metrics = world.node.anon().get("/metrics").await.text;
    for line in ["{outcome=\"sent\"} 2", "{outcome=\"retrying\"} 2", "{outcome=\"refused\"} 1"] {
        assert!(metrics.contains(&format!("chancery_mails_total{line}")), "{line}: {metrics}");
    }
}

#[tokio::test]
async fn what_was_withdrawn_meanwhile_is_not_sent_any_more() {
    let mut server = MailServer::start(Way::Open).await;
    let slow = MailSettings { retries: vec![std::time::Duration::from_millis(300); 2], ..settings(&server) };
    let world = World::with(|options| NodeOptions { mail: Some(slow), ..options }).await;
    let tenants = world.tenants().await;
    server.refuse(451, "try later");
    let made = tenants.owner.post(INVITATIONS, body("ada@example.org")).await;
    assert_eq!(made.expect(201)["mail"], "retrying");
    tenants.owner.delete(made.header("location")).await.expect(200);
    tenants.owner.post(INVITATIONS, body("eve@example.org")).await.expect(201);
    assert_eq!(server.taken().await.to, ["eve@example.org"]);
    assert!(server.taken_so_far().is_none());
}

#[tokio::test]
async fn a_server_without_the_protection_that_was_asked_for_is_told_nothing() {
    let mut server = MailServer::start(Way::Open).await;
    let plain = server.url();
    let strict = plain.strip_suffix("?tls=none").unwrap().parse().unwrap();
    let settings = MailSettings { server: strict, retries: Vec::new(), ..settings(&server) };
    let world = World::with(|options| NodeOptions { mail: Some(settings), ..options }).await;
    let tenants = world.tenants().await;
    let made = tenants.owner.post(INVITATIONS, body("ada@example.org")).await;
    assert_ne!(made.expect(201)["mail"], "sent");
    assert!(server.taken_so_far().is_none());
    // A certificate of somebody else is not believed.
    let (server, other) = (MailServer::start(Way::Tls).await, MailServer::start(Way::Tls).await);
    let settings = MailSettings {
        authorities: Some(other.authority().into()),
        retries: Vec::new(),
        ..self::settings(&server)
    };
    let world = World::with(|options| NodeOptions { mail: Some(settings), ..options }).await;
    let tenants = world.tenants().await;
    let made = tenants.owner.post(INVITATIONS, body("ada@example.org")).await;
    assert_ne!(made.expect(201)["mail"], "sent");
}

#[tokio::test]
async fn addresses_and_names_say_nothing_to_the_mail_server() {
    let mut server = MailServer::start(Way::Open).await;
    let world = world(&server).await;
    let tenants = world.tenants().await;
    let renamed = json!({"display_name": "Acme\u{2028}Bcc: eve@example.org"});
    world.node.admin().patch("/v1/organizations/acme", renamed).await;
    for email in [
        "ada@example.org\r\nRCPT TO:<eve@example.org>",
        "ada@example.org\nBcc: eve@example.org",
        "ada@example.org,eve@example.org",
        "\"ada\r\n.\r\n\"@example.org",
        "ada@-example.org",
        "ada..b@example.org",
        "@example.org",
    ] {
        tenants.owner.post(INVITATIONS, body(email)).await.refused(422, "invalid_value");
    }
    tenants.owner.post(INVITATIONS, body("ada@example.org")).await.expect(201);
    let mail = server.taken().await;
    assert_eq!(mail.to, ["ada@example.org"]);
    assert!(!mail.text.contains("eve@example.org"), "{}", mail.text);
    assert!(server.taken_so_far().is_none());
}

#[tokio::test]
async fn one_inviter_sends_so_many_mails_and_no_more() {
    let mut server = MailServer::start(Way::Open).await;
    let rates = Rates { invitations: Some("2/h".parse().unwrap()), ..Rates::default() };
    let settings = settings(&server);
    let world = World::with(|options| NodeOptions { rates, mail: Some(settings), ..options }).await;
    let tenants = world.tenants().await;
    let made = tenants.owner.post(INVITATIONS, body("ada@example.org")).await;
    let reissue = format!("{}/reissue", made.header("location"));
    tenants.owner.post(&reissue, json!({})).await.expect(200);
    let late = tenants.owner.post(&reissue, json!({})).await;
    late.refused(429, "rate_limited");
    assert!(!late.header("retry-after").is_empty());
    tenants.owner.post(INVITATIONS, body("eve@example.org")).await.refused(429, "rate_limited");
    world.node.admin().post(INVITATIONS, body("eve@example.org")).await.expect(201);
    world.node.anon().post(INVITATIONS, body("eve@example.org")).await.refused(401, "unauthenticated");
    for to in ["ada@example.org", "ada@example.org", "eve@example.org"] {
        assert_eq!(server.taken().await.to, [to]);
    }
}

#[tokio::test]
async fn a_repeated_request_sends_one_mail_and_hands_out_no_text() {
    let mut server = MailServer::start(Way::Open).await;
    let world = world(&server).await;
    let tenants = world.tenants().await;
    let body = body("ada@example.org");
    let invite = || tenants.owner.call("POST", INVITATIONS).key("k").json(&body).send();
    let (first, again) = (invite().await, invite().await);
    assert_eq!((&first.expect(201)["id"], &first.body["mail"]), (&again.expect(201)["id"], &json!("sent")));
    assert_eq!((again.body.get("secret"), again.body.get("mail")), (None, None));
    text_in(&server.taken().await);
    assert!(server.taken_so_far().is_none());
    assert_eq!(server.refusals_left(), 0);
}
