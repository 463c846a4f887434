//! A real server, from Debian's package `postgresql`: one for all tests of this process, and others for those who
//! mean to kill theirs. It is reached through a socket in its folder, and ends with the process, however that ends.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};

/// No server here asks for it; no error may tell it.
pub(crate) const PASSWORD: &str = "s3cret-of-tests";

pub(crate) struct Server {
    folder: PathBuf,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    _shell: Child,
}

/// A fresh and empty database on the server of all tests.
pub(crate) async fn database() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("db{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let server = Server::of_all();
    let admin = raw(&server.url("postgres")).await;
    admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
    admin.close().await.unwrap();
    server.url(&name)
}

/// One connection beside the store's.
pub(crate) async fn raw(url: &str) -> DatabaseConnection {
    Database::connect(ConnectOptions::new(url).max_connections(1).to_owned()).await.unwrap()
}

impl Server {
    fn of_all() -> &'static Server {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(Server::start)
    }

    /// One that serves when this returns.
    pub(crate) fn start() -> Server {
        let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        let folder = tempfile::Builder::new().prefix("roamline-postgres-").tempdir().unwrap().keep();
        let mut shell = Command::new("sh")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/postgres/server.sh"))
            .arg(programs())
            .arg(&folder)
            .arg(if is_root { "postgres" } else { "" })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = shell.stdin.take().unwrap();
        let answers = BufReader::new(shell.stdout.take().unwrap());
        let mut server = Server { folder, orders, answers, _shell: shell };
        server.wait();
        server
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres:{PASSWORD}@localhost/{database}?host={}", self.folder.display())
    }

    /// As by `kill -9`.
    pub(crate) fn kill(&mut self) {
        writeln!(self.orders, "kill").unwrap();
        self.wait();
    }

    pub(crate) fn start_again(&mut self) {
        writeln!(self.orders, "start").unwrap();
        self.wait();
    }

    fn wait(&mut self) {
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert_eq!(answer, "done\n", "the server does not start");
    }
}

/// Of the newest version.
fn programs() -> PathBuf {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest =
        installed.map(|entry| entry.path()).filter(|path| version(path).is_some()).max_by_key(version);
    let programs = newest.map(|path| path.join("bin")).filter(|bin| bin.join("initdb").exists());
    programs.expect("PostgreSQL below /usr/lib/postgresql: install the package `postgresql`")
}
