//! `chancery demo`: an authority with a sample of real use, left running to try things on.

use crate::serve::{self, Running, ServeArgs, Settings};
use anyhow::{Context, Result, ensure};
use clap::Args;
use eventlog::private;
use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Where the demo listens unless it is told otherwise.
const ADDRESS: &str = "127.0.0.1:7070";

/// What `chancery demo` can be told.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct DemoArgs {
    /// Folder for the demo's data; what is there is gone on with [default: chancery-demo beside serve's]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Address to listen on; when it is taken, a free port [default: 127.0.0.1:7070]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<std::net::SocketAddr>,
}

/// Serves an authority with a sample of real use.
pub(crate) async fn run(args: DemoArgs) -> Result<()> {
    serve::log_to_stderr("warn");
    let announce = |what: &str| crate::print_lines(&[what.to_owned()]);
    private::find_or_install(None, announce).await?;
    let running = start(&args).await?;
    let admin = serve::read_secret(&running.settings().data_dir.join("admin-token"))?;
    // A proxy of the environment must not see the admin token on its way to this machine.
    let client = Client::builder().no_proxy().build()?;
    let sample = Sample { client, url: running.url(), admin };
    let made = sample.make().await.context("making the sample")?;
    crate::print_lines(&next_steps(&running, made)?);
    serve::until_told(running).await
}

async fn start(args: &DemoArgs) -> Result<Running> {
    let mut serve_args =
        ServeArgs { listen: args.listen, data_dir: args.data_dir.clone(), ..ServeArgs::default() };
    let wanted = args.listen.unwrap_or(ADDRESS.parse().expect("the address is well-formed"));
    // Only looked at: if somebody takes it meanwhile, the start says so.
    if std::net::TcpListener::bind(wanted).is_err() && args.listen.is_none() {
        serve_args.listen = Some((wanted.ip(), 0).into());
    }
    let mut settings = Settings::read(serve_args)?;
    if args.data_dir.is_none() {
        settings.move_data_dir(settings.data_dir.with_file_name("chancery-demo"));
    }
    // The demo is always an authority of its own, whatever database the environment names.
    settings.database_url = None;
    settings.admin_token = None;
    settings.admin_token_file = None;
    let folder = settings.data_dir.display().to_string();
    Running::start(settings)
        .await
        .with_context(|| format!("the demo's data is in {folder}; to start over, remove that folder"))
}

/// A sample of real use, made through the API as anybody would.
struct Sample {
    client: Client,
    url: String,
    admin: SecretString,
}

impl Sample {
    /// Whether it made anything: a second run finds it there.
    async fn make(&self) -> Result<bool> {
        let admin = self.admin.expose_secret();
        if self.get(admin, "/v1/organizations/acme").await?.0 == 200 {
            return Ok(false);
        }
        self.post(admin, "/v1/organizations", json!({"name": "acme", "display_name": "Acme Corporation"}))
            .await?;
        for project in ["web", "billing"] {
            self.post(admin, "/v1/organizations/acme/projects", json!({"name": project})).await?;
        }
        let acme = json!({"organization": "acme"});
        let owner = self.mint(admin, "platform-team", acme.clone(), &["owner"], "180d").await?;
        let gateway = self.mint(&owner, "api-gateway", acme, &["verifier"], "90d").await?;
        let scope = json!({"organization": "acme", "project": "web"});
        let ci = self.mint(&owner, "ci", scope.clone(), &["project-writer"], "90d").await?;
        let old = self.mint(&owner, "ci-before", scope, &["project-writer"], "90d").await?;
        let job = self
            .post(
                &ci,
                "/v1/tokens/narrow",
                json!({
                    "name": "nightly-build", "grants": ["project-reader"], "expires_in": "8h"
                }),
            )
            .await?;
        let job = job["secret"].as_str().context("a narrowed token has a secret")?.to_owned();
        self.verify(&gateway, &ci, "deployments:create").await?;
        self.verify(&gateway, &job, "deployments:read").await?;
        self.verify(&gateway, &job, "deployments:create").await?;
        self.post(
            &owner,
            &format!("/v1/tokens/{}/rotate", self.id(&owner, "ci").await?),
            json!({"overlap": "1h"}),
        )
        .await?;
        let note = json!({"reason": "leaked", "note": "seen in a build log"});
        self.post(&owner, &format!("/v1/tokens/{}/revoke", self.id(&owner, "ci-before").await?), note)
            .await?;
        self.verify(&gateway, &old, "deployments:create").await?;
        self.verify(&gateway, &ci, "deployments:create").await?;
        Ok(true)
    }

    async fn mint(
        &self,
        caller: &str,
        name: &str,
        scope: Value,
        grants: &[&str],
        expires_in: &str,
    ) -> Result<String> {
        let body = json!({"name": name, "scope": scope, "grants": grants, "expires_in": expires_in});
        let minted = self.post(caller, "/v1/tokens", body).await?;
        minted["secret"].as_str().map(str::to_owned).context("a minted token has a secret")
    }

    async fn verify(&self, caller: &str, token: &str, permission: &str) -> Result<()> {
        let client = json!({"address": "203.0.113.7", "agent": "deploy/2.1"});
        let body = json!({"token": token, "permission": permission, "client": client});
        self.post(caller, "/v1/verify", body).await.map(drop)
    }

    async fn id(&self, caller: &str, name: &str) -> Result<String> {
        let (_, page) = self.get(caller, &format!("/v1/tokens?name={name}")).await?;
        page["items"][0]["id"].as_str().map(str::to_owned).with_context(|| format!("no token {name}"))
    }

    async fn get(&self, caller: &str, path: &str) -> Result<(u16, Value)> {
        let answer = self.client.get(format!("{}{path}", self.url)).bearer_auth(caller).send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    async fn post(&self, caller: &str, path: &str, body: Value) -> Result<Value> {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(caller).json(&body);
        let answer = request.send().await?;
        let (status, body): (_, Value) = (answer.status(), answer.json().await?);
        ensure!(status.is_success(), "POST {path}: {status} {}", body["detail"]);
        Ok(body)
    }
}

/// What a newcomer can paste.
fn next_steps(running: &Running, made: bool) -> Result<Vec<String>> {
    let folder =
        std::env::current_exe()?.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
    let (url, data) = (running.url(), running.settings().data_dir.display().to_string());
    let psql = running.psql().unwrap_or_default();
    let sample = if made { "holds a sample of real use" } else { "goes on from the last time" };
    Ok(format!(
        "
Chancery runs, and {sample}: organization acme, its projects, tokens and their uses.

  API            {url}
  API reference  {url}/docs/
  data           {data}
  admin token    {data}/admin-token

Open another terminal and paste, line by line:

  export PATH={folder}:$PATH CHANCERY_URL={url} CHANCERY_DATA_DIR={data}
  chancery auth login --token-stdin < $CHANCERY_DATA_DIR/admin-token
  chancery token list -o acme --status all
  chancery org create initech
  chancery token mint -o initech --name first --grant member --expires 30d --output secret > first.token
  chancery token verify -o initech --permission projects:read --token-stdin < first.token    # valid
  chancery token revoke -o initech first --force
  chancery token verify -o initech --permission projects:read --token-stdin < first.token    # revoked
  {psql} -c 'SELECT position, type, actor, at FROM chancery.events ORDER BY position'

Ctrl-C stops it; the data stays. To start over, stop it and remove {data}."
    )
    .lines()
    .map(str::to_owned)
    .collect())
}
