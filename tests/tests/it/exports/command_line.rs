use chancery_tests::{ADMIN, World, chancery};
use serde_json::Value;
use std::path::Path;
use std::process::Output;

async fn run(world: &World, out: &Path, arguments: &[&str]) -> Output {
    let url = world.node.url().to_owned();
    let mut command = std::process::Command::new(chancery());
    command
        .args(["audit", "export", "--out"])
        .arg(out)
        .args(arguments)
        .env_clear()
        .envs([("CHANCERY_URL", url), ("CHANCERY_TOKEN", ADMIN.to_owned())])
        .stdin(std::process::Stdio::null());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[track_caller]
fn ended(output: &Output, status: i32) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{errors}");
    errors.into_owned()
}

fn manifest(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("manifest.json")).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_written_checked_and_gone_on_with() {
    let world = World::new().await;
    world.tenants().await;
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("log");
    ended(&run(&world, &folder, &["--until-position", "20"]).await, 0);
    assert_eq!(manifest(&folder)["until_position"], 20);
    assert!(ended(&run(&world, &folder, &[]).await, 2).contains("--resume"));
    assert!(ended(&run(&world, &folder, &["--resume", "--format", "csv"]).await, 2).contains("format"));
    assert!(ended(&run(&world, &folder, &["--resume", "--organization", "acme"]).await, 2).contains("part"));
    ended(&run(&world, &folder, &["--resume"]).await, 0);
    let manifest = manifest(&folder);
    let files = manifest["files"].as_array().unwrap();
    let text: String = files
        .iter()
        .map(|file| std::fs::read_to_string(folder.join(file["name"].as_str().unwrap())).unwrap())
        .collect();
    let log: Vec<_> = world.database.entries().await.into_iter().map(|entry| entry.text).collect();
    let until = usize::try_from(manifest["until_position"].as_u64().unwrap()).unwrap();
    assert!(until > 20);
    assert_eq!(text.lines().collect::<Vec<_>>(), log[..until]);
    assert_eq!(manifest["lines"], until);
    // A file that was changed is not gone on with.
    let first = folder.join(files[0]["name"].as_str().unwrap());
    std::fs::write(&first, text.replacen("acme", "acne", 1)).unwrap();
    assert!(ended(&run(&world, &folder, &["--resume"]).await, 1).contains("changed"));
    for (format, part) in [("csv", "acme"), ("parquet", "other")] {
        let folder = home.path().join(format);
        ended(&run(&world, &folder, &["--format", format, "--organization", part]).await, 0);
        assert!(std::fs::read_dir(&folder).unwrap().count() == 2);
    }
}
