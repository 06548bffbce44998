use super::join;
use chancery_tests::{Database, NodeOptions};
use futures_util::future::join_all;
use serde_json::json;

/// Two owners remove or demote each other on two nodes at once, again and again: one of them is left every time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_race_of_two_nodes_leaves_an_organization_without_an_owner() {
    let database = Database::new().await;
    let nodes = [NodeOptions::on(&database).start().await, NodeOptions::on(&database).start().await];
    nodes[0].admin().organization("acme").await;
    let first = join(&nodes[0], "acme", "0@example.org", "owner").await;
    let mut left = first.user;
    for round in 1..=12 {
        let newcomer = join(&nodes[0], "acme", &format!("{round}@example.org"), "owner").await.user;
        nodes[1].catches_up_with(&nodes[0]).await;
        let calls = [&left, &newcomer].into_iter().zip(&nodes).map(|(user, node)| {
            let path = format!("/v1/organizations/acme/members/{user}");
            async move {
                if round % 2 == 0 {
                    node.admin().post(&format!("{path}/remove"), json!({})).await
                } else {
                    node.admin().patch(&path, json!({"role": "admin"})).await
                }
            }
        });
        let answers = join_all(calls).await;
        let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        let survivor = if answers[0].status == 409 { left } else { newcomer };
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "round {round}");
        left = survivor;
    }
    for node in &nodes {
        node.catches_up_with(&nodes[0]).await;
        assert_eq!(node.difference(&nodes[0]), None);
    }
}

/// One invitation, accepted on two nodes at once, makes one member.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_is_accepted_once() {
    let database = Database::new().await;
    let nodes = [NodeOptions::on(&database).start().await, NodeOptions::on(&database).start().await];
    nodes[0].admin().organization("acme").await;
    for round in 0..8 {
        let invitation =
            super::invite(&nodes[0].admin(), "acme", &format!("{round}@example.org"), "member").await;
        nodes[1].catches_up_with(&nodes[0]).await;
        let body = json!({"invitation": invitation["secret"]});
        let calls = (0..4).map(|call| {
            let (actor, body) = (nodes[call % 2].anon(), body.clone());
            async move { actor.post("/v1/invitations/accept", body).await }
        });
        let mut statuses: Vec<u16> = join_all(calls).await.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409, 409], "round {round}");
    }
    let members = nodes[0].admin().get("/v1/organizations/acme/members").await;
    assert_eq!(members.expect(200)["items"].as_array().unwrap().len(), 8);
}
