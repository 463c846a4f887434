//! Deleting credentials: of users who are deleted, and of whomever an administrator names.

use roamline_domain::PrincipalName;
use roamline_domain::credential::PrincipalKind;

use crate::Service;
use crate::error::AuthError;

impl Service {
    /// Deletes the credentials of those that there are, of that kind alone if one is given, and ends their sign-ins. Returns
    /// how many there were.
    pub(crate) async fn delete_credentials(
        &self,
        names: &[PrincipalName],
        kind: Option<PrincipalKind>,
    ) -> Result<usize, AuthError> {
        let mut known = Vec::new();
        for name in names {
            let principal = self.store.principal(name).await?;
            if principal.is_some_and(|principal| kind.is_none_or(|kind| kind == principal.kind)) {
                known.push(name.clone());
            }
        }
        // Before and after, as where secrets are set: a deletion that fails half-way leaves no token, and who signs in
        // meanwhile has none either.
        self.end_all(known.clone()).await?;
        self.store.delete_principals(&known, kind).await?;
        let count = known.len();
        self.end_all(known).await?;
        Ok(count)
    }
}
