//! Crates that others wrote accept our checkpoints, tiles and proofs.

use super::{bytes, checkpoint, keys, lines, signing, uses};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery_tests::{Actor, TestNode};
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use sha2_of_ct_merkle::Sha256;
use signed_note::{Note, StandardVerifier, VerifierList};
use std::collections::HashMap;
use tlog_tiles::{HashReader as _, Tile, TileHashReader, TileReader};

/// Tiles that were fetched before.
struct Fetched(HashMap<String, Vec<u8>>);

impl TileReader for Fetched {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        Ok(tiles.iter().map(|tile| self.0[&tile.path()].clone()).collect())
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

async fn fetch(node: &TestNode, size: u64) -> Fetched {
    let mut fetched = HashMap::new();
    for tile in Tile::new_tiles(8, 0, size) {
        let path = tile.path();
        // The crate writes the height into the path, which the layout on the web leaves out.
        let on_the_web = path.replacen("tile/8/", "tile/", 1);
        fetched.insert(path, bytes(node, &format!("/log/{on_the_web}")).await);
    }
    Fetched(fetched)
}

async fn hashes(actor: &Actor, path: &str) -> (Vec<[u8; 32]>, serde_json::Value) {
    let body = actor.get(path).await.expect(200).clone();
    let proof = body["proof"].as_array().unwrap().iter();
    let decode =
        |hash: &serde_json::Value| STANDARD.decode(hash.as_str().unwrap()).unwrap().try_into().unwrap();
    (proof.map(decode).collect(), body)
}

#[tokio::test]
async fn the_crates_accept_checkpoints_tiles_and_proofs() {
    let world = signing().await;
    uses(&world, "first", 300).await;
    let old = checkpoint(&world).await;
    uses(&world, "second", 400).await;
    let new = checkpoint(&world).await;
    let verifier = StandardVerifier::new(&keys(&world.node).await[0]).unwrap();
    let known = VerifierList::new(vec![Box::new(verifier)]);
    let read = |note: &str| {
        let note = Note::from_bytes(note.as_bytes()).unwrap();
        assert_eq!(note.verify(&known).unwrap().0.len(), 1);
        tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap()
    };
    let (old, new) = (read(&old), read(&new));
    assert_eq!((old.origin(), new.origin()), ("chancery.invalid/tests", "chancery.invalid/tests"));

    let lines = lines(&world).await;
    let fetched = fetch(&world.node, new.size()).await;
    let reader = TileHashReader::new(new.size(), *new.hash(), &fetched);
    let admin = world.node.admin();
    for position in [0, 1, 255, 256, 300, new.size() - 1] {
        // The reader has held each tile against the root before it says a hash of it.
        let index = tlog_tiles::stored_hash_index(0, position);
        let leaf = tlog_tiles::record_hash(lines[position as usize].as_bytes());
        assert_eq!(reader.read_hashes(&[index]).unwrap(), [leaf]);
        let path = format!("/log/proof/inclusion?position={position}&size={}", new.size());
        let (proof, _) = hashes(&admin, &path).await;
        let theirs: Vec<_> = proof.iter().map(|hash| tlog_tiles::Hash(*hash)).collect();
        tlog_tiles::check_record(&theirs, new.size(), *new.hash(), position, leaf).unwrap();
        let root = RootHash::<Sha256>::new(new.hash().0.into(), new.size());
        let digests: Vec<_> = proof.iter().map(|hash| (*hash).into()).collect();
        let line = lines[position as usize].as_bytes();
        root.verify_inclusion(&line, position, &InclusionProof::from_digests(&digests)).unwrap();
        root.verify_inclusion(&b"another", position, &InclusionProof::from_digests(&digests)).unwrap_err();
    }
    for from in [1, 2, 256, old.size(), new.size() - 1] {
        let (proof, body) =
            hashes(&admin, &format!("/log/proof/consistency?from={from}&to={}", new.size())).await;
        let from_root: [u8; 32] =
            STANDARD.decode(body["from_root"].as_str().unwrap()).unwrap().try_into().unwrap();
        let theirs: Vec<_> = proof.iter().map(|hash| tlog_tiles::Hash(*hash)).collect();
        let from_hash = tlog_tiles::Hash(from_root);
        tlog_tiles::check_tree(&theirs, new.size(), *new.hash(), from, from_hash).unwrap();
        let root = RootHash::<Sha256>::new(new.hash().0.into(), new.size());
        let earlier = RootHash::<Sha256>::new(from_root.into(), from);
        let digests: Vec<_> = proof.iter().map(|hash| (*hash).into()).collect();
        root.verify_consistency(&earlier, &ConsistencyProof::from_digests(&digests)).unwrap();
        if from == old.size() {
            assert_eq!(from_root, old.hash().0);
        }
    }
}
