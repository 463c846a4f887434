//! What a token says: the registered claims, the kind of its principal, and its scopes.

use roamline_proto::auth::PrincipalKind;
use serde::{Deserialize, Serialize};

/// The claims of an access token. Instants are whole seconds since 1970, as RFC 7519 has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The cluster that signed it.
    pub iss: String,
    /// The cluster it is for.
    pub aud: String,
    /// The principal's name.
    pub sub: String,
    /// The principal's kind: `user`, `application`, ... or `service`.
    pub kind: String,
    /// Scopes, separated by a space.
    pub scope: String,
    /// Signed at.
    pub iat: i64,
    /// Good from.
    pub nbf: i64,
    /// Good until.
    pub exp: i64,
    /// Its own id.
    pub jti: String,
}

/// A kind as a token spells it. A service has no kind of the contract: it holds no credential.
pub(crate) fn kind_name(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::Unspecified => "service",
        PrincipalKind::User => "user",
        PrincipalKind::LogoutProfile => "logout-profile",
        PrincipalKind::Application => "application",
        PrincipalKind::Administrator => "administrator",
        PrincipalKind::PhoneLink => "phone-link",
    }
}

pub(crate) fn kind_named(name: &str) -> Option<PrincipalKind> {
    [
        PrincipalKind::Unspecified,
        PrincipalKind::User,
        PrincipalKind::LogoutProfile,
        PrincipalKind::Application,
        PrincipalKind::Administrator,
        PrincipalKind::PhoneLink,
    ]
    .into_iter()
    .find(|kind| kind_name(*kind) == name)
}
