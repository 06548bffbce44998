use super::{POLICY, SWEEP};
use crate::DAY;
use chancery_tests::{Actor, World, within};
use futures_util::future::join_all;
use serde_json::json;
use std::sync::Mutex;

/// Tokens that are all due to be swept, and may be used up to the last moment.
const TOKENS: usize = 40;

/// Tokens of `acme` by id and secret, unused for a day longer than allowed.
async fn due(world: &World, owner: &Actor) -> Vec<(String, String)> {
    owner.patch(POLICY, json!({"max_inactive_days": 30})).await.expect(200);
    let mut tokens = Vec::new();
    for number in 0..TOKENS {
        let minted = owner.mint(&format!("t{number}"), json!({"organization": "acme"}), &["member"]).await;
        tokens.push((minted.id, minted.secret));
    }
    world.pass(31 * DAY);
    tokens
}

/// Two nodes sweep while two nodes verify. Whatever was answered `valid` before its revocation was too recently used to
/// be revoked, so no token has both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_was_used_a_moment_ago_is_never_killed() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let tokens = due(&world, &tenants.owner).await;
    let other = world.another().await;
    let nodes = [&world.node, &other];
    // Whoever verifies and sweeps is not in question itself.
    let verifier = world.node.admin().mint("v", json!({"organization": "acme"}), &["verifier"]).await;
    let answered = Mutex::new(Vec::new());
    let verifying = tokens.iter().enumerate().map(|(number, (id, secret))| {
        let actor = nodes[number % 2].token(&verifier.secret);
        let answered = &answered;
        async move {
            let code = actor.code_of(secret).await;
            answered.lock().unwrap().push((id.clone(), code));
        }
    });
    let sweeping = nodes.map(|node| async move { node.admin().post(SWEEP, json!({})).await.status });
    let (_, swept) =
        within("sweeps and verifies", async { tokio::join!(join_all(verifying), join_all(sweeping)) }).await;
    assert_eq!(swept, [200, 200]);
    let entries = world.database.entries().await;
    for (id, code) in answered.into_inner().unwrap() {
        let of_token = |kind: &str| {
            entries.iter().filter(|line| line.kind == kind && line.text_at("/token") == id).count()
        };
        let expected = match code.as_str() {
            "valid" => (1, 0),
            "revoked" => (0, 1),
            other => panic!("{other}"),
        };
        assert_eq!((of_token("TokenUsed"), of_token("TokenRevoked")), expected, "{id} was {code}");
    }
    other.catches_up_with(&world.node).await;
    assert_eq!(world.node.difference(&other), None);
}

/// Under uses that never pause the log grows all the time: the sweep takes the head's lock, and comes to its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_comes_to_its_end_while_others_verify_all_the_time() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    due(&world, &tenants.owner).await;
    let other = world.another().await;
    let busy = world.node.admin().mint("busy", json!({"organization": "acme"}), &["verifier"]).await;
    let actor = other.token(&busy.secret);
    let done = tokio_util::sync::CancellationToken::new();
    let verifying = (0..4).map(|_| {
        let (actor, done, secret) = (actor.clone(), done.clone(), busy.secret.clone());
        async move {
            while !done.is_cancelled() {
                assert_eq!(actor.code_of(&secret).await, "valid");
            }
        }
    });
    let sweeping = async {
        let swept = world.node.admin().post(SWEEP, json!({})).await;
        done.cancel();
        swept
    };
    let (_, swept) =
        within("a sweep under load", async { tokio::join!(join_all(verifying), sweeping) }).await;
    // The gateway and the owner have not been used either.
    assert_eq!(swept.expect(200)["count"], TOKENS + 2);
    assert_eq!(actor.code_of(&busy.secret).await, "valid");
}
