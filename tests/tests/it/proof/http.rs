use super::{bytes, checkpoint, keys, leaves, lines, signing, size_of, uses};
use chancery_tests::{NodeOptions, World};
use eventlog::Checkpoint;
use eventlog::note::VerifierKey;
use eventlog::receipt::Receipt;
use eventlog::tree::{Frontier, Hash};
use serde_json::json;

#[tokio::test]
async fn a_checkpoint_says_the_size_and_the_root_and_is_signed() {
    let world = signing().await;
    let note = checkpoint(&world).await;
    let keys: Vec<VerifierKey> =
        keys(&world.node).await.iter().map(|key| VerifierKey::parse(key).unwrap()).collect();
    let (signed, _) = Checkpoint::open(&note, &keys).unwrap();
    let leaves = leaves(&lines(&world).await);
    let before = &leaves[..signed.size as usize];
    assert_eq!(signed.root, before.iter().copied().collect::<Frontier>().root());
    assert_eq!(signed.origin, "chancery.invalid/tests");
    let answer = world.node.admin().get("/log/checkpoint").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "no-cache");
    world.node.admin().get("/log/checkpoint?at_least=99999999").await.refused(503, "behind");
}

#[tokio::test]
async fn tiles_and_bundles_are_those_of_the_lines() {
    let world = signing().await;
    uses(&world, "many", 600).await;
    let size = size_of(&checkpoint(&world).await) as usize;
    let lines = lines(&world).await;
    let leaves = leaves(&lines);
    let flat = |hashes: &[Hash]| hashes.iter().flat_map(|hash| hash.0).collect::<Vec<u8>>();
    for (path, range) in [("000", 0..256), ("001", 256..512), ("000.p/17", 0..17), ("002.p/1", 512..513)] {
        assert_eq!(bytes(&world.node, &format!("/log/tile/0/{path}")).await, flat(&leaves[range.clone()]));
        let bundle = bytes(&world.node, &format!("/log/tile/entries/{path}")).await;
        let expected = lines[range]
            .iter()
            .flat_map(|line| [&(line.len() as u16).to_be_bytes()[..], line.as_bytes()].concat());
        assert_eq!(bundle, expected.collect::<Vec<u8>>(), "{path}");
    }
    let full = [0..256, 256..512].map(|range| leaves[range].iter().copied().collect::<Frontier>().root());
    assert_eq!(bytes(&world.node, "/log/tile/1/000.p/2").await, flat(&full));
    let admin = world.node.admin();
    let tile = admin.get("/log/tile/0/000").await;
    assert_eq!(tile.header("cache-control"), "private, max-age=31536000, immutable");
    assert_eq!(tile.header("content-type"), "application/octet-stream");
    for absent in ["0/003", "1/000", "2/000.p/1", "0/x001/000", "63/000.p/1", "entries/003", "0/002.p/255"] {
        admin.get(&format!("/log/tile/{absent}")).await.refused(404, "not_found");
    }
    for bad in ["64/000", "0/0", "00/000", "-1/000", "0/000.p/0", "0/000.p/256", "x/000", "entries/1"] {
        admin.get(&format!("/log/tile/{bad}")).await.refused(422, "invalid_value");
    }
    assert!(size > 600);
}

#[tokio::test]
async fn proofs_lead_from_lines_to_roots() {
    let world = signing().await;
    uses(&world, "some", 40).await;
    let note = checkpoint(&world).await;
    let size = size_of(&note);
    let admin = world.node.admin();
    let leaves = leaves(&lines(&world).await);
    for position in [0, 1, 17, size - 1] {
        let path = format!("/log/proof/inclusion?position={position}&size={size}");
        let answer = admin.get(&path).await;
        let body = answer.expect(200);
        assert_eq!(body["leaf"], json!(leaves[position as usize].to_string()));
        assert_eq!(body["root"], json!(Checkpoint::of_note(&note).unwrap().root.to_string()));
        let receipt = admin.get(&format!("/log/proof/receipt?position={position}")).await.text;
        let receipt = Receipt::parse(&receipt).unwrap();
        let keys = super::keys(&world.node).await;
        let keys: Vec<VerifierKey> = keys.iter().map(|key| VerifierKey::parse(key).unwrap()).collect();
        receipt.check(leaves[position as usize], &keys).unwrap();
        receipt.check(leaves[(position as usize + 1) % 20], &keys).unwrap_err();
    }
    for bad in [
        format!("inclusion?position={size}&size={size}"),
        "inclusion?position=0&size=99999999".to_owned(),
        "inclusion?position=0".to_owned(),
        "consistency?from=2&to=1".to_owned(),
        "consistency?from=0&to=99999999".to_owned(),
    ] {
        admin.get(&format!("/log/proof/{bad}")).await.refused(422, "invalid_value");
    }
    admin.get("/log/proof/receipt?position=99999999").await.refused(404, "not_found");
    let empty = admin.get(&format!("/log/proof/consistency?from=0&to={size}")).await;
    assert_eq!(empty.expect(200)["proof"], json!([]));
}

#[tokio::test]
async fn an_auditor_of_an_organization_learns_how_much_is_written_and_nothing_else() {
    let world = signing().await;
    let auditor = world.node.admin().mint("auditor", json!({"organization": "acme"}), &["auditor"]).await;
    let auditor = world.node.token(&auditor.secret);
    let size = size_of(&checkpoint(&world).await);
    let mut told = Vec::new();
    for path in [
        "/log/checkpoint".to_owned(),
        "/log/tile/0/000.p/9".to_owned(),
        format!("/log/proof/inclusion?position=3&size={size}"),
        format!("/log/proof/consistency?from=3&to={size}"),
        "/log/proof/receipt?position=3".to_owned(),
    ] {
        let answer = auditor.get(&path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        told.push(answer.text);
    }
    let other = world.node.admin().get("/v1/organizations/other").await.text_of("id");
    assert!(told.iter().all(|text| !text.contains(&other) && !text.contains("gateway")));
    auditor.get("/log/tile/entries/000.p/1").await.refused(403, "forbidden");
    let member = world.node.admin().mint("member", json!({"organization": "acme"}), &["member"]).await;
    let refused = world.node.token(&member.secret).get("/log/checkpoint").await;
    assert_eq!(refused.refused(403, "forbidden")["missing"], json!(["audit:read"]));
}

#[tokio::test]
async fn a_node_without_the_key_shows_what_others_signed() {
    let world = World::new().await;
    world.node.admin().get("/log/checkpoint").await.refused(404, "not_found");
    world.node.admin().get("/log/proof/receipt?position=0").await.refused(404, "not_found");
    let world = World::with(NodeOptions::signing).await;
    let other = world.another().await;
    let note = checkpoint(&world).await;
    let shown = other.admin().get("/log/checkpoint").await.text;
    assert!(size_of(&shown) >= size_of(&note));
    // It waits for who signs, who does so within a second.
    let size = other.node().log().head().await.unwrap().size;
    let waited = other.admin().get(&format!("/log/checkpoint?at_least={size}")).await;
    assert!(size_of(&waited.text) >= size);
    let path = format!("/log/proof/inclusion?position=0&size={}", size_of(&note));
    let proofs = [world.node.admin().get(&path).await, other.admin().get(&path).await];
    assert_eq!(proofs[0].expect(200), proofs[1].expect(200));
}
