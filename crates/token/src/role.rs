//! What a principal is for, and which scopes that gives him: the one table of rights beside the contract, where each RPC
//! says what its scopes reach.

use std::collections::BTreeSet;

use roamline_proto::auth::{PrincipalKind, Role};
use roamline_proto::contract::Rpc;
use roamline_proto::options::Reach;

use crate::scope::{
    AUDIT_READ, CREDENTIAL_WRITE, CREDENTIAL_WRITE_USERS, DIRECTORY_BACKUP, DIRECTORY_READ, DIRECTORY_WRITE,
    FEDERATION_READ, FEDERATION_WRITE, KEY_ROTATE, PHONE_LINK, PROFILE_OWN, SERVICE, SESSION_ASSOCIATED,
    SESSION_MANAGE, SESSION_OWN, SESSION_PROXY, SESSION_READ, SESSION_TEAM,
};

/// Every role, in the order in which tables show them.
pub const ROLES: [Role; 10] = [
    Role::Agent,
    Role::Supervisor,
    Role::Helpdesk,
    Role::Administrator,
    Role::Auditor,
    Role::Application,
    Role::PhoneLink,
    Role::Cti,
    Role::Service,
    Role::Peer,
];

/// What the role lets a caller do. A peer is another cluster: it has no token, and is
/// let in by its certificate.
pub fn scopes(role: Role) -> &'static [&'static str] {
    match role {
        Role::Agent => &[SESSION_OWN, PROFILE_OWN],
        Role::Supervisor => &[SESSION_OWN, PROFILE_OWN, SESSION_TEAM],
        Role::Helpdesk => &[
            SESSION_READ,
            SESSION_MANAGE,
            DIRECTORY_READ,
            CREDENTIAL_WRITE_USERS,
            AUDIT_READ,
            FEDERATION_READ,
        ],
        Role::Administrator => &[
            SESSION_READ,
            SESSION_MANAGE,
            SESSION_PROXY,
            DIRECTORY_READ,
            DIRECTORY_WRITE,
            DIRECTORY_BACKUP,
            CREDENTIAL_WRITE,
            KEY_ROTATE,
            PHONE_LINK,
            AUDIT_READ,
            FEDERATION_READ,
            FEDERATION_WRITE,
        ],
        Role::Auditor => &[SESSION_READ, DIRECTORY_READ, AUDIT_READ, FEDERATION_READ],
        Role::Application => &[SESSION_READ, SESSION_MANAGE, SESSION_PROXY, DIRECTORY_READ],
        Role::PhoneLink => &[PHONE_LINK, DIRECTORY_READ, SESSION_READ],
        Role::Cti => &[SESSION_ASSOCIATED],
        Role::Service => SERVICE,
        Role::Peer | Role::Unspecified => &[],
    }
}

/// What these roles together let a caller do, in the order of the scopes' names.
pub fn scopes_of_roles(roles: impl IntoIterator<Item = Role>) -> Vec<&'static str> {
    let given: BTreeSet<_> = roles.into_iter().flat_map(scopes).copied().collect();
    given.into_iter().collect()
}

/// The role of a principal who was given no other. A logout profile signs nobody in.
pub fn role_of(kind: PrincipalKind) -> Option<Role> {
    match kind {
        PrincipalKind::User => Some(Role::Agent),
        PrincipalKind::Application => Some(Role::Application),
        PrincipalKind::Administrator => Some(Role::Administrator),
        PrincipalKind::PhoneLink => Some(Role::PhoneLink),
        PrincipalKind::LogoutProfile | PrincipalKind::Unspecified => None,
    }
}

/// What a principal of that kind may do who was given no other role than that of his kind.
pub fn scopes_of(kind: PrincipalKind) -> &'static [&'static str] {
    role_of(kind).map_or(&[], scopes)
}

/// A role as tokens and tables spell it.
pub fn name(role: Role) -> &'static str {
    match role {
        Role::Unspecified => "none",
        Role::Agent => "agent",
        Role::Supervisor => "supervisor",
        Role::Helpdesk => "helpdesk",
        Role::Administrator => "administrator",
        Role::Auditor => "auditor",
        Role::Application => "application",
        Role::PhoneLink => "phone-link",
        Role::Cti => "cti",
        Role::Service => "service",
        Role::Peer => "peer",
    }
}

/// How far the role reaches in an RPC; `None` where it is not let in.
pub fn reach(role: Role, rpc: &Rpc) -> Option<Reach> {
    rpc.reach(|scope| scopes(role).contains(&scope))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::{CREDENTIAL_VERIFY, DIRECTORY_RESOLVE, SESSION_END};
    use roamline_proto::contract::{PUBLIC, RPCS};

    #[test]
    fn every_scope_that_an_rpc_takes_is_given_to_somebody() {
        let given: BTreeSet<_> = scopes_of_roles(ROLES).into_iter().collect();
        for rpc in RPCS.values() {
            let scopes = rpc.admits.iter().map(|(scope, _)| scope).chain([&rpc.required_scope]);
            for scope in scopes.filter(|scope| *scope != PUBLIC) {
                assert!(given.contains(scope.as_str()), "{} takes {scope:?}", rpc.path);
            }
        }
    }

    #[test]
    fn what_is_for_services_is_given_to_no_principal_and_a_service_changes_no_directory() {
        for role in ROLES.into_iter().filter(|role| *role != Role::Service) {
            for scope in [DIRECTORY_RESOLVE, CREDENTIAL_VERIFY, SESSION_END] {
                assert!(!scopes(role).contains(&scope), "{role:?} {scope}");
            }
        }
        for scope in [SESSION_PROXY, SESSION_MANAGE, DIRECTORY_WRITE, CREDENTIAL_WRITE, PHONE_LINK] {
            assert!(!SERVICE.contains(&scope), "{scope}");
        }
    }

    #[test]
    fn li_1_no_role_that_a_user_can_have_acts_for_others() {
        for role in [Role::Agent, Role::Supervisor, Role::Helpdesk, Role::Auditor] {
            assert!(!scopes(role).contains(&SESSION_PROXY), "{role:?}");
        }
        assert!(scopes(Role::Application).contains(&SESSION_PROXY));
    }

    #[test]
    fn ev_4_an_application_that_follows_its_profiles_has_no_other_right() {
        assert_eq!(scopes(Role::Cti), [SESSION_ASSOCIATED]);
        for role in ROLES.into_iter().filter(|role| *role != Role::Cti) {
            assert!(!scopes(role).contains(&SESSION_ASSOCIATED), "{role:?}");
        }
    }

    #[test]
    fn roles_add_up_and_each_has_a_name_of_its_own() {
        let both = scopes_of_roles([Role::Agent, Role::Auditor]);
        assert_eq!(
            both,
            [AUDIT_READ, DIRECTORY_READ, FEDERATION_READ, PROFILE_OWN, SESSION_OWN, SESSION_READ]
        );
        assert!(scopes_of_roles([]).is_empty() && scopes_of(PrincipalKind::LogoutProfile).is_empty());
        let names: BTreeSet<_> = ROLES.into_iter().map(name).collect();
        assert_eq!(names.len(), ROLES.len());
    }
}
