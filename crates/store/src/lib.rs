//! What must be kept: one trait for each kind of record. The traits' comments are promises; [`conformance`] holds
//! every backend to them, and [`memory`] is the model of what they mean.
//!
//! A store knows no rules. It loads records with their versions and commits what was decided in one step, if nothing
//! that the decision was made from has moved.

pub mod audit;
pub mod credential;
pub mod directory;
mod error;
pub mod federation;
pub mod import;
mod own_record;
mod recall;
mod refusals;
pub mod session;
pub mod token;

pub mod conformance;
pub mod memory;

pub use audit::{AuditError, AuditPlace, AuditQuery, AuditStep, AuditStore};
pub use credential::{CredentialStore, Principal, SecretRecord};
pub use directory::{Change, Cursor, DirectoryError, DirectoryStore, Expect, ListQuery, Order, Stored};
pub use error::StoreError;
pub use federation::FederationStore;
pub use import::{Committed, Import, ImportError, ImportStore, RowError, StageError, Staged};
pub use own_record::OwnRecord;
pub use recall::{Found, Recall};
pub use refusals::Refusals;
pub use session::{
    About, Commit, CommitError, EventPage, EventsError, Guard, Keep, Loaded, PLACES_SKIPPED, Reply, Sequence,
    SessionStore, Snapshot, StoredEvent, has_record, without_record,
};
pub use token::{KeyRecord, Revocation, RevocationPage, Revoked, SignIn, TokenStore};
