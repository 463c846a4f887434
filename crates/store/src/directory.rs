//! The directory: typed resources with versions, unique names, and references that always lead somewhere.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::stream::BoxStream;
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
    /// Changes nothing: the other changes were decided from this resource, and are made only if it is still so.
    Keep {
        /// Which.
        key: Key,
        /// Its version now; `None` where it is not there.
        version: Option<u64>,
    },
}

impl Change {
    /// The resource that it is about.
    pub fn key(&self) -> Key {
        match self {
            Change::Put { resource, .. } => resource.key(),
            Change::Delete { key, .. } | Change::Keep { key, .. } => key.clone(),
        }
    }

    /// The version that it demands; `None` where the resource must not be there.
    pub fn expected(&self) -> Option<u64> {
        match self {
            Change::Put { expect: Expect::Absent, .. } => None,
            Change::Put { expect: Expect::Version(version), .. } | Change::Delete { version, .. } => {
                Some(*version)
            }
            Change::Keep { version, .. } => *version,
        }
    }
}

/// How a list is ordered. Names are in the order of their bytes; resources that were changed at the same time, in
/// that of their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By names.
    #[default]
    Name,
    /// By names, backwards.
    NameDescending,
    /// What was changed longest ago first.
    Updated,
    /// What was changed last first.
    UpdatedDescending,
}

impl Order {
    /// Whether it goes by the times of changes.
    pub fn is_by_time(self) -> bool {
        matches!(self, Order::Updated | Order::UpdatedDescending)
    }

    /// Whether it goes backwards.
    pub fn is_descending(self) -> bool {
        matches!(self, Order::NameDescending | Order::UpdatedDescending)
    }
}

/// A place in a list: that of a resource, which need not be there any more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// When it was changed, in an order by time: absent is before all times. An order by name does not look at it.
    pub updated_at: Option<Timestamp>,
    /// Its name.
    pub name: String,
}

impl Cursor {
    /// The place of that resource in a list of that order.
    pub fn of(stored: &Stored, order: Order) -> Self {
        let updated_at = order.is_by_time().then_some(stored.updated_at);
        Self { updated_at, name: stored.resource.key().name }
    }
}

/// Which resources of a kind are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Those after this place, in the direction of the order; all where absent.
    pub after: Option<Cursor>,
    /// So many at most.
    pub limit: u32,
    /// In which order.
    pub order: Order,
    /// Those alone whose names begin so.
    pub prefix: Option<String>,
}

impl ListQuery {
    /// At most so many in the order of names, after that name if one is given.
    pub fn names_after(after: Option<&str>, limit: u32) -> Self {
        let after = after.map(|name| Cursor { updated_at: None, name: name.to_owned() });
        Self { after, limit, ..Self::default() }
    }
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

    /// How often the directory has been changed: the same number means that nothing in it has. It grows in the step
    /// that makes a change.
    async fn revision(&self) -> Result<u64, StoreError>;

    /// Resources of a kind, as asked. However large the directory is, a page costs the same; with a prefix in an order
    /// by time, what it costs grows with the resources of the kind.
    async fn list(&self, kind: Kind, query: &ListQuery) -> Result<Vec<Stored>, StoreError>;

    /// Who has these names; those that nobody has are left out.
    async fn owners(&self, claims: &[Claim]) -> Result<BTreeMap<Claim, Key>, StoreError>;

    /// What refers to a resource, in the order of keys, after `after`, at most `limit`.
    async fn used_by(&self, key: &Key, after: Option<&Key>, limit: u32) -> Result<Vec<Key>, StoreError>;

    /// For each of these keys the resource of kind `by` that has referred to it for the longest time without a break,
    /// of several the smallest key; keys to which none refers are left out (DP-5: the owner of a profile). A
    /// reference begins with the commit that brings it, and goes on while the resource is put with it again.
    async fn first_users(&self, keys: &[Key], by: Kind) -> Result<BTreeMap<Key, Key>, StoreError>;

    /// Every resource, kind by kind in the order of [`Kind::ALL`], then by name, in pages of some hundred: all as of
    /// one instant, no later than the first page, whatever others write meanwhile. Ends after an error. A reader should
    /// not dawdle: the store cannot forget that instant before the stream is dropped.
    fn snapshot(&self) -> BoxStream<'static, Result<Vec<Stored>, StoreError>>;

    /// Makes all changes, or none, in one step that survives the process. They may refer to each other in any order:
    /// claims and references are looked at as they are after all changes. Of two commits that demand the same
    /// version of a resource, one is made; of two that create the same name, one is made. A key may be changed several
    /// times: each change demands what those before it have left.
    ///
    /// # Errors
    /// The first thing that stands in the way; nothing was changed then.
    async fn commit(&self, changes: Vec<Change>, at: Timestamp) -> Result<(), DirectoryError>;
}
