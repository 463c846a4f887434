//! Signs tokens with ES256.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use roamline_proto::auth::{JsonWebKey, PrincipalKind};

use crate::claims::{Claims, kind_name, micros};
use crate::jwks::{KeyError, public_key};
use crate::verifier::audience_of;

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
    /// The key that has signed it.
    pub(crate) kid: String,
}

impl fmt::Debug for SignedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedToken").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// What a token shall say.
#[derive(Clone, Copy, Debug)]
pub struct NewToken<'a> {
    /// The principal's name, or the service's.
    pub subject: &'a str,
    /// His kind; `Unspecified` is a service.
    pub kind: PrincipalKind,
    /// What he is for.
    pub roles: &'a [&'a str],
    /// What it allows.
    pub scopes: &'a [&'a str],
    /// The sign-in that it comes of.
    pub sign_in: Option<&'a str>,
    /// For which services it is; none is all of the cluster.
    pub services: &'a [&'a str],
    /// When it is signed.
    pub now: Timestamp,
    /// An instant that it must be signed after, whatever the clock says: those up to it are revoked.
    pub after: Option<Timestamp>,
    /// How long it is good, in whole seconds.
    pub lives_for: Duration,
}

/// Signs for one issuer and one cluster with one key, which may be replaced. Clones share it.
#[derive(Clone)]
pub struct Signer(Arc<Inner>);

struct Inner {
    issuer: String,
    audience: String,
    key: ArcSwap<Key>,
}

struct Key {
    header: Header,
    key: EncodingKey,
    public: JsonWebKey,
}

impl Key {
    fn new(kid: &str, pkcs8: &[u8]) -> Result<Self, KeyError> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(|_| KeyError)?;
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) };
        Ok(Self { header, key: EncodingKey::from_ec_der(pkcs8), public: public_key(kid, pkcs8)? })
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("issuer", &self.0.issuer)
            .field("kid", &self.0.key.load().public.kid)
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
        let key = ArcSwap::from_pointee(Key::new(kid, pkcs8)?);
        Ok(Self(Arc::new(Inner { issuer: issuer.into(), audience: audience.into(), key })))
    }

    /// Signs with the key of that id from now on; so do all clones.
    ///
    /// # Errors
    /// When `pkcs8` is not a P-256 key.
    pub fn replace(&self, kid: &str, pkcs8: &[u8]) -> Result<(), KeyError> {
        self.0.key.store(Arc::new(Key::new(kid, pkcs8)?));
        Ok(())
    }

    /// Whether it signs with the key of that id now.
    pub(crate) fn signs_with(&self, kid: &str) -> bool {
        self.0.key.load().public.kid == kid
    }

    /// The public half of its key.
    pub fn public_key(&self) -> JsonWebKey {
        self.0.key.load().public.clone()
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
        self.sign_new(&NewToken {
            subject,
            kind,
            roles: &[],
            scopes,
            sign_in: None,
            services: &[],
            now,
            after: None,
            lives_for: lifetime,
        })
    }

    /// A token that says this.
    ///
    /// # Errors
    /// When the lifetime leaves the range of timestamps, or signing fails.
    pub fn sign_new(&self, token: &NewToken<'_>) -> Result<SignedToken, SignError> {
        let begins = token.now.as_second();
        let length = i64::try_from(token.lives_for.as_secs()).ok();
        let ends = length.and_then(|length| begins.checked_add(length));
        let expires_at = ends.and_then(|end| Timestamp::from_second(end).ok()).ok_or(SignError::Lifetime)?;
        let after = token.after.map_or(i64::MIN, |after| micros(after).saturating_add(1));
        let signed = micros(token.now).max(after);
        let cluster = &self.0.audience;
        let services = token.services.iter().map(|service| audience_of(cluster, service)).collect();
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let claims = Claims {
            iss: self.0.issuer.clone(),
            aud: if token.services.is_empty() { vec![cluster.clone()] } else { services },
            sub: token.subject.to_owned(),
            kind: kind_name(token.kind).to_owned(),
            scope: token.scopes.join(" "),
            roles: owned(token.roles),
            sid: token.sign_in.map(str::to_owned),
            iat: signed.div_euclid(1_000_000),
            iat_us: Some(signed),
            nbf: begins,
            exp: expires_at.as_second(),
            jti: token_id()?,
        };
        let key = self.0.key.load();
        let token = encode(&key.header, &claims, &key.key).map_err(|_| SignError::Key)?;
        Ok(SignedToken { token, expires_at, kid: key.public.kid.clone() })
    }
}

fn token_id() -> Result<String, SignError> {
    let mut bytes = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| SignError::Key)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
