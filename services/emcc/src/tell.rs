//! Telling the other side that a half has ended: at once where it can be reached, and again until it has heard (XC-4).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use roamline_domain::{ClusterId, SessionId};
use roamline_proto::refusal::Refusal;
use roamline_store::federation::HalfQuery;
use tokio::time::{MissedTickBehavior, interval};

use crate::{Inner, refusal};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Ends in one message: so few that the other side is done with them within the time of a call.
const AT_ONCE: u32 = 50;

/// Tells without end.
pub(crate) async fn run(inner: &Arc<Inner>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = inner.ended.notified() => {}
        }
        loop {
            match inner.tell_ends().await {
                Ok(true) => {}
                Ok(false) => break,
                Err(refused) => {
                    tracing::warn!(reason = refused.message, "ended sessions cannot be told of");
                    break;
                }
            }
        }
    }
}

impl Inner {
    /// Tells each peer that can be reached of what has ended here; whether there may be more that can be told.
    pub(crate) async fn tell_ends(&self) -> Result<bool, Refusal> {
        let store = |error| refusal::store(&error);
        let untold = HalfQuery { live: Some(false), limit: AT_ONCE, ..HalfQuery::default() };
        let mut ends: BTreeMap<ClusterId, Vec<SessionId>> = BTreeMap::new();
        let first = self.store.halves(&untold).await.map_err(store)?;
        // Those of a peer that is down do not hide those of another.
        let waiting = first.len() == AT_ONCE as usize;
        for half in first {
            ends.entry(half.peer).or_default().push(half.session);
        }
        let peers: Vec<_> =
            self.peers.load().values().filter(|peer| waiting && peer.is_up()).cloned().collect();
        for peer in peers {
            let query = HalfQuery { peer: Some(peer.remote.cluster.clone()), ..untold.clone() };
            let its = self.store.halves(&query).await.map_err(store)?;
            ends.insert(peer.remote.cluster.clone(), its.into_iter().map(|half| half.session).collect());
        }
        let telling = ends.into_iter().map(|(cluster, sessions)| self.tell_peer(cluster, sessions));
        let mut heard = false;
        for told in futures::future::join_all(telling).await {
            heard |= told?;
        }
        Ok(waiting && heard)
    }

    /// Whether somebody has heard of any, or nobody is left to be told.
    async fn tell_peer(&self, cluster: ClusterId, sessions: Vec<SessionId>) -> Result<bool, Refusal> {
        if sessions.is_empty() {
            return Ok(false);
        }
        match self.peer(&cluster) {
            // Nobody is left to be told.
            None if self.recalled.load().is_without(&cluster) => {}
            None => return Ok(false),
            Some(peer) => {
                let Ok(link) = peer.callable() else { return Ok(false) };
                if link.logout(&sessions, self.config.login_within()).await.is_err() {
                    return Ok(false);
                }
            }
        }
        let now = self.clock.now();
        for session in sessions {
            self.store.end_half(&session, now, true).await.map_err(|error| refusal::store(&error))?;
        }
        Ok(true)
    }
}
