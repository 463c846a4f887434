//! What an operator wants to know of the Redis behind a store: which server it is, and what it would lose.

use roamline_store::StoreError;

use crate::RedisStore;
use crate::error::unavailable;
use crate::open::field;

/// The master as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisAbout {
    /// Its address.
    pub server: String,
    /// Its version.
    pub version: String,
    /// Whether it writes an append-only file: without one, what was not saved is lost with the process.
    pub append_only: bool,
    /// Replicas that are connected to it.
    pub replicas: u32,
    /// How many replicas must have a change now before it is acknowledged: as many as [`Durability`](crate::Durability)
    /// asks for, and all that may take over; 0 where it asks for none.
    pub needed: u32,
    /// Bytes in use.
    pub used_memory: u64,
    /// Bytes that it may use; 0 where that is not limited.
    pub max_memory: u64,
}

impl RedisStore {
    /// Asks the master about itself.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when there is none that answers.
    pub async fn about(&self) -> Result<RedisAbout, StoreError> {
        let link = self.links.up().await?;
        let answer = link.call(&redis::cmd("INFO")).await.map_err(unavailable)?;
        let info: String = redis::from_redis_value(answer).map_err(unavailable)?;
        Ok(RedisAbout { needed: link.needed(), ..RedisAbout::read(link.node.to_string(), &info) })
    }
}

impl RedisAbout {
    fn read(server: String, info: &str) -> Self {
        let number = |name: &str| field(info, name).parse().unwrap_or_default();
        Self {
            server,
            version: field(info, "redis_version").to_owned(),
            append_only: field(info, "aof_enabled") == "1",
            replicas: u32::try_from(number("connected_slaves")).unwrap_or(u32::MAX),
            needed: 0,
            used_memory: number("used_memory"),
            max_memory: number("maxmemory"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_info_says_is_read_and_what_it_leaves_out_is_nothing() {
        let info = "# Server\r\nredis_version:7.0.15\r\nused_memory:1024\r\nused_memory_human:1K\r\naof_enabled:1\r\n\
                    connected_slaves:2\r\n";
        let about = RedisAbout::read("redis:6379".into(), info);
        let RedisAbout { version, append_only, replicas, used_memory, max_memory, .. } = about;
        assert_eq!((version.as_str(), append_only, replicas), ("7.0.15", true, 2));
        assert_eq!((used_memory, max_memory), (1024, 0));
    }
}
