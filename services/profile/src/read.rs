//! Getting one record.

use roamline_domain::directory::{Key, Kind, Resource};
use roamline_domain::parameters::ServiceParameters;
use roamline_proto::refusal::Refusal;
use roamline_store::Stored;

use crate::record::Record;
use crate::{Profile, refusal};

/// The etag of a version (DP-20).
pub(crate) fn etag(version: u64) -> String {
    format!("v{version}")
}

impl Profile {
    /// The record of that name.
    ///
    /// # Errors
    /// `INVALID_REQUEST`, `RESOURCE_NOT_FOUND`, or a store's failure.
    pub(crate) async fn get<R: Record>(&self, given: &R::Given) -> Result<R::Wire, Refusal> {
        let key = self.key::<R>(given)?;
        let (resource, version) = self.current(&key).await?.ok_or_else(|| refusal::not_found(&key))?;
        self.owned::<R>(key, message::<R>(&resource, version)?).await
    }

    /// The key that a request means.
    pub(crate) fn key<R: Record>(&self, given: &R::Given) -> Result<Key, Refusal> {
        self.key_in::<R>(R::KEY_FIELD, given)
    }

    /// The key that a field of a request means.
    pub(crate) fn key_in<R: Record>(&self, field: &str, given: &R::Given) -> Result<Key, Refusal> {
        R::key(given, self.catalogue).map_err(|error| refusal::malformed(field, error.to_string()))
    }

    /// What is stored under a key, and its version. Service parameters that nobody has set are at their defaults, in
    /// version 0.
    pub(crate) async fn current(&self, key: &Key) -> Result<Option<(Resource, u64)>, Refusal> {
        let found = self.store.find(std::slice::from_ref(key)).await.map_err(refusal::store)?;
        Ok(match found.into_iter().next().flatten() {
            Some(Stored { resource, version, .. }) => Some((resource, version)),
            None if key.kind == Kind::ServiceParameters => {
                Some((Resource::ServiceParameters(ServiceParameters::default()), 0))
            }
            None => None,
        })
    }
}

/// The message of a resource of that kind.
pub(crate) fn message<R: Record>(resource: &Resource, version: u64) -> Result<R::Wire, Refusal> {
    R::of_resource(resource)
        .map(|record| record.message(etag(version)))
        .ok_or_else(|| refusal::internal("the store gave a resource of another kind"))
}
