//! Real servers, from Debian's package `redis-server`: alone, replicated behind sentinels, or as a Redis Cluster. Each
//! listens on a loopback address that is this process's own, and ends with the process, however that ends. The
//! product's tests use this file, too.
#![allow(dead_code, reason = "each of those who use it needs some of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// No error may tell it.
pub(crate) const PASSWORD: &str = "s3cret-of-tests";

/// The name by which sentinels know the master.
pub(crate) const MASTER: &str = "sessions";

/// Kills the server when its standard input ends, and so when whoever started it does.
const KEEPER: &str = r#""$@" </dev/null >/dev/null 2>&1 & echo $!; read -r _; kill -9 $!; wait 2>/dev/null"#;

/// An address of loopback that no other process uses.
fn host() -> String {
    let pid = std::process::id();
    format!("127.{}.{}.{}", 64 + (pid >> 16) % 63, (pid >> 8) % 256, pid % 256)
}

fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(7_000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Waits until that is so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} does not come to be");
        std::thread::park_timeout(Duration::from_millis(3));
    }
}

/// One server.
pub(crate) struct Redis {
    pub(crate) port: u16,
    folder: TempDir,
    arguments: Vec<String>,
    running: Option<(Child, ChildStdin, u32)>,
}

impl Redis {
    /// One that serves when this returns, with these lines of its configuration.
    pub(crate) fn start(configuration: &[&str]) -> Self {
        let server = Self::launch(configuration);
        server.wait();
        server
    }

    /// The one that nobody kills.
    pub(crate) fn of_all() -> &'static Redis {
        static SERVER: OnceLock<Redis> = OnceLock::new();
        SERVER.get_or_init(|| Redis::start(&[]))
    }

    fn launch(configuration: &[&str]) -> Self {
        let port = free_port();
        let folder = tempfile::Builder::new().prefix("roamline-redis-").tempdir().unwrap();
        let host = host();
        let path = folder.path().join("redis.conf");
        let mut lines = format!(
            "port {port}\nbind {host}\nprotected-mode no\nsave \"\"\nappendonly no\ndir {}\n",
            folder.path().display()
        );
        for line in configuration {
            lines += &format!("{line}\n");
        }
        std::fs::write(&path, lines).unwrap();
        let arguments = vec!["redis-server".into(), path.display().to_string()];
        Self::run(port, folder, arguments)
    }

    fn run(port: u16, folder: TempDir, arguments: Vec<String>) -> Self {
        let mut server = Self { port, folder, arguments, running: None };
        server.spawn();
        server
    }

    fn spawn(&mut self) {
        let mut shell = Command::new("sh")
            .args(["-c", KEEPER, "redis"])
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pid = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        let stdin = shell.stdin.take().unwrap();
        self.running = Some((shell, stdin, pid.trim().parse().unwrap()));
    }

    fn wait(&self) {
        let is_installed = Path::new("/usr/bin/redis-server").exists();
        assert!(is_installed, "redis-server is missing: install the package `redis-server`");
        wait_until("a server", || {
            let answer = self.try_ask(&["PING"]);
            answer.is_some_and(|answer| answer.contains("PONG") || answer.contains("NOAUTH"))
        });
    }

    /// As by `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some((mut shell, stdin, _)) = self.running.take() {
            drop(stdin);
            shell.wait().unwrap();
        }
    }

    /// With what it has on its disk.
    pub(crate) fn start_again(&mut self) {
        self.spawn();
        self.wait();
    }

    /// It stands still, and keeps its connections.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let (_, _, pid) = self.running.as_ref().unwrap();
        assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn host(&self) -> String {
        host()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        format!("{}:{}", host(), self.port).parse().unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// What the server answers, as it stands on the wire.
    pub(crate) fn ask(&self, command: &[&str]) -> String {
        self.try_ask(command).expect("the server answers")
    }

    fn try_ask(&self, command: &[&str]) -> Option<String> {
        let mut stream = TcpStream::connect_timeout(&self.address(), Duration::from_secs(5)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        let mut text = format!("*{}\r\n", command.len());
        for word in command {
            text += &format!("${}\r\n{word}\r\n", word.len());
        }
        stream.write_all(text.as_bytes()).ok()?;
        let mut answer = String::new();
        read(&mut BufReader::new(stream), &mut answer)?;
        Some(answer)
    }
}

/// One value of the wire.
fn read(from: &mut BufReader<TcpStream>, answer: &mut String) -> Option<()> {
    let mut line = String::new();
    from.read_line(&mut line).ok()?;
    answer.push_str(&line);
    let length = || line.trim_end().get(1..)?.parse::<i64>().ok();
    match line.chars().next()? {
        '$' if length()? >= 0 => {
            let mut bytes = vec![0; usize::try_from(length()?).ok()? + 2];
            from.read_exact(&mut bytes).ok()?;
            answer.push_str(&String::from_utf8_lossy(&bytes));
            Some(())
        }
        '*' => (0..length()?).try_for_each(|_| read(from, answer)),
        _ => Some(()),
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// When sentinels think a master dead that nobody kills: a busy machine may not let it run for a while.
const PATIENT_MS: u32 = 30_000;

/// A master and its replicas, and sentinels if they are watched.
pub(crate) struct Replicated {
    /// The first is the master at the beginning.
    pub(crate) servers: Vec<Redis>,
    pub(crate) sentinels: Vec<Redis>,
}

impl Replicated {
    /// The ones that nobody kills: two replicas and three sentinels.
    pub(crate) fn of_all() -> &'static Replicated {
        static SERVERS: OnceLock<Replicated> = OnceLock::new();
        SERVERS.get_or_init(|| Replicated::start(2).watched_by(PATIENT_MS))
    }

    /// With these many replicas, all of which follow when this returns.
    pub(crate) fn start(replicas: usize) -> Self {
        let host = host();
        let announce = format!("replica-announce-ip {host}");
        let common = ["repl-diskless-sync-delay 0", announce.as_str()];
        let master = Redis::start(&common);
        let of = format!("replicaof {host} {}", master.port);
        let replica = |_| Redis::launch(&[&common[..], &[of.as_str()]].concat());
        let replicas: Vec<_> = (0..replicas).map(replica).collect();
        let online = replicas.len();
        wait_until("replication", || {
            master.ask(&["INFO", "replication"]).matches("state=online").count() == online
        });
        let mut servers = vec![master];
        servers.extend(replicas);
        Self { servers, sentinels: Vec::new() }
    }

    /// With three sentinels that know all of it when this returns, and think a master dead after half a second.
    pub(crate) fn watched(self) -> Self {
        self.watched_by(500)
    }

    pub(crate) fn watched_by(mut self, down_after_ms: u32) -> Self {
        let host = host();
        let monitor = format!("{MASTER} {host} {}", self.servers[0].port);
        self.sentinels = (0..3).map(|_| sentinel(&host, &monitor, down_after_ms)).collect();
        let known = format!(
            "status=ok,address={host}:{},slaves={},sentinels=3",
            self.servers[0].port,
            self.servers.len() - 1
        );
        for sentinel in &self.sentinels {
            wait_until("a sentinel's view", || {
                sentinel.try_ask(&["INFO", "sentinel"]).is_some_and(|info| info.contains(&known))
            });
        }
        self
    }

    pub(crate) fn sentinel_urls(&self) -> Vec<String> {
        self.sentinels.iter().map(Redis::url).collect()
    }
}

fn sentinel(host: &str, monitor: &str, down_after_ms: u32) -> Redis {
    let port = free_port();
    let folder = tempfile::Builder::new().prefix("roamline-sentinel-").tempdir().unwrap();
    let path = folder.path().join("sentinel.conf");
    let lines = format!(
        "port {port}\nbind {host}\nprotected-mode no\ndir {}\nsentinel announce-ip {host}\n\
         sentinel monitor {monitor} 2\nsentinel down-after-milliseconds {MASTER} {down_after_ms}\n\
         sentinel failover-timeout {MASTER} 3000\nsentinel parallel-syncs {MASTER} 2\n",
        folder.path().display()
    );
    std::fs::write(&path, lines).unwrap();
    let arguments = vec!["redis-server".into(), path.display().to_string(), "--sentinel".into()];
    Redis::run(port, folder, arguments)
}

/// Three nodes with a third of the slots each.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Redis>,
}

impl Cluster {
    /// The one that nobody kills.
    pub(crate) fn of_all() -> &'static Cluster {
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        CLUSTER.get_or_init(Cluster::start)
    }

    fn launch() -> Redis {
        let announce = format!("cluster-announce-ip {}", host());
        Redis::launch(&[
            "cluster-enabled yes",
            "cluster-node-timeout 2000",
            "repl-diskless-sync-delay 0",
            announce.as_str(),
        ])
    }

    pub(crate) fn start() -> Self {
        let host = host();
        let nodes: Vec<_> = (0..3).map(|_| Self::launch()).collect();
        let slots = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];
        for (node, (from, to)) in nodes.iter().zip(slots) {
            node.wait();
            node.ask(&["CLUSTER", "ADDSLOTSRANGE", from, to]);
            node.ask(&["CLUSTER", "MEET", &host, &nodes[0].port.to_string()]);
        }
        for node in &nodes {
            wait_until("a cluster", || {
                let info = node.ask(&["CLUSTER", "INFO"]);
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            });
        }
        Self { nodes }
    }

    /// Who has the slot of a key.
    pub(crate) fn owner(&self, key: &str) -> &Redis {
        let owns = |node: &&Redis| !node.ask(&["TYPE", key]).contains("MOVED");
        self.nodes.iter().find(owns).expect("one of them has it")
    }

    /// One more node, which follows that one when this returns.
    pub(crate) fn replica_of(&self, master: &Redis) -> Redis {
        let replica = Self::launch();
        replica.wait();
        replica.ask(&["CLUSTER", "MEET", &host(), &master.port.to_string()]);
        let id = master.ask(&["CLUSTER", "MYID"]).lines().nth(1).unwrap_or_default().to_owned();
        let follows = || replica.ask(&["CLUSTER", "REPLICATE", &id]).starts_with("+OK");
        wait_until("a replica that knows its master", follows);
        let link = || replica.ask(&["INFO", "replication"]).contains("master_link_status:up");
        wait_until("a replica that follows", link);
        replica
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Redis::url).collect()
    }
}
