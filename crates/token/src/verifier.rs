//! Verifies tokens locally, with keys that are fetched when one turns up that is not known yet. A token's signature is
//! checked once; its times, and whether it is revoked, at every use.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use quick_cache::sync::Cache;
use roamline_proto::auth::PrincipalKind;
use tokio::time::{MissedTickBehavior, interval};

use crate::Now;
use crate::caller::Caller;
use crate::claims::{Claims, kind_named};
use crate::key_box::{KeyBox, KeySource};
use crate::revocations::{RevocationSource, Revocations};

/// The longest token that is looked at.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// How far the clocks of two machines may be apart, where nobody says otherwise.
pub const LEEWAY: Duration = Duration::from_secs(30);
/// Tokens whose signatures are remembered.
const REMEMBERED: usize = 20_000;
/// How often the keys are fetched before anybody asks for one.
const REFRESH_EVERY: Duration = Duration::from_secs(30);

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
    /// Its sign-in has ended, or all tokens of its principal or its key are refused.
    #[error("the token has been revoked")]
    Revoked,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// The key is not known here and the published ones cannot be fetched now.
    #[error("the keys that verify tokens cannot be fetched")]
    KeysUnavailable,
}

/// Verifies tokens of one issuer for one cluster, and for services of it.
pub struct Verifier {
    validation: Validation,
    audience: String,
    leeway: i64,
    keys: Arc<KeyBox>,
    revocations: Revocations,
    verified: Cache<Digest, Verified>,
}

/// The SHA-256 of a token.
type Digest = [u8; 32];

/// A token whose signature, issuer and audience are good.
#[derive(Clone)]
struct Verified(Arc<Known>);

struct Known {
    claims: Arc<Claims>,
    kid: String,
    kind: PrincipalKind,
    scopes: BTreeSet<String>,
    /// By which keys.
    keys: u64,
}

impl Verifier {
    /// A verifier with no keys yet: the first token fetches them. `audience` is the cluster with all its services.
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
            audience: audience.to_owned(),
            leeway: i64::try_from(LEEWAY.as_secs()).unwrap_or_default(),
            keys: Arc::new(KeyBox::new(source)),
            revocations: Revocations::new(),
            verified: Cache::new(REMEMBERED),
        }
    }

    /// Believes tokens for that service of the cluster, too.
    #[must_use]
    pub fn of_service(mut self, service: &str) -> Self {
        let audience = audience_of(&self.audience, service);
        self.validation.aud.get_or_insert_default().insert(audience);
        self
    }

    /// Allows for clocks that are that far apart, in whole seconds.
    #[must_use]
    pub fn with_leeway(mut self, leeway: Duration) -> Self {
        self.leeway = i64::try_from(leeway.as_secs()).unwrap_or(i64::MAX);
        self
    }

    /// Obeys these revocations, which somebody else in this process keeps up to date.
    #[must_use]
    pub fn with_revocations(mut self, revocations: Revocations) -> Self {
        self.revocations = revocations;
        self
    }

    /// Follows the revocations that `source` tells, and fetches the keys now and then before anybody needs one, without
    /// end. It is for a verifier whose keys and revocations are elsewhere; somebody has to run it.
    pub fn follow(
        &self,
        source: Arc<dyn RevocationSource>,
        now: Now,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (keys, revocations) = (Arc::clone(&self.keys), self.revocations.clone());
        async move {
            let refreshing = async {
                let mut tick = interval(REFRESH_EVERY);
                tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    tick.tick().await;
                    keys.refresh().await;
                }
            };
            tokio::select! {
                () = revocations.follow(&*source, &now) => {}
                () = refreshing => {}
            }
        }
    }

    /// The claims of a token that is good at `now`, give or take the leeway.
    ///
    /// # Errors
    /// Why it is not believed.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<Claims>, TokenError> {
        Ok(Arc::clone(&self.known(token, now).await?.claims))
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
        let known = self.known(token, now).await?;
        Ok(Caller { name: known.claims.sub.clone(), kind: known.kind, scopes: known.scopes.clone(), source })
    }

    /// What a token says that is good at `now`. One that is good no more is not remembered either.
    async fn known(&self, token: &str, now: Timestamp) -> Result<Arc<Known>, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let digest = digest(token);
        let known = self.signed(token, digest).await?;
        let (claims, second) = (&known.claims, now.as_second());
        if second < claims.nbf.saturating_sub(self.leeway) {
            return Err(TokenError::NotYetValid);
        }
        let ended = if second >= claims.exp.saturating_add(self.leeway) {
            TokenError::Expired
        } else if self.revocations.include(&known.kid, claims) {
            TokenError::Revoked
        } else {
            return Ok(known);
        };
        self.verified.remove(&digest);
        Err(ended)
    }

    /// What a token says that was signed by this cluster for us, at whatever time.
    async fn signed(&self, token: &str, digest: Digest) -> Result<Arc<Known>, TokenError> {
        let keys = self.keys.replaced();
        if let Some(Verified(known)) = self.verified.get(&digest)
            && known.keys == keys
        {
            return Ok(known);
        }
        let (kid, claims) = self.decode(token).await?;
        let kind = kind_named(&claims.kind).ok_or(TokenError::Malformed)?;
        if claims.sub.is_empty() {
            return Err(TokenError::Malformed);
        }
        let scopes = claims.scope.split_ascii_whitespace().map(str::to_owned).collect();
        // Keys that were replaced meanwhile count as the earlier ones: the next use verifies anew.
        let known = Arc::new(Known { claims: Arc::new(claims), kid, kind, scopes, keys });
        self.verified.insert(digest, Verified(Arc::clone(&known)));
        Ok(known)
    }

    async fn decode(&self, token: &str) -> Result<(String, Claims), TokenError> {
        let header = decode_header(token).map_err(|_| TokenError::Malformed)?;
        if header.alg != Algorithm::ES256 {
            return Err(TokenError::Untrusted);
        }
        let kid = header.kid.ok_or(TokenError::Malformed)?;
        let key = self.keys.get(&kid).await?;
        let claims = decode::<Claims>(token, &key, &self.validation).map_err(|error| refused(&error))?.claims;
        Ok((kid, claims))
    }
}

/// What a token for one service of a cluster names as its audience.
pub(crate) fn audience_of(cluster: &str, service: &str) -> String {
    format!("{cluster}/{service}")
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
