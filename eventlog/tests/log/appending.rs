//! Appending: positions, conditions, the lock, personal and sealed rows.

use std::collections::HashMap;

use eventlog::personal::Kind;
use eventlog::{Appended, Condition, Error, Head, Log, Personal, Random, Sealed};
use sqlx::Row;
use uuid::Uuid;

use crate::support::{append, database, draft, everything, place};

#[tokio::test]
async fn an_empty_log_has_nothing_in_it() {
    let log = database().await.log().await;
    let Head { size, version, last_lifecycle, time } = log.head().await.unwrap();
    assert_eq!((size, version, last_lifecycle), (0, 0, Uuid::nil()));
    assert!(time > 1_750_000_000_000_000, "microseconds since 1970: {time}");
    assert_eq!(log.commits_from(0, 10).await.unwrap(), []);
    assert_eq!(log.lifecycle_from(0, 10).await.unwrap(), []);
    assert_eq!(log.commit_before(0).await.unwrap(), None);
}

#[tokio::test]
async fn a_commit_is_read_as_it_was_appended() {
    let log = database().await.log().await;
    let random = Random::seeded(1);
    let mut writer = log.writer().await.unwrap();
    append(&mut writer, &random, 3, 1).await;
    let mut second = draft(&random, 2, 1);
    second.lines = "{\"type\":\"Ü\"}\n\\x41\t' \\n".into();
    let appended = place(writer.append(&second, Condition::Size(3)).await);
    assert_eq!((appended.first, appended.version), (3, 1));

    let read = log.commits_from(3, 10).await.unwrap().remove(0);
    assert_eq!((read.id, read.first, read.count), (second.id, 3, 2));
    assert_eq!((read.version, read.lifecycle, &read.lines), (1, 1, &second.lines));
    assert_eq!(read.committed_at, appended.time);
    assert_eq!(log.find_commit(second.id).await.unwrap(), Some(appended));
    assert_eq!(log.find_commit(Uuid::from_u128(1)).await.unwrap(), None);
    assert_eq!(log.commit_before(5).await.unwrap(), Some(read));
    assert_eq!(log.commit_before(4).await.unwrap(), None);
    let head = writer.head().await.unwrap();
    assert_eq!((head.size, head.version, head.last_lifecycle), (5, 2, second.id));
}

#[tokio::test]
async fn uses_leave_the_version_and_the_last_lifecycle_commit_alone() {
    let log = database().await.log().await;
    let random = Random::seeded(2);
    let mut writer = log.writer().await.unwrap();
    let (minted, _) = append(&mut writer, &random, 2, 2).await;
    append(&mut writer, &random, 5, 0).await;
    let head = log.head().await.unwrap();
    assert_eq!((head.size, head.version, head.last_lifecycle), (7, 2, minted));
    place(writer.append(&draft(&random, 1, 0), Condition::LastLifecycle(minted)).await);
}

#[tokio::test]
async fn a_condition_that_does_not_hold_appends_nothing() {
    let log = database().await.log().await;
    let random = Random::seeded(3);
    let mut writer = log.writer().await.unwrap();
    let (minted, _) = append(&mut writer, &random, 1, 1).await;
    let before = log.head().await.unwrap();
    for condition in [
        Condition::LastLifecycle(Uuid::nil()),
        Condition::LastLifecycle(random.uuid_v7(0)),
        Condition::Size(0),
        Condition::Size(2),
    ] {
        let mut failing = draft(&random, 2, 1);
        failing.personal.push(Personal::new(Kind::Email, "ada@example.org", [1; 16]));
        failing.sealed.push(Sealed { key: vec![1], contents: vec![2], until: 0 });
        assert_eq!(writer.append(&failing, condition).await.unwrap(), Appended::ConditionFailed);
        assert_eq!(log.find_commit(failing.id).await.unwrap(), None);
    }
    let after = log.head().await.unwrap();
    assert_eq!((after.size, after.version, after.last_lifecycle), (before.size, before.version, minted));
    let rows: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM chancery.personal) + (SELECT count(*) FROM chancery.sealed)",
    )
    .fetch_one(log.pool())
    .await
    .unwrap();
    assert_eq!(rows, 0, "the personal and sealed rows are bound to the same condition");
}

#[tokio::test]
async fn personal_and_sealed_rows_come_with_their_commit() {
    let log = database().await.log().await;
    let random = Random::seeded(4);
    let mut writer = log.writer().await.unwrap();
    let email = Personal::new(Kind::Email, "ada@example.org", random.bytes());
    let agent = Personal::new(Kind::Agent, "curl/8", random.bytes());
    let until = 1_795_000_000_123_457;
    let mut one = draft(&random, 1, 1);
    one.personal = vec![email.clone(), agent.clone(), email.clone()];
    one.sealed = vec![Sealed { key: vec![9; 32], contents: vec![1, 2, 3], until }];
    place(writer.append(&one, Condition::Always).await);
    // The same commitment and the same key again: the value stays, the box is the new one.
    let mut two = draft(&random, 1, 0);
    two.personal = vec![agent.clone()];
    two.sealed = vec![Sealed { key: vec![9; 32], contents: vec![4], until: until + 1 }];
    place(writer.append(&two, Condition::Always).await);

    let rows = sqlx::query("SELECT commitment, salt, kind, value FROM chancery.personal ORDER BY kind")
        .fetch_all(log.pool())
        .await
        .unwrap();
    let values: Vec<(Vec<u8>, Vec<u8>, String, String)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect();
    let expected = [&agent, &email]
        .map(|p| (p.commitment.to_vec(), p.salt.to_vec(), p.kind.name().to_owned(), p.value.clone()));
    assert_eq!(values, expected);
    let sealed: (Vec<u8>, Vec<u8>, i64) =
        sqlx::query_as("SELECT key, box, (extract(epoch FROM until) * 1000000)::int8 FROM chancery.sealed")
            .fetch_one(log.pool())
            .await
            .unwrap();
    assert_eq!(sealed, (vec![9; 32], vec![4], until + 1));
}

#[tokio::test]
async fn a_draft_that_does_not_add_up_is_not_sent() {
    let log = database().await.log().await;
    let random = Random::seeded(5);
    let mut writer = log.writer().await.unwrap();
    let mut wrong = draft(&random, 2, 1);
    wrong.count = 3;
    let refused = writer.append(&wrong, Condition::Always).await.unwrap_err();
    assert!(matches!(&refused, Error::Invalid { .. }), "{refused}");
    assert_eq!(log.head().await.unwrap().size, 0);
}

#[tokio::test]
async fn a_commit_id_is_one_commits_for_ever() {
    let log = database().await.log().await;
    let random = Random::seeded(6);
    let mut writer = log.writer().await.unwrap();
    let draft = draft(&random, 2, 1);
    let first = place(writer.append(&draft, Condition::Always).await);
    assert_eq!(place(writer.append(&draft, Condition::Always).await), first, "again is the same");
    let mut other = draft.clone();
    other.lines = other.lines.replace("TokenUsed", "TokenRefused");
    let refused = writer.append(&other, Condition::Always).await.unwrap_err();
    assert!(refused.to_string().contains("other lines under this id"), "{refused}");
    assert_eq!(log.head().await.unwrap().size, 2);
}

#[tokio::test]
async fn the_lock_keeps_others_out_until_it_is_used_or_released() {
    let log = database().await.log().await;
    let random = Random::seeded(7);
    let (mut one, mut two) = (log.writer().await.unwrap(), log.writer().await.unwrap());
    append(&mut one, &random, 2, 1).await;

    let mut locked = one.lock().await.unwrap();
    assert_eq!((locked.head().size, locked.head().version), (2, 1));
    assert_eq!(locked.lifecycle_from(0, 10).await.unwrap().len(), 1);
    let other = draft(&random, 1, 1);
    let waiting = tokio::spawn(async move {
        let appended = place(two.append(&other, Condition::Always).await);
        (two, appended)
    });
    let own = draft(&random, 3, 2);
    let appended = place(locked.append(&own).await);
    assert_eq!((appended.first, appended.version), (2, 1));
    let (mut two, after) = waiting.await.unwrap();
    assert_eq!((after.first, after.version), (5, 3), "the other one came after it");

    one.lock().await.unwrap().release().await.unwrap();
    append(&mut two, &random, 1, 0).await;
    drop(one.lock().await.unwrap());
    append(&mut two, &random, 1, 0).await;
    append(&mut one, &random, 1, 0).await;
    assert_eq!(everything(&log).await.len(), 6);
}

#[tokio::test]
async fn a_lock_that_is_held_in_silence_is_lost_and_nothing_is_appended_under_it() {
    let log = database().await.log().await;
    let random = Random::seeded(8);
    let (mut one, mut two) = (log.writer().await.unwrap(), log.writer().await.unwrap());
    let locked = one.lock().await.unwrap();
    // The server ends the silent transaction after a second; until then this waits.
    append(&mut two, &random, 1, 1).await;
    let late = draft(&random, 1, 0);
    let error = locked.append(&late).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert_eq!(log.find_commit(late.id).await.unwrap(), None);
    append(&mut one, &random, 1, 0).await;
}

/// What one of several competing writers does: conditions of every kind, and the lock after two lost races.
async fn compete(log: Log, seed: u64, rounds: u32) -> Vec<Uuid> {
    let random = Random::seeded(seed);
    let mut writer = log.writer().await.unwrap();
    let mut appended = Vec::new();
    for round in 0..rounds {
        let draft = match round % 4 {
            0 => draft(&random, 1 + round % 5, 1),
            1 => draft(&random, 2, 0),
            2 => draft(&random, 3, 3),
            _ => draft(&random, 7, 0),
        };
        let mut lost = 0;
        loop {
            if lost == 2 {
                let locked = writer.lock().await.unwrap();
                place(locked.append(&draft).await);
                break;
            }
            let head = writer.head().await.unwrap();
            let condition = match round % 3 {
                0 => Condition::LastLifecycle(head.last_lifecycle),
                1 => Condition::Size(head.size),
                _ => Condition::Always,
            };
            match writer.append(&draft, condition).await.unwrap() {
                Appended::Committed(_) => break,
                Appended::ConditionFailed => lost += 1,
            }
        }
        appended.push(draft.id);
    }
    appended
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_writers_leave_no_hole_and_lose_nothing() {
    const ROUNDS: u32 = 120;
    let log = database().await.log().await;
    let writers: Vec<_> = (10..14).map(|seed| tokio::spawn(compete(log.clone(), seed, ROUNDS))).collect();

    // A reader follows meanwhile: every page is checked, so a hole that opens even for a moment would be
    // found.
    let mut seen: HashMap<Uuid, u64> = HashMap::new();
    let mut next = 0;
    while seen.len() < 4 * ROUNDS as usize {
        for commit in log.commits_from(next, 50).await.unwrap() {
            assert_eq!(seen.insert(commit.id, commit.first), None, "a commit twice");
            next = commit.end();
        }
        let failed = writers.iter().all(tokio::task::JoinHandle::is_finished)
            && log.head().await.unwrap().size == next;
        assert!(
            !failed || seen.len() == 4 * ROUNDS as usize,
            "{} commits are missing",
            4 * ROUNDS as usize - seen.len()
        );
        tokio::task::yield_now().await;
    }
    for writer in writers {
        for id in writer.await.unwrap() {
            assert!(seen.contains_key(&id), "commit {id} was acknowledged and is not there");
        }
    }

    let commits = everything(&log).await;
    assert!(
        commits.is_sorted_by_key(|commit| commit.committed_at),
        "the order of positions is the order of time"
    );
    let lifecycle: Vec<_> = commits.iter().filter(|commit| commit.lifecycle > 0).cloned().collect();
    let mut folded = Vec::new();
    loop {
        let version = folded.last().map_or(0, eventlog::Commit::version_after);
        let page = log.lifecycle_from(version, 9).await.unwrap();
        if page.is_empty() {
            break;
        }
        folded.extend(page);
    }
    assert_eq!(folded, lifecycle);
    let head = log.head().await.unwrap();
    assert_eq!(head.size, next);
    assert_eq!(head.version, folded.last().unwrap().version_after());
    assert_eq!(head.last_lifecycle, folded.last().unwrap().id);
}
