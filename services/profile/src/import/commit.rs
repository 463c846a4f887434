//! Committing an import: everything at once, or without the rows that something stands in the way of.
//!
//! An import that nothing stands in the way of is committed as it is. One of which something has moved, or that asks for
//! what is there, or that is to prune, is reviewed: a copy of it is made by judging every change again, and committed.

use std::collections::BTreeSet;

use roamline_proto::profile as wire;
use roamline_proto::refusal::Refusal;
use roamline_store::{Committed, DirectoryError, Import, ImportError, RowError, Staged};
use wire::{CommitImportResponse, ImportProblem};

use super::{GUARDS, LAST_ROW, MOST_PROBLEMS, problem};
use crate::{Profile, refusal};

/// How often an import is reviewed, because something has moved again or the store tells of a thousand rows more.
const REVIEWS: usize = 64;

/// What stands in the way of an import, and which of its rows are left out.
#[derive(Default)]
struct Found {
    problems: Vec<ImportProblem>,
    rows: BTreeSet<u64>,
}

impl Profile {
    /// Makes what is staged hold.
    ///
    /// # Errors
    /// `INVALID_REQUEST`, `IMPORT_NOT_FOUND`, or a store's failure.
    pub(crate) async fn commit_import(
        &self,
        asked: &wire::CommitImportRequest,
    ) -> Result<CommitImportResponse, Refusal> {
        if asked.prune && asked.skip_refused {
            let problem =
                "cannot be asked for with `skip_refused`: it would delete what a skipped row is about";
            return Err(refusal::malformed("prune", problem));
        }
        let import = self.open(&asked.import_id).await?;
        let mut found = Found::default();
        if !asked.prune {
            if !asked.validate_only {
                self.remove_credentials_of_import(&import.id).await?;
            }
            match self.commit_staged(&import.id, asked.validate_only).await {
                Ok(committed) => return Ok(answer(!asked.validate_only, committed, found)),
                Err(error) => {
                    let goes_on = self.sort_out(&import.id, error, &mut found, asked.skip_refused).await?;
                    if !goes_on {
                        return Ok(answer(false, Committed::default(), found));
                    }
                }
            }
        }
        self.commit_reviewed(&import, asked, found).await
    }

    async fn commit_staged(&self, id: &str, validate_only: bool) -> Result<Committed, ImportError> {
        let committed = self.imports.commit_import(id, self.clock.now(), validate_only).await;
        self.recalled.changed().await;
        committed
    }

    async fn commit_reviewed(
        &self,
        import: &Import,
        asked: &wire::CommitImportRequest,
        mut found: Found,
    ) -> Result<CommitImportResponse, Refusal> {
        for _ in 0..REVIEWS {
            let copy = self.reviewed(import, &found.rows, asked).await?;
            let sound = copy.refused.is_empty();
            found.problems.extend(copy.problems);
            found.rows.extend(copy.refused);
            let goes_on = if sound {
                if !asked.validate_only {
                    self.remove_credentials_of_import(&copy.id).await?;
                }
                match self.commit_staged(&copy.id, asked.validate_only).await {
                    Ok(committed) => {
                        let ended = if asked.validate_only { &copy.id } else { &import.id };
                        self.discard_import(ended).await?;
                        return Ok(answer(!asked.validate_only, committed, found));
                    }
                    // Another commit of the same import has taken the copy's place.
                    Err(ImportError::Unknown) => return Err(refusal::contended()),
                    Err(error) => self.sort_out(&copy.id, error, &mut found, asked.skip_refused).await?,
                }
            } else {
                asked.skip_refused
            };
            self.discard_import(&copy.id).await?;
            if !goes_on {
                return Ok(answer(false, Committed::default(), found));
            }
        }
        Err(refusal::contended())
    }

    /// Notes what the store has refused; whether another review may help. What has only moved is for the review to
    /// weigh, and so are rows that can be left out.
    async fn sort_out(
        &self,
        id: &str,
        error: ImportError,
        found: &mut Found,
        skip: bool,
    ) -> Result<bool, Refusal> {
        let errors = match error {
            ImportError::Unknown => return Err(refusal::import_not_found()),
            ImportError::Store(error) => return Err(refusal::store(error)),
            ImportError::Refused(errors) => errors,
        };
        let moved = |error: &RowError| matches!(error.error, DirectoryError::Moved { .. });
        let (moved, firm): (Vec<RowError>, Vec<RowError>) = errors.into_iter().partition(moved);
        let goes_on = skip || firm.is_empty();
        let told = if goes_on { firm } else { firm.into_iter().chain(moved).collect() };
        // Errors come in the order of rows; what the service itself has staged is not read again, it may be very much.
        let mut staged: (u64, Vec<Staged>) = (0, Vec::new());
        for error in told.iter().filter(|error| !is_guard(error)) {
            if error.row != staged.0 {
                let read = async || self.imports.staged(id, error.row.saturating_sub(1), 1).await;
                let of_file = error.row <= LAST_ROW;
                let changes = if of_file { read().await.map_err(refusal::store)? } else { Vec::new() };
                staged = (error.row, changes);
            }
            found.problems.push(problem::refused(error, &staged.1));
            found.rows.insert(error.row);
        }
        Ok(goes_on)
    }
}

/// Whether only what rows were judged by has moved.
fn is_guard(error: &RowError) -> bool {
    error.row == GUARDS
}

fn answer(committed: bool, counts: Committed, found: Found) -> CommitImportResponse {
    let mut problems = found.problems;
    problems.sort_by_key(|problem| problem.row);
    problems.truncate(MOST_PROBLEMS);
    CommitImportResponse {
        committed,
        created_count: counts.created,
        updated_count: counts.updated,
        deleted_count: counts.deleted,
        problems,
        refused_count: found.rows.iter().filter(|row| **row <= LAST_ROW).count() as u64,
    }
}
