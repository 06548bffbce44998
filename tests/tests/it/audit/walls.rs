use chancery_tests::World;

#[tokio::test]
async fn placeholder() {
    let _ = World::new().await;
}
