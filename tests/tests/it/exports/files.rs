use super::export;
use chancery_tests::{Actor, Database, NodeOptions, TestNode, World};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::RowAccessor as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::io::Read as _;

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes of an answer as they came.
async fn bytes(node: &TestNode, query: &str, accepts: &str) -> (Vec<u8>, String) {
    let request = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = request
        .get(format!("{}/v1/audit/export?{query}", node.url()))
        .bearer_auth(chancery_tests::ADMIN)
        .header("accept-encoding", accepts)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let coding = response.headers().get("content-encoding").map(|name| name.to_str().unwrap().to_owned());
    (response.bytes().await.unwrap().to_vec(), coding.unwrap_or_default())
}

async fn lines(database: &Database) -> Vec<String> {
    database.entries().await.into_iter().map(|entry| entry.text).collect()
}

#[tokio::test]
async fn the_export_is_the_log_s_lines_whatever_the_format() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let formula =
        json!({"name": "=cmd|' /C calc'!A0", "scope": {"organization": "acme"}, "grants": ["member"]});
    tenants.owner.post("/v1/tokens", formula).await.expect(201);
    let whole = export(&world.node.admin(), "").await;
    let size = whole.position();
    assert_eq!(whole.header("content-type"), "application/x-ndjson");
    let log = lines(&world.database).await;
    let exported: Vec<_> = whole.text.lines().map(str::to_owned).collect();
    assert_eq!(exported, log[..usize::try_from(size).unwrap()]);
    let query = |format| format!("format={format}&until_position={size}");

    let rows = export(&world.node.admin(), &query("csv")).await.text;
    let mut reader = csv::Reader::from_reader(rows.as_bytes());
    let names: Vec<_> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), exported.len());
    let column = |name: &str| names.iter().position(|own| own == name).unwrap();
    for (position, (row, line)) in rows.iter().zip(&exported).enumerate() {
        let read: Value = serde_json::from_str(line).unwrap();
        assert_eq!(&row[column("line")], line);
        assert_eq!(row[column("position")], position.to_string());
        assert_eq!(&row[column("type")], read["type"].as_str().unwrap());
        assert_eq!(&row[column("at")], read["at"].as_str().unwrap());
        assert_eq!(&row[column("organization")], read["org"].as_str().unwrap_or_default());
        assert_eq!(&row[column("actor")], read["actor"]["by"].as_str().unwrap());
        assert!(row.iter().all(|cell| !cell.starts_with(['=', '+', '-', '@'])));
    }

    let (file, coding) = bytes(&world.node, &query("parquet"), "zstd, gzip").await;
    assert_eq!(coding, "", "Parquet is compressed inside");
    let reader = SerializedFileReader::new(bytes::Bytes::from(file)).unwrap();
    let names: Vec<_> = reader.metadata().file_metadata().schema_descr().columns().to_vec();
    let place = |name: &str| names.iter().position(|own| own.name() == name).unwrap();
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), exported.len());
    for (position, (row, line)) in rows.iter().zip(&exported).enumerate() {
        let read: Value = serde_json::from_str(line).unwrap();
        assert_eq!(row.get_string(place("line")).unwrap(), line);
        assert_eq!(row.get_long(place("position")).unwrap(), i64::try_from(position).unwrap());
        let org = row.get_string(place("organization")).ok().map(String::as_str);
        assert_eq!(org, read["org"].as_str());
    }
}

#[tokio::test]
async fn what_is_compressed_and_what_is_resumed_is_the_same_file() {
    let world = World::new().await;
    world.tenants().await;
    let size = world.database.size().await;
    let (plain, coding) = bytes(&world.node, &format!("until_position={size}"), "identity").await;
    assert_eq!(coding, "");
    let (packed, coding) = bytes(&world.node, &format!("until_position={size}"), "gzip, zstd").await;
    assert_eq!((zstd::decode_all(&*packed).unwrap(), &*coding), (plain.clone(), "zstd"));
    assert!(packed.len() < plain.len() / 2);
    let (packed, coding) = bytes(&world.node, &format!("until_position={size}"), "gzip").await;
    let mut read = Vec::new();
    flate2::read::GzDecoder::new(&*packed).read_to_end(&mut read).unwrap();
    assert_eq!((read, &*coding), (plain.clone(), "gzip"));
    // Whatever is there when the connection is cut: the lines that are whole, and the rest from the one after them.
    for cut in [0, 1, plain.len() / 3, plain.len() - 1] {
        let kept = plain[..cut].iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let next = plain[..kept].split_inclusive(|byte| *byte == b'\n').count();
        let query = format!("from_position={next}&until_position={size}");
        assert_eq!(
            [&plain[..kept], &bytes(&world.node, &query, "identity").await.0].concat(),
            plain,
            "{cut}"
        );
    }
}

#[tokio::test]
async fn a_manifest_says_what_the_export_is() {
    let world = World::new().await;
    world.tenants().await;
    let admin = world.node.admin();
    for format in ["ndjson", "csv", "parquet"] {
        for part in ["", "&organization=acme"] {
            let query = format!("format={format}&from_position=3&until_position=20{part}");
            let manifest = admin.get(&format!("/v1/audit/export/manifest?{query}")).await;
            let manifest = manifest.expect(200);
            let (file, _) = bytes(&world.node, &query, "identity").await;
            assert_eq!(
                (&manifest["bytes"], &manifest["sha256"]),
                (&json!(file.len()), &json!(sha256(&file)))
            );
            assert_eq!((&manifest["from_position"], &manifest["until_position"]), (&json!(3), &json!(20)));
            let is_whole = part.is_empty();
            assert_eq!(manifest["lines"] == 17, is_whole, "{manifest}");
            assert_eq!(manifest["organization"].is_null(), is_whole);
        }
    }
    for (query, field) in [
        ("until_position=1000000", "until_position"),
        ("from_position=1000000", "from_position"),
        ("from_position=7&until_position=6", "from_position"),
    ] {
        for path in ["export", "export/manifest"] {
            let refused = admin.get(&format!("/v1/audit/{path}?{query}")).await;
            assert_eq!(refused.refused(422, "invalid_value")["errors"][0]["field"], field);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_is_taken_while_two_nodes_append_is_the_log() {
    let database = Database::new().await;
    let nodes = [NodeOptions::on(&database).start().await, NodeOptions::on(&database).start().await];
    nodes[0].admin().organization("acme").await;
    let acme = json!({"organization": "acme"});
    let token = nodes[0].admin().mint("v", acme, &["verifier"]).await;
    nodes[1].catches_up_with(&nodes[0]).await;
    let verifiers: Vec<Actor> = nodes.iter().map(|node| node.token(&token.secret)).collect();
    let busy = async |verifier: &Actor| {
        for _ in 0..150 {
            verifier.verify(&token.secret).await;
        }
    };
    let takes = async {
        let mut taken = String::new();
        for turn in 0..12 {
            let from = taken.lines().count();
            let answer = export(&nodes[turn % 2].admin(), &format!("from_position={from}")).await;
            taken.push_str(&answer.text);
        }
        taken
    };
    let (taken, ..) = tokio::join!(takes, busy(&verifiers[0]), busy(&verifiers[1]));
    let from = taken.lines().count();
    let rest =
        export(&nodes[0].admin(), &format!("from_position={from}&at_least={}", database.size().await)).await;
    let exported: Vec<_> = taken.lines().chain(rest.text.lines()).map(str::to_owned).collect();
    assert!(exported.len() > 300);
    assert_eq!(exported, lines(&database).await[..exported.len()]);
}
