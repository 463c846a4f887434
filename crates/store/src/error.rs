//! What can go wrong with a store itself.

/// The store failed; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, is locked, read-only or full. Trying again later may help.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A record in it cannot be read. Trying again does not help.
    #[error("the record of {what} is corrupt")]
    Corrupt {
        /// Which record.
        what: String,
        /// What reading it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
