//! Waiting for what has to come, with a bound.

use std::time::Duration;

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often something without a notification is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Waits for a future; fails the test when it does not come.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let came = tokio::time::timeout(PATIENCE, future).await;
    came.unwrap_or_else(|elapsed| panic!("waited {} s for: {what} ({elapsed})", PATIENCE.as_secs()))
}

/// Polls until something holds.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    within(what, async {
        while !holds() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
}

/// Polls until an asynchronous question has an answer.
pub async fn eventually_async<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    within(what, async {
        loop {
            if let Some(value) = ask().await {
                return value;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await
}
