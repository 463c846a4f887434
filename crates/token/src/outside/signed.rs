//! Tokens that an issuer has signed: their signature is checked once with the issuer's keys, their times at every use.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use quick_cache::sync::Cache;

use super::Terms;
use super::config::IssuerConfig;
use super::identity::{Claims, Identity, Mapping, is_for_access};
use super::keys::Keys;
use crate::bearer_verifier::BearerVerifier;
use crate::caller::Caller;
use crate::verifier::{Digest, MAX_TOKEN_BYTES, TokenError, digest};

/// A token whose signature is good.
#[derive(Clone)]
pub(super) struct Verified {
    identity: Arc<Identity>,
    /// By which keys.
    keys: u64,
}

/// Judges the tokens of one issuer.
pub(super) struct SignedTokens {
    mapping: Mapping,
    keys: Arc<Keys>,
    /// One for each algorithm: the library takes only those of one kind of keys together.
    validations: Vec<Validation>,
    require_at_jwt: bool,
    terms: Terms,
    /// Shared with other issuers: a token is of one of them.
    verified: Arc<Cache<Digest, Verified>>,
}

impl SignedTokens {
    pub(super) fn new(
        config: &IssuerConfig,
        mapping: Mapping,
        keys: Keys,
        terms: Terms,
        verified: Arc<Cache<Digest, Verified>>,
    ) -> Self {
        let audiences: Vec<_> = config.audiences.iter().collect();
        let validation = |algorithm: Algorithm| {
            let mut validation = Validation::new(algorithm);
            validation.set_issuer(&[&config.issuer]);
            validation.set_audience(&audiences);
            validation.set_required_spec_claims(&["iss", "aud", "exp"]);
            // The library compares with the system's clock; ours is an argument.
            validation.validate_exp = false;
            validation.validate_nbf = false;
            validation
        };
        Self {
            mapping,
            keys: Arc::new(keys),
            validations: config.algorithms.iter().map(|algorithm| validation(algorithm.of_jwt())).collect(),
            require_at_jwt: config.require_at_jwt,
            terms,
            verified,
        }
    }

    pub(super) fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys)
    }

    async fn identify(
        &self,
        token: &str,
        digest: Digest,
        now: Timestamp,
    ) -> Result<Arc<Identity>, TokenError> {
        let keys = self.keys.changed(now);
        if let Some(Verified { identity, keys: by }) = self.verified.get(&digest)
            && keys == Some(by)
        {
            return Ok(identity);
        }
        let identity = Arc::new(self.decode(token, now).await?);
        // Keys that changed meanwhile count as the earlier ones: the next use verifies anew.
        if let Some(keys) = keys {
            self.verified.insert(digest, Verified { identity: Arc::clone(&identity), keys });
        }
        Ok(identity)
    }

    async fn decode(&self, token: &str, now: Timestamp) -> Result<Identity, TokenError> {
        let header = decode_header(token).map_err(|_| TokenError::Malformed)?;
        // What must be understood and is not (RFC 7515, section 4.1.11).
        if header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        let fits = |validation: &&Validation| validation.algorithms.contains(&header.alg);
        let validation = self.validations.iter().find(fits).ok_or(TokenError::BadSignature)?;
        let kid = header.kid.as_deref().ok_or(TokenError::Malformed)?;
        let key = self.keys.get(kid, header.alg, now).await?;
        let claims = decode::<Claims>(token, &key, validation).map_err(|error| refused(&error))?.claims;
        is_for_access(header.typ.as_deref(), self.require_at_jwt, &claims)?;
        let identity = self.mapping.identify(&claims)?;
        match identity.issued {
            Some(_) => Ok(identity),
            None => Err(TokenError::Malformed),
        }
    }
}

fn refused(error: &jsonwebtoken::errors::Error) -> TokenError {
    match error.kind() {
        ErrorKind::InvalidSignature => TokenError::BadSignature,
        ErrorKind::InvalidAudience => TokenError::WrongAudience,
        ErrorKind::InvalidIssuer => TokenError::Untrusted,
        _ => TokenError::Malformed,
    }
}

#[async_trait]
impl BearerVerifier for SignedTokens {
    async fn caller(
        &self,
        token: &str,
        now: Timestamp,
        source: Option<SocketAddr>,
    ) -> Result<Caller, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let digest = digest(token);
        let identity = self.identify(token, digest, now).await?;
        self.terms.judge(&identity, now).inspect_err(|_| {
            self.verified.remove(&digest);
        })?;
        Ok(identity.caller(source))
    }
}
