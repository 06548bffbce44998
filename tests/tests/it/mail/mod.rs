//! Invitations by mail, through a server that speaks SMTP as the ones of the world do.

mod sending;
pub(crate) mod server;

use api::MailSettings;
use chancery_tests::{NodeOptions, World};
pub(crate) use server::{Mail, MailServer, Way};
use std::time::Duration;

/// A node that sends its mail through a server.
async fn world(server: &MailServer) -> World {
    let settings = settings(server);
    World::with(|options| NodeOptions { mail: Some(settings), ..options }).await
}

fn settings(server: &MailServer) -> MailSettings {
    let from = "Chancery <chancery@example.org>";
    let settings =
        MailSettings::new(server.url().parse().unwrap(), from, "https://chancery.example/").unwrap();
    MailSettings {
        credentials: server.credentials(),
        authorities: Some(server.authority().into()),
        retries: vec![Duration::from_millis(20); 3],
        ..settings
    }
}

/// The invitation's text in a mail.
pub(crate) fn text_in(mail: &Mail) -> String {
    let found = mail.text.lines().find(|line| line.starts_with("chyn_"));
    found.unwrap_or_else(|| panic!("no invitation in {}", mail.text)).to_owned()
}
