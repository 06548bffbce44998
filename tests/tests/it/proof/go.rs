//! Go's own packages accept our checkpoints, tiles and proofs.

use super::{Desk, bytes, checkpoint, keys, lines, signing, size_of, uses};
use std::fmt::Write as _;
use std::process::Command;

/// Where Debian's `golang-golang-x-mod-dev` puts the packages.
const PACKAGES: &str = "/usr/share/gocode";

fn has_go() -> bool {
    let answers = Command::new("go").arg("version").output().is_ok_and(|output| output.status.success());
    answers && std::path::Path::new(PACKAGES).join("src/golang.org/x/mod/sumdb/tlog").exists()
}

/// Everything that the program checks, as files.
async fn gather(desk: &Desk) {
    let world = signing().await;
    uses(&world, "first", 300).await;
    let old = checkpoint(&world).await;
    uses(&world, "second", 400).await;
    let new = checkpoint(&world).await;
    desk.put("key", &keys(&world.node).await[0]);
    desk.put("old", &old);
    desk.put("new", &new);
    desk.export("lines", &lines(&world).await[..size_of(&new) as usize]);
    let size = size_of(&new);
    for (level, width) in [(0, size), (1, size / 256)] {
        for index in 0..width.div_ceil(256) {
            let part = (width - index * 256).min(256);
            let suffix = if part < 256 { format!(".p/{part}") } else { String::new() };
            let tile = bytes(&world.node, &format!("/log/tile/{level}/{index:03}{suffix}")).await;
            desk.put(&format!("tile-{level}-{index:03}{}", suffix.replace('/', "-")), tile);
        }
    }
    let admin = world.node.admin();
    let path = format!("/log/proof/consistency?from={}&to={size}", size_of(&old));
    desk.put("consistency", admin.get(&path).await.text);
    let mut proofs = String::new();
    for position in [0, 1, 255, 256, 511, size - 1] {
        let answer = admin.get(&format!("/log/proof/inclusion?position={position}&size={size}")).await;
        writeln!(proofs, "{}", answer.text).unwrap();
    }
    desk.put("inclusion", proofs);
}

#[tokio::test]
async fn go_accepts_checkpoints_tiles_and_proofs() {
    if !has_go() {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI checks with Go: install golang-go and golang-golang-x-mod-dev"
        );
        println!("skipped: no Go with golang.org/x/mod; install golang-go and golang-golang-x-mod-dev");
        return;
    }
    let desk = Desk::new();
    gather(&desk).await;
    let program = desk.put("check.go", include_str!("check.go"));
    let (folder, cache) = (desk.path(""), desk.path("cache"));
    let run = move || {
        let mut command = Command::new("go");
        command.args(["run", program.to_str().unwrap(), folder.to_str().unwrap()]);
        command.env("GO111MODULE", "off").env("GOPATH", PACKAGES).env("GOCACHE", cache).env("GOFLAGS", "");
        command.output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        said.trim(),
        "accepted: 2 checkpoints, 1 consistency proof, 6 inclusion proofs, every line by its tile"
    );
}
