//! The keys that an issuer publishes. They are fetched in the background, and once more when a token names one that is not
//! known; those that are known are used while the issuer is away, for a bounded time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::Uri;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::config::{IssuerConfig, address};
use super::web::{Web, place};
use crate::key_box::FetchError;
use crate::verifier::TokenError;

/// After a fetch that failed, or brought no key that a token named, none is made for this long because of a token.
const COOL_DOWN: SignedDuration = SignedDuration::from_secs(5);
/// Keys of one issuer that are looked at.
const MOST_KEYS: usize = 100;

/// The keys of one issuer.
pub(super) struct Keys {
    issuer: String,
    web: Web,
    /// Where the keys are, or where that is said.
    at: Uri,
    discovered: bool,
    allow_http: bool,
    refresh_every: Duration,
    keep_for: Duration,
    known: ArcSwap<Known>,
    in_vain: Mutex<Option<Vain>>,
    /// Whether it has been told that they cannot be fetched.
    told: AtomicBool,
}

/// What was fetched last.
#[derive(Default)]
struct Known {
    keys: Arc<Vec<Key>>,
    /// How often the keys have changed: what was verified with earlier ones counts no more.
    changed: u64,
    fetched_at: Option<Timestamp>,
}

#[derive(PartialEq)]
struct Key {
    id: String,
    algorithm: Algorithm,
    key: Jwk,
}

/// A fetch that brought nothing.
#[derive(Clone, Copy)]
struct Vain {
    at: Timestamp,
    failed: bool,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

impl Keys {
    /// None yet: they are fetched when they are due, or when the first token comes.
    pub(super) fn new(config: &IssuerConfig, web: Web) -> Result<Self, String> {
        Ok(Self {
            issuer: config.issuer.clone(),
            web,
            at: address(&config.of_keys().1, config.allow_http)?,
            discovered: config.jwks_uri.is_empty(),
            allow_http: config.allow_http,
            refresh_every: config.jwks_refresh_every,
            keep_for: config.jwks_keep_for,
            known: ArcSwap::default(),
            in_vain: Mutex::default(),
            told: AtomicBool::new(false),
        })
    }

    /// How often the keys have changed; `None` where there are none that may still be used.
    pub(super) fn changed(&self, now: Timestamp) -> Option<u64> {
        let known = self.known.load();
        known.is_younger(self.keep_for, now).then_some(known.changed)
    }

    /// The key of that id, for that algorithm.
    ///
    /// # Errors
    /// `BadSignature` where the issuer publishes none, `IssuerUnavailable` where that cannot be found out.
    pub(super) async fn get(
        &self,
        id: &str,
        algorithm: Algorithm,
        now: Timestamp,
    ) -> Result<DecodingKey, TokenError> {
        let of = |known: &Known| known.usable(id, self.keep_for, now)?.decoding(algorithm);
        if let Some(found) = of(&self.known.load()) {
            return found;
        }
        // One fetches; the others wait here and find what he brought.
        let mut in_vain = self.in_vain.lock().await;
        if let Some(found) = of(&self.known.load()) {
            return found;
        }
        let recent = in_vain.filter(|vain| now.duration_since(vain.at).abs() < COOL_DOWN);
        let failed = match recent {
            Some(vain) => vain.failed,
            None => self.fetch(now).await.is_err(),
        };
        if let Some(found) = of(&self.known.load()) {
            *in_vain = None;
            return found;
        }
        if recent.is_none() {
            *in_vain = Some(Vain { at: now, failed });
        }
        Err(if failed { TokenError::IssuerUnavailable } else { TokenError::BadSignature })
    }

    /// Fetches them if they have become old, before anybody needs one.
    pub(super) async fn refresh_if_due(&self, now: Timestamp) {
        if !self.known.load().is_younger(self.refresh_every, now) {
            let _one_at_a_time = self.in_vain.lock().await;
            let _told = self.fetch(now).await;
        }
    }

    /// Fetches them; what is known stays where that fails.
    async fn fetch(&self, now: Timestamp) -> Result<(), FetchError> {
        let known = self.known.load_full();
        let published = self.published().await.inspect_err(|error| {
            if !self.told.swap(true, Ordering::Relaxed) {
                tracing::warn!(issuer = self.issuer, %error, "the keys of an issuer of tokens cannot be fetched");
            }
        });
        let keys = Arc::new(published?);
        if self.told.swap(false, Ordering::Relaxed) {
            tracing::info!(issuer = self.issuer, "the keys of an issuer of tokens are fetched again");
        }
        let same = known.fetched_at.is_some() && known.keys == keys;
        let changed = if same { known.changed } else { known.changed.wrapping_add(1) };
        self.known.store(Arc::new(Known { keys, changed, fetched_at: Some(now) }));
        Ok(())
    }

    async fn published(&self) -> Result<Vec<Key>, FetchError> {
        let at = if self.discovered { self.discover().await? } else { self.at.clone() };
        let set: KeySet = serde_json::from_slice(&self.web.get(&at).await?)
            .map_err(|error| FetchError(format!("{}: not a set of keys: {error}", place(&at))))?;
        Ok(set.keys.into_iter().take(MOST_KEYS).filter_map(Key::of).collect())
    }

    async fn discover(&self) -> Result<Uri, FetchError> {
        let said = |what: String| FetchError(format!("{}: {what}", place(&self.at)));
        let found: Discovery = serde_json::from_slice(&self.web.get(&self.at).await?)
            .map_err(|error| said(format!("not what an OpenID provider says of itself: {error}")))?;
        if found.issuer != self.issuer {
            return Err(said(format!("it is of another issuer, {:?}", found.issuer)));
        }
        address(&found.jwks_uri, self.allow_http).map_err(|problem| said(format!("jwks_uri: {problem}")))
    }
}

impl Known {
    /// Whether they were fetched less than that long before. A clock that was set back makes them old.
    fn is_younger(&self, than: Duration, now: Timestamp) -> bool {
        self.fetched_at
            .is_some_and(|at| now.duration_since(at).abs() < than.try_into().unwrap_or(SignedDuration::MAX))
    }

    fn usable(&self, id: &str, keep_for: Duration, now: Timestamp) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id).filter(|_| self.is_younger(keep_for, now))
    }
}

impl Key {
    /// A published key, if it can verify a signature that we know.
    fn of(published: serde_json::Value) -> Option<Self> {
        let key: Jwk = serde_json::from_value(published).ok()?;
        let (algorithm, named) = match &key.algorithm {
            AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
            AlgorithmParameters::EllipticCurve(point) if point.curve == EllipticCurve::P256 => {
                (Algorithm::ES256, KeyAlgorithm::ES256)
            }
            AlgorithmParameters::OctetKeyPair(point) if point.curve == EllipticCurve::Ed25519 => {
                (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
            }
            _ => return None,
        };
        let common = &key.common;
        let signs = common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
        let verifies = common
            .key_operations
            .as_ref()
            .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        let fits = common.key_algorithm.is_none_or(|only| only == named);
        let id = common.key_id.clone()?;
        (signs && verifies && fits && DecodingKey::from_jwk(&key).is_ok()).then_some(Self {
            id,
            algorithm,
            key,
        })
    }

    /// What verifies with it; a token that names another algorithm was not signed with it.
    fn decoding(&self, algorithm: Algorithm) -> Option<Result<DecodingKey, TokenError>> {
        let fits = self.algorithm == algorithm;
        Some(DecodingKey::from_jwk(&self.key).ok().filter(|_| fits).ok_or(TokenError::BadSignature))
    }
}
