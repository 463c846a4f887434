//! TLS sessions that can be taken up again without a look at the client's certificate. One from before a change of the
//! peers is forgotten: whoever had it may be believed no more.

use std::sync::Arc;

use tokio_rustls::rustls::server::{ServerSessionMemoryCache, StoresServerSessions};

use super::PeerTrust;

/// As many as are kept without us.
const MOST: usize = 256;

#[derive(Debug)]
pub(crate) struct Sessions {
    kept: Arc<ServerSessionMemoryCache>,
    peers: PeerTrust,
}

impl Sessions {
    pub(crate) fn new(peers: PeerTrust) -> Arc<Self> {
        Arc::new(Self { kept: ServerSessionMemoryCache::new(MOST), peers })
    }

    fn of_now(&self, value: &[u8]) -> Option<Vec<u8>> {
        let (generation, session) = value.split_first_chunk::<8>()?;
        (u64::from_be_bytes(*generation) == self.peers.generation()).then(|| session.to_vec())
    }
}

impl StoresServerSessions for Sessions {
    fn put(&self, id: Vec<u8>, session: Vec<u8>) -> bool {
        let mut value = self.peers.generation().to_be_bytes().to_vec();
        value.extend(session);
        self.kept.put(id, value)
    }

    fn get(&self, id: &[u8]) -> Option<Vec<u8>> {
        self.of_now(&self.kept.get(id)?)
    }

    fn take(&self, id: &[u8]) -> Option<Vec<u8>> {
        self.of_now(&self.kept.take(id)?)
    }

    fn can_cache(&self) -> bool {
        self.kept.can_cache()
    }
}
