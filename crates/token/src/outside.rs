//! Tokens from outside of the cluster: of OpenID Connect issuers whose users are ours. A token that an issuer has signed is
//! verified here with the issuer's published keys; an opaque one is shown to the issuer that knows it. What either proves
//! is mapped to a caller as the operator says.

mod config;
mod followed;
mod identity;
mod introspection;
mod keys;
mod signed;
mod way;
mod web;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::dangerous::insecure_decode_claims;
use quick_cache::sync::Cache;
use serde::Deserialize;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::Now;
use crate::bearer_verifier::BearerVerifier;
use crate::revocations::Revocations;
use crate::verifier::{REMEMBERED, TokenError};

pub use config::{IntrospectionConfig, IssuerConfig, MappedRole, SignatureAlgorithm, SsoConfig, SsoError};

use followed::Follows;
use identity::{Identity, Mapping};
use introspection::OpaqueTokens;
use keys::Keys;
use signed::SignedTokens;
use web::Web;

/// How often is looked whether the keys of an issuer are due.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often is looked whether files have changed.
const LOOK_AT_FILES_EVERY: Duration = Duration::from_secs(1);

/// Makes a user id of what an issuer calls a user; `None` where it cannot be one.
pub type UserIdOf = fn(&str) -> Option<String>;

/// Who may have an issuer asked about a token that nobody here knows. A question costs the issuer and us, and anybody can
/// make up tokens.
pub trait QuestionLimit: Send + Sync {
    /// How long nothing is asked for somebody at that address; `None` where something may be asked at `now`.
    fn wait(&self, source: IpAddr, now: Timestamp) -> Option<Duration>;

    /// Counts a token from there that its issuer did not know, or that is good for nothing here.
    fn asked_in_vain(&self, source: IpAddr, now: Timestamp);
}

/// Under which terms a token is good, whoever's it is.
#[derive(Clone)]
pub(crate) struct Terms {
    /// How far clocks may be apart, in seconds.
    pub leeway: i64,
    /// Whose tokens are refused.
    pub revocations: Revocations,
    /// Who may have an issuer asked.
    pub limit: Arc<dyn QuestionLimit>,
}

impl Terms {
    /// Whether a token that proves this is good at `now`.
    fn judge(&self, identity: &Identity, now: Timestamp) -> Result<(), TokenError> {
        let (second, leeway) = (now.as_second(), self.leeway);
        if second < identity.begins.saturating_sub(leeway) {
            return Err(TokenError::NotYetValid);
        }
        if second >= identity.ends.saturating_add(leeway) {
            return Err(TokenError::Expired);
        }
        if second >= identity.too_old.saturating_add(leeway) {
            return Err(TokenError::TooOld);
        }
        // An instant of a whole second may be before or after what was revoked within it.
        let issued = identity.issued.map_or(i64::MIN, |second| second.saturating_mul(1_000_000));
        match self.revocations.refuse_principal(&identity.name, issued) {
            true => Err(TokenError::Revoked),
            false => Ok(()),
        }
    }
}

/// The issuers whose tokens are believed.
pub(crate) struct Outside {
    signed: HashMap<String, SignedTokens>,
    opaque: Option<OpaqueTokens>,
    files: Vec<Arc<dyn Follows>>,
}

impl Outside {
    /// Those of the configuration. Files are read; nobody is asked for anything yet.
    pub(crate) fn new(config: &SsoConfig, user_id: UserIdOf, terms: &Terms) -> Result<Self, SsoError> {
        config.check()?;
        let remembered = Arc::new(Cache::new(REMEMBERED));
        let (mut signed, mut opaque, mut files) = (HashMap::new(), None, Vec::new());
        for (number, issuer) in config.issuers.iter().enumerate() {
            let place = |key: &str| format!("issuers[{number}].{key}");
            let web = Web::new(&issuer.ca_file, issuer.timeout)
                .map_err(|problem| SsoError::new(place("ca_file"), problem))?;
            files.push(web.file());
            let mapping = Mapping::new(issuer, user_id);
            if !issuer.introspection.endpoint.is_empty() {
                let tokens = OpaqueTokens::new(issuer, mapping.clone(), web.clone(), terms.clone());
                let tokens = tokens.map_err(|error| error.within(&place("introspection")))?;
                files.push(tokens.file());
                opaque = Some(tokens);
            }
            let keys = Keys::new(issuer, web).map_err(|problem| SsoError::new(place("jwks_uri"), problem))?;
            let tokens = SignedTokens::new(issuer, mapping, keys, terms.clone(), Arc::clone(&remembered));
            signed.insert(issuer.issuer.clone(), tokens);
        }
        Ok(Self { signed, opaque, files })
    }

    /// Who judges that token, if it is somebody here. What it says of its issuer only chooses who looks at it.
    pub(crate) fn verifier_of(&self, token: &str) -> Option<&dyn BearerVerifier> {
        #[derive(Deserialize)]
        struct Issued {
            iss: String,
        }
        if !is_jwt(token) {
            return self.opaque.as_ref().map(|tokens| tokens as &dyn BearerVerifier);
        }
        let Issued { iss } = insecure_decode_claims(token).ok()?;
        self.signed.get(&iss).map(|tokens| tokens as &dyn BearerVerifier)
    }

    /// Fetches the issuers' keys before anybody needs them, and reads their files when they change, without end.
    pub(crate) fn follow(&self, now: Now) -> impl Future<Output = ()> + Send + 'static {
        let keys: Vec<_> = self.signed.values().map(SignedTokens::keys).collect();
        let files = self.files.clone();
        async move {
            let fetching = async {
                let mut ticks = every(LOOK_EVERY);
                loop {
                    ticks.tick().await;
                    for keys in &keys {
                        keys.refresh_if_due(now()).await;
                    }
                }
            };
            let reading = async {
                let mut ticks = every(LOOK_AT_FILES_EVERY);
                loop {
                    ticks.tick().await;
                    for file in &files {
                        file.look().await;
                    }
                }
            };
            tokio::select! {
                () = fetching => {}
                () = reading => {}
            }
        }
    }
}

fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Whether a token is meant to be a signed one (RFC 7515): three parts.
fn is_jwt(token: &str) -> bool {
    token.bytes().filter(|byte| *byte == b'.').count() == 2
}
