//! What a principal is for.

use serde::{Deserialize, Serialize};

use super::PrincipalKind;

/// What a principal is for; which scopes that gives him is the token layer's matter. Services and peers are no
/// principals: they hold no credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Signs himself in and out.
    Agent,
    /// Sees and ends the sessions of his teams.
    Supervisor,
    /// Sees everything, ends sessions, sets credentials of users.
    Helpdesk,
    /// Everything but what is for services and peers.
    Administrator,
    /// Reads the audit trail, sessions and directory.
    Auditor,
    /// Acts for others: the proxy right (LI-1).
    Application,
    /// Is the link to phones.
    PhoneLink,
    /// An application without the proxy right: follows the profiles that it is associated with, and controls the phones
    /// on which they are worn (EV-4).
    Cti,
}

impl Role {
    /// The role that a principal of that kind has unless he was given others; a logout profile signs nobody in.
    pub fn of(kind: PrincipalKind) -> Option<Self> {
        match kind {
            PrincipalKind::User => Some(Self::Agent),
            PrincipalKind::LogoutProfile => None,
            PrincipalKind::Application => Some(Self::Application),
            PrincipalKind::Administrator => Some(Self::Administrator),
            PrincipalKind::PhoneLink => Some(Self::PhoneLink),
        }
    }

    /// Whether a principal of that kind may be given the role: people and applications keep apart, so that an end user
    /// never acts for others (LI-1).
    pub fn fits(self, kind: PrincipalKind) -> bool {
        match self {
            Self::Agent | Self::Supervisor => kind == PrincipalKind::User,
            Self::Helpdesk | Self::Auditor => {
                matches!(kind, PrincipalKind::User | PrincipalKind::Administrator)
            }
            Self::Administrator => kind == PrincipalKind::Administrator,
            Self::Application | Self::Cti => kind == PrincipalKind::Application,
            Self::PhoneLink => matches!(kind, PrincipalKind::PhoneLink | PrincipalKind::Application),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [PrincipalKind; 5] = [
        PrincipalKind::User,
        PrincipalKind::LogoutProfile,
        PrincipalKind::Application,
        PrincipalKind::Administrator,
        PrincipalKind::PhoneLink,
    ];

    #[test]
    fn the_role_of_a_kind_fits_it() {
        for kind in KINDS {
            assert!(Role::of(kind).is_none_or(|role| role.fits(kind)), "{kind:?}");
        }
    }

    #[test]
    fn li_1_an_end_user_is_never_given_the_proxy_right() {
        assert!(!Role::Application.fits(PrincipalKind::User));
        assert!(!Role::Administrator.fits(PrincipalKind::User));
    }
}
