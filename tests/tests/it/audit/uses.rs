use super::{pages, positions};
use chancery_tests::{Entry, Seed, World};
use serde_json::{Value, json};
use std::time::Duration;

/// Whether a line is a use of a token: of itself, or to ask about another.
fn is_use_of(entry: &Entry, id: &str) -> bool {
    let (token, actor) = (entry.text_at("/token"), entry.text_at("/actor/token"));
    matches!(entry.kind.as_str(), "TokenUsed" | "TokenRefused") && (token == id || actor == id)
}

#[tokio::test]
async fn single_uses_are_found_by_token_time_outcome_and_permission() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let auditor = world.node.admin().mint("auditor", json!({"organization": "acme"}), &["auditor"]).await;
    let auditor = world.node.token(&auditor.secret);
    let mut tokens = Vec::new();
    for name in ["a", "b", "c"] {
        tokens.push(tenants.owner.mint(name, json!({"organization": "acme"}), &["admin"]).await);
    }
    let seed = Seed::usual();
    let choices = seed.choices();
    for _ in 0..50 {
        let token = choices.of(&tokens).clone();
        let permission = *choices.of(&["deployments:create", "tokens:mint", "things:none"]);
        let items: Vec<Value> = (0..=choices.below(3))
            .map(|_| json!({"token": token.secret, "permission": permission}))
            .collect();
        tenants.verifier.post("/v1/verify/batch", json!({"items": items})).await.expect(200);
        if choices.once_in(4) {
            world.pass(Duration::from_mins(20));
        }
    }
    let size = world.database.size().await;
    auditor.get(&format!("/v1/audit/events?at_least={size}")).await.expect(200);
    let entries = world.database.entries().await;
    let gateway = tenants.verifier.get("/v1/whoami").await.body["token"]["id"].as_str().unwrap().to_owned();
    for id in tokens.iter().map(|token| token.id.as_str()).chain([gateway.as_str()]) {
        let expect = |fits: &dyn Fn(&Entry) -> bool| -> Vec<u64> {
            let found =
                entries.iter().filter(|entry| entry.position < size && is_use_of(entry, id) && fits(entry));
            found.map(|entry| entry.position).rev().collect()
        };
        let found = async |filter: &str| -> Vec<u64> {
            let all = pages(&auditor, &format!("/v1/tokens/{id}/uses?limit=29&{filter}")).await;
            all.iter()
                .map(|item| item["position"].as_u64().unwrap())
                .filter(|position| *position < size)
                .collect()
        };
        assert_eq!(found("").await, expect(&|_| true));
        let is_own = |entry: &Entry| entry.text_at("/token") == id;
        assert_eq!(found("outcome=valid").await, expect(&|entry| is_own(entry) && entry.kind == "TokenUsed"));
        assert_eq!(found("outcome=asked").await, expect(&|entry| !is_own(entry)));
        assert_eq!(
            found("outcome=forbidden").await,
            expect(&|entry| is_own(entry) && entry.text_at("/code") == "forbidden")
        );
        assert_eq!(
            found("permission=tokens:mint").await,
            expect(&|entry| entry.text_at("/asked/permission") == "tokens:mint")
        );
        let (from, to) =
            (world.moment(Duration::from_secs(5_000)), world.moment(Duration::from_secs(20_000)));
        let within =
            |entry: &Entry| entry.text_at("/at") >= from.as_str() && entry.text_at("/at") < to.as_str();
        assert_eq!(found(&format!("from={from}&to={to}")).await, expect(&within));
    }
}

#[tokio::test]
async fn uses_are_for_auditors_and_filters_are_checked() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let acme = || json!({"organization": "acme"});
    let member = tenants.owner.mint("member", acme(), &["member"]).await;
    let path = format!("/v1/tokens/{}/uses", member.id);
    let itself = world.node.token(&member.secret);
    assert_eq!(itself.get(&path).await.refused(403, "forbidden")["missing"], json!(["audit:read"]));
    itself.get(&format!("/v1/tokens/{}/history", member.id)).await.expect(200);
    let stranger = world.node.admin().mint("s", json!({"organization": "other"}), &["owner"]).await;
    world.node.token(&stranger.secret).get(&path).await.refused(404, "not_found");
    for bad in ["outcome=unknown", "outcome=x", "permission=x", "from=x", "cursor=!", "limit=1001"] {
        tenants.owner.get(&format!("{path}?{bad}")).await.refused(422, "invalid_value");
    }
    let size = world.database.size().await;
    let seen = tenants.owner.get(&format!("{path}?at_least={size}")).await;
    assert_eq!(positions(&seen).len(), 2, "the refused look and the history were uses");
}
