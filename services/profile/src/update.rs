//! Changing fields of a record.

use prost_types::FieldMask;
use roamline_domain::Violations;
use roamline_domain::directory::{Claim, Key, Resource};
use roamline_proto::mask;
use roamline_proto::refusal::Refusal;
use roamline_store::{Change, DirectoryError, Expect};

use crate::claims::taken;
use crate::create::Written;
use crate::examine::{Examined, placed};
use crate::read::{etag, message};
use crate::record::{Record, keep_pin};
use crate::surroundings::Surroundings;
use crate::{ATTEMPTS, Profile, refusal};

impl Profile {
    /// Changes the fields of a record that the mask names; no mask, an empty one and `*` name all. With an etag, only
    /// if that is still the record's own (DP-20); without one, the last writer wins. With `validate_only`, does
    /// everything else. A record that is as wanted already is not written, and keeps its etag.
    ///
    /// # Errors
    /// `INVALID_REQUEST`, `FIELD_MASK_INVALID`, `RESOURCE_NOT_FOUND`, `ETAG_MISMATCH`, `RESOURCE_INVALID`,
    /// `MODEL_UNKNOWN`, `CONTACT_CENTRE_POLICY`, or a store's failure.
    pub(crate) async fn update<R: Record>(
        &self,
        wanted: Option<&R::Wire>,
        mask: Option<&FieldMask>,
        validate_only: bool,
    ) -> Result<Written<R::Wire>, Refusal> {
        let wanted = wanted.ok_or_else(|| refusal::malformed(R::FIELD, "must be given"))?;
        check_mask::<R>(mask)?;
        let key = R::key(R::given(wanted), self.catalogue).map_err(|error| {
            let mut found = Violations::new();
            found.add(R::KEY_FIELD, "", error.to_string());
            refusal::invalid(refusal::under(R::FIELD, found))
        })?;
        for _ in 0..ATTEMPTS {
            let (stored, version) = self.current(&key).await?.ok_or_else(|| refusal::not_found(&key))?;
            let known = R::etag(wanted);
            if !known.is_empty() && known != etag(version) {
                return Err(refusal::stale(&key, etag(version)));
            }
            let resource = self.merged::<R>(&stored, wanted, mask)?;
            let around = Surroundings::of(&*self.store, std::iter::once(&resource)).await;
            let around = around.map_err(refusal::store)?;
            let Examined { resource, findings } = self.examined::<R>(resource, &around)?;
            let findings = placed(findings, R::FIELD);
            if resource == stored {
                return Ok(Written { record: message::<R>(&resource, version)?, findings });
            }
            if validate_only {
                let clashes = taken(&*self.store, &[(0, &resource)]).await.map_err(refusal::store)?;
                return match clashes.into_iter().next() {
                    Some(clash) => Err(claimed::<R>(&clash.claim, &clash.by)),
                    None => Ok(Written { record: message::<R>(&resource, version)?, findings }),
                };
            }
            let record = message::<R>(&resource, version + 1)?;
            let expect = if version == 0 { Expect::Absent } else { Expect::Version(version) };
            match self.store.commit(vec![Change::Put { resource, expect }], self.clock.now()).await {
                Ok(()) => return Ok(Written { record, findings }),
                Err(DirectoryError::Moved { .. } | DirectoryError::Missing { .. }) => {}
                Err(DirectoryError::Taken { claim, by }) => return Err(claimed::<R>(&claim, &by)),
                Err(DirectoryError::Store(error)) => return Err(refusal::store(error)),
                Err(DirectoryError::InUse { .. }) => {
                    return Err(refusal::internal("a put was refused as if it were a deletion"));
                }
            }
        }
        Err(refusal::contended())
    }

    /// What is stored, with the fields that the mask names as they are wanted.
    fn merged<R: Record>(
        &self,
        stored: &Resource,
        wanted: &R::Wire,
        mask: Option<&FieldMask>,
    ) -> Result<Resource, Refusal> {
        let current = R::of_resource(stored)
            .ok_or_else(|| refusal::internal("the store gave a resource of another kind"))?
            .message(String::new());
        let merged =
            mask::merge(&current, wanted, mask).map_err(|unknown| refusal::unknown_path(&unknown))?;
        let mut resource = R::parse(&merged, self.catalogue)
            .map_err(|found| refusal::invalid(refusal::under(R::FIELD, found)))?
            .into_resource();
        keep_pin(&mut resource, stored);
        Ok(resource)
    }
}

/// Refuses a mask that names what cannot be changed, or no field at all.
fn check_mask<R: Record>(mask: Option<&FieldMask>) -> Result<(), Refusal> {
    let Some(mask) = mask else { return Ok(()) };
    let fixed = [R::KEY_FIELD, "etag", "settings.call_blocking_pin_set"];
    if let Some(path) = mask.paths.iter().find(|path| fixed.contains(&path.as_str())) {
        return Err(refusal::fixed_path(path));
    }
    let named = FieldMask { paths: mask.paths.iter().filter(|path| *path != "*").cloned().collect() };
    mask::merge(&R::Wire::default(), &R::Wire::default(), Some(&named))
        .map(|_| ())
        .map_err(|unknown| refusal::unknown_path(&unknown))
}

/// A name that an update wants and another has: the self-service id, the only one that can be changed.
fn claimed<R: Record>(claim: &Claim, by: &Key) -> Refusal {
    let mut found = Violations::new();
    found.add("self_service_id", "", format!("{:?} is taken by {}", claim.name, refusal::read(by)));
    refusal::invalid(refusal::under(R::FIELD, found))
}
