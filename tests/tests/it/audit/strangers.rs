//! Every route, asked by the auditor of one organization about another's things and about things that never were: the
//! answers are the same, but for the name that was asked for, the request and the size of the log.

use crate::authority::routes::{NOBODY, Route, invitation_to, routes};
use chancery_tests::{Actor, Answer, World};
use serde_json::{Value, json};

/// What a route may be asked about.
#[derive(Clone)]
struct Named {
    organization: String,
    project: String,
    token: String,
    role: String,
    user: String,
    invitation: String,
}

impl Named {
    /// A text with these in the places that are left open.
    fn fill(&self, text: &str) -> String {
        let places = [
            ("{organization}", &self.organization),
            ("{project}", &self.project),
            ("{id}", &self.token),
            ("{role}", &self.role),
            ("{user}", &self.user),
            ("{invitation}", &self.invitation),
        ];
        places.into_iter().fold(text.to_owned(), |text, (place, value)| text.replace(place, value))
    }

    /// A text with none of these in it.
    fn hide(&self, text: &str) -> String {
        let all = [&self.token, &self.user, &self.invitation, &self.organization, &self.project, &self.role];
        all.into_iter().fold(text.to_owned(), |text, value| text.replace(value.as_str(), "…"))
    }
}

/// A request, with open places.
struct Question {
    method: &'static str,
    path: String,
    body: Option<String>,
}

impl Question {
    fn get(path: &str) -> Question {
        Question { method: "GET", path: path.to_owned(), body: None }
    }

    fn of(route: &Route) -> Question {
        let body = route.body.as_ref().map(|body| body.to_string().replace("\"acme\"", "\"{organization}\""));
        let query = route.query.replace("acme", "{organization}");
        let path = route.template.replace("{level}", "0").replace("{index}", "000.p/1");
        Question { method: route.method, path: path + &query, body }
    }

    fn names_something(&self) -> bool {
        self.path.contains('{') || self.body.as_ref().is_some_and(|body| body.contains("{organization}"))
    }

    async fn ask(&self, actor: &Actor, named: &Named) -> Answer {
        let call = actor.call(self.method, &named.fill(&self.path));
        match &self.body {
            Some(body) => call.body(named.fill(body)).send().await,
            None => call.send().await,
        }
    }
}

/// What is the same of two answers: all but the request, the clock, and how far the log is by now.
fn told(answer: &Answer, named: &Named) -> (u16, Vec<String>, String) {
    let own = ["x-request-id", "chancery-position", "date", "content-length"];
    let header = |name: &http::HeaderName| {
        let value = if own.contains(&name.as_str()) { "" } else { answer.header(name.as_str()) };
        named.hide(&format!("{name}: {value}"))
    };
    let mut headers: Vec<_> = answer.headers.keys().map(header).collect();
    headers.sort();
    let request = answer.header("x-request-id");
    (answer.status, headers, named.hide(&answer.text).replace(request, "request"))
}

/// What the routes' own examples do not ask.
fn more_questions(size: u64) -> Vec<Question> {
    let mut all = Vec::new();
    for format in ["ndjson", "csv", "parquet"] {
        for path in ["export", "export/manifest"] {
            all.push(Question::get(&format!(
                "/v1/audit/{path}?organization={{organization}}&format={format}"
            )));
        }
    }
    let filters = [
        "organization={organization}",
        "organization={organization}&project={project}",
        "organization=acme&project={project}",
        "token={id}",
        "actor={id}",
    ];
    for filter in filters {
        all.push(Question::get(&format!("/v1/audit/events?{filter}&limit=3&type=TokenRevoked")));
        all.push(Question::get(&format!(
            "/v1/audit/stream?{filter}&type=TokenRevoked&from_position=0&until_position={size}"
        )));
        all.push(Question::get(&format!("/v1/tokens?{filter}")));
    }
    for moment in ["position=9", "time=2031-03-04T05:06:07Z"] {
        all.push(Question::get(&format!("/v1/audit/as-of?organization={{organization}}&{moment}")));
        all.push(Question::get(&format!(
            "/v1/audit/as-of?organization={{organization}}&project={{project}}&{moment}"
        )));
    }
    for path in ["projects/{project}", "roles/{role}", "members/{user}", "invitations/{invitation}"] {
        all.push(Question::get(&format!("/v1/organizations/acme/{path}")));
    }
    let explained = json!({"token": "{id}", "permission": "tokens:mint"}).to_string();
    all.push(Question { method: "POST", path: "/v1/explain".to_owned(), body: Some(explained) });
    all
}

#[tokio::test]
async fn an_auditor_is_told_of_another_s_things_what_it_is_told_of_none() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let admin = world.node.admin();
    let auditor = admin.mint("auditor", json!({"organization": "acme"}), &["auditor"]).await;
    let auditor = world.node.token(&auditor.secret);
    let role = json!({"name": "their-helper", "level": "organization", "permissions": ["deployments:read"]});
    admin.post("/v1/organizations/other/roles", role).await.expect(201);
    admin.project("other", "their-project").await;
    let token = admin.mint("their-token", json!({"organization": "other"}), &["member"]).await;
    tenants.other_verifier.verify(&token.secret).await;
    let project = admin.get("/v1/organizations/other/projects/their-project").await.text_of("id");
    let theirs = Named {
        organization: "other".to_owned(),
        project: "their-project".to_owned(),
        token: token.id,
        role: "their-helper".to_owned(),
        user: NOBODY.to_owned(),
        invitation: invitation_to(&admin, "other").await,
    };
    let by_id = Named {
        organization: admin.get("/v1/organizations/other").await.text_of("id"),
        project,
        ..theirs.clone()
    };
    let never = |tail: u32| format!("019ab7a4-0000-7000-8000-0000000{tail:05}");
    let nothing = Named {
        organization: "nope".to_owned(),
        project: "no-such-project".to_owned(),
        token: never(1),
        role: "no-such-role".to_owned(),
        user: never(2),
        invitation: never(3),
    };
    let nothing_by_id = Named { organization: never(4), project: never(5), ..nothing.clone() };
    let size = world.database.size().await;
    let mut questions: Vec<_> = routes().iter().map(Question::of).collect();
    questions.extend(more_questions(size));
    questions.retain(Question::names_something);
    assert!(questions.len() > 70, "{}", questions.len());
    admin.get(&format!("/v1/audit/events?at_least={size}")).await.expect(200);
    for question in &questions {
        for (hidden, absent) in [(&theirs, &nothing), (&by_id, &nothing_by_id)] {
            let answers = [question.ask(&auditor, hidden).await, question.ask(&auditor, absent).await];
            let [one, other] = [told(&answers[0], hidden), told(&answers[1], absent)];
            let Question { method, path, .. } = question;
            assert_eq!(one, other, "{method} {path}");
            assert!(one.0 < 500, "{method} {path}: {}", answers[0].text);
        }
    }
    let left: Value = admin.get("/v1/organizations/other").await.expect(200).clone();
    assert_eq!(left["name"], "other");
}
