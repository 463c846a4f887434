//! What became of rows that were judged together.

use std::collections::{BTreeSet, HashMap};

use roamline_domain::Violations;
use roamline_domain::directory::{Claim, Key, Kind};
use roamline_store::Change;

use super::GUARDS;
use super::problem::Problems;
use crate::guard::guards;
use crate::surroundings::Surroundings;

/// A change that is sound.
pub(super) struct Accepted {
    pub(super) row: u64,
    pub(super) change: Change,
    /// Whether it asks for what is there.
    pub(super) unchanged: bool,
    /// Whether other resources may have to be judged by it, whatever row they stand in.
    pub(super) decisive: bool,
}

/// What became of the rows.
#[derive(Default)]
pub(super) struct Chunk {
    pub(super) accepted: HashMap<Key, Accepted>,
    /// Names that are taken, with the rows that take them.
    pub(super) claims: HashMap<Claim, u64>,
    pub(super) refused: BTreeSet<u64>,
    pub(super) problems: Problems,
    pub(super) warnings: Problems,
    /// What they were judged against.
    pub(super) around: Surroundings,
}

impl Chunk {
    /// What there is to stage, in the order of rows: the changes, what they were judged by, and, where the import must
    /// be reviewed before it is committed, a guard that never holds.
    pub(super) fn changes(&self, reviewed: bool) -> Vec<(u64, Change)> {
        let mut accepted: Vec<&Accepted> =
            self.accepted.values().filter(|accepted| !reviewed || !accepted.unchanged).collect();
        accepted.sort_by_key(|accepted| accepted.row);
        let only: Vec<Change> = accepted.iter().map(|accepted| accepted.change.clone()).collect();
        let mut kept = guards(&only, &self.around);
        if !reviewed && accepted.iter().any(|accepted| accepted.unchanged || accepted.decisive) {
            kept.push(never());
        }
        let rows = accepted.iter().map(|accepted| accepted.row);
        rows.zip(only).chain(kept.into_iter().map(|guard| (GUARDS, guard))).collect()
    }

    /// Whether a row was refused.
    pub(super) fn has_problems(&self) -> bool {
        !self.refused.is_empty()
    }

    /// How many changes ask for what is there.
    pub(super) fn unchanged(&self) -> u64 {
        self.accepted.values().filter(|accepted| accepted.unchanged).count() as u64
    }

    /// Notes what is wrong with a row, and takes out all that it would change.
    pub(super) fn refuse(&mut self, row: u64, found: Violations) {
        self.problems.add_all(row, found);
        self.drop_row(row);
    }

    /// Takes out all that a row would change.
    pub(super) fn drop_row(&mut self, row: u64) {
        self.refused.insert(row);
        self.accepted.retain(|_, accepted| accepted.row != row);
        self.claims.retain(|_, by| *by != row);
    }

    /// Takes a change in, unless its row is refused for another.
    pub(super) fn accept(&mut self, accepted: Accepted) {
        if self.refused.contains(&accepted.row) {
            return;
        }
        if let Change::Put { resource, .. } = &accepted.change {
            self.claims.extend(resource.claims().into_iter().map(|claim| (claim, accepted.row)));
        }
        self.accepted.insert(accepted.change.key(), accepted);
    }
}

/// A guard that never holds: there is no such resource.
fn never() -> Change {
    Change::Keep { key: Key::new(Kind::ServiceParameters, "to be reviewed"), version: Some(1) }
}
