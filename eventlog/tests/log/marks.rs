//! The node's mark, and the databases that it refuses.

use eventlog::{Error, Log, Mark, Marker, Random, mark};
use uuid::Uuid;

use crate::support::{append, database};

fn mark_at(size: u64, commit: Uuid) -> Mark {
    Mark { size, commit, origin: "chancery.example/log".into(), checkpoint: None }
}

#[tokio::test]
async fn a_log_that_contains_the_mark_is_accepted_however_long_it_is() {
    let log = database().await.log().await;
    let random = Random::seeded(1);
    mark::check(&mark_at(0, Uuid::nil()), &log).await.unwrap();
    let mut writer = log.writer().await.unwrap();
    let (one, _) = append(&mut writer, &random, 3, 1).await;
    mark::check(&mark_at(3, one), &log).await.unwrap();
    append(&mut writer, &random, 3, 1).await;
    mark::check(&mark_at(3, one), &log).await.unwrap();
    mark::check(&mark_at(0, Uuid::nil()), &log).await.unwrap();
}

#[tokio::test]
async fn a_database_that_went_backwards_is_refused() {
    let database = database().await;
    let log = database.log().await;
    let random = Random::seeded(2);
    let mut writer = log.writer().await.unwrap();
    append(&mut writer, &random, 3, 1).await;
    let (lost, _) = append(&mut writer, &random, 2, 1).await;
    let mark = mark_at(5, lost);
    mark::check(&mark, &log).await.unwrap();

    // Restored from a backup that was taken before the last commit.
    database
        .tamper(
            "DELETE FROM chancery.commits WHERE first = 3;
             UPDATE chancery.log_head SET (size, version, last_lifecycle) = (SELECT 3, 1, id FROM chancery.commits)",
        )
        .await;
    refused(&mark, &log, "it has 3 lines and not that commit").await;
    // And then it grew past the mark, even to the very same size and version.
    let (other, _) = append(&mut writer, &random, 2, 1).await;
    refused(&mark, &log, &format!("it has 5 lines, and commit {other} in that commit's place")).await;
    append(&mut writer, &random, 4, 1).await;
    refused(&mark, &log, &format!("it has 9 lines, and commit {other} in that commit's place")).await;
    refused(&mark_at(4, other), &log, "that commit ends at 5").await;
    // A head that was set back alone.
    let mark = mark_at(5, other);
    mark::check(&mark, &log).await.unwrap();
    database.tamper("UPDATE chancery.log_head SET size = 3, version = 1").await;
    refused(&mark, &log, "its head stands at 3, before the end of that commit at 5").await;
}

async fn refused(mark: &Mark, log: &Log, found: &str) {
    let error = mark::check(mark, log).await.unwrap_err();
    assert!(matches!(error, Error::WentBackwards { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains(found) && message.contains(&mark.commit.to_string()), "{message}");
}

#[test]
fn a_mark_survives_on_disk_and_a_damaged_one_is_not_taken_for_none() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Mark::load(folder.path()), Ok(None));
    let mut mark = mark_at(7, Uuid::from_u128(7));
    mark.store(folder.path()).unwrap();
    assert_eq!(
        std::fs::read_to_string(folder.path().join("mark")).unwrap(),
        "{\"size\":7,\"commit\":\"00000000-0000-0000-0000-000000000007\",\"origin\":\"chancery.example/log\"}\n"
    );
    mark.checkpoint = Some("chancery.example/log\n7\nroot\n".into());
    mark.store(folder.path()).unwrap();
    assert_eq!(Mark::load(folder.path()), Ok(Some(mark)));
    std::fs::write(folder.path().join("mark"), "{\"size\":").unwrap();
    assert!(matches!(Mark::load(folder.path()), Err(Error::File { .. })));
    assert!(matches!(mark_at(1, Uuid::nil()).store(&folder.path().join("none")), Err(Error::File { .. })));
}

#[tokio::test]
async fn a_marker_writes_while_it_moves_and_when_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let marker = Marker::start(folder.path());
    let mark = |size| mark_at(size, Uuid::from_u128(size.into()));
    marker.moved(mark(1));
    while Mark::load(folder.path()).unwrap() != Some(mark(1)) {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    for size in 2..50 {
        marker.moved(mark(size));
    }
    assert_eq!(Mark::load(folder.path()).unwrap(), Some(mark(1)), "at most once a second");
    marker.stop().await.unwrap();
    assert_eq!(Mark::load(folder.path()).unwrap(), Some(mark(49)));

    let idle = Marker::start(folder.path());
    idle.stop().await.unwrap();
    assert_eq!(Mark::load(folder.path()).unwrap(), Some(mark(49)), "nothing to write");
}
