//! Verifies tokens locally, with keys that are fetched when one turns up that is not known yet. A token's signature is
//! checked once; its times, and whether it is revoked, at every use.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
use crate::outside::{Outside, QuestionLimit, SsoConfig, SsoError, Terms, UserIdOf};
use crate::revocations::{RevocationSource, Revocations};

/// The longest token that is looked at.
pub(crate) const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// How far the clocks of two machines may be apart, where nobody says otherwise.
pub const LEEWAY: Duration = Duration::from_secs(30);
/// Tokens whose signatures are remembered.
pub(crate) const REMEMBERED: usize = 20_000;
/// How often the keys are fetched before anybody asks for one.
const REFRESH_EVERY: Duration = Duration::from_secs(30);

/// Tokens of this process that were remembered, and those whose signatures were checked.
static REMEMBERED_TOKENS: AtomicU64 = AtomicU64::new(0);
static DECODED_TOKENS: AtomicU64 = AtomicU64::new(0);

/// How many tokens this process has looked at since the last call that it remembered, and how many by their signatures.
pub fn take_tokens_looked_at() -> (u64, u64) {
    (REMEMBERED_TOKENS.swap(0, Ordering::Relaxed), DECODED_TOKENS.swap(0, Ordering::Relaxed))
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
    /// Its sign-in has ended, or all tokens of its principal or its key are refused.
    #[error("the token has been revoked")]
    Revoked,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// The key is not known here and the published ones cannot be fetched now.
    #[error("the keys that verify tokens cannot be fetched")]
    KeysUnavailable,
    /// Not signed with a key that its issuer, one outside of the cluster, publishes, or in a way that it may not sign.
    #[error("the token was not signed by its issuer")]
    BadSignature,
    /// Its issuer made it for somebody else.
    #[error("the token is for another audience")]
    WrongAudience,
    /// An ID token, a refresh token, or another one that its issuer gives out.
    #[error("the token is no access token")]
    NotForAccess,
    /// Good only together with a proof that is not looked at here.
    #[error("the token is bound to a key, and no bearer token")]
    Bound,
    /// Its issuer gave it without the scope that is asked for.
    #[error("the token lacks the scope that its issuer must give")]
    LacksScope,
    /// It names nobody, or by a name that no user can have.
    #[error("the token names nobody who can be a user here")]
    NoUser,
    /// Issued longer ago than the operator allows.
    #[error("the token was issued too long ago")]
    TooOld,
    /// Its issuer does not know it, or no more.
    #[error("the token is not active, says its issuer")]
    Inactive,
    /// Its issuer cannot be asked now, and what is known of it does not suffice.
    #[error("the issuer of the token cannot be reached")]
    IssuerUnavailable,
    /// Only its issuer knows what it is, and is not asked: it has been asked in vain about too many from there. When it
    /// is asked again.
    #[error("too many tokens from there were refused by their issuer")]
    TooMany(Duration),
}

/// Verifies tokens of one issuer for one cluster, and for services of it; and, where there are any, those of issuers
/// outside of the cluster.
pub struct Verifier {
    validation: Validation,
    audience: String,
    leeway: i64,
    keys: Arc<KeyBox>,
    revocations: Revocations,
    verified: Cache<Digest, Verified>,
    outside: Option<Outside>,
}

/// Fetches the keys of a verifier anew, so that one that is published no more is believed no more.
#[derive(Clone)]
pub struct KeyRefresher(Arc<KeyBox>);

impl KeyRefresher {
    /// Fetches them; where that fails, those from before stay.
    pub async fn refresh(&self) {
        self.0.refresh().await;
    }
}

/// The SHA-256 of a token, or of a file.
pub(crate) type Digest = [u8; 32];

/// A token whose signature, issuer and audience are good.
#[derive(Clone)]
struct Verified(Arc<Known>);

struct Known {
    claims: Arc<Claims>,
    kid: String,
    kind: PrincipalKind,
    scopes: Arc<BTreeSet<String>>,
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
            outside: None,
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

    /// Believes tokens of these issuers, too, within the leeway and the revocations that it has now. `user_id` makes a user
    /// of whom they name; `limit` says who may have an issuer asked.
    ///
    /// # Errors
    /// When they are configured in a way that cannot be.
    pub fn with_outside(
        mut self,
        config: &SsoConfig,
        user_id: UserIdOf,
        limit: Arc<dyn QuestionLimit>,
    ) -> Result<Self, SsoError> {
        let terms = Terms { leeway: self.leeway, revocations: self.revocations.clone(), limit };
        self.outside = Some(Outside::new(config, user_id, &terms)?);
        Ok(self)
    }

    /// Fetches the keys of issuers outside of the cluster before anybody needs them, and reads files that are theirs when
    /// they change, without end. Somebody has to run it.
    pub fn follow_outside(&self, now: Now) -> impl Future<Output = ()> + Send + 'static {
        let following = self.outside.as_ref().map(|outside| outside.follow(now));
        async move {
            match following {
                Some(following) => following.await,
                None => std::future::pending().await,
            }
        }
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

    /// For whoever knows when the keys have changed.
    pub fn key_refresher(&self) -> KeyRefresher {
        KeyRefresher(Arc::clone(&self.keys))
    }

    /// The claims of a token of this cluster that is good at `now`, give or take the leeway.
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
        if let Some(other) = self.outside.as_ref().and_then(|outside| outside.verifier_of(token)) {
            return other.caller(token, now, source).await;
        }
        let known = self.known(token, now).await?;
        Ok(Caller {
            name: known.claims.sub.clone(),
            kind: known.kind,
            scopes: Arc::clone(&known.scopes),
            source,
        })
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
            REMEMBERED_TOKENS.fetch_add(1, Ordering::Relaxed);
            return Ok(known);
        }
        DECODED_TOKENS.fetch_add(1, Ordering::Relaxed);
        let (kid, claims) = self.decode(token).await?;
        let kind = kind_named(&claims.kind).ok_or(TokenError::Malformed)?;
        if claims.sub.is_empty() {
            return Err(TokenError::Malformed);
        }
        let scopes = claims.scope.split_ascii_whitespace().map(str::to_owned).collect();
        let scopes = Arc::new(scopes);
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

pub(crate) fn digest(of: impl AsRef<[u8]>) -> Digest {
    let mut bytes = Digest::default();
    bytes.copy_from_slice(digest::digest(&digest::SHA256, of.as_ref()).as_ref());
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
