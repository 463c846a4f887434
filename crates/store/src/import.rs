//! Imports: changes of the directory that are put together over time and made all at once (DP-19). What is staged
//! survives the process and is seen by nobody else until it is committed.

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_domain::directory::{Claim, Key};

use crate::{Change, DirectoryError, StoreError};

/// How many errors a refused commit tells at most.
pub const MOST_ERRORS: usize = 1_000;

/// An import that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Its id.
    pub id: String,
    /// What its client calls it; open imports have different tokens.
    pub token: String,
    /// When it was opened.
    pub created_at: Timestamp,
    /// The row that is to come next, from 1.
    pub next_row: u64,
    /// Puts and deletions that are staged.
    pub staged: u64,
}

/// A change that is staged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// The row that brought it.
    pub row: u64,
    /// A put or a deletion.
    pub change: Change,
}

/// Why rows were not staged. None of them was.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// There is no such import (any more).
    #[error("the import is not open")]
    Unknown,
    /// Another row is to come next: these rows were staged before, or some are missing.
    #[error("row {expected} is to come next")]
    Row {
        /// Which.
        expected: u64,
    },
    /// A resource is changed by two rows.
    #[error("row {row} changes {key}, as row {first_row} does")]
    Repeated {
        /// The later row.
        row: u64,
        /// The earlier one.
        first_row: u64,
        /// The resource.
        key: Key,
    },
    /// Two resources of the import take one name (DP-1).
    #[error("row {row} takes the name {}, as row {by} does", claim.name)]
    Taken {
        /// The later row.
        row: u64,
        /// The name.
        claim: Claim,
        /// The earlier row.
        by: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What stands in the way of a row.
#[derive(Debug, thiserror::Error)]
#[error("row {row}")]
pub struct RowError {
    /// The row.
    pub row: u64,
    /// What does; never [`DirectoryError::Store`].
    #[source]
    pub error: DirectoryError,
}

/// Why an import was not committed. Nothing was changed, and it stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// There is no such import (any more).
    #[error("the import is not open")]
    Unknown,
    /// Rows cannot be made to hold.
    #[error("{} rows or more stand in the way", .0.len())]
    Refused(Vec<RowError>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How many resources a commit has changed, or would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Were not there.
    pub created: u64,
    /// Were replaced.
    pub updated: u64,
    /// Are gone.
    pub deleted: u64,
}

/// The imports of a cluster.
#[async_trait]
pub trait ImportStore: Send + Sync + 'static {
    /// The open import of that token, so that a client that was interrupted finds it again; where there is none, a new
    /// one with that id, which must be a new one. It counts as used at `at`.
    async fn open_import(&self, token: &str, id: &str, at: Timestamp) -> Result<Import, StoreError>;

    /// The open import of that id.
    async fn find_import(&self, id: &str) -> Result<Option<Import>, StoreError>;

    /// Ends an import without a change of the directory, and keeps nothing of it. Whether it was open.
    async fn discard_import(&self, id: &str) -> Result<bool, StoreError>;

    /// Discards all imports that were last used before that instant; how many.
    async fn discard_imports_before(&self, instant: Timestamp) -> Result<u64, StoreError>;

    /// Adds changes to an import, all or none, each with the row that brings it; `next_row` comes next then, and the
    /// import counts as used at `at`. A row may bring several changes; a resource may be put or deleted once in an
    /// import. What every change demands, guards included, it demands of the directory as it is before the import.
    ///
    /// # Errors
    /// [`StageError::Row`] where `from_row` does not come next, and the first of the changes that cannot be staged.
    async fn stage(
        &self,
        id: &str,
        from_row: u64,
        rows: Vec<(u64, Change)>,
        next_row: u64,
        at: Timestamp,
    ) -> Result<(), StageError>;

    /// What is staged for these keys, in their order, guards left out; `None` where nothing is, or no such import is
    /// open. All as of one instant.
    async fn find_staged(&self, id: &str, keys: &[Key]) -> Result<Vec<Option<Staged>>, StoreError>;

    /// What is staged by the rows after `after_row`, at most so many rows, in their order, guards left out.
    async fn staged(&self, id: &str, after_row: u64, limit: u32) -> Result<Vec<Staged>, StoreError>;

    /// Makes all staged changes and ends the import, in one step that survives the process, under the promises of
    /// [`DirectoryStore::commit`](crate::DirectoryStore::commit). With `validate_only`, only says what would be.
    ///
    /// # Errors
    /// [`ImportError::Refused`] with everything that stands in the way, in the order of rows, the first
    /// [`MOST_ERRORS`] of them.
    async fn commit_import(
        &self,
        id: &str,
        at: Timestamp,
        validate_only: bool,
    ) -> Result<Committed, ImportError>;
}
