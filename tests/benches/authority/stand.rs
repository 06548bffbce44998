//! What is measured, set up: one durable Postgres, authorities in databases of it, and servers as processes.

use crate::load::Script;
use domain::authority::Credential;
use domain::decide::ScopeText;
use domain::decide::{
    Command, CreateOrganization, CreateProject, Entropy, Expiry, Mint, Particulars, Request,
};
use domain::event::Answers;
use domain::id::{OrganizationId, ProjectId, TokenId};
use domain::secret::SecretHash;
use eventlog::private::{self, PrivatePostgres};
use eventlog::{Clock, Log, LogKey, Random};
use futures_util::stream::{self, StreamExt as _};
use projections::{Call, Client, Node, Outcome, Presented, Starting, Work};
use serde_json::json;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The break-glass token of the benchmark's authorities.
pub(crate) const ADMIN: &str = "chancery-admin-of-the-benchmark-0123456789abcdef";
pub(crate) const ORGANIZATIONS: usize = 10;
const PROJECTS: usize = 10;

/// A folder and the Postgres in it.
pub(crate) struct Stand {
    pub(crate) folder: TempDir,
    pub(crate) postgres: PrivatePostgres,
}

/// A token of an authority, by what is needed to ask about it.
#[derive(Clone)]
pub(crate) struct Seeded {
    pub(crate) secret: String,
    pub(crate) organization: usize,
    pub(crate) project: usize,
}

/// An authority with tokens, not yet served.
pub(crate) struct Authority {
    /// The database, which is also the folder's name.
    pub(crate) name: &'static str,
    /// The tokens that are asked about.
    pub(crate) tokens: Vec<Seeded>,
    /// Who asks: a verifier for each organization.
    pub(crate) verifiers: Vec<String>,
}

/// A process that answers on loopback.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// From the process's start until it said where it answers.
    pub(crate) started_in: Duration,
}

impl Stand {
    /// With everything as `chancery serve` sets it up by itself.
    pub(crate) async fn new() -> Stand {
        // In the build's folder rather than in /tmp, which may be memory: the disk is part of what is measured.
        let folder =
            tempfile::Builder::new().prefix("bench-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let bin_dir = Some(private::find_or_install(None, |_| {}).await.unwrap());
        let options = private::Options { bin_dir, ..private::Options::new(folder.path().join("data")) };
        let postgres = PrivatePostgres::start(options).await.unwrap();
        Stand { folder, postgres }
    }

    /// The superuser's way to a database.
    pub(crate) fn options(&self, database: &str) -> PgConnectOptions {
        self.postgres.connect_options().username("postgres").database(database).disable_statement_logging()
    }

    /// A connection that may do everything.
    pub(crate) async fn superuser(&self, database: &str) -> PgConnection {
        self.options(database).connect().await.unwrap()
    }

    /// A database without anything in it.
    pub(crate) async fn database(&self, name: &str) -> PgConnectOptions {
        let mut connection = self.superuser("postgres").await;
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name} OWNER chancery"))).await.unwrap();
        connection.close().await.unwrap();
        self.postgres.connect_options().database(name).disable_statement_logging()
    }

    /// The same as a URL.
    pub(crate) fn url(&self, database: &str) -> String {
        let socket = self.postgres.socket_dir().display();
        format!("postgres:///{database}?host={socket}&user=chancery&sslmode=disable")
    }

    fn node_folder(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(format!("node-{name}"));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Throws away what a start of an authority's node could go on from. It takes them anew.
    pub(crate) fn forget_snapshots(&self, authority: &Authority) {
        let _ = std::fs::remove_dir_all(self.node_folder(authority.name).join("snapshots"));
    }

    /// An authority with so many live tokens in ten organizations of ten projects.
    pub(crate) async fn authority(&self, name: &'static str, answers: Answers, tokens: usize) -> Authority {
        let node = self.begin(self.database(name).await, name, answers, None).await;
        let mut verifiers = Vec::new();
        for organization in 0..ORGANIZATIONS {
            let create = CreateOrganization {
                id: OrganizationId(node.random().uuid_v7(0)),
                name: organization_name(organization),
                display_name: None,
            };
            command(&node, Command::CreateOrganization(create)).await;
            for project in 0..PROJECTS {
                let organization = organization_name(organization);
                let create = CreateProject {
                    id: ProjectId(node.random().uuid_v7(0)),
                    organization,
                    name: project_name(project),
                    display_name: None,
                };
                command(&node, Command::CreateProject(create)).await;
            }
            let scope = ScopeText::Organization(organization_name(organization));
            let verifier = mint(&node, scope, "gateway".to_owned(), "verifier");
            verifiers.push(command(&node, verifier).await.expect("a secret"));
        }
        let minting = (0..tokens).map(|index| {
            let (organization, project) = (index % ORGANIZATIONS, index / ORGANIZATIONS % PROJECTS);
            let scope = ScopeText::Project(organization_name(organization), project_name(project));
            let minting = mint(&node, scope, format!("service-{index:06}"), "project-writer");
            let minted = command(&node, minting);
            async move { Seeded { secret: minted.await.expect("a secret"), organization, project } }
        });
        let tokens = stream::iter(minting).buffered(4_096).collect().await;
        node.stop().await.unwrap();
        Authority { name, tokens, verifiers }
    }

    /// A node of an authority inside this process, with a clock of the caller's.
    pub(crate) async fn node(&self, authority: &Authority, clock: Option<Clock>) -> Node {
        let database = self.postgres.connect_options().database(authority.name).disable_statement_logging();
        self.begin(database, authority.name, Answers::Committed, clock).await
    }

    async fn begin(
        &self,
        database: PgConnectOptions,
        name: &str,
        answers: Answers,
        clock: Option<Clock>,
    ) -> Node {
        let log = Log::connect(database, 3).await.unwrap();
        let options = projections::Options {
            folder: self.node_folder(name),
            clock,
            log_key_file: None,
            random: Random::system(),
            capacity: 16_384,
            accept: None,
            snapshot_every: projections::Options::SNAPSHOT_EVERY,
        };
        let starting = || {
            let key = LogKey::load_or_create(&self.node_folder(name).join("log-key"), &Random::system())?;
            Ok(Starting { origin: "benchmark.invalid/log".to_owned(), log_key: key.public(), answers })
        };
        Node::start(log, options, starting).await.unwrap()
    }

    /// Adds a token that minted so many others, a tenth of them at second hand; answers its id.
    pub(crate) async fn family(&self, authority: &Authority, descendants: usize) -> TokenId {
        let node = self.node(authority, None).await;
        let scope = || ScopeText::Organization(organization_name(0));
        let minting = mint(&node, scope(), "root".to_owned(), "admin");
        let Command::Mint(Mint { particulars: Particulars { id: root, .. }, .. }) = &minting else {
            unreachable!()
        };
        let root = *root;
        let by_root = presented(&command(&node, minting).await.expect("a secret"));
        // What the root mints ends when it does.
        let heir = |name: String, grant| match mint(&node, scope(), name, grant) {
            Command::Mint(mut minting) => {
                minting.particulars.expiry = Expiry::Inherited;
                Command::Mint(minting)
            }
            other => other,
        };
        let middle = heir("middle".to_owned(), "admin");
        let by_middle = presented(&command_by(&node, by_root, middle).await.expect("a secret"));
        let minting = (1..descendants).map(|index| {
            let by = if index % 10 == 0 { by_middle } else { by_root };
            command_by(&node, by, heir(format!("descendant-{index:06}"), "member"))
        });
        stream::iter(minting).buffered(4_096).for_each(async |_| ()).await;
        node.stop().await.unwrap();
        root
    }

    /// Serves an authority by the built program.
    pub(crate) fn serve(&self, authority: &Authority) -> Server {
        self.serve_by(&program(), authority)
    }

    /// Serves an authority by another build of the program.
    pub(crate) fn serve_by(&self, program: &Path, authority: &Authority) -> Server {
        let folder = self.node_folder(authority.name);
        let mut process = Process::new(program);
        process
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(&folder)
            .env("DATABASE_URL", self.url(authority.name))
            .env("CHANCERY_ADMIN_TOKEN", ADMIN)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("stderr")).unwrap());
        let address = folder.join("address");
        let _ = std::fs::remove_file(&address);
        let began = Instant::now();
        let mut child = process.spawn().unwrap();
        let address = loop {
            match std::fs::read_to_string(&address) {
                Ok(text) if text.ends_with('\n') => break text.trim().parse().unwrap(),
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
            assert!(child.try_wait().unwrap().is_none(), "the node ended: see {}", folder.display());
        };
        Server { child, address, started_in: began.elapsed() }
    }

    /// Ends it all.
    pub(crate) async fn stop(self) {
        self.postgres.stop().await.unwrap();
    }
}

impl Server {
    /// This same program in another role.
    pub(crate) fn rival(arguments: &[&str]) -> Server {
        let mut process = Process::new(std::env::current_exe().unwrap());
        let began = Instant::now();
        let mut child = process.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Server { child, address: line.trim().parse().unwrap(), started_in: began.elapsed() }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program as it is shipped.
fn program() -> PathBuf {
    let output = Process::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--package", "chancery"])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "the program builds");
    let messages = String::from_utf8(output.stdout).unwrap();
    let executable = messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).unwrap();
        message["executable"].as_str().map(PathBuf::from)
    });
    executable.expect("cargo says where the program is")
}

pub(crate) fn organization_name(index: usize) -> String {
    format!("organization-{index}")
}

pub(crate) fn project_name(index: usize) -> String {
    format!("project-{index}")
}

fn mint(node: &Node, scope: ScopeText, name: String, grant: &str) -> Command {
    let at = node.live().clock().now();
    let particulars = Particulars {
        id: TokenId(node.random().uuid_v7(at)),
        entropy: Entropy(node.random().bytes()),
        name,
        description: None,
        metadata: None,
        not_before: None,
        expiry: Expiry::In(Duration::from_hours(90 * 24)),
        allowed_networks: Vec::new(),
    };
    Command::Mint(Mint { scope, grants: vec![grant.to_owned()], particulars })
}

/// Does it with the break-glass token, and gives the secret that comes of it.
pub(crate) async fn command(node: &Node, command: Command) -> Option<String> {
    command_by(node, Credential::AdminToken, command).await
}

/// What the text of a token shows.
fn presented(secret: &str) -> Credential {
    Credential::Secret { hash: SecretHash::of(secret), malformed: false }
}

async fn command_by(node: &Node, by: Credential, command: Command) -> Option<String> {
    let call = Call {
        presented: Presented::Credential(by),
        client: Client::default(),
        request: "benchmark".into(),
        operation: "benchmark",
        object: None,
        personal: Vec::new(),
    };
    let request = Request { command, expected_revision: None, repeat: None };
    let answered = node.submit(call, Work::Command(Box::new(request), None)).await.unwrap();
    match answered.outcome {
        Outcome::Done { secret, .. } => secret.map(domain::secret::Secret::into_text),
        _ => None,
    }
}

/// A generator of which nothing is asked but speed and that every run is the same.
pub(crate) struct Shuffle(u64);

impl Shuffle {
    pub(crate) fn new() -> Shuffle {
        Shuffle(0x9e37_79b9_7f4a_7c15)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        // Marsaglia, "Xorshift RNGs", 2003.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % bound
    }
}

impl Shuffle {
    /// A rank from 0, with a probability that falls as 1/rank.
    pub(crate) fn ranked(&mut self, bound: usize) -> usize {
        let share = self.below(1 << 24) as f64 / f64::from(1 << 24);
        // The inverse of that distribution's sum, which is a logarithm.
        ((bound as f64 + 1.0).powf(share) - 1.0) as usize
    }
}

impl Authority {
    /// Questions in the published mix. How often a token is used falls with its rank, as 1/rank; each is asked for by
    /// its organization's own gateway; 98 of 100 are valid, 2 ask for what the token may not; one of four says who
    /// presented the token, one of a thousand addresses with one of twenty agents.
    pub(crate) fn questions(&self, count: usize) -> Script {
        self.script(count, Shuffle::ranked)
    }

    /// The same with every token used as often as any other.
    pub(crate) fn even_questions(&self, count: usize) -> Script {
        self.script(count, Shuffle::below)
    }

    fn script(&self, count: usize, choose: fn(&mut Shuffle, usize) -> usize) -> Script {
        let mut script = Script::default();
        let mut shuffle = Shuffle::new();
        for _ in 0..count {
            let token = &self.tokens[choose(&mut shuffle, self.tokens.len())];
            let body = question(token, &mut shuffle).to_string();
            script.post("/v1/verify", &self.verifiers[token.organization], &body);
        }
        script
    }

    /// The same in batches.
    pub(crate) fn batches(&self, count: usize, size: usize) -> Script {
        let mut script = Script::default();
        let mut shuffle = Shuffle::new();
        for _ in 0..count {
            let organization = shuffle.below(ORGANIZATIONS);
            let mut items = Vec::with_capacity(size);
            while items.len() < size {
                let token = &self.tokens[shuffle.ranked(self.tokens.len())];
                if token.organization == organization {
                    items.push(question(token, &mut shuffle));
                }
            }
            let body = json!({ "items": items }).to_string();
            script.post("/v1/verify/batch", &self.verifiers[organization], &body);
        }
        script
    }
}

fn question(token: &Seeded, shuffle: &mut Shuffle) -> serde_json::Value {
    let permission = if shuffle.below(100) < 2 { "tokens:mint" } else { "deployments:create" };
    let mut question = json!({
        "token": token.secret, "permission": permission, "project": project_name(token.project),
    });
    if shuffle.below(4) == 0 {
        let address = shuffle.below(1_000);
        question["client"] = json!({
            "address": format!("198.51.{}.{}", address / 250, address % 250 + 1),
            "agent": format!("deploy-tool/1.{}", shuffle.below(20)),
        });
    }
    question
}
