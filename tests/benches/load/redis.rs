//! A Redis of its own for each measurement, without persistence; with replicas where durability is measured.

use crate::redis_server::{Redis as Server, wait_until};

/// A master and its replicas. They end when the value is dropped.
pub(crate) struct Redis {
    master: Server,
    replicas: Vec<Server>,
}

impl Redis {
    /// One that answers, with so many replicas that follow it.
    pub(crate) fn start(replicas: usize) -> Self {
        let master = Server::start(&["repl-diskless-sync-delay 0"]);
        let follow = format!("replicaof {} {}", master.host(), master.port);
        let following: Vec<_> = (0..replicas).map(|_| Server::start(&[&follow])).collect();
        wait_until("replication", || {
            master.ask(&["INFO", "replication"]).matches("state=online").count() == replicas
        });
        Self { master, replicas: following }
    }

    pub(crate) fn url(&self) -> String {
        self.master.url()
    }

    /// The master's process.
    pub(crate) fn id(&self) -> u32 {
        id(&self.master)
    }

    /// Those of its replicas.
    pub(crate) fn replica_ids(&self) -> Vec<u32> {
        self.replicas.iter().map(id).collect()
    }

    /// Bytes that everything in it takes, by its own account.
    pub(crate) fn used_memory(&self) -> u64 {
        info(&self.master, "memory", "used_memory:")
    }

    /// Its keys and the bytes of each, the largest first.
    pub(crate) fn keys(&self) -> Vec<(String, u64)> {
        let all = self.master.ask(&["KEYS", "*"]);
        // Names stand on lines of their own, behind those that say how long they are.
        let names = all.lines().filter(|line| !line.starts_with(['*', '$', '+']));
        let mut keys: Vec<_> = names.map(|name| (name.to_owned(), self.bytes_of(name))).collect();
        keys.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        keys
    }

    fn bytes_of(&self, key: &str) -> u64 {
        let answer = self.master.ask(&["MEMORY", "USAGE", key, "SAMPLES", "0"]);
        let number = answer.lines().find_map(|line| line.strip_prefix(':')).unwrap_or_default();
        number.trim().parse().unwrap_or_default()
    }
}

fn id(server: &Server) -> u32 {
    u32::try_from(info(server, "server", "process_id:")).expect("a process")
}

fn info(server: &Server, section: &str, what: &str) -> u64 {
    let info = server.ask(&["INFO", section]);
    let value = info.lines().find_map(|line| line.strip_prefix(what)).expect("it says that");
    value.trim().parse().expect("a number")
}
