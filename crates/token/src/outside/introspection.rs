//! Opaque tokens: only their issuer knows what they are, and is asked (RFC 7662). Answers are remembered for moments, so that
//! a token that is revoked there ends here. While the issuer is away nobody is called a liar: such calls are unavailable.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use form_urlencoded::byte_serialize;
use http::{HeaderValue, Uri};
use jiff::{SignedDuration, Timestamp};
use quick_cache::sync::Cache;
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Terms;
use super::config::{IssuerConfig, SsoError, address, secret_of};
use super::followed::{Followed, Follows};
use super::identity::{Claims, Identity, Mapping};
use super::web::Web;
use crate::bearer_verifier::BearerVerifier;
use crate::caller::Caller;
use crate::key_box::FetchError;
use crate::verifier::{Digest, TokenError, digest};

/// The longest opaque token that is shown to an issuer.
const LONGEST: usize = 4 * 1024;
/// Answers that are remembered.
const REMEMBERED: usize = 10_000;
/// How long a refusal is remembered: what is not active does not become so.
const REFUSED_FOR: Duration = Duration::from_secs(10);
/// Questions at once; others wait.
const AT_ONCE: usize = 32;
/// After a question without an answer none is asked for this long.
const COOL_DOWN: SignedDuration = SignedDuration::from_secs(1);

/// Judges the opaque tokens of one issuer.
pub(super) struct OpaqueTokens {
    issuer: String,
    mapping: Mapping,
    web: Web,
    endpoint: Uri,
    authorization: Arc<Followed<HeaderValue>>,
    cache_for: Duration,
    within: Duration,
    terms: Terms,
    answers: Cache<Digest, Answer>,
    asking: Semaphore,
    unanswered_at: Mutex<Option<Timestamp>>,
}

/// What the issuer said, and from when until when that counts.
#[derive(Clone)]
struct Answer {
    said: Result<Arc<Identity>, TokenError>,
    at: Timestamp,
    counts_for: SignedDuration,
}

impl Answer {
    /// A clock that was set back makes it old.
    fn is_old(&self, now: Timestamp) -> bool {
        now.duration_since(self.at).abs() >= self.counts_for
    }
}

impl OpaqueTokens {
    pub(super) fn new(
        config: &IssuerConfig,
        mapping: Mapping,
        web: Web,
        terms: Terms,
    ) -> Result<Self, SsoError> {
        let asked = &config.introspection;
        let endpoint = address(&asked.endpoint, config.allow_http)
            .map_err(|problem| SsoError::new("endpoint", problem))?;
        let authorization = match asked.client_secret_file.as_os_str().is_empty() {
            true => authorization(&asked.client_id, asked.secret()?.expose_secret())
                .map(Followed::fixed)
                .map_err(|problem| SsoError::new("client_secret", problem))?,
            false => {
                let client_id = asked.client_id.clone();
                let of = move |content: &[u8]| authorization(&client_id, secret_of(content)?.expose_secret());
                Followed::of(&asked.client_secret_file, of)
                    .map_err(|problem| SsoError::new("client_secret_file", problem))?
            }
        };
        Ok(Self {
            issuer: config.issuer.clone(),
            mapping,
            web,
            endpoint,
            authorization: Arc::new(authorization),
            cache_for: asked.cache_for,
            within: config.timeout,
            terms,
            answers: Cache::new(REMEMBERED),
            asking: Semaphore::new(AT_ONCE),
            unanswered_at: Mutex::default(),
        })
    }

    /// The file with the client's secret, to be looked after.
    pub(super) fn file(&self) -> Arc<dyn Follows> {
        Arc::clone(&self.authorization) as Arc<dyn Follows>
    }

    async fn identify(
        &self,
        token: &str,
        now: Timestamp,
        source: Option<IpAddr>,
    ) -> Result<Arc<Identity>, TokenError> {
        let digest = digest(token);
        self.answers.remove_if(&digest, |answer| answer.is_old(now));
        // One asks; the others wait here and hear what he was told.
        self.answers.get_or_insert_async(&digest, self.ask(token, now, source)).await?.said
    }

    /// Whether the issuer may be asked for somebody there. Whoever comes from nowhere is this process.
    fn may_ask(&self, source: Option<IpAddr>, now: Timestamp) -> Result<(), TokenError> {
        source
            .and_then(|source| self.terms.limit.wait(source, now))
            .map_or(Ok(()), |wait| Err(TokenError::TooMany(wait)))
    }

    async fn ask(&self, token: &str, now: Timestamp, source: Option<IpAddr>) -> Result<Answer, TokenError> {
        let unavailable = TokenError::IssuerUnavailable;
        self.may_ask(source, now)?;
        let _turn = timeout(self.within, self.asking.acquire()).await.map_err(|_| unavailable)?;
        // Others from there may have been asked about meanwhile.
        self.may_ask(source, now)?;
        let unanswered = *self.unanswered_at.lock().unwrap_or_else(PoisonError::into_inner);
        if unanswered.is_some_and(|at| now.duration_since(at).abs() < COOL_DOWN) {
            return Err(unavailable);
        }
        let answered = self.introspect(token).await;
        let mut unanswered = self.unanswered_at.lock().unwrap_or_else(PoisonError::into_inner);
        match answered {
            Ok(claims) => {
                if unanswered.take().is_some() {
                    tracing::info!(issuer = self.issuer, "the issuer of opaque tokens answers again");
                }
                let answer = self.answer(&claims, now);
                if let (Err(_), Some(source)) = (&answer.said, source) {
                    self.terms.limit.asked_in_vain(source, now);
                }
                Ok(answer)
            }
            Err(error) => {
                if unanswered.replace(now).is_none() {
                    tracing::warn!(issuer = self.issuer, %error, "the issuer of opaque tokens does not answer");
                }
                Err(unavailable)
            }
        }
    }

    async fn introspect(&self, token: &str) -> Result<Claims, FetchError> {
        let encoded: String = byte_serialize(token.as_bytes()).collect();
        let form = format!("token={encoded}&token_type_hint=access_token");
        let answer =
            self.web.post(&self.endpoint, self.authorization.present().as_ref().clone(), form).await?;
        let claims: Claims = serde_json::from_slice(&answer)
            .map_err(|_| FetchError("the answer is no object of JSON".into()))?;
        match claims.get("active") {
            Some(Value::Bool(_)) => Ok(claims),
            _ => Err(FetchError("the answer does not say whether the token is active".into())),
        }
    }

    fn answer(&self, claims: &Claims, now: Timestamp) -> Answer {
        let said = self.read(claims).map(Arc::new);
        let counts_for = if said.is_ok() { self.cache_for } else { REFUSED_FOR };
        Answer { said, at: now, counts_for: counts_for.try_into().unwrap_or(SignedDuration::ZERO) }
    }

    fn read(&self, claims: &Claims) -> Result<Identity, TokenError> {
        if claims.get("active") != Some(&Value::Bool(true)) {
            return Err(TokenError::Inactive);
        }
        // Refresh tokens are active, too: what the token is must be said, and nothing may say otherwise.
        let said = ["token_type", "typ", "token_use"].map(|claim| claims.get(claim).and_then(Value::as_str));
        let is_for_access = |said: &&str| {
            ["bearer", "access", "access_token"].iter().any(|known| said.eq_ignore_ascii_case(known))
        };
        let mut said = said.iter().flatten().peekable();
        if said.peek().is_none() || !said.all(is_for_access) {
            return Err(TokenError::NotForAccess);
        }
        self.mapping.identify(claims)
    }
}

/// As whom the issuer is asked: HTTP Basic with both parts encoded (RFC 6749, section 2.3.1).
fn authorization(client_id: &str, secret: &str) -> Result<HeaderValue, String> {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let both = format!("{}:{}", encoded(client_id), encoded(secret));
    let basic = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(both)));
    let mut basic = basic.map_err(|_| "cannot be sent".to_owned())?;
    basic.set_sensitive(true);
    Ok(basic)
}

#[async_trait]
impl BearerVerifier for OpaqueTokens {
    async fn caller(
        &self,
        token: &str,
        now: Timestamp,
        source: Option<SocketAddr>,
    ) -> Result<Caller, TokenError> {
        if token.len() > LONGEST {
            return Err(TokenError::TooLong);
        }
        // What a bearer token is made of (RFC 6750, section 2.1).
        if token.is_empty()
            || !token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte))
        {
            return Err(TokenError::Malformed);
        }
        let identity = self.identify(token, now, source.map(|source| source.ip())).await?;
        self.terms.judge(&identity, now)?;
        Ok(identity.caller(source))
    }
}
