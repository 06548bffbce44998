//! Connections that break around an append: it happens once or not at all, and the answer says which.

use std::time::Duration;

use eventlog::personal::Kind;
use eventlog::{Appended, Condition, Error, Log, Personal, Random, Settings, Writer};
use sqlx::{Connection, Executor};

use crate::support::proxy::{Cut, Proxy};
use crate::support::{Database, append, database, draft, everything, place};

/// A log with one lifecycle commit of two lines in it, and a writer behind a proxy.
struct Setting {
    database: Database,
    log: Log,
    proxy: Proxy,
    writer: Writer,
    random: Random,
    minted: uuid::Uuid,
}

impl Setting {
    async fn new(seed: u64) -> Setting {
        let database = database().await;
        let log = database.log().await;
        let proxy = Proxy::start(&database).await;
        let settings = Settings { resolve_deadline: Duration::from_millis(1_500), ..Settings::default() };
        let through = Log::connect_with(proxy.options(&database), settings).await.unwrap();
        let mut writer = through.writer().await.unwrap();
        let random = Random::seeded(seed);
        let (minted, _) = append(&mut writer, &random, 2, 1).await;
        Setting { database, log, proxy, writer, random, minted }
    }

    fn conditions(&self) -> [Condition; 3] {
        [Condition::LastLifecycle(self.minted), Condition::Size(2), Condition::Always]
    }

    /// How often the draft is in the log; reading everything also proves that there is no hole.
    async fn occurrences(&self, id: uuid::Uuid) -> usize {
        everything(&self.log).await.iter().filter(|commit| commit.id == id).count()
    }
}

#[tokio::test]
async fn a_cut_before_or_after_the_request_appends_exactly_once() {
    for (seed, cut) in [Cut::BeforeRequest, Cut::BeforeReply, Cut::WhileBusy].into_iter().enumerate() {
        for which in 0..3 {
            for lifecycle in [0, 2] {
                let mut setting = Setting::new(seed as u64).await;
                let condition = setting.conditions()[which];
                let mut draft = draft(&setting.random, 3, lifecycle);
                setting.proxy.cut(cut);
                let appended = place(setting.writer.append(&draft, condition).await);
                assert_eq!((appended.first, appended.version), (2, 1), "{cut:?} {condition:?}");
                assert_eq!(setting.occurrences(draft.id).await, 1, "{cut:?} {condition:?}");

                // The same with personal rows, which go through the other statement.
                draft.id = setting.random.uuid_v7(0);
                draft.personal.push(Personal::new(Kind::Email, "ada@example.org", [5; 16]));
                setting.proxy.cut(cut);
                let appended = place(setting.writer.append(&draft, Condition::Size(5)).await);
                assert_eq!(appended.first, 5, "{cut:?} {condition:?}");
                assert_eq!(setting.occurrences(draft.id).await, 1, "{cut:?} {condition:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_request_that_arrives_late_finds_that_it_has_happened() {
    for which in 0..3 {
        for lifecycle in [0, 1] {
            let mut setting = Setting::new(20).await;
            let draft = draft(&setting.random, 2, lifecycle);
            setting.proxy.cut(Cut::Late);
            let appended = place(setting.writer.append(&draft, setting.conditions()[which]).await);
            setting.proxy.deliver().await;
            assert_eq!(setting.occurrences(draft.id).await, 1);
            assert_eq!(setting.log.find_commit(draft.id).await.unwrap(), Some(appended));
            assert_eq!(
                setting.log.head().await.unwrap().size,
                4,
                "the late one undid its update of the head"
            );
        }
    }
}

#[tokio::test]
async fn a_competing_commit_in_between_decides() {
    // The competitor comes while the request is lost: the conditional ones fail for good, `Always` does not.
    for (which, expected) in [(0, false), (1, false), (2, true)] {
        let mut setting = Setting::new(30).await;
        let condition = setting.conditions()[which];
        let draft = draft(&setting.random, 2, 1);
        let mut competitor = setting.log.writer().await.unwrap();
        setting.proxy.cut(Cut::Late);
        setting.proxy.down(true);
        let unknown = setting.writer.append(&draft, condition).await.unwrap_err();
        assert!(matches!(unknown, Error::OutcomeUnknown { id, .. } if id == draft.id), "{unknown}");
        append(&mut competitor, &setting.random, 1, 1).await;
        setting.proxy.down(false);
        let answer = setting.writer.resolve(&draft, condition).await.unwrap();
        assert_eq!(matches!(answer, Appended::Committed(_)), expected, "{condition:?}");
        setting.proxy.deliver().await;
        assert_eq!(
            setting.occurrences(draft.id).await,
            usize::from(expected),
            "the late one changed nothing"
        );
    }
}

#[tokio::test]
async fn what_happened_before_the_competing_commit_is_found() {
    for which in 0..3 {
        for lifecycle in [0, 1] {
            let mut setting = Setting::new(40).await;
            let condition = setting.conditions()[which];
            let draft = draft(&setting.random, 2, lifecycle);
            let mut competitor = setting.log.writer().await.unwrap();
            setting.proxy.cut(Cut::BeforeReply);
            setting.proxy.down(true);
            let unknown = setting.writer.append(&draft, condition).await.unwrap_err();
            assert!(matches!(unknown, Error::OutcomeUnknown { .. }), "{unknown}");
            append(&mut competitor, &setting.random, 1, 1).await;
            setting.proxy.down(false);
            // Calling `append` again with a draft that is in doubt resolves it too.
            let appended = place(setting.writer.append(&draft, condition).await);
            assert_eq!((appended.first, appended.version), (2, 1));
            assert_eq!(setting.occurrences(draft.id).await, 1);
        }
    }
}

#[tokio::test]
async fn a_request_that_still_waits_for_the_lock_is_waited_for() {
    for which in 0..3 {
        let mut setting = Setting::new(50).await;
        let condition = setting.conditions()[which];
        let draft = draft(&setting.random, 2, 1);
        let mut holder = setting.database.owner().await;
        holder.execute("BEGIN; SELECT * FROM chancery.log_head FOR UPDATE").await.unwrap();
        setting.proxy.cut(Cut::WhileBusy);
        let appending = tokio::spawn(async move {
            let appended = setting.writer.append(&draft, condition).await;
            (setting.log.clone(), draft.id, appended)
        });
        // Both the lost request and the one that was sent after it now wait behind the holder.
        let mut observer = setting.database.superuser().await;
        loop {
            let waiting: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .fetch_one(&mut observer)
            .await
            .unwrap();
            if waiting == 2 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        holder.execute("ROLLBACK").await.unwrap();
        holder.close().await.unwrap();
        let (log, id, appended) = appending.await.unwrap();
        assert_eq!(place(appended).first, 2, "{condition:?}");
        assert_eq!(everything(&log).await.iter().filter(|commit| commit.id == id).count(), 1);
    }
}

#[tokio::test]
async fn a_lost_commit_of_the_lock_is_found_out_too() {
    for cut in [Cut::BeforeRequest, Cut::BeforeReply, Cut::WhileBusy] {
        let mut setting = Setting::new(60).await;
        let draft = draft(&setting.random, 2, 1);
        let locked = setting.writer.lock().await.unwrap();
        // The append is prepared already, so it is one request and COMMIT is the next.
        setting.proxy.cut_after(1, cut);
        let appended = place(locked.append(&draft).await);
        assert_eq!(appended.first, 2, "{cut:?}");
        assert_eq!(setting.occurrences(draft.id).await, 1, "{cut:?}");
    }
}

#[tokio::test]
async fn an_append_that_is_lost_before_the_commit_of_the_lock_did_not_happen() {
    let mut setting = Setting::new(70).await;
    let draft = draft(&setting.random, 2, 1);
    let locked = setting.writer.lock().await.unwrap();
    setting.proxy.cut(Cut::BeforeReply);
    let error = locked.append(&draft).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert_eq!(setting.occurrences(draft.id).await, 0);
    append(&mut setting.writer, &setting.random, 1, 0).await;
}

#[tokio::test]
async fn a_backend_that_an_operator_ends_loses_nothing() {
    let mut setting = Setting::new(80).await;
    let mut operator = setting.database.superuser().await;
    operator
        .execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await
        .unwrap();
    let draft = draft(&setting.random, 2, 0);
    place(setting.writer.append(&draft, Condition::LastLifecycle(setting.minted)).await);
    assert_eq!(setting.occurrences(draft.id).await, 1);
    assert_eq!(setting.writer.head().await.unwrap().size, 4);
}

#[tokio::test]
async fn a_read_reconnects_by_itself() {
    let mut setting = Setting::new(90).await;
    setting.proxy.cut(Cut::BeforeRequest);
    assert_eq!(setting.writer.head().await.unwrap().size, 2);
    setting.proxy.cut(Cut::BeforeReply);
    assert_eq!(setting.writer.lifecycle_from(0, 5).await.unwrap().len(), 1);
    setting.proxy.down(true);
    setting.proxy.cut(Cut::BeforeReply);
    let error = setting.writer.head().await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    let error = setting.writer.append(&draft(&setting.random, 1, 0), Condition::Always).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "nothing was sent: {error}");
}

#[tokio::test]
async fn an_append_that_was_dropped_half_way_is_found_out_by_appending_again() {
    for which in 0..3 {
        let mut setting = Setting::new(100).await;
        let condition = setting.conditions()[which];
        let draft = draft(&setting.random, 2, 1);
        let mut holder = setting.database.owner().await;
        holder.execute("BEGIN; SELECT * FROM chancery.log_head FOR UPDATE").await.unwrap();
        let dropped =
            tokio::time::timeout(Duration::from_millis(50), setting.writer.append(&draft, condition));
        assert!(dropped.await.is_err());
        holder.execute("ROLLBACK").await.unwrap();
        assert_eq!(place(setting.writer.append(&draft, condition).await).first, 2, "{condition:?}");
        assert_eq!(setting.occurrences(draft.id).await, 1, "{condition:?}");
    }
}
