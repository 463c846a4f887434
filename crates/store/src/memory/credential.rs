//! Credentials in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use roamline_domain::PrincipalName;
use roamline_domain::credential::PrincipalKind;

use super::MemoryStore;
use crate::{CredentialStore, Principal, StoreError};

#[derive(Debug, Default)]
pub(super) struct Credentials {
    principals: BTreeMap<PrincipalName, Principal>,
    /// The highest version of those who are gone.
    gone: u64,
}

impl Credentials {
    fn set_principals(&mut self, principals: Vec<Principal>) -> bool {
        let mut next = self.principals.clone();
        for mut principal in principals {
            if next.get(&principal.name).map_or(0, |known| known.version) != principal.version {
                return false;
            }
            principal.version = if principal.version == 0 { self.gone } else { principal.version } + 1;
            next.insert(principal.name.clone(), principal);
        }
        self.principals = next;
        true
    }

    fn delete(&mut self, names: &[PrincipalName], kind: Option<PrincipalKind>) {
        for name in names {
            if let Some(known) = self.principals.get(name)
                && kind.is_none_or(|kind| kind == known.kind)
            {
                self.gone = self.gone.max(known.version);
                self.principals.remove(name);
            }
        }
    }
}

#[async_trait]
impl CredentialStore for MemoryStore {
    async fn principal(&self, name: &PrincipalName) -> Result<Option<Principal>, StoreError> {
        Ok(self.state().credentials.principals.get(name).cloned())
    }

    async fn set_principals(&self, principals: Vec<Principal>) -> Result<bool, StoreError> {
        Ok(self.state().credentials.set_principals(principals))
    }

    async fn delete_principals(
        &self,
        names: &[PrincipalName],
        kind: Option<PrincipalKind>,
    ) -> Result<(), StoreError> {
        self.state().credentials.delete(names, kind);
        Ok(())
    }
}
