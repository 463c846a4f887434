//! The directory in memory: changes are applied to a copy, which takes the place of the old one if it is sound.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use jiff::Timestamp;
use roamline_domain::directory::{Claim, Key, Kind, Resource};

use super::MemoryStore;
use crate::{Change, Cursor, DirectoryError, DirectoryStore, ListQuery, StoreError, Stored};

/// Resources in a page of a snapshot.
const PAGE: usize = 500;

type Resources = BTreeMap<Key, Arc<Entry>>;

/// A resource, and since when it refers to what.
#[derive(Debug)]
struct Entry {
    stored: Stored,
    references: BTreeMap<Key, Timestamp>,
}

#[derive(Debug, Default)]
pub(super) struct Directory {
    resources: Resources,
    revision: u64,
}

/// What a batch comes to, and the keys that it puts and deletes in the order of its changes.
pub(super) struct Next {
    resources: Resources,
    put: Vec<Key>,
    deleted: Vec<Key>,
}

impl Directory {
    fn commit(&mut self, changes: Vec<Change>, at: Timestamp) -> Result<(), DirectoryError> {
        let mut next = self.next();
        for change in changes {
            expect_version(&next.resources, &change)?;
            self.apply(&mut next, change, at);
        }
        match next.faults().into_iter().next() {
            Some((_, fault)) => Err(fault),
            None => {
                self.become_next(next);
                Ok(())
            }
        }
    }

    /// The present, to be changed.
    pub(super) fn next(&self) -> Next {
        Next { resources: self.resources.clone(), put: Vec::new(), deleted: Vec::new() }
    }

    pub(super) fn become_next(&mut self, next: Next) {
        self.resources = next.resources;
        self.revision += 1;
    }

    /// Whether a change finds now what it demands.
    pub(super) fn expect(&self, change: &Change) -> Result<(), DirectoryError> {
        expect_version(&self.resources, change)
    }

    /// Makes a change, whatever it demands. References that were there before the batch go on.
    pub(super) fn apply(&self, next: &mut Next, change: Change, at: Timestamp) {
        let version = change.expected().unwrap_or(0).saturating_add(1);
        let key = change.key();
        match change {
            Change::Put { resource, .. } => {
                let before = self.resources.get(&key);
                let since = |to: &Key| before.and_then(|before| before.references.get(to).copied());
                let began = |to: Key| (to.clone(), since(&to).unwrap_or(at));
                let references = resource.references().into_keys().map(began).collect();
                let stored = Stored { resource, version, updated_at: at };
                next.resources.insert(key.clone(), Arc::new(Entry { stored, references }));
                next.put.push(key);
            }
            Change::Delete { .. } => {
                next.resources.remove(&key);
                next.deleted.push(key);
            }
            Change::Keep { .. } => {}
        }
    }
}

fn expect_version(resources: &Resources, change: &Change) -> Result<(), DirectoryError> {
    let key = change.key();
    let version = resources.get(&key).map(|entry| entry.stored.version);
    if version == change.expected() { Ok(()) } else { Err(DirectoryError::Moved { key, version }) }
}

impl Next {
    /// Everything that keeps the batch from being made, and whose fault it is.
    pub(super) fn faults(&self) -> Vec<(Key, DirectoryError)> {
        let put: BTreeSet<&Key> = self.put.iter().collect();
        let mut faults = Vec::new();
        self.claims(&put, &mut faults);
        for (key, resource) in self.puts() {
            for to in resource.references().into_keys().filter(|to| !self.resources.contains_key(to)) {
                faults.push((key.clone(), DirectoryError::Missing { from: key.clone(), to }));
            }
        }
        for key in self.deleted.iter().filter(|key| !self.resources.contains_key(key)) {
            if let Some(by) = users_of(&self.resources, key).find(|by| !put.contains(by)).cloned() {
                faults.push((key.clone(), DirectoryError::InUse { key: key.clone(), by }));
            }
        }
        faults
    }

    /// Names that are put must be free, or be given up in the same step.
    fn claims(&self, put: &BTreeSet<&Key>, faults: &mut Vec<(Key, DirectoryError)>) {
        let unchanged = self.resources.iter().filter(|(key, _)| !put.contains(key));
        let mut owners: BTreeMap<Claim, Key> = unchanged.flat_map(|(key, entry)| owned(key, entry)).collect();
        for (key, resource) in self.puts() {
            for claim in resource.claims() {
                match owners.insert(claim.clone(), key.clone()) {
                    Some(by) if by != *key => {
                        faults.push((key.clone(), DirectoryError::Taken { claim, by }));
                    }
                    _ => {}
                }
            }
        }
    }

    fn puts(&self) -> impl Iterator<Item = (&Key, &Resource)> {
        let found = |key| self.resources.get_key_value(key);
        self.put.iter().filter_map(found).map(|(key, entry)| (key, &entry.stored.resource))
    }
}

fn owned(key: &Key, entry: &Entry) -> impl Iterator<Item = (Claim, Key)> + use<> {
    let key = key.clone();
    entry.stored.resource.claims().into_iter().map(move |claim| (claim, key.clone()))
}

fn users_of<'a>(resources: &'a Resources, key: &'a Key) -> impl Iterator<Item = &'a Key> {
    resources.iter().filter(|(_, entry)| entry.references.contains_key(key)).map(|(user, _)| user)
}

/// Where a resource stands in a list of that order.
fn place(cursor: Cursor, query: &ListQuery) -> Cursor {
    let updated_at = cursor.updated_at.filter(|_| query.order.is_by_time());
    Cursor { updated_at, name: cursor.name }
}

#[async_trait]
impl DirectoryStore for MemoryStore {
    async fn find(&self, keys: &[Key]) -> Result<Vec<Option<Stored>>, StoreError> {
        let state = self.state();
        let found = |key| state.directory.resources.get(key).map(|entry| entry.stored.clone());
        Ok(keys.iter().map(found).collect())
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        Ok(self.state().directory.revision)
    }

    async fn list(&self, kind: Kind, query: &ListQuery) -> Result<Vec<Stored>, StoreError> {
        let state = self.state();
        let prefix = query.prefix.as_deref().unwrap_or_default();
        let resources = state.directory.resources.iter();
        let mut found: Vec<(Cursor, &Stored)> = resources
            .filter(|(key, _)| key.kind == kind && key.name.starts_with(prefix))
            .map(|(_, entry)| (Cursor::of(&entry.stored, query.order), &entry.stored))
            .collect();
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        if query.order.is_descending() {
            found.reverse();
        }
        let after = query.after.clone().map(|after| place(after, query));
        let is_after = |at: &Cursor| match &after {
            Some(after) if query.order.is_descending() => at < after,
            Some(after) => at > after,
            None => true,
        };
        let rest = found.into_iter().filter(|(at, _)| is_after(at));
        Ok(rest.take(query.limit as usize).map(|(_, stored)| stored.clone()).collect())
    }

    async fn owners(&self, claims: &[Claim]) -> Result<BTreeMap<Claim, Key>, StoreError> {
        let wanted: BTreeSet<&Claim> = claims.iter().collect();
        let state = self.state();
        let owned = state.directory.resources.iter().flat_map(|(key, entry)| owned(key, entry));
        Ok(owned.filter(|(claim, _)| wanted.contains(claim)).collect())
    }

    async fn used_by(&self, key: &Key, after: Option<&Key>, limit: u32) -> Result<Vec<Key>, StoreError> {
        let state = self.state();
        let users = users_of(&state.directory.resources, key).filter(|user| Some(*user) > after);
        Ok(users.take(limit as usize).cloned().collect())
    }

    async fn first_users(&self, keys: &[Key], by: Kind) -> Result<BTreeMap<Key, Key>, StoreError> {
        let state = self.state();
        let users: Vec<_> = state.directory.resources.iter().filter(|(user, _)| user.kind == by).collect();
        let first = |key: &Key| {
            let since = users.iter().filter_map(|(user, entry)| Some((entry.references.get(key)?, *user)));
            since.min().map(|(_, user)| (key.clone(), user.clone()))
        };
        Ok(keys.iter().filter_map(first).collect())
    }

    fn snapshot(&self) -> BoxStream<'static, Result<Vec<Stored>, StoreError>> {
        let resources = self.state().directory.resources.clone();
        let pages = stream::iter(resources.into_values()).map(|entry| entry.stored.clone()).chunks(PAGE);
        pages.map(Ok).boxed()
    }

    async fn commit(&self, changes: Vec<Change>, at: Timestamp) -> Result<(), DirectoryError> {
        self.state().directory.commit(changes, at)
    }
}
