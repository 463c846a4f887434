//! Making changes, and what may stand in their way.

use roamline_domain::directory::{Claim, Key, Resource};
use roamline_proto::refusal::Refusal;
use roamline_store::{Change, DirectoryError};

use crate::guard::guards;
use crate::surroundings::Surroundings;
use crate::{Profile, refusal};

/// What became of changes.
pub(crate) enum Outcome {
    /// They are made.
    Done,
    /// What they were decided from has moved: the decision is to be taken again.
    Moved,
    /// A name is taken; `by` is who has it.
    Taken { claim: Claim, by: Key },
    /// A resource to be deleted is referred to.
    InUse { by: Key },
}

/// A name that is taken.
pub(crate) struct Taken {
    /// Who wants it, by its place among `wanted`.
    pub(crate) index: usize,
    /// The name.
    pub(crate) claim: Claim,
    /// Who has it.
    pub(crate) by: Key,
}

impl Profile {
    /// Makes the changes if all that they were judged by is still so.
    ///
    /// # Errors
    /// A store's failure.
    pub(crate) async fn commit(
        &self,
        mut changes: Vec<Change>,
        around: &Surroundings,
    ) -> Result<Outcome, Refusal> {
        changes.extend(guards(&changes, around));
        match self.store.commit(changes, self.clock.now()).await {
            Ok(()) => Ok(Outcome::Done),
            Err(DirectoryError::Moved { .. } | DirectoryError::Missing { .. }) => Ok(Outcome::Moved),
            Err(DirectoryError::Taken { claim, by }) => Ok(Outcome::Taken { claim, by }),
            Err(DirectoryError::InUse { by, .. }) => Ok(Outcome::InUse { by }),
            Err(DirectoryError::Store(error)) => Err(refusal::store(error)),
        }
    }

    /// Every name that one of `wanted` claims and a stored resource has that is none of them (DP-1).
    ///
    /// # Errors
    /// A store's failure.
    pub(crate) async fn taken(&self, wanted: &[(usize, &Resource)]) -> Result<Vec<Taken>, Refusal> {
        let own: Vec<Key> = wanted.iter().map(|(_, resource)| resource.key()).collect();
        let claims: Vec<(usize, Claim)> = wanted
            .iter()
            .flat_map(|(index, resource)| resource.claims().into_iter().map(|claim| (*index, claim)))
            .collect();
        if claims.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<Claim> = claims.iter().map(|(_, claim)| claim.clone()).collect();
        let owners = self.store.owners(&names).await.map_err(refusal::store)?;
        let own: std::collections::HashSet<Key> = own.into_iter().collect();
        let held = claims.into_iter().filter_map(|(index, claim)| {
            let by = owners.get(&claim).filter(|by| !own.contains(by))?.clone();
            Some(Taken { index, claim, by })
        });
        Ok(held.collect())
    }
}
