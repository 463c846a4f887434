//! Imports in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_domain::directory::{Claim, Key};

use super::{MemoryStore, State};
use crate::import::MOST_ERRORS;
use crate::{Change, Committed, Import, ImportError, ImportStore, RowError, StageError, Staged, StoreError};

pub(super) type Imports = BTreeMap<String, Open>;

/// An open import.
#[derive(Clone, Debug)]
pub(super) struct Open {
    import: Import,
    used_at: Timestamp,
    changes: BTreeMap<Key, Staged>,
    claims: BTreeMap<Claim, u64>,
    guards: BTreeMap<(Key, Option<u64>), u64>,
}

impl Open {
    fn add(&mut self, row: u64, change: Change) -> Result<(), StageError> {
        let key = change.key();
        if let Change::Keep { version, .. } = change {
            self.guards.entry((key, version)).or_insert(row);
            return Ok(());
        }
        if let Some(first) = self.changes.get(&key) {
            return Err(StageError::Repeated { row, first_row: first.row, key });
        }
        if let Change::Put { resource, .. } = &change {
            for claim in resource.claims() {
                if let Some(by) = self.claims.get(&claim) {
                    return Err(StageError::Taken { row, claim, by: *by });
                }
                self.claims.insert(claim, row);
            }
        }
        self.changes.insert(key, Staged { row, change });
        self.import.staged += 1;
        Ok(())
    }

    fn changes(&self) -> impl Iterator<Item = (u64, &Change)> {
        self.changes.values().map(|staged| (staged.row, &staged.change))
    }

    fn guards(&self) -> impl Iterator<Item = (u64, Change)> {
        let guards = self.guards.iter();
        guards.map(|((key, version), row)| (*row, Change::Keep { key: key.clone(), version: *version }))
    }

    fn committed(&self) -> Committed {
        let mut committed = Committed::default();
        for (_, change) in self.changes() {
            *match (change, change.expected()) {
                (Change::Put { .. }, None) => &mut committed.created,
                (Change::Put { .. }, Some(_)) => &mut committed.updated,
                _ => &mut committed.deleted,
            } += 1;
        }
        committed
    }
}

impl State {
    fn commit_import(
        &mut self,
        id: &str,
        at: Timestamp,
        validate_only: bool,
    ) -> Result<Committed, ImportError> {
        let open = self.imports.get(id).ok_or(ImportError::Unknown)?;
        let moved = |(row, change): (u64, &Change)| {
            let moved = self.directory.expect(change).err();
            moved.map(|error| RowError { row, error })
        };
        let mut errors: Vec<RowError> = open.changes().filter_map(moved).collect();
        errors.extend(open.guards().filter_map(|(row, guard)| moved((row, &guard))));

        let mut next = self.directory.next();
        for (_, change) in open.changes() {
            self.directory.apply(&mut next, change.clone(), at);
        }
        let row = |key: &Key| open.changes.get(key).map_or(0, |staged| staged.row);
        errors.extend(next.faults().into_iter().map(|(key, error)| RowError { row: row(&key), error }));
        if !errors.is_empty() {
            errors.sort_by_key(|error| error.row);
            errors.truncate(MOST_ERRORS);
            return Err(ImportError::Refused(errors));
        }
        let committed = open.committed();
        if !validate_only {
            self.directory.become_next(next);
            self.imports.remove(id);
        }
        Ok(committed)
    }
}

#[async_trait]
impl ImportStore for MemoryStore {
    async fn open_import(&self, token: &str, id: &str, at: Timestamp) -> Result<Import, StoreError> {
        let imports = &mut self.state().imports;
        if let Some(open) = imports.values_mut().find(|open| open.import.token == token) {
            open.used_at = at;
            return Ok(open.import.clone());
        }
        if imports.contains_key(id) {
            return Err(StoreError::Unavailable("the id of the import is not a new one".into()));
        }
        let import =
            Import { id: id.to_owned(), token: token.to_owned(), created_at: at, next_row: 1, staged: 0 };
        let open = Open {
            import: import.clone(),
            used_at: at,
            changes: BTreeMap::new(),
            claims: BTreeMap::new(),
            guards: BTreeMap::new(),
        };
        imports.insert(id.to_owned(), open);
        Ok(import)
    }

    async fn find_import(&self, id: &str) -> Result<Option<Import>, StoreError> {
        Ok(self.state().imports.get(id).map(|open| open.import.clone()))
    }

    async fn discard_import(&self, id: &str) -> Result<bool, StoreError> {
        Ok(self.state().imports.remove(id).is_some())
    }

    async fn discard_imports_before(&self, instant: Timestamp) -> Result<u64, StoreError> {
        let imports = &mut self.state().imports;
        let before = imports.len();
        imports.retain(|_, open| open.used_at >= instant);
        Ok((before - imports.len()) as u64)
    }

    async fn stage(
        &self,
        id: &str,
        from_row: u64,
        rows: Vec<(u64, Change)>,
        next_row: u64,
        at: Timestamp,
    ) -> Result<(), StageError> {
        let imports = &mut self.state().imports;
        let open = imports.get_mut(id).ok_or(StageError::Unknown)?;
        if from_row != open.import.next_row {
            return Err(StageError::Row { expected: open.import.next_row });
        }
        let mut next = open.clone();
        for (row, change) in rows {
            next.add(row, change)?;
        }
        next.import.next_row = next_row;
        next.used_at = at;
        *open = next;
        Ok(())
    }

    async fn find_staged(&self, id: &str, keys: &[Key]) -> Result<Vec<Option<Staged>>, StoreError> {
        let state = self.state();
        let open = state.imports.get(id);
        Ok(keys.iter().map(|key| open?.changes.get(key).cloned()).collect())
    }

    async fn staged(&self, id: &str, after_row: u64, limit: u32) -> Result<Vec<Staged>, StoreError> {
        let state = self.state();
        let mut rows: BTreeMap<u64, Vec<Staged>> = BTreeMap::new();
        for staged in state.imports.get(id).into_iter().flat_map(|open| open.changes.values()) {
            if staged.row > after_row {
                rows.entry(staged.row).or_default().push(staged.clone());
            }
        }
        Ok(rows.into_values().take(limit as usize).flatten().collect())
    }

    async fn commit_import(
        &self,
        id: &str,
        at: Timestamp,
        validate_only: bool,
    ) -> Result<Committed, ImportError> {
        self.state().commit_import(id, at, validate_only)
    }
}
