use super::{invite, join};
use crate::DAY;
use chancery_tests::World;
use serde_json::json;

#[tokio::test]
async fn no_line_holds_who_a_person_is() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let body = json!({"email": "peculiar.ada@example.org", "role": "member"});
    let keyed = tenants.owner.call("POST", "/v1/organizations/acme/invitations").key("1").json(&body);
    let made = keyed.send().await;
    let secret = made.text_of("secret");
    let accepted = json!({"invitation": secret, "name": "Peculiar Ada"});
    world.node.anon().post("/v1/invitations/accept", accepted).await.expect(201);
    let entries = world.database.entries().await;
    for value in ["peculiar", "Peculiar", "example.org", &secret[12..]] {
        assert!(entries.iter().all(|entry| !entry.text.contains(value)), "{value}");
    }
    let invited = entries.iter().find(|entry| entry.kind == "MemberInvited").unwrap();
    let opened = world.database.personal(invited.text_at("/email")).await;
    assert_eq!(opened, ("email".to_owned(), "peculiar.ada@example.org".to_owned()));
    let accepted = entries.iter().find(|entry| entry.kind == "InvitationAccepted").unwrap();
    assert_eq!(world.database.personal(accepted.text_at("/name")).await.1, "Peculiar Ada");
    // Nor can the address be guessed from the fingerprint of its request, which anybody could make without the key.
    let guess = blake3_half(&serde_json::to_string(&body).unwrap());
    assert_ne!(invited.text_at("/idempotency/body"), guess);
}

/// What the fingerprint of a body is where nothing personal stands in it.
fn blake3_half(body: &str) -> String {
    use base64::Engine as _;
    let hash = domain::secret::SecretHash::of(body);
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&hash.0[..16])
}

#[tokio::test]
async fn erasing_a_person_leaves_the_rest_as_it_is() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let ada = join(&world.node, "acme", "ada@example.org", "member").await;
    world.database.execute("DELETE FROM chancery.personal").await;
    let members = tenants.owner.get("/v1/organizations/acme/members").await;
    let member = &members.expect(200)["items"][0];
    assert_eq!((member.get("email"), member.get("name")), (None, None));
    assert_eq!(member["user"], ada.user);
    ada.session.get("/v1/whoami").await.expect(200);
}

#[tokio::test]
async fn what_a_person_does_is_attributed_to_the_person_through_the_session() {
    let world = World::new().await;
    world.tenants().await;
    let ada = join(&world.node, "acme", "ada@example.org", "admin").await;
    let (_, lines) = world.lines_of(ada.session.get("/v1/organizations/acme")).await;
    assert_eq!(lines[0].at("/actor/by"), &json!(format!("session:{}", ada.user)));
    assert_eq!((lines[0].at("/actor/token"), lines[0].at("/token")), (&json!(ada.id), &json!(ada.id)));
    let (_, lines) = world.lines_of(invite(&ada.session, "acme", "b@example.org", "member")).await;
    assert_eq!((lines.len(), &*lines[0].kind), (1, "MemberInvited"));
    assert_eq!(lines[0].at("/actor/by"), &json!(format!("session:{}", ada.user)));
    world.pass(DAY);
    ada.session.get("/v1/organizations/acme").await.refused(401, "token_expired");
}
