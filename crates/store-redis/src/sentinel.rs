//! What sentinels are asked.

use std::collections::HashMap;

use redis::RedisResult;
use redis::aio::MultiplexedConnection;

use crate::replicas::{Report, Watched};
use crate::server::{Node, beside};

/// The master of that name, as the sentinel at that address knows it.
pub(crate) async fn master(
    mut connection: MultiplexedConnection,
    asked: &Node,
    name: &str,
) -> RedisResult<Option<Node>> {
    let mut ask = redis::cmd("SENTINEL");
    ask.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
    let answer: Option<(String, i64)> = ask.query_async(&mut connection).await?;
    Ok(answer.map(|(host, port)| beside(asked, host, port)))
}

/// The servers of that master, itself and its replicas. The master is asked for last, so that one who takes over meanwhile
/// is among them; and in two questions, as a pipeline does not say which command the user may not use.
pub(crate) async fn servers(mut connection: MultiplexedConnection, name: &str) -> RedisResult<Report> {
    let ask = |what: &str| redis::cmd("SENTINEL").arg(what).arg(name).clone();
    let replicas: Vec<HashMap<String, String>> = ask("REPLICAS").query_async(&mut connection).await?;
    let master: HashMap<String, String> = ask("MASTER").query_async(&mut connection).await?;
    Ok(read(&master, &replicas))
}

fn read(master: &HashMap<String, String>, replicas: &[HashMap<String, String>]) -> Report {
    let of = |fields: &HashMap<String, String>, name: &str| fields.get(name).cloned().unwrap_or_default();
    let others: usize = of(master, "num-other-sentinels").parse().unwrap_or_default();
    let server = |fields: &HashMap<String, String>| Watched {
        address: format!("{}:{}", of(fields, "ip"), of(fields, "port")),
        is_down: of(fields, "flags")
            .split(',')
            .any(|flag| matches!(flag, "s_down" | "o_down" | "disconnected")),
        priority: of(fields, "slave-priority").parse().unwrap_or(1),
    };
    Report { sentinels: others + 1, servers: replicas.iter().chain([master]).map(server).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_down_where_the_sentinel_misses_it_and_up_where_it_does_not_say() {
        let fields = |fields: &[(&str, &str)]| {
            fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect::<HashMap<_, _>>()
        };
        let replica = |port: &str, flags: &str| {
            fields(&[("ip", "10.0.0.1"), ("port", port), ("flags", flags), ("slave-priority", "100")])
        };
        let replicas = [
            replica("1", "slave"),
            replica("2", "s_down,slave"),
            replica("3", "slave,disconnected"),
            replica("4", "slave,reconf_sent"),
            fields(&[("ip", "10.0.0.1"), ("port", "5"), ("slave-priority", "0")]),
        ];
        let master =
            [("ip", "10.0.0.1"), ("port", "6"), ("flags", "master,o_down"), ("num-other-sentinels", "2")];
        let report = read(&fields(&master), &replicas);
        assert_eq!(report.sentinels, 3);
        let down: Vec<_> = report.servers.iter().map(|server| server.is_down).collect();
        assert_eq!(down, [false, true, true, false, false, true]);
        let priorities: Vec<_> = report.servers.iter().map(|server| server.priority).collect();
        assert_eq!(priorities, [100, 100, 100, 100, 0, 1]);
        let addresses = report.servers.iter().map(|server| server.address.as_str());
        assert!(addresses.eq((1..7).map(|port| format!("10.0.0.1:{port}"))));
    }
}
