//! The directory in memory: changes are applied to a copy, which takes the place of the old one if it is sound.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_domain::directory::{Claim, Key, Kind, Resource};

use super::MemoryStore;
use crate::{Change, DirectoryError, DirectoryStore, Expect, StoreError, Stored};

type Resources = BTreeMap<Key, Arc<Stored>>;

#[derive(Debug, Default)]
pub(super) struct Directory {
    resources: Resources,
}

impl Directory {
    fn commit(&mut self, changes: Vec<Change>, at: Timestamp) -> Result<(), DirectoryError> {
        let mut next = self.resources.clone();
        let mut put = Vec::new();
        let mut deleted = Vec::new();
        for change in changes {
            match change {
                Change::Put { resource, expect } => {
                    put.push(resource.key());
                    apply_put(&mut next, resource, expect, at)?;
                }
                Change::Delete { key, version } => {
                    expect_version(&next, &key, Some(version))?;
                    next.remove(&key);
                    deleted.push(key);
                }
            }
        }
        check_claims(&next, &put)?;
        check_references(&next, &put)?;
        check_unused(&next, &deleted)?;
        self.resources = next;
        Ok(())
    }
}

fn expect_version(resources: &Resources, key: &Key, expected: Option<u64>) -> Result<(), DirectoryError> {
    let version = resources.get(key).map(|stored| stored.version);
    if version == expected { Ok(()) } else { Err(DirectoryError::Moved { key: key.clone(), version }) }
}

fn apply_put(
    resources: &mut Resources,
    resource: Resource,
    expect: Expect,
    at: Timestamp,
) -> Result<(), DirectoryError> {
    let key = resource.key();
    let expected = match expect {
        Expect::Absent => None,
        Expect::Version(version) => Some(version),
    };
    expect_version(resources, &key, expected)?;
    let version = expected.unwrap_or(0) + 1;
    resources.insert(key, Arc::new(Stored { resource, version, updated_at: at }));
    Ok(())
}

/// Names that are put must be free, or be given up in the same step.
fn check_claims(next: &Resources, put: &[Key]) -> Result<(), DirectoryError> {
    let unchanged = next.iter().filter(|(key, _)| !put.contains(key));
    let mut owners: BTreeMap<Claim, Key> = unchanged
        .flat_map(|(key, stored)| stored.resource.claims().into_iter().map(|claim| (claim, key.clone())))
        .collect();
    for (key, stored) in put.iter().filter_map(|key| next.get_key_value(key)) {
        for claim in stored.resource.claims() {
            match owners.insert(claim.clone(), key.clone()) {
                Some(by) if by != *key => return Err(DirectoryError::Taken { claim, by }),
                _ => {}
            }
        }
    }
    Ok(())
}

fn check_references(next: &Resources, put: &[Key]) -> Result<(), DirectoryError> {
    for (key, stored) in put.iter().filter_map(|key| next.get_key_value(key)) {
        if let Some(to) = stored.resource.references().into_keys().find(|to| !next.contains_key(to)) {
            return Err(DirectoryError::Missing { from: key.clone(), to });
        }
    }
    Ok(())
}

fn check_unused(next: &Resources, deleted: &[Key]) -> Result<(), DirectoryError> {
    for key in deleted.iter().filter(|key| !next.contains_key(key)) {
        if let Some(by) = users_of(next, key).next() {
            return Err(DirectoryError::InUse { key: key.clone(), by: by.clone() });
        }
    }
    Ok(())
}

fn users_of<'a>(resources: &'a Resources, key: &'a Key) -> impl Iterator<Item = &'a Key> {
    resources
        .iter()
        .filter(|(_, stored)| stored.resource.references().contains_key(key))
        .map(|(user, _)| user)
}

#[async_trait]
impl DirectoryStore for MemoryStore {
    async fn find(&self, keys: &[Key]) -> Result<Vec<Option<Stored>>, StoreError> {
        let state = self.state();
        let found = |key| state.directory.resources.get(key).map(|stored| Stored::clone(stored));
        Ok(keys.iter().map(found).collect())
    }

    async fn list(&self, kind: Kind, after: Option<&str>, limit: u32) -> Result<Vec<Stored>, StoreError> {
        let state = self.state();
        let rest = state
            .directory
            .resources
            .iter()
            .filter(|(key, _)| key.kind == kind && after.is_none_or(|after| key.name.as_str() > after));
        Ok(rest.take(limit as usize).map(|(_, stored)| Stored::clone(stored)).collect())
    }

    async fn used_by(&self, key: &Key, limit: u32) -> Result<Vec<Key>, StoreError> {
        let state = self.state();
        Ok(users_of(&state.directory.resources, key).take(limit as usize).cloned().collect())
    }

    async fn commit(&self, changes: Vec<Change>, at: Timestamp) -> Result<(), DirectoryError> {
        self.state().directory.commit(changes, at)
    }
}
