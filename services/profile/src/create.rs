//! Creating a record.

use roamline_domain::contact_centre::Finding;
use roamline_domain::directory::Resource;
use roamline_proto::refusal::Refusal;
use roamline_store::{Change, DirectoryError, Expect};

use crate::claims::taken;
use crate::examine::{Examined, examine, placed, unknown_model};
use crate::read::message;
use crate::record::Record;
use crate::surroundings::Surroundings;
use crate::{ATTEMPTS, Profile, refusal};

/// A record as it was stored, or would be.
pub(crate) struct Written<M> {
    /// The record.
    pub(crate) record: M,
    /// Rules that it bends without being refused (CC-5).
    pub(crate) findings: Vec<Finding>,
}

impl Profile {
    /// Creates a record; with `validate_only`, does everything else. Its etag is ignored.
    ///
    /// # Errors
    /// `INVALID_REQUEST`, `RESOURCE_INVALID`, `MODEL_UNKNOWN`, `CONTACT_CENTRE_POLICY`, `RESOURCE_EXISTS`, or a
    /// store's failure.
    pub(crate) async fn create<R: Record>(
        &self,
        wanted: Option<&R::Wire>,
        validate_only: bool,
    ) -> Result<Written<R::Wire>, Refusal> {
        let wanted = wanted.ok_or_else(|| refusal::malformed(R::FIELD, "must be given"))?;
        let wanted = R::parse(wanted, self.catalogue)
            .map_err(|found| refusal::invalid(refusal::under(R::FIELD, found)))?
            .into_resource();
        let key = wanted.key();
        for _ in 0..ATTEMPTS {
            let around = Surroundings::of(&*self.store, std::iter::once(&wanted)).await;
            let around = around.map_err(refusal::store)?;
            if around.has(&key) {
                return Err(refusal::exists(&key));
            }
            let Examined { resource, findings } = self.examined::<R>(wanted.clone(), &around)?;
            let findings = placed(findings, R::FIELD);
            if validate_only {
                self.unclaimed(&resource).await?;
                let record = R::of_resource(&resource).map(|record| record.message(String::new()));
                return Ok(Written { record: record.unwrap_or_default(), findings });
            }
            let record = message::<R>(&resource, 1)?;
            let change = Change::Put { resource, expect: Expect::Absent };
            match self.store.commit(vec![change], self.clock.now()).await {
                Ok(()) => return Ok(Written { record, findings }),
                Err(DirectoryError::Taken { by, .. }) => return Err(refusal::exists(&by)),
                Err(DirectoryError::Moved { .. } | DirectoryError::Missing { .. }) => {}
                Err(DirectoryError::Store(error)) => return Err(refusal::store(error)),
                Err(DirectoryError::InUse { .. }) => {
                    return Err(refusal::internal("a put was refused as if it were a deletion"));
                }
            }
        }
        Err(refusal::contended())
    }

    /// The resource as it may be stored.
    pub(crate) fn examined<R: Record>(
        &self,
        resource: Resource,
        around: &Surroundings,
    ) -> Result<Examined, Refusal> {
        let unknown = unknown_model(&resource, self.catalogue);
        examine(resource, around, self.catalogue)
            .map_err(|fault| fault.into_refusal(R::FIELD, unknown.as_ref()))
    }

    /// Refuses a resource that claims a name which another has (DP-1).
    async fn unclaimed(&self, resource: &Resource) -> Result<(), Refusal> {
        let taken = taken(&*self.store, &[(0, resource)]).await.map_err(refusal::store)?;
        taken.first().map_or(Ok(()), |taken| Err(refusal::exists(&taken.by)))
    }
}
