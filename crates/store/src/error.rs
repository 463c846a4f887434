//! What can go wrong with a store itself.

/// The store failed; nothing was changed, but for [`StoreError::InDoubt`].
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, is locked, read-only or full. Trying again later may help.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It did not say whether the change was made, or made it and could not bring it to as many replicas as it must
    /// have. The change may hold; the same request id tells (LI-11).
    #[error("the store did not say whether the change was made")]
    InDoubt(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It has lost what it held, or was never begun: it must be begun before anything can be changed.
    #[error("the store has lost what it held")]
    Lost,
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
