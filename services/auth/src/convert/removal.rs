//! Names of those whose credentials are deleted, or asked about.

use roamline_domain::credential::PrincipalKind;
use roamline_domain::{PrincipalName, Violations};
use roamline_proto::auth as proto;

use super::kind_from_proto;
use crate::error::AuthError;

/// The most principals that are deleted at once.
const MOST_NAMES: usize = 10_000;

/// Whose credentials are to be deleted, and of which kind alone.
pub(crate) fn removal(
    request: &proto::DeleteCredentialsRequest,
) -> Result<(Vec<PrincipalName>, Option<PrincipalKind>), AuthError> {
    let kind = kind_from_proto(request.principal_kind);
    if kind.is_none() && request.principal_kind != 0 {
        let mut wrong = Violations::new();
        wrong.add("principal_kind", "", "must be a kind of principals");
        return Err(AuthError::Malformed(wrong));
    }
    Ok((parsed(&request.names, MOST_NAMES)?, kind))
}

/// One name.
pub(crate) fn name(text: &str) -> Result<PrincipalName, AuthError> {
    let mut wrong = Violations::new();
    wrong.take("name", text.parse()).ok_or(AuthError::Malformed(wrong))
}

/// So many names at most.
pub(super) fn parsed(names: &[String], most: usize) -> Result<Vec<PrincipalName>, AuthError> {
    let mut wrong = Violations::new();
    if names.len() > most {
        wrong.add("names", "", format!("has {} entries, more than {most}", names.len()));
        return Err(AuthError::Malformed(wrong));
    }
    let parsed = names.iter().enumerate();
    let parsed = parsed
        .filter_map(|(index, name)| wrong.take(format!("names[{index}]"), name.parse::<PrincipalName>()))
        .collect();
    wrong.none_or(parsed).map_err(AuthError::Malformed)
}
