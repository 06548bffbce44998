//! Wake-ups: with notifications, without, and across a lost listening connection.

use std::time::Duration;

use eventlog::{Random, Waker, Wakes, wake};
use sqlx::{Connection, Executor};
use tokio::time::timeout;

use crate::support::{append, database};

/// Longer than any test takes: what returns before it was woken.
const NEVER: Duration = Duration::from_mins(10);
const SOON: Duration = Duration::from_secs(20);

/// Waits for the wake-up that the beginning of listening is.
async fn listening(wakes: &mut Wakes) {
    timeout(SOON, wakes.next()).await.unwrap();
}

#[tokio::test]
async fn a_notification_wakes_every_listener_of_every_node() {
    let database = database().await;
    let (one, two) = (database.log().await, database.log().await);
    let mut here = wake::listen(&one, NEVER);
    let mut there = wake::listen(&two, NEVER);
    let mut also_there = there.clone();
    for wakes in [&mut here, &mut there, &mut also_there] {
        listening(wakes).await;
    }
    let waker = Waker::start(&one);
    append(&mut one.writer().await.unwrap(), &Random::seeded(1), 1, 1).await;
    for _ in 0..100 {
        waker.wake();
    }
    for wakes in [&mut here, &mut there, &mut also_there] {
        timeout(SOON, wakes.next()).await.unwrap();
    }
}

#[tokio::test]
async fn without_notifications_the_poll_finds_everything() {
    let database = database().await;
    let log = database.log().await;
    let mut wakes = wake::listen(&log, Duration::from_millis(20));
    let mut writer = log.writer().await.unwrap();
    let random = Random::seeded(2);
    for expected in 1..5 {
        append(&mut writer, &random, 1, 1).await;
        while log.head().await.unwrap().size < expected {
            timeout(SOON, wakes.next()).await.unwrap();
        }
        timeout(SOON, wakes.next()).await.unwrap();
    }
}

#[tokio::test]
async fn a_lost_listening_connection_wakes_and_is_replaced() {
    let database = database().await;
    let log = database.log().await;
    let mut wakes = wake::listen(&log, NEVER);
    listening(&mut wakes).await;
    let mut operator = database.superuser().await;
    operator
        .execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await
        .unwrap();
    operator.close().await.unwrap();
    // Once because it was lost; whether the new beginning is a wake-up of its own depends on how fast it
    // comes.
    timeout(SOON, wakes.next()).await.unwrap();
    let waker = Waker::start(&log);
    timeout(SOON, async {
        loop {
            waker.wake();
            if timeout(Duration::from_millis(100), wakes.next()).await.is_ok() {
                break;
            }
        }
    })
    .await
    .unwrap();
}
