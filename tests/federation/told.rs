//! What a cluster tells of itself on its admin port.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::world::Cluster;

/// How often something was done, and how long it took in all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    pub(crate) times: u64,
    pub(crate) took: Duration,
}

impl Done {
    /// How long it took in the mean.
    pub(crate) fn mean(self) -> Duration {
        self.took / u32::try_from(self.times.max(1)).unwrap()
    }
}

/// What a histogram says where its labels have that word.
pub(crate) fn done(cluster: &Cluster, histogram: &str, word: &str) -> Done {
    let mut stream = TcpStream::connect(cluster.server.admin.trim_start_matches("http://")).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let all = |what: &str| -> f64 {
        let name = format!("{histogram}_{what}{{");
        let lines = text.lines().filter(|line| line.starts_with(&name) && line.contains(word));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    };
    Done { times: all("count") as u64, took: Duration::from_secs_f64(all("sum")) }
}

/// What a cluster has answered of that RPC.
pub(crate) fn answered(cluster: &Cluster, service: &str, method: &str) -> Done {
    done(cluster, "rpc_server_call_duration_seconds", &format!(".{service}/{method}\""))
}
