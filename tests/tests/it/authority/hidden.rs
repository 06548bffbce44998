use chancery_tests::{Actor, Answer, World};
use serde_json::{Value, json};

/// What two answers may differ in: the name that was asked for, and the request.
fn without(answer: &Answer, asked: &str) -> (u16, Value) {
    let text = answer.text.replace(asked, "…");
    let mut body: Value = serde_json::from_str(&text).unwrap();
    body.as_object_mut().unwrap().remove("request_id");
    (answer.status, body)
}

async fn same(actor: &Actor, method: &str, template: &str, body: &Value, hidden: &str, absent: &str) {
    let mut answers = Vec::new();
    for name in [hidden, absent] {
        let text = body.to_string().replace("NAME", name);
        let call = actor.call(method, &template.replace("NAME", name));
        let answer = if body.is_null() { call.send().await } else { call.body(text).send().await };
        answer.refused(404, "not_found");
        answers.push((without(&answer, name), answer.headers.len()));
    }
    assert_eq!(answers[0], answers[1], "{method} {template}");
}

#[tokio::test]
async fn what_the_caller_may_not_read_is_answered_like_what_never_was() {
    let world = World::new().await;
    world.tenants().await;
    let admin = world.node.admin();
    let stranger = admin.mint("s", json!({"organization": "other"}), &["owner"]).await;
    let stranger = world.node.token(&stranger.secret);
    let token = admin.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let acme = admin.get("/v1/organizations/acme").await.text_of("id");
    let never = "019ab7a4-0000-7000-8000-000000000001";
    for (hidden, absent) in [("acme", "nope"), (acme.as_str(), never)] {
        let organization = "/v1/organizations/NAME";
        same(&stranger, "GET", organization, &Value::Null, hidden, absent).await;
        same(&stranger, "PATCH", organization, &json!({"name": "mine"}), hidden, absent).await;
        let projects = "/v1/organizations/NAME/projects";
        same(&stranger, "GET", projects, &Value::Null, hidden, absent).await;
        same(&stranger, "POST", projects, &json!({"name": "mine"}), hidden, absent).await;
        same(&stranger, "GET", "/v1/organizations/NAME/projects/web", &Value::Null, hidden, absent).await;
        same(&stranger, "GET", "/v1/tokens?organization=NAME", &Value::Null, hidden, absent).await;
        let mint = json!({"name": "x", "scope": {"organization": "NAME"}, "grants": ["member"]});
        same(&stranger, "POST", "/v1/tokens", &mint, hidden, absent).await;
        for rest in [json!({"dry_run": true}), json!({"expected_count": 1})] {
            let mut revoke = rest;
            revoke["filter"] = json!({"scope": {"organization": "NAME"}});
            same(&stranger, "POST", "/v1/tokens/revoke", &revoke, hidden, absent).await;
        }
    }
    for absent in [never, "not-an-id"] {
        same(&stranger, "GET", "/v1/tokens/NAME", &Value::Null, &token.id, absent).await;
        same(&stranger, "GET", "/v1/tokens/NAME/lineage", &Value::Null, &token.id, absent).await;
        same(&stranger, "PATCH", "/v1/tokens/NAME", &json!({"name": "mine"}), &token.id, absent).await;
        same(&stranger, "DELETE", "/v1/tokens/NAME", &Value::Null, &token.id, absent).await;
        for change in ["/v1/tokens/NAME/rotate", "/v1/tokens/NAME/revoke"] {
            same(&stranger, "POST", change, &json!({}), &token.id, absent).await;
        }
    }
}

#[tokio::test]
async fn a_project_that_the_caller_may_not_know_of_is_hidden_too() {
    let world = World::new().await;
    world.tenants().await;
    let admin = world.node.admin();
    let caller = admin.mint("c", json!({"organization": "acme"}), &["project-admin@web"]).await;
    let caller = world.node.token(&caller.secret);
    let path = "/v1/organizations/acme/projects/NAME";
    same(&caller, "GET", path, &Value::Null, "api", "nope").await;
    same(&caller, "PATCH", path, &json!({"name": "mine"}), "api", "nope").await;
    let mint = json!({"name": "x", "scope": {"organization": "acme", "project": "NAME"}, "grants": ["project-reader"]});
    same(&caller, "POST", "/v1/tokens", &mint, "api", "nope").await;
    same(&caller, "GET", "/v1/tokens?organization=acme&project=NAME", &Value::Null, "api", "nope").await;
    // Nor does narrowing tell which projects there are.
    for grants in ["project-admin@api", "project-admin@nope"] {
        let refused = caller.post("/v1/tokens/narrow", json!({"name": "n", "grants": [grants]})).await;
        refused.refused(422, "invalid_value");
    }
}

#[tokio::test]
async fn names_that_are_taken_elsewhere_are_free_here() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    tenants.owner.mint("shared", json!({"organization": "acme"}), &["member"]).await;
    let web = json!({"organization": "acme", "project": "web"});
    tenants.owner.mint("shared", web, &["project-reader"]).await;
    world.node.admin().mint("shared", json!({"organization": "other"}), &["member"]).await;
    let again = json!({"name": "shared", "scope": {"organization": "acme"}, "grants": ["member"]});
    tenants.owner.post("/v1/tokens", again).await.refused(409, "name_taken");
}
