//! Signs tokens with ES256.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use roamline_proto::auth::{JsonWebKey, PrincipalKind};

use crate::claims::{Claims, kind_name};
use crate::jwks::{KeyError, public_key};

/// A token that could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The lifetime reaches beyond what a timestamp can say.
    #[error("the token would end after the end of time")]
    Lifetime,
    /// The key or the source of randomness failed.
    #[error("the token cannot be signed")]
    Key,
}

/// A token and its end. `Debug` shows the end alone.
#[derive(Clone)]
pub struct SignedToken {
    /// The token, as it goes after `Bearer`.
    pub token: String,
    /// When it ends, to the second.
    pub expires_at: Timestamp,
}

impl fmt::Debug for SignedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedToken").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// Signs for one issuer and one audience with one key. Clones share it.
#[derive(Clone)]
pub struct Signer(Arc<Inner>);

struct Inner {
    issuer: String,
    audience: String,
    header: Header,
    key: EncodingKey,
    public: JsonWebKey,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("issuer", &self.0.issuer)
            .field("kid", &self.0.public.kid)
            .finish_non_exhaustive()
    }
}

/// A new P-256 key in PKCS#8.
///
/// # Errors
/// When the source of randomness fails.
pub fn generate_key() -> Result<Vec<u8>, KeyError> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| KeyError)?;
    Ok(pair.to_pkcs8v1().map_err(|_| KeyError)?.as_ref().to_vec())
}

impl Signer {
    /// A signer with the key of that id.
    ///
    /// # Errors
    /// When `pkcs8` is not a P-256 key.
    pub fn new(
        issuer: impl Into<String>,
        audience: impl Into<String>,
        kid: &str,
        pkcs8: &[u8],
    ) -> Result<Self, KeyError> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(|_| KeyError)?;
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) };
        Ok(Self(Arc::new(Inner {
            issuer: issuer.into(),
            audience: audience.into(),
            header,
            key: EncodingKey::from_ec_der(pkcs8),
            public: public_key(kid, pkcs8)?,
        })))
    }

    /// The public half of its key.
    pub fn public_key(&self) -> &JsonWebKey {
        &self.0.public
    }

    /// A token for `subject`, good from `now` for `lifetime` (whole seconds). A kind of `Unspecified` is a service.
    ///
    /// # Errors
    /// When the lifetime leaves the range of timestamps, or signing fails.
    pub fn sign(
        &self,
        subject: &str,
        kind: PrincipalKind,
        scopes: &[&str],
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<SignedToken, SignError> {
        let issued = now.as_second();
        let ends = i64::try_from(lifetime.as_secs()).ok().and_then(|length| issued.checked_add(length));
        let expires_at = ends.and_then(|end| Timestamp::from_second(end).ok()).ok_or(SignError::Lifetime)?;
        let claims = Claims {
            iss: self.0.issuer.clone(),
            aud: self.0.audience.clone(),
            sub: subject.to_owned(),
            kind: kind_name(kind).to_owned(),
            scope: scopes.join(" "),
            iat: issued,
            nbf: issued,
            exp: expires_at.as_second(),
            jti: token_id()?,
        };
        let token = encode(&self.0.header, &claims, &self.0.key).map_err(|_| SignError::Key)?;
        Ok(SignedToken { token, expires_at })
    }
}

fn token_id() -> Result<String, SignError> {
    let mut bytes = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| SignError::Key)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
