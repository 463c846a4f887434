//! The scopes that RPCs ask for, and which principal is given which of them.

use roamline_proto::auth::PrincipalKind;

/// Read, start and end one's own session.
pub const SESSION_OWN: &str = "session.own";
/// Read every session.
pub const SESSION_READ: &str = "session.read";
/// End every session.
pub const SESSION_MANAGE: &str = "session.manage";
/// Start a session for somebody else without his credential (LI-1).
pub const SESSION_PROXY: &str = "session.proxy";
/// See one's own profiles and edit their speed dials (DP-13).
pub const PROFILE_OWN: &str = "profile.own";
/// Read the directory.
pub const DIRECTORY_READ: &str = "directory.read";
/// Change the directory.
pub const DIRECTORY_WRITE: &str = "directory.write";
/// Read the whole directory with the PINs in it.
pub const DIRECTORY_BACKUP: &str = "directory.backup";
/// Set the credentials of others.
pub const CREDENTIAL_WRITE: &str = "credential.write";
/// Be the link to phones.
pub const PHONE_LINK: &str = "phone.link";
/// For services: resolve what a login is about.
pub const DIRECTORY_RESOLVE: &str = "directory.resolve";
/// For services: check a user's credential.
pub const CREDENTIAL_VERIFY: &str = "credential.verify";
/// For services: end every session, and say why (DP-9).
pub const SESSION_END: &str = "session.end";
/// Read the audit trail.
pub const AUDIT_READ: &str = "audit.read";

/// What the token of a service carries: what a login is about, the service parameters (SP-21), credentials, and the
/// sessions that stand in the way of a deletion (DP-9).
pub const SERVICE: &[&str] =
    &[DIRECTORY_RESOLVE, DIRECTORY_READ, CREDENTIAL_VERIFY, SESSION_OWN, SESSION_READ, SESSION_END];

/// What a principal of that kind may do.
pub fn scopes_of(kind: PrincipalKind) -> &'static [&'static str] {
    match kind {
        PrincipalKind::User => &[SESSION_OWN, PROFILE_OWN],
        PrincipalKind::Application => {
            &[SESSION_OWN, SESSION_READ, SESSION_MANAGE, SESSION_PROXY, DIRECTORY_READ]
        }
        PrincipalKind::Administrator => &[
            PROFILE_OWN,
            SESSION_OWN,
            SESSION_READ,
            SESSION_MANAGE,
            SESSION_PROXY,
            DIRECTORY_READ,
            DIRECTORY_WRITE,
            DIRECTORY_BACKUP,
            CREDENTIAL_WRITE,
            PHONE_LINK,
            AUDIT_READ,
        ],
        PrincipalKind::PhoneLink => &[PHONE_LINK, DIRECTORY_READ, SESSION_READ, SESSION_OWN],
        PrincipalKind::LogoutProfile | PrincipalKind::Unspecified => &[],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use roamline_proto::contract::{PUBLIC, RPCS};

    #[test]
    fn every_scope_that_an_rpc_requires_is_given_to_somebody() {
        let known: BTreeSet<_> =
            scopes_of(PrincipalKind::Administrator).iter().chain(SERVICE).copied().collect();
        for rpc in RPCS.values() {
            let scope = rpc.required_scope.as_str();
            assert!(scope == PUBLIC || known.contains(scope), "{} requires {scope:?}", rpc.path);
        }
    }

    #[test]
    fn what_is_for_services_is_given_to_no_principal_and_a_service_changes_no_directory() {
        let for_services = [DIRECTORY_RESOLVE, CREDENTIAL_VERIFY, SESSION_END];
        for kind in [
            PrincipalKind::Unspecified,
            PrincipalKind::User,
            PrincipalKind::LogoutProfile,
            PrincipalKind::Application,
            PrincipalKind::Administrator,
            PrincipalKind::PhoneLink,
        ] {
            let given = scopes_of(kind);
            assert!(for_services.iter().all(|scope| !given.contains(scope)), "{kind:?}");
        }
        for scope in [SESSION_PROXY, SESSION_MANAGE, DIRECTORY_WRITE, CREDENTIAL_WRITE, PHONE_LINK] {
            assert!(!SERVICE.contains(&scope), "{scope}");
        }
    }

    #[test]
    fn a_user_and_a_logout_profile_get_nothing_of_an_administrator() {
        assert_eq!(scopes_of(PrincipalKind::User), [SESSION_OWN, PROFILE_OWN]);
        assert!(scopes_of(PrincipalKind::LogoutProfile).is_empty());
    }
}
