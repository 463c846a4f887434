//! Whom a request from outside comes from: the remote cluster whose SPIFFE id its certificate carries (XC-10), and no more
//! requests at once than a peer may have.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use roamline_domain::ClusterId;
use roamline_domain::emcc::remote::RemoteCluster;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_serve::PeerIdentity;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Inner;

/// How many requests of each peer are in work.
pub(crate) struct Gates {
    most: usize,
    gates: Mutex<HashMap<ClusterId, Arc<Semaphore>>>,
}

/// A peer with a request in work.
pub(crate) struct Visitor {
    /// The peer.
    pub remote: RemoteCluster,
    _place: OwnedSemaphorePermit,
}

impl Gates {
    pub(crate) fn new(most: u32) -> Self {
        Self { most: usize::try_from(most.max(1)).unwrap_or(1), gates: Mutex::default() }
    }

    fn enter(&self, cluster: &ClusterId) -> Option<OwnedSemaphorePermit> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = gates.entry(cluster.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.most)));
        Arc::clone(gate).try_acquire_owned().ok()
    }
}

impl Inner {
    /// The peer that a certificate proves, with a place among those of its requests that are in work.
    ///
    /// # Errors
    /// `PEER_NOT_PROVEN` without a certificate that names a cluster, `VISITING_CLUSTER_UNKNOWN` where it names none of
    /// ours, `TOO_MANY_REQUESTS` beyond what one peer may have at once.
    pub(crate) fn admit(&self, identity: Option<&PeerIdentity>) -> Result<Visitor, Refusal> {
        let Some(PeerIdentity::Spiffe(id)) = identity else {
            let text = "the connection came without a certificate that names a cluster (XC-10)";
            return Err(Refusal::new(ErrorReason::PeerNotProven, text));
        };
        let recalled = self.recalled.load();
        let Some(remote) = recalled.by_spiffe(id) else {
            tracing::warn!(%id, "a stranger with a good certificate was turned away");
            let text = "no remote cluster here has the certificate's SPIFFE id (XC-6)";
            return Err(Refusal::new(ErrorReason::VisitingClusterUnknown, text));
        };
        let Some(place) = self.gates.enter(&remote.cluster) else {
            let text = "this cluster has too many requests in work already";
            let mut refusal = Refusal::new(ErrorReason::TooManyRequests, text);
            refusal.retry_after = Some(Duration::from_millis(500));
            return Err(refusal);
        };
        Ok(Visitor { remote: remote.clone(), _place: place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xc_10_one_peer_does_not_take_the_places_of_another() {
        let gates = Gates::new(2);
        let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
        let first = (gates.enter(&a), gates.enter(&a));
        assert!(first.0.is_some() && first.1.is_some() && gates.enter(&a).is_none());
        assert!(gates.enter(&b).is_some());
        drop(first);
        assert!(gates.enter(&a).is_some());
    }
}
