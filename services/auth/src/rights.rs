//! What a caller may do within an RPC that lets him in with less than its whole scope.

use roamline_proto::auth::{DeleteCredentialsRequest, PrincipalKind, SetCredentialsRequest};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_token::Caller;
use roamline_token::scope::CREDENTIAL_WRITE;

/// Who may set credentials of users only is refused others, and gives nobody a role. That a name is no other kind's is
/// seen later (DP-16).
///
/// # Errors
/// `SCOPE_MISSING`.
pub(crate) fn may_set(caller: &Caller, request: &SetCredentialsRequest) -> Result<(), Refusal> {
    let of_a_user_alone = request
        .credentials
        .iter()
        .all(|item| item.principal_kind() == PrincipalKind::User && item.roles.is_empty());
    if of_a_user_alone || caller.has(CREDENTIAL_WRITE) {
        return Ok(());
    }
    let told =
        format!("the token lacks the scope {CREDENTIAL_WRITE}, which others than users, and roles, need");
    Err(Refusal::new(ErrorReason::ScopeMissing, told).with("scope", CREDENTIAL_WRITE))
}

/// Who may remove credentials of users only must say that he means no others.
///
/// # Errors
/// `SCOPE_MISSING`.
pub(crate) fn may_remove(caller: &Caller, request: &DeleteCredentialsRequest) -> Result<(), Refusal> {
    if request.principal_kind() == PrincipalKind::User || caller.has(CREDENTIAL_WRITE) {
        return Ok(());
    }
    let told = format!("the token lacks the scope {CREDENTIAL_WRITE}, which others than users need");
    Err(Refusal::new(ErrorReason::ScopeMissing, told).with("scope", CREDENTIAL_WRITE))
}

#[cfg(test)]
mod tests {
    use roamline_proto::auth::{NewCredential, Role};
    use roamline_token::role;

    use super::*;

    fn caller(role: Role) -> Caller {
        let scopes =
            std::sync::Arc::new(role::scopes(role).iter().map(|scope| (*scope).to_owned()).collect());
        Caller { name: "somebody".into(), kind: PrincipalKind::User, scopes, ..Caller::anonymous(None) }
    }

    fn request(kinds: &[PrincipalKind], roles: &[Role]) -> SetCredentialsRequest {
        let one = |kind: &PrincipalKind| NewCredential {
            name: "x".into(),
            principal_kind: (*kind).into(),
            roles: roles.iter().map(|role| (*role).into()).collect(),
            ..Default::default()
        };
        SetCredentialsRequest { credentials: kinds.iter().map(one).collect(), ..Default::default() }
    }

    #[test]
    fn a_service_removes_credentials_of_users_and_of_nobody_else() {
        let service = caller(Role::Service);
        let of = |kind: PrincipalKind| DeleteCredentialsRequest {
            names: vec!["x".into()],
            principal_kind: kind.into(),
        };
        may_remove(&service, &of(PrincipalKind::User)).unwrap();
        for kind in [PrincipalKind::Unspecified, PrincipalKind::Administrator, PrincipalKind::Application] {
            let told = may_remove(&service, &of(kind)).unwrap_err();
            assert_eq!(
                (told.reason, told.metadata["scope"].as_str()),
                (ErrorReason::ScopeMissing, "credential.write")
            );
            may_remove(&caller(Role::Administrator), &of(kind)).unwrap();
        }
    }

    #[test]
    fn sp_14_a_helpdesk_sets_credentials_of_users_and_gives_nobody_a_role() {
        let helpdesk = caller(Role::Helpdesk);
        let (user, application) = (PrincipalKind::User, PrincipalKind::Application);
        may_set(&helpdesk, &request(&[user, user], &[])).unwrap();
        for refused in [
            request(&[application], &[]),
            request(&[user, PrincipalKind::Administrator], &[]),
            request(&[PrincipalKind::Unspecified], &[]),
            request(&[user], &[Role::Helpdesk]),
        ] {
            let told = may_set(&helpdesk, &refused).unwrap_err();
            assert_eq!(
                (told.reason, told.metadata["scope"].as_str()),
                (ErrorReason::ScopeMissing, "credential.write")
            );
            may_set(&caller(Role::Administrator), &refused).unwrap();
        }
    }
}
