//! The cluster's folder: made once by `initdb`, checked at every start.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use super::account::Account;
use super::binaries::{Binaries, tail};
use super::error::{self, Error};
use super::roles;

/// The name of the map in `pg_ident.conf`.
const MAP: &str = "chancery";

/// How the name of a folder in which `initdb` is at work begins.
const UNFINISHED: &str = "postgres.initdb-";

/// The cluster's folder in a data folder.
pub(super) fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("postgres")
}

/// What made the cluster: the text of `PG_VERSION`, or none where there is no cluster yet.
pub(super) fn version(folder: &Path) -> Result<Option<String>, Error> {
    let path = folder.join("PG_VERSION");
    match std::fs::read_to_string(&path) {
        Ok(text) => return Ok(Some(text.trim().chars().take(16).collect())),
        Err(source) if source.kind() != ErrorKind::NotFound => return Err(error::io("read", &path)(source)),
        Err(_) => {}
    }
    match std::fs::read_dir(folder) {
        Err(source) if source.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(error::io("read", folder)(source)),
        // An empty folder is as good as none: the finished one is renamed over it.
        Ok(mut entries) => match entries.next() {
            None => Ok(None),
            Some(_) => Err(Error::NotACluster { folder: folder.to_path_buf() }),
        },
    }
}

/// Refuses a cluster of another major version or of another user.
pub(super) fn check(folder: &Path, found: &str, binaries: &Binaries, account: &Account) -> Result<(), Error> {
    if found.parse() != Ok(binaries.major) {
        return Err(Error::WrongVersion {
            folder: folder.to_path_buf(),
            found: found.to_owned(),
            bin_dir: binaries.dir.clone(),
            binaries: binaries.major,
        });
    }
    let owner = std::fs::metadata(folder).map_err(error::io("read", folder))?.uid();
    if owner != account.uid {
        return Err(Error::WrongOwner {
            folder: folder.to_path_buf(),
            owner,
            user: account.name.clone(),
            uid: account.uid,
        });
    }
    Ok(())
}

/// Makes the cluster under a temporary name, then gives it its own: a cut-off start leaves no half cluster.
pub(super) fn create(
    data_dir: &Path,
    binaries: &Binaries,
    account: &Account,
    durable: bool,
) -> Result<(), Error> {
    let unfinished = data_dir.join(format!("{UNFINISHED}{}", std::process::id()));
    DirBuilder::new().mode(0o700).create(&unfinished).map_err(error::io("create", &unfinished))?;
    account.own(&open_folder(&unfinished)?, &unfinished, 0o700)?;
    let program = binaries.initdb();
    // SIGKILL, so that no initdb of a killed node is still at work when the next one begins.
    let mut initdb = account.command(&program, data_dir, Signal::KILL);
    initdb.arg("-D").arg(&unfinished).args(["-U", roles::SUPERUSER, "-A", "peer"]);
    initdb.args(["--encoding=UTF8", "--locale=C", "--data-checksums", "--no-instructions"]);
    if !durable {
        initdb.arg("--no-sync");
    }
    let output = initdb.output().map_err(|source| Error::CannotRun {
        program: program.clone(),
        user: account.name.clone(),
        source,
    })?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        let output_tail = tail(&String::from_utf8_lossy(&said), 1_000).to_owned();
        return Err(Error::InitDb { program, status: output.status, output: output_tail });
    }
    let folder = folder(data_dir);
    std::fs::rename(&unfinished, &folder)
        .map_err(error::io("give the finished cluster the name", &folder))?;
    open_folder(data_dir)?.sync_all().map_err(error::io("flush", data_dir))
}

/// Removes what a cut-off `initdb` left behind. Its last moments may still add a file, hence the second tries.
pub(super) fn remove_unfinished(data_dir: &Path) -> Result<(), Error> {
    for entry in std::fs::read_dir(data_dir).map_err(error::io("read", data_dir))?.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            continue;
        }
        let mut tries = 0;
        while let Err(source) = std::fs::remove_dir_all(entry.path()) {
            tries += 1;
            if tries == 20 {
                return Err(error::io("remove", &entry.path())(source));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    Ok(())
}

/// Writes who may connect: over the socket only, and only the two users that are this node's, under the kernel's word.
pub(super) fn write_access(folder: &Path, account: &Account) -> Result<(), Error> {
    let hba = format!(
        "# Written by chancery at every start.\n\
         local all all peer map={MAP}\n\
         local replication {} peer map={MAP}\n",
        roles::SUPERUSER
    );
    let mut users = vec![account.node.as_str(), account.name.as_str()];
    users.dedup();
    let mut ident = vec!["# Written by chancery at every start.\n".to_owned()];
    for user in users {
        ident.extend([roles::SUPERUSER, roles::OWNER].map(|role| format!("{MAP} \"{user}\" {role}\n")));
    }
    write_file(folder, "pg_hba.conf", &hba, account)?;
    write_file(folder, "pg_ident.conf", &ident.concat(), account)
}

/// Replaces a file in the cluster's folder. The folder is another user's, so this never follows a link in it.
fn write_file(folder: &Path, name: &str, text: &str, account: &Account) -> Result<(), Error> {
    let (path, fresh) = (folder.join(name), folder.join(format!("{name}.chancery")));
    match std::fs::remove_file(&fresh) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            return Err(error::io("remove", &fresh)(source));
        }
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)
        .map_err(error::io("create", &fresh))?;
    file.write_all(text.as_bytes()).map_err(error::io("write", &fresh))?;
    account.own(&file, &fresh, 0o600)?;
    std::fs::rename(&fresh, &path).map_err(error::io("write", &path))
}

fn open_folder(folder: &Path) -> Result<File, Error> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW)
        .open(folder)
        .map_err(error::io("open", folder))
}

/// The server's arguments. What correctness rests on comes last, because the last word wins: `extra` cannot undo it.
pub(super) fn arguments(
    folder: &Path,
    socket_dir: &Path,
    wal_compression: &str,
    extra: &[(String, String)],
    durable: bool,
) -> Vec<OsString> {
    let safe = if durable { "on" } else { "off" };
    let socket_dir = socket_dir.to_string_lossy().replace('"', "\"\"");
    let mut settings: Vec<(&str, String)> = vec![
        ("max_connections", "50".into()),
        ("shared_buffers", "128MB".into()),
        ("wal_compression", wal_compression.into()),
        ("jit", "off".into()),
        ("timezone", "UTC".into()),
        ("log_timezone", "UTC".into()),
        ("log_checkpoints", "off".into()),
        ("log_line_prefix", "%m [%p] ".into()),
        ("cluster_name", "chancery".into()),
    ];
    settings.extend(extra.iter().map(|(name, value)| (name.as_str(), value.clone())));
    settings.extend([
        ("listen_addresses", String::new()),
        ("unix_socket_directories", format!("\"{socket_dir}\"")),
        ("unix_socket_permissions", "0700".into()),
        ("unix_socket_group", String::new()),
        ("port", super::socket::PORT.to_string()),
        // To stderr, which is the log file that errors name; in English, because the log is read for known failures.
        ("logging_collector", "off".into()),
        ("log_destination", "stderr".into()),
        ("lc_messages", "C".into()),
        ("restart_after_crash", "on".into()),
        ("synchronous_commit", "on".into()),
        ("fsync", safe.into()),
        ("full_page_writes", safe.into()),
    ]);
    let mut arguments = vec![OsString::from("-D"), folder.as_os_str().to_owned()];
    for (name, value) in settings {
        arguments.push("-c".into());
        arguments.push(format!("{name}={value}").into());
    }
    for (name, file) in [("hba_file=", "pg_hba.conf"), ("ident_file=", "pg_ident.conf")] {
        // Joined as the system's own strings, because a path may be no UTF-8.
        let mut setting = OsString::from(name);
        setting.push(folder.join(file));
        arguments.extend(["-c".into(), setting]);
    }
    arguments
}

/// `lz4` where the server was built with it and can use it for the WAL (15 and later); else `off`.
pub(super) fn wal_compression(folder: &Path, binaries: &Binaries, account: &Account) -> &'static str {
    let mut probe = account.command(&binaries.postgres(), folder, Signal::KILL);
    probe.arg("-D").arg(folder).args(["-C", "wal_compression", "-c", "wal_compression=lz4"]);
    match probe.output() {
        Ok(output) if output.status.success() => "lz4",
        _ => "off",
    }
}
