//! Staging a chunk: its sound rows are kept until the import is committed, the others are told of.

use futures::StreamExt;
use roamline_domain::directory::Kind;
use roamline_domain::{PhoneName, Violations};
use roamline_proto::profile as wire;
use roamline_proto::refusal::Refusal;
use roamline_store::{Change, StageError};

use super::chunk::Chunk;
use super::problem::claimed;
use super::{LAST_ROW, message};
use crate::refusal::read;
use crate::{Profile, refusal};

const MOST_ROWS: usize = 1_000;
const MOST_STAGED: u64 = 1_000_000;
/// Phones whose sessions are asked for at once.
const ASKED_AT_ONCE: usize = 16;

impl Profile {
    /// Checks rows and stages those that are sound.
    ///
    /// # Errors
    /// `INVALID_REQUEST`, `IMPORT_NOT_FOUND`, `IMPORT_ROW_UNEXPECTED`, or a store's failure.
    pub(crate) async fn stage_import(
        &self,
        asked: wire::StageImportRequest,
    ) -> Result<wire::StageImportResponse, Refusal> {
        check_form(&asked)?;
        let id = &asked.import_id;
        let import = self.open(id).await?;
        if import.next_row != asked.from_row {
            return Err(refusal::import_row(import.next_row));
        }
        if import.staged + asked.rows.len() as u64 > MOST_STAGED {
            let problem = format!("would be more than {MOST_STAGED} in the import");
            return Err(refusal::malformed("rows", problem));
        }
        let mut chunk = self.judge(id, &asked.rows, asked.restore).await?;
        self.refuse_occupied(&mut chunk).await?;
        if !(asked.all_or_none && chunk.has_problems()) {
            self.keep(&asked, &mut chunk).await?;
        }
        Ok(wire::StageImportResponse {
            unchanged_count: chunk.unchanged(),
            problems: chunk.problems.finish(),
            warnings: chunk.warnings.finish(),
            import: Some(message(&self.open(id).await?)),
        })
    }

    /// Refuses to delete phones at which somebody is logged in (LO-1).
    async fn refuse_occupied(&self, chunk: &mut Chunk) -> Result<(), Refusal> {
        let deleted = chunk.accepted.values().filter_map(|accepted| match &accepted.change {
            Change::Delete { key, .. } if key.kind == Kind::Phone => {
                Some((accepted.row, key.name.parse::<PhoneName>().ok()?))
            }
            _ => None,
        });
        let deleted: Vec<(u64, PhoneName)> = deleted.collect();
        let asked = deleted
            .into_iter()
            .map(async |(row, phone)| self.sessions.at(&phone).await.map(|worn| (row, worn)));
        let mut answers = futures::stream::iter(asked).buffer_unordered(ASKED_AT_ONCE);
        while let Some(answer) = answers.next().await {
            if let (row, Some(worn)) = answer? {
                let mut found = Violations::new();
                found.add("name", "LO-1", format!("{} is logged in to it: log him out first", worn.user_id));
                chunk.refuse(row, found);
            }
        }
        Ok(())
    }

    /// Stages the sound rows; those that clash with what was staged before become unsound.
    async fn keep(&self, asked: &wire::StageImportRequest, chunk: &mut Chunk) -> Result<(), Refusal> {
        for _ in 0..=asked.rows.len() {
            let changes = chunk.changes(false);
            let now = self.clock.now();
            let (row, field, rule, problem) = match self
                .imports
                .stage(&asked.import_id, asked.from_row, changes, asked.next_row, now)
                .await
            {
                Ok(()) => return Ok(()),
                Err(StageError::Unknown) => return Err(refusal::import_not_found()),
                Err(StageError::Row { expected }) => return Err(refusal::import_row(expected)),
                Err(StageError::Store(error)) => return Err(refusal::store(error)),
                Err(StageError::Repeated { row, first_row, key }) => {
                    (row, "", "", format!("{} is changed by row {first_row} already", read(&key)))
                }
                Err(StageError::Taken { row, claim, by }) => {
                    let (field, rule) = claimed(claim.space);
                    (row, field, rule, format!("the name {:?} is taken by row {by}", claim.name))
                }
            };
            let mut found = Violations::new();
            found.add(field, rule, problem);
            chunk.refuse(row, found);
            if asked.all_or_none {
                return Ok(());
            }
        }
        Err(refusal::internal("the store refuses rows that are not in the chunk"))
    }
}

/// Refuses a chunk whose rows are not in order, or too many.
fn check_form(asked: &wire::StageImportRequest) -> Result<(), Refusal> {
    let mut found = Violations::new();
    let count = asked.rows.len();
    if count > MOST_ROWS {
        found.add("rows", "", format!("has {count}, more than {MOST_ROWS}"));
    }
    if asked.from_row == 0 {
        found.add("from_row", "", "must be at least 1");
    }
    if asked.next_row <= asked.from_row || asked.next_row > LAST_ROW {
        found.add("next_row", "", "must be behind `from_row`");
    }
    let mut least = asked.from_row;
    for (index, row) in asked.rows.iter().enumerate() {
        if row.row < least || row.row >= asked.next_row {
            let problem = "must be from `from_row` to before `next_row`, in ascending order";
            found.add(format!("rows[{index}].row"), "", problem);
            break;
        }
        least = row.row;
    }
    if found.is_empty() { Ok(()) } else { Err(refusal::all_malformed(found)) }
}
