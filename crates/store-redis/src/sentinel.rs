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
    let address = |fields: &HashMap<String, String>| format!("{}:{}", of(fields, "ip"), of(fields, "port"));
    let is_down = |fields: &HashMap<String, String>| {
        of(fields, "flags").split(',').any(|flag| matches!(flag, "s_down" | "o_down" | "disconnected"))
    };
    let replica = |fields: &HashMap<String, String>| Watched {
        address: address(fields),
        is_down: is_down(fields),
        priority: of(fields, "slave-priority").parse().unwrap_or(1),
    };
    let replicas = replicas.iter().map(replica).collect();
    let (sentinels, is_master_down) = (others + 1, is_down(master));
    Report { sentinels, master: address(master), is_master_down, replicas }
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
            [("ip", "10.0.0.1"), ("port", "6"), ("flags", "master,s_down"), ("num-other-sentinels", "2")];
        let report = read(&fields(&master), &replicas);
        assert_eq!(
            (report.sentinels, report.master.as_str(), report.is_master_down),
            (3, "10.0.0.1:6", true)
        );
        let down: Vec<_> = report.replicas.iter().map(|replica| replica.is_down).collect();
        assert_eq!(down, [false, true, true, false, false]);
        let priorities: Vec<_> = report.replicas.iter().map(|replica| replica.priority).collect();
        assert_eq!(priorities, [100, 100, 100, 100, 0]);
        let addresses = report.replicas.iter().map(|replica| replica.address.as_str());
        assert!(addresses.eq((1..6).map(|port| format!("10.0.0.1:{port}"))));
    }
}
