//! Tokens, revocations and roles between the wire and this service.

use roamline_domain::PrincipalName;
use roamline_proto::auth::{self as proto, revocation::Of};
use roamline_store::{Principal, RevocationPage, Revoked};

use super::removal::parsed;
use super::{instant, role_to_proto};
use crate::error::AuthError;
use crate::refresh_token::RefreshToken;

/// The most principals whose tokens are revoked at once.
const MOST_NAMES: usize = 1_000;

/// What a principal is for.
pub(crate) fn roles_to_proto(principal: &Principal) -> Vec<proto::Role> {
    principal.held_roles().into_iter().map(role_to_proto).collect()
}

pub(crate) fn revocations_to_proto(page: RevocationPage) -> proto::ListRevocationsResponse {
    let one = |revocation: roamline_store::Revocation| proto::Revocation {
        of: Some(match revocation.of {
            Revoked::SignIn(id) => Of::SignIn(id),
            Revoked::Principal(name) => Of::Principal(name.into()),
            Revoked::Key(kid) => Of::Key(kid),
        }),
        signed_until: Some(instant(revocation.signed_until)),
        expire_time: Some(instant(revocation.expires_at)),
    };
    proto::ListRevocationsResponse {
        revocations: page.revocations.into_iter().map(one).collect(),
        revision: page.revision,
    }
}

/// Whose tokens are to be revoked.
pub(crate) fn names(request: &proto::RevokeTokensRequest) -> Result<Vec<PrincipalName>, AuthError> {
    parsed(&request.names, MOST_NAMES)
}

/// A refresh token as a client sends it. What is none is refused as one that is good no more.
pub(crate) fn refresh_token(text: &str) -> Result<RefreshToken, AuthError> {
    RefreshToken::parse(text).ok_or(AuthError::RefreshRefused)
}
