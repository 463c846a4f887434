//! Public keys: from a signing key to the wire, and from the wire to what verifies a signature.

use std::collections::HashMap;

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use roamline_proto::auth::JsonWebKey;

/// A signing key that is none.
#[derive(Debug, thiserror::Error)]
#[error("not a P-256 key in PKCS#8")]
pub struct KeyError;

/// The public half of a signing key, as it is published.
///
/// # Errors
/// When `pkcs8` is not a P-256 key.
pub fn public_key(kid: &str, pkcs8: &[u8]) -> Result<JsonWebKey, KeyError> {
    let jwk =
        Jwk::from_encoding_key(&EncodingKey::from_ec_der(pkcs8), Algorithm::ES256).map_err(|_| KeyError)?;
    let AlgorithmParameters::EllipticCurve(point) = jwk.algorithm else { return Err(KeyError) };
    Ok(JsonWebKey {
        kid: kid.to_owned(),
        kty: "EC".to_owned(),
        crv: "P-256".to_owned(),
        x: point.x,
        y: point.y,
        alg: "ES256".to_owned(),
        r#use: "sig".to_owned(),
    })
}

/// The keys that verify, by key id.
#[derive(Default)]
pub(crate) struct KeySet {
    keys: HashMap<String, DecodingKey>,
    /// As they were published.
    published: Vec<JsonWebKey>,
}

impl KeySet {
    /// Takes the keys that can verify ES256; others in the list are not ours to judge.
    pub(crate) fn of(keys: &[JsonWebKey]) -> Self {
        let usable = keys.iter().filter(|key| key.kty == "EC" && key.crv == "P-256" && key.alg == "ES256");
        let decoded = usable
            .filter_map(|key| Some((key.kid.clone(), DecodingKey::from_ec_components(&key.x, &key.y).ok()?)));
        Self { keys: decoded.collect(), published: keys.to_vec() }
    }

    /// Whether it is made of these keys.
    pub(crate) fn is_of(&self, keys: &[JsonWebKey]) -> bool {
        self.published == keys
    }

    pub(crate) fn get(&self, kid: &str) -> Option<&DecodingKey> {
        self.keys.get(kid)
    }
}
