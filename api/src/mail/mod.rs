//! Mail: handed to a server by SMTP, and tried again for some minutes where that fails.
//!
//! What is sent is on no record but that it was to be sent. A mail that waits for its next attempt when the node ends
//! is gone with it; what it was about is given out again by whoever asked for it.

pub(crate) mod invitation;
pub mod settings;

pub use settings::{MailSettings, SmtpUrl};

use domain::text;
use lettre::address::{Address, Envelope};
use lettre::message::Mailbox;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use zeroize::Zeroizing;

/// How long whoever asked waits to be told what became of the mail: shorter than a request may take.
const PATIENCE: Duration = Duration::from_secs(4);
/// The longest that one attempt may take.
const ATTEMPT: Duration = Duration::from_mins(1);
/// Attempts that are made at once.
const AT_ONCE: usize = 8;

/// What has become of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handover {
    /// The server took it.
    Sent,
    /// The server could not be reached, or says to try later; that is done.
    Retrying,
    /// The server does not take it, or there is no address to send it to.
    Refused,
}

impl Handover {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Retrying => "retrying",
            Self::Refused => "refused",
        }
    }
}

/// A mail on its way. What it says is wiped from memory when it is gone.
pub(crate) struct Letter {
    /// What it is about, for the operator: an id.
    about: String,
    envelope: Envelope,
    text: Zeroizing<Vec<u8>>,
}

impl Letter {
    fn new(about: String, message: &Message) -> Self {
        let text = Zeroizing::new(message.formatted());
        Self { about, envelope: message.envelope().clone(), text }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    outcome: &'static str,
}

/// Sends mail.
pub struct Mailer {
    sender: Arc<Sender>,
    from: Mailbox,
    public_url: String,
    ends: CancellationToken,
    _guard: DropGuard,
}

struct Sender {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    retries: Vec<Duration>,
    turns: Semaphore,
    outcomes: Family<Label, Counter>,
}

impl Mailer {
    /// With settings that were checked as they were read; an error says which one cannot be.
    pub fn new(settings: MailSettings) -> Result<Self, String> {
        let transport = settings.transport()?;
        let MailSettings { from, public_url, retries, .. } = settings;
        let ends = CancellationToken::new();
        let turns = Semaphore::new(AT_ONCE);
        let sender = Sender { transport, retries, turns, outcomes: Family::default() };
        Ok(Self { sender: Arc::new(sender), from, public_url, _guard: ends.clone().drop_guard(), ends })
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let outcomes = self.sender.outcomes.clone();
        registry.register("mails", "Attempts to hand a mail to the server, by outcome", outcomes);
    }

    /// Sends a mail; what has become of it after a moment. It is tried again in the background as long as it is
    /// `wanted`.
    pub(crate) async fn deliver(
        &self,
        letter: Letter,
        wanted: impl Fn() -> bool + Send + 'static,
    ) -> Handover {
        let (tell, told) = oneshot::channel();
        let (sender, ends) = (Arc::clone(&self.sender), self.ends.clone());
        tokio::spawn(async move {
            ends.run_until_cancelled(sender.carry(&letter, wanted, tell)).await;
        });
        match tokio::time::timeout(PATIENCE, told).await {
            Ok(Ok(handover)) => handover,
            Ok(Err(_)) | Err(_) => Handover::Retrying,
        }
    }
}

impl Sender {
    async fn carry(&self, letter: &Letter, wanted: impl Fn() -> bool, tell: oneshot::Sender<Handover>) {
        let first = self.attempt(letter).await;
        // Nobody listens any more where it took too long.
        let _ = tell.send(first);
        if first != Handover::Retrying {
            return;
        }
        for pause in &self.retries {
            tokio::time::sleep(*pause).await;
            if !wanted() || self.attempt(letter).await != Handover::Retrying {
                return;
            }
        }
        tracing::error!(about = letter.about, "a mail was given up: nothing took it");
    }

    async fn attempt(&self, letter: &Letter) -> Handover {
        let _turn = self.turns.acquire().await.expect("the semaphore is never closed");
        let sending = self.transport.send_raw(&letter.envelope, &letter.text);
        let outcome = match tokio::time::timeout(ATTEMPT, sending).await {
            Ok(Ok(_)) => Handover::Sent,
            Ok(Err(error)) => {
                let is_final = error.is_permanent() || error.is_client();
                let outcome = if is_final { Handover::Refused } else { Handover::Retrying };
                tracing::warn!(
                    about = letter.about,
                    outcome = outcome.name(),
                    error = reason(&error),
                    "a mail was not taken"
                );
                outcome
            }
            Err(_) => {
                tracing::warn!(about = letter.about, "a mail was not taken within {ATTEMPT:?}");
                Handover::Retrying
            }
        };
        self.outcomes.get_or_create(&Label { outcome: outcome.name() }).inc();
        outcome
    }
}

/// Why a mail was not taken. What a server answers may quote the address or the mail, so only its code is told.
fn reason(error: &lettre::transport::smtp::Error) -> String {
    match error.status() {
        Some(code) => format!("the server answered {code}"),
        None => text::mask(&error.to_string()).into_owned(),
    }
}

/// An address as mail can be sent to it.
pub(crate) fn address(text: &str) -> Option<Address> {
    text.parse().ok()
}
