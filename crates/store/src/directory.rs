//! The directory: typed resources with versions, unique names, and references that always lead somewhere.

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_domain::directory::{Claim, Key, Kind, Resource};

use crate::StoreError;

/// A resource as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The resource.
    pub resource: Resource,
    /// From 1; grows with each change of this resource (DP-20).
    pub version: u64,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What a change demands of the present state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// There is no such resource.
    Absent,
    /// It has this version.
    Version(u64),
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "changes live briefly and mostly are puts")]
pub enum Change {
    /// Creates or replaces a resource.
    Put {
        /// What it shall be.
        resource: Resource,
        /// What it must be now.
        expect: Expect,
    },
    /// Deletes a resource.
    Delete {
        /// Which.
        key: Key,
        /// Its version now.
        version: u64,
    },
}

/// Why changes were not made. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A resource is not as expected; `version` is what it has, if it is there.
    #[error("{key} has changed meanwhile")]
    Moved {
        /// Which.
        key: Key,
        /// Its version now.
        version: Option<u64>,
    },
    /// A name is taken in a space where names are unique (DP-1).
    #[error("the name {} is taken by {by}", claim.name)]
    Taken {
        /// The name.
        claim: Claim,
        /// Who has it.
        by: Key,
    },
    /// A resource refers to one that is not there.
    #[error("{from} refers to {to}, which does not exist")]
    Missing {
        /// Which refers.
        from: Key,
        /// To what.
        to: Key,
    },
    /// A resource to be deleted is referred to.
    #[error("{key} is used by {by}")]
    InUse {
        /// Which.
        key: Key,
        /// By what.
        by: Key,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The resources of a cluster.
#[async_trait]
pub trait DirectoryStore: Send + Sync + 'static {
    /// The resources under these keys, in their order, `None` for what is not there; all as of one instant.
    async fn find(&self, keys: &[Key]) -> Result<Vec<Option<Stored>>, StoreError>;

    /// Resources of a kind in the byte order of their key names, after `after`, at most `limit`.
    async fn list(&self, kind: Kind, after: Option<&str>, limit: u32) -> Result<Vec<Stored>, StoreError>;

    /// What refers to a resource, in the order of keys, at most `limit`.
    async fn used_by(&self, key: &Key, limit: u32) -> Result<Vec<Key>, StoreError>;

    /// Makes all changes, or none, in one step that survives the process. They may refer to each other in any order:
    /// claims and references are looked at as they are after all changes. Of two commits that demand the same
    /// version of a resource, one is made; of two that create the same name, one is made.
    ///
    /// # Errors
    /// The first thing that stands in the way; nothing was changed then.
    async fn commit(&self, changes: Vec<Change>, at: Timestamp) -> Result<(), DirectoryError>;
}
