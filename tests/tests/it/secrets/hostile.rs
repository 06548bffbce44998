//! Secrets are put where they do not belong: into every place of every route, with every kind of credential.

use super::Script;
use chancery_tests::{ADMIN, Actor, Answer, Binary, Minted, raw};
use futures_util::future::join_all;
use serde_json::{Value, json};

/// A route, and what can be said to it.
struct Route {
    method: String,
    template: String,
    parameters: Vec<String>,
    fields: Vec<String>,
    /// A body that is accepted, without its name.
    body: Value,
}

/// All of them, as the server describes itself.
fn routes(document: &Value) -> Vec<Route> {
    let mut routes = Vec::new();
    for (template, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let queries = parameters.filter(|parameter| parameter["in"] == "query");
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let reference = schema["$ref"].as_str().or_else(|| schema["oneOf"][0]["$ref"].as_str());
            let name = reference.and_then(|reference| reference.rsplit('/').next());
            let properties = &document["components"]["schemas"][name.unwrap_or_default()]["properties"];
            routes.push(Route {
                method: method.to_uppercase(),
                template: template.clone(),
                parameters: queries.map(|query| query["name"].as_str().unwrap().to_owned()).collect(),
                fields: properties
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(field, _)| field.clone())
                    .collect(),
                body: match name {
                    None => Value::Null,
                    Some("NewToken") => json!({"scope": {"organization": "acme"}, "grants": ["member"]}),
                    Some("Verify" | "Identify") => json!({"token": "x"}),
                    Some("VerifyBatch") => json!({"items": [{"token": "x"}]}),
                    Some(_) => json!({}),
                },
            });
        }
    }
    routes
}

impl Route {
    fn path(&self, organization: &str, project: &str, id: &str) -> String {
        let path = self.template.replace("{organization}", organization);
        let path = path.replace("{project}", project).replace("{id}", id);
        // A stream would go on.
        if path == "/v1/audit/stream" { format!("{path}?until_position=0") } else { path }
    }

    /// An organization that is there. One that is suspended would answer none of the other calls.
    fn organization(&self) -> &'static str {
        if self.template.ends_with("/suspend") { "idle" } else { "acme" }
    }

    /// A good body with one field as it should not be.
    fn spoilt(&self, script: &Script, field: &str, value: Value) -> Value {
        let mut body = self.body.clone();
        if self.fields.iter().any(|field| field == "name") && self.method == "POST" {
            body["name"] = json!(script.fresh());
        }
        body[field] = value;
        body
    }

    /// The secret in each place in turn.
    async fn attack(&self, script: &mut Script, actor: &Actor, secret: &str, id: &str) {
        let (method, good) = (&*self.method, self.path(self.organization(), "web", id));
        script.send(actor, method, &self.path(secret, secret, secret), self.body.clone()).await;
        let joint = if good.contains('?') { '&' } else { '?' };
        script.send(actor, method, &format!("{good}{joint}{secret}={secret}"), self.body.clone()).await;
        for parameter in &self.parameters {
            script.send(actor, method, &format!("{good}{joint}{parameter}={secret}"), Value::Null).await;
        }
        for field in &self.fields {
            for value in [
                json!(secret),
                json!(format!("it is {secret}.")),
                json!([secret]),
                json!({secret: secret, "organization": secret, "agent": secret, "address": secret, "answers": secret}),
                json!([{"token": "x", "resource": secret, "permission": secret, "client": {"agent": secret}}]),
            ] {
                let body = self.spoilt(script, field, value);
                script.send(actor, method, &good, body).await;
            }
        }
        if !self.body.is_null() {
            let unknown = self.spoilt(script, secret, json!(secret));
            for body in [unknown, json!(secret), json!([secret])] {
                script.send(actor, method, &good, body).await;
            }
            let broken = format!("{{\"name\": \"{secret}\", {secret}");
            script.heard(&actor.call(method, &good).body(broken).send().await);
        }
        let mut call = actor.call(method, &good).key(secret);
        for name in HEADERS {
            call = call.header(name, secret);
        }
        script.heard(&call.json(&self.body).send().await);
    }
}

const HEADERS: [&str; 12] = [
    "user-agent",
    "x-request-id",
    "cookie",
    "referer",
    "origin",
    "x-forwarded-for",
    "forwarded",
    "if-match",
    "accept",
    "chancery-caller",
    "chancery-client-address",
    "x-anything",
];

/// With the owner's credential, the break-glass one and none, three secrets: one in force, one that was replaced, and
/// the break-glass token. A fourth is revoked on the way.
pub(super) async fn everywhere(script: &mut Script, binary: &Binary, owner: &Minted, gateway: &Minted) {
    let (anon, admin) = (binary.anon(), binary.admin());
    let actor = anon.with(&owner.secret);
    let document = anon.get("/openapi.json").await;
    let routes = routes(document.expect(200));
    assert!(routes.len() > 20, "{}", routes.len());
    admin.organization("idle").await;
    let victim = script.mint(&actor, "victim", &["member"]).await;
    let path = format!("/v1/tokens/{}/rotate", victim.id);
    script.send(&actor, "POST", &path, json!({})).await.expect(200);
    let attacks = routes.iter().enumerate().map(async |(n, route)| {
        let mut script = Script::new(&format!("r{n}"));
        for secret in [&gateway.secret, &victim.secret, &ADMIN.to_owned()] {
            let name = script.fresh();
            let target = script.mint(&actor, &name, &["member"]).await;
            route.attack(&mut script, &actor, secret, &target.id).await;
        }
        route.attack(&mut script, &admin, &gateway.secret, &victim.id).await;
        let answer = anon.call(&route.method, &route.path("acme", "web", &victim.id));
        script.heard(&answer.header("authorization", format!("Basic {ADMIN}")).send().await);
        script
    });
    for attack in join_all(attacks).await {
        script.join(attack);
    }
    // Whatever else reads a request.
    for secret in [&*gateway.secret, ADMIN] {
        script.send(&actor, "GET", &format!("/{secret}"), Value::Null).await;
        script.send(&actor, "PUT", &format!("/v1/{secret}"), json!(secret)).await;
        for request in [
            format!("{secret} /v1/whoami HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
            format!("GET /v1/tokens/{secret} HTTP/{secret}\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nhost: {secret}\r\n{secret}\r\n\r\n"),
            format!("{secret}\r\n\r\n"),
        ] {
            script.answers.push_str(&raw(&binary.url(), request.as_bytes()).await);
        }
    }
    let end = json!({"note": format!("leaked: {}", gateway.secret), "reason": "leaked"});
    let path = format!("/v1/tokens/{}/revoke", gateway.id);
    let revoked: Answer = script.send(&actor, "POST", &path, end).await;
    revoked.expect(200);
    script.heard(&anon.with(&gateway.secret).get("/v1/whoami").await);
}
