//! Verifies tokens locally, with keys that are fetched when one turns up that is not known yet. A token's signature is
//! checked once; its times are, at every use.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use aws_lc_rs::digest;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use quick_cache::sync::Cache;
use roamline_proto::auth::JsonWebKey;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::caller::Caller;
use crate::claims::{Claims, kind_named};
use crate::jwks::KeySet;

/// The longest token that is looked at.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// How far the clocks of two machines may be apart, in seconds.
const LEEWAY: i64 = 5;
/// Tokens whose signatures are remembered.
const REMEMBERED: usize = 20_000;
/// The keys are fetched at most this often.
const FETCH_EVERY: Duration = Duration::from_secs(1);
/// A fetch that takes longer has failed.
const FETCH_WITHIN: Duration = Duration::from_secs(5);

/// Keys that could not be fetched; the text says why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FetchError(pub String);

/// Where public keys are published.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// All keys with which a token may be signed now or soon.
    async fn fetch(&self) -> Result<Vec<JsonWebKey>, FetchError>;
}

/// Why a token is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// More bytes than any token of ours has.
    #[error("the token is too long")]
    TooLong,
    /// Not a token, or one with claims missing.
    #[error("the token is malformed")]
    Malformed,
    /// Signed with a key that is not published, or badly, or for or by another cluster.
    #[error("the token was not signed by this cluster for this cluster")]
    Untrusted,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// The key is not known here and the published ones cannot be fetched now.
    #[error("the keys that verify tokens cannot be fetched")]
    KeysUnavailable,
}

/// Verifies tokens of one issuer for one audience. Keys that were fetched once stay until others replace them, so that
/// a publisher that is down stops nobody who has a token.
pub struct Verifier {
    validation: Validation,
    source: Arc<dyn KeySource>,
    keys: ArcSwap<KeySet>,
    /// How often the keys have been replaced: what was verified with earlier ones counts no more.
    replaced: AtomicU64,
    verified: Cache<Digest, Verified>,
    last_fetch: Mutex<Option<Fetch>>,
}

/// The SHA-256 of a token.
type Digest = [u8; 32];

/// A token whose signature, issuer and audience are good.
#[derive(Clone)]
struct Verified {
    claims: Arc<Claims>,
    /// By which keys.
    keys: u64,
}

#[derive(Clone, Copy)]
struct Fetch {
    at: Instant,
    failed: bool,
}

impl Verifier {
    /// A verifier with no keys yet: the first token fetches them.
    pub fn new(issuer: &str, audience: &str, source: Arc<dyn KeySource>) -> Self {
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
        // The library compares with the system's clock; ours is an argument.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self {
            validation,
            source,
            keys: ArcSwap::default(),
            replaced: AtomicU64::new(0),
            verified: Cache::new(REMEMBERED),
            last_fetch: Mutex::new(None),
        }
    }

    /// The claims of a token that is good at `now`, give or take five seconds.
    ///
    /// # Errors
    /// Why it is not believed.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<Claims>, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let claims = self.signed(token).await?;
        let second = now.as_second();
        if second >= claims.exp.saturating_add(LEEWAY) {
            return Err(TokenError::Expired);
        }
        if second < claims.nbf.saturating_sub(LEEWAY) {
            return Err(TokenError::NotYetValid);
        }
        Ok(claims)
    }

    /// The claims of a token that was signed by this cluster for this cluster, at whatever time.
    async fn signed(&self, token: &str) -> Result<Arc<Claims>, TokenError> {
        let digest = digest(token);
        let keys = self.replaced.load(Ordering::SeqCst);
        if let Some(known) = self.verified.get(&digest)
            && known.keys == keys
        {
            return Ok(known.claims);
        }
        let claims = Arc::new(self.decode(token).await?);
        // Keys that were replaced meanwhile count as the earlier ones: the next use verifies anew.
        self.verified.insert(digest, Verified { claims: Arc::clone(&claims), keys });
        Ok(claims)
    }

    async fn decode(&self, token: &str) -> Result<Claims, TokenError> {
        let header = decode_header(token).map_err(|_| TokenError::Malformed)?;
        if header.alg != Algorithm::ES256 {
            return Err(TokenError::Untrusted);
        }
        let key = self.key(&header.kid.ok_or(TokenError::Malformed)?).await?;
        Ok(decode::<Claims>(token, &key, &self.validation).map_err(|error| refused(&error))?.claims)
    }

    /// The caller behind a token that is good at `now`.
    ///
    /// # Errors
    /// Why it is not believed.
    pub async fn caller(
        &self,
        token: &str,
        now: Timestamp,
        source: Option<SocketAddr>,
    ) -> Result<Caller, TokenError> {
        let claims = self.verify(token, now).await?;
        let kind = kind_named(&claims.kind).ok_or(TokenError::Malformed)?;
        if claims.sub.is_empty() {
            return Err(TokenError::Malformed);
        }
        let scopes = claims.scope.split_ascii_whitespace().map(str::to_owned).collect();
        Ok(Caller { name: claims.sub.clone(), kind, scopes, source })
    }

    async fn key(&self, kid: &str) -> Result<DecodingKey, TokenError> {
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

fn digest(token: &str) -> Digest {
    let mut bytes = Digest::default();
    bytes.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    bytes
}

fn refused(error: &jsonwebtoken::errors::Error) -> TokenError {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::InvalidSignature | ErrorKind::InvalidIssuer | ErrorKind::InvalidAudience => {
            TokenError::Untrusted
        }
        _ => TokenError::Malformed,
    }
}
