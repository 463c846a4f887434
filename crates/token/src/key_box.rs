//! The keys that verify, as they were last fetched from where they are published. Those that were fetched once stay until
//! others replace them, so that a publisher that is down stops nobody who has a token.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use jsonwebtoken::DecodingKey;
use roamline_proto::auth::JsonWebKey;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::jwks::KeySet;
use crate::verifier::TokenError;

/// The keys are fetched at most this often because a token names one that is not known.
const FETCH_EVERY: Duration = Duration::from_secs(1);
/// A fetch that takes longer has failed.
const FETCH_WITHIN: Duration = Duration::from_secs(5);

/// What could not be fetched; the text says why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FetchError(pub String);

/// Where public keys are published.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// All keys with which a token may be signed now or soon.
    async fn fetch(&self) -> Result<Vec<JsonWebKey>, FetchError>;
}

/// The keys of one publisher.
pub(crate) struct KeyBox {
    source: Arc<dyn KeySource>,
    keys: ArcSwap<KeySet>,
    /// How often the keys have been replaced: what was verified with earlier ones counts no more.
    replaced: AtomicU64,
    last_fetch: Mutex<Option<Fetch>>,
}

#[derive(Clone, Copy)]
struct Fetch {
    at: Instant,
    failed: bool,
}

impl KeyBox {
    /// No keys yet: the first that is asked for fetches them.
    pub(crate) fn new(source: Arc<dyn KeySource>) -> Self {
        Self { source, keys: ArcSwap::default(), replaced: AtomicU64::new(0), last_fetch: Mutex::new(None) }
    }

    /// How often they were replaced.
    pub(crate) fn replaced(&self) -> u64 {
        self.replaced.load(Ordering::SeqCst)
    }

    /// The key of that id.
    pub(crate) async fn get(&self, kid: &str) -> Result<DecodingKey, TokenError> {
        if let Some(key) = self.keys.load().get(kid) {
            return Ok(key.clone());
        }
        // One fetches; the others wait here and find what he brought.
        let mut last = self.last_fetch.lock().await;
        if let Some(key) = self.keys.load().get(kid) {
            return Ok(key.clone());
        }
        let fetch = match *last {
            Some(fetch) if fetch.at.elapsed() < FETCH_EVERY => fetch,
            _ => self.fetch().await,
        };
        *last = Some(fetch);
        match self.keys.load().get(kid) {
            Some(key) => Ok(key.clone()),
            None if fetch.failed => Err(TokenError::KeysUnavailable),
            None => Err(TokenError::Untrusted),
        }
    }

    /// Fetches them before anybody asks, so that the next key is known before it signs and one that has gone is gone.
    pub(crate) async fn refresh(&self) {
        let mut last = self.last_fetch.lock().await;
        *last = Some(self.fetch().await);
    }

    async fn fetch(&self) -> Fetch {
        let fetched = tokio::time::timeout(FETCH_WITHIN, self.source.fetch()).await;
        let failed = match fetched {
            Ok(Ok(keys)) => {
                if !self.keys.load().is_of(&keys) {
                    self.keys.store(Arc::new(KeySet::of(&keys)));
                    self.replaced.fetch_add(1, Ordering::SeqCst);
                }
                false
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the keys that verify tokens cannot be fetched");
                true
            }
            Err(_) => {
                tracing::warn!("the keys that verify tokens were not answered in time");
                true
            }
        };
        Fetch { at: Instant::now(), failed }
    }
}
