//! A real server, from Debian's package `postgresql`: one for all tests of this process, and others for those who
//! mean to kill theirs. It is reached through a socket in its folder, or with TLS through a port, and ends with the
//! process, however that ends. The product's tests use this file, too.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

/// No server here asks for it; no error may tell it.
pub(crate) const PASSWORD: &str = "s3cret-of-tests";

/// What a server shows to its clients, as PEM, and where.
pub(crate) struct Tls {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) port: u16,
}

pub(crate) struct Server {
    folder: PathBuf,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    _shell: Child,
}

impl Server {
    /// The one that nobody kills.
    pub(crate) fn of_all() -> &'static Server {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(Server::start)
    }

    /// One that serves when this returns.
    pub(crate) fn start() -> Server {
        Self::start_with(None)
    }

    /// One that speaks TLS on a port of 127.0.0.1, too.
    pub(crate) fn start_with(tls: Option<Tls>) -> Server {
        let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        let folder = tempfile::Builder::new().prefix("roamline-postgres-").tempdir().unwrap().keep();
        if let Some(tls) = &tls {
            std::fs::write(folder.join("server.crt"), &tls.certificate).unwrap();
            std::fs::write(folder.join("server.key"), &tls.key).unwrap();
        }
        let mut shell = Command::new("sh")
            .args(["-c", include_str!("server.sh"), "server.sh"])
            .arg(programs())
            .arg(&folder)
            .arg(if is_root { "postgres" } else { "" })
            .arg(tls.map(|tls| tls.port.to_string()).unwrap_or_default())
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

    /// Makes an empty database.
    pub(crate) fn create(&self, database: &str) {
        let mut create = Command::new(programs().join("createdb"));
        let status = create.arg("-h").arg(&self.folder).args(["-U", "postgres", database]).status();
        assert!(status.unwrap().success(), "{database} is not made");
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
