//! Bulk changes (DP-19): begun, staged chunk by chunk, committed at once. What is staged lies in the store, so that a
//! client or a server that was interrupted goes on where it stood, and neither holds the whole of an import.

mod chunk;
mod commit;
mod judge;
mod problem;
mod review;
mod row;
mod stage;

use std::time::Duration;

use roamline_proto::profile as wire;
use roamline_proto::refusal::Refusal;
use roamline_store::{Import, StoreError};

use crate::{Profile, refusal};

const LONGEST_TOKEN: usize = 128;
/// How long an import is kept that nobody touches.
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// Problems that an answer to a commit tells of, at most.
const MOST_PROBLEMS: usize = 1_000;
/// The last row that a file may have. Rows beyond are the service's own.
const LAST_ROW: u64 = 1 << 62;
/// The row that guards stand in: what the others were judged by.
const GUARDS: u64 = LAST_ROW + 1;
/// The row that the deletions of a `prune` stand in.
const PRUNED: u64 = LAST_ROW + 2;

impl Profile {
    /// The import of that token, begun where there is none; imports that nobody touches any more are discarded.
    ///
    /// # Errors
    /// `INVALID_REQUEST`, or a store's failure.
    pub(crate) async fn start_import(&self, token: &str) -> Result<wire::Import, Refusal> {
        let length = token.chars().count();
        if !(1..=LONGEST_TOKEN).contains(&length) || token.chars().any(char::is_control) {
            let problem = format!("must be 1 to {LONGEST_TOKEN} printable characters");
            return Err(refusal::malformed("token", problem));
        }
        self.discard_forgotten_imports().await.map_err(refusal::store)?;
        let opened = self.imports.open_import(token, &self.ids.opaque(), self.clock.now()).await;
        Ok(message(&opened.map_err(refusal::store)?))
    }

    /// Discards imports that nobody has touched for 24 hours; how many.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn discard_forgotten_imports(&self) -> Result<u64, StoreError> {
        match self.clock.now().checked_sub(KEPT_FOR) {
            Ok(instant) => self.imports.discard_imports_before(instant).await,
            Err(_) => Ok(0),
        }
    }

    /// Forgets an import.
    ///
    /// # Errors
    /// A store's failure.
    pub(crate) async fn discard_import(&self, id: &str) -> Result<(), Refusal> {
        if !is_id(id) {
            return Ok(());
        }
        self.imports.discard_import(id).await.map(drop).map_err(refusal::store)
    }

    /// The open import of that id.
    async fn open(&self, id: &str) -> Result<Import, Refusal> {
        if !is_id(id) {
            return Err(refusal::import_not_found());
        }
        let found = self.imports.find_import(id).await.map_err(refusal::store)?;
        found.ok_or_else(refusal::import_not_found)
    }
}

/// Whether an id may be that of an import: what is none is not for the store to see.
fn is_id(id: &str) -> bool {
    id.chars().count() <= LONGEST_TOKEN && !id.chars().any(char::is_control)
}

/// An import on the wire.
fn message(import: &Import) -> wire::Import {
    wire::Import {
        import_id: import.id.clone(),
        token: import.token.clone(),
        next_row: import.next_row,
        staged_count: import.staged,
        create_time: Some(prost_types::Timestamp {
            seconds: import.created_at.as_second(),
            nanos: import.created_at.subsec_nanosecond(),
        }),
    }
}
