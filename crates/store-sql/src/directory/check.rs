//! Whether a batch of changes may be made, looked at as it is after all of them.

use std::collections::{BTreeMap, BTreeSet};

use roamline_domain::ClusterId;
use roamline_domain::directory::{Claim, Key, Resource};
use roamline_store::{Change, DirectoryError};
use sea_orm::DatabaseTransaction;

use super::rows;

/// What the changes come to: each key once, with what it shall be.
#[derive(Default)]
pub(super) struct Batch {
    /// Keys in the order in which they were first changed.
    order: Vec<Key>,
    /// What shall be there, with its new version; `None` for what shall not.
    pub(super) after: BTreeMap<Key, Option<(Resource, u64)>>,
}

impl Batch {
    pub(super) fn puts(&self) -> impl Iterator<Item = (&Key, &Resource)> {
        let put = |key| self.after.get(key).and_then(Option::as_ref).map(|(resource, _)| (key, resource));
        self.order.iter().filter_map(put)
    }

    fn deleted(&self) -> impl Iterator<Item = &Key> {
        self.order.iter().filter(|key| self.after.get(key).is_some_and(Option::is_none))
    }

    fn set(&mut self, key: Key, after: Option<(Resource, u64)>) {
        if self.after.insert(key.clone(), after).is_none() {
            self.order.push(key);
        }
    }
}

/// The batch, if nothing stands in its way.
pub(super) async fn checked(
    cluster: &ClusterId,
    tx: &DatabaseTransaction,
    changes: Vec<Change>,
) -> Result<Batch, DirectoryError> {
    let keys: Vec<Key> = changes.iter().map(Change::key).collect();
    let mut versions = rows::versions(cluster, tx, &keys).await?;
    let mut batch = Batch::default();
    for change in changes {
        let key = change.key();
        let version = versions.get(&key).copied();
        if version != change.expected() {
            return Err(DirectoryError::Moved { key, version });
        }
        let resource = match change {
            Change::Put { resource, .. } => Some(resource),
            Change::Delete { .. } => None,
            Change::Keep { .. } => continue,
        };
        let next = version.unwrap_or(0) + 1;
        match &resource {
            Some(_) => versions.insert(key.clone(), next),
            None => versions.remove(&key),
        };
        batch.set(key, resource.map(|resource| (resource, next)));
    }
    check_claims(cluster, tx, &batch).await?;
    check_references(cluster, tx, &batch).await?;
    check_unused(cluster, tx, &batch).await?;
    Ok(batch)
}

/// Names that are put must be free, or be given up in the same step.
async fn check_claims(
    cluster: &ClusterId,
    tx: &DatabaseTransaction,
    batch: &Batch,
) -> Result<(), DirectoryError> {
    let wanted: Vec<Claim> = batch.puts().flat_map(|(_, resource)| resource.claims()).collect();
    let mut owners: BTreeMap<Claim, Key> = rows::owners(cluster, tx, &wanted).await?;
    owners.retain(|_, owner| !batch.after.contains_key(owner));
    for (key, resource) in batch.puts() {
        for claim in resource.claims() {
            match owners.insert(claim.clone(), key.clone()) {
                Some(by) if by != *key => return Err(DirectoryError::Taken { claim, by }),
                _ => {}
            }
        }
    }
    Ok(())
}

async fn check_references(
    cluster: &ClusterId,
    tx: &DatabaseTransaction,
    batch: &Batch,
) -> Result<(), DirectoryError> {
    let ends: BTreeSet<Key> =
        batch.puts().flat_map(|(_, resource)| resource.references().into_keys()).collect();
    let outside: Vec<Key> = ends.into_iter().filter(|key| !batch.after.contains_key(key)).collect();
    let there = rows::versions(cluster, tx, &outside).await?;
    let exists = |key: &Key| match batch.after.get(key) {
        Some(after) => after.is_some(),
        None => there.contains_key(key),
    };
    for (from, resource) in batch.puts() {
        if let Some(to) = resource.references().into_keys().find(|to| !exists(to)) {
            return Err(DirectoryError::Missing { from: from.clone(), to });
        }
    }
    Ok(())
}

/// What the batch itself changes refers to nothing that is deleted, or is missing something already.
async fn check_unused(
    cluster: &ClusterId,
    tx: &DatabaseTransaction,
    batch: &Batch,
) -> Result<(), DirectoryError> {
    let deleted: Vec<Key> = batch.deleted().cloned().collect();
    let mut users: BTreeMap<Key, Key> = BTreeMap::new();
    for (from, to) in rows::references_to(cluster, tx, &deleted).await? {
        if !batch.after.contains_key(&from) && users.get(&to).is_none_or(|first| from < *first) {
            users.insert(to, from);
        }
    }
    match deleted.into_iter().find_map(|key| users.remove(&key).map(|by| (key, by))) {
        Some((key, by)) => Err(DirectoryError::InUse { key, by }),
        None => Ok(()),
    }
}
