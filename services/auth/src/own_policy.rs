//! Credential policies of single principals (SP-14): each field that one has of his own holds in place of the cluster's.

use std::collections::BTreeMap;

use roamline_domain::credential::{CredentialPolicy, OwnPolicy};
use roamline_domain::{PrincipalName, Violations};
use roamline_store::Principal;

use crate::Service;
use crate::error::AuthError;
use crate::sign_in::COMMITS;

impl Service {
    /// The credential policy that is in force for somebody now.
    pub(crate) fn policy_of(&self, principal: &Principal) -> CredentialPolicy {
        principal.policy.over(&self.policy.load())
    }

    /// What he has of his own, and what is in force for him.
    pub(crate) async fn credential_policy(
        &self,
        name: &PrincipalName,
    ) -> Result<(OwnPolicy, CredentialPolicy), AuthError> {
        let principal = self.store.principal(name).await?;
        let principal = principal.ok_or_else(|| AuthError::Unknown(name.clone()))?;
        let in_force = self.policy_of(&principal);
        Ok((principal.policy, in_force))
    }

    /// Gives all of them that policy of their own, or none of them.
    pub(crate) async fn set_credential_policy(
        &self,
        names: &[PrincipalName],
        policy: &OwnPolicy,
    ) -> Result<(), AuthError> {
        let mut wrong = Violations::new();
        wrong.extend_under("credential_policy", policy.check());
        wrong.none_or(()).map_err(AuthError::Invalid)?;
        for _ in 0..COMMITS {
            let mut principals = BTreeMap::new();
            for name in names {
                let principal = self.store.principal(name).await?;
                let principal = principal.ok_or_else(|| AuthError::Unknown(name.clone()))?;
                if principal.policy != *policy {
                    principals.insert(name.clone(), Principal { policy: policy.clone(), ..principal });
                }
            }
            if principals.is_empty() || self.store.set_principals(principals.into_values().collect()).await? {
                return Ok(());
            }
        }
        Err(AuthError::Contended)
    }
}
