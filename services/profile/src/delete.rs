//! Deleting a record that nothing refers to.

use roamline_proto::refusal::Refusal;
use roamline_store::{Change, DirectoryError};

use crate::read::etag;
use crate::record::Record;
use crate::{ATTEMPTS, Profile, refusal};

/// How many of those that refer to a record its refusal names.
const NAMED_USERS: u32 = 20;

impl Profile {
    /// Deletes the record of that name; with an etag, only if that is still its own (DP-20).
    ///
    /// # Errors
    /// `INVALID_REQUEST`, `RESOURCE_NOT_FOUND`, `ETAG_MISMATCH`, `RESOURCE_IN_USE`, or a store's failure.
    pub(crate) async fn delete<R: Record>(&self, given: &R::Given, known: &str) -> Result<(), Refusal> {
        let key = self.key::<R>(given)?;
        for _ in 0..ATTEMPTS {
            let (_, version) = self.current(&key).await?.ok_or_else(|| refusal::not_found(&key))?;
            if !known.is_empty() && known != etag(version) {
                return Err(refusal::stale(&key, etag(version)));
            }
            let change = Change::Delete { key: key.clone(), version };
            match self.store.commit(vec![change], self.clock.now()).await {
                Ok(()) => return Ok(()),
                Err(DirectoryError::Moved { .. }) => {}
                Err(DirectoryError::InUse { by, .. }) => {
                    let users = self.store.used_by(&key, NAMED_USERS).await.map_err(refusal::store)?;
                    return Err(refusal::in_use(
                        &key,
                        if users.is_empty() { std::slice::from_ref(&by) } else { &users },
                    ));
                }
                Err(DirectoryError::Store(error)) => return Err(refusal::store(error)),
                Err(DirectoryError::Taken { .. } | DirectoryError::Missing { .. }) => {
                    return Err(refusal::internal("a deletion was refused as if it were a put"));
                }
            }
        }
        Err(refusal::contended())
    }
}
