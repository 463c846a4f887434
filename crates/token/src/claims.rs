//! What a token says: the registered claims, the kind of its principal, and its scopes.

use jiff::Timestamp;
use roamline_proto::auth::PrincipalKind;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The claims of an access token. Instants are whole seconds since 1970, as RFC 7519 has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The cluster that signed it.
    pub iss: String,
    /// What it is for: the cluster with all its services (`roamline:CLUSTER`), or services of it
    /// (`roamline:CLUSTER/SERVICE`).
    #[serde(serialize_with = "one_or_many", deserialize_with = "many_or_one")]
    pub aud: Vec<String>,
    /// The principal's name.
    pub sub: String,
    /// The principal's kind: `user`, `application`, ... or `service`.
    pub kind: String,
    /// Scopes, separated by a space.
    pub scope: String,
    /// What he is for; that is told, the scopes decide.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// The sign-in that it came of, where it came of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// Signed at.
    pub iat: i64,
    /// The same in microseconds, for what is revoked and signed anew within one second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat_us: Option<i64>,
    /// Good from.
    pub nbf: i64,
    /// Good until.
    pub exp: i64,
    /// Its own id.
    pub jti: String,
}

impl Claims {
    /// When it was signed, in microseconds since 1970.
    pub(crate) fn signed_at(&self) -> i64 {
        self.iat_us.unwrap_or_else(|| self.iat.saturating_mul(1_000_000))
    }
}

/// As RFC 7519 has it: an audience alone stands there without a list.
fn one_or_many<S: Serializer>(audiences: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    match audiences {
        [one] => one.serialize(serializer),
        many => many.serialize(serializer),
    }
}

fn many_or_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Audience {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Audience::deserialize(deserializer)? {
        Audience::One(one) => vec![one],
        Audience::Many(many) => many,
    })
}

/// An instant as [`Claims::signed_at`] has it; what is finer is cut off.
pub(crate) fn micros(instant: Timestamp) -> i64 {
    instant.as_microsecond()
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
