//! A server that goes away and comes back: everything recovers by itself, and nothing is lost or done twice.

use std::time::Duration;

use eventlog::{Appended, Condition, Error, Log, Random, Settings, wake};
use tokio::time::sleep;
use uuid::Uuid;

use crate::support::cluster::{Cluster, OWNER};
use crate::support::{draft, everything};

/// Appends until told to stop, and says what was acknowledged. Every error is waited out as its meaning
/// allows.
async fn keep_appending(log: Log, seed: u64, mut stop: tokio::sync::watch::Receiver<bool>) -> Vec<Uuid> {
    let random = Random::seeded(seed);
    // The first outage may come before a slow writer has begun.
    let mut writer = loop {
        match log.writer().await {
            Ok(writer) => break writer,
            Err(Error::Unavailable { .. }) => sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    };
    let mut acknowledged = Vec::new();
    while !*stop.borrow_and_update() {
        let draft = draft(&random, 2, 1);
        let Ok(head) = writer.head().await else { continue };
        let condition = if seed.is_multiple_of(2) {
            Condition::LastLifecycle(head.last_lifecycle)
        } else {
            Condition::Always
        };
        let mut answer = writer.append(&draft, condition).await;
        while let Err(Error::OutcomeUnknown { .. }) = answer {
            answer = writer.resolve(&draft, condition).await;
        }
        match answer {
            Ok(Appended::Committed(_)) => acknowledged.push(draft.id),
            Ok(Appended::ConditionFailed) => {}
            Err(Error::Unavailable { .. }) => sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_server_loses_nothing_and_everything_goes_on() {
    let cluster = Cluster::start().await;
    let settings = Settings { resolve_deadline: Duration::from_millis(300), ..Settings::default() };
    let log = Log::connect_with(cluster.options(OWNER, "postgres"), settings).await;
    let log = match log {
        Ok(log) => log,
        Err(error) => panic!("{error}"),
    };
    sqlx::query("SELECT 1").execute(log.pool()).await.unwrap();
    let mut superuser = cluster.superuser("postgres").await;
    sqlx::query("GRANT CREATE ON DATABASE postgres TO authority").execute(&mut superuser).await.unwrap();
    drop(superuser);
    log.migrate().await.unwrap();
    let mut wakes = wake::listen(&log, Duration::from_millis(50));

    let (stop, stopped) = tokio::sync::watch::channel(false);
    let writers: Vec<_> =
        (0..3).map(|seed| tokio::spawn(keep_appending(log.clone(), seed, stopped.clone()))).collect();
    let mut size = 0;
    // Fast shutdown ends backends with a message, immediate shutdown and a crash without one.
    for signal in ["INT", "QUIT", "QUIT"] {
        grow(&log, &mut size, 40).await;
        cluster.restart(signal);
        grow(&log, &mut size, 40).await;
        wakes.next().await;
    }
    stop.send_replace(true);
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    let mut found: Vec<Uuid> = everything(&log).await.iter().map(|commit| commit.id).collect();
    found.sort_unstable();
    acknowledged.sort_unstable();
    assert_eq!(found, acknowledged, "every acknowledged commit is there once, and no other");
}

/// Waits until the log has so many lines more, through whatever outage.
async fn grow(log: &Log, size: &mut u64, by: u64) {
    let target = *size + by;
    loop {
        match log.head().await {
            Ok(head) if head.size >= target => {
                *size = head.size;
                return;
            }
            Ok(_) | Err(Error::Unavailable { .. }) => sleep(Duration::from_millis(10)).await,
            Err(error) => panic!("{error}"),
        }
    }
}
