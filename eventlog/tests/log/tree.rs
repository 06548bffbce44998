//! The tree and its checkpoints: what several keepers make of a log, and what they refuse to sign.

use eventlog::tree::{Frontier, Hash, Reach, leaf_hash};
use eventlog::{Checkpoint, Error, Log, LogKey, Random, Tree, Writer, checkpoint};
use uuid::Uuid;

use crate::support::{append, database, everything};

const ORIGIN: &str = "log.example/tests";

fn tree(log: &Log, keeper: u128) -> Tree {
    Tree::new(log.clone(), Uuid::from_u128(keeper))
}

fn key(seed: u64) -> LogKey {
    let folder = tempfile::tempdir().unwrap();
    LogKey::load_or_create(&folder.path().join("log-key"), &Random::seeded(seed)).unwrap()
}

/// The roots of the log at every size, from its lines.
async fn roots(log: &Log) -> Vec<Hash> {
    let mut frontier = Frontier::default();
    let mut roots = vec![frontier.root()];
    for commit in everything(log).await {
        for (_, line) in commit.numbered() {
            frontier.push(leaf_hash(line.as_bytes()));
            roots.push(frontier.root());
        }
    }
    roots
}

async fn grow(tree: &Tree) -> Reach {
    let reach = tree.claim().await.unwrap();
    tree.follow(reach).await.unwrap()
}

async fn fill(writer: &mut Writer, random: &Random, commits: u32, lines: u32) {
    for _ in 0..commits {
        append(writer, random, lines, 1).await;
    }
}

#[tokio::test]
async fn the_stored_tree_is_that_of_the_lines_whoever_keeps_it() {
    let log = database().await.log().await;
    let (random, mut writer) = (Random::seeded(41), log.writer().await.unwrap());
    let (one, other) = (tree(&log, 1), tree(&log, 2));
    assert_eq!(one.size().await.unwrap(), 0);
    fill(&mut writer, &random, 5, 7).await;
    assert_eq!(grow(&one).await.size, 35);
    assert!(!other.claim().await.unwrap().is_kept, "one keeper at a time");
    // Both at once, from the same place, over the edge of a tile and of a level.
    for lines in [220, 1, 600, 300] {
        fill(&mut writer, &random, 3, lines).await;
        let from = Reach { is_kept: true, ..one.claim().await.unwrap() };
        let (first, second) = tokio::join!(one.follow(from.clone()), other.follow(from));
        assert_eq!(first.unwrap().size.max(second.unwrap().size), grow(&one).await.size);
    }
    let expected = roots(&log).await;
    let size = one.size().await.unwrap();
    assert_eq!(size, expected.len() as u64 - 1);
    let sizes = [0, 1, 35, 36, 255, 256, 257, 1_000, size - 1, size];
    let ranges: Vec<_> = sizes.iter().map(|size| 0..*size).collect();
    let found = other.roots(&ranges).await.unwrap();
    assert_eq!(found, sizes.map(|size| expected[size as usize]));
}

#[tokio::test]
async fn a_keeper_that_is_killed_anywhere_leaves_a_tree_that_goes_on() {
    let log = database().await.log().await;
    let (random, mut writer) = (Random::seeded(42), log.writer().await.unwrap());
    for round in 0..30_u32 {
        fill(&mut writer, &random, 2, 50 + round).await;
        let tree = tree(&log, 1);
        let reach = tree.claim().await.unwrap();
        // Polled so often and dropped: each round it is cut off at another point.
        let growing = tokio::time::timeout(
            std::time::Duration::from_micros(u64::from(round) * 200),
            tree.follow(reach),
        );
        let _ = growing.await;
    }
    let tree = tree(&log, 1);
    let mut reach = grow(&tree).await;
    while reach.size < log.head().await.unwrap().size {
        reach = tree.follow(reach).await.unwrap();
    }
    let expected = roots(&log).await;
    let ranges: Vec<_> = (0..expected.len() as u64).map(|size| 0..size).collect();
    assert_eq!(tree.roots(&ranges).await.unwrap(), expected);
}

#[tokio::test]
async fn a_log_that_is_not_the_one_of_the_tree_is_noticed_and_read_anew() {
    let database = database().await;
    let log = database.log().await;
    let (random, mut writer) = (Random::seeded(43), log.writer().await.unwrap());
    fill(&mut writer, &random, 3, 5).await;
    let tree = tree(&log, 1);
    let reach = grow(&tree).await;
    database.tamper("UPDATE chancery.commits SET id = gen_random_uuid() WHERE first = 10").await;
    assert!(matches!(tree.follow(reach.clone()).await, Err(Error::WentBackwards { .. })));
    tree.begin_anew(&reach).await.unwrap();
    assert_eq!(tree.size().await.unwrap(), 0);
    assert_eq!(grow(&tree).await.size, 15);
    let expected = roots(&log).await;
    assert_eq!(tree.roots(&[0..15, 0..4]).await.unwrap(), [expected[15], expected[4]]);
}

#[tokio::test]
async fn no_checkpoint_is_signed_over_stored_hashes_that_the_last_one_was_not_made_of() {
    let database = database().await;
    let log = database.log().await;
    let (random, mut writer) = (Random::seeded(45), log.writer().await.unwrap());
    let (tree, key) = (tree(&log, 1), key(1));
    let sign = async |seen: Option<&Checkpoint>| {
        checkpoint::advance(&log, &tree, ORIGIN, &[&key], seen).await.map(Option::unwrap)
    };
    fill(&mut writer, &random, 1, 200).await;
    grow(&tree).await;
    let first = sign(None).await.unwrap();
    fill(&mut writer, &random, 1, 100).await;
    grow(&tree).await;
    // The first root comes of leaves, the second of what is stored over the first 256 of them.
    let change = "UPDATE chancery.tiles SET hashes = sha256(hashes) WHERE level = 1 AND index = 0";
    database.tamper(change).await;
    let expected = roots(&log).await;
    assert_eq!(
        tree.roots(std::slice::from_ref(&(0..200))).await.unwrap(),
        [expected[200]],
        "the first root is still there"
    );
    let refused = sign(None).await.unwrap_err();
    assert!(matches!(refused, Error::Inconsistent { size: 200, to: 300, .. }), "{refused}");
    assert_eq!(checkpoint::last(&log, ORIGIN).await.unwrap().as_ref(), Some(&first));
    // Without the stored checkpoint, the one that a node remembers stands against it.
    database.tamper("DELETE FROM chancery.checkpoints").await;
    let refused = sign(Checkpoint::of_note(&first).as_ref()).await.unwrap_err();
    assert!(matches!(refused, Error::Inconsistent { size: 200, to: 300, .. }), "{refused}");
}

#[tokio::test]
async fn no_checkpoint_contradicts_an_earlier_one() {
    let database = database().await;
    let log = database.log().await;
    let (random, mut writer) = (Random::seeded(44), log.writer().await.unwrap());
    let (tree, old, new) = (tree(&log, 1), key(1), key(2));
    fill(&mut writer, &random, 3, 5).await;
    grow(&tree).await;
    let sign = async |keys: &[&LogKey], seen: Option<&Checkpoint>| {
        checkpoint::advance(&log, &tree, ORIGIN, keys, seen).await.map(Option::unwrap)
    };
    let first = sign(&[&old], None).await.unwrap();
    assert_eq!(sign(&[&old], None).await.unwrap(), first, "nothing has changed");
    let both = sign(&[&new, &old], None).await.unwrap();
    assert_eq!((both.lines().count(), Checkpoint::of_note(&both)), (6, Checkpoint::of_note(&first)));
    fill(&mut writer, &random, 1, 5).await;
    assert_eq!(sign(&[&new], None).await.unwrap().lines().nth(1), Some("15"), "the tree has not grown yet");
    grow(&tree).await;
    let second = Checkpoint::of_note(&sign(&[&new], None).await.unwrap()).unwrap();
    assert_eq!((second.size, second.root), (20, roots(&log).await[20]));

    // A line is changed, and the tree is made anew from what there is.
    let change =
        "UPDATE chancery.commits SET lines = replace(lines, 'TokenUsed', 'TokenLost') WHERE first = 5";
    database.tamper(change).await;
    tree.begin_anew(&tree.claim().await.unwrap()).await.unwrap();
    assert_eq!(
        sign(&[&new], None).await.unwrap().lines().nth(1),
        Some("20"),
        "nothing new is signed meanwhile"
    );
    grow(&tree).await;
    assert!(matches!(sign(&[&new], None).await, Err(Error::Inconsistent { size: 20, .. })));
    // Without the stored checkpoint, the one that a node remembers stands against it.
    database.tamper("DELETE FROM chancery.checkpoints").await;
    assert!(matches!(sign(&[&new], Some(&second)).await, Err(Error::Inconsistent { size: 20, .. })));
    // Under another origin it is another log.
    checkpoint::advance(&log, &tree, "log.example/resumed", &[&new], Some(&second)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_tree_that_is_fed_stops_at_its_goal() {
    let log = database().await.log().await;
    let (random, mut writer) = (Random::seeded(46), log.writer().await.unwrap());
    fill(&mut writer, &random, 12, 3).await;
    let tree = tree(&log, 1);
    let commits = everything(&log).await;
    // One commit a page, and always another one: as a log that never stands still.
    let mut turn = 0_u32;
    let fed = |position| {
        turn += 1;
        commits.iter().find(|commit| turn % 2 == 1 && commit.first == position).cloned()
    };
    let reach = tree.claim().await.unwrap();
    let reached = tree.follow_with(reach, 11, fed).await.unwrap();
    assert_eq!(reached.size, 12, "the commit with the last line of the goal, and none after it");
    assert_eq!(grow(&tree).await.size, 36);
    let expected = roots(&log).await;
    assert_eq!(tree.roots(std::slice::from_ref(&(0..36))).await.unwrap(), [expected[36]]);
}
