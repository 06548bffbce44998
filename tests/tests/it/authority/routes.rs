//! Every route that takes a credential, with a request that the right one would be granted.

use serde_json::{Value, json};

/// Who looks for this one finds nobody.
pub(crate) const NOBODY: &str = "019ab7a4-0000-7000-8000-0000000000ff";

/// One route.
pub(crate) struct Route {
    pub(crate) method: &'static str,
    /// As the OpenAPI document writes it.
    pub(crate) template: &'static str,
    /// What has to stand in its query.
    pub(crate) query: &'static str,
    pub(crate) body: Option<Value>,
    /// The permission that it needs; none where every holder may.
    pub(crate) permission: Option<&'static str>,
    /// What a stranger, who owns another organization, is answered: 404 where the path or the body names what it may
    /// not know of.
    pub(crate) stranger: u16,
}

impl Route {
    fn new(method: &'static str, template: &'static str, permission: &'static str) -> Route {
        Route { method, template, query: "", body: None, permission: Some(permission), stranger: 404 }
    }

    fn free(method: &'static str, template: &'static str) -> Route {
        Route { permission: None, stranger: 200, ..Route::new(method, template, "") }
    }

    fn query(self, query: &'static str) -> Route {
        Route { query, ..self }
    }

    fn body(self, body: Value) -> Route {
        Route { body: Some(body), ..self }
    }

    fn stranger(self, status: u16) -> Route {
        Route { stranger: status, ..self }
    }

    /// The path with what its template leaves open; an invitation is given where the template asks for one.
    pub(crate) fn path(&self, token: &str, invitation: &str) -> String {
        // A stream would go on.
        let template = match self.template {
            "/v1/audit/stream" => "/v1/audit/stream?until_position=0",
            other => other,
        };
        let path = template.replace("{organization}", "acme").replace("{project}", "web");
        let path = path.replace("{role}", "member").replace("{id}", token);
        let path = path.replace("{user}", NOBODY).replace("{invitation}", invitation);
        path.replace("{level}", "0").replace("{index}", "000.p/1") + self.query
    }
}

/// An open invitation to `acme`.
pub(crate) async fn invitation(admin: &chancery_tests::Actor) -> String {
    invitation_to(admin, "acme").await
}

/// An open invitation to an organization.
pub(crate) async fn invitation_to(admin: &chancery_tests::Actor, organization: &str) -> String {
    let body = json!({"email": "ada@example.org", "role": "member"});
    let made = admin.post(&format!("/v1/organizations/{organization}/invitations"), body).await;
    made.expect(201);
    made.text_of("id")
}

/// All of them but `/v1/authorize`, which takes two credentials, and `/v1/invitations/accept`, which takes none.
pub(crate) fn routes() -> Vec<Route> {
    let acme = json!({"organization": "acme"});
    let a_role = json!({"name": "helper", "level": "project", "permissions": ["deployments:read"]});
    let question = json!({"token": "a key", "organization": "acme"});
    let mut routes = vec![
        Route::new("POST", "/v1/verify", "tokens:verify").body(question.clone()),
        Route::new("POST", "/v1/verify/batch", "tokens:verify").body(json!({"items": [question]})),
        Route::free("GET", "/v1/whoami"),
        Route::new("GET", "/v1/instance", "instance:read").stranger(403),
        Route::new("PATCH", "/v1/instance", "instance:update").body(json!({})).stranger(403),
        Route::new("POST", "/v1/organizations", "organizations:create")
            .body(json!({"name": "new"}))
            .stranger(403),
        Route::new("GET", "/v1/organizations", "organizations:read").stranger(200),
        Route::new("GET", "/v1/organizations/{organization}", "organizations:read"),
        Route::new("PATCH", "/v1/organizations/{organization}", "organizations:update").body(json!({})),
        Route::new("DELETE", "/v1/organizations/{organization}", "organizations:delete")
            .body(json!({"confirm": "acme"})),
        Route::new("POST", "/v1/organizations/{organization}/suspend", "organizations:suspend")
            .body(json!({})),
        Route::new("POST", "/v1/organizations/{organization}/restore", "organizations:suspend")
            .body(json!({})),
        Route::new("GET", "/v1/organizations/{organization}/contents", "tokens:read"),
        Route::new("GET", "/v1/organizations/{organization}/policy", "policies:read"),
        Route::new("PATCH", "/v1/organizations/{organization}/policy", "policies:update").body(json!({})),
        Route::new("POST", "/v1/organizations/{organization}/sweep", "tokens:revoke").body(json!({})),
        Route::new("POST", "/v1/instance/sweep", "tokens:revoke").body(json!({})).stranger(403),
        Route::new("POST", "/v1/organizations/{organization}/projects", "projects:create")
            .body(json!({"name": "new"})),
        Route::new("GET", "/v1/organizations/{organization}/projects", "projects:read"),
        Route::new("GET", "/v1/organizations/{organization}/projects/{project}", "projects:read"),
        Route::new("PATCH", "/v1/organizations/{organization}/projects/{project}", "projects:update")
            .body(json!({})),
        Route::new("DELETE", "/v1/organizations/{organization}/projects/{project}", "projects:delete")
            .body(json!({"confirm": "web"})),
        Route::new("GET", "/v1/organizations/{organization}/projects/{project}/contents", "tokens:read"),
        Route::new("GET", "/v1/organizations/{organization}/roles", "roles:read"),
        Route::new("POST", "/v1/organizations/{organization}/roles", "roles:create").body(a_role.clone()),
        Route::new("GET", "/v1/organizations/{organization}/roles/{role}", "roles:read"),
        Route::new("PATCH", "/v1/organizations/{organization}/roles/{role}", "roles:update")
            .body(json!({"add": ["a:b"]})),
        Route::new("DELETE", "/v1/organizations/{organization}/roles/{role}", "roles:retire"),
        Route::new("GET", "/v1/roles", "roles:read").stranger(403),
        Route::new("POST", "/v1/roles", "roles:create").body(a_role).stranger(403),
        Route::new("GET", "/v1/roles/{role}", "roles:read").stranger(403),
        Route::new("PATCH", "/v1/roles/{role}", "roles:update").body(json!({"add": ["a:b"]})).stranger(403),
        Route::new("DELETE", "/v1/roles/{role}", "roles:retire").stranger(403),
        Route::new("POST", "/v1/explain", "tokens:read")
            .body(json!({"draft": {"scope": acme, "grants": ["member"]}, "permission": "a:b"})),
    ];
    routes.extend(tokens());
    routes.extend(people());
    routes.extend(proofs());
    routes.extend(of_the_record());
    routes.extend(history());
    routes.extend(exports());
    routes
}

/// Those of tokens.
fn tokens() -> [Route; 13] {
    let acme = json!({"organization": "acme"});
    [
        Route::new("POST", "/v1/tokens", "tokens:mint")
            .body(json!({"name": "new", "scope": acme, "grants": ["verifier"]})),
        Route::new("GET", "/v1/tokens", "tokens:read").stranger(200),
        Route::free("POST", "/v1/tokens/narrow").body(json!({"name": "narrow"})).stranger(201),
        Route::new("POST", "/v1/tokens/identify", "tokens:read")
            .body(json!({"token": "a key"}))
            .stranger(200),
        Route::new("GET", "/v1/tokens/{id}", "tokens:read"),
        Route::new("PATCH", "/v1/tokens/{id}", "tokens:update").body(json!({})),
        Route::new("POST", "/v1/tokens/{id}/rotate", "tokens:rotate").body(json!({})),
        Route::new("POST", "/v1/tokens/{id}/revoke", "tokens:revoke").body(json!({})),
        Route::new("DELETE", "/v1/tokens/{id}", "tokens:revoke"),
        Route::new("GET", "/v1/tokens/{id}/lineage", "tokens:read"),
        Route::new("POST", "/v1/tokens/revoke", "tokens:revoke")
            .body(json!({"filter": {"scope": {"organization": "acme"}}, "dry_run": true})),
        Route::new("POST", "/v1/tokens/import", "tokens:import")
            .body(json!({"items": [{
                "name": "key", "scope": {"organization": "acme"}, "grants": ["verifier"], "algorithm": "blake3",
                "hash": "cd".repeat(32)
            }]}))
            .stranger(200),
        Route::new("GET", "/v1/leaks", "leaks:read").stranger(200),
    ]
}

fn proofs() -> Vec<Route> {
    vec![
        Route::new("GET", "/log/checkpoint", "audit:read").stranger(200),
        Route::new("GET", "/log/tile/{level}/{index}", "audit:read").stranger(200),
        Route::new("GET", "/log/tile/entries/{index}", "audit:read").stranger(403),
        Route::new("GET", "/log/proof/inclusion", "audit:read").query("?position=0&size=1").stranger(200),
        Route::new("GET", "/log/proof/consistency", "audit:read").query("?from=0&to=1").stranger(200),
        Route::new("GET", "/log/proof/receipt", "audit:read").query("?position=0").stranger(200),
    ]
}

/// Those that ask the record.
fn of_the_record() -> [Route; 6] {
    [
        Route::new("GET", "/v1/tokens/{id}/history", "tokens:read"),
        Route::new("GET", "/v1/tokens/{id}/uses", "audit:read"),
        Route::new("GET", "/v1/audit/events", "audit:read").stranger(200),
        Route::new("GET", "/v1/audit/stream", "audit:read").stranger(200),
        Route::new("GET", "/v1/audit/views", "audit:read").stranger(403),
        Route::new("POST", "/v1/audit/rebuild", "instance:update").stranger(403),
    ]
}

/// Those of the past.
fn history() -> [Route; 3] {
    [
        Route::new("GET", "/v1/audit/as-of", "audit:read").query("?organization=acme"),
        Route::new("GET", "/v1/audit/who-could", "audit:read")
            .query("?organization=acme&permission=tokens:mint"),
        Route::new("GET", "/v1/audit/diff", "audit:read").query("?organization=acme&from=version:1"),
    ]
}

/// Those that take the record away.
fn exports() -> [Route; 5] {
    [
        Route::new("GET", "/v1/audit/state", "audit:read").stranger(403),
        Route::new("GET", "/v1/audit/export", "audit:read").stranger(403),
        Route::new("GET", "/v1/audit/export/manifest", "audit:read").stranger(403),
        Route::new("GET", "/v1/audit/export/personal", "audit:read").stranger(403),
        Route::new("GET", "/v1/organizations/{organization}/access-review", "audit:read"),
    ]
}

/// Those of members, invitations and users.
fn people() -> [Route; 13] {
    [
        Route::new("POST", "/v1/organizations/{organization}/invitations", "members:invite")
            .body(json!({"email": "ada@example.org", "role": "member"})),
        Route::new("GET", "/v1/organizations/{organization}/invitations", "members:read"),
        Route::new("GET", "/v1/organizations/{organization}/invitations/{invitation}", "members:read"),
        Route::new("DELETE", "/v1/organizations/{organization}/invitations/{invitation}", "members:invite"),
        Route::new(
            "POST",
            "/v1/organizations/{organization}/invitations/{invitation}/reissue",
            "members:invite",
        )
        .body(json!({})),
        Route::new("GET", "/v1/organizations/{organization}/members", "members:read"),
        Route::new("GET", "/v1/organizations/{organization}/members/{user}", "members:read"),
        Route::new("PATCH", "/v1/organizations/{organization}/members/{user}", "members:update")
            .body(json!({"role": "member"})),
        Route::new("POST", "/v1/organizations/{organization}/members/{user}/remove", "members:remove")
            .body(json!({})),
        Route::new("GET", "/v1/users", "members:read").stranger(403),
        Route::new("GET", "/v1/users/{user}", "members:read").stranger(403),
        Route::new("POST", "/v1/users/{user}/offboard", "members:remove").body(json!({})).stranger(403),
        Route::new("POST", "/v1/users/erase", "people:erase")
            .body(json!({"email": "a@example.org"}))
            .stranger(403),
    ]
}
