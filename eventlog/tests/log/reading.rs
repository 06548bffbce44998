//! Reading pages, and finding what a damaged or edited table would otherwise hide.

use eventlog::{Condition, Error, Log, Random};
use sqlx::Row;
use uuid::Uuid;

use crate::support::{Database, append, database, draft, everything, line, place};

/// Ten commits of three lines; every other one holds two lifecycle lines.
async fn filled(seed: u64) -> (Database, Log, Vec<Uuid>) {
    let database = database().await;
    let log = database.log().await;
    let random = Random::seeded(seed);
    let mut writer = log.writer().await.unwrap();
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.push(append(&mut writer, &random, 3, if number % 2 == 0 { 2 } else { 0 }).await.0);
    }
    (database, log, ids)
}

#[tokio::test]
async fn pages_are_bounded_and_begin_with_the_commit_that_holds_the_position() {
    let (_database, log, ids) = filled(1).await;
    for (position, expected) in [(0, 0), (2, 0), (3, 1), (4, 1), (28, 9), (29, 9)] {
        let page = log.commits_from(position, 4).await.unwrap();
        assert_eq!(page[0].id, ids[expected], "from {position}");
        assert_eq!(page.len(), 4.min(10 - expected), "from {position}");
    }
    assert_eq!(log.commits_from(30, 4).await.unwrap(), []);
    assert_eq!(log.commits_from(0, 0).await.unwrap().len(), 1, "never none while there is one");
    let page = log.lifecycle_from(4, 2).await.unwrap();
    assert_eq!(page.iter().map(|commit| commit.id).collect::<Vec<_>>(), [ids[4], ids[6]]);
    assert_eq!(log.lifecycle_from(10, 2).await.unwrap(), []);
    let numbered: Vec<_> = page[0].numbered().map(|(position, text)| (position, text.len())).collect();
    assert_eq!(numbered.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [12, 13, 14]);
}

#[tokio::test]
async fn pages_are_bounded_by_bytes() {
    let log = database().await.log().await;
    let random = Random::seeded(2);
    let mut writer = log.writer().await.unwrap();
    for _ in 0..4 {
        let mut big = draft(&random, 1, 1);
        big.lines = "x".repeat(5 << 20);
        place(writer.append(&big, Condition::Always).await);
    }
    assert_eq!(log.commits_from(0, 100).await.unwrap().len(), 2);
    assert_eq!(log.lifecycle_from(1, 100).await.unwrap().len(), 2);
    assert_eq!(everything(&log).await.len(), 4);
}

#[tokio::test]
async fn what_lies_beyond_the_end_was_lost() {
    let (_database, log, _) = filled(3).await;
    for error in [log.commits_from(31, 5).await.unwrap_err(), log.lifecycle_from(11, 5).await.unwrap_err()] {
        assert!(matches!(error, Error::WentBackwards { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_follower_notices_another_commit_in_the_place_of_its_last() {
    let (_database, log, ids) = filled(8).await;
    let mut writer = log.writer().await.unwrap();
    assert_eq!(log.commits_after(0, Uuid::nil(), 3).await.unwrap()[0].id, ids[0]);
    assert_eq!(log.commits_after(6, ids[1], 3).await.unwrap()[0].id, ids[2]);
    assert_eq!(log.commits_after(30, ids[9], 3).await.unwrap(), []);
    assert_eq!(log.lifecycle_after(0, Uuid::nil(), 3).await.unwrap()[0].id, ids[0]);
    assert_eq!(writer.lifecycle_after(2, ids[0], 3).await.unwrap()[0].id, ids[2]);
    assert_eq!(writer.lifecycle_after(10, ids[8], 3).await.unwrap(), []);
    for error in [
        log.commits_after(6, ids[2], 3).await.unwrap_err(),
        log.commits_after(30, Uuid::nil(), 3).await.unwrap_err(),
        log.commits_after(0, ids[0], 3).await.unwrap_err(),
        log.lifecycle_after(10, ids[9], 3).await.unwrap_err(),
        writer.lifecycle_after(2, ids[2], 3).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::WentBackwards { .. }), "{error}");
    }
    let mut locked = writer.lock().await.unwrap();
    assert_eq!(locked.lifecycle_after(2, ids[0], 3).await.unwrap()[0].id, ids[2]);
}

/// Reads everything both ways and expects at least one of them to stop with a message about this.
async fn expect_corrupt(log: &Log, message: &str) {
    let mut errors = Vec::new();
    for limit in [3, 100] {
        let mut position = 0;
        loop {
            match log.commits_from(position, limit).await {
                Ok(page) if page.is_empty() => break,
                Ok(page) => position = page.last().unwrap().end(),
                Err(error) => {
                    errors.push(error);
                    break;
                }
            }
        }
    }
    errors.extend(log.lifecycle_from(0, 100).await.err());
    assert!(errors.iter().any(|error| error.to_string().contains(message)), "{message}: {errors:?}");
    assert!(errors.iter().all(|error| matches!(error, Error::Corrupt { .. })), "{errors:?}");
}

#[tokio::test]
async fn damage_is_found_and_named() {
    for (damage, message) in [
        ("DELETE FROM chancery.commits WHERE first = 12", "position 12 is missing"),
        ("DELETE FROM chancery.commits WHERE first = 0", "position 0 is missing"),
        (
            "DELETE FROM chancery.commits WHERE first = 27",
            "the head counts 30 lines, but the commits hold 27",
        ),
        ("DELETE FROM chancery.commits WHERE first = 24", "position 24 is missing"),
        (
            "DELETE FROM chancery.commits WHERE first >= 24",
            "the head counts 10 lifecycle lines, but the commits hold 8",
        ),
        (
            "DELETE FROM chancery.commits WHERE first >= 27",
            "the head counts 30 lines, but the commits hold 27",
        ),
        (
            "UPDATE chancery.commits SET version = 3 WHERE first = 9",
            "says that 3 lifecycle lines are before it, but 4 are",
        ),
        (
            "UPDATE chancery.commits SET lifecycle = 0 WHERE first = 12",
            "says that 6 lifecycle lines are before it, but 4 are",
        ),
        (
            "UPDATE chancery.commits SET lines = lines || E'\\nx' WHERE first = 6",
            "says that it has 3 lines, but it has 4",
        ),
        ("UPDATE chancery.commits SET count = 4 WHERE first = 6", "says that it has 4 lines, but it has 3"),
        ("UPDATE chancery.log_head SET size = 27", "the head counts 27 lines, but the commits hold 30"),
        ("UPDATE chancery.log_head SET version = 9", "but the commits hold 10"),
    ] {
        let (database, log, _) = filled(4).await;
        database.tamper(damage).await;
        expect_corrupt(&log, message).await;
    }
}

#[tokio::test]
async fn a_head_that_was_set_back_is_never_appended_to() {
    let (database, log, _) = filled(5).await;
    database.tamper("UPDATE chancery.log_head SET size = 27").await;
    let mut writer = log.writer().await.unwrap();
    let error = writer.append(&draft(&Random::seeded(6), 1, 0), Condition::Always).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn the_view_shows_a_row_a_line_with_its_exact_text() {
    let (_database, log, _) = filled(7).await;
    let rows = sqlx::query(
        "SELECT position, type, at::text, org::text, token::text, actor, line FROM chancery.events ORDER BY position",
    )
    .fetch_all(log.pool())
    .await
    .unwrap();
    assert_eq!(rows.len(), 30);
    let commits = everything(&log).await;
    let lines = commits.iter().flat_map(eventlog::Commit::numbered);
    for (row, (position, text)) in rows.iter().zip(lines) {
        assert_eq!(row.get::<i64, _>("position"), position as i64);
        assert_eq!(row.get::<String, _>("line"), text);
    }
    let row = &rows[2];
    let texts: Vec<String> =
        ["type", "at", "org", "token", "actor"].iter().map(|column| row.get(*column)).collect();
    assert_eq!(
        texts,
        [
            "TokenUsed",
            "2026-11-22 10:15:00.123456+00",
            "0193a000-0000-7000-8000-00000000000a",
            "0193a000-0000-7000-8000-000000000002",
            "org-token:chyo_4fJ2kQ"
        ]
    );
    assert_eq!(row.get::<String, _>("line"), line("TokenUsed", 2));
}
