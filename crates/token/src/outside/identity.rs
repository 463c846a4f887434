//! What the claims of a token from outside prove: that it is an access token for us, whose it is, what he may do, and for
//! how long. The claims come from a signature that was checked, or from the issuer itself.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use roamline_proto::auth::PrincipalKind;
use serde_json::{Map, Value};

use super::UserIdOf;
use super::config::{IssuerConfig, MappedRole};
use crate::caller::Caller;
use crate::role::scopes_of_roles;
use crate::verifier::TokenError;

pub(super) type Claims = Map<String, Value>;

/// What a token proves, and when it is good. Instants are seconds since 1970.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub name: String,
    pub kind: PrincipalKind,
    pub scopes: Arc<BTreeSet<String>>,
    pub issued: Option<i64>,
    pub begins: i64,
    pub ends: i64,
    /// When it is older than the operator allows.
    pub too_old: i64,
}

impl Identity {
    pub(super) fn caller(&self, source: Option<SocketAddr>) -> Caller {
        Caller { name: self.name.clone(), kind: self.kind, scopes: Arc::clone(&self.scopes), source }
    }
}

/// How an issuer's claims are read. Clones share it.
#[derive(Clone)]
pub(super) struct Mapping {
    config: Arc<IssuerConfig>,
    user_id: UserIdOf,
}

impl Mapping {
    pub(super) fn new(config: &IssuerConfig, user_id: UserIdOf) -> Self {
        Self { config: Arc::new(config.clone()), user_id }
    }

    /// What the claims of an access token prove.
    ///
    /// # Errors
    /// Why they prove nothing.
    pub(super) fn identify(&self, claims: &Claims) -> Result<Identity, TokenError> {
        let config = &*self.config;
        // A token that is bound to a key (RFC 9449, RFC 8705) is worth nothing without the proof of that key.
        if claims.get("cnf").is_some_and(|cnf| !cnf.is_null()) {
            return Err(TokenError::Bound);
        }
        if claims.get("iss").is_some_and(|issuer| issuer.as_str() != Some(&config.issuer)) {
            return Err(TokenError::Untrusted);
        }
        if !texts(claims.get("aud")).iter().any(|audience| config.audiences.contains(*audience)) {
            return Err(TokenError::WrongAudience);
        }
        let scopes: Vec<_> =
            ["scope", "scp"].into_iter().flat_map(|claim| words(claims.get(claim))).collect();
        if !config.required_scope.is_empty() && !scopes.contains(&config.required_scope.as_str()) {
            return Err(TokenError::LacksScope);
        }
        let name = self.user(claims).ok_or(TokenError::NoUser)?;
        let roles = self.roles(claims);
        let issued = instant(claims, "iat")?;
        let age = i64::try_from(config.max_age.as_secs()).unwrap_or(i64::MAX);
        let too_old = match (age, issued) {
            (0, _) => i64::MAX,
            (age, Some(issued)) => issued.saturating_add(age),
            (_, None) => return Err(TokenError::Malformed),
        };
        let given = scopes_of_roles(roles.iter().map(|role| role.role()));
        Ok(Identity {
            name,
            kind: kind_of(&roles),
            scopes: Arc::new(given.into_iter().map(str::to_owned).collect()),
            issued,
            begins: instant(claims, "nbf")?.unwrap_or(i64::MIN).max(issued.unwrap_or(i64::MIN)),
            ends: instant(claims, "exp")?.unwrap_or(i64::MAX),
            too_old,
        })
    }

    fn user(&self, claims: &Claims) -> Option<String> {
        let config = &*self.config;
        let named = claims.get(&config.user_claim)?.as_str()?;
        // Anybody may have given himself an address that nobody has verified.
        let verified = |claim: &Value| matches!(claim, Value::Bool(true)) || claim.as_str() == Some("true");
        if config.user_claim == "email" && !claims.get("email_verified").is_some_and(verified) {
            return None;
        }
        let folded = named.to_ascii_lowercase();
        (self.user_id)(folded.strip_suffix(&config.strip_suffix.to_ascii_lowercase())?)
    }

    fn roles(&self, claims: &Claims) -> BTreeSet<MappedRole> {
        let config = &*self.config;
        let claim = claim(claims, &config.roles_claim);
        let values = texts(claim).into_iter().chain(words(claim));
        let mapped: BTreeSet<_> = values.filter_map(|value| config.roles.get(value)).copied().collect();
        if mapped.is_empty() { config.default_roles.clone() } else { mapped }
    }
}

/// Refuses what an issuer signs that is no access token (RFC 9068, section 2; OpenID Connect Core, section 2).
///
/// # Errors
/// `NotForAccess`.
pub(super) fn is_for_access(typ: Option<&str>, required: bool, claims: &Claims) -> Result<(), TokenError> {
    let typ = typ.unwrap_or_default().to_ascii_lowercase();
    let is_marked = match typ.strip_prefix("application/").unwrap_or(&typ) {
        "at+jwt" => true,
        "" | "jwt" if !required => false,
        _ => return Err(TokenError::NotForAccess),
    };
    let said = |claim: &str| claims.get(claim).and_then(Value::as_str).map(str::to_ascii_lowercase);
    let of_another_use = said("typ").is_some_and(|typ| !["bearer", "at+jwt", "jwt"].contains(&typ.as_str()))
        || said("token_use").is_some_and(|usage| !["access", "access_token"].contains(&usage.as_str()))
        || ["at_hash", "c_hash", "events"].iter().any(|claim| claims.contains_key(*claim));
    // What is not marked must at least say something that an ID token never does.
    let is_meant = said("typ").is_some_and(|typ| typ == "bearer")
        || ["scope", "scp", "client_id"].iter().any(|claim| claims.contains_key(*claim));
    if of_another_use || !(is_marked || is_meant) {
        return Err(TokenError::NotForAccess);
    }
    Ok(())
}

/// Whoever administers is no end user, and neither is an application (LI-1).
fn kind_of(roles: &BTreeSet<MappedRole>) -> PrincipalKind {
    if roles.contains(&MappedRole::Administrator) {
        PrincipalKind::Administrator
    } else if roles.contains(&MappedRole::Application) {
        PrincipalKind::Application
    } else {
        PrincipalKind::User
    }
}

/// The claim of that name, or at the end of that path.
fn claim<'a>(claims: &'a Claims, name: &str) -> Option<&'a Value> {
    claims.get(name).or_else(|| {
        let (first, rest) = name.split_once('.')?;
        claim(claims.get(first)?.as_object()?, rest)
    })
}

/// A text, or the texts of a list.
fn texts(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The words of a text, or the texts of a list.
fn words(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(text)) => text.split_ascii_whitespace().collect(),
        other => texts(other),
    }
}

/// A NumericDate (RFC 7519), without its fraction.
fn instant(claims: &Claims, name: &str) -> Result<Option<i64>, TokenError> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => {
            #[allow(
                clippy::cast_possible_truncation,
                reason = "a number that is too large becomes the largest"
            )]
            let whole = number.as_i64().or_else(|| number.as_f64().map(|seconds| seconds as i64));
            whole.map(Some).ok_or(TokenError::Malformed)
        }
        Some(_) => Err(TokenError::Malformed),
    }
}
