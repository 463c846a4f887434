//! What goes wrong during a run: one thing after the other, each healed before the next.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::process::{self, Server, Site};
use crate::servers::{MASTER, PASSWORD, Redis, Replicated, wait_until};

/// A server of the product that can come back at its address.
pub(crate) struct Member {
    site: Site,
    address: String,
    pub(crate) server: Option<Server>,
}

impl Member {
    pub(crate) fn start(site: Site) -> Self {
        let server = site.start();
        let address = server.api.trim_start_matches("http://").to_owned();
        Self { site, address, server: Some(server) }
    }

    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().expect("it runs")
    }

    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    fn kill(&mut self) {
        self.server.take().expect("it runs").kill();
    }

    fn start_again(&mut self) {
        let command = self.site.up_on(&self.address);
        self.server =
            Some(process::start(command).unwrap_or_else(|said| panic!("it does not start: {said}")));
    }
}

/// Lets real time pass.
fn pass(length: Duration) {
    let until = Instant::now() + length;
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
}

const MOMENT: Duration = Duration::from_millis(500);

/// The Redis of a run, and what is done to it.
pub(crate) enum Faults {
    Standalone(Standalone),
    Sentinels(Sentinels),
}

/// How often each was done.
pub(crate) type Done = BTreeMap<&'static str, usize>;

impl Faults {
    /// Makes the n-th fault of a run, and heals it; what it was.
    pub(crate) fn make(&mut self, n: usize, members: &mut [Member]) -> &'static str {
        let place = n % members.len();
        let of_servers = n.is_multiple_of(2);
        let what = match (of_servers, self) {
            (true, _) if n.is_multiple_of(4) => {
                members[place].kill();
                pass(MOMENT);
                members[place].start_again();
                "kill -9 of a server"
            }
            (true, _) => {
                members[place].server().signal("STOP");
                pass(4 * MOMENT);
                members[place].server().signal("CONT");
                "SIGSTOP of a server"
            }
            (false, Self::Standalone(redis)) => redis.make(n / 2),
            (false, Self::Sentinels(redis)) => redis.make(n / 2),
        };
        pass(MOMENT);
        what
    }
}

/// One server.
pub(crate) struct Standalone {
    redis: Redis,
}

impl Standalone {
    pub(crate) fn new(redis: Redis) -> Self {
        Self { redis }
    }

    fn make(&mut self, n: usize) -> &'static str {
        match n % 3 {
            0 => {
                self.redis.kill();
                pass(MOMENT);
                self.redis.start_again();
                "kill -9 of Redis"
            }
            1 => {
                for _ in 0..3 {
                    self.redis.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
                    pass(MOMENT / 4);
                }
                "dropped connections"
            }
            _ => {
                self.redis.pause();
                pass(3 * MOMENT);
                self.redis.resume();
                "SIGSTOP of Redis"
            }
        }
    }
}

/// The servers of the product sign in to Redis as this user; replicas and sentinels come without a name. So a master can
/// be cut off from those, and not from them.
pub(crate) const USER: &str = "roamline";

/// A master, two replicas and three sentinels.
pub(crate) struct Sentinels {
    redis: Replicated,
}

/// Makes the user known, who may do everything.
fn prepare(server: &Redis) {
    let password = format!(">{PASSWORD}");
    let answer = server.ask(&["ACL", "SETUSER", USER, "on", &password, "~*", "&*", "+@all"]);
    assert!(answer.starts_with("+OK"), "{answer}");
}

/// Lets in, or not, those who come without a name.
fn admit_others(server: &Redis, admit: bool) {
    let order = if admit { "ACL SETUSER default on" } else { "ACL SETUSER default off" };
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    stream.set_read_timeout(Some(10 * MOMENT)).expect("a time");
    let orders = format!("AUTH {USER} {PASSWORD}\r\n{order}\r\nCLIENT KILL USER default\r\nQUIT\r\n");
    stream.write_all(orders.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    assert!(!answer.contains('-'), "{answer}");
}

impl Sentinels {
    pub(crate) fn new(redis: Replicated) -> Self {
        redis.servers.iter().for_each(prepare);
        Self { redis }
    }

    fn make(&mut self, n: usize) -> &'static str {
        let master = self.master();
        match n % 5 {
            0 => {
                self.redis.servers[master].kill();
                self.failed_over(master);
                self.start_again(master);
                "kill -9 of the master, and failover"
            }
            1 => {
                let replica = (master + 1) % self.redis.servers.len();
                self.redis.servers[replica].pause();
                pass(4 * MOMENT);
                self.redis.servers[replica].resume();
                self.healed();
                "SIGSTOP of a replica"
            }
            2 => {
                self.redis.servers[master].pause();
                self.failed_over(master);
                // It believes that it is the master still, until a sentinel tells it otherwise.
                self.redis.servers[master].resume();
                self.healed();
                "SIGSTOP of the master, failover, and its return"
            }
            3 => self.part(master),
            _ => {
                self.redis.servers[master].ask(&["CLIENT", "KILL", "TYPE", "normal"]);
                "dropped connections"
            }
        }
    }

    /// The master is cut off from replicas and sentinels, and goes on for those who hold a connection to it.
    fn part(&mut self, master: usize) -> &'static str {
        admit_others(&self.redis.servers[master], false);
        self.failed_over(master);
        pass(4 * MOMENT);
        admit_others(&self.redis.servers[master], true);
        self.healed();
        "partition of the master, and failover"
    }

    fn start_again(&mut self, server: usize) {
        self.redis.servers[server].start_again();
        prepare(&self.redis.servers[server]);
        self.healed();
    }

    /// The one that the sentinels name.
    fn master(&self) -> usize {
        let said = self.redis.sentinels[0].ask(&["SENTINEL", "get-master-addr-by-name", MASTER]);
        let named = |server: &Redis| said.contains(&format!("\r\n{}\r\n", server.port));
        self.redis.servers.iter().position(named).expect("one of them is the master")
    }

    fn failed_over(&self, from: usize) {
        wait_until("a failover", || self.master() != from);
    }

    /// Waits until the two others follow the master, by its own word and that of the sentinels.
    fn healed(&self) {
        wait_until("replication", || {
            let info = self.redis.servers[self.master()].ask(&["INFO", "replication"]);
            info.contains("role:master") && info.matches("state=online").count() == 2
        });
    }
}
