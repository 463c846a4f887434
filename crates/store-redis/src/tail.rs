//! Follows the events that other processes commit: waits for the next one in the stream, and asks for the last one then.
//! It notices first when the server has gone, since it always waits for an answer.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};
use tokio::time::{MissedTickBehavior, interval};

use crate::link::Links;
use crate::place::Places;
use crate::record;

/// How long one wait is at most.
pub(crate) const BLOCK: Duration = Duration::from_secs(1);

/// Between two steps at least: what is committed meanwhile is learnt of with one question, however much it is.
const EVERY: Duration = Duration::from_millis(2);

/// Follows until the links end.
pub(crate) async fn follow(links: Arc<Links>, stream: String, places: Arc<Places>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while let Some(link) = links.wait().await {
        let mut connection = link.tail();
        while step(&mut connection, &stream, &places).await.is_ok() {
            ticks.tick().await;
        }
        link.fail();
    }
}

async fn step(connection: &mut MultiplexedConnection, stream: &str, places: &Places) -> RedisResult<()> {
    let mut read = redis::cmd("XREAD");
    read.arg("COUNT").arg(1).arg("BLOCK").arg(BLOCK.as_millis() as u64);
    read.arg("STREAMS").arg(stream).arg(format!("{}-0", places.last()));
    if read.query_async::<Value>(connection).await? == Value::Nil {
        return Ok(());
    }
    let mut last = redis::cmd("XREVRANGE");
    last.arg(stream).arg("+").arg("-").arg("COUNT").arg(1);
    let last: Vec<(String, Value)> = last.query_async(connection).await?;
    if let Some(last) = last.first().and_then(|(id, _)| record::place(id).ok()) {
        places.reach(last);
    }
    Ok(())
}
