//! Somebody with full rights on the database changes what is on the log. Whoever holds one earlier checkpoint finds it.

use super::{Desk, checkpoint, keys, lines, page, signing, size_of, uses};
use chancery_tests::{Database, NodeOptions, World};
use eventlog::{Checkpoint, Error, Tree, checkpoint as stored};
use std::path::PathBuf;

/// A log of which an auditor has kept two checkpoints and what came before the first.
struct Audited {
    world: World,
    desk: Desk,
    key: String,
    kept: [PathBuf; 2],
    sizes: [u64; 2],
    earlier: PathBuf,
}

async fn audited() -> Audited {
    let (world, desk) = (signing().await, Desk::new());
    uses(&world, "first", 20).await;
    let first = checkpoint(&world).await;
    let earlier = desk.export("earlier.ndjson", &lines(&world).await[..size_of(&first) as usize]);
    uses(&world, "second", 20).await;
    let second = checkpoint(&world).await;
    let key = keys(&world.node).await[0].clone();
    let kept = [desk.put("first.txt", &first), desk.put("second.txt", &second)];
    Audited { world, desk, key, kept, sizes: [size_of(&first), size_of(&second)], earlier }
}

impl Audited {
    async fn verify(&self, code: i32) -> String {
        let export = self.desk.export("now.ndjson", &lines(&self.world).await);
        let kept = [self.kept[0].as_path(), self.kept[1].as_path()];
        page(&self.desk.verify(&self.key, &kept, &[&export]).await, code)
    }

    /// The same with the export that the auditor kept.
    async fn compare(&self) -> String {
        let export = self.desk.export("now.ndjson", &lines(&self.world).await);
        let kept = [self.kept[0].as_path(), self.kept[1].as_path()];
        let more = [export.as_path(), "--earlier".as_ref(), self.earlier.as_path()];
        page(&self.desk.verify(&self.key, &kept, &more).await, 1)
    }
}

/// Does it as somebody whom nothing refuses.
async fn tamper(database: &Database, sql: &str) {
    database
        .execute(&format!(
            "ALTER TABLE chancery.commits DISABLE TRIGGER USER;
             {sql};
             ALTER TABLE chancery.commits ENABLE ALWAYS TRIGGER commits_refuse_statement;
             ALTER TABLE chancery.commits ENABLE ALWAYS TRIGGER commits_refuse_row"
        ))
        .await;
}

/// The statement that changes the one line with a text in it.
fn edit(from: &str, to: &str) -> String {
    format!(
        "UPDATE chancery.commits SET lines = replace(lines, '{from}', '{to}') WHERE lines LIKE '%{from}%'"
    )
}

/// Writes other lines in the place of those of the commit with a text in it. What comes after moves.
async fn rewrite(database: &Database, text: &str, change: impl FnOnce(&mut Vec<String>)) {
    let commits = database.log().await.commits_from(0, 1_000).await.unwrap();
    let commit = commits.iter().find(|commit| commit.lines.contains(text)).unwrap();
    let mut lines: Vec<String> = commit.lines.split('\n').map(str::to_owned).collect();
    change(&mut lines);
    let (first, count, moved) = (commit.first, lines.len(), lines.len() as i64 - i64::from(commit.count));
    let lines = lines.join("\n");
    let sql = format!(
        "CREATE TEMP TABLE moved AS SELECT * FROM chancery.commits WHERE first > {first};
         DELETE FROM chancery.commits WHERE first > {first};
         UPDATE chancery.commits SET count = {count}, lines = $lines${lines}$lines$ WHERE first = {first};
         INSERT INTO chancery.commits (first, version, committed_at, count, lifecycle, id, lines)
             SELECT first + {moved}, version, committed_at, count, lifecycle, id, lines FROM moved;
         DROP TABLE moved;
         UPDATE chancery.log_head SET size = size + {moved}"
    );
    tamper(database, &sql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_touched_is_verified() {
    let audited = audited().await;
    uses(&audited.world, "third", 3).await;
    let page = audited.verify(0).await;
    let [_, second] = audited.sizes;
    assert!(
        page.contains(&format!("the first {second} lines are on the log, unchanged, in this order")),
        "{page}"
    );
    assert!(page.contains("Found\n  nothing wrong\n"), "{page}");
    assert!(page.contains("lines after that: no checkpoint that agrees holds them"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_line_is_found_between_the_checkpoints_around_it() {
    let audited = audited().await;
    let [first, second] = audited.sizes;
    tamper(&audited.world.database, &edit("second 7\"", "second 8\"")).await;
    let page = audited.verify(1).await;
    assert!(page.contains(&format!("something from position {first} to {}", second - 1)), "{page}");
    assert!(page.contains(&format!("the first {first} lines are on the log, unchanged")), "{page}");
    tamper(&audited.world.database, &edit("first 7\"", "first 8\"")).await;
    let found = lines(&audited.world).await.iter().position(|line| line.contains("first 8\"")).unwrap();
    let page = audited.verify(1).await;
    assert!(page.contains(&format!("something from position 0 to {}", first - 1)), "{page}");
    let page = audited.compare().await;
    assert!(page.contains(&format!("position {found}: another line stood there")), "{page}");
    assert!(!page.contains(&format!("position {}: another", found + 1)), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_an_added_and_a_swapped_line_are_found() {
    let audited = audited().await;
    let database = &audited.world.database;
    let [first, second] = audited.sizes;
    let seventh = "second 7\"";
    let at = |lines: &[String]| lines.iter().position(|line| line.contains(seventh)).unwrap();
    let expected = format!("something from position {first} to {}", second - 1);
    let swap = |lines: &mut Vec<String>| {
        let at = at(lines);
        lines.swap(at, at + 1);
    };
    rewrite(database, seventh, swap).await;
    let page = audited.verify(1).await;
    assert!(page.contains(&expected), "{page}");
    let swap_back = |lines: &mut Vec<String>| {
        let at = at(lines);
        lines.swap(at, at - 1);
    };
    rewrite(database, seventh, swap_back).await;
    audited.verify(0).await;

    let mut kept = String::new();
    let remove = |lines: &mut Vec<String>| kept = lines.remove(at(lines));
    rewrite(database, seventh, remove).await;
    let page = audited.verify(1).await;
    assert!(page.contains("are missing") || page.contains(&expected), "{page}");
    rewrite(database, "second 6\"", |lines| {
        let at = lines.iter().position(|line| line.contains("second 6\"")).unwrap();
        lines.insert(at + 1, kept);
    })
    .await;
    audited.verify(0).await;

    let repeat = |lines: &mut Vec<String>| lines.insert(at(lines), lines[at(lines)].clone());
    rewrite(database, seventh, repeat).await;
    let page = audited.verify(1).await;
    assert!(page.contains(&expected), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lifecycle_line_that_is_missing_leaves_a_gap_that_says_where() {
    let audited = audited().await;
    let all = lines(&audited.world).await;
    let gone = all.iter().position(|line| line.contains("\"name\":\"second-verifier\"")).unwrap();
    let without: Vec<String> =
        all.iter().enumerate().filter(|(at, _)| *at != gone).map(|(_, line)| line.clone()).collect();
    let export = audited.desk.export("without.ndjson", &without);
    let page = page(&audited.desk.verify(&audited.key, &[&audited.kept[1]], &[&export]).await, 1);
    let next = without[gone..].iter().position(|line| line.contains("\"n\":")).unwrap() + gone;
    assert!(page.contains(&format!("position {next}: TokenMinted is lifecycle event")), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_that_is_cut_off_is_missed() {
    let audited = audited().await;
    let database = &audited.world.database;
    let [first, second] = audited.sizes;
    let commits = database.log().await.commits_from(0, 1_000).await.unwrap();
    let cut = commits.iter().find(|commit| commit.first > first).unwrap();
    let (size, version) = (cut.first, cut.version);
    let sql = format!(
        "DELETE FROM chancery.commits WHERE first >= {size};
         UPDATE chancery.log_head SET size = {size}, version = {version}"
    );
    tamper(database, &sql).await;
    let page = audited.verify(1).await;
    let missing = format!("it was signed for {second} lines, and the export has {size}: {}", second - size);
    assert!(page.contains(&missing), "{page}");
    assert!(page.contains(&format!("the first {first} lines are on the log, unchanged")), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_that_is_stored_otherwise_than_it_was_hashed_is_not_signed() {
    let (world, desk) = (signing().await, Desk::new());
    uses(&world, "first", 20).await;
    let first = checkpoint(&world).await;
    let refused = async || {
        let metrics = world.node.anon().get("/metrics").await.text;
        let count = metrics.lines().find_map(|line| line.strip_prefix("chancery_checkpoints_refused_total "));
        count.unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(refused().await, 0);
    // Whatever the node stores above the leaves comes to be something else, with the root of the first still there.
    world
        .database
        .execute(
            "CREATE FUNCTION chancery.other() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN NEW.hashes := pg_catalog.sha256(NEW.hashes); RETURN NEW; END $$;
             CREATE TRIGGER other BEFORE INSERT ON chancery.tiles FOR EACH ROW WHEN (NEW.level = 1)
                 EXECUTE FUNCTION chancery.other()",
        )
        .await;
    uses(&world, "second", 300).await;
    let size = world.database.size().await;
    let answer = world.node.admin().get(&format!("/log/checkpoint?at_least={size}")).await;
    assert_eq!(answer.status, 500, "{}", answer.text);
    assert!(refused().await > 0);
    let last = world.node.admin().get("/log/checkpoint").await.text;
    assert!(size_of(&last) < 256, "{last}");
    // What stands on the log is what stood there: once the tree is made anew, it is signed.
    world.database.execute("DROP TRIGGER other ON chancery.tiles; DELETE FROM chancery.tiles; UPDATE chancery.tree SET size = 0, last_commit = '00000000-0000-0000-0000-000000000000'").await;
    let second = checkpoint(&world).await;
    assert!(size_of(&second) >= size);
    let kept = [desk.put("first.txt", &first), desk.put("last.txt", &last), desk.put("second.txt", &second)];
    let export = desk.export("now.ndjson", &lines(&world).await[..size_of(&second) as usize]);
    let key = keys(&world.node).await[0].clone();
    page(&desk.verify(&key, &kept.each_ref().map(PathBuf::as_path), &[&export]).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_that_is_rewritten_with_its_hashes_is_not_signed_and_found() {
    let audited = audited().await;
    let database = &audited.world.database;
    let [first, second] = audited.sizes;
    tamper(database, &edit("second 7\"", "second 8\"")).await;
    // The tree is thrown away and comes to be what the lines now are.
    database.execute("DELETE FROM chancery.tiles; UPDATE chancery.tree SET size = 0, last_commit = '00000000-0000-0000-0000-000000000000'").await;
    let log = database.log().await;
    let tree = Tree::new(log.clone(), uuid::Uuid::from_u128(7));
    let reach = tree.claim().await.unwrap();
    tree.follow(reach).await.unwrap();
    let signed = Checkpoint::of_note(&std::fs::read_to_string(&audited.kept[1]).unwrap()).unwrap();
    let roots = tree.roots(&[0..first, 0..second]).await.unwrap();
    assert_ne!(roots[1], signed.root);
    // The authority does not sign what it comes to, though it grows.
    let refused = stored::advance(&log, &tree, &signed.origin, &[], Some(&signed)).await;
    assert!(matches!(refused, Err(Error::Inconsistent { .. })), "{refused:?}");
    let size = database.size().await;
    let answer = audited.world.node.admin().get(&format!("/log/checkpoint?at_least={size}")).await;
    assert_eq!(answer.status, 500, "{}", answer.text);
    let page = audited.verify(1).await;
    assert!(page.contains(&format!("something from position {first} to {}", second - 1)), "{page}");

    // Somebody who has the key as well signs it: what was kept still tells.
    let folder = audited.world.node.folder().join("log-key");
    database.execute("DELETE FROM chancery.checkpoints").await;
    let other = NodeOptions::on(database).log_key(&folder).start().await;
    let forged = other.admin().get(&format!("/log/checkpoint?at_least={size}")).await.text;
    assert!(Checkpoint::of_note(&forged).unwrap().size >= size);
    let forged = audited.desk.put("forged.txt", forged);
    let export = audited.desk.export("now.ndjson", &lines(&audited.world).await);
    let kept = [audited.kept[1].as_path(), forged.as_path()];
    let page = super::page(&audited.desk.verify(&audited.key, &kept, &[&export]).await, 1);
    assert!(page.contains("DIFFERS"), "{page}");
}
