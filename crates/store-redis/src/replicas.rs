//! How many replicas must have a change before it is acknowledged: as many as the options say at least, and all that may
//! take over. `WAIT` counts replicas and names none, and Sentinel promotes one by its own choice: where one of two has a
//! change, and the other takes over, the change is lost.
//!
//! A replica may take over while the sentinels see it. One that they do not see, and the master does not hear, is not
//! waited for, so that a dead replica stops nothing; nor is one that has less than another that is promoted before it: the
//! master is still filling it, or it is an old master that has come back and follows nobody yet.

use std::collections::{BTreeMap, BTreeSet};

use redis::RedisResult;
use redis::aio::MultiplexedConnection;

use crate::error::OpenError;
use crate::open::field;
use crate::server::{Kind, Node, Servers};

/// `HOST:PORT`, as servers name each other.
pub(crate) type Address = String;

/// Seconds since a replica was heard last after which it is not connected any more, whatever the connection says; it
/// reports once a second.
const HEARD_WITHIN: u32 = 2;

/// The priority before all others.
const FIRST: u32 = 0;

/// Whom the sentinels, or the nodes of a Cluster, may promote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Candidates {
    /// At any moment, those with a smaller number before the others.
    pub(crate) up: BTreeMap<Address, u32>,
    /// Once they are back.
    pub(crate) down: BTreeSet<Address>,
    /// Not at all: their priority is 0.
    pub(crate) never: BTreeSet<Address>,
}

/// The replicas that a master sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Connected {
    /// These follow it, and said so of late.
    following: BTreeSet<Address>,
    /// These are still being filled.
    filling: BTreeSet<Address>,
}

impl Connected {
    /// What `INFO` says of them.
    pub(crate) fn read(info: &str) -> Self {
        let mut connected = Self::default();
        for line in info.lines() {
            let Some((name, replica)) = line.split_once(':') else { continue };
            let is_number = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
            if !name.strip_prefix("slave").is_some_and(is_number) {
                continue;
            }
            let part = |name: &str| {
                replica
                    .trim()
                    .split(',')
                    .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
                    .unwrap_or_default()
            };
            let address = format!("{}:{}", part("ip"), part("port"));
            match (part("state"), part("lag").parse::<u32>()) {
                ("online", Ok(lag)) if lag <= HEARD_WITHIN => connected.following.insert(address),
                ("online", _) => false,
                _ => connected.filling.insert(address),
            };
        }
        connected
    }

    fn has(&self, address: &Address) -> bool {
        self.following.contains(address) || self.filling.contains(address)
    }
}

/// What a server says of its replication.
pub(crate) async fn replication(mut server: MultiplexedConnection) -> RedisResult<String> {
    redis::cmd("INFO").arg("replication").query_async(&mut server).await
}

/// Whether a server is a master, and not one that has taken over from the used one: that would go on with its history, and
/// say so.
fn is_stray(its: &str, used: &str) -> bool {
    let history = field(used, "master_replid");
    field(its, "role") == "master" && !history.is_empty() && field(its, "master_replid2") != history
}

/// A master's replicas, as everybody sees them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Replicas {
    candidates: Candidates,
    connected: Connected,
    /// Masters that have not taken over from the one that is used.
    strays: BTreeSet<Address>,
}

impl Replicas {
    /// Asks the master, and those who choose the next one.
    pub(crate) async fn of(
        servers: &Servers,
        node: &Node,
        master: &MultiplexedConnection,
    ) -> Result<Self, OpenError> {
        let failed = |error| OpenError::of(&node.to_string(), error);
        let candidates = match servers.kind() {
            Kind::Standalone => Candidates::default(),
            Kind::Sentinel { .. } => servers.watched(node).await?,
            Kind::Cluster => {
                let slot = servers.slot(master.clone(), node).await.map_err(failed)?;
                let replicas = slot.map(|slot| slot.replicas).unwrap_or_default();
                let up = replicas.into_iter().map(|replica| (replica, 1)).collect();
                Candidates { up, ..Candidates::default() }
            }
        };
        let info = replication(master.clone()).await.map_err(failed)?;
        let connected = Connected::read(&info);
        let is_silent = |address: &&Address| !connected.has(address);
        let mut strays = BTreeSet::new();
        for address in candidates.up.keys().filter(is_silent) {
            if servers.beside(node, address).await.is_some_and(|its| is_stray(&its, &info)) {
                strays.insert(address.clone());
            }
        }
        Ok(Self { candidates, connected, strays })
    }

    /// How many must have a change, where this many are asked for: whoever the master hears, as `WAIT` counts any of
    /// them, and whoever may take over.
    pub(crate) fn needed(&self, asked: u32) -> u32 {
        self.needed_of(asked, &BTreeSet::new())
    }

    /// How many must have a change while nobody says which of them are down.
    pub(crate) fn needed_blindly(&self, asked: u32) -> u32 {
        self.needed_of(asked, &self.candidates.down)
    }

    fn needed_of(&self, asked: u32, others: &BTreeSet<Address>) -> u32 {
        let following = &self.connected.following;
        let up = self.candidates.up.keys().filter(|address| !self.comes_after_another(address));
        let promotable: BTreeSet<_> = up.chain(others).cloned().collect();
        let all = if self.have_names_in_common() {
            (&promotable | following).len()
        } else {
            promotable.len().max(following.len())
        };
        asked.max(u32::try_from(all).unwrap_or(u32::MAX))
    }

    /// Whether it has less than one that follows, which is promoted before it: among those of one priority, the one that has
    /// more.
    fn comes_after_another(&self, address: &Address) -> bool {
        let Connected { following, filling } = &self.connected;
        let up = &self.candidates.up;
        let own = up.get(address);
        let has_less = filling.contains(address) || self.strays.contains(address);
        has_less && following.iter().any(|other| up.get(other).is_some_and(|other| Some(other) <= own))
    }

    /// Whether master and sentinels call a server the same. They do not where the one has its name and the others its
    /// address; whoever is who cannot be seen then.
    fn have_names_in_common(&self) -> bool {
        let Candidates { up, down, never } = &self.candidates;
        let Connected { following, filling } = &self.connected;
        let is_known =
            |address: &Address| up.contains_key(address) || down.contains(address) || never.contains(address);
        following.is_empty() || following.union(filling).any(is_known)
    }
}

/// What one sentinel says of a master and its replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// How many sentinels it knows, with itself.
    pub(crate) sentinels: usize,
    pub(crate) master: Address,
    pub(crate) is_master_down: bool,
    pub(crate) replicas: Vec<Watched>,
}

/// A replica, as one sentinel sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Watched {
    pub(crate) address: Address,
    pub(crate) is_down: bool,
    /// With 0 it is never promoted.
    pub(crate) priority: u32,
}

impl Candidates {
    /// All servers that sentinels know but this one, the master that is used. A replica is down where more than half of all
    /// sentinels say so or do not know it, not only of those who answer; but none is where one of them holds the master for
    /// down: whoever comes back first takes over then. Whom one of them names as the master has taken over already, and is
    /// not down either: all of them lose sight of it for a moment when it does.
    pub(crate) fn beside(used: &str, reports: &[Report]) -> Self {
        let all = reports.iter().map(|report| report.sentinels).max().unwrap_or_default().max(reports.len());
        let replicas = || reports.iter().flat_map(|report| &report.replicas);
        let addresses: BTreeSet<_> = replicas().map(|replica| &replica.address).collect();
        let is_master_down = reports.iter().any(|report| report.master == used && report.is_master_down);
        let mut candidates = Self::default();
        for address in addresses.into_iter().filter(|address| *address != used) {
            let words = || replicas().filter(|replica| replica.address == *address);
            let see_it = words().filter(|replica| !replica.is_down).count();
            let is_down = !is_master_down && reports.len().saturating_sub(see_it) * 2 > all;
            match words().map(|replica| replica.priority).max() {
                None | Some(0) => drop(candidates.never.insert(address.clone())),
                _ if is_down => drop(candidates.down.insert(address.clone())),
                Some(priority) => drop(candidates.up.insert(address.clone(), priority)),
            }
        }
        for master in reports.iter().map(|report| &report.master).filter(|master| *master != used) {
            candidates.never.remove(master);
            candidates.down.remove(master);
            candidates.up.insert(master.clone(), FIRST);
        }
        candidates
    }
}

#[cfg(test)]
#[path = "replicas_tests.rs"]
mod tests;
