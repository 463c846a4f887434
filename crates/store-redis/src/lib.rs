//! What Roamline keeps of live sessions, in Redis 6.2 or newer: one server, the master that sentinels watch, or the node
//! of a Redis Cluster that has the slot of the cluster.
//!
//! All keys of a cluster are `roamline:{CLUSTER}:NAME`, some fifteen beside those of a store that is being begun, and stand on one slot; every step is one script
//! on that slot's master, which does all or nothing. So a store is a client of one server at a time, and finds the next
//! one by itself.
//!
//! Redis can lose everything, and live on. [`SessionStore::begin`](roamline_store::SessionStore::begin) leaves a mark,
//! and every script is told the mark that its process knows: where it is missing or another, nothing is done. Where
//! something was there before, it also leaves a floor: epochs of phones without a record, and versions of guards, begin
//! beyond all that the lost store can have given, so that what was read from it or told by it is refused.
//!
//! What is lost with which [`Durability`]: a master replicates after it has answered. With `replicas: 0`, the last
//! changes before a failover may be gone although they were acknowledged, and all of them that a master acknowledged
//! while it was cut off from its sentinels. With `replicas: N`, a change is acknowledged when N replicas have it and all
//! that may take over, and is in doubt otherwise. Without an append-only file, each server loses everything when it is
//! restarted.
//!
//! When the server is another than before, or was started anew, places of events jump by a million, so that none that
//! anybody has seen is given again. Whoever asks for events after a place in the gap is told that they are gone, and
//! begins with a snapshot; whoever is at the last event before the gap goes on after it.

mod about;
mod begin;
mod commit;
mod error;
mod link;
mod open;
mod options;
mod packed;
mod place;
mod recalled;
mod record;
mod replicas;
mod script;
mod sentinel;
mod server;
mod session;
mod snapshot;
mod tail;
mod writer;

use std::sync::{Arc, PoisonError, RwLock};

use redis::{Cmd, Value};
use roamline_store::StoreError;
use tokio::task::JoinSet;

use crate::link::{Link, Links, attach};
use crate::place::Places;
use crate::recalled::Recalled;
use crate::script::{Script, Scripts};
use crate::writer::Writer;

pub use about::RedisAbout;
pub use error::OpenError;
pub use options::{Durability, RedisOptions, RedisServers, RedisTls};

/// Live sessions of a cluster in Redis. Any number of processes may have one on the same Redis at the same time.
pub struct RedisStore {
    scripts: Arc<Scripts>,
    links: Arc<Links>,
    places: Arc<Places>,
    writer: Writer,
    recalled: Recalled,
    /// The mark of whoever began the store, as this process knows it.
    born: RwLock<Option<Arc<str>>>,
    /// Who finds the master, who follows others' events, who sends changes; they end with the store.
    _tasks: JoinSet<()>,
}

impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisStore").field("latest", &self.places.last()).finish_non_exhaustive()
    }
}

impl RedisStore {
    /// Calls a script that reads, with these arguments. What follows `ok`.
    async fn ask(&self, script: &Script, write: impl FnOnce(&mut Cmd)) -> Result<Vec<Value>, StoreError> {
        let mut cmd = script.call(&*self.born().await?);
        write(&mut cmd);
        let answer = self.read(&cmd).await?;
        self.judge(answer).await
    }

    /// Calls a script that does not wait for replicas.
    async fn read(&self, cmd: &Cmd) -> Result<Value, StoreError> {
        let link = self.links.up().await?;
        match link.call(cmd).await {
            Ok(value) => error::outcome(value).map_err(|error| {
                if error::is_wrong_server(error.code()) {
                    link.fail();
                }
                error::refused(error)
            }),
            Err(error) => {
                link.fail();
                Err(error::unavailable(error))
            }
        }
    }

    /// What follows `ok`. Where the store was lost, its new mark is known afterwards, if there is one.
    async fn judge(&self, answer: Value) -> Result<Vec<Value>, StoreError> {
        let Value::Array(mut parts) = answer else { return Err(error::strange("an answer")) };
        if parts.first() != Some(&Value::BulkString(b"lost".to_vec())) {
            parts.drain(..1);
            return Ok(parts);
        }
        self.adopt(&*self.links.up().await?).await?;
        Err(StoreError::Lost)
    }

    /// The mark that this process knows, or the store's where it knows none yet.
    async fn born(&self) -> Result<Arc<str>, StoreError> {
        if let Some(born) = self.known() {
            return Ok(born);
        }
        self.adopt(&*self.links.up().await?).await?;
        self.known().ok_or(StoreError::Lost)
    }

    fn known(&self) -> Option<Arc<str>> {
        self.born.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over the mark that the store has now.
    async fn adopt(&self, link: &Link) -> Result<(), StoreError> {
        let found = attach(link, &self.places).await.map_err(error::unavailable)?;
        self.recalled.clear();
        *self.born.write().unwrap_or_else(PoisonError::into_inner) = found.map(Into::into);
        Ok(())
    }
}
