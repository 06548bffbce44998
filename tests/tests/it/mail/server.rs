//! A mail server on loopback: commands and states are a library's, STARTTLS and TLS are real.

use mailin::response::{self, Action, Response};
use mailin::{AuthMechanism, Handler, Session, SessionBuilder};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use secrecy::SecretString;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// Who may log in.
pub(crate) const USER: &str = "chancery";
/// With what.
pub(crate) const PASSWORD: &str = "a password of the mail server";

/// How the server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Cleartext, and whoever comes.
    Open,
    /// STARTTLS, and then a password.
    StartTls,
    /// TLS from the first byte, and a password.
    Tls,
}

/// A mail as it was taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    /// Headers and body.
    pub(crate) text: String,
    /// Who sent it.
    pub(crate) user: Option<String>,
}

pub(crate) struct MailServer {
    address: SocketAddr,
    way: Way,
    authority: String,
    taken: mpsc::UnboundedReceiver<Mail>,
    refusals: Arc<Mutex<VecDeque<Response>>>,
}

impl MailServer {
    pub(crate) async fn start(way: Way) -> MailServer {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![made.cert.der().clone()], key)
                .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, taken) = mpsc::unbounded_channel();
        let refusals = Arc::new(Mutex::new(VecDeque::new()));
        let inbox = Inbox { sender, refusals: Arc::clone(&refusals), user: None, mail: Mail::default(), way };
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                tokio::spawn(serve(stream, peer.ip(), acceptor.clone(), inbox.clone()));
            }
        });
        MailServer { address, way, authority: made.cert.pem(), taken, refusals }
    }

    pub(crate) fn url(&self) -> String {
        let port = self.address.port();
        match self.way {
            Way::Open => format!("smtp://localhost:{port}?tls=none"),
            Way::StartTls => format!("smtp://localhost:{port}"),
            Way::Tls => format!("smtps://localhost:{port}"),
        }
    }

    pub(crate) fn credentials(&self) -> Option<(String, SecretString)> {
        (self.way != Way::Open).then(|| (USER.to_owned(), PASSWORD.into()))
    }

    /// The certificate, PEM.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// The answer to the next mail that is not refused by an earlier one of these.
    pub(crate) fn refuse(&self, code: u16, text: &str) {
        self.refusals.lock().unwrap().push_back(Response::custom(code, text.to_owned()));
    }

    /// How many of the refusals are still to come.
    pub(crate) fn refusals_left(&self) -> usize {
        self.refusals.lock().unwrap().len()
    }

    /// The next mail.
    pub(crate) async fn taken(&mut self) -> Mail {
        self.taken.recv().await.unwrap()
    }

    /// The next mail, if it is there.
    pub(crate) fn taken_so_far(&mut self) -> Option<Mail> {
        self.taken.try_recv().ok()
    }
}

#[derive(Clone)]
struct Inbox {
    sender: mpsc::UnboundedSender<Mail>,
    refusals: Arc<Mutex<VecDeque<Response>>>,
    way: Way,
    user: Option<String>,
    mail: Mail,
}

impl Inbox {
    fn log_in(&mut self, user: &str, password: &str) -> Response {
        if (user, password) != (USER, PASSWORD) {
            return response::INVALID_CREDENTIALS;
        }
        self.user = Some(user.to_owned());
        response::AUTH_OK
    }
}

impl Handler for Inbox {
    fn mail(&mut self, _: IpAddr, _: &str, from: &str) -> Response {
        if self.way != Way::Open && self.user.is_none() {
            return response::AUTHENTICATION_REQUIRED;
        }
        self.mail = Mail { from: from.to_owned(), user: self.user.clone(), ..Mail::default() };
        self.refusals.lock().unwrap().pop_front().unwrap_or(response::OK)
    }

    fn rcpt(&mut self, to: &str) -> Response {
        self.mail.to.push(to.to_owned());
        response::OK
    }

    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.mail.text.push_str(std::str::from_utf8(bytes).map_err(io::Error::other)?);
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        let _ = self.sender.send(std::mem::take(&mut self.mail));
        response::OK
    }

    fn auth_plain(&mut self, _: &str, user: &str, password: &str) -> Response {
        self.log_in(user, password)
    }
}

async fn serve(stream: TcpStream, peer: IpAddr, acceptor: TlsAcceptor, inbox: Inbox) -> io::Result<()> {
    let mut builder = SessionBuilder::new("localhost");
    let way = inbox.way;
    if way != Way::Open {
        builder.enable_start_tls().enable_auth(AuthMechanism::Plain);
    }
    let mut session = builder.build(peer, inbox);
    if way == Way::Tls {
        session.tls_active();
        let mut stream = BufStream::new(acceptor.accept(stream).await?);
        answer(&mut stream, &session.greeting()).await?;
        return talk(&mut stream, &mut session).await.map(drop);
    }
    let mut stream = BufStream::new(stream);
    answer(&mut stream, &session.greeting()).await?;
    if talk(&mut stream, &mut session).await? == Action::UpgradeTls {
        let mut stream = BufStream::new(acceptor.accept(stream.into_inner()).await?);
        session.tls_active();
        talk(&mut stream, &mut session).await?;
    }
    Ok(())
}

/// Takes commands until the connection ends, or is to go on with TLS.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufStream<S>,
    session: &mut Session<Inbox>,
) -> io::Result<Action> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Ok(Action::Close);
        }
        let response = session.process(&line);
        answer(stream, &response).await?;
        if matches!(response.action, Action::Close | Action::UpgradeTls) {
            return Ok(response.action);
        }
    }
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufStream<S>,
    response: &Response,
) -> io::Result<()> {
    stream.write_all(&response.buffer()?).await?;
    stream.flush().await
}
