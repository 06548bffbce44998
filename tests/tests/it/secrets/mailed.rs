use super::{Finder, dump, legible_with, search};
use crate::mail::server::{PASSWORD, USER};
use crate::mail::{MailServer, Way, text_in};
use serde_json::json;

/// Through a server that speaks TLS, that refuses some mails for now and some for good, and that quotes what it was
/// sent.
#[tokio::test]
async fn the_text_of_a_mailed_invitation_is_found_nowhere_but_in_the_mail() {
    let mut server = MailServer::start(Way::StartTls).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (password_file, authority) = (file("password", PASSWORD), file("ca.pem", server.authority()));
    let mut binary = legible_with(&[
        ("CHANCERY_SMTP_URL", &server.url()),
        ("CHANCERY_SMTP_USER", USER),
        ("CHANCERY_SMTP_PASSWORD_FILE", &password_file),
        ("CHANCERY_SMTP_CA_FILE", &authority),
        ("CHANCERY_MAIL_FROM", "chancery@example.org"),
        ("CHANCERY_PUBLIC_URL", "https://chancery.example"),
    ])
    .await;
    let admin = binary.admin();
    admin.organization("acme").await;
    let (mut secrets, mut answers) = (vec![PASSWORD.to_owned()], String::new());
    for number in 0..8 {
        let body = json!({"email": format!("ada{number}@example.org"), "role": "member"});
        let invite = admin.call("POST", "/v1/organizations/acme/invitations").key(&format!("k{number}"));
        let made = invite.json(&body).send().await;
        assert_eq!(made.expect(201)["mail"], "sent");
        let path = format!("{}/reissue", made.header("location"));
        server.refuse(550, &format!("ada{number}@example.org is not wanted here"));
        let refused = admin.call("POST", &path).key(&format!("r{number}")).send().await;
        assert_eq!(refused.expect(200)["mail"], "refused");
        answers.extend([made.text, refused.text]);
        secrets.push(text_in(&server.taken().await));
    }
    let finder = Finder::of(&secrets);
    let dumped = dump(&binary).await;
    assert_eq!(search(&finder, &binary.folder()).0, [""; 0], "the files of the data folder");
    let exited = binary.terminate().await;
    assert!(exited.stderr.contains("a mail was not taken") && exited.stderr.contains("TRACE"));
    // Nor is it told to whom mail went: a line has a commitment, and a trace not even that.
    assert!(!exited.stderr.contains("is not wanted here"));
    for (place, text) in
        [("the dump", &dumped[..]), ("stderr", exited.stderr.as_bytes()), ("an answer", answers.as_bytes())]
    {
        assert_eq!(finder.find(place, text), [""; 0]);
    }
}
